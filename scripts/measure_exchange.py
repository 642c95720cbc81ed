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
from pathlib import Path
from typing import Any

import numpy as np

from d2l_bn import cluster
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
    lines: list[tuple] = []
    dataset = load("sample")
    with cluster.joined() as joined:
        across: Any = joined
        if across.size > 1:
            for size in SIZES:
                values, times = np.ones(size, np.float32), []
                for _ in range(REPEATS):
                    start = time.perf_counter()
                    across.total(values)
                    times.append(time.perf_counter() - start)
                median = statistics.median(times)
                lines.append((across.size, "sum", size, median, median, 1, values.nbytes))
        for batch, kind in itertools.product(BATCHES, ("all", "share")):
            size = across.size
            settings = Settings(batch_size=batch, epochs=EPOCHS, processes=size, statistics=kind)
            net = build(settings, dataset, across)
            trainer, steps = make_trainer(net, settings, across), -(-6000 // batch)
            before: list[Any] = []

            def note(history: list, before: list = before) -> None:
                spent = getattr(across, "spent", None)
                now = (spent.seconds, spent.exchanges, spent.bytes) if spent else (0, 0, 0)
                before.append(now)

            history = fit(net, dataset, settings, trainer=trainer, on_epoch=note, across=across)
            spent = np.subtract(before[-1], before[0]) / (steps * (EPOCHS - 1))
            seconds = statistics.median(row["seconds"] for row in history[1:]) / steps
            lines.append((size, f"step, {kind}", batch, seconds, *spent))
        if across.rank == 0:
            text = "\n".join(";".join(f"{v:.6g}" if isinstance(v, float) else str(v) for v in line)
                             for line in lines)  # fmt: skip
            Path(os.environ[ROWS]).write_text(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
