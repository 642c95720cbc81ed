"""A signal is never lost, also where Python would swallow the exception."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from d2l_bn.system.interrupts import deferred

ROOT = str(Path(__file__).parents[2])


class Freed:
    """Like an NDArray, it runs Python code when it is freed."""

    def __init__(self, number):
        self.number = number

    def __del__(self):
        os.kill(os.getpid(), self.number)
        for _ in range(1000):  # the handler runs in here
            pass


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_an_array_is_freed_is_not_lost(number):
    with deferred() as check:
        check()
        freed = Freed(number)
        del freed
        with pytest.raises(KeyboardInterrupt) as stop:
            check()
    assert stop.value.args == (number,)


def test_a_signal_after_the_last_check_is_raised_at_the_end():
    with pytest.raises(KeyboardInterrupt), deferred():
        os.kill(os.getpid(), signal.SIGINT)


def test_the_handlers_are_put_back():
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with deferred():
        assert signal.getsignal(signal.SIGINT) not in before
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_with_a_notice_the_second_signal_is_not_held_back():
    said = []
    with deferred(lambda: said.append("after this case")) as check:
        os.kill(os.getpid(), signal.SIGINT)
        assert said == ["after this case"]
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            check()
    assert said == ["after this case"]


def test_a_handler_that_is_not_pythons_is_left_alone(monkeypatch):
    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(signal, "getsignal", lambda number: None)
    with deferred():
        pass
    monkeypatch.undo()
    assert signal.getsignal(signal.SIGINT) == before


@pytest.mark.parametrize("start, quiet", [("-m", True), ("bin/d2l-bn", True), ("my.py", False)])
def test_a_program_of_ours_ends_without_a_traceback_while_it_is_imported(start, quiet):
    program = f"import os, sys; sys.argv = [{start!r}]; sys.path[:0] = ['', {ROOT!r}]; "
    program += "import d2l_bn; os.kill(os.getpid(), 2)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == -signal.SIGINT and ("Traceback" in done.stderr) != quiet


def test_a_crash_ends_a_program_with_pythons_stack_alone():
    """MXNet's handler would write a stack of its own, and may wait forever for a lock."""
    program = """
import os, signal
from d2l_bn.system.interrupts import end_at_crash
end_at_crash()
os.kill(os.getpid(), signal.SIGSEGV)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == -signal.SIGSEGV
    assert "Fatal Python error: Segmentation fault" in done.stderr
    assert "Segmentation fault: 11" not in done.stderr  # MXNet's
