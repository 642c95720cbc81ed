"""The command `plot`: one or several runs in one figure."""

from __future__ import annotations

import argparse
from pathlib import Path

from d2l_bn.program import outcome, run_folder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folder of a run")
    parser.add_argument(
        "--out", type=Path, default=Path("runs/curves.png"), help="the PNG to write"
    )


def run(options: argparse.Namespace) -> None:
    """Draw the histories of one or several runs in one figure."""
    histories = {
        str(folder): outcome.read_history(folder / run_folder.HISTORY) for folder in options.runs
    }
    figures = outcome.drawing()
    labels = {name: Path(name).name if len(histories) > 1 else "" for name in histories}
    if len(set(labels.values())) < len(labels):
        labels = {name: name for name in histories}
    figures.save(figures.curves({labels[name]: h for name, h in histories.items()}), options.out)
    print(f"curves in {options.out}")
