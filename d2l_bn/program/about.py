"""The command `about`: what runs here, for a report of a problem or of a result."""

from __future__ import annotations

import argparse
import os
import platform
from pathlib import Path

from d2l_bn.data.places import survey
from d2l_bn.nn import operator
from d2l_bn.program.summary import versions
from d2l_bn.system import threads


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes: nothing."""


def run(options: argparse.Namespace) -> None:
    """Print versions, machine, threads, data, and how batch normalization is computed."""
    names = versions()
    lines = {
        "versions": ", ".join(f"{name} {version}" for name, version in names.items()),
        "system": f"{platform.platform()}, {processor()}, {threads.cores()} of "
        f"{os.cpu_count()} processors",
        "threads": threads.describe(),
        "layer": _layer(),
    }
    for name, text in lines.items():
        print(f"{name:9} {text}")
    for line in survey():
        print(f"{'data':9} {line}")


def processor() -> str:
    """The name of the processor, where Linux or Python knows it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(": ", 1)[1] for line in lines if line.startswith("model name"))
    except (OSError, StopIteration, IndexError):
        return platform.processor() or platform.machine()


def _layer() -> str:
    path, why_not = operator.status()
    if path:
        return f"the compiled operator, {path}"
    return f"MXNet's own operations as one graph, without the compiled operator: {why_not}"
