"""Start a command and say what became of it; a program by itself, without any import of ours.

    python supervisor.py COMMAND ...

Where one of several processes is killed, the launcher kills the others at once, so none of them can
say which it was, and what to do. The supervisor of the killed one can. It also ends a start that
takes too long, which a process inside of MPI's own start can't.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time

RANKS = ("PMI_RANK", "OMPI_COMM_WORLD_RANK", "SLURM_PROCID")  # as in launched.py
PAUSE = 0.3  # seconds in which the launcher reads our last line, before it ends the job
TICK = 0.2


def main() -> int:
    """Run the command to its end, and return its exit code."""
    launcher = os.getppid()  # asked before the command starts: it may bring the launcher down
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)
    child = subprocess.Popen(
        sys.argv[1:],
        env={**os.environ, "D2L_BN_SUPERVISOR": str(writer)},
        close_fds=False,  # the launcher's own pipes are among them
        preexec_fn=end_with_parent,
    )
    os.close(writer)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: child.send_signal(number))
    name = f"rank {rank()} (process {child.pid} on {socket.gethostname()})"
    advice, late = follow(child, reader, launcher)
    if late:
        child.kill()
        child.wait()
        return say(f"{name} {late}", advice, 1)
    code = child.returncode
    if code >= 0:
        if advice and code not in (0, 2) and rank() != "0":  # rank 0 has said how to go on
            print(f"d2l-bn: {advice}", file=sys.stderr, flush=True)
            time.sleep(PAUSE)
        return code
    killed = f"{name} was ended by signal {-code}, {signal.Signals(-code).name}"
    if -code == signal.SIGKILL:
        killed += ": killed by somebody, or by the system, which had no memory left"
    return say(killed, advice, 128 - code)


def follow(child: subprocess.Popen, reader: int, launcher: int) -> tuple[str, str]:
    """Wait for the end of the child, of the launcher, or of a time that the child has set itself.

    Parameters
    ----------
    child : Popen
    reader : int
        The end of the pipe that the child writes messages to.
    launcher : int
        The process that has started this one.

    Returns
    -------
    advice, late : str
        What the child has last said about going on, and why it has to be ended, or "".
    """
    advice, doing, left, rest = "", "", float("inf"), b""
    while True:
        ended = child.poll() is not None  # asked first: all that it has said is then in the pipe
        if not ended and os.getppid() != launcher:
            return advice, "ends, since the launcher on this machine has ended"
        start = time.monotonic()
        if select.select([reader], [], [], 0 if ended else TICK)[0]:
            *lines, rest = (rest + os.read(reader, 65536)).split(b"\n")
            for message in map(json.loads, lines):
                advice = message.get("advice", advice)
                if "within" in message:
                    within = message["within"]
                    left, doing = (within or float("inf")), message.get("doing", "")
            if not (lines or rest or ended):
                time.sleep(TICK)  # the child has closed its end
        if ended:
            return advice, ""
        # Where all processes are paused together, a tick takes long, and none is to blame.
        left -= min(time.monotonic() - start, 2 * TICK)
        if left <= 0:
            return advice, doing


def say(what: str, advice: str, code: int) -> int:
    """Print a last line, and give the launcher time to read it; return the code."""
    time.sleep(min(int(rank()), 5) * TICK if code == 1 else 0)  # the first rank speaks first
    print(f"d2l-bn: {what}. {advice}", file=sys.stderr, flush=True)
    time.sleep(PAUSE)
    return code


def rank() -> str:
    """The number of this process among those of the launcher."""
    return next((os.environ[name] for name in RANKS if name in os.environ), "0")


def end_with_parent() -> None:
    """Ask the system to kill this process when its parent is gone."""
    death_signal = 1  # PR_SET_PDEATHSIG, of linux/prctl.h
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(death_signal, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
