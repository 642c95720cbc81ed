"""How busy other programs keep the machine while we measure."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Callable

STAT = Path("/proc/stat")  # Linux alone has it


def beside(run: Callable[[], float]) -> dict[str, float]:
    """Run a measurement; its speed, and how many cores other programs used meanwhile."""
    machine, own, start = machine_seconds(), time.process_time(), time.perf_counter()
    speed = run()
    seconds = time.perf_counter() - start
    others = (machine_seconds() - machine) - (time.process_time() - own)
    return {"speed": speed, "others": max(0.0, others / seconds)}


def machine_seconds() -> float:
    """Processor seconds that all programs have used since the machine started."""
    if not STAT.exists():
        return time.process_time()  # then nobody else is seen
    user, nice, system, _, _, *rest = map(int, STAT.read_text().split("\n")[0].split()[1:9])
    return (user + nice + system + sum(rest)) / os.sysconf("SC_CLK_TCK")
