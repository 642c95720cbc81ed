"""Tables that long runs fill case by case; a killed run loses the case that was running."""

from __future__ import annotations

import csv
import itertools
import os
import platform
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from d2l_bn.nn import operator
from d2l_bn.program.about import processor
from d2l_bn.program.summary import versions
from d2l_bn.system.files import locked, replacing

RESULTS = Path(__file__).parent / "results"
Row = dict  # column -> text or number


@dataclass(frozen=True)
class Experiment:
    """A table, and how each part of it is made.

    Parameters
    ----------
    name : str
        The table is ``results/<name>.csv``.
    cases : tuple of dict
        The runs, each told apart from the others by its values. They become the first columns.
    run : callable (**case) -> iterable of Row
        Makes the rows of one case.
    """

    name: str
    cases: tuple[Row, ...]
    run: Callable[..., Iterable[Row]]

    def rows(self, case: Row) -> list[Row]:
        """Run one case."""
        return [{**case, **row} for row in self.run(**case)]


def grid(**values: Iterable) -> tuple[Row, ...]:
    """Cases of all combinations of the values, the last changing fastest."""
    return tuple(dict(zip(values, case)) for case in itertools.product(*values.values()))


def missing(experiment: Experiment, folder: Path = RESULTS) -> list[Row]:
    """The cases that have no row in the table yet."""
    there = {_key(experiment, row) for row in read(experiment.name, folder)}
    return [case for case in experiment.cases if _key(experiment, case) not in there]


def fill(experiment: Experiment, folder: Path = RESULTS) -> Iterator[Row]:
    """Run the missing cases and write the table after each; yield the case that was done.

    The table ``about`` beside them says for each table on what it was made, and how long it took.
    """
    for case in experiment.cases:
        if case not in missing(experiment, folder):  # done, here or by another process
            continue
        start = time.process_time()  # of the processor: other programs don't count
        new = experiment.rows(case)
        seconds = time.process_time() - start
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder):
            table: dict[tuple, list[Row]] = {_key(experiment, c): [] for c in experiment.cases}
            for row in read(experiment.name, folder):
                table.get(_key(experiment, row), []).append(row)
            table[_key(experiment, case)] = new
            write(experiment.name, [row for rows in table.values() for row in rows], folder)
            lines = added(read("about", folder), circumstances(experiment.name), seconds)
            write("about", lines, folder)
        yield case


def circumstances(table: str) -> dict[str, str]:
    """What a table was made on and with, since digits move with the processor."""
    found = {name.lower(): version for name, version in versions().items()}
    return {
        "table": table,
        "command": f"make experiments ARGS={table}",
        "processor": processor(),
        "system": platform.system(),
        **found,
        "engine": os.environ.get("MXNET_ENGINE_TYPE", "default"),
        "threads": os.environ.get("OMP_NUM_THREADS", "default"),
        "layer": "operator" if operator.available() else "graph",
    }


def added(lines: list[dict], where: dict[str, str], seconds: float) -> list[dict]:
    """The lines of about.csv, sorted, with one more case, which took `seconds` of the processor."""
    new: Row = {**where, "cases": 1, "seconds": seconds}
    others = []
    for line in lines:
        if all(str(line.get(name)) == text for name, text in where.items()):
            new["cases"] += line["cases"]
            new["seconds"] += line["seconds"]
        else:
            others.append(line)
    new["seconds"] = round(new["seconds"], 2)
    return sorted([*others, new], key=lambda line: str(line["table"]))


def read(name: str, folder: Path = RESULTS) -> list[Row]:
    """The rows of a table, numbers as numbers; none where there is no table yet."""
    path = folder / f"{name}.csv"
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return [{key: _value(text) for key, text in row.items()} for row in csv.DictReader(file)]


def write(name: str, rows: list[Row], folder: Path = RESULTS) -> None:
    """Write a table, with numbers to six significant digits."""
    with replacing(folder / f"{name}.csv") as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({key: _text(value) for key, value in row.items()})


def select(rows: list[dict], **values) -> list[dict]:
    """The rows that have these values."""
    return [row for row in rows if values.items() <= row.items()]


def by_seed(rows: list[dict], x: str, y: str) -> tuple[np.ndarray, np.ndarray]:
    """The values of `x`, and a matrix of `y`: a line for each seed."""
    places = sorted({row[x] for row in rows})
    seeds = sorted({row["seed"] for row in rows})
    found = {(row["seed"], row[x]): row[y] for row in rows}
    values = [[found[seed, place] for place in places] for seed in seeds]
    return np.array(places), np.array(values, float)


def _key(experiment: Experiment, row: Row) -> tuple[str, ...]:
    return tuple(_text(row[name]) for name in experiment.cases[0])


def _text(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _value(text: str) -> object:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
