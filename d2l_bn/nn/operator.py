"""Batch normalization in compiled loops: builds ``operator.cc`` once, and loads it into MXNet.

The library is built at first use with the machine's own compiler, against the header that MXNet
carries, and kept in ``$XDG_CACHE_HOME/d2l_bn/operator`` (``~/.cache`` where that isn't set).
It is tried in a process of its own before any other loads it. Where the folder can't be written
to, or where somebody else could write to it, it is built for this process alone, in a private
folder. Where there is no compiler, `available` is false and says why, once, on standard error.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Optional

import mxnet as mx
from mxnet import autograd, nd
from mxnet.base import _LIB, check_call
from mxnet.ndarray._internal import _imperative_invoke
from mxnet.ndarray.register import _make_ndarray_function
from mxnet.symbol.register import _make_symbol_function

NAME = "d2l_batch_norm"
MXNET = Path(mx.__file__).parent
SOURCES = (
    Path(__file__).with_name("operator.cc"),
    MXNET / "src" / "lib_api.cc",
    MXNET / "include" / "mxnet" / "lib_api.h",
)
BASE = ("-std=c++14", "-O3", "-shared", "-fPIC", f"-I{MXNET / 'include'}")
# The first that the compiler accepts, and that runs.
OPTIONS = (
    ("-fopenmp", "-march=native"),
    ("-fopenmp",),
    ("-fopenmp-simd", "-march=native"),
    (),
)
BUILD_SECONDS = 300
WAIT_SECONDS = 120  # for another process that builds; afterwards this one does

_process = os.getpid()  # in a fork it stays that of the parent
_lock = threading.Lock()
_status: Optional[Status] = None
_handle = 0  # of the operator in MXNet

# A fork waits for a thread that is loading, or the child would find the lock taken for ever.
os.register_at_fork(
    before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release
)


class Status(NamedTuple):
    """Where the compiled operator was loaded from, or why it wasn't."""

    path: str
    why_not: str


class Unavailable(Exception):
    """There is no compiled operator on this machine; the message says what to do."""


def status() -> Status:
    """Build and load the operator, the first time, and say how that went.

    Returns
    -------
    Status
        With an empty `why_not` where the operator is loaded.
    """
    global _status
    with _lock:
        if _status is None:
            _status = _start()
        return _status


def available() -> bool:
    """Whether there is a compiled operator; it is built and loaded the first time."""
    return not (_status or status()).why_not


def batch_norm(
    X: nd.NDArray,
    gamma: nd.NDArray,
    beta: nd.NDArray,
    moving_mean: nd.NDArray,
    moving_var: nd.NDArray,
    eps: float,
    momentum: float,
    *,
    may_add: bool = True,
) -> tuple[nd.NDArray, nd.NDArray, nd.NDArray]:
    """Batch normalization in training mode, as in `d2l_bn.nn.normalization.batch_norm`.

    Parameters
    ----------
    X, gamma, beta, moving_mean, moving_var, eps, momentum
        As there, checked, of one type, float32 or float64.
    may_add : bool
        Whether `gamma` or `beta` may have been attached with ``grad_req="add"``. MXNet doesn't
        tell a loaded operator to add, so they then go through an operation that is told.

    Returns
    -------
    Y, moving_mean, moving_var : NDArray
        The output, and the new averages outside of any record.
    """
    X, gamma, beta = _apart(X, gamma, beta, may_add)
    Y, moving_mean, moving_var, _ = _imperative_invoke(
        _handle, (X, gamma, beta, moving_mean, moving_var), ("eps", "momentum"),
        (eps, momentum), None, False, False,
    )  # fmt: skip
    return Y, moving_mean.detach(), moving_var.detach()


def normalize(
    X: nd.NDArray,
    gamma: nd.NDArray,
    beta: nd.NDArray,
    mean: nd.NDArray,
    var: nd.NDArray,
    eps: float,
    *,
    may_add: bool = True,
) -> nd.NDArray:
    """Batch normalization with given statistics, which get gradients of zero.

    The arguments and the output are those of `batch_norm`.
    """
    X, gamma, beta = _apart(X, gamma, beta, may_add)
    return _imperative_invoke(
        _handle, (X, gamma, beta, mean, var), ("eps", "given"), (eps, True), None, False, False
    )[0]


def _apart(X, gamma, beta, may_add: bool):
    """The arrays behind a reshaping, where a gradient may have to be added to an earlier one."""
    if autograd.is_recording():
        if X.grad is not None:
            X = X.reshape(X.shape)
        if may_add:
            gamma, beta = gamma.reshape((-1,)), beta.reshape((-1,))
    return X, gamma, beta


def _start() -> Status:
    if os.environ.get("D2L_BN_OPERATOR") == "0":
        return Status("", "switched off by D2L_BN_OPERATOR=0")
    try:
        with _library() as path:
            load(path)
        return Status(str(path), "")
    except (Unavailable, OSError, subprocess.SubprocessError, mx.MXNetError) as error:
        why = " ".join(str(error).split())[:300]
        print(f"d2l_bn: training without the compiled operator, slower: {why}", file=sys.stderr)
        return Status("", why)


def load(path: Path) -> None:
    """Load a library into MXNet, as ``mx.library.load`` does, but without half a second's work.

    That function makes all operators of MXNet anew; here it is one.
    """
    global _handle
    check_call(_LIB.MXLoadLib(str(path).encode(), 0))
    handle = ctypes.c_void_p()
    check_call(_LIB.NNGetOpHandle(NAME.encode(), ctypes.byref(handle)))
    setattr(mx.nd, NAME, _make_ndarray_function(handle, NAME, NAME))
    setattr(mx.sym, NAME, _make_symbol_function(handle, NAME, NAME))
    ctypes.c_int.in_dll(ctypes.CDLL(str(path)), "d2l_bn_process").value = _process
    _handle = handle.value or 0


@contextlib.contextmanager
def _library() -> Iterator[Path]:
    """A library to load: from the cache, or a new one."""
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
            temporary = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="d2l_bn-")))
            built = _build(compiler, temporary)
            found = _keep(built, folder, key) or built
        if problem:
            print(f"d2l_bn: the operator was built for this process alone: {problem}", file=sys.stderr)
        yield found


def _compiler() -> list[str]:
    """The command of the compiler: ``$CXX``, or the first that is there."""
    chosen = os.environ.get("CXX")
    for command in [shlex.split(chosen)] if chosen else [["c++"], ["g++"], ["clang++"]]:
        path = shutil.which(command[0]) if command else None
        if path:
            return [os.path.realpath(path), *command[1:]]
    missing = f"CXX={chosen} is not there" if chosen else "there is no C++ compiler"
    raise Unavailable(f"{missing}. Install one: apt-get install g++")


def _key(compiler: list[str]) -> str:
    """What the library depends on, as one short name."""
    state = os.stat(compiler[0])  # a new version has another size or time
    parts = [mx.__version__, *compiler, state.st_size, state.st_mtime_ns, BASE, OPTIONS, _processor()]
    digest = hashlib.sha256(repr(parts).encode())
    for source in SOURCES:
        digest.update(source.read_bytes())
    return digest.hexdigest()[:24]


def _processor() -> list[str]:
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as file:
        lines = iter(file.readline, "\n")  # up to the first empty line: one core
        return [line for line in lines if line.startswith(("model", "flags"))]
    return list(platform.uname())


def _cache() -> tuple[Optional[Path], str]:
    """The folder for libraries, or None and why there is none that is safe."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))
    folder = base / "d2l_bn" / "operator"
    try:
        base.mkdir(parents=True, exist_ok=True)
        for path in (folder.parent, folder):
            path.mkdir(mode=0o755, exist_ok=True)
            if not _ours(path):
                return None, f"others could write to {path} (chown it to you, and chmod go-w)"
    except OSError as error:
        return None, str(error)
    return folder, ""


def _ours(path: Path) -> bool:
    """Whether nobody else but root can have written this."""
    state = path.lstat()
    return state.st_uid == os.geteuid() and not state.st_mode & 0o022 and not path.is_symlink()


def _find(folder: Optional[Path], key: str) -> Optional[Path]:
    """A library in the cache that is whole: the hash of its bytes is in its name."""
    for path in folder.glob(f"{key}-*.so") if folder else ():
        with contextlib.suppress(OSError):
            if _ours(path) and path.name == _name(key, path.read_bytes()):
                return path
    return None


def _name(key: str, content: bytes) -> str:
    return f"{key}-{hashlib.sha256(content).hexdigest()}.so"


def _keep(built: Path, folder: Optional[Path], key: str) -> Optional[Path]:
    """Put a library into the cache, whole or not at all."""
    if folder is None:
        return None
    content = built.read_bytes()
    try:
        handle, temporary = tempfile.mkstemp(dir=folder)
        try:
            with open(handle, "wb") as file:
                file.write(content)
            os.replace(temporary, folder / _name(key, content))
        except OSError:
            os.unlink(temporary)
            raise
    except OSError:  # such as a full disk
        return None
    return _find(folder, key)


@contextlib.contextmanager
def _only_one(folder: Optional[Path]) -> Iterator[None]:
    """Wait until no other process builds. The system drops the lock of one that was killed."""
    if folder is None:
        yield
        return
    try:
        file = open(folder / "lock", "a")
    except OSError:
        yield  # two that build don't harm each other; they only waste time
        return
    with file:
        until = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < until:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(0.05)
            except OSError:  # a file system without locks
                break
        yield


def _build(compiler: list[str], folder: Path) -> Path:
    """Compile the operator and try it out, with as many of the options as work."""
    path = folder / "operator.so"
    sources = [str(source) for source in SOURCES if source.suffix == ".cc"]
    for options in OPTIONS:
        command = [*compiler, *BASE, *options, *sources, "-o", str(path)]
        result = _run(command)
        if result.returncode == 0:
            result = _run([sys.executable, "-c", TRIAL, str(path)])
            if result.returncode == 0:
                return path
    raise Unavailable(f"{shlex.join(command)} failed: {result.stderr[-200:]}")


TRIAL = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
import d2l_bn
from d2l_bn.nn import operator
operator.try_out(sys.argv[1])
"""


def try_out(path: str) -> None:
    """Load a library and use it once, forward and backward."""
    load(Path(path))
    for shape in ((64, 3), (64, 3, 40, 40)):
        X, gamma = nd.random.normal(shape=shape), nd.ones(3)
        gamma.attach_grad()
        with autograd.record():
            Y = batch_norm(X, gamma, nd.zeros(3), nd.zeros(3), nd.ones(3), 1e-5, 0.9)[0]
        Y.backward(Y)  # sum of y * x^ = m
        m = X.size / 3
        if not abs(gamma.grad.asnumpy() / m - 1).max() < 1e-3:
            raise ArithmeticError(f"wrong gradient: {gamma.grad}")


def _run(command: list[str]) -> subprocess.CompletedProcess:
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=BUILD_SECONDS
    )


if __name__ == "__main__":
    from d2l_bn.nn import operator  # this module, under its own name

    path, why_not = operator.status()
    print(f"compiled operator: {path or 'none, ' + why_not}")
