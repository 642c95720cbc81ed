"""One training step of the source's, our, Gluon's and the raw operator's batch normalization."""

from __future__ import annotations

from functools import partial

import numpy as np
from in_tensorflow.layers import Case, Layer, Run

import d2l_bn

from mxnet import autograd, nd
from mxnet.gluon import nn

RECORDED = "inside autograd.record()"


class SourceBatchNorm(nn.Block):
    """The source's layer, where `eps` and `momentum` are fixed in the call of its function."""

    def __init__(self, num_features: int, num_dims: int, *, eps=1e-5, momentum=0.9) -> None:
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.shape = (1, num_features, 1, 1)[:num_dims]
        self.gamma = self.params.get("gamma", shape=self.shape, init="ones")
        self.beta = self.params.get("beta", shape=self.shape, init="zeros")
        self.moving_mean = nd.zeros(self.shape)
        self.moving_var = nd.zeros(self.shape)

    def forward(self, X: nd.NDArray) -> nd.NDArray:
        """Normalize `X`; update the averages in training mode."""
        mean, var = self.moving_mean, self.moving_var
        if autograd.is_training():
            axes = (0, 2, 3)[: X.ndim - 1]
            mean = X.mean(axis=axes, keepdims=True)
            var = ((X - mean) ** 2).mean(axis=axes, keepdims=True)
            self.moving_mean = self.momentum * self.moving_mean + (1 - self.momentum) * mean
            self.moving_var = self.momentum * self.moving_var + (1 - self.momentum) * var
        return self.gamma.data() * ((X - mean) / nd.sqrt(var + self.eps)) + self.beta.data()


def run_block(make, statistics, case: Case, *, start=None, **options) -> Run:
    """Take a step with a Block that has a `gamma` and a `beta`.

    `make(channels, rank, **options)` makes it, and `statistics(block)` reads its moving averages.
    """
    layer = make(case.X.shape[1], case.X.ndim, **options)
    layer.initialize()
    for parameter, value in ((layer.gamma, case.gamma), (layer.beta, case.beta)):
        parameter.set_data(nd.array(value).reshape(parameter.shape))
    if start is not None:
        for old, value in zip(statistics(layer), start):
            old[:] = nd.array(value).reshape(old.shape)

    def gradients():
        return layer.gamma.grad(), layer.beta.grad()

    return _step(layer, lambda: statistics(layer), gradients, case)


def run_operator(case: Case, *, eps=None, momentum=None, scale=False, start=None) -> Run:
    """Take a step with the raw operator, which keeps nothing: its arrays are the caller's."""
    given = {"eps": eps, "momentum": momentum, "fix_gamma": False if scale else None}
    given = {name: value for name, value in given.items() if value is not None}
    zeros = np.zeros_like(case.beta)
    gamma, beta = nd.array(case.gamma), nd.array(case.beta)
    mean, var = (nd.array(array) for array in ((zeros, zeros) if start is None else start))
    gamma.attach_grad()
    beta.attach_grad()

    def layer(X):
        return nd.BatchNorm(X, gamma, beta, mean, var, **given)

    return _step(layer, lambda: (mean, var), lambda: (gamma.grad, beta.grad), case)


def _step(layer, statistics, gradients, case: Case) -> Run:
    def averages():
        return [array.asnumpy().reshape(-1) for array in statistics()]

    X = nd.array(case.X)
    X.attach_grad()
    before = averages()
    with autograd.record():
        Y = layer(X)
    Y.wait_to_read()
    forward = averages()
    Y.backward(nd.array(case.dY))
    dgamma, dbeta = (gradient.asnumpy().reshape(-1) for gradient in gradients())
    after = averages()
    unmoved = np.array_equal(forward, before)
    assert unmoved or np.array_equal(forward, after), "the averages must move once"
    alone = layer(X).asnumpy()
    return Run(
        Y.asnumpy(), X.grad.asnumpy(), dgamma, dbeta, *before, *after, alone,
        {"": alone, RECORDED: Y.asnumpy()}, "backward" if unmoved else "forward",
    )  # fmt: skip


def _gluon(channels: int, rank: int, *, eps=None, scale=None, **options):
    if eps is not None:
        options["epsilon"] = eps
    return nn.BatchNorm(in_channels=channels, **options)


def _ours(channels: int, rank: int, *, scale=None, **options):
    return d2l_bn.BatchNorm(channels, rank, **options)


def _moving(layer):
    return layer.moving_mean, layer.moving_var


def _running(layer):
    return layer.running_mean.data(), layer.running_var.data()


def _source(channels: int, rank: int, *, scale=None, **options):
    return SourceBatchNorm(channels, rank, **options)


LAYERS = [
    Layer("the source", "MXNet", partial(run_block, _source, _moving)),
    Layer("d2l_bn.BatchNorm", "MXNet", partial(run_block, _ours, _moving)),
    Layer("Gluon nn.BatchNorm", "MXNet", partial(run_block, _gluon, _running)),
    Layer("nd.BatchNorm", "MXNet", run_operator, yours=("start",)),
]
