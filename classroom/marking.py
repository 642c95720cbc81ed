"""Marks one submission: its cells run in a worker, and the tests ask the worker from here.

A test cell is run in this process, with other inputs than in a notebook. A name in it that the
student defines stands for what answers under that name across the sandbox.
"""

from __future__ import annotations

import builtins
import contextlib
import hashlib
import time
from dataclasses import dataclass, field
from functools import partial
from typing import Callable, Optional

from classroom import runner
from classroom.isolation import Sandbox
from classroom.runner import Worker, WorkerError, in_words
from classroom.submission import Cell
from d2l_bn import checks
from d2l_bn.checks import CheckFailed
from d2l_bn.checks.asking import Respondent


@dataclass
class Marked:
    """What became of one submission."""

    status: str = "marked"  # or "look at by hand", "not marked" or "not handed in"
    notes: list[str] = field(default_factory=list)
    cells: list[Cell] = field(default_factory=list)
    reading: list[str] = field(default_factory=list)  # lines that a teacher may want to read
    again: bool = False  # whether it may end otherwise where nothing else runs

    def by_hand(self, note: str, status: str = "look at by hand") -> None:
        """Ask the teacher to look."""
        self.status = self.status if self.status == "not marked" else status
        self.notes.append(note)


class Across(Respondent):
    """Asks about one name across the sandbox, with inputs from a secret seed."""

    def __init__(self, run: Run, worker: Worker, name: str, seed: tuple[int, ...]) -> None:
        self.run, self.worker, self.name, self.seed = run, worker, name, seed
        self.clock = worker.cpu
        self.told: list[str] = []

    def ask(self, what: str, **request) -> dict:
        """Return the answer to a question."""
        answer = bounded(self.worker.ask(what, name=self.name, **request))
        if "error" in answer:
            answer["error"] = self.run.noticed(in_words(answer["error"]))
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
        self.asked.append(Across(self.run, self.run.alive(), name, self.seed))
        return self.asked[-1]


def seed_of(secret: str, *parts: str) -> tuple[int, ...]:
    """The numbers that inputs are drawn from, which nobody knows who doesn't know the secret."""
    digest = hashlib.sha256("\0".join((secret, *parts)).encode("utf-8", "replace")).digest()
    return tuple(digest)


def mark(
    cells: list[Cell],
    sandbox: Sandbox,
    *,
    seconds: float,
    memory: int,
    secret: str = "",
    mxnet: bool = True,
    alone: bool = True,
) -> Marked:
    """Run the cells of a submission in a sandbox; points for each test that passes.

    A function is asked in a new worker, unless all before it were right: whatever that did to its
    worker costs its own points. Unless it is `alone`, marking stops at what others may have caused.
    """
    marked = Marked(cells=cells)
    end = time.monotonic() + runner.longest(seconds)
    runs = any(cell.kind == "test" for cell in cells)
    start = partial(Worker, sandbox, seconds=seconds, memory=memory, mxnet=mxnet, end=end)
    with contextlib.closing(Run(start)) as run:
        for cell in cells:
            if (run.refused or marked.again) and not alone:
                break
            if cell.kind in ("written", "text") or not runs:
                continue
            if time.monotonic() > end:
                marked.by_hand(f"it took longer than {runner.WHOLE * seconds:g} seconds in all")
                cell.message, marked.again = "Not run: time was up before.", True
                continue
            try:
                if cell.asks:
                    run.turn_to(cell.asks)
                    question(cell, run, seed_of(secret, cell.id))
                else:
                    cell.output = run.cell(cell.source)
            except WorkerError as error:
                run.close()
                run.noticed({"kind": "the sandbox", "words": str(error)})
                cell.message = f"This cell {error}."
                marked.again = marked.again or error.again
                marked.by_hand(f"{cell.id or 'an added cell'} {error}")
            run.right = run.right and (cell.passed or not cell.asks)
    if run.refused:
        marked.again = True
        marked.by_hand(f"the machine refused: {run.refused[0]}", "not marked")
    return marked


class Run:
    """The cells of a submission that have run so far, in a worker, and in others like it."""

    def __init__(self, start: Callable[[], Worker]) -> None:
        self.start = start
        self.worker: Optional[Worker] = None
        self.spare: Optional[Worker] = None
        self.sources: list[str] = []  # of the cells that ended no worker
        self.refused: list[str] = []
        self.name, self.right = "", True  # which function is asked, and what its tests found

    def ask(self, what: str, **request) -> dict:
        """Ask the worker; one that ends is replaced before the next question."""
        try:
            return self.alive().ask(what, **request)
        except WorkerError:
            self.close()
            raise

    def alive(self) -> Worker:
        """The worker, which is started where there is none, and has run the cells so far."""
        if self.worker is None:
            self.worker = self._new()
        return self.worker

    def _new(self) -> Worker:
        worker = self.start()
        try:
            for source in self.sources:
                self.noticed(worker.run(source)["error"])
        except BaseException:
            worker.close()
            raise
        return worker

    def cell(self, source: str) -> str:
        """Run a cell; what it printed, and the exception that it ended with."""
        answer = self.alive().run(source)
        self.sources.append(source)
        if self.noticed(answer["error"]):
            return "{output}{error[kind]}: {error[words]}{error[where]}".format(**answer)
        return answer["output"]

    def noticed(self, error: Optional[dict]) -> Optional[dict]:
        """The same error, which is kept in mind if the machine refused something."""
        if error and runner.REFUSED.search("{kind}: {words}".format(**error)):
            self.refused.append("{kind}: {words}".format(**error)[:200])
        return error

    def turn_to(self, name: str) -> None:
        """Let another function than the last be asked in a new worker, unless all was right."""
        if name != self.name and not self.right:
            self.close()
            self.right = True
        self.name = name

    def another(self) -> Worker:
        """A new worker in which the same cells have run; it takes the place of an earlier one."""
        if self.spare is not None:
            self.spare.close()
        self.spare = self._new()
        return self.spare

    def close(self) -> None:
        """End all workers; others are started where they are needed."""
        for worker in filter(None, (self.worker, self.spare)):
            worker.close()
        self.worker = self.spare = None


def bounded(value):
    """What came from a worker, with no text in it that is longer than a check needs."""
    if isinstance(value, str):
        return value[: runner.TEXT]
    if isinstance(value, dict):
        return {str(name): bounded(each) for name, each in value.items()}
    return [bounded(each) for each in value] if isinstance(value, list) else value


def question(cell: Cell, run: Run, seed: tuple[int, ...]) -> None:
    """Run a test cell here, where the student's names answer from the sandbox."""
    names = Names(run, seed)
    try:
        exec(compile(cell.source, f"<{cell.id}>", "exec"), {"__builtins__": builtins}, names)
    except CheckFailed as failed:
        cell.message = str(failed)
    except WorkerError:
        raise
    except Exception as error:  # an answer that is no answer
        raise WorkerError(f"answered what it was not asked ({type(error).__name__})") from error
    else:
        cell.points = cell.maximum
        cell.message = "\n".join(line for one in names.asked for line in one.told)
        cell.seconds = next((one.seconds for one in names.asked if one.seconds), None)
