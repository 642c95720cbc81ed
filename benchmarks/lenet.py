"""Training LeNet: every normalization in every setting, in turn, round after round."""

from __future__ import annotations

import contextlib
import importlib.util
import statistics
from collections.abc import Iterable, Sequence
from typing import Callable

from benchmarks.worker import SETTINGS, Setting, Worker

NAMES = {
    "mxnet": ("none", "Gluon", "Gluon, hybridized", "ours", "source"),
    "torch": ("PyTorch, from scratch", "PyTorch, built in"),
}
STEPS = {"source": 2}  # of 256 examples in each round; it is slow
Key = tuple[str, str]  # the setting's name and the normalization's


def available() -> list[Setting]:
    """The settings that can be measured here: PyTorch is an extra."""
    torch = importlib.util.find_spec("torch") is not None
    return [setting for setting in SETTINGS if torch or setting.side == "mxnet"]


def measure(
    settings: Iterable[Setting],
    rounds: int,
    *,
    names: Sequence[str] = (),
    steps: int = 8,
    log: Callable[[str], None] = lambda line: None,
) -> dict[Key, list[float]]:
    """Examples a second, one number a round, of all normalizations or of those in `names`."""
    with contextlib.ExitStack() as stack:
        workers = [stack.enter_context(Worker(setting)) for setting in settings]
        cases = [
            (worker, name)
            for worker in workers
            for name in NAMES[worker.setting.side]
            if not names or name in names
        ]
        speeds: dict[Key, list[float]] = {(w.setting.name, name): [] for w, name in cases}
        for number in range(rounds + 1):  # the first one warms up
            for worker, name in cases:
                speed = worker.ask("train", name=name, steps=STEPS.get(name, steps))
                if number:
                    speeds[worker.setting.name, name].append(speed)
            log(f"LeNet: round {number} of {rounds}")
    return speeds


def ratio(speeds: dict[Key, list[float]], one: Key, other: Key) -> float:
    """How many times as fast `one` is as `other`: the median over the rounds, each paired."""
    return statistics.median(a / b for a, b in zip(speeds[one], speeds[other]))
