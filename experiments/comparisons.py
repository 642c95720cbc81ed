"""LeNet with one of four normalizations, and with batch normalization in one of two places.

`normalizations`: batch, layer, instance and group normalization, written out. All four give mean 0
and variance 1, and differ in which values share a mean. They stand after the two convolutions
alone: instance normalization has nothing to do in a dense layer, where each image has one value for
each unit. Every batch size sees equal numbers of examples, with rates in proportion to the batch
size, as Wu and He, "Group Normalization" (2018), arXiv:1803.08494, compare them. `placement`:
before the activation or after it, at two learning rates, so that no place owes its lead to one.
"""

from __future__ import annotations

import functools
from typing import Callable, Optional

import d2l_bn
from d2l_bn import recalibrate
from d2l_bn.nn.networks import Norm
from experiments import shared
from experiments.tables import Experiment, grid

from mxnet import gluon, nd
from mxnet.gluon import nn

PLACES, ACTIVATIONS = ("none", "before", "after"), ("sigmoid", "relu")
PLACE_RATES, BATCH, STEPS = (0.03, 0.3), 64, 282  # three epochs


def lenet(
    conv_norm: Optional[Norm], dense_norm: Optional[Norm], activation: str, place: str = "before"
) -> nn.Sequential:
    """LeNet with another activation, and its normalization where one likes.

    Parameters
    ----------
    conv_norm, dense_norm : callable (num_features, num_dims) -> Block, or None
        Makes the normalization of each convolution, and of each hidden dense layer.
    activation : str
        What `mxnet.gluon.nn.Activation` knows, such as "sigmoid" and "relu".
    place : {"before", "after"}
        Where the normalization stands: right before or right after the activation.
    """
    net = nn.Sequential()
    for channels in (6, 16):
        net.add(nn.Conv2D(channels, kernel_size=5))
        net.add(*_nonlinear(conv_norm, channels, 4, activation, place), nn.MaxPool2D(2, 2))
    for features in (120, 84):
        net.add(nn.Dense(features), *_nonlinear(dense_norm, features, 2, activation, place))
    net.add(nn.Dense(10))
    return net


def _nonlinear(norm, num_features, num_dims, activation, place) -> list[gluon.Block]:
    layers = [nn.Activation(activation)]
    if norm is not None:
        layers.insert(("before", "after").index(place), norm(num_features, num_dims))
    return layers


def run_placement(activation: str, place: str, lr: float, seed: int, steps: int = STEPS):
    """Train one network, and yield a row at the end."""
    dataset = shared.images("sample")
    norm = None if place == "none" else d2l_bn.BatchNorm
    net = lenet(norm, norm, activation, "after" if place == "after" else "before")
    shared.initialized(net, dataset, seed)
    losses = shared.train(net, shared.endless(dataset, BATCH, seed), steps, lr)
    loss = float(losses[-max(1, steps // 3) :].mean().asscalar())  # of the last epoch
    yield {"train_loss": loss, "test_accuracy": shared.test_accuracy(net, dataset)}


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


def run_normalization(norm: str, batch_size: int, seed: int, examples: int = EXAMPLES):
    """Train one network, and yield a row at the end."""
    dataset = shared.images("sample")
    net = shared.initialized(lenet(*NORMS[norm], "relu"), dataset, seed)
    losses = shared.train(
        net,
        shared.endless(dataset, batch_size, seed),
        examples // batch_size,
        LR_PER_EXAMPLE * batch_size,
    )
    loss = float(losses[-max(1, len(losses) // 10) :].mean().asscalar())  # of the last tenth
    row = {"train_loss": loss, "test_accuracy": shared.test_accuracy(net, dataset)}
    if norm.startswith("batch"):  # the others keep no statistics
        recalibrate(net, shared.training_images(dataset, len(dataset.train_images)))
    yield {**row, "recalibrated_accuracy": shared.test_accuracy(net, dataset)}


EXPERIMENTS = (
    Experiment(
        "normalizations",
        grid(seed=range(3), norm=NORMS, batch_size=BATCH_SIZES),
        run_normalization,
    ),
    Experiment(
        "placement",
        grid(seed=range(3), activation=ACTIVATIONS, place=PLACES, lr=PLACE_RATES),
        run_placement,
    ),
)
