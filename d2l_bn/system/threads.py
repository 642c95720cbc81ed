"""How many threads the program computes with, and on which of MXNet's engines.

MXNet's default engine runs the operations in a thread of its own, beside Python, each with half of
the processors. NaiveEngine runs them in Python's thread; two OpenMP threads that wait for each
other's next loop by spinning then use two idle cores better, and `d2l_bn.system.spinning` ends the
spinning where cores are busy. `make bench ARGS=busy` has the numbers, book/speed.md shows them.
"""

from __future__ import annotations

import contextlib
import math
import os
import sys
from pathlib import Path
from typing import NoReturn

from d2l_bn.system.errors import InputError
from d2l_bn.system.spinning import spin_where_idle

ENGINES = ("NaiveEngine", "ThreadedEngine", "ThreadedEnginePerDevice")
COUNTS = ("OMP_NUM_THREADS", "MXNET_OMP_MAX_THREADS")
MOST = 1024  # with many thousands OpenMP crashes
# GCC's OpenMP library then spins as by itself, but not at all where it has more threads than there
# are cores, which `d2l_bn.system.spinning` sees to.
WAITING = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "300000"}
READ_BY_MXNET = ("MXNET_ENGINE_TYPE", *COUNTS, *WAITING)
LEFT_OUT = ("OMP_", "GOMP_", "MXNET_", "MKLDNN_", "DNNL_", "DMLC_", "OPENCV_", "TQDM_")  # others
GROUP = Path("/sys/fs/cgroup")  # in a container, its own
QUOTAS = (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"))  # cgroup v2, v1


def cores() -> int:
    """The processors that this process may use: by its affinity and the quota of its container."""
    pins = hasattr(os, "sched_getaffinity")
    allowed = len(os.sched_getaffinity(0)) if pins else os.cpu_count() or 1
    return max(1, int(min(allowed, _quota())))


def choice(most: int = 2) -> dict[str, str]:
    """The variables that MXNet gets from the program: those that the user has not set.

    Parameters
    ----------
    most : int
        Threads. Their number decides in which order sums are taken, so it is two however many cores
        there are: machines with the same kind of processor end with the same numbers. One of
        several processes takes one, since they may have to share the cores of a machine.

    Raises
    ------
    InputError
        For a variable of the user's with which MXNet would end at its import.
    """
    for name in COUNTS:
        value = os.environ.get(name, "1")
        if not (value.isascii() and value.isdecimal() and 0 < int(value) <= MOST):
            _refuse(name, f"one whole number from 1 to {MOST}")
    if os.environ.get("MXNET_ENGINE_TYPE", ENGINES[0]) not in ENGINES:
        _refuse("MXNET_ENGINE_TYPE", f"one of {', '.join(ENGINES)}")
    wanted = {"MXNET_ENGINE_TYPE": ENGINES[0], "OMP_NUM_THREADS": str(min(most, cores()))}
    if sys.platform == "linux" and not WAITING.keys() & os.environ.keys():
        wanted |= WAITING
    return {name: value for name, value in wanted.items() if name not in os.environ}


def start_engine() -> None:
    """Start MXNet's engine, without the line on stderr that it has for each but its default."""
    from mxnet import nd  # here, since the rest comes ahead of MXNet

    with contextlib.suppress(OSError), open(os.devnull, "w") as nothing:  # stderr may be closed
        stderr = os.dup(2)
        try:
            os.dup2(nothing.fileno(), 2)
            nd.waitall()  # the first call that needs an engine starts it
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
    threads = int(os.environ.get("OMP_NUM_THREADS", "1"))
    if threads > 1 and WAITING.items() <= os.environ.items():
        spin_where_idle(threads)


def describe() -> str:
    """Engine and threads of a command that computes, and who has chosen which."""
    ours = [f"{name}={value}" for name, value in choice().items()]
    users = [f"{name}={os.environ[name]}" for name in READ_BY_MXNET if name in os.environ]
    by = {"chosen by the program": ours, "from the environment": users}
    return "; ".join(f"{' '.join(texts)}, {who}" for who, texts in by.items() if texts)


def _quota() -> float:
    """For how many cores a container leaves its processes time, or inf."""
    for names in QUOTAS:
        with contextlib.suppress(OSError, ValueError):  # "max": there is no quota
            quota, period = " ".join((GROUP / name).read_text() for name in names).split()
            return int(quota) / int(period) if int(quota) > 0 else math.inf
    return math.inf


def _refuse(name: str, rule: str) -> NoReturn:
    raise InputError(f"{name} must be {rule}, got {os.environ[name]!r}: correct it, or unset it")
