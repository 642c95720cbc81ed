"""How many threads the program computes with, and on which of MXNet's engines.

MXNet's default engine runs the operations in a thread of its own, beside Python, each with half of
the processors. NaiveEngine runs them in Python's thread; two OpenMP threads that wait for each
other's next loop by spinning then use two cores better. `make lenet` on two idle cores, examples a
second, medians of six epochs: 13,080 so, 9,815 with the default engine and one thread, 7,090 with
the default engine and two. Where another program wants one of only two cores, spinning costs: 2,700
against 8,600. Then ``OMP_NUM_THREADS=1`` in the environment is the better choice.
"""

from __future__ import annotations

import contextlib
import os

# The number of threads decides in which order sums are taken, so it is two however many there are:
# machines with the same kind of processor end with the same numbers.
CHOICE = {"MXNET_ENGINE_TYPE": "NaiveEngine", "OMP_NUM_THREADS": "2"}
# For one of several processes, which may have to share the cores of a machine.
CHOICE_OF_SEVERAL = {**CHOICE, "OMP_NUM_THREADS": "1"}
READ_BY_MXNET = (*CHOICE, "OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "MXNET_OMP_MAX_THREADS")


def cores() -> int:
    """The processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def choose() -> None:
    """Put `CHOICE` into the environment, unless the user has chosen, or there is one core.

    Ahead of MXNet: the library that runs its threads reads the variables when it is loaded.
    """
    if cores() > 1 and not chosen():
        os.environ.update(CHOICE)


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
    return [name for name in READ_BY_MXNET if name in os.environ]
