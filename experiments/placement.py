"""Batch normalization before the activation or after it, with sigmoids and with rectified units.

LeNet on the sample, at two learning rates, so that no place owes its lead to one of them.
"""

from __future__ import annotations

from typing import Optional

import d2l_bn
from d2l_bn.nn.networks import Norm
from d2l_bn.training import evaluate
from experiments import shared
from experiments.schedule import train
from experiments.tables import Experiment

from mxnet import gluon
from mxnet.gluon import nn

PLACES, ACTIVATIONS = ("none", "before", "after"), ("sigmoid", "relu")
RATES, BATCH, STEPS = (0.03, 0.3), 64, 282  # three epochs


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


def run(activation: str, place: str, lr: float, seed: int, steps: int = STEPS):
    """Train one network, and yield a row at the end."""
    dataset = shared.images("sample")
    norm = None if place == "none" else d2l_bn.BatchNorm
    net = lenet(norm, norm, activation, "after" if place == "after" else "before")
    shared.initialized(net, dataset, seed)
    losses = train(net, shared.endless(dataset, BATCH, seed), steps, lr)
    test = shared.batches(dataset.test_images, dataset.test_labels, 1000)
    loss = float(losses[-max(1, steps // 3) :].mean().asscalar())  # of the last epoch
    yield {"train_loss": loss, "test_accuracy": evaluate(net, test)}


EXPERIMENT = Experiment(
    "placement",
    tuple(
        {"activation": activation, "place": place, "lr": lr, "seed": seed}
        for seed in range(3)
        for activation in ACTIVATIONS
        for place in PLACES
        for lr in RATES
    ),
    run,
)
