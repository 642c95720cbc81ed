"""Puts a student's work into a fresh copy of the exercise, so that changed tests don't matter."""

from __future__ import annotations

import re
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Optional

import numpy as np
from nbformat import NotebookNode

from classroom.runner import WorkerError, in_words

LARGEST = 10_000_000  # bytes of a notebook
EXAMINING = 60  # seconds for all its cells
ASKS = re.compile(r"^checks\.\w+\((\w+)", re.MULTILINE)
MISSING = 'raise NotImplementedError("this cell is missing in what was handed in")'


class ByHandError(Exception):
    """What was handed in can't be marked automatically: a person has to look at it."""


@dataclass
class Cell:
    """A cell in the order in which it is run, or shown, and what became of it."""

    id: str  # or "", where the student added it
    kind: str  # "given", "student", "test", "written", which is marked by hand, or an added "text"
    source: str
    maximum: float = 0
    points: float = 0
    message: str = ""  # of a check
    output: str = ""  # what the student's code said or printed
    seconds: Optional[float] = None  # that a test measured
    more: dict = field(default_factory=dict)  # what reader.py says, and outputs handed in: "shown"

    @property
    def passed(self) -> bool:
        """Whether a test found it right; one that gives no points has measured its time."""
        return self.points == self.maximum and (self.maximum > 0 or self.seconds is not None)

    @property
    def asks(self) -> str:
        """The name that a cell of the teacher's asks about by a check, or an empty text."""
        found = re.search(ASKS, self.source) if self.kind in ("given", "test") else None
        return found[1] if found else ""


def is_plain(path: Path, folder: Path) -> bool:
    """Whether it is a file below a folder, and no link to somewhere else."""
    way = [path, *path.parents][: len(path.relative_to(folder).parts)]
    return path.is_file() and not any(each.is_symlink() for each in way)


def read(content: bytes, ask: Callable[..., dict]) -> list[dict]:
    """The cells of a notebook, as `reader.py` finds them; ByHandError if there are none."""
    if len(content) > LARGEST:
        raise ByHandError(f"it is larger than {LARGEST:,} bytes")
    try:
        answer = ask("read", notebook=np.frombuffer(content, np.uint8))
    except WorkerError as error:
        if error.again:
            raise
        raise ByHandError(f"it is not a readable notebook: reading it {error}") from error
    if "error" in answer:
        words = "{kind}: {words}".format(**in_words(answer["error"]))
        raise ByHandError(f"it is not a readable notebook ({words})")
    return answer["cells"]


def examine(cells: list[Cell], ask: Callable[..., dict]) -> list[str]:
    """Let `reader.py` say what there is to say of a student's texts; notes on what it can't."""
    notes: list[str] = []
    end = time.monotonic() + EXAMINING
    for cell in cells:
        if time.monotonic() > end:
            return [*notes, f"it takes longer than {EXAMINING} seconds to examine"]
        if cell.kind not in ("student", "written", "text") or not cell.source.strip():
            continue
        try:
            cell.more |= ask("examine", source=cell.source, code=cell.kind == "student")
        except WorkerError as error:
            notes.append(f"{cell.id or 'an added cell'} can't be examined: that {error}")
    return notes


def merge(exercise: NotebookNode, handed_in: list[dict]) -> tuple[list[Cell], list[str]]:
    """The exercise with the student's answers and additional cells in their places, and notes."""
    infos = [cell.metadata.nbgrader for cell in exercise.cells if grade_id(cell)]
    answers: dict[str, list[dict]] = defaultdict(list)
    for cell in handed_in:
        answers[cell["name"]].append(cell)
    if not {info.grade_id for info in infos if info.solution or info.grade} & answers.keys():
        raise ByHandError("it has none of this exercise's cells")
    texts = {cell.source.strip() for cell in exercise.cells if cell.cell_type == "markdown"}
    added = additional(handed_in, {info.grade_id for info in infos}, texts)
    cells, notes = added.pop("", []), []
    for cell in exercise.cells:
        name = grade_id(cell)
        if not name:
            continue  # text
        info = cell.metadata.nbgrader
        points, more = float(info.get("points", 0)), {}
        if not info.solution:
            kind, source = ("test" if info.grade else "given"), cell.source
        else:
            kind = "written" if info.grade else "student"
            source = MISSING if kind == "student" else ""
            own = answers[name]
            if own:
                source = "\n\n".join(part["source"] for part in own)
                more = {"shown": [each for part in own for each in part["shown"]]}
            if len(own) > 1:
                notes.append(f"{name} came as {len(own)} cells, split or copied, which are joined")
        if cell.cell_type == "code" and kind == "written":  # run, and marked by hand
            cells.append(Cell(name, "student", source, more=more))
            source, more = "", {}
        cells.append(Cell(name, kind, source, points, more=more))
        cells += added.pop(name, [])
    return cells, notes


def grade_id(cell: NotebookNode) -> str:
    """The name that nbgrader knows a cell by, or an empty text."""
    return str(cell.metadata.get("nbgrader", {}).get("grade_id", ""))


def additional(handed_in: list[dict], names: set[str], texts: set[str]) -> dict[str, list[Cell]]:
    """Cells that a student added, none of the exercise's `texts`, by the cell that they follow."""
    added: dict[str, list[Cell]] = {}
    last = ""
    for cell in handed_in:
        if cell["name"] in names:
            last = cell["name"]
        elif cell["code"] or cell["source"].strip() not in texts:
            kind = "student" if cell["code"] else "text"
            new = Cell("", kind, cell["source"], more={"shown": cell["shown"]})
            added.setdefault(last, []).append(new)
    return added


def plain(exercise: NotebookNode) -> list[dict]:
    """The cells of an exercise as `reader.py` gives those of a student's."""
    return [
        {"name": grade_id(c), "code": c.cell_type == "code", "source": c.source, "shown": []}
        for c in exercise.cells
    ]
