"""Training LeNet: every normalization in every setting, in turn, round after round."""

from __future__ import annotations

import contextlib
import os
import statistics
import tempfile
import time
from collections.abc import Iterable, Sequence
from typing import Callable

from benchmarks.mxnet_side import save_initial_values
from benchmarks.processes import Setting, Worker

NAMES = {
    "mxnet": ("none", "Gluon", "Gluon, hybridized", "ours", "source"),
    "torch": ("PyTorch, from scratch", "PyTorch, built in"),
}
STEPS = {"source": 2}  # at most in each round; it is too slow for as many as the others take
DISTURBED = 0.2  # cores that others took of those that a measurement needs: it is repeated
Key = tuple[str, str]  # the names of the setting and of the normalization


def measure(
    settings: Iterable[Setting],
    rounds: int,
    *,
    names: Sequence[str] = (),
    steps: int = 8,
    patience: float = 0,
    log: Callable[[str], None] = lambda line: None,
) -> dict[Key, list[float]]:
    """Examples a second, one number a round, of all normalizations or of those in `names`.

    What other programs have disturbed is measured again, as long as `patience` lasts (seconds, for
    all rounds together). After that it counts as it is.
    """
    end = time.monotonic() + patience
    with contextlib.ExitStack() as stack:
        values = initial_values(stack)
        workers = [stack.enter_context(Worker(setting)) for setting in settings]
        cases = [
            (worker, name)
            for worker in workers
            for name in NAMES[worker.setting.side]
            if not names or name in names
        ]
        speeds: dict[Key, list[float]] = {(w.setting.name, name): [] for w, name in cases}
        for number in range(rounds + 1):  # the first round warms up
            for worker, name in cases:
                task = dict(name=name, steps=min(steps, STEPS.get(name, steps)), values=values)
                found = worker.ask("train", **task)
                while number and disturbed(worker.setting, found) and time.monotonic() < end:
                    time.sleep(0.2)
                    found = worker.ask("train", **task)
                if number:
                    speeds[worker.setting.name, name].append(found["speed"])
            log(f"LeNet: round {number} of {rounds}, load {os.getloadavg()[0]:.1f}")
    return speeds


def initial_values(stack: contextlib.ExitStack) -> str:
    """A file with the values that every network starts from, as long as `stack` is open."""
    folder = stack.enter_context(tempfile.TemporaryDirectory())
    save_initial_values(f"{folder}/values.npz")
    return f"{folder}/values.npz"


def disturbed(setting: Setting, found: dict[str, float]) -> bool:
    """Whether other programs used cores that the measurement needed."""
    free = (os.cpu_count() or 1) - found["others"]
    return free < setting.threads - DISTURBED


def ratio(speeds: dict[Key, list[float]], one: Key, other: Key) -> float:
    """How many times as fast `one` is as `other`: the median over the rounds, each paired."""
    return statistics.median(a / b for a, b in zip(speeds[one], speeds[other]))
