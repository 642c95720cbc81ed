"""Threads stop spinning while others want the cores, and begin again."""

from __future__ import annotations

import ctypes.util
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from d2l_bn.system import spinning

CHECKOUT = Path(__file__).parents[2]
TEAM = """
import os, time
from d2l_bn.system import spinning

free = 2.0
spinning._free_cores = lambda: time.sleep(0.01) or free

def wait_for(count):
    end = time.monotonic() + 60
    while len(os.listdir("/proc/self/task")) != count:
        assert time.monotonic() < end, (os.listdir("/proc/self/task"), count)
        time.sleep(0.01)

spinning.spin_where_idle(2)
for _ in range(2):
    free = 2.0
    wait_for(2)  # this thread, and the one that watches
    free = 1.0
    wait_for(1 + len(os.sched_getaffinity(0)))  # the one that watches leads a team
"""
SHARED = """
import os, subprocess, sys, threading
from d2l_bn.system import spinning

os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
other = subprocess.Popen([sys.executable, "-c", "while True: pass"])  # on the same core
loop = "while True: pass"
threading.Thread(target=exec, args=(loop,), daemon=True).start()
spinning.SECONDS = 2
print(spinning._free_cores())
other.kill()
"""
TURNS = """
import ctypes, os, platform, struct
from d2l_bn.system import spinning

own = os.nice(5)
spinning._take_short_turns()
read = ctypes.create_string_buffer(48)
number = spinning.SCHED_SETATTR[platform.machine()] + 1  # sched_getattr
assert ctypes.CDLL(None).syscall(number, 0, read, 48, 0) == 0
_, policy, _, nice, _, turn, *_ = struct.unpack("IIQiIQQQ", read.raw)
assert (policy, nice) == (os.SCHED_OTHER, own) and turn in (0, spinning.TURN)  # 0: an older Linux
"""
pytestmark = [
    pytest.mark.skipif(not spinning.STAT.exists(), reason="no /proc"),
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
def test_a_core_that_others_use_is_not_free():
    assert float(run(SHARED)) < 1 - spinning.MARGIN


def test_only_the_cores_that_we_may_use_count(tmp_path, monkeypatch):
    monkeypatch.setattr(spinning, "STAT", tmp_path / "stat")
    lines = "cpu 9 9 9 900 900 9", "cpu0 9 9 9 200 100 9", "cpu1 9 9 9 700 800 9", "intr 9 9"
    spinning.STAT.write_text("\n".join(lines))
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0})
    monkeypatch.setattr(spinning.time, "process_time", lambda: 0.5)
    assert spinning._free() == 0.5 + 300 / os.sysconf("SC_CLK_TCK")


@pytest.mark.skipif(
    platform.machine() not in spinning.SCHED_SETATTR, reason="no number of the call is known here"
)
def test_short_turns_change_nothing_else():
    run(TURNS)
