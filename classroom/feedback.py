"""The page that a student gets back: points, whose words are whose, and the own work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import jinja2

from classroom.collected import Student
from classroom.decisions import Decision
from classroom.marking import Marked
from classroom.submission import Cell

LONGEST = 20_000  # characters of a cell, or of what it says
HTML = jinja2.Environment(autoescape=True, trim_blocks=True)
HTML.filters["g"] = "{:g}".format
PAGE = HTML.from_string(Path(__file__).with_name("page.html").read_text(encoding="utf-8"))


@dataclass
class Result:
    """What became of one submission, with what the teacher decided about it."""

    student: str  # the name on pages and in tables
    exercise: str
    marked: Marked
    decisions: Mapping[str, Decision]  # by the name of the cell; about the whole under ""
    late: float = 0  # days after the time it was due, as its file tells
    origin: Student = field(default_factory=lambda: Student(""))

    def __post_init__(self) -> None:
        """Add up."""
        whole = self.whole = self.decisions.get("", Decision(0))
        handed_in, cells = self.marked.status != "not handed in", self.marked.cells
        self.counts = handed_in or not all(each.empty for each in self.decisions.values())
        said = {"clear": "cleared", "override": "overridden", "revoke": "revoked"}
        self.status = said.get(whole.decision, self.marked.status)
        self.days_late = self.late if whole.late is None else whole.late
        self.tests = [cell for cell in cells if cell.kind == "test"]
        self.possible = sum(cell.maximum for cell in self.tests)  # the most that the tests give
        points = sum(cell.points for cell in self.tests) if whole.points is None else whole.points
        self.points = 0 if whole.decision == "revoke" else points
        written = {cell.id: cell.maximum for cell in cells if cell.kind == "written"}
        given = {cell: each.points for cell, each in self.decisions.items() if cell}
        self.read = any(each is not None for each in given.values())
        self.by_hand = sum(each or 0 for each in given.values())
        open_ = [most for cell, most in written.items() if given.get(cell) is None]
        self.waiting = sum(open_) if handed_in else 0  # that a teacher has still to give, or not
        self.most, self.total = self.possible + sum(written.values()), self.points + self.by_hand
        self.decided = self.marked.status == "marked" or bool(whole.decision)  # the tests' points
        self.final = self.counts and self.decided and not self.waiting


def page(result: Result) -> str:
    """The feedback as one HTML page without scripts or links, and with all pictures in it."""
    return PAGE.render(result=result, cells=joined(result.marked.cells), longest=LONGEST)


def joined(cells: list[Cell]) -> list[Cell]:
    """The cells to show: code that is marked by hand as one, what is given if a check spoke."""
    shown: list[Cell] = []
    for cell in cells:
        if cell.kind == "written" and shown and shown[-1].id == cell.id:
            shown[-1] = replace(shown[-1], kind=cell.kind, maximum=cell.maximum)
        elif cell.kind != "given" or cell.message:
            shown.append(cell)
    return shown
