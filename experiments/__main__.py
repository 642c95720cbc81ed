"""Run what is missing of the experiments: python -m experiments [NAME ...]."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
from collections.abc import Iterator
from typing import Callable

from tqdm import tqdm

from d2l_bn.allocator import keep_memory
from experiments import (
    choice,
    covariate_shift,
    cure,
    dropout_shift,
    folding,
    signals,
    smoothness,
    sweeps,
)
from experiments.tables import fill, missing

EXPERIMENTS = {
    experiment.name: experiment
    for experiment in (
        choice.EXPERIMENT,
        cure.EXPERIMENT,
        covariate_shift.EXPERIMENT,
        *sweeps.EXPERIMENTS,
        *smoothness.EXPERIMENTS,
        *signals.EXPERIMENTS,
        dropout_shift.EXPERIMENT,
        folding.EXPERIMENT,
    )
}


def main() -> int:
    """Fill the tables; an interruption loses nothing."""
    parser = argparse.ArgumentParser(prog="experiments", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(EXPERIMENTS))
    names = parser.parse_args().names or list(EXPERIMENTS)
    unknown = [name for name in names if name not in EXPERIMENTS]
    if unknown:
        parser.error(f"{unknown[0]} is none of {', '.join(EXPERIMENTS)}")
    keep_memory()
    try:
        with stop_between_cases() as check:
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


@contextlib.contextmanager
def stop_between_cases() -> Iterator[Callable[[], None]]:
    """Let the running case finish: the first Ctrl-C asks to stop, the second stops at once.

    Yields
    ------
    callable ()
        Raises KeyboardInterrupt if a stop was asked for.
    """
    asked: list[int] = []

    def ask(number: int, _: object) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)
        tqdm.write("stops when this case is finished, after minutes at most; Ctrl-C again: now")

    def check() -> None:
        if asked:
            raise KeyboardInterrupt

    numbers = signal.SIGINT, signal.SIGTERM
    before = {number: signal.signal(number, ask) for number in numbers}
    try:
        yield check
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


if __name__ == "__main__":
    sys.exit(main())
