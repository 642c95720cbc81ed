"""Child processes, one for each engine and number of threads: both are settled at the import.

A worker reads calls from its standard input and writes the answers, one JSON text a line. So the
parent can ask several of them in turn, and all of them see the same moods of the machine.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).parent.parent
CHOSEN = ("MXNET_ENGINE_TYPE", "OMP_NUM_THREADS", "MXNET_CPU_WORKER_NTHREADS")


@dataclass(frozen=True)
class Setting:
    """A framework with its engine and threads."""

    name: str
    side: str  # "mxnet" or "torch"
    threads: int
    variables: tuple[tuple[str, str], ...] = ()


DEFAULT = Setting("MXNet, as it comes", "mxnet", 1)
NAIVE = Setting(
    "MXNet, NaiveEngine, 2 threads",
    "mxnet",
    2,
    (("MXNET_ENGINE_TYPE", "NaiveEngine"), ("OMP_NUM_THREADS", "2")),
)
TORCH = Setting("PyTorch, 1 thread", "torch", 1, (("OMP_NUM_THREADS", "1"),))
TORCH_2 = Setting("PyTorch, 2 threads", "torch", 2, (("OMP_NUM_THREADS", "2"),))
SETTINGS = (DEFAULT, NAIVE, TORCH, TORCH_2)


class WorkerError(Exception):
    """A worker ended before it answered."""


class Worker:
    """The parent's end: ``Worker(setting).ask("train", name="ours", steps=8)``.

    Use it in a ``with`` statement, which ends the process.
    """

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        environment = {key: v for key, v in os.environ.items() if key not in CHOSEN}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", setting.side],
            cwd=CHECKOUT,
            env={**environment, **dict(setting.variables)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, call: str, **arguments: Any) -> Any:
        """Call a method of the worker's side and wait for what it returns."""
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


def serve(name: str) -> None:
    """The child's end."""
    side = importlib.import_module(f"benchmarks.{name}_side").Side()
    for line in sys.stdin:
        request = json.loads(line)
        answer = getattr(side, request.pop("call"))(**request)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    serve(sys.argv[1])
