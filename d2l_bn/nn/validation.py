"""What batch normalization accepts, and what it answers to everything else."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Callable

import numpy as np

import mxnet as mx
from mxnet import autograd, nd

SMALLEST, LARGEST = 1.2e-38, 3.4e38  # of float32
PARAMETER_TYPE = {np.float16: np.float32, np.float32: np.float32, np.float64: np.float64}


def validated(batch_norm: Callable) -> Callable:
    """Wrap a computation of batch normalization: refuse what it isn't meant for.

    What `check_input`, `check_constants` or `check_training_batch` refuses doesn't reach it. A
    float16 batch reaches it as float32, since a sum over a batch overflows float16, and the output
    is float16 again; one in memory that processes share is copied first. The moving averages come
    back in the shape in which they were given.
    """

    @functools.wraps(batch_norm)
    def function(X, gamma, beta, moving_mean, moving_var, eps, momentum):
        check_input(X, gamma=gamma, beta=beta, moving_mean=moving_mean, moving_var=moving_var)
        check_constants(eps, momentum)
        X = in_main_memory(X)
        if autograd.is_training():
            check_training_batch(X)
        shape = moving_mean.shape
        values = at_least_float32(X), gamma, beta, moving_mean, moving_var
        Y, mean, var = batch_norm(*values, eps, momentum)
        return Y.astype(X.dtype, copy=False), _in_shape(mean, shape), _in_shape(var, shape)

    return function


def at_least_float32(X: nd.NDArray) -> nd.NDArray:
    """`X`, in float32 where it is float16."""
    return with_own_gradient(X).astype("float32") if X.dtype == np.float16 else X


def with_own_gradient(X: nd.NDArray) -> nd.NDArray:
    """`X`, reshaped where it is a variable: its gradient is then added where that is asked for.

    MXNet's casts, copies and operators of loaded libraries would overwrite it (``grad_req="add"``).
    """
    return X.reshape(X.shape) if autograd.is_recording() and X.grad is not None else X


def in_main_memory(X: nd.NDArray) -> nd.NDArray:
    """`X`, as an array of ``cpu`` where it is one of ``cpu_shared`` or ``cpu_pinned``."""
    device = X.context
    beside = device.device_type in ("cpu_shared", "cpu_pinned")
    return with_own_gradient(X).as_in_context(mx.cpu(device.device_id)) if beside else X


def _in_shape(array: nd.NDArray, shape: tuple[int, ...]) -> nd.NDArray:
    return array if array.shape == shape else array.reshape(shape)


def check_array(array: object, name: str = "X") -> None:
    """Refuse an array of NumPy, or of MXNet's imitation of it, whose operations are others.

    Raises
    ------
    TypeError
        If it is not an NDArray.
    """
    if isinstance(array, mx.np.ndarray):
        raise TypeError(
            f"{name} must be an mx.nd array, got an mx.np array. Use {name}.as_nd_ndarray()."
        )
    if not isinstance(array, nd.NDArray):
        kind = type(array).__name__
        raise TypeError(f"{name} must be an NDArray, got {kind}. Use mx.nd.array({name}).")


def check_input(X: nd.NDArray, **per_channel: nd.NDArray) -> None:
    """Refuse an input, or one of the named values per channel, that would broadcast by accident.

    Raises
    ------
    ValueError
        If `X` is neither 2-D nor 4-D, or if something else than one value per channel is given.
    TypeError
        If `X` is not an NDArray, or if the types are mixed, or are not floating-point.
    """
    check_array(X)
    if X.size == 0:
        raise ValueError(f"X must hold at least one value, got shape {X.shape}")
    if X.ndim not in (2, 4):
        raise ValueError(
            "batch_norm takes (batch, features) or (batch, channels, height, width), got "
            f"{X.ndim} dimensions: {X.shape}. Reshape X first."
        )
    if X.dtype not in PARAMETER_TYPE:
        raise TypeError(
            f"X must be float16, float32 or float64, got {np.dtype(X.dtype)}. "
            "Use X.astype('float32')."
        )
    channels = X.shape[1]
    shapes = [(1, channels), (channels,)] if X.ndim == 2 else [(1, channels, 1, 1)]
    for name, value in per_channel.items():
        check_array(value, name)
        if value.shape not in shapes:
            raise ValueError(
                f"{name} must hold one value per channel, shape {shapes[0]} for X of shape "
                f"{X.shape}, got {value.shape}. A layer needs BatchNorm({channels}, {X.ndim}) here."
            )
        if value.dtype != PARAMETER_TYPE[X.dtype]:
            raise TypeError(
                f"{name} must be {np.dtype(PARAMETER_TYPE[X.dtype])} where X is "
                f"{np.dtype(X.dtype)}, got {np.dtype(value.dtype)}. Cast X with astype(), or the "
                "whole network with net.cast()."
            )


def check_training_batch(X: nd.NDArray) -> None:
    """Refuse a batch whose variance is zero by construction.

    Raises
    ------
    ValueError
        If each channel has a single value: its normalized value would be zero, always.
    """
    values = X.size // X.shape[1]
    if values < 2:
        raise ValueError(
            f"training needs at least 2 values per channel, got {values}: X has shape {X.shape}, "
            "and would be normalized to zeros. Use a larger batch, or predict "
            "(outside of autograd.record)."
        )


def check_options(num_features: int, num_dims: int, eps: float, momentum: float) -> None:
    """Refuse arguments of the layer that are out of their range.

    Raises
    ------
    ValueError
        If one of them is.
    """
    if num_dims not in (2, 4):
        raise ValueError(
            "num_dims must be 2 for (batch, features) or 4 for (batch, channels, height, width), "
            f"got {num_dims!r}"
        )
    whole = isinstance(num_features, (int, np.integer)) and not isinstance(num_features, bool)
    if not whole or num_features < 1:
        raise ValueError(
            f"num_features must be a whole number, 1 or larger, got {num_features!r}: it is "
            "X.shape[1], the number of features or channels"
        )
    check_constants(eps, momentum)


def check_constants(eps: float, momentum: float) -> None:
    """Refuse constants that are out of their range.

    Raises
    ------
    ValueError
        If one of them is.
    """
    if not SMALLEST <= eps < LARGEST:  # or constant channels come out as NaN
        raise ValueError(
            f"eps must be positive and finite in float32, too, got {eps!r}: a usual value is 1e-5"
        )
    if not 0 <= momentum <= 1:
        raise ValueError(
            f"momentum must be in [0, 1], got {momentum!r}: it weighs the old value, usually 0.9"
        )


def check_implementation(name: str, choices: Iterable[str]) -> None:
    """Refuse a name that is not among the choices.

    Raises
    ------
    ValueError
        If `name` is not one of the choices.
    """
    if name not in choices:
        raise ValueError(f"implementation must be one of {', '.join(choices)}, got {name!r}")
