"""LeNet beside processes that want the cores, too, as on a machine that others use."""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

from benchmarks.measuring import BATCH
from benchmarks.processes import NAIVE, Setting, Worker
from benchmarks.training_speed import initial_values
from d2l_bn.system.threads import WAITING

PROGRAM = Setting("the program", "mxnet", 2, (*NAIVE.variables, *WAITING.items()))
FORGETTING = replace(PROGRAM, name="the program, memory not kept")
SETTINGS = (
    PROGRAM,
    FORGETTING,
    NAIVE,
    Setting("never spinning", "mxnet", 2, (*NAIVE.variables, ("OMP_WAIT_POLICY", "passive"))),
    Setting("default engine, 1 thread", "mxnet", 1, (("OMP_NUM_THREADS", "1"),)),
)


def measure(counts: Sequence[int], rounds: int, seconds: float) -> list[dict]:
    """Examples a second beside each number of busy processes, medians: a row for each setting."""
    speeds: dict[tuple[Setting, int], list[float]] = {}
    with contextlib.ExitStack() as stack:
        values = initial_values(stack)
        workers = [stack.enter_context(Worker(setting)) for setting in SETTINGS]
        for worker in workers:
            if worker.setting != FORGETTING:
                worker.ask("keep_memory")  # as the program does, and:
            if worker.setting in (PROGRAM, FORGETTING):
                worker.ask("spin_where_idle", threads=2)
        for number in range(rounds + 1):  # the first round warms up
            for count in counts if number else (0,):
                with busy(count):
                    for worker in (*workers[number:], *workers[:number]):  # none is always first
                        speed = trained(worker, values, seconds)
                        if number:
                            speeds.setdefault((worker.setting, count), []).append(speed)
    return [
        {
            "setting": s.name,
            **{f"beside {n}": round(statistics.median(speeds[s, n])) for n in counts},
        }
        for s in SETTINGS
    ]


@contextlib.contextmanager
def busy(count: int) -> Iterator[None]:
    """So many processes that do nothing but compute."""
    loop = f"import os\nwhile os.getppid() == {os.getpid()}: pass"  # none outlives this process
    processes = [subprocess.Popen([sys.executable, "-c", loop]) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def trained(worker: Worker, values: str, seconds: float) -> float:
    """Examples a second of so many seconds of training, of one step at the least."""
    start, steps = time.monotonic(), 0
    while not steps or time.monotonic() < start + seconds:
        worker.ask("train", name="ours", steps=2, values=values)
        steps += 2
    return BATCH * steps / (time.monotonic() - start)
