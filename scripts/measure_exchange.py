"""Measure what a step over several processes costs; the tables are for chapter 8.

    python scripts/measure_exchange.py

Starts itself with mpiexec on one and on two processes of this machine, which reach each other
through shared memory and through TCP, and writes experiments/results/exchange.csv: for each the
time of a step of LeNet, how much of it passes in exchanges, and how many bytes a process hands in;
and the time of sums of several sizes alone. The machine should do nothing else.
"""

from __future__ import annotations

import itertools
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from d2l_bn.cluster.meeting import joined
from d2l_bn.data import load
from d2l_bn.system.memory import keep_memory
from d2l_bn.training import Settings, build, fit, make_trainer

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from experiments import tables  # noqa: E402

MPIEXEC = Path(sys.executable).with_name("mpiexec")
SIZES = (1, 33, 241, 1_000, 10_000, 45_000, 300_000, 1_000_000)  # numbers in a sum, float32
REPEATS = 60
EPOCHS = 6  # the first one is left out
BATCHES = (64, 256, 1024)
ALIKE = {"OMP_NUM_THREADS": "1", "MXNET_ENGINE_TYPE": "NaiveEngine"}  # as the program chooses
WAYS = {"alone": ALIKE, "memory": ALIKE, "tcp": {**ALIKE, "UCX_TLS": "tcp,self"}}
ROWS = "D2L_BN_ROWS"  # the file into which process 0 writes


def main() -> int:
    """Start the processes, or be one of them."""
    if ROWS in os.environ:
        return measure()
    rows = []
    for processes, way in ((1, "alone"), (2, "memory"), (2, "tcp")):
        path = ROOT / "runs" / "exchange.txt"
        path.parent.mkdir(exist_ok=True)
        env = {**os.environ, **WAYS[way], ROWS: str(path), "PYTHONPATH": str(ROOT)}
        subprocess.run(
            [str(MPIEXEC), "-n", str(processes), sys.executable, __file__], env=env, check=True
        )
        lines = path.read_text().splitlines()
        rows += [{"way": way, **dict(zip(COLUMNS, line.split(";")))} for line in lines]
    tables.write("exchange", rows)
    return 0


COLUMNS = ("processes", "what", "size", "seconds", "exchange_seconds", "exchanges", "bytes")


def measure() -> int:
    """Measure, as one of the processes, and let process 0 write."""
    keep_memory()
    with joined() as group:
        lines = [*sums(group), *steps(group)] if group.size > 1 else [*steps(group)]
        if group.rank == 0:
            cells = [[f"{v:.6g}" if isinstance(v, float) else str(v) for v in ln] for ln in lines]
            Path(os.environ[ROWS]).write_text("".join(";".join(row) + "\n" for row in cells))
    return 0


def sums(group: Any) -> Iterator[tuple]:
    """The time of a sum, by its size: median of `REPEATS`."""
    for size in SIZES:
        values, times = np.ones(size, np.float32), []
        for _ in range(REPEATS):
            start = time.perf_counter()
            group.total(values)
            times.append(time.perf_counter() - start)
        median = statistics.median(times)
        yield group.size, "sum", size, median, median, 1, values.nbytes


def steps(group: Any) -> Iterator[tuple]:
    """The time of a step, by the size of the batch, and what of it is exchange."""
    dataset, size = load("sample"), group.size
    for batch, kind in itertools.product(BATCHES, ("all", "share")):
        settings = Settings(batch_size=batch, epochs=EPOCHS, processes=size, statistics=kind)
        net = build(settings, dataset, group)
        trainer, count = make_trainer(net, settings, group), -(-6000 // batch)
        totals: list[tuple] = []

        def note(history: list, totals: list = totals) -> None:
            spent = getattr(group, "spent", None)
            totals.append((spent.seconds, spent.exchanges, spent.bytes) if spent else (0, 0, 0))

        history = fit(net, dataset, settings, trainer=trainer, on_epoch=note, group=group)
        spent = np.subtract(totals[-1], totals[0]) / (count * (EPOCHS - 1))
        seconds = statistics.median(row["seconds"] for row in history[1:]) / count
        yield size, f"step, {kind}", batch, seconds, *spent


if __name__ == "__main__":
    sys.exit(main())
