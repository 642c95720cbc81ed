"""Threads that wait for each other by spinning, as long as no other program wants the cores.

GCC's OpenMP library lets a thread spin for milliseconds before it sleeps: to wake it takes as long
as a small loop. Where cores are shared, the one that spins keeps off the one that it waits for. A
fixed bound that suits a busy machine takes a third of the speed of an idle one. But the library
doesn't spin (`threads.WAITING`) where its teams together have more threads than there are cores.
So, while others want the cores, a thread of Python here leads a team that does nothing, and the
threads keep to one core: in turns they use what they get of it, where on two one waits until the
other has its turn. No number changes.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
import time
from pathlib import Path

STAT = Path("/proc/stat")  # only Linux has it
SECONDS = 0.12  # from one look to the next; the system counts in hundredths
# How much of a core others may take of those that the threads need: 0.0 to 0.1 is taken on two idle
# cores, at least 0.5 beside one busy process, whether the threads spin or not.
MARGIN = 0.4


def spin_where_idle(threads: int) -> None:
    """Watch, from now on and beside the program, whether others want the cores of its threads."""
    with contextlib.suppress(OSError):  # another OpenMP library, to which this says nothing
        ctypes.CDLL("libgomp.so.1")
        cores = sorted(os.sched_getaffinity(0))
        if STAT.exists() and len(cores) > 1:  # on one core the library never spins for long
            _go_on(min(threads, len(cores)), cores, crowded=False)


def _go_on(needed: int, cores: list[int], *, crowded: bool) -> None:
    if _can_start(len(cores) if crowded else 1):
        threading.Thread(target=_watch, args=(needed, cores, crowded), daemon=True).start()
    else:
        _keep_to(cores)


def _can_start(threads: int) -> bool:
    """Whether the system lets as many threads start. OpenMP's library ends the program if not."""
    go = threading.Event()
    trial = [threading.Thread(target=go.wait, daemon=True) for _ in range(threads)]
    with contextlib.suppress(RuntimeError):
        for thread in trial:
            thread.start()
    started = [thread for thread in trial if thread.ident]
    go.set()
    for thread in started:
        thread.join()
    return len(started) == threads


def _watch(needed: int, cores: list[int], crowded: bool) -> None:
    if crowded:
        nothing = ctypes.CDLL(None).abs
        ctypes.CDLL("libgomp.so.1").GOMP_parallel(nothing, None, len(cores), 0)
    while True:
        own, idle = _look(cores)
        idlest = max(cores, key=lambda core: idle[core])
        if (own + sum(idle.values()) < needed - MARGIN) != crowded:
            break
        if crowded and needed == 2 and idle[idlest] > 1 - MARGIN:
            _keep_to([idlest])  # another program keeps to the same core, as if it were this one
    _keep_to(cores if crowded or needed > 2 else [idlest])  # with more, one may have too little
    _go_on(needed, cores, crowded=not crowded)  # with this thread, its team ends


def _keep_to(cores: list[int]) -> None:
    """Let all threads of this process run on these cores alone."""
    for task in os.listdir("/proc/self/task"):
        with contextlib.suppress(ProcessLookupError):  # it has ended
            os.sched_setaffinity(int(task), cores)


def _look(cores: list[int]) -> tuple[float, dict[int, float]]:
    """How much this process works over the next moment, and how idle each core is (in cores)."""
    start, own, before = time.monotonic(), time.process_time(), _idle(cores)
    time.sleep(SECONDS)
    seconds = time.monotonic() - start
    idle = {core: (after - before[core]) / seconds for core, after in _idle(cores).items()}
    return (time.process_time() - own) / seconds, idle


def _idle(cores: list[int]) -> dict[int, float]:
    """Seconds for which each of the cores has had nothing to do."""
    times = {name: rest for name, *rest in map(str.split, STAT.read_text().splitlines())}
    tick = os.sysconf("SC_CLK_TCK")
    return {core: sum(map(int, times[f"cpu{core}"][3:5])) / tick for core in cores}
