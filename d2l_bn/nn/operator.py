"""Batch normalization in compiled loops (``operator.cc``), as an operator of MXNet.

It is built and loaded at first use (`d2l_bn.nn.build`). Where that can't be done, `available` is
false, and why is said once on standard error. ``D2L_BN_OPERATOR=0`` switches it off.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import NamedTuple, Optional

from d2l_bn.nn.build import Unavailable, library

import mxnet as mx
from mxnet import autograd, nd
from mxnet.base import _LIB, check_call
from mxnet.ndarray._internal import _imperative_invoke
from mxnet.ndarray.register import _make_ndarray_function
from mxnet.symbol.register import _make_symbol_function

NAME = "d2l_batch_norm"

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
        _handle or _loaded(), (X, gamma, beta, moving_mean, moving_var), ("eps", "momentum"),
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
        _handle or _loaded(),
        (X, gamma, beta, mean, var),
        ("eps", "given"),
        (eps, True),
        None,
        False,
        False,
    )[0]


def _loaded() -> int:
    if not available():
        raise RuntimeError(f"there is no compiled operator here: {status().why_not}")
    return _handle


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
        with library() as path:
            load(path)
        return Status(str(path), "")
    except (Unavailable, OSError, ValueError, subprocess.SubprocessError, mx.MXNetError) as error:
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


def try_out(path: Path) -> None:
    """Load a library and use it once, forward and backward."""
    load(path)
    for shape in ((64, 3), (64, 3, 40, 40)):
        X, gamma = nd.random.normal(shape=shape), nd.ones(3)
        gamma.attach_grad()
        with autograd.record():
            Y = batch_norm(X, gamma, nd.zeros(3), nd.zeros(3), nd.ones(3), 1e-5, 0.9)[0]
        Y.backward(Y)  # sum of y * x^ = m
        m = X.size / 3
        if not abs(gamma.grad.asnumpy() / m - 1).max() < 1e-3:
            raise ArithmeticError(f"wrong gradient: {gamma.grad}")


if __name__ == "__main__":
    from d2l_bn.nn import operator  # this module, under its own name

    path, why_not = operator.status()
    print(f"compiled operator: {path or 'none, ' + why_not}")
