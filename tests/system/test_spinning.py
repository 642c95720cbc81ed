"""Threads stop spinning while others want the cores, and begin again."""

from __future__ import annotations

import contextlib
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

first, second = cores = sorted(os.sched_getaffinity(0))[:2]

def wait_for(count, cores):
    end = time.monotonic() + 60
    while True:
        tasks = os.listdir("/proc/self/task")
        kept = {frozenset(os.sched_getaffinity(int(task))) for task in tasks}
        if len(tasks) == count and kept == {frozenset(cores)}:
            return
        assert time.monotonic() < end, (tasks, count, kept, cores)
        time.sleep(0.01)

spinning._look = lambda cores: time.sleep(0.01) or (own, dict(zip(cores, idle)))
os.sched_setaffinity(0, cores)
own, idle = 0.5, (0.9, 0.5)
spinning.spin_where_idle(2)
for _ in range(2):
    wait_for(2, cores)  # this thread, and the one that watches
    own, idle = 1.0, (0.3, 0.2)
    wait_for(3, {first})  # the one that watches leads a team
    own, idle = 0.5, (0.0, 1.0)
    wait_for(3, {second})
    own, idle = 1.0, (1.0, 0.0)
"""
SHARED = """
import os, subprocess, sys, threading
from d2l_bn.system import spinning

os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
other = subprocess.Popen([sys.executable, "-c", "while True: pass"])  # on the same core
loop = "while True: pass"
threading.Thread(target=exec, args=(loop,), daemon=True).start()
spinning.SECONDS = 2
core, = cores = list(os.sched_getaffinity(0))
own, idle = spinning._look(cores)
print(own + idle[core])
other.kill()
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
def test_while_cores_are_crowded_there_is_a_team_and_one_core_is_kept_to():
    run(TEAM)


@pytest.mark.slow
def test_a_core_that_others_use_is_not_free():
    assert float(run(SHARED)) < 1 - spinning.MARGIN


def test_only_the_cores_that_we_may_use_count(tmp_path, monkeypatch):
    monkeypatch.setattr(spinning, "STAT", tmp_path / "stat")
    lines = "cpu 9 9 9 900 900 9", "cpu0 9 9 9 200 100 9", "cpu1 9 9 9 700 800 9", "intr 9 9"
    spinning.STAT.write_text("\n".join(lines))
    assert spinning._idle([0]) == {0: 300 / os.sysconf("SC_CLK_TCK")}


@pytest.mark.parametrize(
    ("threads", "own", "free", "kept"),
    [
        (2, 2.0, {}, None),  # spinning, both on cores of their own
        (2, 0.0, {5: 0.9, 6: 0.8}, None),
        (2, 0.6, {7: 0.8}, [7]),
        (4, 2.6, {7: 0.8}, range(64)),  # one core would be too few
    ],
)
def test_two_threads_on_64_cores_keep_to_one_where_the_rest_is_taken(
    monkeypatch, threads, own, free, kept
):
    looks = iter([(own, {core: free.get(core, 0.0) for core in range(64)})])
    done = []
    monkeypatch.setattr(spinning, "_look", lambda cores: next(looks))
    monkeypatch.setattr(spinning, "_keep_to", lambda cores: done.append(list(cores)))
    monkeypatch.setattr(spinning, "_go_on", lambda *state, crowded: done.append(crowded))
    with contextlib.suppress(StopIteration):
        spinning._watch(threads, list(range(64)), crowded=False)
    assert done == ([] if kept is None else [list(kept), True])


def test_where_no_more_threads_start_it_watches_no_longer_and_keeps_all_cores(monkeypatch):
    def start(thread):
        raise RuntimeError("can't start new thread")  # as under `ulimit -u`

    cores = sorted(os.sched_getaffinity(0))
    with monkeypatch.context() as patch:
        patch.setattr(spinning.threading.Thread, "start", start)
        try:
            os.sched_setaffinity(0, cores[:1])
            spinning._go_on(2, cores, crowded=True)
            assert sorted(os.sched_getaffinity(0)) == cores
        finally:
            os.sched_setaffinity(0, cores)
