"""Batch normalization in NumPy and float64: the mathematics that everything else is held against.

Equations from Ioffe and Szegedy (2015), https://arxiv.org/abs/1502.03167, Algorithm 1 for the
forward pass and section 3 for the gradients. `X` is (batch, features) or (batch, channels, height,
width), or has any other number of axes after the channels'; all values per channel have the shape
(1, C) or (1, C, 1, 1). A `mask` of ones and zeros, where there is one, says which values count; it
has the shape of `X` with one channel.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Step(NamedTuple):
    """Everything that one call of batch normalization computes, backward pass included."""

    Y: np.ndarray
    dX: np.ndarray
    dgamma: np.ndarray
    dbeta: np.ndarray
    mean: np.ndarray
    var: np.ndarray


def axes_of(X) -> tuple[int, ...]:
    """All axes but the channels'."""
    return tuple(axis for axis in range(X.ndim) if axis != 1)


def per_channel(values, ndim: int) -> np.ndarray:
    """Give a value for each channel the shape (1, C) or (1, C, 1, 1)."""
    return np.asarray(values, np.float64).reshape((1, -1) + (1,) * (ndim - 2))


def mean_of(X, mask=None) -> np.ndarray:
    """The mean of each channel, over the values that count."""
    weights = np.broadcast_to(1.0 if mask is None else mask, X.shape)
    return np.average(X, axes_of(X), weights, keepdims=True)


def moments(X, mask=None) -> tuple[np.ndarray, np.ndarray]:
    """Mean and biased variance of each channel."""
    X = np.asarray(X, np.float64)
    mean = mean_of(X, mask)
    return mean, mean_of((X - mean) ** 2, mask)


def output(X, gamma, beta, mean, var, eps=1e-5) -> np.ndarray:
    """Normalize with these statistics, then scale and shift."""
    return gamma * (np.asarray(X, np.float64) - mean) / np.sqrt(var + eps) + beta


def moving(old, new, momentum=0.9) -> np.ndarray:
    """One step of the moving average: `momentum` weighs the old value."""
    return momentum * old + (1 - momentum) * new


def count(X, mask=None) -> int:
    """How many values of each channel count."""
    return X.size // X.shape[1] if mask is None else int(np.sum(mask))


def gradients(X, gamma, dY, eps=1e-5, mask=None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return dX, dgamma and dbeta of sum(Y * dY) in training mode.

    The gradient flows through X_hat, through the variance and through the mean, in this order.
    """
    X, dY = np.asarray(X, np.float64), np.asarray(dY, np.float64)
    counts = 1.0 if mask is None else mask
    axes, m, dY = axes_of(X), count(X, mask), dY * counts
    mean, var = moments(X, mask)
    std = np.sqrt(var + eps)

    dX_hat = dY * gamma
    dvar = (dX_hat * (X - mean)).sum(axes, keepdims=True) * -0.5 * std**-3
    dmean = -dX_hat.sum(axes, keepdims=True) / std
    dmean += dvar * (-2 * (X - mean) * counts).sum(axes, keepdims=True) / m
    dX = dX_hat / std + (dvar * 2 * (X - mean) + dmean) * counts / m

    dgamma = (dY * (X - mean) / std).sum(axes, keepdims=True)
    return dX, dgamma, dY.sum(axes, keepdims=True)


def prediction_gradients(X, gamma, dY, mean, var, eps=1e-5):
    """Return the same with given statistics: they are constants, so each value stands alone."""
    X, dY, std = np.asarray(X, np.float64), np.asarray(dY, np.float64), np.sqrt(var + eps)
    dgamma = (dY * (X - mean) / std).sum(axes_of(X), keepdims=True)
    return dY * gamma / std, dgamma, dY.sum(axes_of(X), keepdims=True)


def training(X, gamma, beta, dY, mean, var, eps=1e-5, momentum=0.9) -> Step:
    """A training step, from the moving averages `mean` and `var` before it to the new ones."""
    batch_mean, batch_var = moments(X)
    return Step(
        output(X, gamma, beta, batch_mean, batch_var, eps),
        *gradients(X, gamma, dY, eps),
        moving(mean, batch_mean, momentum),
        moving(var, batch_var, momentum),
    )


def prediction(X, gamma, beta, dY, mean, var, eps=1e-5) -> Step:
    """A step with given statistics, which stay as they are."""
    dX, dgamma, dbeta = prediction_gradients(X, gamma, dY, mean, var, eps)
    return Step(output(X, gamma, beta, mean, var, eps), dX, dgamma, dbeta, mean, var)
