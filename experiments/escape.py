"""When the plain LeNet gets away from guessing, and where its last sigmoids are until then.

The network without normalization, at the rate of the default recipe, on little and on much data,
in small batches and in large ones. What tells data from steps, and steps from the batch size.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from d2l_bn.training import evaluate
from experiments import shared
from experiments.tables import Experiment

from mxnet import gluon, nd

RATE, MOMENTUM, STEPS, EVERY = 0.3, 0.9, 2_000, 25
FLAT = 4  # from there on the sigmoid's slope is below 0.018, where it is 0.25 at 0
DATA, SIZES, SEEDS = ("sample", "fashion-mnist"), (64, 256), range(3)
TESTED = 1_000  # test images


def run(data: str, batch_size: int, seed: int, steps: int = STEPS, every: int = EVERY):
    """Train one network, and yield a row after every so many steps."""
    dataset = shared.images(data)
    net = shared.lenet("none", dataset, seed)
    optimizer, losses = shared.trainer(net, RATE, MOMENTUM), []
    images, labels = dataset.test_images[:TESTED], dataset.test_labels[:TESTED]
    X, _ = test = next(shared.batches(images, labels, TESTED))
    for number, batch in enumerate(shared.endless(dataset, batch_size, seed), 1):
        losses.append(shared.step(net, optimizer, *batch).mean())
        if number % every == 0:
            inputs = last_inputs(net, X).asnumpy()
            yield {
                "step": number,
                "train_loss": float(nd.concat(*losses, dim=0).mean().asscalar()),
                "test_accuracy": evaluate(net, [test]),
                "mean_input": float(inputs.mean()),
                "flat": float((np.abs(inputs) > FLAT).mean()),
                "across_images": float(inputs.std(axis=0).mean()),
            }
            losses.clear()
        if number == steps:
            return


def last_inputs(net: gluon.Block, X: nd.NDArray) -> nd.NDArray:
    """What the last hidden layer hands to its sigmoids, shape (images, units)."""
    *below, _sigmoid, _output = net
    for layer in below:
        X = layer(X)
    return X


EXPERIMENT = Experiment(
    "escape",
    tuple(
        {"data": data, "batch_size": size, "seed": seed}
        for seed, data, size in product(SEEDS, DATA, SIZES)
    ),
    run,
)
