"""What a launcher has told this process: its rank, how many there are, and on which machines."""

from __future__ import annotations

import itertools
import json
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Optional

# MPICH's mpiexec and Slurm's PMI; Open MPI's mpiexec; srun with another interface.
NAMES = (
    ("PMI_RANK", "PMI_SIZE"),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS"),
)
MACHINE = ("PMI_HOSTNAME", "SLURMD_NODENAME")
OF_MPIEXEC = ("MPI_LOCALNRANKS", "OMPI_COMM_WORLD_SIZE")  # what srun doesn't set, and mpiexec does
# How MPICH's processes reach each other. Its default, UCX, hands addresses to Slurm's pmi2 that
# arrive cut off (Slurm 22.05, two nodes): "value not properly terminated in client request".
NETMOD = "MPIR_CVAR_CH4_NETMOD"
# Where all processes are on one machine they need no network, and so open no ports.
ON_ONE_MACHINE = {"UCX_TLS": os.environ.get("UCX_TLS", "self,sm")}
SUPERVISOR = "D2L_BN_SUPERVISOR"  # the descriptor on which this process can speak to its supervisor


class Launched(NamedTuple):
    """The place of a process among those that were started together."""

    rank: int
    size: int


def launched(environment: Optional[Mapping[str, str]] = None) -> Optional[Launched]:
    """The place of this process, or None where it was started by itself."""
    environment = os.environ if environment is None else environment
    for rank, size in NAMES:
        numbers = environment.get(rank, ""), environment.get(size, "")
        if all(number.isdigit() for number in numbers):
            place = Launched(*map(int, numbers))
            return place if place.size > 1 else None
    return None


def by_srun() -> bool:
    """Whether Slurm has started this process itself, not an mpiexec in a script of Slurm's."""
    return "SLURM_PROCID" in os.environ and not any(name in os.environ for name in OF_MPIEXEC)


def by_gforker() -> bool:
    """Whether MPICH's mpiexec.gforker has, which starts processes here alone, and opens no port."""
    others = *OF_MPIEXEC, "SLURM_PROCID"
    return "PMI_FD" in os.environ and not any(name in os.environ for name in others)


def here() -> int:
    """How many of the processes are on this machine."""
    return int(os.environ.get("PMI_SIZE" if by_gforker() else "MPI_LOCALNRANKS", "1"))


def machine() -> str:
    """The name by which the launcher knows this machine."""
    return next((os.environ[name] for name in MACHINE if name in os.environ), socket.gethostname())


def launcher(machines: Sequence[str]) -> list[str]:
    """The start of a command that launches processes again, on the machine of each rank."""
    count, distinct = str(len(machines)), len(set(machines))
    if by_srun():
        return ["srun", "--mpi=pmi2", f"--nodes={distinct}", f"--ntasks={count}"]
    name = "mpiexec.gforker" if by_gforker() else "mpiexec"
    beside = Path(sys.executable).with_name(name)
    start = [str(beside) if beside.exists() else name]
    if distinct > 1 and "SLURM_JOB_ID" not in os.environ:  # there it knows them from Slurm
        blocks = itertools.groupby(machines)
        start += ["--host", ",".join(f"{name}:{len(list(block))}" for name, block in blocks)]
    return [*start, "-n", count]


def supervise(environment: dict[str, str]) -> None:
    """Become the supervisor of this command, which starts anew with `environment`.

    It returns only where there is a supervisor already.
    """
    if SUPERVISOR not in os.environ:
        if by_srun() and NETMOD not in os.environ:
            environment = {NETMOD: "ofi", **environment}
        if str(here()) == os.environ.get("PMI_SIZE"):
            environment = {**environment, **ON_ONE_MACHINE}
        start = getattr(sys, "orig_argv", [sys.executable, "-m", "d2l_bn", *sys.argv[1:]])
        supervisor = str(Path(__file__).with_name("supervisor.py"))
        command = [sys.executable, supervisor, sys.executable, *start[1:]]
        os.execve(sys.executable, command, {**os.environ, **environment})


def tell_supervisor(**message: object) -> None:
    """Tell this process's supervisor, if there is one.

    It may be told the `advice` to give, should the process die; in how many seconds, `within`, the
    next message has to come, and what it is `doing` meanwhile; and whether this process ends
    because another one is `lost`.
    """
    descriptor = os.environ.get(SUPERVISOR, "")
    if descriptor.isdecimal():
        os.write(int(descriptor), (json.dumps(message) + "\n").encode())
