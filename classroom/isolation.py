"""The sandbox for students' code: no network, no files but Python's, limits on everything.

It is bubblewrap's (`bwrap`): new namespaces for processes, network and file system, in which only
the Python installation and the package d2l_bn can be seen, and /tmp is empty and small.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import d2l_bn
from classroom import ClassroomError

PACKAGE = Path(d2l_bn.__file__).parent
WORKER = Path(__file__).parent / "worker.py"
SCRATCH = 64 * 2**20  # bytes in /tmp
NOBODY = 65534


def command(*, isolated: bool) -> list[str]:
    """What starts a worker.

    Raises
    ------
    ClassroomError
        If it is to be isolated and there is no bubblewrap, or bubblewrap doesn't work here.
    """
    python = [sys.executable, "-s", "-B"]
    if not isolated:
        return [*python, str(WORKER)]
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        raise ClassroomError(
            "runs students' code under bubblewrap, which is not installed: "
            "apt-get install bubblewrap (--without-isolation runs it as yourself, with your "
            "files and your network)"
        )
    sandbox = [bwrap, *_options()]
    done = subprocess.run([*sandbox, *python, "-c", ""], capture_output=True, text=True)
    if done.returncode:
        raise ClassroomError(f"can't start a sandbox here: {done.stderr.strip()[-300:]}")
    return [*sandbox, *python, "/worker.py"]


def _options() -> list[str]:
    options = [f"--unshare-{what}" for what in ("pid", "net", "ipc", "uts", "cgroup-try")]
    if os.geteuid() == 0:  # the worker becomes nobody: no limit on processes holds for root
        options += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
        options += ["--setenv", "WORKER_UID", str(NOBODY)]
    else:
        options += ["--unshare-user"]
    options += ["--die-with-parent", "--new-session", "--proc", "/proc", "--dev", "/dev"]
    options += ["--perms", "1777", "--size", str(SCRATCH), "--tmpfs", "/tmp"]
    for folder in ("/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache", "/etc/alternatives"):
        options += ["--ro-bind-try", folder, folder]
    for folder in dict.fromkeys([sys.base_prefix, sys.prefix, str(PACKAGE)]):
        for parent in reversed(Path(folder).parents[:-1]):  # or only root could look into them
            options += ["--perms", "0755", "--dir", str(parent)]
        options += ["--ro-bind", folder, folder]
    return [*options, "--ro-bind", str(WORKER), "/worker.py", "--chdir", "/tmp"]


def environment() -> dict[str, str]:
    """All that a worker learns of the teacher's environment."""
    kept = {name: os.environ[name] for name in ("LANG", "OPENBLAS_CORETYPE") if name in os.environ}
    return {
        **kept,
        "PATH": "/usr/bin:/bin",
        "HOME": "/tmp",
        "PYTHONPATH": str(PACKAGE.parent),  # the d2l_bn that the teacher runs, and no other
        "IPYTHONDIR": "/tmp/ipython",
        "MPLCONFIGDIR": "/tmp/matplotlib",
        "MPLBACKEND": "agg",
        "OMP_NUM_THREADS": "1",
        "PYTHONHASHSEED": "0",
    }
