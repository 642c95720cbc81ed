"""Marks one submission: runs its cells in a worker and gives points for the tests that pass."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field

from classroom import runner
from classroom.isolation import NoSandbox
from classroom.runner import Worker, WorkerError
from classroom.submission import Cell, runnable

HIDDEN = "### BEGIN HIDDEN TESTS"


@dataclass
class Outcome:
    """What became of one cell."""

    id: str
    kind: str
    source: str
    points: float = 0
    maximum: float = 0
    message: str = ""
    output: str = ""


@dataclass
class Marked:
    """What became of one submission."""

    status: str = "marked"  # or "look at by hand"
    notes: list[str] = field(default_factory=list)
    cells: list[Outcome] = field(default_factory=list)

    def by_hand(self, note: str) -> None:
        """Ask the teacher to look."""
        self.status = "look at by hand"
        self.notes.append(note)

    def as_dict(self) -> dict:
        """Plain data, for the record."""
        return asdict(self)


def mark(cells: list[Cell], sandbox: NoSandbox, *, seconds: float, memory: int) -> Marked:
    """Run the cells of a submission in a new worker; points for each test that passes.

    A test is sent to the worker when its turn comes, so that answers have run before they could
    see it. Points are lost, and a person is asked to look, where the worker ends early.
    """
    marked = Marked()
    secret = hidden_lines(cells)
    end = time.monotonic() + runner.longest(seconds)
    runs = any(cell.kind == "test" for cell in cells)
    with Worker(sandbox, seconds=seconds, memory=memory) as worker:
        for cell in cells:
            outcome = Outcome(cell.id, cell.kind, cell.source, maximum=cell.points)
            marked.cells.append(outcome)
            if cell.kind == "test":
                outcome.source = cell.source.split(HIDDEN)[0].rstrip()
            if cell.kind == "written" or not runs:
                continue
            if marked.status != "marked":
                outcome.message = "Not run: the run ended with an earlier cell."
                continue
            if time.monotonic() > end:
                marked.by_hand(f"it took longer than {runner.WHOLE * seconds:g} seconds in all")
                continue
            try:
                answer = worker.run(runnable(cell.source), test=cell.kind == "test")
            except WorkerError as error:
                outcome.message = f"This cell {error}."
                marked.by_hand(f"{cell.id or 'an added cell'} {error}")
                continue
            if answer["error"]:
                outcome.message = withheld(f"{answer['error']}: {answer['message']}", secret)
            if cell.kind != "test":  # what a test makes an answer print is not for the page
                outcome.output = withheld(answer["output"], secret)
            if answer["error"] == "Tampering":
                marked.by_hand(answer["message"])
            elif cell.kind == "test" and not answer["error"]:
                outcome.points = cell.points
    if any("ready-made answer" in cell.message for cell in marked.cells):
        marked.by_hand("it calls a ready-made answer")
    return marked


def hidden_lines(cells: list[Cell]) -> list[str]:
    """The lines of hidden tests that would give something away."""
    hidden = [cell.source.split(HIDDEN)[1] for cell in cells if HIDDEN in cell.source]
    lines = (line.strip() for text in hidden for line in text.splitlines())
    tests = [cell.source.split(HIDDEN)[0] for cell in cells if cell.kind == "test"]
    shown = {line.strip() for text in tests for line in text.splitlines()}
    return [
        line
        for line in lines
        if len(line) > 20 and line not in shown and not line.startswith(("from ", "import "))
    ]


def withheld(text: str, secret: list[str]) -> str:
    """`text`, without lines that quote a hidden test."""

    def kept(lines: list[str]) -> Iterator[str]:
        for line in lines:
            yield "(withheld)" if any(quoted in line for quoted in secret) else line

    return "\n".join(kept(text.splitlines()))
