"""The sandbox for students' code: no network, no files but Python's, limits on everything.

It is bubblewrap's (`bwrap`), or a container of podman's or docker's: new namespaces for processes,
network and file system, in which only Python, the packages that exercises need and the folder of
`reach.py` can be seen, and /tmp is empty and small.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from classroom import ClassroomError, reach

SCRATCH = 64 * 2**20  # bytes in /tmp
NOBODY = 65534
PROCESSES = 64  # at a time; threads count


class Sandbox:
    """Starts workers in a place of their own.

    Parameters
    ----------
    folder : Path
        What `reach.prepare` made.
    """

    sees = "/reach"  # where a worker sees that folder

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def command(self, name: str, variables: Mapping[str, str], *, mxnet: bool = True) -> list[str]:
        """What starts a worker called `name` that gets these environment variables.

        Without `mxnet`, NumPy is all there is to compute with.
        """
        raise NotImplementedError

    def end(self, name: str) -> None:
        """Stop what is left of a worker when the process that was started has been killed."""


class NoSandbox(Sandbox):
    """Starts workers as the teacher, with the teacher's files, network and packages."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.sees = str(folder)

    def command(self, name: str, variables: Mapping[str, str], *, mxnet: bool = True) -> list[str]:
        """What starts a worker."""
        return [sys.executable, "-s", "-B", str(self.folder / "worker.py")]


class Bubblewrap(Sandbox):
    """Starts workers under bubblewrap, with the teacher's Python; they die with it."""

    def __init__(self, folder: Path, bwrap: str) -> None:
        super().__init__(folder)
        self.bwrap = bwrap

    def command(self, name: str, variables: Mapping[str, str], *, mxnet: bool = True) -> list[str]:
        """What starts a worker."""
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
        options += self._python(mxnet)
        for name in ("d2l_bn", "worker.py"):
            options += ["--ro-bind", str(self.folder / name), f"{self.sees}/{name}"]
        options += ["--chdir", "/tmp"]
        return [self.bwrap, *options, sys.executable, "-s", "-B", f"{self.sees}/worker.py"]

    def _python(self, mxnet: bool) -> list[str]:
        """The options that show Python and a few packages, and hide all others."""
        prefix, base = Path(sys.prefix), Path(sys.base_prefix)
        shown = [base] if base != Path("/usr") else []
        if prefix != base:
            shown += [prefix / "bin", prefix / "pyvenv.cfg"]
        options = _bound([path for path in shown if path.exists()])
        for folder in reach.hidden():
            if Path("/usr") in folder.parents or base in folder.parents:
                options += ["--perms", "0755", "--tmpfs", str(folder)]
        options += _bound(reach.packages(mxnet=mxnet))
        if mxnet:
            options += ["--ro-bind", str(self.folder / "libmxnet.so"), str(reach.library())]
        return options


def _bound(paths: list[Path]) -> list[str]:
    """The options that show these, in folders that not only root can look into."""
    parents = dict.fromkeys(parent for path in paths for parent in reversed(path.parents[:-1]))
    options: list[str] = []
    for parent in parents:
        options += ["--perms", "0755", "--dir", str(parent)]
    for path in paths:
        options += ["--ro-bind", str(path), str(path)]
    return options


class Container(Sandbox):
    """Starts workers in containers of an image that has Python, MXNet and NumPy."""

    def __init__(self, folder: Path, engine: str, image: str) -> None:
        super().__init__(folder)
        self.engine, self.image = engine, image
        self.places: dict[str, str] = {}

    def command(self, name: str, variables: Mapping[str, str], *, mxnet: bool = True) -> list[str]:
        """What starts a worker; the memory limit holds for all its processes together."""
        options = ["--rm", "--interactive", "--name", name, "--network", "none", "--read-only"]
        options += ["--cap-drop", "ALL", "--security-opt", "no-new-privileges"]
        options += ["--user", f"{NOBODY}:{NOBODY}", "--pids-limit", str(PROCESSES)]
        options += ["--memory", f"{variables['WORKER_MB']}m"]
        options += ["--tmpfs", f"/tmp:size={SCRATCH},mode=1777", "--workdir", "/tmp"]
        for source, target in self._volumes(mxnet):
            options += ["--volume", f"{source}:{target}:ro"]
        for variable, value in variables.items():
            if variable != "PATH":  # the image knows where its Python is
                options += ["--env", f"{variable}={value}"]
        python = ["python3", "-s", "-B", f"{self.sees}/worker.py"]
        return [self.engine, "run", *options, self.image, *python]

    def _volumes(self, mxnet: bool) -> list[tuple[str, str]]:
        """What is shown, over what the image has of the same kind."""
        places = self.places or self._ask()
        names = ("d2l_bn", "worker.py")
        volumes = [(str(self.folder / name), f"{self.sees}/{name}") for name in names]
        if "d2l_bn" in places:  # the image's own, with its answers
            volumes.append((str(self.folder / "d2l_bn"), places["d2l_bn"]))
        if "mxnet" in places:
            taken = f"{places['mxnet']}/libmxnet.so" if mxnet else places["mxnet"]
            volumes.append((str(self.folder / ("libmxnet.so" if mxnet else "d2l_bn")), taken))
        return volumes

    def _ask(self) -> dict[str, str]:
        """Ask the image where it keeps what is not to be reached."""
        code = (
            "import importlib.util as u\n"
            "for n in ('d2l_bn', 'mxnet'):\n"
            "    s = u.find_spec(n)\n"
            "    print(n, list(s.submodule_search_locations)[0]) if s else None"
        )
        command = [
            self.engine,
            "run",
            "--rm",
            "--network",
            "none",
            self.image,
            "python3",
            "-c",
            code,
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ClassroomError(f"can't start a sandbox here: {done.stderr.strip()[-300:]}")
        lines = [line.split(" ", 1) for line in done.stdout.splitlines() if " " in line]
        self.places = {name: place.strip() for name, place in lines}
        return self.places

    def end(self, name: str) -> None:
        """Kill the container, which outlives the program that started it."""
        subprocess.run([self.engine, "kill", name], capture_output=True, check=False)


def sandbox(folder: Path, *, isolated: bool = True, image: str = "") -> Sandbox:
    """The sandbox that this machine has.

    Parameters
    ----------
    folder : Path
        Where to keep what a sandbox shows.
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
        return NoSandbox(reach.prepare(folder))
    if image:
        engine = shutil.which("podman") or shutil.which("docker")
        if engine is None:
            raise ClassroomError("--image needs podman or docker, and neither is installed")
        return _tried(Container(reach.prepare(folder), engine, image))
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        raise ClassroomError(
            "runs students' code under bubblewrap, which is not installed: "
            "apt-get install bubblewrap, or --image NAME for containers (--without-isolation runs "
            "it as yourself, with your files and your network)"
        )
    return _tried(Bubblewrap(reach.prepare(folder), bwrap))


def _tried(found: Sandbox) -> Sandbox:
    """Start a worker and give it nothing to do."""
    variables = environment(found, memory=4000, seconds=60)
    command = found.command(f"d2l-bn-{os.getpid()}", variables)
    done = subprocess.run(
        command, env=variables, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
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
        "WORKER_PROCESSES": str(PROCESSES),
    }
