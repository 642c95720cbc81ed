"""How many threads the program computes with.

MXNet takes half of the processors that it sees. On two idle cores its engine and Python already
work side by side: one thread trained 9,061 examples a second, two that sleep while they wait 6,012.
NaiveEngine with two that spin reached 11,563, but where another program wants the same cores, it
took several times as long. (One epoch each; the last with other programs running.)
"""

from __future__ import annotations

import os
import sys

# The number of threads decides in which order sums are taken. With one, all machines that have the
# same kind of processor end with the same numbers.
CHOICE = {"OMP_NUM_THREADS": "1"}
OF_THE_USER = (
    *CHOICE,
    "OMP_WAIT_POLICY",
    "GOMP_SPINCOUNT",
    "MXNET_ENGINE_TYPE",
    "MXNET_OMP_MAX_THREADS",
)


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
    if cores() > 1 and not chosen():
        start = getattr(sys, "orig_argv", [sys.executable, "-m", "d2l_bn", *sys.argv[1:]])
        os.execve(sys.executable, [sys.executable, *start[1:]], {**os.environ, **CHOICE})


def describe() -> str:
    """How many threads train, and who has chosen so."""
    names = chosen()
    if names:
        return ", ".join(f"{name}={os.environ[name]}" for name in names) + ", from the environment"
    if cores() == 1:
        return "1, since there is one core"
    return " ".join(f"{name}={value}" for name, value in CHOICE.items()) + ", chosen by the program"


def chosen() -> list[str]:
    """The variables of the environment by which the user has chosen."""
    return [name for name in OF_THE_USER if name in os.environ]
