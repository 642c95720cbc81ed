"""Draw the picture of the first page, book/with-and-without.svg, from the table beside it."""

from __future__ import annotations

import csv
from pathlib import Path

from d2l_bn.figures.drawings import Drawing, with_and_without

BOOK = Path(__file__).resolve().parent.parent / "book"


def front() -> Drawing:
    """LeNet with and without batch normalization, on all of Fashion-MNIST, seed 0."""
    with (BOOK / "with-and-without.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    histories = {name: [float(row[name]) for row in rows] for name in ("with", "without")}
    return with_and_without(histories, "LeNet with and without batch normalization: accuracy")


if __name__ == "__main__":
    (BOOK / "with-and-without.svg").write_text(front().svg() + "\n")
