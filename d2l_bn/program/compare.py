"""The command `compare`: several runs side by side, as a table and in one figure."""

from __future__ import annotations

import argparse
from pathlib import Path

from d2l_bn.program import outcome, plot, run_folder
from d2l_bn.system.errors import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    plot.add_arguments(parser)


def run(options: argparse.Namespace) -> None:
    """Print a line for each run, and draw them all in one figure."""
    rows = [_row(folder) for folder in options.runs]
    widths = [max(len(row[column]) for row in [HEADS, *rows]) for column in range(len(HEADS))]
    for row in [HEADS, *rows]:
        print("  ".join(f"{cell:{width}}" for cell, width in zip(row, widths)).rstrip())
    if len({row[2] for row in rows}) > 1:
        print("The runs were tested on different images: their accuracies can't be compared.")
    plot.run(options)


HEADS = [
    "run",
    "norm",
    "data",
    "epochs",
    "batch",
    "rate",
    "seed",
    "train loss",
    "test accuracy",
    "95 % interval",
    "seconds",
]


def _row(folder: Path) -> list[str]:
    summary = outcome.read_summary(folder / run_folder.SUMMARY)
    try:
        settings, data, final = summary["settings"], summary["data"], summary["final"]
        accuracy, count = float(final["test_accuracy"]), int(data["test_images"])
        low, high = outcome.interval(round(accuracy * count), count)
        return [
            str(folder),
            str(settings["norm"]),
            str(data["name"]),
            str(settings["epochs"]),
            str(settings["batch_size"]),
            f"{settings['lr']:g}, {settings['schedule']}",
            str(settings["seed"]),
            f"{final['train_loss']:.4f}",
            f"{accuracy:.4f}",
            f"{low:.4f} to {high:.4f}",
            f"{summary['training_seconds']:.0f}",
        ]
    except (ArithmeticError, KeyError, TypeError, ValueError) as error:
        path = folder / run_folder.SUMMARY
        raise InputError(f"{path} is damaged ({error!r}); train again") from error
