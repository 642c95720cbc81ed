"""What training costs besides the network: the import, memory, and everything around the step."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time

from benchmarks.processes import CHECKOUT

# MXNet 1.9.1 asks NumPy for two names that newer versions lack. They are put back by hand here.
PLAIN_IMPORT = """
import numpy
vars(numpy).setdefault("bool", bool)
vars(numpy).setdefault("int", int)
import mxnet
"""


def import_ratio(rounds: int) -> dict[str, float]:
    """How long the layer takes to import beside ``import mxnet``, in new processes, in turn."""
    programs = {"mxnet": PLAIN_IMPORT, "d2l_bn": "from d2l_bn import BatchNorm"}
    seconds: dict[str, list[float]] = {name: [] for name in programs}
    for number in range(rounds + 1):  # the first one fills the disk's cache
        for name, program in programs.items():
            start = time.perf_counter()
            done = subprocess.run(
                [sys.executable, "-c", program], cwd=CHECKOUT, capture_output=True
            )
            if done.returncode:
                return {}  # with NumPy 2, MXNet can't be imported alone
            if number:
                seconds[name].append(time.perf_counter() - start)
    pairs = zip(seconds["d2l_bn"], seconds["mxnet"])
    return {
        "mxnet_seconds": statistics.median(seconds["mxnet"]),
        "d2l_bn_seconds": statistics.median(seconds["d2l_bn"]),
        "ratio": statistics.median(ours / plain for ours, plain in pairs),
    }


def memory(batches: int) -> dict[str, float]:
    """Peak memory in MB of training on 60,000 images: our program's, and the source's."""
    ours, source = (child("memory", kind, batches) for kind in ("ours", "source"))
    return {"ours_mb": ours, "source_mb": source, "ratio": ours / source}


def overhead(rounds: int, images: int) -> dict[str, float]:
    """Seconds of `fit` on `images` images beside those of a bare loop on batches in memory."""
    return child("overhead", rounds, images)


def kept_memory(rounds: int, images: int) -> dict[str, float]:
    """Seconds of `fit` in new processes, with memory kept (d2l_bn/system/memory.py) and without."""
    pairs = [
        [child("training", choice, images)["seconds"] for choice in ("without", "kept")]
        for _ in range(rounds)
    ]
    return {"ratio": statistics.median(without / kept for without, kept in pairs)}


def child(*arguments: object):
    """Run costs_child.py in a process of its own, with MXNet as it comes."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.costs_child", *map(str, arguments)],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONHASHSEED": "0"},
        check=True,
        text=True,
    )
    return json.loads(done.stdout.splitlines()[-1])
