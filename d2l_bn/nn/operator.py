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
from d2l_bn.nn.validation import check_input, validated, with_own_gradient

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


def batch_norm(X, gamma, beta, moving_mean, moving_var, eps, momentum):
    """Compute what the definition does: see `d2l_bn.batch_norm`.

    No gradient goes through the moving averages. MXNet doesn't tell an operator from a loaded
    library that its gradient is to be added to an earlier one, so none is a variable's own.
    """
    check_input(X, gamma=gamma, beta=beta)
    gamma, beta = with_own_gradient(gamma), with_own_gradient(beta)
    return of_layer(X, gamma, beta, moving_mean, moving_var, eps, momentum)


@validated
def of_layer(X, gamma, beta, moving_mean, moving_var, eps, momentum):
    """Compute the same for a layer, which knows whether gradients of gamma and beta are added."""
    arrays = with_own_gradient(X), gamma, beta, moving_mean, moving_var
    if autograd.is_training():
        Y, moving_mean, moving_var, _ = _invoke(arrays, eps=eps, momentum=momentum)
        return Y, moving_mean.detach(), moving_var.detach()
    Y, _ = _invoke(arrays, eps=eps, given=True)
    return Y, moving_mean, moving_var


def standardize(X, eps):
    """Normalize `X` by itself: x^ = (x - mu) / s with s = sqrt(sigma^2 + eps), for each channel.

    Returns
    -------
    normalized : NDArray, the shape of `X`
    statistics : NDArray, shape (2, channels), float64
        mu and 1 / s. In backward, nothing goes through them.
    """
    ones = nd.ones(X.shape[1], ctx=X.context, dtype=X.dtype)
    zeros = nd.zeros_like(ones)
    Z, _, _, statistics = _invoke((X, ones, zeros, zeros, zeros), eps=eps, momentum=0)
    return Z, statistics


def scale_and_shift(X, scale, shift):
    """Compute a x + b for each channel, in one pass, where MXNet's own operations take several."""
    ones = nd.ones_like(scale)
    return _invoke((X, scale, shift, nd.zeros_like(scale), ones), eps=0, given=True)[0]


def _invoke(arrays: tuple, **attributes) -> list[nd.NDArray]:
    # Not mx.nd.d2l_batch_norm, whose generated text takes a tenth of a small layer's time.
    handle, names, values = _handle or _loaded(), tuple(attributes), tuple(attributes.values())
    return _imperative_invoke(handle, arrays, names, values, None, False, False)


def _loaded() -> int:
    if not available():
        raise RuntimeError(f"there is no compiled operator here: {status().why_not}")
    return _handle


def _start() -> Status:
    if os.environ.get("D2L_BN_OPERATOR") == "0":
        return Status("", "switched off by D2L_BN_OPERATOR=0")
    try:
        with library() as path:
            load(path)
        return Status(str(path), "")
    except (Unavailable, OSError, ValueError, subprocess.SubprocessError, mx.MXNetError) as error:
        why = " ".join(str(error).split())[:300]
        print(f"d2l_bn: computing without the compiled operator, slower: {why}", file=sys.stderr)
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
