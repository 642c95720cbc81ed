"""Batch normalization in NumPy, and the inputs on which the checks compare with it.

The equations are those of Ioffe and Szegedy (2015), https://arxiv.org/abs/1502.03167, Algorithm 1
and section 3.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Case(NamedTuple):
    """One input in float64; what is given per channel has the shape (1, C) or (1, C, 1, 1)."""

    X: np.ndarray
    gamma: np.ndarray
    beta: np.ndarray
    mean: np.ndarray
    var: np.ndarray
    eps: float = 1e-5
    momentum: float = 0.9

    @property
    def axes(self) -> tuple[int, ...]:
        """All axes but the channels'."""
        return tuple(axis for axis in range(self.X.ndim) if axis != 1)

    @property
    def size(self) -> int:
        """The number of values of a channel."""
        return self.X.size // self.X.shape[1]


def per_channel(values, ndim: int) -> np.ndarray:
    """Give a value per channel the shape (1, C) or (1, C, 1, 1)."""
    return np.asarray(values, np.float64).reshape((1, -1) + (1,) * (ndim - 2))


def make(X, gamma=None, beta=None, mean=None, var=None, eps=1e-5, momentum=0.9) -> Case:
    """Return a case from lists; gamma and var are ones and beta and mean zeros if not given."""
    X = np.asarray(X, np.float64)
    ones, zeros = np.ones(X.shape[1]), np.zeros(X.shape[1])
    gamma, beta, mean, var = (
        per_channel(default if value is None else value, X.ndim)
        for value, default in ((gamma, ones), (beta, zeros), (mean, zeros), (var, ones))
    )
    return Case(X, gamma, beta, mean, var, eps, momentum)


def draw(shape: tuple[int, ...], seed: int, eps=1e-5, momentum=0.9, offset=0.5) -> Case:
    """Draw a case whose channels have spread-out values, from a random state of its own."""
    rng = np.random.RandomState(seed)
    X = offset + rng.permutation(np.linspace(-2, 2, int(np.prod(shape)))).reshape(shape)
    X = X + 0.3 * rng.normal(size=shape)
    gamma, beta, mean = rng.uniform(0.5, 2, (3, shape[1])) * rng.choice([-1, 1], (3, shape[1]))
    return make(X, gamma, beta, mean, rng.uniform(0.5, 2, shape[1]), eps, momentum)


def moments(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Mean and biased variance of each channel."""
    return case.X.mean(case.axes, keepdims=True), case.X.var(case.axes, keepdims=True)


def output(case: Case, mean, var) -> np.ndarray:
    """Normalize with these statistics, scale and shift."""
    return case.gamma * (case.X - mean) / np.sqrt(var + case.eps) + case.beta


def training(case: Case) -> np.ndarray:
    """Return the output in training mode."""
    return output(case, *moments(case))


def prediction(case: Case) -> np.ndarray:
    """Return the output in prediction mode."""
    return output(case, case.mean, case.var)


def moving(case: Case, old, new) -> np.ndarray:
    """One step of the moving average: momentum weighs the old value."""
    return case.momentum * old + (1 - case.momentum) * new


def gradients(case: Case, dY: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return dX, dgamma and dbeta of sum(Y * dY) in training mode (section 3 of the paper)."""
    mean, var = moments(case)
    scale = 1 / np.sqrt(var + case.eps)
    X_hat = (case.X - mean) * scale
    dbeta = dY.sum(case.axes, keepdims=True)
    dgamma = (dY * X_hat).sum(case.axes, keepdims=True)
    dX = case.gamma * scale * (dY - dbeta / case.size - X_hat * dgamma / case.size)
    return dX, dgamma, dbeta


def close(received, expected, tolerance: float = 1e-4) -> bool:
    """Compare every element; `tolerance` is relative to the largest. False for NaN."""
    if np.shape(received) != np.shape(expected):
        return False
    return bool(np.abs(received - expected).max() <= tolerance * max(1, np.abs(expected).max()))


def prediction_gradients(case: Case, dY: np.ndarray) -> tuple:
    """Return the same in prediction mode, where the statistics are constants."""
    X_hat = (case.X - case.mean) / np.sqrt(case.var + case.eps)
    return (
        dY * case.gamma / np.sqrt(case.var + case.eps),
        (dY * X_hat).sum(case.axes, keepdims=True),
        dY.sum(case.axes, keepdims=True),
    )
