"""What several processes do together: add arrays, compare texts, hand out a file."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any, Optional

import numpy as np

from d2l_bn.cluster.launched import machine, tell_supervisor
from d2l_bn.system.errors import RunError

LONGEST = 600  # seconds in one exchange, while all processes still answer
BUSY = 200e-6  # seconds of asking without a pause; afterwards the core is left to the others
# Then it asks again after a fiftieth of the time it has waited, within these bounds: MPI goes on
# only when it is asked, so each round of an exchange pays a pause.
PAUSES = 20e-6, 1e-3
CYCLE = 1024  # the numbers of exchanges start again: with 4,096 processes float32 holds their sum


class Processes:
    """The processes that share a communicator of MPI.

    Each sum carries the number of the exchange, so that two that don't belong together are noticed.
    MPI waits by asking without a pause, which takes the core from a process that still computes:
    we ask ourselves, and pause.
    """

    def __init__(self, comm: Any, failed: Optional[list[Exception]] = None) -> None:
        self.comm = comm  # of MPI, for this object alone
        self.rank = comm.rank
        self.size = comm.size
        self.machines: Sequence[str] = ()
        self.advice = ""  # what to do when the job ends early
        self.failed = [] if failed is None else failed  # what could not be raised, of all channels
        self._number = 0

    def channel(self) -> Processes:
        """A communicator of its own, so that MXNet may call backward in any order."""
        return Processes(self.comm.Dup(), self.failed)

    def total(self, values: np.ndarray) -> np.ndarray:
        """The sum over all processes, in the type of `values`.

        RunError if they are not at the same exchange, or weren't in backward.
        """
        if self.failed:
            raise self.failed[-1]
        self._number = self._number % CYCLE + 1
        sent = np.concatenate([[1, self._number], values.ravel()]).astype(values.dtype)
        received = np.empty_like(sent)
        self._wait(self.comm.Iallreduce(sent, received))
        if tuple(received[:2]) != (self.size, self.size * self._number):
            raise RunError(
                f"all processes must be at the same exchange: {self.size} of them should add up to "
                f"{self.size} and {self.size * self._number}, got {received[0]:g} and "
                f"{received[1]:g}. The result would be wrong; {self.advice or 'start again'}"
            )
        return received[2:].reshape(values.shape)

    def total_in_backward(self, values: np.ndarray) -> np.ndarray:
        """The same where MXNet calls: an error is kept for the next `total`."""
        try:
            return self.total(values)
        except Exception as error:
            self.failed.append(error)
            return values

    def gather(self, text: str) -> list[str]:
        """The text of each process, by rank."""
        content = text.encode()
        lengths = np.empty(self.size, np.int64)
        self._wait(self.comm.Iallgather(np.array([len(content)], np.int64), lengths))
        longest = max(int(lengths.max()), 1)
        padded = np.frombuffer(content.ljust(longest, b"\0"), np.uint8).copy()
        received = np.empty((self.size, longest), np.uint8)
        self._wait(self.comm.Iallgather(padded, received))
        return [row[:n].tobytes().decode() for row, n in zip(received, lengths)]

    def broadcast(self, content: Optional[bytes]) -> Optional[bytes]:
        """The bytes of process 0, or None if it has none."""
        length = np.array([-1 if content is None else len(content)], np.int64)
        self._wait(self.comm.Ibcast(length, root=0))
        if length[0] < 0:
            return None
        buffer = np.empty(int(length[0]), np.uint8)
        if self.rank == 0 and content is not None:
            buffer[:] = np.frombuffer(content, np.uint8)
        self._wait(self.comm.Ibcast(buffer, root=0))
        return buffer.tobytes()

    def compare(self, what: str, value: str) -> None:
        """Raise RunError, in every process, where one has another value than process 0."""
        first, *others = self.gather(value)
        for rank, other in enumerate(others, 1):
            if other != first:
                raise RunError(
                    f"{what} must be the same in all processes: rank {rank} has {other}, rank 0 "
                    f"{first}. {self.advice}"
                )

    def advise(self, advice: str) -> None:
        """Keep what is to be said if a process ends early, and tell this one's supervisor."""
        self.advice = advice
        tell_supervisor(advice=advice)

    def wait_for_all(self) -> None:
        """Return when all processes have come here."""
        self._wait(self.comm.Ibarrier())

    def _wait(self, request: Any) -> None:
        start = time.perf_counter()
        while not request.Test():
            waited = time.perf_counter() - start
            if waited > LONGEST:
                raise RunError(
                    f"rank {self.rank} on {machine()} waited {LONGEST} s for the others "
                    f"in one exchange, though all answer. {self.advice}"
                )
            if waited < BUSY:
                os.sched_yield()
            else:
                time.sleep(min(max(PAUSES[0], waited / 50), PAUSES[1]))
