"""Experiment 1: figure 1 of Ioffe and Szegedy (2015), section 4.1, on Fashion-MNIST.

Three hidden layers of 100 sigmoid units, small Gaussian initial weights, batches of 60. Test
accuracy over the steps, and the percentiles of one unit's input in the last hidden layer.
"""

from __future__ import annotations

from itertools import islice

import numpy as np

from d2l_bn.training import NORMS, evaluate
from experiments import shared
from experiments.tables import Experiment

from mxnet import init, nd
from mxnet.gluon import nn

STEPS, EVERY = 50_000, 1_000
UNIT = 0  # the one that is watched in the last hidden layer
PERCENTILES = (15, 50, 85)


def run(norm: str, seed: int, steps: int = STEPS, data: str = "fashion-mnist"):
    """Train one network, and yield a row every `EVERY` steps."""
    dataset = shared.images(data)
    net = shared.initialized(network(norm), dataset, seed)
    optimizer = shared.trainer(net, lr=0.1)
    test = list(shared.batches(dataset.test_images, dataset.test_labels, 1000))
    for number, (X, y) in enumerate(islice(shared.endless(dataset, 60, seed), steps), 1):
        shared.step(net, optimizer, X, y)
        if number % EVERY == 0 or number == steps:
            values = unit_inputs(net, test[0][0])
            percentiles = np.percentile(values, PERCENTILES)
            row = {f"p{p}": float(v) for p, v in zip(PERCENTILES, percentiles)}
            yield {"step": number, "test_accuracy": evaluate(net, test), **row}


def network(norm: str) -> nn.Sequential:
    """Three hidden layers, normalized before each sigmoid, and Gaussian initial weights."""
    net, kind, weights = nn.Sequential(), NORMS[norm], init.Normal(0.1)
    for _ in range(3):
        net.add(nn.Dense(100, weight_initializer=weights))
        if kind is not None:
            net.add(kind(100, 2))
        net.add(nn.Activation("sigmoid"))
    net.add(nn.Dense(10, weight_initializer=weights))
    return net


def unit_inputs(net, X: nd.NDArray) -> np.ndarray:
    """What one sigmoid of the last hidden layer gets for each image."""
    for layer in list(net)[:-2]:
        X = layer(X)
    return X[:, UNIT].asnumpy()


EXPERIMENT = Experiment("covariate_shift", shared.cases(), run)
