"""Threads that wait for each other by spinning, as long as no other program wants the cores.

GCC's OpenMP library lets a thread spin for some milliseconds before it sleeps: waking it takes as
long as a small loop does. Where cores are shared, the one that spins keeps the one that it waits
for from running. No fixed bound suits both: one that is short enough for a busy machine takes a
third of the speed of an idle one. The library spins a hundredth as long where its teams together
have more threads than there are cores. So, while others want the cores, a thread of Python here
holds a team that does nothing; the numbers computed don't change.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
import time
from pathlib import Path

TASKS = Path("/proc/self/task")  # only Linux has it
# How many threads of the process could run and have no core, on average: 0.0 to 0.1 on two idle
# cores, 0.4 to 1.7 beside one, two or eight busy processes, whether the threads spin or not.
CROWDED = 0.25
SECONDS = {False: 0.2, True: 1.0}  # from one look to the next, by whether the cores are crowded


def spin_where_idle() -> None:
    """Watch, from now on and beside the program, whether others want the cores."""
    with contextlib.suppress(OSError):  # another OpenMP library, which knows nothing of this
        openmp = ctypes.CDLL("libgomp.so.1")
        if TASKS.exists():
            _start(openmp, crowded=False)


def _start(openmp: ctypes.CDLL, *, crowded: bool) -> None:
    threading.Thread(target=_watch, args=(openmp, crowded), daemon=True).start()


def _watch(openmp: ctypes.CDLL, crowded: bool) -> None:
    if crowded:
        nothing = ctypes.CDLL(None).abs
        openmp.GOMP_parallel(nothing, None, len(os.sched_getaffinity(0)), 0)
    while (_waiting(SECONDS[crowded]) > CROWDED) == crowded:
        pass
    _start(openmp, crowded=not crowded)  # with this thread ends its team


def _waiting(seconds: float) -> float:
    """How many threads of this process waited for a core, on average over the next `seconds`."""
    before, start = _nanoseconds(), time.monotonic()
    time.sleep(seconds)
    return (_nanoseconds() - before) / 1e9 / (time.monotonic() - start)


def _nanoseconds() -> int:
    """How long the threads of this process have waited for a core, all together."""
    total = 0
    for task in TASKS.iterdir():
        with contextlib.suppress(OSError, IndexError):  # it has ended, or the system doesn't count
            total += int((task / "schedstat").read_text().split()[1])
    return total
