"""The command `compare`: several runs side by side, as a table and in one figure."""

from __future__ import annotations

import argparse
from pathlib import Path

from d2l_bn.program import run_folder
from d2l_bn.program.drawing import figures
from d2l_bn.program.history import read_history
from d2l_bn.program.summary import interval, read_summary
from d2l_bn.system.errors import InputError
from d2l_bn.system.files import require_output


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folder of a run")
    parser.add_argument(
        "--out", type=Path, default=Path("runs/curves.png"), help="the PNG to write"
    )


def run(options: argparse.Namespace) -> None:
    """Print a line for each run, and draw them all in one figure."""
    require_output(options.out)
    rows = [_row(folder) for folder in options.runs]
    widths = [max(len(row[column]) for row in [HEADS, *rows]) for column in range(len(HEADS))]
    for row in [HEADS, *rows]:
        print("  ".join(f"{cell:{width}}" for cell, width in zip(row, widths)).rstrip())
    if len({row[2] for row in rows}) > 1:
        print("The runs were tested on different images: their accuracies can't be compared.")
    histories = {str(folder): read_history(folder / run_folder.HISTORY) for folder in options.runs}
    labels = {name: Path(name).name if len(histories) > 1 else "" for name in histories}
    if len(set(labels.values())) < len(labels):
        labels = {name: name for name in histories}
    draw = figures()
    draw.save(draw.curves({labels[name]: h for name, h in histories.items()}), options.out)
    print(f"curves in {options.out}")


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
    summary = read_summary(folder / run_folder.SUMMARY)
    try:
        settings, data, final = summary["settings"], summary["data"], summary["final"]
        accuracy, count = float(final["test_accuracy"]), int(data["test_images"])
        low, high = interval(round(accuracy * count), count)
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
