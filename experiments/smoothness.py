"""Experiment 3: three figures of Santurkar and others (2018), "How does batch normalization help?".

Noisy batch normalization: after each normalization, noise with a random mean and scale for each
step, so that the distributions are anything but stable. Loss and gradient along the step: how
much they vary when one walks on in the direction of the gradient. A deep linear network.
"""

from __future__ import annotations

from itertools import islice

import numpy as np

import d2l_bn
from d2l_bn.data import batch_count
from d2l_bn.training import NORMS, evaluate, set_seed, softmax_cross_entropy
from experiments import shared
from experiments.tables import Experiment

import mxnet as mx
from mxnet import autograd, gluon, nd
from mxnet.gluon import nn

EPOCHS, BATCH, LR = 10, 64, 0.3
DISTANCES = tuple(np.linspace(0.05, 0.4, 8))  # along the gradient, as learning rates
DEPTH, WIDTH, SAMPLES, LINEAR_STEPS, LINEAR_LR = 25, 10, 1000, 10_000, 1e-6


class NoisyBatchNorm(nn.Block):
    """Batch normalization, then noise of another mean and scale for each step and channel."""

    def __init__(self, num_features: int, num_dims: int) -> None:
        super().__init__()
        self.norm = d2l_bn.BatchNorm(num_features, num_dims)

    def forward(self, X: nd.NDArray) -> nd.NDArray:
        """Normalize `X`, and add the noise in training mode."""
        Y = self.norm(X)
        if not autograd.is_training():
            return Y
        shape = self.norm.gamma.shape
        mean = nd.random.uniform(-0.5, 0.5, shape)
        scale = nd.random.uniform(1, 1.25, shape).sqrt()
        return Y + mean + scale * nd.random.normal(shape=X.shape)


def run_noisy(norm: str, seed: int, epochs: int = EPOCHS):
    """Train LeNet on the sample, and yield a row after each epoch."""
    dataset = shared.images("sample")
    kind = NoisyBatchNorm if norm == "noisy" else NORMS[norm]
    net = shared.initialized(d2l_bn.lenet(kind), dataset, seed)
    optimizer = shared.trainer(net, LR)
    batches = shared.endless(dataset, BATCH, seed)
    steps = batch_count(len(dataset.train_images), BATCH)
    for epoch in range(1, epochs + 1):
        losses = [shared.step(net, optimizer, *next(batches)).mean() for _ in range(steps)]
        test = shared.batches(dataset.test_images, dataset.test_labels, 1000)
        loss = float(nd.stack(*losses).mean().asscalar())
        yield {"epoch": epoch, "train_loss": loss, "test_accuracy": evaluate(net, test)}


def run_bands(norm: str, scale: float, seed: int, steps: int = 900, every: int = 30):
    """Train LeNet on the sample, and yield what lies along the gradient every `every` steps.

    With initial weights three times the usual, the network without normalization learns at once.
    """
    dataset = shared.images("sample")
    net = shared.lenet(norm, dataset, seed)
    shared.scale_weights(net, scale)
    optimizer = shared.trainer(net, LR)
    for number, (X, y) in enumerate(islice(shared.endless(dataset, BATCH, seed), steps), 1):
        if number % every == 0:
            yield {"step": number, **along_the_gradient(net, X, y)}
        shared.step(net, optimizer, X, y)


def along_the_gradient(net: gluon.Block, X: nd.NDArray, y: nd.NDArray) -> dict:
    """Loss, length of the gradient, and the least and greatest loss and change along it."""
    trained = [p for p in net.collect_params().values() if p.grad_req != "null"]
    with shared.restored(net) as kept:
        loss_here, here = _loss_and_gradient(net, trained, X, y)
        losses, changes = [], []
        for distance in DISTANCES:
            for parameter, gradient in zip(trained, here):
                parameter.set_data(kept[parameter] - distance * gradient)
            loss, there = _loss_and_gradient(net, trained, X, y)
            losses.append(loss)
            changes.append(_length([a - b for a, b in zip(here, there)]))
    return {
        "loss": loss_here,
        "gradient": _length(here),
        "loss_min": min(losses),
        "loss_max": max(losses),
        "change_min": min(changes),
        "change_max": max(changes),
    }


def _loss_and_gradient(net, trained, X, y) -> tuple[float, list[nd.NDArray]]:
    with autograd.record():
        loss = softmax_cross_entropy(net(X), y).mean()
    loss.backward()
    return float(loss.asscalar()), [parameter.grad().copy() for parameter in trained]


def _length(arrays: list[nd.NDArray]) -> float:
    """The Euclidean length of all arrays together."""
    return float(np.sqrt(sum((array**2).sum().asscalar() for array in arrays)))


def run_linear(norm: str, seed: int, steps: int = LINEAR_STEPS, every: int = 250):
    """Train a deep linear network on a linear map, and yield a row every `every` steps."""
    set_seed(seed)
    X, truth = nd.random.normal(shape=(SAMPLES, WIDTH)), nd.random.normal(shape=(WIDTH, WIDTH))
    targets = nd.dot(X, truth)
    net, kind = nn.Sequential(), NORMS[norm]
    for _ in range(DEPTH):
        net.add(nn.Dense(WIDTH))
        if kind is not None:
            net.add(kind(WIDTH, 2))
    net.initialize(mx.init.Xavier())
    net(X)
    optimizer = shared.trainer(net, LINEAR_LR)
    for number in range(1, steps + 1):
        with autograd.record():
            loss = (net(X) - targets).square().sum()
        loss.backward()
        optimizer.step(1)
        if number == 1 or number % every == 0:
            yield {"step": number, "loss": float(loss.asscalar()) / SAMPLES}


BANDS = tuple({"scale": scale, **case} for scale in (1.0, 3.0) for case in shared.cases())
EXPERIMENTS = (
    Experiment("noisy", shared.cases("none", "scratch", "noisy"), run_noisy),
    Experiment("bands", BANDS, run_bands),
    Experiment("deep_linear", shared.cases(), run_linear),
)
