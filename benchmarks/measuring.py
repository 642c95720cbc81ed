"""What a worker measures, whichever the framework, and how busy other programs are meanwhile."""

from __future__ import annotations

import os
import time
from functools import partial
from pathlib import Path
from typing import Any, Callable

import numpy as np

BATCH, IMAGE = 256, (1, 28, 28)
STAT = Path("/proc/stat")  # only Linux has it


class Measuring:
    """Times what a framework's module makes: mxnet_side.py or torch_side.py.

    `values` is a file that `mxnet_side.save_initial_values` wrote. Every network starts from it,
    and all frameworks get the same inputs, so that each one has the same work to do.
    """

    def __init__(self, framework: Any) -> None:
        self.framework = framework
        self.programs: dict[str, Callable[[int], None]] = {}
        self.passes: dict[str, Callable[[], None]] = {}
        self.shape: tuple[int, ...] = ()
        self.arrays: tuple = ()

    def train(self, name: str, steps: int, values: str) -> dict[str, float]:
        """Examples a second of LeNet with the normalization `name`, and what others took."""
        if name not in self.programs:
            self.programs[name] = self.framework.program(name, values)
            self.programs[name](2)  # the first steps plan graphs and fill memory
        found = beside(partial(self.programs[name], steps))
        return {"speed": BATCH * steps / found["seconds"], "others": found["others"]}

    def layer(self, name: str, shape: list[int], passes: int) -> float:
        """Milliseconds of forward and backward of one normalization layer."""
        if tuple(shape) != self.shape:  # all layers share the arrays, which may be large
            self.shape, self.passes, self.arrays = tuple(shape), {}, ()
            rng = np.random.default_rng(0)
            X = 3 + 2 * rng.standard_normal(shape, np.float32)
            self.arrays = self.framework.arrays(X, rng.standard_normal(shape, np.float32))
        if name not in self.passes:
            self.passes[name] = self.framework.layer_pass(name, *self.arrays)
            self.passes[name]()
        return milliseconds(self.passes[name], passes)


def batches_in_memory(count: int = 4) -> list[tuple[np.ndarray, np.ndarray]]:
    """Some batches of noise, images and labels: speed doesn't depend on the values."""
    rng = np.random.default_rng(0)
    return [
        (rng.random((BATCH, *IMAGE), np.float32), rng.integers(0, 10, BATCH)) for _ in range(count)
    ]


def milliseconds(run: Callable[[], object], passes: int) -> float:
    """How long a call takes, on average over some calls."""
    start = time.perf_counter()
    for _ in range(passes):
        run()
    return (time.perf_counter() - start) / passes * 1e3


def beside(run: Callable[[], object]) -> dict[str, float]:
    """Run a measurement: its seconds, and how many cores other programs used meanwhile."""
    machine, own, start = machine_seconds(), time.process_time(), time.perf_counter()
    run()
    seconds = time.perf_counter() - start
    others = (machine_seconds() - machine) - (time.process_time() - own)
    return {"seconds": seconds, "others": max(0.0, others / seconds)}


def machine_seconds() -> float:
    """Processor seconds that all programs have used since the machine started."""
    if not STAT.exists():
        return time.process_time()  # without it, other programs aren't seen
    user, nice, system, _, _, *rest = map(int, STAT.read_text().split("\n")[0].split()[1:9])
    return (user + nice + system + sum(rest)) / os.sysconf("SC_CLK_TCK")
