"""Checks a student's layer: its parameters, its state, and what becomes of them."""

from __future__ import annotations

from typing import Callable, NamedTuple

import numpy as np

from d2l_bn.checks import formula
from d2l_bn.checks.calls import guarded, to_numpy
from d2l_bn.checks.failure import CheckFailed, kind
from d2l_bn.checks.formula import Case

import mxnet as mx
from mxnet import autograd, gluon, nd

INPUTS = {2: (5, 3), 4: (4, 3, 2, 2)}


class Subject(NamedTuple):
    """A candidate for the layer and whether it may call ready-made normalizations."""

    candidate: Callable
    allow_library: bool

    def guarded(self, call: Callable, part: str, given=None):
        """Return ``call()``, with its exceptions in words."""
        return guarded(call, part, allow_library=self.allow_library, given=given)

    def make(self, num_dims: int, part: str, *, num_features: int = 3, ctx=None):
        """Return a new layer, initialized."""

        def call():
            layer = self.candidate(num_features, num_dims)
            if isinstance(layer, gluon.Block):
                layer.initialize(ctx=ctx or mx.cpu())
            return layer

        layer = self.guarded(call, part, {"num_features": num_features, "num_dims": num_dims})
        if not isinstance(layer, gluon.Block):
            raise CheckFailed(
                part,
                "your layer is not a Block of Gluon's.",
                expected="an object of a class that extends nn.Block",
                received=kind(layer),
                cause="the class does not extend nn.Block, or the function does not return it: "
                "class BatchNorm(nn.Block).",
            )
        return layer

    def forward(self, layer, X: np.ndarray, part: str, *, training: bool, ctx=None) -> nd.NDArray:
        """Call the layer in training or in prediction mode."""
        given = nd.array(X, ctx=ctx or mx.cpu())

        def call():
            with autograd.record(train_mode=True) if training else autograd.predict_mode():
                return layer(given)

        Y = self.guarded(call, part, {"X": X})
        if not isinstance(Y, nd.NDArray):
            raise CheckFailed(
                part,
                f"what forward returns is {kind(Y)}, but must be the output, an NDArray.",
                cause="the return statement is missing."
                if Y is None
                else "all three values are returned. Keep the averages and return Y.",
            )
        if Y.shape != X.shape:
            raise CheckFailed(
                part,
                "the shape of the output is wrong.",
                input={"X": X},
                expected=str(X.shape),
                received=str(Y.shape),
                cause="gamma, beta or the statistics have a shape that does not fit num_dims.",
            )
        return Y


def draw(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Draw an input with one digit after the point, which is easy to read."""
    return np.round(formula.draw(shape, seed).X, 1)


def statistic(layer, name: str, part: str, ctx=None) -> nd.NDArray:
    """Return a moving average of a layer, whether it is an NDArray or a parameter."""
    value = getattr(layer, name, None)
    if isinstance(value, gluon.Parameter):
        return value.data(ctx)
    if not isinstance(value, nd.NDArray):
        raise CheckFailed(
            part,
            f"the layer has no {name} that is an NDArray or a parameter.",
            received=kind(value),
            cause=f"__init__ does not set self.{name}, or sets it to something else.",
        )
    return value


def statistics(layer, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Return both moving averages in float64."""
    return (
        to_numpy(statistic(layer, "moving_mean", part)).copy(),
        to_numpy(statistic(layer, "moving_var", part)).copy(),
    )


def case_of(layer, X: np.ndarray, part: str) -> Case:
    """Return the case that a layer meets with this input: fresh gamma and beta, its averages."""
    return formula.make(X, None, None, *statistics(layer, part))
