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
    out = Path("runs/curves.png")
    parser.add_argument("--out", type=Path, default=out, help=f"the PNG to write (default: {out})")


def run(options: argparse.Namespace) -> None:
    """Print a line for each run, and draw them all in one figure."""
    require_output(options.out, ".png")
    rows = [_row(folder) for folder in options.runs]
    histories = {str(folder): read_history(folder / run_folder.HISTORY) for folder in options.runs}
    draw = figures()
    widths = {head: max(len(head), *(len(row[head]) for row in rows)) for head in rows[0]}
    for row in [dict(zip(widths, widths)), *rows]:
        print("  ".join(f"{row[head]:{width}}" for head, width in widths.items()).rstrip())
    if len({row["data"] for row in rows}) > 1:
        print("The runs were tested on different images: their accuracies can't be compared.")
    labels = {name: Path(name).name if len(histories) > 1 else "" for name in histories}
    if len(set(labels.values())) < len(labels):
        labels = {name: name for name in histories}
    draw.save(draw.curves({labels[name]: h for name, h in histories.items()}), options.out)
    print(f"curves in {options.out}")


def _row(folder: Path) -> dict[str, str]:
    summary = read_summary(folder / run_folder.SUMMARY)
    try:
        settings, data, final = summary["settings"], summary["data"], summary["final"]
        accuracy, count = float(final["test_accuracy"]), int(data["test_images"])
        low, high = interval(round(accuracy * count), count)
        return {
            "run": str(folder),
            "norm": str(settings["norm"]),
            "data": str(data["name"]),
            "epochs": str(settings["epochs"]),
            "batch": str(settings["batch_size"]),
            "rate": f"{settings['lr']:g}, {settings['schedule']}",
            "seed": str(settings["seed"]),
            "train loss": f"{final['train_loss']:.4f}",
            "test accuracy": f"{accuracy:.4f}",
            "95 % interval": f"{low:.4f} to {high:.4f}",
            "seconds": f"{summary['training_seconds']:.0f}",
        }
    except (ArithmeticError, KeyError, TypeError, ValueError) as error:
        path = folder / run_folder.SUMMARY
        raise InputError(f"{path} is damaged ({error!r}); train again") from error
