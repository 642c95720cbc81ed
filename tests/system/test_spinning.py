"""Threads stop spinning while others want the cores, and begin again."""

from __future__ import annotations

import ctypes.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from d2l_bn.system import spinning

CHECKOUT = Path(__file__).parents[2]
TEAM = """
import os, time
from d2l_bn.system import spinning

crowded = 0.0
spinning._waiting = lambda seconds: time.sleep(0.01) or crowded

def wait_for(count):
    end = time.monotonic() + 60
    while len(os.listdir("/proc/self/task")) != count:
        assert time.monotonic() < end, (os.listdir("/proc/self/task"), count)
        time.sleep(0.01)

spinning.spin_where_idle()
for _ in range(2):
    crowded = 0.0
    wait_for(2)  # this thread, and the one that watches
    crowded = 1.0
    wait_for(1 + len(os.sched_getaffinity(0)))  # the one that watches leads a team
"""
WAITING = """
import os, subprocess, sys, threading
from d2l_bn.system import spinning

os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
other = subprocess.Popen([sys.executable, "-c", "while True: pass"])  # on the same core
loop = "while True: pass"
threading.Thread(target=exec, args=(loop,), daemon=True).start()
print(spinning._waiting(2.0))
other.kill()
"""
pytestmark = [
    pytest.mark.skipif(not spinning.TASKS.exists(), reason="no /proc"),
    pytest.mark.skipif(not ctypes.util.find_library("gomp"), reason="no libgomp"),
]


def run(script: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=CHECKOUT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(os.cpu_count() == 1, reason="one core")
def test_a_team_is_there_while_cores_are_crowded():
    run(TEAM)


@pytest.mark.slow
def test_waiting_for_a_core_is_seen():
    assert float(run(WAITING)) > spinning.CROWDED
