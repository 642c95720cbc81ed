"""Experiment 5: the variance shift between dropout and batch normalization.

Dropout before batch normalization widens what the layer sees in training, and only in training:
the moving variance is too large for prediction. After Li, Chen, Hu and Yang, "Understanding the
disharmony between dropout and batch normalization by variance shift" (2019), arXiv:1801.05134.
"""

from __future__ import annotations

import itertools

import d2l_bn
from d2l_bn.training import set_seed
from experiments.tables import Experiment

from mxnet import autograd, nd
from mxnet.gluon import nn

MEANS, KEEPS, ORDERS = (0.0, 1.0, 2.0), (0.9, 0.7, 0.5), ("dropout first", "norm first")
BATCH, FEATURES = 1000, 32
COLUMNS = ("moving_var", "expected_var", "predicted_sd")


def variance_shift(
    mu: float = 0.0, keep: float = 0.5, order: str = ORDERS[0], *, seed: int = 0, steps: int = 200
) -> dict[str, float]:
    """Train batch normalization next to dropout on inputs from N(mu, 1), and then predict.

    Parameters
    ----------
    mu : float
        The mean of the inputs.
    keep : float
        The chance of keeping a value, in (0, 1].
    order : {"dropout first", "norm first"}
        Which of the two comes first.
    seed : int, default 0
        The seed of the inputs and of dropout.
    steps : int, default 200
        The number of training batches.

    Returns
    -------
    dict
        ``moving_var``, the moving variance after training, and ``expected_var``, what it should
        be; ``training_sd`` and ``predicted_sd``, the standard deviation of what the pair puts out
        in either mode. All are means over the features.

    Raises
    ------
    ValueError
        If `order` is not one of the two.

    Notes
    -----
    Batch normalization in front of dropout keeps the right variance, but what comes after the pair
    sees a standard deviation of 1 / sqrt(keep) in training and of 1 in prediction.
    """
    if order not in ORDERS:
        raise ValueError(f"order must be one of {ORDERS}, got {order!r}")
    set_seed(seed)
    norm, drop = d2l_bn.BatchNorm(FEATURES, 2), d2l_bn.Dropout(1 - keep)
    pair = nn.Sequential()
    pair.add(*((drop, norm) if order == "dropout first" else (norm, drop)))
    pair.initialize()
    with autograd.record():  # in training mode, but without a step: gamma stays 1 and beta 0
        for _ in range(steps):
            trained = pair(_inputs(mu))
    return {
        "moving_var": float(norm.running_var.data().mean().asscalar()),
        "expected_var": variance_in_training(mu, keep) if order == "dropout first" else 1.0,
        "training_sd": float(trained.asnumpy().std(axis=0).mean()),
        "predicted_sd": float(pair(_inputs(mu)).asnumpy().std(axis=0).mean()),
    }


def variance_in_training(mu: float, keep: float) -> float:
    """The variance of what inverted dropout makes of N(mu, 1).

    The mean stays, and the mean square becomes (1 + mu^2) / keep. In prediction, without dropout,
    the variance is 1 again.
    """
    return (1 + mu**2) / keep - mu**2


def run(order: str, mu: float, keep: float, seed: int):
    """Measure one pair, and yield its row."""
    found = variance_shift(mu, keep, order, seed=seed)
    yield {column: found[column] for column in COLUMNS}


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
