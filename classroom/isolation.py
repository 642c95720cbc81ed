"""The sandbox for students' code: no network, no files but Python's, limits on everything.

It is bubblewrap's (`bwrap`): new namespaces for processes, network and file system, in which only
Python, the packages that exercises need and the folder of `reach.py` can be seen, and /tmp is empty
and small. Each sandbox has limits of its own, whatever others do: processes are counted for each
user, and it has one to itself, of the machine's for root, or else of a namespace.
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from classroom import ClassroomError, reach

SCRATCH = 64 * 2**20  # bytes in /tmp, and as many of shared memory
PROCESSES = 64  # at a time; threads count
USERS = 50_000  # how many are taken in turn


class Sandbox:
    """Starts workers in a place of their own; without `bwrap` as the teacher, in the open."""

    def __init__(self, folder: Path, bwrap: str = "") -> None:
        self.folder, self.bwrap = folder, bwrap
        self.sees = "/reach" if bwrap else str(folder)  # where a worker sees that folder
        self.numbers = itertools.count(os.getpid() * PROCESSES)
        linux = tuple(map(int, re.findall(r"\d+", os.uname().release)[:2]))
        own = bool(bwrap) and (os.geteuid() == 0 or linux >= (5, 14))
        self.processes = PROCESSES if own else 0  # 0 where the system counts others', too

    def command(self, *, mxnet: bool = True) -> list[str]:
        """What starts a worker. Without `mxnet`, NumPy is all there is to compute with."""
        worker = [sys.executable, "-s", "-B", f"{self.sees}/worker.py"]
        if not self.bwrap:
            return worker
        options = [f"--unshare-{what}" for what in ("pid", "net", "ipc", "uts", "cgroup-try")]
        if os.geteuid() == 0:  # the worker becomes a user of its own: root has no such limits
            options += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
            options += ["--setenv", "WORKER_UID", str(_last_user() - next(self.numbers) % USERS)]
        else:
            # bwrap's own first process would have no limits, and its user can write into it. For
            # root it is there: when bwrap ends, it may not end a process of another user.
            options += ["--unshare-user", "--as-pid-1"]
        options += ["--die-with-parent", "--new-session"]
        options += ["--proc", "/proc", "--dev", "/dev"]
        options += ["--ro-bind", "/dev/null", "/dev/zero"]  # of which shared memory can be made
        for folder in ("/tmp", "/dev/shm"):
            options += ["--perms", "1777", "--size", str(SCRATCH), "--tmpfs", folder]
        for folder in ("/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache", "/etc/alternatives"):
            options += ["--ro-bind-try", folder, folder]
        options += [*self._python(mxnet), "--perms", "0755", "--dir", self.sees]
        for name in ("d2l_bn", "reader.py", "worker.py"):
            options += ["--ro-bind", str(self.folder / name), f"{self.sees}/{name}"]
        options += ["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/tmp"]
        return [self.bwrap, *options, *worker]

    def _python(self, mxnet: bool) -> list[str]:
        """The options that show Python and a few packages, and hide all others."""
        prefix, base = Path(sys.prefix), Path(sys.base_prefix)
        options = _bound([base] if base != Path("/usr") else [])
        hidden = [str(f) for f in reach.hidden() if {Path("/usr"), base} & {*f.parents}]
        for folder in hidden:
            options += ["--perms", "0755", "--tmpfs", folder]
        own = [prefix / "bin", prefix / "pyvenv.cfg"] if prefix != base else []
        options += _bound([*filter(Path.exists, own), *reach.packages(mxnet=mxnet)])
        if mxnet:
            options += ["--ro-bind", str(self.folder / "libmxnet.so"), str(reach.library())]
        return options + [word for folder in hidden for word in ("--remount-ro", folder)]


def _last_user() -> int:
    """The last user that there can be here, but for some that systems use."""
    first, _, count = Path("/proc/self/uid_map").read_text().split()[-3:]
    return min(int(first) + int(count), 2**31) - 1000


def _bound(paths: list[Path]) -> list[str]:
    """The options that show these, in folders that not only root can look into."""
    parents = dict.fromkeys(parent for path in paths for parent in reversed(path.parents[:-1]))
    options = [word for parent in parents for word in ("--perms", "0755", "--dir", str(parent))]
    return options + [word for path in paths for word in ("--ro-bind", str(path), str(path))]


def sandbox(folder: Path, *, isolated: bool = True) -> Sandbox:
    """The sandbox that this machine has; `folder` keeps what it shows.

    ClassroomError if it is to be isolated, and bubblewrap isn't installed or doesn't work here.
    """
    bwrap = shutil.which("bwrap") or ""
    if isolated and not bwrap:
        raise ClassroomError(
            "runs students' code under bubblewrap, which is not installed: "
            "apt-get install bubblewrap (--without-isolation runs it as yourself, with your files "
            "and your network)"
        )
    found = Sandbox(reach.prepare(folder), bwrap if isolated else "")
    own = environment(found, memory=4000, seconds=60)
    done = subprocess.run(found.command(), env=own, input="", capture_output=True, text=True)
    if done.returncode:
        raise ClassroomError(f"can't start a sandbox here: {done.stderr.strip()[-300:]}")
    return found


def environment(sandbox: Sandbox, *, memory: int, seconds: int) -> dict[str, str]:
    """All that a worker learns of the teacher's environment, and its limits."""
    kept = {name: os.environ[name] for name in ("LANG", "OPENBLAS_CORETYPE") if name in os.environ}
    return {
        **kept,
        "PATH": "/usr/bin:/bin",
        "HOME": "/tmp",
        "PYTHONPATH": sandbox.sees,
        "MPLCONFIGDIR": "/tmp/matplotlib",
        "MPLBACKEND": "agg",
        "OMP_NUM_THREADS": "1",
        "PYTHONHASHSEED": "0",
        "WORKER_MB": str(memory),
        "WORKER_SECONDS": str(seconds),
        "WORKER_PROCESSES": str(sandbox.processes),
        "WORKER_ISOLATED": str(int(bool(sandbox.bwrap))),
    }
