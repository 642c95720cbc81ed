"""Dropout next to batch normalization: the variance in training isn't that in prediction."""

from __future__ import annotations

import numpy as np

import d2l_bn

import mxnet as mx
from mxnet import autograd, nd
from mxnet.gluon import nn

ORDERS = ("dropout, batch norm", "batch norm, dropout")


def variance_shift(
    mu: float = 0.0, keep: float = 0.5, order: str = ORDERS[0], *, steps: int = 100
) -> dict[str, float]:
    """Train batch normalization next to dropout on inputs from N(mu, 1), and then predict.

    Parameters
    ----------
    mu : float
        The mean of the inputs.
    keep : float
        The chance of keeping a value, in (0, 1].
    order : {"dropout, batch norm", "batch norm, dropout"}
        Which of the two comes first.
    steps : int, default 100
        The number of training steps, each with 2,000 rows of 8 features.

    Returns
    -------
    dict
        ``moving variance`` after training and what it is ``expected`` to be; ``std, training`` and
        ``std, prediction`` of what the pair puts out in either mode.

    Raises
    ------
    ValueError
        If `order` is not one of the two.

    Notes
    -----
    Inverted dropout keeps the mean, but the mean square becomes (1 + mu^2) / keep. So behind it the
    variance is (1 + mu^2) / keep - mu^2, and in prediction, without dropout, it is 1 again. Batch
    normalization in front of dropout keeps the right variance, but what comes behind the pair sees
    a standard deviation of 1 / sqrt(keep) in training and of 1 in prediction. See Li and others,
    "Understanding the Disharmony between Dropout and Batch Normalization by Variance Shift" (2018),
    https://arxiv.org/abs/1801.05134.
    """
    if order not in ORDERS:
        raise ValueError(f"order must be one of {ORDERS}, got {order!r}")
    mx.random.seed(0)
    norm, drop = d2l_bn.BatchNorm(8, 2), d2l_bn.Dropout(1 - keep)
    dropout_first = order == ORDERS[0]
    pair = nn.Sequential()
    pair.add(*((drop, norm) if dropout_first else (norm, drop)))
    pair.initialize()

    def step():
        return pair(nd.random.normal(mu, 1, shape=(2000, 8))).asnumpy()

    with autograd.train_mode():
        training = [step() for _ in range(steps)]
    return {
        "mu": mu,
        "keep": keep,
        "moving variance": norm.moving_var.mean().asscalar().item(),
        "expected": (1 + mu**2) / keep - mu**2 if dropout_first else 1.0,
        "std, training": float(np.std(training)),
        "std, prediction": float(np.std([step() for _ in range(10)])),
    }
