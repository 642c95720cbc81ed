"""Experiment 1: figure 1 of Ioffe and Szegedy (2015), section 4.1, on Fashion-MNIST.

Three hidden layers of 100 sigmoid units, small Gaussian initial weights, batches of 60. Test
accuracy over the steps, and the percentiles of one unit's input in the last hidden layer.
"""

from __future__ import annotations

import numpy as np

from d2l_bn.training import evaluate
from experiments import shared
from experiments.tables import Experiment

from mxnet import nd

STEPS, EVERY = 50_000, 1_000
UNIT = 0  # of the last hidden layer
PERCENTILES = (15, 50, 85)


def run(norm: str, seed: int, steps: int = STEPS, data: str = "fashion-mnist"):
    """Train one network; a row each `EVERY` steps."""
    dataset = shared.images(data)
    net = shared.initialized(shared.dense_sigmoid_net(norm, 100, 3, weights=0.1), dataset, seed)
    optimizer = shared.trainer(net, lr=0.1)
    test = list(shared.batches(dataset.test_images, dataset.test_labels, 1000))
    for number, (X, y) in enumerate(shared.endless(dataset, 60, seed), 1):
        shared.step(net, optimizer, X, y)
        if number % EVERY == 0 or number == steps:
            values = unit_inputs(net, test[0][0])
            percentiles = np.percentile(values, PERCENTILES)
            row = {f"p{p}": float(v) for p, v in zip(PERCENTILES, percentiles)}
            yield {"step": number, "test_accuracy": evaluate(net, test), **row}
        if number == steps:
            return


def unit_inputs(net, X: nd.NDArray) -> np.ndarray:
    """What one sigmoid of the last hidden layer gets for each image."""
    for layer in list(net)[:-2]:
        X = layer(X)
    return X[:, UNIT].asnumpy()


EXPERIMENT = Experiment(
    "covariate_shift",
    tuple({"norm": norm, "seed": seed} for seed in range(3) for norm in ("none", "scratch")),
    run,
)
