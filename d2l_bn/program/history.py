"""The epochs of a run as a table, history.csv, and as lines on the terminal."""

from __future__ import annotations

import csv
import io
import itertools
from pathlib import Path

from d2l_bn.system.errors import InputError
from d2l_bn.system.files import read_regular, replacing
from d2l_bn.training.run import COLUMNS, check_history
from d2l_bn.training.settings import MOST

LONGEST = 2**28  # bytes: a million epochs have half of it


def write_history(path: Path, history: list[dict]) -> None:
    """Write the epochs of a run as a table with one line an epoch."""
    with replacing(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(history)


def read_history(path: Path) -> list[dict]:
    """Read what `write_history` wrote; InputError if there is no such table."""
    try:
        table = csv.DictReader(io.StringIO(read_regular(path, LONGEST).decode(), newline=""))
        lines = itertools.islice(table, MOST + 1)
        rows = [{name: COLUMNS[name](line[name]) for name in COLUMNS} for line in lines]
        if len(rows) > MOST:
            raise ValueError(f"it has more than {MOST:,} epochs")
        check_history(rows)
    except OSError as error:
        raise InputError(
            f"{path} can't be read ({error.strerror}): is this the folder of a run?"
        ) from error
    except (ValueError, KeyError, TypeError, csv.Error) as error:
        reason = ascii(str(error))[1:-1]
        raise InputError(f"{path} is not the history of a run ({reason})") from error
    if not rows:
        raise InputError(f"{path} has no epoch in it yet")
    return rows


def epoch_line(row: dict, epochs: int) -> str:
    """One line on one epoch."""
    return (
        f"epoch {row['epoch']:{len(str(epochs))}}/{epochs}   "
        f"loss {row['train_loss']:.4f}   train {row['train_accuracy']:.4f}   "
        f"test {row['test_accuracy']:.4f}   rate {row['learning_rate']:.4f}   "
        f"{row['seconds']:.1f} s   {row['examples_per_second']:,.0f} examples/s"
    )
