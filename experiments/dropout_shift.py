"""Experiment 5: the variance shift between dropout and batch normalization.

Dropout before batch normalization widens what the layer sees in training, and only in training:
the moving variance is too large for prediction. After Li, Chen, Hu and Yang, "Understanding the
disharmony between dropout and batch normalization by variance shift" (2019), arXiv:1801.05134.
"""

from __future__ import annotations

import itertools

import d2l_bn
from experiments.tables import Experiment

import mxnet as mx
from mxnet import autograd, nd
from mxnet.gluon import nn

MEANS, KEEPS, ORDERS = (0.0, 1.0, 2.0), (0.9, 0.7, 0.5), ("dropout first", "norm first")
BATCH, FEATURES = 1000, 32


def run(order: str, mu: float, keep: float, seed: int, steps: int = 200):
    """Collect moving averages over inputs from N(mu, 1), then predict; one row."""
    mx.random.seed(seed)
    norm, drop = d2l_bn.BatchNorm(FEATURES, 2), d2l_bn.Dropout(1 - keep)
    net = nn.Sequential()
    net.add(*((drop, norm) if order == "dropout first" else (norm, drop)))
    net.initialize()
    with autograd.record():  # training mode; nothing is learned, gamma stays 1 and beta 0
        for _ in range(steps):
            net(_inputs(mu))
    expected = variance_in_training(mu, keep) if order == "dropout first" else 1.0
    yield {
        "moving_var": float(norm.running_var.data().mean().asscalar()),
        "expected_var": expected,
        "predicted_sd": float(net(_inputs(mu)).asnumpy().std(axis=0).mean()),
    }


def variance_in_training(mu: float, keep: float) -> float:
    """The variance of what inverted dropout makes of N(mu, 1): E[x^2] / keep - mu^2."""
    return (1 + mu**2) / keep - mu**2


def _inputs(mu: float) -> nd.NDArray:
    return nd.random.normal(mu, 1, (BATCH, FEATURES))


EXPERIMENT = Experiment(
    "dropout_shift",
    tuple(
        {"order": order, "mu": mu, "keep": keep, "seed": seed}
        for order, mu, keep, seed in itertools.product(ORDERS, MEANS, KEEPS, range(3))
    ),
    run,
)
