"""Starts a worker in the sandbox and asks it, with limits on all that it takes and answers."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import select
import signal
import subprocess
import time
from pathlib import Path
from typing import IO, NoReturn, Optional

from classroom.isolation import PROCESSES, Sandbox, environment
from d2l_bn.checks.plain import dumps, loads

LONGEST, MOST = 30_000_000, 1_000_000  # bytes of an answer, and parts of it
TEXT = 500  # characters of a text in it
OUTPUT = 4000  # characters of what a cell prints
WHOLE = 5  # times the seconds of a cell, for all cells of a submission
STARTING = 60  # seconds that a worker gets besides those of its first cell
PAUSE = 0.25  # seconds from one look at the processes to the next
SHORT = 0.04  # the share of the machine's memory that is left for others
REFUSED = re.compile(
    r"MemoryError|BlockingIOError|annot allocate|start new thread|temporarily unavailable|"
    r"bad_alloc|Too many open files|can't be started|ran short of memory"
)


def longest(seconds: float) -> int:
    """Seconds for all cells of a submission together, where one may take `seconds`."""
    return int(STARTING + WHOLE * seconds)


def in_words(error: object) -> dict[str, str]:
    """An exception as a worker tells it, each part in one line: it is quoted among other words."""
    told = error if isinstance(error, dict) else {}
    texts = (str(told.get(name, "")) for name in ("kind", "words", "where"))
    kind, words, where = (" ".join(text[:TEXT].split()) for text in texts)
    return {"kind": kind, "words": words, "where": f"\n  {where}" if where else ""}


def _stat(folder: Path) -> list[str]:
    """What the system says of a process, or a thread, behind its name."""
    return (folder / "stat").read_text(errors="replace").rsplit(")", 1)[1].split()


class WorkerError(Exception):
    """The worker ended, took too much or answered otherwise; `again`: maybe by another's doing."""

    def __init__(self, words: str, again: bool = False) -> None:
        super().__init__(words)
        self.again = again


def _ready(pipe: IO[bytes], event: int, seconds: float) -> int:
    """Wait until a pipe can be used, or has ended; what `select` calls that, 0 if time is up."""
    poll = select.poll()
    poll.register(pipe, event)
    return sum(found for _, found in poll.poll(1000 * seconds))


class Worker:
    """The teacher's end of the pipe to worker.py."""

    def __init__(
        self,
        sandbox: Sandbox,
        *,
        seconds: float,
        memory: int,
        mxnet: bool = True,
        end: float = float("inf"),
    ) -> None:
        self.seconds, self.memory, self.buffer, self.first = seconds, memory, b"", True
        self.end = end  # of all that is asked, by the clock time.monotonic
        self.looked, self.answered = 0.0, False
        self.began: Optional[tuple[float, float]] = None  # when first looked at, and its time
        try:
            self.process = subprocess.Popen(
                sandbox.command(mxnet=mxnet),
                env=environment(sandbox, memory=memory, seconds=longest(seconds)),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                cwd="/tmp",
            )
        except OSError as error:
            raise WorkerError(f"can't be started ({error})", again=True) from error
        assert self.process.stdin and self.process.stdout
        self.pipes = self.process.stdin, self.process.stdout
        os.set_blocking(self.pipes[0].fileno(), False)  # a write never waits

    def close(self) -> None:
        """End the sandbox, and all that is in it."""
        if self.process.returncode is not None:  # the number may be another process's by now
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)  # with the sandbox dies all that is in it
        self.process.wait()
        for pipe in self.pipes:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()

    def ask(self, what: str, **request) -> dict:
        """Send a request; the worker's answer, of which nothing is sure but that it is data."""
        token = secrets.token_hex(16)
        seconds = self.seconds + (STARTING if self.first else 0)
        limit = min(time.monotonic() + seconds, self.end)
        self.first, self.began = False, None
        try:
            if self.buffer or _ready(self.pipes[1], select.POLLIN, 0) & select.POLLIN:
                raise ValueError
            self._send(dumps({"token": token, "what": what, **request}).encode() + b"\n", limit)
            line = self._line(limit)
            if sum(map(line.count, (b"[", b"{", b","))) > MOST:  # some take fifty times their bytes
                raise ValueError
            answer = loads(line)
            if not isinstance(answer, dict) or answer.pop("token", None) != token:
                raise ValueError
        except BrokenPipeError as error:
            self._ended(error)
        except ValueError as error:
            raise WorkerError("answered what it was not asked") from error
        self.answered = True
        if time.monotonic() - self.looked > PAUSE:
            self._tree()
        return answer

    def run(self, source: str) -> dict:
        """Run a cell; its error, or None, and its output."""
        answer = self.ask("run", source=source)
        error, output = answer.get("error"), str(answer.get("output"))[:OUTPUT]
        return {"error": None if error is None else in_words(error), "output": output}

    def _send(self, data: bytes, limit: float) -> None:
        left = memoryview(data)  # megabytes, not to be copied
        while left:  # it may never be emptied
            wait = limit - time.monotonic()
            if wait <= 0 or not _ready(self.pipes[0], select.POLLOUT, wait):
                self._late()
            with contextlib.suppress(BlockingIOError):  # the reader may make the pipe smaller
                left = left[os.write(self.pipes[0].fileno(), left) :]

    def _line(self, limit: float) -> bytes:
        parts, total = [self.buffer], 0
        while b"\n" not in parts[-1]:
            left = limit - time.monotonic()
            if left <= 0:
                self._late()
            if not _ready(self.pipes[1], select.POLLIN, min(left, PAUSE)):
                self._tree()
                continue
            parts.append(os.read(self.pipes[1].fileno(), 2**20))
            if not parts[-1]:
                self._ended()
            total += len(parts[-1])
            if total > LONGEST:
                raise ValueError
        line, self.buffer = b"".join(parts).split(b"\n", 1)
        return line

    def _ended(self, error: Optional[OSError] = None) -> NoReturn:
        """Say that it ended: where by a signal, or before it began, that may be the machine's."""
        time.sleep(PAUSE)  # its pipe ends a moment before
        how = os.WEXITED | os.WNOHANG | os.WNOWAIT  # the number is still its own, for close()
        found = os.waitid(os.P_PID, self.process.pid, how)
        killed = found and (found.si_code != os.CLD_EXITED or found.si_status > 128)
        raise WorkerError("ended the process", again=bool(killed) or not self.answered) from error

    def _late(self) -> NoReturn:
        """Say that time is up; who got little of a processor's may have waited for others."""
        since, used = self.began or (0.0, 0.0)
        waited = self.cpu() - used < (time.monotonic() - since) / 2
        most = f"{self.seconds:g} seconds"
        if time.monotonic() >= self.end:
            most = f"{WHOLE * self.seconds:g} seconds in all"
        raise WorkerError(f"took longer than {most}", again=waited)

    def cpu(self) -> float:
        """Seconds of processors' time that all processes of the sandbox have had together."""
        return sum(sum(map(int, each[11:15])) for each in self._below()) / os.sysconf("SC_CLK_TCK")

    def _below(self) -> list[list[str]]:
        """What the system says of each process below the sandbox, the sandbox itself first."""
        found: dict[str, list[str]] = {}
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError, IndexError):
                found[folder.name] = fields = _stat(folder)
                if fields[0] == "Z":  # the first of its threads has ended, and shows no memory
                    tasks = (_stat(each)[21] for each in folder.glob("task/*"))
                    fields[21] = max(tasks, key=int, default="0")
        below = [str(self.process.pid)]
        for parent in below:
            below += [name for name, fields in found.items() if fields[1] == parent]
        return [found[name] for name in below if name in found]

    def _tree(self) -> None:
        """Look at all processes below the sandbox: their number, and their memory together."""
        self.looked, below = time.monotonic(), self._below()
        self.began = self.began or (self.looked, self.cpu())
        if len(below) > PROCESSES + 4:
            raise WorkerError(f"had more than {PROCESSES} processes")
        pages = sum(int(fields[21]) for fields in below[1:])
        if pages * os.sysconf("SC_PAGE_SIZE") > self.memory * 2**20:
            raise WorkerError(f"took more than {self.memory:,} MB, all its processes together")
        lines = Path("/proc/meminfo").read_text().splitlines()
        memory = {name: int(rest.split()[0]) for name, rest in (line.split(":") for line in lines)}
        if memory["MemAvailable"] < SHORT * memory["MemTotal"]:
            raise WorkerError("was ended, since the machine ran short of memory", again=True)
