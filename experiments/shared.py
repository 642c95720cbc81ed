"""What several experiments share: networks, one training step, and the images."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np

import d2l_bn
from d2l_bn.data import Dataset, batches, load
from d2l_bn.training import NORMS, evaluate, set_seed, softmax_cross_entropy
from d2l_bn.training.settings import SCHEDULES

import mxnet as mx
from mxnet import autograd, gluon, nd


@functools.cache
def images(name: str) -> Dataset:
    """A data set, which is read only once."""
    return load(name, download=False, log=lambda _: None)


def training_images(dataset: Dataset, number: int) -> list[nd.NDArray]:
    """The first training images, in batches of 1,000: what statistics are measured on."""
    first = dataset.train_images[:number], dataset.train_labels[:number]
    return [X for X, _ in batches(*first, 1000)]


@contextlib.contextmanager
def restored(net: gluon.Block) -> Iterator[dict[gluon.Parameter, nd.NDArray]]:
    """Yield the values of `net`, and put them back at the end."""
    kept = {parameter: parameter.data().copy() for parameter in net.collect_params().values()}
    yield kept
    for parameter, value in kept.items():
        parameter.set_data(value)


def trainer(net: gluon.Block, lr: float, momentum: float = 0.0, wd: float = 0.0) -> gluon.Trainer:
    """Stochastic gradient descent, with weight decay `wd`."""
    settings = {"learning_rate": lr, "momentum": momentum, "wd": wd}
    return gluon.Trainer(net.collect_params(), "sgd", settings)


def step(
    net: gluon.Block,
    optimizer: gluon.Trainer,
    X: nd.NDArray,
    y: nd.NDArray,
    *,
    loss: Callable = softmax_cross_entropy,
    masks: Mapping[gluon.Parameter, object] = {},
) -> nd.NDArray:
    """Take one step of gradient descent; return the losses before it.

    `masks` has what the gradients of some parameters are multiplied by.
    """
    with autograd.record():
        losses = loss(net(X), y)
    losses.backward()
    for parameter, mask in masks.items():
        parameter.grad()[:] *= mask
    optimizer.step(len(y))
    return losses


def rates(lr: float, steps: int) -> Iterator[float]:
    """The learning rate of each step, from `lr` along half a cosine to 0."""
    return (lr * SCHEDULES["cosine"](step / steps) for step in range(steps))


def train(
    net: gluon.Block, batches: Iterable, steps: int, lr: float, momentum: float = 0.9
) -> nd.NDArray:
    """Take steps at a rate that falls to 0; return the mean loss of each step, shape (steps,)."""
    optimizer, losses = trainer(net, lr, momentum), []
    for (X, y), rate in zip(batches, rates(lr, steps)):
        optimizer.set_learning_rate(rate)
        losses.append(step(net, optimizer, X, y).mean())
    return nd.concat(*losses, dim=0)


def test_accuracy(net: gluon.Block, dataset: Dataset) -> float:
    """The share of the test images that `net` gets right."""
    return evaluate(net, batches(dataset.test_images, dataset.test_labels, 1000))


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
    set_seed(seed)
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
