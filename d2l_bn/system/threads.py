"""How many threads the program computes with, and how they wait for each other.

MXNet takes half of the processors that it sees. On two cores a second thread trains LeNet faster,
but only if threads that wait go to sleep: by default they spin, and where another program wants
the same cores, a batch then takes ten times as long.
"""

from __future__ import annotations

import os
import sys

# Not more: two are what was measured, and the number of threads decides in which order sums are
# taken. So all machines with two cores or more end with the same numbers.
CHOICE = {"OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "passive"}
OF_THE_USER = (*CHOICE, "GOMP_SPINCOUNT", "MXNET_ENGINE_TYPE", "MXNET_OMP_MAX_THREADS")


def cores() -> int:
    """The processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def choose() -> None:
    """Start the program anew with `CHOICE`, unless the user has chosen, or there is one core.

    The library that runs the threads reads these variables when it is loaded, and importing
    d2l_bn has loaded it. For programs: an import chooses nothing.
    """
    if cores() > 1 and not _chosen():
        start = getattr(sys, "orig_argv", [sys.executable, "-m", "d2l_bn", *sys.argv[1:]])
        os.execve(sys.executable, [sys.executable, *start[1:]], {**os.environ, **CHOICE})


def describe() -> str:
    """How many threads train, and who has chosen so."""
    chosen = _chosen()
    if chosen:
        return ", ".join(f"{name}={os.environ[name]}" for name in chosen) + ", from the environment"
    if cores() == 1:
        return "1, since there is one core"
    return " ".join(f"{name}={value}" for name, value in CHOICE.items()) + ", chosen by the program"


def _chosen() -> list[str]:
    return [name for name in OF_THE_USER if name in os.environ]
