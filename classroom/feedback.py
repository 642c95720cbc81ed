"""The page that a student gets back: points, whose words are whose, and the own work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from html import escape

from classroom.decisions import Decision
from classroom.marking import Marked, Outcome

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 52em; margin: 1em auto; padding: 0 1em;
  color: #1b1b1b; background: #fff; }
pre { font: 13px/1.45 ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere;
  padding: .6em .8em; background: #f4f4f4; border-radius: 4px; margin: .4em 0; }
pre::before { display: block; font: 12px system-ui, sans-serif; color: #555; }
pre.code::before { content: "your cell"; } pre.said::before { content: "what your code said"; }
pre.check { background: #fdf0e7; } pre.check::before { content: "the check says"; }
pre.right { background: #e7f5ee; } pre.right::before { content: "the check says"; }
pre.given::before { content: "the test"; }
pre.teacher { background: #e8f1fa; } pre.teacher::before { content: "your teacher says"; }
section { border-left: 4px solid #ccc; padding: .1em 0 .1em .9em; margin: 1.2em 0; }
section.full { border-color: #007a5a; } section.none { border-color: #c04a00; }
section.waiting { border-color: #0062a8; } h2 { font-size: 1em; margin: .2em 0; }
h2 span { font-weight: normal; } .note { background: #fff3d6; padding: .5em .8em; }
"""


@dataclass(frozen=True)
class Result:
    """What became of one submission, with what the teacher decided about it.

    Parameters
    ----------
    student, exercise : str
        The name on pages and in tables, and the exercise's.
    marked : Marked
        What the tests gave.
    decisions : mapping of str to Decision
        By the name of the cell; that of the whole submission under "".
    late : float
        Days after the time it was due, as its file tells.
    """

    student: str
    exercise: str
    marked: Marked
    decisions: Mapping[str, Decision]
    late: float = 0

    @property
    def whole(self) -> Decision:
        """The decision about the submission as a whole."""
        return self.decisions.get("", Decision(0))

    @property
    def tests(self) -> list[Outcome]:
        """The cells that are tested."""
        return [cell for cell in self.marked.cells if cell.kind == "test"]

    @property
    def counts(self) -> bool:
        """Whether something was handed in, or decided all the same."""
        decided = any(not decision.empty for decision in self.decisions.values())
        return decided or self.marked.status != "not handed in"

    @property
    def status(self) -> str:
        """What the tables say: marked, not handed in, to be looked at, or what was decided."""
        said = {"clear": "cleared", "override": "overridden", "revoke": "revoked"}
        return said.get(self.whole.decision, self.marked.status)

    @property
    def points(self) -> float:
        """The points for what is tested, after the teacher's decision."""
        if self.whole.decision == "revoke":
            return 0
        if self.whole.points is not None:
            return self.whole.points
        return sum(cell.points for cell in self.tests)

    @property
    def possible(self) -> float:
        """The most that the tests give."""
        return sum(cell.maximum for cell in self.tests)

    @property
    def by_hand(self) -> float:
        """The points for written answers."""
        return sum(d.points or 0 for cell, d in self.decisions.items() if cell)

    @property
    def waiting(self) -> float:
        """The points that a teacher has still to give, or not; none where nothing was handed in."""
        if self.marked.status == "not handed in":
            return 0
        cells = [cell for cell in self.marked.cells if cell.kind == "written"]
        given = {cell for cell, decision in self.decisions.items() if decision.points is not None}
        return sum(cell.maximum for cell in cells if cell.id not in given)

    @property
    def most(self) -> float:
        """All the points that there are."""
        return sum(c.maximum for c in self.marked.cells if c.kind in ("test", "written"))

    @property
    def total(self) -> float:
        """All the points that there are so far."""
        return self.points + self.by_hand

    @property
    def days_late(self) -> float:
        """Days late, as the teacher says, or else the file."""
        return self.late if self.whole.late is None else self.whole.late


def page(result: Result) -> str:
    """The feedback as one HTML page without scripts, images or links."""
    title, whole = f"{result.student}: {result.exercise}", result.whole
    sums = []
    if result.possible:
        sums.append(f"<b>{result.points:g} of {result.possible:g} points</b> for what is tested.")
    if any(d.points is not None for cell, d in result.decisions.items() if cell):
        given = result.most - result.possible - result.waiting
        sums.append(f"<b>{result.by_hand:g} of {given:g} points</b> by hand.")
    if result.waiting:
        more = "more" if sums else "points"
        sums.append(f"{result.waiting:g} {more} are given by hand.")
    notes = [f"Your teacher looks at this: {note}." for note in result.marked.notes]
    if whole.decision:
        notes = [f"Your teacher has looked at this, and the points are {result.status}."]
    if result.days_late:
        notes.append(f"Handed in {result.days_late:g} days late.")
    shown = [f'<p class="note">{escape(note)}</p>' for note in notes]
    shown += [block("teacher", whole.comment)]
    shown += [section(cell, result.decisions.get(cell.id)) for cell in joined(result.marked.cells)]
    body = "\n".join(shown)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n"
        f"<body><h1>{escape(title)}</h1>\n<p>{' '.join(sums)}</p>\n{body}\n</body></html>\n"
    )


def joined(cells: list[Outcome]) -> list[Outcome]:
    """The cells to show: what is given only where a check said something in it.

    Code that is marked by hand comes as two cells, which are shown as one.
    """
    shown: list[Outcome] = []
    for cell in cells:
        if cell.kind == "written" and shown and shown[-1].id == cell.id:
            shown[-1] = replace(shown[-1], kind=cell.kind, maximum=cell.maximum)
        elif cell.kind != "given" or cell.message:
            shown.append(cell)
    return shown


def section(cell: Outcome, given: Decision | None) -> str:
    """One cell."""
    name = escape(cell.id or "a cell that you added")
    kind, comment = "own", given.comment if given else ""
    if cell.kind == "test":
        kind = "full" if cell.passed else "none"
        if cell.maximum:
            name += f" <span>{cell.points:g} of {cell.maximum:g}</span>"
    elif cell.kind == "written" and given and given.points is not None:
        name += f" <span>{given.points:g} of {cell.maximum:g}, by hand</span>"
        kind = {cell.maximum: "full", 0: "none"}.get(given.points, "own")
    elif cell.kind == "written":
        kind, name = "waiting", f"{name} <span>{cell.maximum:g} points, by hand</span>"
    blocks = [
        block("given" if cell.kind in ("test", "given") else "code", cell.source),
        block("said", cell.output),
        block("right" if kind == "full" else "check", cell.message),
        block("teacher", comment),
    ]
    return f'<section class="{kind}"><h2>{name}</h2>{"".join(blocks)}</section>'


def block(whose: str, text: str) -> str:
    """Text of the student's, a check's or the teacher's, which the page tells apart."""
    return f'<pre class="{whose}">{escape(text)}</pre>' if text.strip() else ""
