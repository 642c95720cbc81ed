"""Forward and backward of one normalization layer: over shapes, and as one size grows."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Iterable
from typing import Callable

from benchmarks.lenet import NAMES
from benchmarks.worker import Setting, Worker

SHAPES = (
    (32, 84),
    (256, 120),
    (256, 16, 8, 8),
    (256, 6, 24, 24),
    (64, 64, 56, 56),
    (256, 64, 56, 56),
)
BASE = {"batch": 64, "channels": 16, "image size": 16}
GROWTH = {
    "batch": (4, 16, 64, 256),
    "channels": (4, 16, 64, 256),
    "image size": (4, 8, 16, 32, 64),
}
NOT_LAYERS = ("none", "Gluon, hybridized")
ROUNDS = 5
ENOUGH = 20.0  # seconds for one shape, where the rounds would take longer
WELL_TIMED = 10.0  # ms that one measurement takes at least

Row = dict  # column -> text or number


def growing_shapes() -> list[tuple[str, tuple[int, ...]]]:
    """The shapes of `GROWTH`: what grows, and (batch, channels, height, width)."""
    shapes = []
    for what, sizes in GROWTH.items():
        for size in sizes:
            values = {**BASE, what: size}
            image = values["image size"]
            shapes.append((what, (values["batch"], values["channels"], image, image)))
    return shapes


def measure(
    settings: Iterable[Setting],
    shapes: Iterable[tuple[str, tuple[int, ...]]],
    rounds: int = ROUNDS,
    *,
    log: Callable[[str], None] = lambda line: None,
) -> list[Row]:
    """Milliseconds of each normalization layer for each shape, all layers in turn."""
    rows = []
    with contextlib.ExitStack() as stack:
        workers = [stack.enter_context(Worker(setting)) for setting in settings]
        for what, shape in shapes:
            log(f"operations: {what} {shape}")
            for (setting, name), times in measure_shape(workers, shape, rounds).items():
                columns = {"part": what, "shape": " x ".join(map(str, shape))}
                middle = statistics.median(times)
                rows.append({**columns, "setting": setting, "layer": name, "ms": middle})
    return rows


def measure_shape(workers: list[Worker], shape: tuple[int, ...], rounds: int) -> dict:
    """Milliseconds for one shape, (setting, layer) -> one number a round."""
    cases = [(w, n) for w in workers for n in NAMES[w.setting.side] if n not in NOT_LAYERS]
    first = {case: ask(*case, shape, 1) for case in cases}  # warms up, too
    passes = {case: max(1, round(WELL_TIMED / ms)) for case, ms in first.items()}
    times: dict = {(worker.setting.name, name): [] for worker, name in cases}
    start = time.monotonic()
    for _ in range(rounds):
        for worker, name in cases:
            times[worker.setting.name, name].append(ask(worker, name, shape, passes[worker, name]))
        if time.monotonic() - start > ENOUGH:
            break
    return times


def ask(worker: Worker, name: str, shape: tuple[int, ...], passes: int) -> float:
    """Milliseconds of a pass."""
    return worker.ask("operation", name=name, shape=shape, passes=passes)
