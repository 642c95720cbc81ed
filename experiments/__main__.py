"""Run what is missing of the experiments: python -m experiments [NAME ...]."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Callable

from tqdm import tqdm

from d2l_bn.system import threads
from d2l_bn.system.interrupts import deferred
from d2l_bn.system.memory import keep_memory

if __name__ == "__main__":  # ahead of MXNet, as the program does: so both make the same numbers
    os.environ.update(threads.choice())

from experiments import (
    comparisons,
    covariate_shift,
    deep_linear,
    dense,
    folding,
    ghost,
    noise,
    population,
    recipes,
    regularization,
    residual,
    signals,
    smoothness,
)
from experiments.tables import fill, missing

ROOMS = [recipes, covariate_shift, noise, smoothness, deep_linear, signals, dense, population]
ROOMS += [folding, regularization, comparisons, residual, ghost]
EXPERIMENTS = {experiment.name: experiment for room in ROOMS for experiment in room.EXPERIMENTS}


def main() -> int:
    """Fill the tables; Ctrl-C loses nothing, since the running case is finished first."""
    parser = argparse.ArgumentParser(prog="experiments", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(EXPERIMENTS))
    names = parser.parse_args().names or list(EXPERIMENTS)
    unknown = [name for name in names if name not in EXPERIMENTS]
    if unknown:
        parser.error(f"{unknown[0]} is none of {', '.join(EXPERIMENTS)}")
    keep_memory()
    try:
        with deferred(will_stop) as check:
            for name in names:
                run(name, check)
    except KeyboardInterrupt:
        print("\nstopped; what is finished is in experiments/results, the same command goes on")
        return 130
    return 0


def run(name: str, check: Callable[[], None]) -> None:
    """Fill one table, with the time that is left; call `check` after each case."""
    experiment = EXPERIMENTS[name]
    left = len(missing(experiment))
    with tqdm(total=len(experiment.cases), initial=len(experiment.cases) - left, desc=name) as bar:
        for _ in fill(experiment):
            bar.update()
            check()


def will_stop() -> None:
    """Say that the running case comes to its end first."""
    tqdm.write("stops when this case is finished, after minutes at most; Ctrl-C again: now")


if __name__ == "__main__":
    threads.start_engine()
    sys.exit(main())
