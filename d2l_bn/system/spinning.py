"""Threads that wait for each other by spinning, as long as no other program wants the cores.

GCC's OpenMP library lets a thread spin for milliseconds before it sleeps: to wake it takes as long
as a small loop. Where cores are shared, the one that spins keeps off the one that it waits for. A
fixed bound that suits a busy machine takes a third of the speed of an idle one. But the library
spins for a moment only where its teams together have more threads than there are cores. So, while
others want the cores, a thread of Python here leads a team that does nothing. No number changes.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
import time
from pathlib import Path

TASKS = Path("/proc/self/task")  # only Linux has it
# How many threads of this process could run and have no core, on average: 0.0 to 0.1 on two idle
# cores, 0.4 to 1.7 beside one, two or eight busy processes, whether the threads spin or not.
CROWDED = 0.25
SECONDS = {False: 0.2, True: 1.0}  # from one look to the next, by whether the cores are crowded


def spin_where_idle() -> None:
    """Watch, from now on and beside the program, whether others want the cores."""
    with contextlib.suppress(OSError):  # another OpenMP library, to which this says nothing
        ctypes.CDLL("libgomp.so.1")
        if TASKS.exists():
            _go_on(crowded=False)


def _go_on(*, crowded: bool) -> None:
    threading.Thread(target=_watch, args=(crowded,), daemon=True).start()


def _watch(crowded: bool) -> None:
    if crowded:
        team, nothing = len(os.sched_getaffinity(0)), ctypes.CDLL(None).abs
        ctypes.CDLL("libgomp.so.1").GOMP_parallel(nothing, None, team, 0)
    while (_waiting(SECONDS[crowded]) > CROWDED) == crowded:
        pass
    _go_on(crowded=not crowded)  # with this thread, its team ends


def _waiting(seconds: float) -> float:
    """How many threads of this process have no core, on average over the next `seconds`."""
    before = _waited()
    time.sleep(seconds)
    return (_waited() - before) / seconds


def _waited() -> float:
    """For how many seconds the threads of this process had no core, all together."""
    nanoseconds = 0
    for task in TASKS.iterdir():
        with contextlib.suppress(OSError, IndexError):  # it has ended, or the system doesn't count
            nanoseconds += int((task / "schedstat").read_text().split()[1])
    return nanoseconds / 1e9
