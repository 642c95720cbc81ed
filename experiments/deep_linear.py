"""Experiment 3c: a deep linear network, after Santurkar and others (2018), appendix.

25 linear layers learn a random linear map. There is no sigmoid that could saturate. With layers
of rank k at most, the loss can't fall below the residual of the best map of rank k, which Eckart
and Young (1936) give: the stairs on which such a network stands.
"""

from __future__ import annotations

import numpy as np

from d2l_bn.training import NORMS, set_seed
from experiments import shared
from experiments.tables import Experiment

import mxnet as mx
from mxnet import autograd, nd
from mxnet.gluon import nn

DEPTH, WIDTH, SAMPLES, STEPS, LR = 25, 10, 1000, 5_000, 1e-6


def task(seed: int) -> tuple[nd.NDArray, nd.NDArray]:
    """Random inputs, and what a random linear map makes of them: both (SAMPLES, WIDTH)."""
    set_seed(seed)
    X, truth = nd.random.normal(shape=(SAMPLES, WIDTH)), nd.random.normal(shape=(WIDTH, WIDTH))
    return X, nd.dot(X, truth)


def stairs(targets: np.ndarray) -> np.ndarray:
    """The least loss of an affine map of rank 0, 1, ..., for each sample.

    After Eckart and Young (1936), Psychometrika 1, page 211: the sum of the squared singular
    values from the (k + 1)-th on. The targets are centred, since the bias fits their mean.
    """
    values = np.linalg.svd(targets - targets.mean(axis=0), compute_uv=False)
    return np.append(np.cumsum(values[::-1] ** 2)[::-1], 0) / len(targets)


def run(norm: str, seed: int, steps: int = STEPS, every: int = 125):
    """Train on the map of a seed, and yield a row every `every` steps."""
    X, targets = task(seed)
    net, kind = nn.Sequential(), NORMS[norm]
    for _ in range(DEPTH):
        net.add(nn.Dense(WIDTH))
        if kind is not None:
            net.add(kind(WIDTH, 2))
    net.initialize(mx.init.Xavier())
    net(X)
    optimizer = shared.trainer(net, LR)
    for number in range(1, steps + 1):
        with autograd.record():
            loss = (net(X) - targets).square().sum()
        loss.backward()
        optimizer.step(1)
        if number == 1 or number % every == 0:
            yield {"step": number, "loss": float(loss.asscalar()) / SAMPLES}


EXPERIMENT = Experiment("deep_linear", shared.cases(), run)
