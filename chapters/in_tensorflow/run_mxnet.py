"""Two training steps of the source's, our, Gluon's and the raw operator's batch normalization."""

from __future__ import annotations

from functools import partial

import numpy as np
from in_tensorflow.one_step import Case, Layer, Run

import d2l_bn
from d2l_bn.reference.source import SourceBatchNorm, source_batch_norm

from mxnet import autograd, nd
from mxnet.gluon import nn

RECORDED = "inside autograd.record()"


class Source(SourceBatchNorm):
    """The source's layer with `eps` and `momentum` as options, which the source fixes in a call."""

    def __init__(self, num_features: int, num_dims: int, *, eps=1e-5, momentum=0.9) -> None:
        super().__init__(num_features, num_dims)
        self.eps, self.momentum = eps, momentum

    def forward(self, X: nd.NDArray) -> nd.NDArray:
        """Normalize `X`, and update the averages in training mode."""
        Y, self.moving_mean, self.moving_var = source_batch_norm(
            X, self.gamma.data(), self.beta.data(), self.moving_mean, self.moving_var,
            self.eps, self.momentum,
        )  # fmt: skip
        return Y


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


def run_operator(case: Case, *, scale=False, start=None, **options) -> Run:
    """Take a step with the raw operator, which keeps nothing: its arrays are the caller's."""
    if scale:
        options["fix_gamma"] = False
    zeros = np.zeros_like(case.beta)
    gamma, beta = nd.array(case.gamma), nd.array(case.beta)
    mean, var = (nd.array(array) for array in ((zeros, zeros) if start is None else start))
    gamma.attach_grad()
    beta.attach_grad()

    def layer(X):
        return nd.BatchNorm(X, gamma, beta, mean, var, **options)

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
    dX = X.grad.asnumpy()  # before the second step, which writes its own there
    dgamma, dbeta = (gradient.asnumpy().reshape(-1) for gradient in gradients())
    after = averages()
    unmoved = np.array_equal(forward, before)
    assert unmoved or np.array_equal(forward, after), "the averages must move once"
    with autograd.predict_mode():
        predicted_next = layer(-X).asnumpy()
    predicted, alone = layer(X).asnumpy(), layer(-X).asnumpy()
    with autograd.record():
        Y_next = layer(-X)
    Y_next.backward(nd.array(case.dY))
    return Run(
        Y.asnumpy(), dX, dgamma, dbeta,
        before[0], before[1], after[0], after[1], predicted, "backward" if unmoved else "forward",
        Y_next.asnumpy(), predicted_next, averages()[0],
        {"": alone, RECORDED: Y_next.asnumpy()},
    )  # fmt: skip


def _gluon(channels: int, rank: int, **options):
    if "eps" in options:
        options["epsilon"] = options.pop("eps")
    return nn.BatchNorm(in_channels=channels, **options)


def _moving(layer):
    return layer.moving_mean, layer.moving_var


def _running(layer):
    return layer.running_mean.data(), layer.running_var.data()


LAYERS = [
    Layer("the source", "MXNet", partial(run_block, Source, _moving)),
    Layer("d2l_bn.BatchNorm", "MXNet", partial(run_block, d2l_bn.BatchNorm, _moving)),
    Layer("Gluon nn.BatchNorm", "MXNet", partial(run_block, _gluon, _running)),
    Layer("nd.BatchNorm", "MXNet", run_operator, yours=("start",)),
]
