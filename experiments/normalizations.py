"""Batch, layer, instance and group normalization, written out, at batch sizes from 2 to 256.

All four give mean 0 and variance 1, and differ in which values share a mean. The network is LeNet
with rectified units, normalized after its two convolutions alone: instance normalization has
nothing to do in a dense layer, where each image has one value for each unit. Every batch size sees
equal numbers of examples, with rates in proportion to the batch size, as Wu and He, "Group
Normalization" (2018), arXiv:1803.08494, compare them.
"""

from __future__ import annotations

import functools
from typing import Callable, Optional

import d2l_bn
from d2l_bn import recalibrate
from d2l_bn.training import evaluate
from experiments import placement, shared
from experiments.schedule import train
from experiments.tables import Experiment

from mxnet import gluon, nd
from mxnet.gluon import nn

EPS, GROUPS = 1e-5, 2
EXAMPLES, LR_PER_EXAMPLE = 6144, 0.1 / 64
BATCH_SIZES = (2, 16, 256)


def standardized(X: nd.NDArray, axes: tuple[int, ...]) -> nd.NDArray:
    """`X` with mean 0 and variance 1 over `axes`."""
    centred = nd.broadcast_sub(X, X.mean(axis=axes, keepdims=True))
    variance = centred.square().mean(axis=axes, keepdims=True)
    return nd.broadcast_div(centred, (variance + EPS).sqrt())


def batch_norm(X: nd.NDArray) -> nd.NDArray:
    """Each channel over the batch: (N, C, H, W) or (N, C), as in training."""
    return standardized(X, (0, *range(2, X.ndim)))


def layer_norm(X: nd.NDArray) -> nd.NDArray:
    """Each image over its channels and places: (N, C, H, W) or (N, C)."""
    return standardized(X, tuple(range(1, X.ndim)))


def instance_norm(X: nd.NDArray) -> nd.NDArray:
    """Each channel of each image over its places: (N, C, H, W)."""
    return standardized(X, (2, 3))


def group_norm(X: nd.NDArray, groups: int = GROUPS) -> nd.NDArray:
    """Each group of neighbouring channels of each image: (N, C, H, W); `groups` divides C."""
    return standardized(X.reshape((len(X), groups, -1)), (2,)).reshape(X.shape)


class Normalization(nn.Block):
    """One of the functions above, with the scale and shift of each channel.

    It does the same in training and in prediction, so it fits those that don't look at the batch.
    """

    def __init__(self, function: Callable, num_features: int, num_dims: int) -> None:
        super().__init__()
        self.function = function
        shape = (1, num_features, *(1,) * (num_dims - 2))
        self.gamma = self.params.get("gamma", shape=shape, init="ones")
        self.beta = self.params.get("beta", shape=shape, init="zeros")

    def forward(self, X: nd.NDArray) -> nd.NDArray:
        """Normalize, scale and shift `X`."""
        scaled = nd.broadcast_mul(self.function(X), self.gamma.data())
        return nd.broadcast_add(scaled, self.beta.data())


# What stands after a convolution, and after a dense layer.
NORMS: dict[str, tuple[Callable, Optional[Callable]]] = {
    "batch": (d2l_bn.BatchNorm, None),
    "layer": (functools.partial(Normalization, layer_norm), None),
    "instance": (functools.partial(Normalization, instance_norm), None),
    "group": (functools.partial(Normalization, group_norm), None),
    "batch, dense too": (d2l_bn.BatchNorm, d2l_bn.BatchNorm),
}


def run(norm: str, batch_size: int, seed: int, examples: int = EXAMPLES):
    """Train one network, and yield a row at the end."""
    dataset = shared.images("sample")
    net = shared.initialized(placement.lenet(*NORMS[norm], "relu"), dataset, seed)
    losses = train(
        net,
        shared.endless(dataset, batch_size, seed),
        examples // batch_size,
        LR_PER_EXAMPLE * batch_size,
    )
    test = list(shared.batches(dataset.test_images, dataset.test_labels, 1000))
    row = {"train_loss": mean_of_last_tenth(losses), "test_accuracy": evaluate(net, test)}
    yield {**row, "recalibrated_accuracy": measured_anew(net, norm, dataset, test)}


def measured_anew(net: gluon.Block, norm: str, dataset, test: list) -> float:
    """Test accuracy with statistics of all training images, where `net` keeps any."""
    if norm.startswith("batch"):
        train_images = shared.batches(dataset.train_images, dataset.train_labels, 1000)
        recalibrate(net, [X for X, _ in train_images])
    return evaluate(net, test)


def mean_of_last_tenth(losses: nd.NDArray) -> float:
    """The training loss at the end of a run, in the mode and the batches of training."""
    return float(losses[-max(1, len(losses) // 10) :].mean().asscalar())


EXPERIMENT = Experiment(
    "normalizations",
    tuple(
        {"norm": norm, "batch_size": batch_size, "seed": seed}
        for seed in range(3)
        for norm in NORMS
        for batch_size in BATCH_SIZES
    ),
    run,
)
