"""Puts a student's work into a fresh copy of the exercise, so that changed tests don't matter."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat import NotebookNode

LARGEST = 5_000_000  # bytes of a notebook
MOST_CELLS = 200
LONGEST_LINE = 2000  # characters; a chain of 100,000 operators can crash Python's parser
ASKS = re.compile(r"^checks\.\w+\(", re.MULTILINE)
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

    @property
    def asks(self) -> bool:
        """Whether it is a cell of the teacher's that asks the student's code by a check."""
        return self.kind in ("given", "test") and re.search(ASKS, self.source) is not None


def runnable(source: str) -> str:
    """`source` as plain Python: lines that only IPython understands do nothing."""
    if is_python(source):  # where such a line is part of an expression
        return source
    return re.sub(r"^([ \t]*)([%!].*|.*\?[ \t]*)$", r"\1pass", source, flags=re.MULTILINE)


def is_python(source: str) -> bool:
    """Whether Python can read it, or gives up for another reason than its grammar."""
    try:
        ast.parse(source)
    except (SyntaxError, ValueError):
        return False
    except (RecursionError, MemoryError):
        return True
    return True


def for_ipython(cells: list[Cell]) -> list[str]:
    """The student's cells that run in a notebook but not as plain Python: ``x = %timeit f()``."""
    own = [cell for cell in cells if cell.kind == "student"]
    wrong = [c for c in own if re.search(r"=\s*[%!]", c.source) and not is_python(c.source)]
    return [cell.id or "an added cell" for cell in wrong]


def is_plain(path: Path) -> bool:
    """Whether it is a file in a folder, and neither of them a link to somewhere else."""
    return path.is_file() and not path.is_symlink() and not path.parent.is_symlink()


def read(path: Path) -> NotebookNode:
    """Read a notebook that a student handed in.

    Raises
    ------
    ByHandError
        If it is no file, too large, or not a notebook.
    """
    if not is_plain(path):
        raise ByHandError("it is not a plain file in a plain folder")
    try:
        if path.stat().st_size > LARGEST:
            raise ByHandError(f"it is larger than {LARGEST:,} bytes")
        notebook = nbformat.reads(path.read_bytes().decode("utf-8-sig"), as_version=4)
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
