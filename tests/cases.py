"""Random problems for batch normalization, and the ways to wrap a call of it."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from typing import NamedTuple

import numpy as np
import pytest

from d2l_bn.reference.mathematics import Step, axes_of

from mxnet import autograd, nd
from mxnet.base import MXNetError


class Case(NamedTuple):
    """One problem in float64; what is given per channel has the shape (1, C) or (1, C, 1, 1)."""

    X: np.ndarray
    gamma: np.ndarray
    beta: np.ndarray
    dY: np.ndarray
    mean: np.ndarray
    var: np.ndarray


def make_case(shape=(5, 3), seed=0, offset=0.5, scale=2.0) -> Case:
    """Draw a problem whose channels have exactly this mean and standard deviation.

    A channel that happened to be almost constant would make float32 gradients meaningless.
    """
    rng = np.random.default_rng(seed)
    X = rng.normal(size=shape)
    X = X - X.mean(axes_of(X), keepdims=True)
    X = X / X.std(axes_of(X), keepdims=True) * scale + offset
    per_channel = (1, shape[1]) + (1,) * (len(shape) - 2)
    gamma, beta, mean = rng.normal(size=(3, *per_channel))
    return Case(X, gamma, beta, rng.normal(size=shape), mean, rng.uniform(0.5, 2, per_channel))


def arrays(case: Case, dtype="float32", ctx=None) -> Case:
    """The same problem as NDArrays."""
    return Case(*(nd.array(value, dtype=dtype, ctx=ctx) for value in case))


def statistics_of(layer) -> tuple:
    """The moving averages of a layer of ours, of the source's or of Gluon's, as NumPy arrays."""
    if hasattr(layer, "moving_mean"):
        return layer.moving_mean.asnumpy(), layer.moving_var.asnumpy()
    return layer.running_mean.data().asnumpy(), layer.running_var.data().asnumpy()


def prepare(layer, case: Case, dtype="float32"):
    """Initialize a layer, whosever it is, with the case's parameters and statistics."""
    layer.cast(dtype)
    layer.initialize()
    shape, given = layer.gamma.shape, arrays(case, dtype)
    layer.gamma.set_data(given.gamma.reshape(shape))
    layer.beta.set_data(given.beta.reshape(shape))
    if hasattr(layer, "moving_mean"):
        layer.moving_mean, layer.moving_var = given.mean, given.var
    else:
        layer.running_mean.set_data(given.mean.reshape(shape))
        layer.running_var.set_data(given.var.reshape(shape))
    return layer


def step(layer, case: Case, dtype="float32", train_mode=True) -> Step:
    """Run a prepared layer forward and backward, once each (Gluon's updates in backward).

    Gluon's layer has to be told again that it predicts, or its gradient is that of training.
    """
    given = arrays(case, dtype)
    given.X.attach_grad()
    with autograd.record(train_mode=train_mode):
        Y = layer(given.X)
    Y.backward(given.dY, train_mode=train_mode)
    gradients = given.X.grad, layer.gamma.grad(), layer.beta.grad()
    return Step(Y.asnumpy(), *(g.asnumpy() for g in gradients), *statistics_of(layer))


# How a call is wrapped, from the outside in; whether it trains; whether it is recorded.
_MODES = {
    "outside record": ((), False, False),
    "record": ((autograd.record,), True, True),
    "record(train_mode=False)": ((partial(autograd.record, train_mode=False),), False, True),
    "train_mode": ((autograd.train_mode,), True, False),
    "predict_mode": ((autograd.predict_mode,), False, False),
    "pause": ((autograd.pause,), False, False),
    "pause(train_mode=True)": ((partial(autograd.pause, train_mode=True),), True, False),
    "pause in record": ((autograd.record, autograd.pause), False, False),
    "predict_mode in record": ((autograd.record, autograd.predict_mode), False, True),
    "train_mode in record(train_mode=False)": (
        (partial(autograd.record, train_mode=False), autograd.train_mode),
        True,
        True,
    ),
}
every_mode = pytest.mark.parametrize(
    "wrappers, trains, records", list(_MODES.values()), ids=list(_MODES)
)
both_ranks = pytest.mark.parametrize("shape", [(5, 3), (4, 3, 2, 5)], ids=["dense", "conv"])


def within(wrappers) -> ExitStack:
    """Enter the context managers that these callables make."""
    stack = ExitStack()
    for wrapper in wrappers:
        stack.enter_context(wrapper())
    return stack


def in_graph(array) -> bool:
    """Whether autograd could go back from `array` to what made it."""
    try:
        symbol = autograd.get_symbol(array)
    except MXNetError as error:
        if "not part of a computation graph" not in str(error):
            raise
        return False
    return symbol.get_children() is not None  # a constant that a graph has used is a leaf of it


def assert_steps_close(received: Step, expected: Step, tolerance: float) -> None:
    """Compare every element; `tolerance` is relative to the largest value of its field."""
    for name, got, wanted in zip(Step._fields, received, expected):
        largest = max(1.0, float(np.abs(wanted).max()))
        np.testing.assert_allclose(
            np.asarray(got, np.float64).reshape(wanted.shape),
            wanted,
            rtol=0,
            atol=tolerance * largest,
            err_msg=name,
        )
