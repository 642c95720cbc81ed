"""The sandbox for students' code: no network, no files but Python's, limits on everything.

It is bubblewrap's (`bwrap`), or a container of podman's or docker's: new namespaces for processes,
network and file system, in which only a Python installation and the package d2l_bn can be seen, and
/tmp is empty and small.
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
PROCESSES = 64  # in a container; the worker sets the same limit for itself


class NoSandbox:
    """Starts workers as the teacher, with the teacher's files and network."""

    python = (sys.executable, "-s", "-B")

    def command(self, name: str, variables: dict[str, str]) -> list[str]:
        """What starts a worker called `name` that gets these environment variables."""
        return [*self.python, str(WORKER)]

    def end(self, name: str) -> None:
        """Stop what is left of a worker when the process that was started has been killed."""


class Bubblewrap(NoSandbox):
    """Starts workers under bubblewrap, with the teacher's Python; they die with it."""

    def __init__(self, bwrap: str) -> None:
        self.bwrap = bwrap

    def command(self, name: str, variables: dict[str, str]) -> list[str]:
        """What starts a worker."""
        return [self.bwrap, *self._options(), *self.python, "/worker.py"]

    def _options(self) -> list[str]:
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


class Container(NoSandbox):
    """Starts workers in containers of an image that has Python, MXNet and NumPy."""

    def __init__(self, engine: str, image: str) -> None:
        self.engine, self.image = engine, image

    def command(self, name: str, variables: dict[str, str]) -> list[str]:
        """What starts a worker; the memory limit holds for all its processes together."""
        options = ["--rm", "--interactive", "--name", name, "--network", "none", "--read-only"]
        options += ["--cap-drop", "ALL", "--security-opt", "no-new-privileges"]
        options += ["--user", f"{NOBODY}:{NOBODY}", "--pids-limit", str(PROCESSES)]
        options += ["--memory", f"{variables['WORKER_MB']}m"]
        options += ["--tmpfs", f"/tmp:size={SCRATCH},mode=1777", "--workdir", "/tmp"]
        for source, target in ((PACKAGE, PACKAGE), (WORKER, "/worker.py")):
            options += ["--volume", f"{source}:{target}:ro"]
        for variable, value in variables.items():
            if variable != "PATH":  # the image knows where its Python is
                options += ["--env", f"{variable}={value}"]
        return [self.engine, "run", *options, self.image, "python3", "-s", "-B", "/worker.py"]

    def end(self, name: str) -> None:
        """Kill the container, which outlives the program that started it."""
        subprocess.run([self.engine, "kill", name], capture_output=True, check=False)


def sandbox(*, isolated: bool = True, image: str = "") -> NoSandbox:
    """The sandbox that this machine has.

    Parameters
    ----------
    isolated : bool
        Whether there has to be one.
    image : str
        Of the containers to use in place of bubblewrap.

    Raises
    ------
    ClassroomError
        If it is to be isolated, and what that takes is not installed or doesn't work here.
    """
    if not isolated:
        return NoSandbox()
    if image:
        engine = shutil.which("podman") or shutil.which("docker")
        if engine is None:
            raise ClassroomError("--image needs podman or docker, and neither is installed")
        return _tried(Container(engine, image))
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        raise ClassroomError(
            "runs students' code under bubblewrap, which is not installed: "
            "apt-get install bubblewrap, or --image NAME for containers (--without-isolation runs "
            "it as yourself, with your files and your network)"
        )
    return _tried(Bubblewrap(bwrap))


def _tried(found: NoSandbox) -> NoSandbox:
    """Start a worker and give it nothing to do."""
    variables = {**environment(), "WORKER_MB": "4000", "WORKER_SECONDS": "60"}
    command = found.command(f"d2l-bn-{os.getpid()}", variables)
    done = subprocess.run(
        command, env=variables, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if done.returncode:
        raise ClassroomError(f"can't start a sandbox here: {done.stderr.strip()[-300:]}")
    return found


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
