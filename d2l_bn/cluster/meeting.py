"""The start and the end of a job: processes meet, compare what they are about to do, and part."""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from d2l_bn.cluster.heartbeat import Heartbeat
from d2l_bn.cluster.launched import here, launched, machine, tell_supervisor
from d2l_bn.cluster.processes import Processes
from d2l_bn.nn.group import Group, OneProcess
from d2l_bn.system.errors import InputError, RunError

MEETING = "D2L_BN_MEETING"  # the variable with the seconds in which all have to be there
SHARED = "/dev/shm"
SHARED_BY_EACH = 5.5  # MB; measured: 5.3 for each of 2, 4 and 8 processes
OLD = 3600  # seconds: its job has met long ago, or has ended
LARGE = 45_000  # numbers in the larger test sum, as many as LeNet has parameters


@contextlib.contextmanager
def joined() -> Iterator[Group]:
    """Meet the processes that were launched together, and part from them at the end.

    An exception ends without parting: the process then has to leave with an exit code that is not
    zero, and the launcher ends the others. InputError if MPI is not installed, or is not that of
    the launcher, if the time to wait is no number of seconds, or for too little shared memory;
    RunError if the sum of known numbers is wrong.
    """
    place = launched()
    if place is None:
        yield OneProcess()
        return
    within = _seconds(os.environ.get(MEETING, "25"))
    waiting = f"waited {within:g} s for the other processes: one didn't start, or was stopped"
    advice = f"Start again; where starting takes longer, set {MEETING} to more seconds"
    tell_supervisor(within=within, doing=waiting, advice=advice)
    _sweep_shared_memory()
    _require_shared_memory()
    MPI = _mpi()
    world = MPI.COMM_WORLD
    if (world.rank, world.size) != place:
        raise InputError(
            f"the launcher has started {place.size} processes, and MPI sees {world.size}: it "
            "belongs to another MPI. Use the mpiexec beside this Python"
        )
    processes = Processes(world.Dup())
    check_sums(processes)
    _unlink_shared_memory()  # now all have it: what is left of it ends with them, however they end
    processes.machines = processes.gather(machine())
    own = f"rank {processes.rank} (process {os.getpid()} on {machine()})"
    heartbeat = Heartbeat(processes, processes.gather(own))
    heartbeat.start()
    tell_supervisor(within=None)
    try:
        yield processes
    except BaseException:
        with contextlib.suppress(Exception):  # what has failed may be MPI
            heartbeat.leave()
        raise
    processes.wait_for_all()
    heartbeat.stop()
    MPI.Finalize()


def _seconds(text: str) -> float:
    with contextlib.suppress(ValueError):
        if 0 < float(text) < math.inf:
            return float(text)
    raise InputError(f"{MEETING} must be a number of seconds above 0, got {text!r}")


def _sweep_shared_memory() -> None:
    """Remove what this user's jobs have left whose processes never met."""
    for path in Path(SHARED).glob("mpich_shm_*"):
        with contextlib.suppress(OSError):
            state = path.lstat()
            if state.st_uid == os.getuid() and time.time() - state.st_mtime > OLD:
                path.unlink()


def _require_shared_memory() -> None:
    """Refuse a machine on which MPI would die of SIGBUS."""
    with contextlib.suppress(OSError):  # where there is no such folder MPI takes another way
        room = os.statvfs(SHARED)
        there = room.f_blocks * room.f_frsize / 1e6 * os.access(SHARED, os.W_OK)
        needed = here() * SHARED_BY_EACH
        if there < needed:
            raise InputError(
                f"{here()} processes need {needed:.0f} MB of shared memory, and {SHARED} has "
                f"{there:.0f} MB to write in: docker run --shm-size={needed:.0f}m, or fewer"
            )


def _unlink_shared_memory() -> None:
    """Remove the name of MPICH's memory; UCX removes those of its own."""
    with contextlib.suppress(OSError):  # where the system has no such file
        lines = Path("/proc/self/maps").read_text().splitlines()
        for path in {line.split()[-1] for line in lines if f"{SHARED}/mpich_shm_" in line}:
            Path(path).unlink(missing_ok=True)


def _mpi() -> Any:
    try:
        import mpi4py

        mpi4py.rc.finalize = False  # it would wait for processes that have failed
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"several processes need MPI, which can't be imported ({reason}): install the extra "
            "`cluster`, or use make lenet-cluster"
        ) from error
    if MPI.Query_thread() < MPI.THREAD_MULTIPLE:
        raise InputError("MPI must let several threads speak (MPI_THREAD_MULTIPLE), and doesn't")
    return MPI


def check_sums(processes: Group) -> None:
    """Raise RunError if the sum of known numbers is wrong."""
    for count, dtype in ((1, np.float64), (33, np.float64), (LARGE, np.float32)):
        steps: Any = (np.arange(count) % 100).astype(dtype)
        received = processes.total((processes.rank + 1) * steps)
        expected = processes.size * (processes.size + 1) / 2 * steps
        if not np.array_equal(received, expected):
            wrong = int((received != expected).sum())
            raise RunError(
                f"the sum of known numbers over {processes.size} processes must be exact, and "
                f"{wrong} of {count} numbers are wrong: MPI or the network doesn't work here"
            )
