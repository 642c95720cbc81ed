"""Measure the rows of the tables that need packages too heavy to sit beside TensorFlow 2.15.

python -m in_tensorflow.elsewhere, with this folder's parent on the path, or `make elsewhere
PYTHON=python3.13`, writes `elsewhere/conventions.csv` and `elsewhere/dropout.csv` beside this file.
Each row says when, and with which versions, it was measured. The chapter reads them.
"""

from __future__ import annotations

import csv
import datetime
import platform
from importlib.metadata import version
from pathlib import Path

from in_tensorflow import conventions, dropout
from in_tensorflow.frameworks import ELSEWHERE, PACKAGES, missing

FOLDER = Path(__file__).with_name("elsewhere")


def main() -> None:
    """Measure all that is there, and write it; where a package is missing, write nothing."""
    lacking = sorted({reason for layer in ELSEWHERE if (reason := missing(layer.framework))})
    if lacking:
        raise SystemExit(f"{'; '.join(lacking)}: make elsewhere PYTHON=python3.13")
    FOLDER.mkdir(exist_ok=True)
    tables = {
        "conventions": [
            {**conventions.row(layer), **stamp(layer.framework)} for layer in ELSEWHERE
        ],
        "dropout": [
            {**dropout.describe(dropper), **stamp(dropper.framework)}
            for dropper in dropout.ELSEWHERE
        ],
    }
    for name, stamped in tables.items():
        with (FOLDER / f"{name}.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, list(stamped[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(stamped)
        print(conventions.markdown(stamped))


def stamp(framework: str) -> dict[str, str]:
    """The day, and the versions of Python and of what computed."""
    packages = (*PACKAGES[framework], "jax", "numpy")
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    return {
        "measured": datetime.date.today().isoformat(),
        "with": f"Python {platform.python_version()}, {versions}",
    }


def read(name: str) -> list[dict[str, str]]:
    """The rows of a table that was measured, "conventions" or "dropout"."""
    with (FOLDER / f"{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


if __name__ == "__main__":
    main()
