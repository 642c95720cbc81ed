"""What several experiments share: networks, one training step, and the images."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import numpy as np

import d2l_bn
from d2l_bn.data import Dataset, batches, load
from d2l_bn.training import NORMS, softmax_cross_entropy

import mxnet as mx
from mxnet import autograd, gluon, nd
from mxnet.gluon import nn


@functools.cache
def images(name: str) -> Dataset:
    """A data set, read once."""
    return load(name, download=False, log=lambda _: None)


def dense_sigmoid_net(norm: str, hidden: int, layers: int, weights: float) -> nn.Sequential:
    """Dense layers with sigmoids and Gaussian initial weights, normalized before each sigmoid."""
    net, kind = nn.Sequential(), NORMS[norm]
    for _ in range(layers):
        net.add(nn.Dense(hidden, weight_initializer=mx.init.Normal(weights)))
        if kind is not None:
            net.add(kind(hidden, 2))
        net.add(nn.Activation("sigmoid"))
    net.add(nn.Dense(10, weight_initializer=mx.init.Normal(weights)))
    return net


def trainer(net: gluon.Block, lr: float, momentum: float = 0.0) -> gluon.Trainer:
    """Stochastic gradient descent."""
    return gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": lr, "momentum": momentum})


def step(net: gluon.Block, optimizer: gluon.Trainer, X: nd.NDArray, y: nd.NDArray) -> nd.NDArray:
    """One step of gradient descent; the losses before it."""
    with autograd.record():
        loss = softmax_cross_entropy(net(X), y)
    loss.backward()
    optimizer.step(len(y))
    return loss


def endless(
    dataset: Dataset, batch_size: int, seed: int
) -> Iterator[tuple[nd.NDArray, nd.NDArray]]:
    """Training batches without end, shuffled anew for each epoch."""
    epoch = 0
    while True:
        epoch += 1
        order = np.random.default_rng([seed, epoch])
        yield from batches(dataset.train_images, dataset.train_labels, batch_size, rng=order)


def initialized(net: gluon.Block, dataset: Dataset, seed: int) -> gluon.Block:
    """Initialize `net` from a seed, with all its shapes known."""
    mx.random.seed(seed)
    net.initialize(mx.init.Xavier())
    net(nd.zeros((1, 1, *dataset.image_shape)))
    return net


def lenet(norm: str, dataset: Dataset, seed: int) -> gluon.Block:
    """An initialized LeNet."""
    net = d2l_bn.lenet(NORMS[norm], classes=dataset.classes)
    return initialized(net, dataset, seed)


def scale_weights(net: gluon.Block, scale: float) -> None:
    """Multiply all weights of `net`, not the biases, by a number."""
    for name, parameter in net.collect_params().items():
        if name.endswith("weight"):
            parameter.set_data(parameter.data() * scale)
