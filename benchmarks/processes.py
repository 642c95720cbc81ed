"""Child processes, one for each engine and number of threads: both are settled at the import.

A worker reads calls from its standard input and writes the answers, one JSON text a line. So the
parent can ask several of them in turn, and a busy moment of the machine meets all of them alike.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.measuring import Measuring

CHECKOUT = Path(__file__).parent.parent
CHOSEN = ("MXNET_ENGINE_TYPE", "OMP_NUM_THREADS", "MXNET_CPU_WORKER_NTHREADS")


@dataclass(frozen=True)
class Setting:
    """A framework with its engine and threads, on all cores or pinned to one."""

    name: str
    side: str  # "mxnet" or "torch"
    threads: int
    variables: tuple[tuple[str, str], ...] = ()
    pinned: bool = False


DEFAULT = Setting("MXNet, as it comes", "mxnet", 1)
NAIVE = Setting(
    "MXNet, NaiveEngine, 2 threads",
    "mxnet",
    2,
    (("MXNET_ENGINE_TYPE", "NaiveEngine"), ("OMP_NUM_THREADS", "2")),
)
TORCH = Setting("PyTorch, 1 thread", "torch", 1, (("OMP_NUM_THREADS", "1"),))
TORCH_2 = Setting("PyTorch, 2 threads", "torch", 2, (("OMP_NUM_THREADS", "2"),))
PINNED = Setting("MXNet, pinned to one core", "mxnet", 1, pinned=True)
TORCH_PINNED = Setting(
    "PyTorch, pinned to one core", "torch", 1, (("OMP_NUM_THREADS", "1"),), pinned=True
)
SETTINGS = (DEFAULT, NAIVE, PINNED, TORCH, TORCH_2, TORCH_PINNED)


class WorkerError(Exception):
    """A worker ended before it answered."""


class Worker:
    """The parent's end: ``Worker(setting).ask("train", name="ours", steps=8)``.

    Use it in a ``with`` statement, which ends the process.
    """

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        environment = {key: v for key, v in os.environ.items() if key not in CHOSEN}
        pinned = ["pinned"] if setting.pinned else []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.processes", setting.side, *pinned],
            cwd=CHECKOUT,
            env={**environment, **dict(setting.variables)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, call: str, **arguments: Any) -> Any:
        """Call a method of `Measuring` or a function of the side, and wait for what it returns."""
        assert self.process.stdin is not None and self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps({"call": call, **arguments}) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError as error:
            raise WorkerError(f"{self.setting.name}: the worker has ended") from error
        answer = self.process.stdout.readline()
        if not answer:
            raise WorkerError(f"{self.setting.name}: the worker ended in {call} {arguments}")
        return json.loads(answer)

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *error: object) -> None:
        self.process.kill()
        self.process.communicate()


def available() -> list[Setting]:
    """The settings that can be measured here: PyTorch is an extra, and Linux alone pins."""
    torch = importlib.util.find_spec("torch") is not None
    pins = hasattr(os, "sched_setaffinity")
    return [s for s in SETTINGS if (torch or s.side == "mxnet") and (pins or not s.pinned)]


def serve(name: str, *pinned: str) -> None:
    """The child's end."""
    if pinned:  # before the framework is imported, which counts the cores
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    framework = importlib.import_module(f"benchmarks.{name}_side")
    measuring = Measuring(framework)
    for line in sys.stdin:
        request = json.loads(line)
        call = request.pop("call")
        answer = getattr(measuring if hasattr(measuring, call) else framework, call)(**request)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    serve(*sys.argv[1:])
