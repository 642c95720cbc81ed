"""What a launcher has told this process: its rank, and how many there are."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Optional

# MPICH's mpiexec and Slurm's PMI; Open MPI's mpiexec; srun with another interface.
NAMES = (
    ("PMI_RANK", "PMI_SIZE"),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS"),
)
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


def supervise(environment: dict[str, str]) -> None:
    """Become the supervisor of this command, which starts anew with `environment`.

    It returns only where there is a supervisor already.
    """
    if SUPERVISOR not in os.environ:
        start = getattr(sys, "orig_argv", [sys.executable, "-m", "d2l_bn", *sys.argv[1:]])
        supervisor = str(Path(__file__).with_name("supervisor.py"))
        command = [sys.executable, supervisor, sys.executable, *start[1:]]
        os.execve(sys.executable, command, {**os.environ, **environment})


def tell_supervisor(**message: object) -> None:
    """Tell this process's supervisor, if there is one.

    Parameters
    ----------
    advice : str
        What to say, should the process die: how to go on.
    within, doing : float or None, str
        In how many seconds the next message has to come, and what takes place meanwhile.
    """
    descriptor = os.environ.get(SUPERVISOR)
    if descriptor is not None:
        os.write(int(descriptor), (json.dumps(message) + "\n").encode())
