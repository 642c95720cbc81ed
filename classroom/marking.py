"""Marks one submission: its cells run in a worker, and the tests ask the worker from here.

A test cell is run in this process, with other inputs than in a notebook. A name in it that the
student defines stands for what answers under that name across the sandbox.
"""

from __future__ import annotations

import builtins
import contextlib
import hashlib
import time
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Callable, Optional

import numpy as np

from classroom import runner
from classroom.isolation import Sandbox
from classroom.runner import Worker, WorkerError, in_words
from classroom.submission import Cell, runnable
from d2l_bn import checks
from d2l_bn.checks import CheckFailed
from d2l_bn.checks.asking import Respondent


@dataclass
class Outcome:
    """What became of one cell.

    Parameters
    ----------
    id, kind, source : str
        Of the cell; see `submission.Cell`.
    points, maximum : float
        What it earns, and what it can earn.
    message, output : str
        The checks' words, and what the student's code said or printed.
    """

    id: str
    kind: str
    source: str
    points: float = 0
    maximum: float = 0
    message: str = ""
    output: str = ""
    seconds: Optional[float] = None

    @property
    def passed(self) -> bool:
        """Whether a test found it right; one that gives no points has measured its time."""
        return self.points == self.maximum and (self.maximum > 0 or self.seconds is not None)


@dataclass
class Marked:
    """What became of one submission."""

    status: str = "marked"  # or "look at by hand"
    notes: list[str] = field(default_factory=list)
    cells: list[Outcome] = field(default_factory=list)
    reading: list[str] = field(default_factory=list)  # lines that a teacher may want to read

    def by_hand(self, note: str) -> None:
        """Ask the teacher to look."""
        self.status = "look at by hand"
        self.notes.append(note)

    def as_dict(self) -> dict:
        """Plain data, for the record."""
        return asdict(self)


class Across(Respondent):
    """Asks about one name across the sandbox, with inputs from a secret seed."""

    def __init__(self, run: Run, worker: Worker, name: str, seed: tuple[int, ...]) -> None:
        self.run, self.worker, self.name, self.seed = run, worker, name, seed
        self.told: list[str] = []

    def ask(self, what: str, **request) -> dict:
        """Return the answer to a question."""
        answer = bounded(self.worker.ask(what, name=self.name, **request))
        if "error" in answer:
            answer["error"] = in_words(answer["error"])
        return {**answer, "ready_made": []}

    def afresh(self) -> Respondent:
        """Return the same name in a new worker, which has run the cells and nothing else."""
        return Across(self.run, self.run.another(), self.name, self.seed)

    def tell(self, line: str) -> None:
        """Keep what is right."""
        self.told.append(line)


class Names(dict):
    """The names of a test cell: those that it doesn't define are the student's."""

    def __init__(self, run: Run, seed: tuple[int, ...]) -> None:
        super().__init__(checks=checks)
        self.run, self.seed = run, seed
        self.asked: list[Across] = []

    def __missing__(self, name: str) -> Across:
        if hasattr(builtins, name):
            raise KeyError(name)
        self.asked.append(Across(self.run, self.run.worker, name, self.seed))
        return self.asked[-1]


def seed_of(secret: str, *parts: str) -> tuple[int, ...]:
    """The numbers that inputs are drawn from, which nobody knows who doesn't know the secret."""
    digest = hashlib.sha256("\0".join((secret, *parts)).encode("utf-8", "replace")).digest()
    return tuple(int(number) for number in np.frombuffer(digest[:16], "<u4"))


def mark(
    cells: list[Cell],
    sandbox: Sandbox,
    *,
    seconds: float,
    memory: int,
    secret: str = "",
    mxnet: bool = True,
) -> Marked:
    """Run the cells of a submission in a new worker; points for each test that passes.

    Points are lost, and a person is asked to look, where the worker ends early.
    """
    marked = Marked()
    end = time.monotonic() + runner.longest(seconds)
    runs = any(cell.kind == "test" for cell in cells)
    start = partial(Worker, sandbox, seconds=seconds, memory=memory, mxnet=mxnet)
    with contextlib.ExitStack() as open_workers:
        run = Run(lambda: open_workers.enter_context(start()))
        for cell in cells:
            outcome = Outcome(cell.id, cell.kind, cell.source, maximum=cell.points)
            marked.cells.append(outcome)
            if cell.kind == "written" or not runs:
                continue
            if marked.status != "marked":
                outcome.message = "Not run: the run ended with an earlier cell."
                continue
            if time.monotonic() > end:
                marked.by_hand(f"it took longer than {runner.WHOLE * seconds:g} seconds in all")
                continue
            try:
                if cell.asks:
                    question(outcome, run, seed_of(secret, cell.id))
                else:
                    outcome.output = run.cell(runnable(cell.source))
            except WorkerError as error:
                outcome.message = f"This cell {error}."
                marked.by_hand(f"{cell.id or 'an added cell'} {error}")
    return marked


class Run:
    """The cells of a submission that have run so far, in a worker, and in others like it."""

    def __init__(self, start: Callable[[], Worker]) -> None:
        self.start, self.worker = start, start()
        self.spare: Optional[Worker] = None
        self.sources: list[str] = []

    def cell(self, source: str) -> str:
        """Run a cell; what it printed, and the exception that it ended with."""
        self.sources.append(source)
        answer = self.worker.run(source)
        if answer["error"]:
            return "{output}{error[kind]}: {error[words]}{error[where]}".format(**answer)
        return answer["output"]

    def another(self) -> Worker:
        """A new worker in which the same cells have run; it takes the place of an earlier one."""
        if self.spare is not None:
            self.spare.close()
        self.spare = self.start()
        for source in self.sources:
            self.spare.run(source)
        return self.spare


def bounded(value):
    """What came from a worker, with no text in it that is longer than a check needs."""
    if isinstance(value, str):
        return value[: runner.TEXT]
    if isinstance(value, dict):
        return {str(name): bounded(each) for name, each in value.items()}
    return [bounded(each) for each in value] if isinstance(value, list) else value


def question(outcome: Outcome, run: Run, seed: tuple[int, ...]) -> None:
    """Run a test cell here, where the student's names answer from the sandbox."""
    names = Names(run, seed)
    try:
        exec(compile(outcome.source, f"<{outcome.id}>", "exec"), {"__builtins__": builtins}, names)
    except CheckFailed as failed:
        outcome.message = str(failed)
    except WorkerError:
        raise
    except Exception as error:  # an answer that is no answer
        raise WorkerError(f"answered what it was not asked ({type(error).__name__})") from error
    else:
        outcome.points = outcome.maximum
        outcome.message = "\n".join(line for one in names.asked for line in one.told)
        outcome.seconds = next((one.seconds for one in names.asked if one.seconds), None)
