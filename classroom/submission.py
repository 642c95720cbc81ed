"""Puts a student's work into a fresh copy of the exercise, so that changed tests don't matter."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat import NotebookNode

LARGEST = 5_000_000  # bytes of a notebook
MOST_CELLS = 200
LONGEST_LINE = 2000  # characters; a chain of 100,000 operators can crash Python's parser
MISSING = 'raise NotImplementedError("this cell is missing in what was handed in")'


class ByHandError(Exception):
    """What was handed in can't be marked automatically: a person has to look at it."""


@dataclass
class Cell:
    """A cell in the order in which it is run, or shown."""

    id: str
    kind: str  # "given", "student", "test" or "written"
    source: str
    points: float = 0


def runnable(source: str) -> str:
    """`source` as plain Python: lines that only IPython understands do nothing."""
    return re.sub(r"^([ \t]*)[%!].*$", r"\1pass", source, flags=re.MULTILINE)


def read(path: Path) -> NotebookNode:
    """Read a notebook that a student handed in.

    Raises
    ------
    ByHandError
        If it is no file, too large, or not a notebook.
    """
    if path.is_symlink() or not path.is_file():
        raise ByHandError("it is not a plain file")
    try:
        if path.stat().st_size > LARGEST:
            raise ByHandError(f"it is larger than {LARGEST:,} bytes")
        notebook = nbformat.reads(path.read_bytes().decode("utf-8"), as_version=4)
        nbformat.validate(notebook)
        ids = [grade_id(cell) for cell in notebook.cells]
    except ByHandError:
        raise
    except Exception as error:  # nbformat raises many kinds for what is no notebook
        raise ByHandError(f"it is not a readable notebook ({type(error).__name__})") from error
    if len(ids) > MOST_CELLS:
        raise ByHandError(f"it has more than {MOST_CELLS} cells")
    if any(len(line) > LONGEST_LINE for c in notebook.cells for line in c.source.splitlines()):
        raise ByHandError(f"it has a line of more than {LONGEST_LINE:,} characters")
    twice = sorted({name for name in ids if name and ids.count(name) > 1})
    if twice:
        raise ByHandError(f"it has two cells named {twice[0]!r}")
    return notebook


def grade_id(cell: NotebookNode) -> str:
    """The name that nbgrader knows a cell by, or an empty text."""
    return str(cell.metadata.get("nbgrader", {}).get("grade_id", ""))


def merge(exercise: NotebookNode, handed_in: NotebookNode) -> list[Cell]:
    """The exercise with the student's answers and additional cells in their places."""
    answers = {grade_id(cell): cell.source for cell in handed_in.cells if grade_id(cell)}
    names = {grade_id(cell) for cell in exercise.cells if grade_id(cell)}
    infos = [cell.metadata.nbgrader for cell in exercise.cells if grade_id(cell)]
    asked = {info.grade_id for info in infos if info.solution or info.grade}
    if not asked & answers.keys():
        raise ByHandError("it has none of this exercise's cells")
    added = additional(handed_in, names)
    cells = [Cell("", "student", source) for source in added.pop("", [])]
    for cell in exercise.cells:
        name = grade_id(cell)
        if not name:
            continue  # text
        info = cell.metadata.nbgrader
        points = float(info.get("points", 0))
        if not info.solution:
            kind, source = ("test" if info.grade else "given"), cell.source
        else:
            kind = "written" if info.grade else "student"
            source = answers.get(name, MISSING if kind == "student" else "")
        if cell.cell_type == "code" and kind == "written":  # run, and marked by hand
            cells.append(Cell(name, "student", source))
            source = ""
        cells.append(Cell(name, kind, source, points))
        cells += [Cell("", "student", source) for source in added.pop(name, [])]
    return cells


def additional(handed_in: NotebookNode, names: set[str]) -> dict[str, list[str]]:
    """Code cells that a student added, under the name of the cell that they follow, if any."""
    added: dict[str, list[str]] = {}
    last = ""
    for cell in handed_in.cells:
        if grade_id(cell) in names:
            last = grade_id(cell)
        elif cell.cell_type == "code":
            added.setdefault(last, []).append(cell.source)
    return added
