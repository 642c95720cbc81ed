"""Draw the picture of the first page, book/with-and-without.svg, and the table it shows.

The numbers are those of the long experiments: seed 0 of the default recipe.
"""

from __future__ import annotations

import csv
from pathlib import Path

from d2l_bn.figures.drawings import Drawing, with_and_without

CHECKOUT = Path(__file__).resolve().parent.parent
BOOK, TABLE = CHECKOUT / "book", CHECKOUT / "experiments" / "results" / "full_data.csv"
# By what they are called in the picture: what tells the rows of a run from others.
RUNS = {
    "with": {"recipe": "default", "norm": "scratch", "seed": "0"},
    "without": {"recipe": "default", "norm": "none", "seed": "0"},
}


def read(path: Path) -> list[dict[str, str]]:
    """The rows of a table, as text."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def table() -> str:
    """Test accuracy after each epoch with and without, from the table of the experiments."""
    columns = {}
    for name, run in RUNS.items():
        rows = [row for row in read(TABLE) if run.items() <= row.items()]
        columns[name] = [f"{float(row['test_accuracy']):.4f}" for row in rows]
    lines = (f"{epoch},{a},{b}\n" for epoch, (a, b) in enumerate(zip(*columns.values()), 1))
    return ",".join(["epoch", *columns]) + "\n" + "".join(lines)


def front() -> Drawing:
    """LeNet with and without batch normalization, on all of Fashion-MNIST, seed 0."""
    rows = read(BOOK / "with-and-without.csv")
    histories = {name: [float(row[name]) for row in rows] for name in RUNS}
    return with_and_without(histories, "LeNet with and without batch normalization: accuracy")


if __name__ == "__main__":
    (BOOK / "with-and-without.csv").write_text(table())
    (BOOK / "with-and-without.svg").write_text(front().svg() + "\n")
