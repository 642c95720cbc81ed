"""Builds the library of ``operator.cc`` with the machine's own compiler, once, and keeps it.

It is kept in ``$XDG_CACHE_HOME/d2l_bn-operator`` (``~/.cache`` where that isn't set), under a name
made of all that it depends on and of its own hash, so that a part of a file is never loaded. Nor is
one that crashes: it is tried in a process of its own first. Where the folder can't be written to,
or where others could write to it, the library is built for this process alone, in a private folder.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import platform
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Optional

import mxnet as mx

MXNET = Path(mx.__file__).parent
SOURCES = (
    Path(__file__).with_name("operator.cc"),
    MXNET / "src" / "lib_api.cc",
    Path(__file__).with_name("blocks.h"),
    MXNET / "include" / "mxnet" / "lib_api.h",
)
BASE = ("-std=c++14", "-O3", "-shared", "-fPIC", f"-I{MXNET / 'include'}")
# The first that the compiler accepts, and whose result runs.
OPTIONS = (
    ("-fopenmp", "-march=native"),
    ("-fopenmp",),
    ("-fopenmp-simd", "-march=native"),
    (),
)
TRIAL = """
import sys
from pathlib import Path
sys.path[:] = sys.argv[2:]
import d2l_bn
from d2l_bn.nn import trial
trial.run(Path(sys.argv[1]))
"""
BUILD_SECONDS = 120  # for a compilation, and for a trial, which take a few
PREFIX = "d2l_bn-building-"  # of temporary files and folders
KEPT_DAYS = 90  # for a library that nobody uses
STALE_DAYS = 1  # for what a process that was killed has left
WAIT_SECONDS = 120  # for another process that builds; afterwards this one does


class Unavailable(Exception):
    """There can be no compiled operator on this machine; the message says what to do."""


@contextlib.contextmanager
def library() -> Iterator[Path]:
    """A library to load: from the cache, or a new one, which may be gone after the block."""
    compiler = _compiler()
    key = _key(compiler)
    folder, problem = _cache()
    found = _find(folder, key)
    if found:
        yield found
        return
    with contextlib.ExitStack() as stack:
        stack.enter_context(_only_one(folder))
        found = _find(folder, key)  # from the one that we waited for
        if not found:
            _clean(folder)
            temporary = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=PREFIX)))
            print("d2l_bn: compiling the operator, once, for some seconds", file=sys.stderr)
            found = _build(compiler, temporary)
            if folder:
                try:
                    found = _keep(found, folder, key)
                except OSError as error:  # such as a full disk
                    problem = str(error)
            if problem:
                print(
                    f"d2l_bn: built the operator for this process alone: {problem}", file=sys.stderr
                )
        yield found


def _compiler() -> list[str]:
    """The command of the compiler: ``$CXX``, or the first that is there."""
    chosen = os.environ.get("CXX", "").strip()
    for command in [shlex.split(chosen)] if chosen else [["c++"], ["g++"], ["clang++"]]:
        path = shutil.which(command[0])
        if path:
            return [path, *command[1:]]
    missing = f"CXX={chosen} is not there" if chosen else "there is no C++ compiler"
    raise Unavailable(f"{missing}. Install one: apt-get install g++")


def _key(compiler: list[str]) -> str:
    """What the library depends on, as one short name."""
    state = os.stat(compiler[0])  # of a new version they differ
    compiler = [*compiler, os.path.realpath(compiler[0]), f"{state.st_size} {state.st_mtime_ns}"]
    digest = hashlib.sha256(repr([mx.__version__, compiler, BASE, OPTIONS, _processor()]).encode())
    for source in SOURCES:
        digest.update(source.read_bytes())
    return digest.hexdigest()[:24]


def _processor() -> list[str]:
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as file:
        lines = iter(file.readline, "\n")  # up to the first empty line: one core
        names = ("model", "flags", "CPU", "Features")  # the last two are Arm's
        return [line for line in lines if line.startswith(names)]
    return list(platform.uname())


def _cache() -> tuple[Optional[Path], str]:
    """The folder for libraries, or None and why there is none that is safe."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))
    folder = base / "d2l_bn-operator"  # not that of the data, which a group may be able to write to
    if not base.is_absolute():
        return None, f"there is no home folder for a cache, only {base}: set XDG_CACHE_HOME"
    try:
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        folder = folder.resolve()
        above = folder.parent.stat().st_mode
        if not _ours(folder) or (above & 0o022 and not above & stat.S_ISVTX):
            return None, f"others could write to {folder}: chmod go-w, or chown it to yourself"
    except OSError as error:
        return None, str(error)
    return folder, ""


def _ours(path: Path) -> bool:
    """Whether nobody but us and root can have written this. It is not so for a link."""
    state = path.lstat()
    return state.st_uid == os.geteuid() and not state.st_mode & 0o022


def _find(folder: Optional[Path], key: str) -> Optional[Path]:
    """A library in the cache that is whole: the hash of its bytes is in its name."""
    for path in folder.glob(f"{key}-*.so") if folder else ():
        with contextlib.suppress(OSError):
            if _ours(path) and path.name == _name(key, path.read_bytes()):
                with contextlib.suppress(OSError):
                    os.utime(path)  # so that it is known to be in use
                return path
    return None


def _name(key: str, content: bytes) -> str:
    return f"{key}-{hashlib.sha256(content).hexdigest()}.so"


def _keep(built: Path, folder: Path, key: str) -> Path:
    """Put a library into the cache, whole or not at all."""
    content = built.read_bytes()
    path = folder / _name(key, content)
    handle, temporary = tempfile.mkstemp(prefix=PREFIX, dir=folder)
    try:
        with open(handle, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    except BaseException:  # an interruption, too
        os.unlink(temporary)
        raise
    return path


def _clean(folder: Optional[Path]) -> None:
    """Remove libraries of ours that nobody uses any more, and what a killed process has left."""
    places = [(Path(tempfile.gettempdir()), f"{PREFIX}*", STALE_DAYS)]
    if folder:
        places += [(folder, f"{PREFIX}*", STALE_DAYS), (folder, "*.so", KEPT_DAYS)]
    for place, pattern, days in places:
        for path in place.glob(pattern):
            with contextlib.suppress(OSError):
                if _ours(path) and time.time() - path.lstat().st_mtime > days * 24 * 3600:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()


@contextlib.contextmanager
def _only_one(folder: Optional[Path]) -> Iterator[None]:
    """Wait until no other process builds. The system drops the lock of one that was killed."""
    if folder is None:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        until = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < until:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(0.05)
            except OSError:  # no locks here. Two that build do no harm; they only waste time.
                break
        yield
    finally:
        os.close(descriptor)


def _build(compiler: list[str], folder: Path) -> Path:
    """Compile the operator and try it out, with as many of the options as work."""
    path = folder / "operator.so"
    sources = [str(source) for source in SOURCES if source.suffix == ".cc"]
    for options in OPTIONS:
        command = [*compiler, *BASE, *options, *sources, "-o", str(path)]
        result = _run(command)
        if result.returncode == 0:
            places = *sys.path, str(Path(__file__).parents[2])  # not on the path of -m d2l_bn
            result = _run([sys.executable, "-I", "-c", TRIAL, str(path), *places])
            if result.returncode == 0:
                return path
    raise Unavailable(f"{command[0]} can't build it: {result.stderr.strip()[-200:]}")


def _run(command: list[str]) -> subprocess.CompletedProcess:
    """Run a command to its end; one that takes too long has failed."""
    try:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=BUILD_SECONDS,
        )
    except subprocess.TimeoutExpired:
        words = f"{command[0]} took more than {BUILD_SECONDS} seconds"
        return subprocess.CompletedProcess(command, 1, "", words)
