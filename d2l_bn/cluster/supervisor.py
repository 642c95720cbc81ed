"""Start a command and say what became of it; a program by itself, without any import of ours.

    python supervisor.py COMMAND ...

Where one of several processes is killed, the launcher kills the others at once, so none of them can
say which it was, and what to do. The supervisor of the killed one can. It also ends a start that
takes too long, which a process inside of MPI's own start can't.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

# As in launched.py
RANKS = ("PMI_RANK", "OMPI_COMM_WORLD_RANK", "SLURM_PROCID")
MACHINE = ("PMI_HOSTNAME", "SLURMD_NODENAME")
PAUSE = 0.3  # seconds in which the launcher reads our last line, before it ends the job
TICK = 0.2
GRACE = 3  # seconds in which a launcher has ended a job, if it can reach all of it


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
    name = f"rank {rank()} (process {child.pid} on {given(MACHINE, socket.gethostname())})"
    said, late = follow(child, reader, launcher)
    advice = said["advice"]
    if said["lost"] or late:
        end_launcher()
    if late:
        child.kill()
        child.wait()
        return say(f"{name} {late}", advice, 1)
    code = child.returncode
    if code >= 0:
        if advice and code not in (0, 2) and rank() != 0:  # rank 0 has said how to go on
            print(f"d2l-bn: {advice}", file=sys.stderr, flush=True)
            time.sleep(PAUSE)
        return code
    killed = f"{name} was ended by signal {-code}, {signal.Signals(-code).name}"
    if -code == signal.SIGKILL:
        killed += ": killed by somebody, or by the system, which had no memory left"
    if -code == signal.SIGBUS:
        killed += ": /dev/shm is full. Free it, or give it more: docker run --shm-size=1g"
    return say(killed, advice, 128 - code)


def follow(child: subprocess.Popen, reader: int, launcher: int) -> tuple[dict, str]:
    """Wait for the end of the child, of the launcher, or of a time that the child has set itself.

    Returns what the child has written last to `reader`, as `launched.tell_supervisor` has it, and
    why the child has to be ended, or "".
    """
    said: dict = {"advice": "", "lost": False}
    left, rest = float("inf"), b""
    while True:
        ended = child.poll() is not None  # asked first: all that it has said is then in the pipe
        if not ended and os.getppid() != launcher:
            return said, "ends, since the launcher on this machine has ended"
        start = time.monotonic()
        if select.select([reader], [], [], 0 if ended else TICK)[0]:
            *lines, rest = (rest + os.read(reader, 65536)).split(b"\n")
            for message in map(json.loads, lines):
                said.update(message)
                if "within" in message:
                    left = message["within"] or float("inf")
            if not lines and not rest and not ended:  # the child has closed its end, as it ends
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.wait(TICK)
        if ended:
            return said, ""
        # Where all processes are paused together, a tick takes long, and none is to blame.
        left -= min(time.monotonic() - start, 2 * TICK)
        if left <= 0:
            return said, said["doing"]


def end_launcher() -> None:
    """End mpiexec, if it still waits, after a moment, for what doesn't answer.

    A process of its own does this, since mpiexec ends this one as soon as it can. mpiexec.gforker
    has started this one itself, and waits for the processes beside it: so they are ended.
    """
    parent = os.getppid()  # or else mpiexec's helper on this machine
    forker = process(parent)[0].startswith("mpiexec")
    launcher = parent if forker else process(parent)[1]
    if not process(launcher)[0].startswith("mpiexec") or os.fork():
        return
    os.setsid()
    os.closerange(0, 4096)  # mpiexec waits until nobody holds its pipes
    time.sleep(GRACE)
    if process(launcher)[0].startswith("mpiexec"):
        running = (int(path.name) for path in Path("/proc").glob("[0-9]*"))
        beside = [pid for pid in running if process(pid)[1] == launcher]
        for pid in beside if forker else [launcher]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)  # what is stopped takes no other signal
    os._exit(0)


def process(pid: int) -> tuple[str, int]:
    """The name and the parent of a process; ("", 0) if there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return "", 0
    return stat[stat.index("(") + 1 : stat.rindex(")")], int(stat.rpartition(")")[2].split()[1])


def say(what: str, advice: str, code: int) -> int:
    """Print a last line, and give the launcher time to read it; return the code."""
    time.sleep(min(rank(), 5) * TICK if code == 1 else 0)  # the first rank speaks first
    print(f"d2l-bn: {what}. {advice}", file=sys.stderr, flush=True)
    time.sleep(PAUSE)
    return code


def rank() -> int:
    """The number of this process among those of the launcher."""
    return int(given(RANKS, "0"))


def given(names: tuple[str, ...], otherwise: str) -> str:
    """The first of these variables that the launcher has set."""
    return next((os.environ[name] for name in names if name in os.environ), otherwise)


def end_with_parent() -> None:
    """Ask the system to kill this process when its parent is gone."""
    death_signal = 1  # PR_SET_PDEATHSIG, of linux/prctl.h
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(death_signal, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
