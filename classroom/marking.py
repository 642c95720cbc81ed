"""Marks one submission: runs its cells in a worker and gives points for the tests that pass."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import select
import selectors
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field

from classroom.isolation import environment
from classroom.submission import Cell, runnable

LONGEST = 100_000  # bytes of an answer; the worker cuts what it sends far below
WHOLE = 5  # times the seconds of a cell, for all cells of a submission
STARTING = 60  # seconds that a worker gets besides those of its first cell
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


class WorkerError(Exception):
    """The worker ended, took too long, or answered what it wasn't asked."""


class Worker:
    """The parent's end of worker.py; use it in a ``with`` statement, which ends the sandbox."""

    def __init__(self, command: list[str], *, seconds: float, memory: int) -> None:
        self.seconds, self.buffer, self.first = seconds, b"", True
        self.process = subprocess.Popen(
            command,
            env={**environment(), "WORKER_MB": str(memory)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/tmp",
        )

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *error: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)  # with the sandbox dies all that is in it
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()  # type: ignore[union-attr]

    def run(self, source: str, *, test: bool) -> dict:
        """Run a cell; the worker's answer."""
        assert self.process.stdin is not None
        token = secrets.token_hex(16)
        request = json.dumps({"token": token, "source": source, "test": test})
        limit = time.monotonic() + self.seconds + (STARTING if self.first else 0)
        self.first = False
        try:
            if self.buffer or self._ready(0):
                raise WorkerError("answered what it was not asked")
            self._send(request.encode() + b"\n", limit)
        except BrokenPipeError as error:
            raise WorkerError("ended the process") from error
        try:
            answer = json.loads(self._line(limit))
            if answer.pop("token") != token or set(answer) != {"error", "message", "output"}:
                raise ValueError
            return {name: str(text) for name, text in answer.items()}
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise WorkerError("answered what it was not asked") from error

    def _send(self, data: bytes, limit: float) -> None:
        assert self.process.stdin is not None
        pipe = self.process.stdin.fileno()
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, selectors.EVENT_WRITE)
            while data:  # as much as a ready pipe takes: it may never be emptied
                if not selector.select(max(0, limit - time.monotonic())):
                    raise WorkerError(f"took longer than {self.seconds:g} seconds")
                data = data[os.write(pipe, data[: select.PIPE_BUF]) :]

    def _line(self, limit: float) -> bytes:
        assert self.process.stdout is not None
        while b"\n" not in self.buffer:
            if not self._ready(max(0, limit - time.monotonic())):
                raise WorkerError(f"took longer than {self.seconds:g} seconds")
            part = os.read(self.process.stdout.fileno(), 65536)
            if not part:
                raise WorkerError("ended the process")
            self.buffer += part
            if len(self.buffer) > LONGEST:
                raise WorkerError("answered what it was not asked")
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line

    def _ready(self, seconds: float) -> bool:
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)  # type: ignore[arg-type]
            return bool(selector.select(seconds))


def mark(cells: list[Cell], command: list[str], *, seconds: float, memory: int) -> Marked:
    """Run the cells of a submission in a new worker; points for each test that passes.

    A test is sent to the worker when its turn comes, so that answers have run before they could
    see it. Points are lost, and a person is asked to look, where the worker ends early.
    """
    marked = Marked()
    secret = hidden_lines(cells)
    end = time.monotonic() + STARTING + WHOLE * seconds
    runs = any(cell.kind == "test" for cell in cells)
    with Worker(command, seconds=seconds, memory=memory) as worker:
        for cell in cells:
            outcome = Outcome(cell.id, cell.kind, cell.source, maximum=cell.points)
            marked.cells.append(outcome)
            if cell.kind == "test":
                outcome.source = cell.source.split(HIDDEN)[0].rstrip()
            if cell.kind == "written" or not runs or marked.status != "marked":
                continue
            if time.monotonic() > end:
                marked.by_hand(f"it took longer than {WHOLE * seconds:g} seconds in all")
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
        marked.by_hand("it calls a ready-made normalization")
    return marked


def hidden_lines(cells: list[Cell]) -> list[str]:
    """The lines of hidden tests that would give something away."""
    hidden = [cell.source.split(HIDDEN)[1] for cell in cells if HIDDEN in cell.source]
    lines = (line.strip() for text in hidden for line in text.splitlines())
    return [line for line in lines if len(line) > 20 and not line.startswith(("from ", "import "))]


def withheld(text: str, secret: list[str]) -> str:
    """`text`, without lines that quote a hidden test."""

    def kept(lines: list[str]) -> Iterator[str]:
        for line in lines:
            yield "(withheld)" if any(quoted in line for quoted in secret) else line

    return "\n".join(kept(text.splitlines()))
