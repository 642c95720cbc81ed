"""Starts a worker in the sandbox and asks it to run cells, with limits on time and answers."""

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

from classroom.isolation import NoSandbox, environment

LONGEST = 100_000  # bytes of an answer; the worker cuts what it sends far below
WHOLE = 5  # times the seconds of a cell, for all cells of a submission
STARTING = 60  # seconds that a worker gets besides those of its first cell


def longest(seconds: float) -> int:
    """Seconds for all cells of a submission together, where one may take `seconds`."""
    return int(STARTING + WHOLE * seconds)


class WorkerError(Exception):
    """The worker ended, took too long, or answered what it wasn't asked."""


class Worker:
    """The parent's end of worker.py; use it in a ``with`` statement, which ends the sandbox."""

    def __init__(self, sandbox: NoSandbox, *, seconds: float, memory: int) -> None:
        self.seconds, self.buffer, self.first = seconds, b"", True
        self.sandbox, self.name = sandbox, f"d2l-bn-{secrets.token_hex(8)}"
        limits = {"WORKER_MB": str(memory), "WORKER_SECONDS": str(longest(seconds))}
        variables = {**environment(), **limits}
        self.process = subprocess.Popen(
            sandbox.command(self.name, variables),
            env=variables,
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
        self.sandbox.end(self.name)
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
