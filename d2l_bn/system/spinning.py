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
import platform
import struct
import threading
import time
from pathlib import Path

STAT = Path("/proc/stat")  # only Linux has it
SECONDS = 0.12  # from one look to the next; the system counts in hundredths
# How much of a core others may take of those that the threads need: 0.0 to 0.1 is taken on two idle
# cores, at least 0.5 beside one busy process, whether the threads spin or not.
MARGIN = 0.4
TURN = 100_000  # nanoseconds, the shortest that Linux grants; its own choice is a millisecond or so
SCHED_SETATTR = {"x86_64": 314, "aarch64": 274}  # Linux's number of this call, which C's lacks


def spin_where_idle(threads: int) -> None:
    """Watch, from now on and beside the program, whether others want the cores of its threads."""
    with contextlib.suppress(OSError):  # another OpenMP library, to which this says nothing
        ctypes.CDLL("libgomp.so.1")
        if STAT.exists():
            _take_short_turns()
            _go_on(min(threads, len(os.sched_getaffinity(0))), crowded=False)


def _take_short_turns() -> None:
    """Ask for short turns on a core, which come the sooner; their sum stays the same.

    Beside other programs, a thread then has its core soon after the one that it waited for is done.
    Linux listens from 6.12 on.
    """
    number = SCHED_SETATTR.get(platform.machine())
    if number is None or os.sched_getscheduler(0) != os.SCHED_OTHER:
        return
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    attributes = struct.pack("IIQiIQQQ", 48, os.SCHED_OTHER, 0, nice, 0, TURN, 0, 0)
    for task in os.listdir("/proc/self/task"):  # threads to come inherit it
        ctypes.CDLL(None).syscall(number, int(task), attributes, 0)


def _go_on(needed: int, *, crowded: bool) -> None:
    threading.Thread(target=_watch, args=(needed, crowded), daemon=True).start()


def _watch(needed: int, crowded: bool) -> None:
    if crowded:
        team, nothing = len(os.sched_getaffinity(0)), ctypes.CDLL(None).abs
        ctypes.CDLL("libgomp.so.1").GOMP_parallel(nothing, None, team, 0)
    while (_free_cores() < needed - MARGIN) == crowded:
        pass
    _go_on(needed, crowded=not crowded)  # with this thread, its team ends


def _free_cores() -> float:
    """How many cores this process has, or could have, on average over the next moment."""
    start, before = time.monotonic(), _free()
    time.sleep(SECONDS)
    return (_free() - before) / (time.monotonic() - start)


def _free() -> float:
    """Seconds for which the cores that this process may use worked for it, or were idle."""
    names = {f"cpu{number}" for number in os.sched_getaffinity(0)}
    lines = (line.split() for line in STAT.read_text().splitlines())
    idle = sum(int(line[4]) + int(line[5]) for line in lines if line[0] in names)
    return time.process_time() + idle / os.sysconf("SC_CLK_TCK")
