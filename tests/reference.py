"""What ours is held against: the source's two definitions, and NumPy in float64."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mxnet import autograd, init, nd
from mxnet.gluon import nn

# --- The source -------------------------------------------------------------------------------
# Part 1 of the article "TensorFlow使用记录(七):BN层和Dropout层的使用" (2023-09-29). It follows
# "Dive into Deep Learning" (Zhang, Lipton, Li and Smola, https://zh.d2l.ai). The code is the
# article's, with the words put back that a machine translation had damaged. Don't improve it: it
# is what "the source's semantics" means.


def source_batch_norm(X, gamma, beta, moving_mean, moving_var, eps, momentum):
    if not autograd.is_training():
        X_hat = (X - moving_mean) / nd.sqrt(moving_var + eps)
    else:
        assert len(X.shape) in (2, 4)
        if len(X.shape) == 2:
            mean = X.mean(axis=0)
            var = ((X - mean) ** 2).mean(axis=0)
        else:
            mean = X.mean(axis=(0, 2, 3), keepdims=True)
            var = ((X - mean) ** 2).mean(axis=(0, 2, 3), keepdims=True)
        X_hat = (X - mean) / nd.sqrt(var + eps)
        moving_mean = momentum * moving_mean + (1.0 - momentum) * mean
        moving_var = momentum * moving_var + (1.0 - momentum) * var
    Y = gamma * X_hat + beta
    return Y, moving_mean, moving_var


class SourceBatchNorm(nn.Block):
    def __init__(self, num_features, num_dims, **kwargs):
        super(SourceBatchNorm, self).__init__(**kwargs)  # noqa: UP008
        if num_dims == 2:  # noqa: SIM108
            shape = (1, num_features)
        else:
            shape = (1, num_features, 1, 1)
        self.gamma = self.params.get("gamma", shape=shape, init=init.One())
        self.beta = self.params.get("beta", shape=shape, init=init.Zero())
        self.moving_mean = nd.zeros(shape)
        self.moving_var = nd.zeros(shape)

    def forward(self, X):
        if self.moving_mean.context != X.context:
            self.moving_mean = self.moving_mean.copyto(X.context)
            self.moving_var = self.moving_var.copyto(X.context)
        Y, self.moving_mean, self.moving_var = source_batch_norm(
            X, self.gamma.data(), self.beta.data(), self.moving_mean,
            self.moving_var, eps=1e-5, momentum=0.9)  # fmt: skip
        return Y


# --- The mathematics, in NumPy float64 ---------------------------------------------------------
# Equations from Ioffe and Szegedy (2015), https://arxiv.org/abs/1502.03167, section 3. All values
# per channel have the shape (1, C) or (1, C, 1, 1).


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


def training(X, gamma, beta, dY, mean, var, eps=1e-5, momentum=0.9) -> Step:
    """A training step. `mean` and `var` are the moving averages before it; the new ones return."""
    X, dY = np.asarray(X, np.float64), np.asarray(dY, np.float64)
    axes, m = axes_of(X), X.size // X.shape[1]
    mu = X.sum(axes, keepdims=True) / m
    sigma2 = ((X - mu) ** 2).sum(axes, keepdims=True) / m
    X_hat = (X - mu) / np.sqrt(sigma2 + eps)

    dX_hat = dY * gamma
    dsigma2 = (dX_hat * (X - mu)).sum(axes, keepdims=True) * -0.5 * (sigma2 + eps) ** -1.5
    dmu = -dX_hat.sum(axes, keepdims=True) / np.sqrt(sigma2 + eps)
    dmu += dsigma2 * (-2 * (X - mu)).sum(axes, keepdims=True) / m
    dX = dX_hat / np.sqrt(sigma2 + eps) + dsigma2 * 2 * (X - mu) / m + dmu / m

    return Step(
        gamma * X_hat + beta,
        dX,
        (dY * X_hat).sum(axes, keepdims=True),
        dY.sum(axes, keepdims=True),
        momentum * mean + (1 - momentum) * mu,
        momentum * var + (1 - momentum) * sigma2,
    )


def prediction(X, gamma, beta, dY, mean, var, eps=1e-5) -> Step:
    """The same with given statistics: they are constants, so each value has its own gradient."""
    X, dY = np.asarray(X, np.float64), np.asarray(dY, np.float64)
    X_hat = (X - mean) / np.sqrt(var + eps)
    return Step(
        gamma * X_hat + beta,
        dY * gamma / np.sqrt(var + eps),
        (dY * X_hat).sum(axes_of(X), keepdims=True),
        dY.sum(axes_of(X), keepdims=True),
        mean,
        var,
    )


def assert_steps_close(received: Step, expected: Step, tolerance: float) -> None:
    """Compare every element; `tolerance` is relative to the largest value of its field."""
    for name, got, wanted in zip(Step._fields, received, expected):
        largest = max(1.0, float(np.abs(wanted).max()))
        np.testing.assert_allclose(
            np.asarray(got, np.float64).reshape(wanted.shape),
            wanted,
            rtol=0,
            atol=tolerance * largest,
            err_msg=name,
        )
