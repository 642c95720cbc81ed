"""The page that a student gets back: points, whose words are whose, and the own work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from html import escape
from pathlib import Path
from string import Template

from classroom.collected import Student
from classroom.decisions import Decision
from classroom.marking import Marked
from classroom.submission import Cell

LONGEST = 20_000  # characters of a cell, or of what it says
PAGE = Template(Path(__file__).with_name("page.html").read_text(encoding="utf-8"))


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
        self.by_hand = sum(each or 0 for each in given.values())
        open_ = [most for cell, most in written.items() if given.get(cell) is None]
        self.waiting = sum(open_) if handed_in else 0  # that a teacher has still to give, or not
        self.most, self.total = self.possible + sum(written.values()), self.points + self.by_hand
        self.decided = self.marked.status == "marked" or bool(whole.decision)  # the tests' points
        self.final = self.counts and self.decided and not self.waiting


def page(result: Result) -> str:
    """The feedback as one HTML page without scripts or links, and with all pictures in it."""
    title, whole, sums = escape(f"{result.student}: {result.exercise}"), result.whole, []
    if result.possible and result.status != "not marked":
        sums.append(f"<b>{result.points:g} of {result.possible:g} points</b> for what is tested.")
    if any(d.points is not None for cell, d in result.decisions.items() if cell):
        given = result.most - result.possible - result.waiting
        sums.append(f"<b>{result.by_hand:g} of {given:g} points</b> by hand.")
    if result.waiting:
        sums.append(f"{result.waiting:g} {'more' if sums else 'points'} are given by hand.")
    said = "" if result.marked.status == "marked" else "Your teacher looks at this: "
    notes = [f"{said}{note}." for note in dict.fromkeys(result.marked.notes)]
    if whole.decision:
        notes = [f"Your teacher has looked at this, and the points are {result.status}."]
    if result.days_late:
        notes.append(f"Handed in {result.days_late:g} days late.")
    shown = [f'<p class="note">{escape(note)}</p>' for note in notes]
    shown.append(block("teacher", whole.comment))
    for cell in joined(result.marked.cells):
        shown.append(section(cell, result.decisions.get(cell.id), ran=bool(result.tests)))
    return PAGE.substitute(title=title, sums=" ".join(sums), cells="\n".join(shown))


def joined(cells: list[Cell]) -> list[Cell]:
    """The cells to show: code that is marked by hand as one, what is given if a check spoke."""
    shown: list[Cell] = []
    for cell in cells:
        if cell.kind == "written" and shown and shown[-1].id == cell.id:
            shown[-1] = replace(shown[-1], kind=cell.kind, maximum=cell.maximum)
        elif cell.kind != "given" or cell.message:
            shown.append(cell)
    return shown


def section(cell: Cell, given: Decision | None, ran: bool) -> str:
    """One cell; with the outputs that were handed in, unless it `ran`."""
    name = escape(cell.id or f"a {'text' if cell.kind == 'text' else 'cell'} that you added")
    kind, points = "own", ""
    if cell.kind == "test":
        kind = "full" if cell.passed else "none"
        points = f"{cell.points:g} of {cell.maximum:g}" if cell.maximum else ""
    elif cell.kind == "written" and given and given.points is not None:
        kind = {cell.maximum: "full", 0: "none"}.get(given.points, "own")
        points = f"{given.points:g} of {cell.maximum:g}, by hand"
    elif cell.kind == "written":
        kind, points = "waiting", f"{cell.maximum:g} points, by hand"
    parts = "".join(mathml or escape(text) for text, mathml in cell.more.get("parts", ()))
    blocks = [
        block("given" if cell.kind in ("test", "given") else "code", cell.source, parts),
        block("said", cell.output),
        *(picture(*each) for each in cell.more.get("shown", ()) if not ran),
        block("right" if kind == "full" else "check", cell.message),
        block("teacher", given.comment if given else ""),
    ]
    title = f"{name} <span>{points}</span>" if points else name
    return f'<section class="{kind}"><h2>{title}</h2>{"".join(blocks)}</section>'


def block(whose: str, text: str, html: str = "") -> str:
    """Text of the student's, a check's or the teacher's, which the page tells apart."""
    cut = "" if len(text) <= LONGEST else f"\n... and {len(text) - LONGEST:,} characters more"
    html = html or escape(text[:LONGEST] + cut)
    return f'<pre class="{whose}">{html}</pre>' if html.strip() else ""


def picture(kind: str, data: str) -> str:
    """An output that was handed in: a picture, in which nothing can run, or a text."""
    if not kind:
        return block("said", data)
    return f'<img alt="an output of your cell" src="data:{kind};base64,{data}">'
