"""Start processes at once on an empty cache, kill some while they compile, and count how all end.

    python scripts/try_operator_starts.py [PROCESSES [AT_ONCE]]

The processes start in waves, each on an empty cache of its own. In each wave two are killed while
they compile. All others must end with the compiled operator, and one library must be left.
"""

from __future__ import annotations

import collections
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
KILLS = 2  # in each wave
COMPILING = "d2l_bn: compiling the operator, once, for some seconds"
USE = """
import d2l_bn
from d2l_bn.nn import operator
from mxnet import autograd, nd
if not operator.available():
    raise SystemExit(operator.status().why_not)
X, v = nd.random.normal(shape=(32, 3, 16, 16)), nd.ones((1, 3, 1, 1))
with autograd.train_mode():
    Y = operator.batch_norm(X, v, v, v, v, 1e-5, 0.9)[0].asnumpy()
assert abs(Y.mean() - 1) < 1e-5, Y.mean()
"""


def main() -> int:
    """Run all waves, print the counts, and return 1 if any process failed."""
    processes = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    at_once = int(sys.argv[2]) if len(sys.argv) > 2 else 20
    counts: collections.Counter[str] = collections.Counter()
    start = time.monotonic()
    for first in range(0, processes, at_once):
        counts += wave(min(at_once, processes - first))
        print(f"{time.monotonic() - start:5.0f} s  {dict(counts)}", flush=True)
    return int(bool(counts["failed"] or counts["caches without one whole library"]))


def wave(count: int) -> collections.Counter[str]:
    """Start `count` processes at once, kill some, and count how they end."""
    counts: collections.Counter[str] = collections.Counter()
    with tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, "XDG_CACHE_HOME": folder, "TMPDIR": folder, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-c", USE]
        running = [
            subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True)
            for _ in range(count)
        ]
        killed = kill_while_compiling(running, min(KILLS, count - 1))
        for process in running:
            _, err = process.communicate(timeout=600)
            if process in killed:
                counts["killed"] += 1
            elif process.returncode == 0 and set(err.splitlines()) <= {COMPILING}:
                counts["compiled operator"] += 1
            else:
                counts["failed"] += 1
                print(f"returned {process.returncode}: {err[-500:]}")
        if len(list(Path(folder).glob("d2l_bn-operator/*.so"))) != 1:
            counts["caches without one whole library"] += 1
    return counts


def kill_while_compiling(running: list[subprocess.Popen], count: int) -> list[subprocess.Popen]:
    """Kill those that have a child, the compiler, one after the other."""
    killed: list[subprocess.Popen] = []
    while len(killed) < count and any(process.poll() is None for process in running):
        for process in running:
            if process not in killed and compiles(process.pid):
                time.sleep(1)
                process.kill()
                killed.append(process)
                break
        time.sleep(0.02)
    return killed


def compiles(pid: int) -> bool:
    """Whether a process has a child that compiles."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return any("operator.cc" in Path(f"/proc/{c}/cmdline").read_text() for c in children)
    except OSError:  # it has ended
        return False


if __name__ == "__main__":
    sys.exit(main())
