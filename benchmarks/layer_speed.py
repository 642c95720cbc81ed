"""Forward and backward of one normalization layer, over shapes."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Iterable, Sequence
from typing import Callable

import numpy as np

from benchmarks.mxnet_side import COPY
from benchmarks.processes import Setting, Worker

SHAPES = (
    (32, 84),
    (256, 120),
    (256, 16, 8, 8),
    (256, 6, 24, 24),
    (64, 64, 56, 56),
    (256, 64, 56, 56),
)
LARGE = ((64, 64, 112, 112), (256, 64, 112, 112))  # 206 and 822 MB
LARGE_NAMES = ("Gluon", "ours", COPY)
ROUNDS = 5
ENOUGH = 60.0  # seconds; after that, a shape gets no further round
WELL_TIMED = 10.0  # milliseconds that a measurement takes at least

Shape = tuple[int, ...]
Row = dict  # column -> text or number


def measure(
    settings: Iterable[Setting],
    shapes: Iterable[tuple[str, Shape]],
    rounds: int = ROUNDS,
    *,
    names: Sequence[str] = (),
    log: Callable[[str], None] = lambda line: None,
) -> list[Row]:
    """Milliseconds of each layer, or of those in `names`, for each shape, all layers in turn."""
    rows = []
    with contextlib.ExitStack() as stack:
        workers = [stack.enter_context(Worker(setting)) for setting in settings]
        cases = [
            (w, name) for w in workers for name in w.ask("names") if not names or name in names
        ]
        for what, shape in shapes:
            log(f"layers: {what} {shape}")
            for (worker, name), times in measure_shape(cases, shape, rounds).items():
                low, middle, high = np.percentile(times, (25, 50, 75)).tolist()
                rows.append(
                    {
                        "part": what,
                        "shape": " x ".join(map(str, shape)),
                        "setting": worker.setting.name,
                        "layer": name,
                        "ms": middle,
                        "ms_quarter": low,
                        "ms_three_quarters": high,
                    }
                )
    return rows


def measure_shape(cases: list[tuple[Worker, str]], shape: Shape, rounds: int) -> dict:
    """Milliseconds for one shape, (worker, layer) -> one number a round."""
    first = {case: ask(*case, shape, 1) for case in cases}  # which also warms up
    passes = {case: max(1, round(WELL_TIMED / ms)) for case, ms in first.items()}
    times: dict[tuple[Worker, str], list[float]] = {case: [] for case in cases}
    start, turns = time.monotonic(), random.Random(0)
    for _ in range(rounds):
        # In another order each time: a layer that comes after one which scatters memory waits.
        for case in turns.sample(cases, len(cases)):
            times[case].append(ask(*case, shape, passes[case]))
        if time.monotonic() - start > ENOUGH:
            break
    return times


def ask(worker: Worker, name: str, shape: Shape, passes: int) -> float:
    """Milliseconds of a pass."""
    return worker.ask("layer", name=name, shape=shape, passes=passes)


def growth(rows: list[Row], name: str) -> float:
    """How many times as long the layer `name` takes for the last of two shapes."""
    before, after = (row["ms"] for row in rows if row["layer"] == name)
    return after / before
