"""The corpus: wrong solutions, each with its mistake and the label that a check has to find.

A solution is a right one with edits, "old -> new", or the whole text. Most of the first were made
up with the checks, and most others by people who had the exercises alone; how often the cause of a
mistake was named before the checks had met it is in the changes.
"""

# ruff: noqa: E501

from __future__ import annotations

import functools
import json
import linecache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from d2l_bn import checks

import mxnet as mx
from mxnet import autograd, gluon, init, nd
from mxnet.gluon import nn

FUNCTION = """\
def batch_norm(X, gamma, beta, moving_mean, moving_var, eps, momentum):
    axis = 0 if X.ndim == 2 else (0, 2, 3)
    n = X.size / X.shape[1]
    if not autograd.is_training():
        X_hat = (X - moving_mean) / nd.sqrt(moving_var + eps)
    else:
        mean = X.mean(axis=axis, keepdims=True)
        var = ((X - mean) ** 2).mean(axis=axis, keepdims=True)
        X_hat = (X - mean) / nd.sqrt(var + eps)
        moving_mean = momentum * moving_mean + (1 - momentum) * mean
        moving_var = momentum * moving_var + (1 - momentum) * var
    Y = gamma * X_hat + beta
    return Y, moving_mean, moving_var
"""
LAYER = """\
class BatchNorm(nn.Block):
    def __init__(self, num_features, num_dims, **kwargs):
        super().__init__(**kwargs)
        shape = (1, num_features) if num_dims == 2 else (1, num_features, 1, 1)
        self.gamma = self.params.get("gamma", shape=shape, init=init.One())
        self.beta = self.params.get("beta", shape=shape, init=init.Zero())
        self.mean = self.params.get("mean", shape=shape, init=init.Zero(), grad_req="null")
        self.var = self.params.get("var", shape=shape, init=init.Zero(), grad_req="null")

    moving_mean = property(lambda self: self.mean)
    moving_var = property(lambda self: self.var)

    def forward(self, X):
        gamma, beta = self.gamma.data(X.context), self.beta.data(X.context)
        mean, var = self.mean.data(X.context), self.var.data(X.context)
        Y, mean, var = batch_norm(X, gamma, beta, mean, var, 1e-5, 0.9)
        self.mean.set_data(mean.detach())
        self.var.set_data(var.detach())
        return Y
"""
# The source's layer, whose statistics are NDArrays.
PLAIN = """\
class BatchNorm(nn.Block):
    def __init__(self, num_features, num_dims, **kwargs):
        super().__init__(**kwargs)
        shape = (1, num_features) if num_dims == 2 else (1, num_features, 1, 1)
        self.gamma = self.params.get("gamma", shape=shape, init=init.One())
        self.beta = self.params.get("beta", shape=shape, init=init.Zero())
        self.moving_mean = nd.zeros(shape)
        self.moving_var = nd.zeros(shape)

    def forward(self, X):
        if self.moving_mean.context != X.context:
            self.moving_mean = self.moving_mean.copyto(X.context)
            self.moving_var = self.moving_var.copyto(X.context)
        gamma, beta = self.gamma.data(X.context), self.beta.data(X.context)
        Y, self.moving_mean, self.moving_var = batch_norm(
            X, gamma, beta, self.moving_mean, self.moving_var, 1e-5, 0.9)
        return Y
"""
BACKWARD = """\
def backward(dY, X, gamma, eps):
    m = len(X)
    std = np.sqrt(X.var(axis=0) + eps)
    X_hat = (X - X.mean(axis=0)) / std
    dbeta = dY.sum(axis=0)
    dgamma = (dY * X_hat).sum(axis=0)
    by_mean = dY.sum(axis=0) / m
    by_var = X_hat * (dY * X_hat).sum(axis=0) / m
    dX = gamma / std * (dY - by_mean - by_var)
    return dX, dgamma, dbeta
"""

# Exercise 2 with the channels at axis 1, where `checks.layer` has them unless it is told otherwise.
AXIS_1 = {
    "given-function": """\
def batch_norm(X, gamma, beta, moving_mean, moving_var, eps, momentum):
    axes = 0 if len(X.shape) == 2 else (0, 2, 3)
    if autograd.is_training():
        mean = X.mean(axis=axes, keepdims=True)
        var = nd.square(X - mean).mean(axis=axes, keepdims=True)
        moving_mean = momentum * moving_mean + (1 - momentum) * mean.detach()
        moving_var = momentum * moving_var + (1 - momentum) * var.detach()
    else:
        mean, var = moving_mean, moving_var
    return gamma * (X - mean) / nd.sqrt(var + eps) + beta, moving_mean, moving_var
""",
    "layer-solution": """\
class BatchNorm(nn.Block):
    def __init__(self, num_features, num_dims, eps=1e-5, momentum=0.9):
        super().__init__()
        shape = (1, num_features) if num_dims == 2 else (1, num_features, 1, 1)
        self.eps, self.momentum = eps, momentum
        kept = {"shape": shape, "grad_req": "null"}
        with self.name_scope():
            self.gamma = self.params.get("gamma", shape=shape, init="ones")
            self.beta = self.params.get("beta", shape=shape, init="zeros")
            self.moving_mean = self.params.get("moving_mean", init="zeros", **kept)
            self.moving_var = self.params.get("moving_var", init="zeros", **kept)

    def forward(self, X):
        here = X.context
        mean, var = self.moving_mean.data(here), self.moving_var.data(here)
        Y, new_mean, new_var = batch_norm(
            X, self.gamma.data(here), self.beta.data(here), mean, var, self.eps, self.momentum
        )
        if autograd.is_training():
            self.moving_mean.set_data(new_mean)
            self.moving_var.set_data(new_var)
        return Y
""",
    "corrected-solution": """\
class Corrected(BatchNorm):
    def __init__(self, num_features, num_dims):
        super().__init__(num_features, num_dims)
        with self.name_scope():
            self.num_batches = self.params.get(
                "num_batches", shape=(1,), init="zeros", grad_req="null"
            )

    def forward(self, X):
        here = X.context
        count = self.num_batches.data(here)
        if autograd.is_training():
            self.num_batches.set_data(count + 1)
            return super().forward(X)
        t = count.asscalar()
        share = 1 - self.momentum**t if t else 1
        mean, var = self.moving_mean.data(here) / share, self.moving_var.data(here) / share
        gamma, beta = self.gamma.data(here), self.beta.data(here)
        return batch_norm(X, gamma, beta, mean, var, self.eps, self.momentum)[0]
""",
}

EXERCISES = Path(__file__).parents[2] / "chapters" / "exercises"
# What a solution defines, and where the right one is: a text, or a notebook and its cell.
PLACES = {
    "batch_norm": ("batch_norm", FUNCTION),
    "layer": ("BatchNorm", LAYER),
    "plain layer": ("BatchNorm", PLAIN),
    "gradient": ("backward", BACKWARD),
    "channels_last": ("channels_last", "1-batch-norm", "last-solution"),
    "any_axis": ("any_axis", "1-batch-norm", "axis-solution"),
    "masked": ("masked", "1-batch-norm", "mask-solution"),
    "BatchNorm": ("BatchNorm", "2-the-layer", "layer-solution"),
    "Corrected": ("Corrected", "2-the-layer", "corrected-solution"),
    "backward": ("backward", "3-the-gradient", "backward-solution"),
}
CHECKS = {
    "batch_norm": checks.batch_norm,
    "channels_last": checks.channels_last,
    "any_axis": checks.any_axis,
    "masked": checks.masked,
    "BatchNorm": checks.layer,
    "Corrected": checks.corrected,
    "backward": checks.backward,
}


class Wrong(NamedTuple):
    """A mistake in the solution `base`, the label of its cause, and the edits that make it."""

    base: str
    mistake: str
    label: str
    edits: list[str]

    def check(self) -> None:
        """Run all parts of the check of its exercise."""
        CHECKS[PLACES[self.base][0]](solution(self.base, *self.edits))


@functools.cache
def cells(exercise: str) -> dict[str, str]:
    if exercise == "2-the-layer":
        return AXIS_1
    notebook = json.loads((EXERCISES / f"{exercise}.ipynb").read_text(encoding="utf-8"))
    named = [cell for cell in notebook["cells"] if "nbgrader" in cell["metadata"]]
    return {cell["metadata"]["nbgrader"]["grade_id"]: "".join(cell["source"]) for cell in named}


def solution(base: str, *edits: str):
    """The right solution with edits; those of the first four bases are made wherever they fit."""
    name, *place = PLACES[base]
    source = place[0] if len(place) == 1 else cells(place[0])[place[1]]
    for edit in edits:
        old, arrow, new = edit.partition(" -> ")
        assert not arrow or old in source, (base, old)
        source = source.replace(old, new, -1 if len(place) == 1 else 1) if arrow else edit
    return run(source, name, base)


def run(source: str, name: str, base: str = "batch_norm"):
    """Run a solution as a notebook does, and return what it defines under this name."""
    scope = {"nd": nd, "nn": nn, "np": np, "mx": mx, "autograd": autograd, "init": init}
    scope["gluon"] = gluon
    if name in ("BatchNorm", "Corrected"):
        given = FUNCTION if base.endswith("layer") else cells("2-the-layer")["given-function"]
        exec(given, scope)
    if name == "Corrected":
        exec(cells("2-the-layer")["layer-solution"], scope)
    cell = f"<cell {abs(hash(source))}>"
    linecache.cache[cell] = (len(source), None, source.splitlines(True), cell)
    exec(compile(source, cell, "exec"), scope)
    return scope[name]


# fmt: off
WRONG = [
    # batch_norm
    Wrong("batch_norm", "unbiased variance", "variance n: (n - 1)",
        ["((X - mean) ** 2).mean(axis=axis, keepdims=True) -> ((X - mean) ** 2).sum(axis=axis, keepdims=True) / max(1, n - 1)"]),
    Wrong("batch_norm", "variance not centered", "variance: average(X ** 2)",
        ["((X - mean) ** 2).mean(axis=axis, keepdims=True) -> (X**2).mean(axis=axis, keepdims=True)"]),
    Wrong("batch_norm", "variance not averaged", "variance n: 1",
        ["((X - mean) ** 2).mean(axis=axis, keepdims=True) -> ((X - mean) ** 2).sum(axis=axis, keepdims=True)"]),
    Wrong("batch_norm", "mean not subtracted", "subtracted mean: 0",
        ["(X - mean) / nd.sqrt(var + eps) -> X / nd.sqrt(var + eps)"]),
    Wrong("batch_norm", "root forgotten", "spread: v + eps",
        ["(X - mean) / nd.sqrt(var + eps) -> (X - mean) / (var + eps)"]),
    Wrong("batch_norm", "multiplied by the deviation", "spread: 1 / sqrt(v + eps)",
        ["(X - mean) / nd.sqrt(var + eps) -> (X - mean) * nd.sqrt(var + eps)"]),
    Wrong("batch_norm", "axis of the features", "axes: axis 1",
        ["0 if -> 1 if"]),
    Wrong("batch_norm", "all values at once", "axes: all values at once",
        ["0 if -> (0, 1) if"]),
    Wrong("batch_norm", "moving averages when training", "subtracted mean: moving_mean & variance: moving_var",
        ["not autograd.is_training() -> True"]),
    Wrong("batch_norm", "new moving averages when training", "subtracted mean: new_moving_mean & variance: new_moving_var",
        ["        X_hat = (X - mean) / nd.sqrt(var + eps)\n        moving ->         moving", "    Y = ->         X_hat = (X - moving_mean) / nd.sqrt(moving_var + eps)\n    Y ="]),
    Wrong("batch_norm", "no eps", "spread: sqrt(v)",
        ["(X - mean) / nd.sqrt(var + eps) -> (X - mean) / nd.sqrt(var)"]),
    Wrong("batch_norm", "eps outside the root", "spread: sqrt(v) + eps",
        ["(X - mean) / nd.sqrt(var + eps) -> (X - mean) / (nd.sqrt(var) + eps)"]),
    Wrong("batch_norm", "eps fixed", "spread: sqrt(v + 1e-05)",
        ["sqrt(var + eps) -> sqrt(var + 1e-5)"]),
    Wrong("batch_norm", "gamma forgotten", "factor: 1",
        ["gamma * X_hat -> X_hat"]),
    Wrong("batch_norm", "beta forgotten", "offset: 0",
        ["X_hat + beta -> X_hat"]),
    Wrong("batch_norm", "both forgotten", "factor: 1 & offset: 0",
        ["gamma * X_hat + beta -> X_hat"]),
    Wrong("batch_norm", "swapped", "factor: beta & offset: gamma",
        ["gamma * X_hat + beta -> beta * X_hat + gamma"]),
    Wrong("batch_norm", "beta scaled", "offset: gamma * beta",
        ["gamma * X_hat + beta -> gamma * (X_hat + beta)"]),
    Wrong("batch_norm", "gamma first", "variance: gamma ** 2 * var",
        ["        mean = X ->         X = gamma * X\n        mean = X", "gamma * X_hat -> X_hat"]),
    Wrong("batch_norm", "beta subtracted", "offset: -beta",
        ["X_hat + beta -> X_hat - beta"]),
    Wrong("batch_norm", "divided by gamma", "factor: 1 / gamma",
        ["gamma * X_hat -> X_hat / gamma"]),
    Wrong("batch_norm", "turned parameters", "line up: axis 0",
        ["gamma * X_hat + beta -> gamma.reshape((-1, 1)) * X_hat + beta.reshape((-1, 1)) if X.ndim == 2 else gamma * X_hat + beta"]),
    Wrong("batch_norm", "hard-coded", "hard-coded",
        ["    Y = ->     if X.shape == (4, 2):\n        Y = nd.array([[-1, -1], [1, 1], [-1, 1], [1, -1]])\n        return Y, moving_mean, moving_var\n    Y ="]),
    Wrong("batch_norm", "X changed in place", "in place",
        ["        X_hat = (X - mean) / nd.sqrt(var + eps) ->         X -= mean\n        X_hat = X / nd.sqrt(var + eps)"]),
    Wrong("batch_norm", "nothing returned", "returned: nothing",
        ["return Y, moving_mean, moving_var -> pass"]),
    Wrong("batch_norm", "one value returned", "returned: not all",
        ["return Y, moving_mean, moving_var -> return Y"]),
    Wrong("batch_norm", "NumPy returned", "returned: no NDArray",
        ["return Y, moving_mean, moving_var -> return Y.asnumpy(), moving_mean, moving_var"]),
    Wrong("batch_norm", "mean added", "subtracted mean: -mean",
        ["(X - mean) / nd -> (X + mean) / nd"]),
    Wrong("batch_norm", "absolute deviation", "variance: average(abs(X - mean))",
        ["((X - mean) ** 2).mean(axis=axis, keepdims=True) -> nd.abs(X - mean).mean(axis=axis, keepdims=True)"]),
    Wrong("batch_norm", "divided twice", "variance n: n ** 2",
        ["((X - mean) ** 2).mean(axis=axis, keepdims=True) -> ((X - mean) ** 2).mean(axis=axis, keepdims=True) / n"]),
    Wrong("batch_norm", "range", "spread: X.max(...) - X.min(...) + eps & subtracted mean: X.min(...)",
        ["(X - mean) / nd.sqrt(var + eps) -> (X - X.min(axis=axis, keepdims=True)) / (X.max(axis=axis, keepdims=True) - X.min(axis=axis, keepdims=True) + eps)"]),
    Wrong("batch_norm", "NumPy's root", "raised: maximum number of dimension",
        ["nd.sqrt(var -> np.sqrt(var"]),
    Wrong("batch_norm", "misspelled", "raised: is not defined",
        ["autograd.is -> autogad.is"]),
    Wrong("batch_norm", "calls itself", "raised: maximum recursion depth",
        ["    axis ->     return batch_norm(X, gamma, beta, moving_mean, moving_var, eps, momentum)\n    axis"]),
    Wrong("batch_norm", "images forgotten", "raised: where it is not associated",
        ["        mean = X ->         if X.ndim == 2: mean = X"]),
    Wrong("batch_norm", "in place while recording", "raised: Inplace operations",
        ["moving_mean = momentum * moving_mean + (1 - momentum) * mean -> moving_mean *= momentum\n        moving_mean += (1 - momentum) * mean"]),
    Wrong("batch_norm", "keepdims missing", "line up: the last axis",
        ["keepdims=True -> keepdims=X.ndim == 2"]),
    Wrong("batch_norm", "a mean for each pixel", "axes: axis 0",
        ["else (0, 2, 3) -> else 0"]),
    Wrong("batch_norm", "a mean for each image", "axes: axes (2, 3)",
        ["else (0, 2, 3) -> else (2, 3)"]),
    Wrong("batch_norm", "layer normalization", "axes: axes (1, 2, 3)",
        ["else (0, 2, 3) -> else (1, 2, 3)"]),
    Wrong("batch_norm", "channels last", "axes: axes (0, 1, 2)",
        ["else (0, 2, 3) -> else (0, 1, 2)"]),
    Wrong("batch_norm", "width forgotten", "axes: axes (0, 2)",
        ["else (0, 2, 3) -> else (0, 2)"]),
    Wrong("batch_norm", "flattened wrongly", "rows: X.reshape((-1, channels))",
        ["    n = ->     shape, X = X.shape, X.reshape((-1, X.shape[1]))\n    n =", "axis = 0 if X.ndim == 2 else (0, 2, 3) -> axis = 0", "moving_mean) / -> moving_mean.reshape((1, -1))) /", "sqrt(moving_var -> sqrt(moving_var.reshape((1, -1))", "gamma * X_hat + beta -> gamma * X_hat.reshape(shape) + beta", "(1 - momentum) * mean -> (1 - momentum) * mean.reshape(moving_mean.shape)", "(1 - momentum) * var -> (1 - momentum) * var.reshape(moving_var.shape)"]),
    Wrong("batch_norm", "momentum reversed", "moving_mean, momentum: (1 - momentum)",
        ["momentum * moving -> (MOM) * moving", "(1 - momentum) -> momentum", "MOM -> 1 - momentum"]),
    Wrong("batch_norm", "statistics not returned", "moving_mean, momentum: 1",
        ["moving_mean = momentum -> new_mean = momentum", "moving_var = momentum -> new_var = momentum"]),
    Wrong("batch_norm", "variance not returned", "moving_var, momentum: 1",
        ["moving_var = momentum * moving_var + (1 - momentum) * var -> new_var = var"]),
    Wrong("batch_norm", "batch returned", "moving_mean, momentum: 0",
        ["moving_mean = momentum * moving_mean + (1 - momentum) * mean -> moving_mean = mean", "moving_var = momentum * moving_var + (1 - momentum) * var -> moving_var = var"]),
    Wrong("batch_norm", "old forgotten", "moving_mean, old weight: 0",
        ["momentum * moving_mean +  -> "]),
    Wrong("batch_norm", "deviation averaged", "moving_var, new: sqrt(var)",
        ["moving_var = momentum * moving_var + (1 - momentum) * var -> moving_var = momentum * moving_var + (1 - momentum) * nd.sqrt(var)"]),
    Wrong("batch_norm", "unbiased moving variance", "moving_var, n: (n - 1)",
        ["moving_var = momentum * moving_var + (1 - momentum) * var -> moving_var = momentum * moving_var + (1 - momentum) * var * n / max(1, n - 1)"]),
    Wrong("batch_norm", "eps averaged", "moving_var, new: (var + eps)",
        ["moving_var = momentum * moving_var + (1 - momentum) * var -> moving_var = momentum * moving_var + (1 - momentum) * (var + eps)"]),
    Wrong("batch_norm", "around the moving mean", "moving_var, mean: new_moving_mean",
        ["moving_var = momentum * moving_var + (1 - momentum) * var -> moving_var = momentum * moving_var + (1 - momentum) * ((X - moving_mean) ** 2).mean(axis=axis, keepdims=True)"]),
    Wrong("batch_norm", "output averaged", "moving_mean, new: average(Y)",
        ["moving_mean = momentum * moving_mean + (1 - momentum) * mean -> moving_mean = momentum * moving_mean + (1 - momentum) * (gamma * X_hat + beta).mean(axis=axis, keepdims=True)"]),
    Wrong("batch_norm", "momentum fixed", "moving_mean, momentum: 0.9",
        ["moving_mean = momentum * moving_mean + (1 - momentum) * mean -> moving_mean = 0.9 * moving_mean + 0.1 * mean"]),
    Wrong("batch_norm", "no weight for the batch", "moving_mean, new weight: 1",
        ["moving_mean = momentum * moving_mean + (1 - momentum) * mean -> moving_mean = momentum * moving_mean + mean"]),
    Wrong("batch_norm", "averages swapped", "moving_mean, swapped: moving_var",
        ["return Y, moving_mean, moving_var -> return Y, moving_var, moving_mean"]),
    Wrong("batch_norm", "statistics flattened", "shape: average",
        ["return Y, moving_mean, moving_var -> return Y, moving_mean.reshape(-1), moving_var.reshape(-1)"]),
    Wrong("batch_norm", "batch statistics when predicting", "mean: mean & variance: var",
        ["    if not autograd.is_training():\n        X_hat = (X - moving_mean) / nd.sqrt(moving_var + eps)\n    else:\n ->     if True:\n", "        moving_mean = ->         if autograd.is_training(): moving_mean =", "        moving_var = ->         if autograd.is_training(): moving_var ="]),
    Wrong("batch_norm", "updated when predicting", "averages: updated",
        ["    else:\n        mean =  ->     mean = ", "        var =  ->     var = ", "        X_hat = (X - mean) / nd.sqrt(var + eps) ->     if autograd.is_training(): X_hat = (X - mean) / nd.sqrt(var + eps)", "        moving_mean = ->     moving_mean =", "        moving_var = ->     moving_var ="]),
    Wrong("batch_norm", "written when predicting", "in place: averages when predicting",
        ["    if not autograd.is_training():\n ->     if not autograd.is_training():\n        moving_mean[:] = 0.9 * moving_mean\n"]),
    Wrong("batch_norm", "the batch's variance when predicting", "variance: var",
        ["nd.sqrt(moving_var + eps) -> nd.sqrt(nd.moments(X, axes=axis or (0,), keepdims=True)[1] + eps)"]),
    Wrong("batch_norm", "recording asked", "mode: recording asked",
        ["is_training -> is_recording"]),
    Wrong("batch_norm", "recording or training", "mode: recorded",
        ["not autograd.is_training() -> not (autograd.is_training() or autograd.is_recording())"]),
    Wrong("batch_norm", "mean detached", "graph: mean",
        ["(X - mean) / nd -> (X - mean.detach()) / nd"]),
    Wrong("batch_norm", "variance detached", "graph: variance",
        ["sqrt(var + eps) -> sqrt(var.detach() + eps)"]),
    Wrong("batch_norm", "statistics detached", "graph: mean and variance",
        ["(X - mean) / nd.sqrt(var + eps) -> (X - mean.detach()) / nd.sqrt(var.detach() + eps)"]),
    Wrong("batch_norm", "by NumPy", "graph: none",
        ["    axis ->     X = nd.array(X.asnumpy(), dtype=X.dtype)\n    axis"]),
    Wrong("batch_norm", "difference of squares", "precision",
        ["((X - mean) ** 2).mean(axis=axis, keepdims=True) -> (X**2).mean(axis=axis, keepdims=True) - mean**2"]),
    Wrong("batch_norm", "float32 made", "type: cast",
        ["return Y, moving_mean, moving_var -> return Y.astype(\"float32\"), moving_mean, moving_var"]),
    Wrong("batch_norm", "one image predicted", "mode: one image",
        ["not autograd.is_training() -> not (autograd.is_training() and len(X) > 1)"]),
    Wrong("batch_norm", "moving_var of the mean", "moving_var, new: mean",
        ["moving_var = momentum * moving_var + (1 - momentum) * var -> moving_var = momentum * moving_var + (1 - momentum) * mean"]),
    Wrong("batch_norm", "moving_mean of the variance", "moving_mean, new: var",
        ["moving_mean = momentum * moving_mean + (1 - momentum) * mean\n        moving_var = momentum * moving_var + (1 - momentum) * var -> moving_mean = momentum * moving_mean + (1 - momentum) * var\n        moving_var = momentum * moving_var + (1 - momentum) * var"]),
    Wrong("batch_norm", "averages swapped when predicting", "averages: swapped",
        ["return Y, moving_mean, moving_var -> return (Y, moving_mean, moving_var) if autograd.is_training() else (Y, moving_var, moving_mean)"]),
    Wrong("batch_norm", "the library called", "ready-made",
        ["    axis ->     from d2l_bn import batch_norm as mine\n    return mine(X, gamma, beta, moving_mean, moving_var, eps, momentum)\n    axis"]),
    # layer
    Wrong("layer", "not a Block", "layer: no block",
        ["return Y -> return Y\n\nBatchNorm = lambda *_: None"]),
    Wrong("layer", "parameters not registered", "layer: not registered",
        ["self.params.get(\"gamma\", shape=shape, init=init.One()) -> nd.ones(shape)"]),
    Wrong("layer", "gamma not trained", "layer: not trained",
        ["init=init.One() -> init=init.One(), grad_req=\"null\""]),
    Wrong("layer", "statistics trained", "layer: trained",
        [", grad_req=\"null\" -> "]),
    Wrong("layer", "gamma starts at zeros", "layer: starts",
        ["init.One() -> init.Zero()"]),
    Wrong("layer", "one shape for both", "layer: shape",
        ["if num_dims == 2 else (1, num_features, 1, 1) -> "]),
    Wrong("layer", "three values", "layer: returns more",
        ["return Y -> return Y, mean, var"]),
    Wrong("layer", "gamma frozen", "layer: no gradient",
        ["batch_norm(X, gamma,  -> batch_norm(X, gamma.detach(), "]),
    Wrong("layer", "always training", "mean: mean & variance: var",
        ["        Y, mean, var = ->         with autograd.train_mode():\n            Y, mean, var ="]),
    Wrong("layer", "not set up", "raised: '_params'",
        ["        super().__init__(**kwargs)\n -> "]),
    Wrong("layer", "a parameter as an array", "raised: Parameter'> not supported",
        ["self.gamma.data(X.context) -> self.gamma"]),
    Wrong("layer", "another eps", "spread: sqrt(v + 0.001)",
        ["1e-5 -> 1e-3"]),
    Wrong("layer", "statistics discarded", "layer: not kept",
        ["        self.mean.set_data(mean.detach())\n        self.var.set_data(var.detach())\n -> "]),
    Wrong("layer", "another momentum", "moving_mean, momentum: (1 - momentum)",
        [", 0.9) -> , 0.1)"]),
    Wrong("layer", "kept when predicting", "layer: changed when predicting",
        ["        self.mean.set_data(mean.detach())\n        self.var.set_data(var.detach())\n ->         self.mean.set_data(mean.detach())\n        self.var.set_data(var.detach())\n        self.mean.set_data(self.mean.data() * 0.9)\n        if autograd.is_training(): self.mean.set_data(mean.detach())\n"]),
    Wrong("layer", "output on the first context", "layer: output elsewhere",
        ["return Y -> return Y.as_in_context(mx.cpu(0))"]),
    Wrong("layer", "momentum 0.99", "layer: twice",
        ["1e-5, 0.9) -> 1e-5, 0.99)"]),
    Wrong("layer", "gamma of the module", "layer: shared",
        ["class -> GAMMA = {}\nclass", "self.params.get(\"gamma\", shape=shape, init=init.One()) -> GAMMA.setdefault(shape, self.params.get(\"gamma\", shape=shape, init=init.One()))\n        self.params.update({\"gamma\": GAMMA[shape]})"]),
    # plain layer
    Wrong("plain layer", "as many features as in the example", "layer: num_features",
        ["shape = (1, num_features) if -> shape = (1, 3) if"]),
    Wrong("plain layer", "no statistics", "layer: no average",
        ["        self.moving_mean = nd.zeros(shape)\n        self.moving_var = nd.zeros(shape)\n -> "]),
    Wrong("plain layer", "left on another context", "layer: stays",
        ["        if self.moving_mean.context != X.context:\n            self.moving_mean = self.moving_mean.copyto(X.context)\n            self.moving_var = self.moving_var.copyto(X.context)\n -> "]),
    Wrong("plain layer", "new on each context", "layer: afresh",
        ["        if self.moving_mean.context != X.context:\n            self.moving_mean = self.moving_mean.copyto(X.context)\n            self.moving_var = self.moving_var.copyto(X.context)\n ->         if self.moving_mean.context != X.context:\n            self.moving_mean = nd.zeros(self.moving_mean.shape, ctx=X.context)\n            self.moving_var = nd.zeros(self.moving_var.shape, ctx=X.context)\n"]),
    Wrong("plain layer", "not saved", "layer: not saved",
        ["return Y -> return Y"]),
    Wrong("plain layer", "state of the class", "layer: shared changes",
        ["BatchNorm(nn.Block):\n -> BatchNorm(nn.Block):\n    shared = {}\n", "self.moving_mean = nd.zeros(shape) -> self.shared.clear()", "        self.moving_var = nd.zeros(shape)\n ->         self.shared.update(m=nd.zeros(shape), v=nd.zeros(shape))\n    moving_mean = property(lambda self: self.shared[\"m\"], lambda self, value: self.shared.update(m=value))\n    moving_var = property(lambda self: self.shared[\"v\"], lambda self, value: self.shared.update(v=value))\n"]),
    # Once misdiagnosed, without a cause, or accepted.
    Wrong("batch_norm", "the output returned last", "shape: order of results", ["return Y, moving_mean, moving_var -> return moving_mean, moving_var, Y"]),
    Wrong("layer", "averages stored in each other's place", "layer: swapped", ["set_data(mean.detach())\n        self.var.set_data(var. -> set_data(var.detach())\n        self.var.set_data(mean."]),
    Wrong("batch_norm", "parentheses of the difference", "spread: 1 & subtracted mean: mean / sqrt(var + eps)", ["(X - mean) / nd.sqrt(var + eps)\n        m -> X - mean / nd.sqrt(var + eps)\n        m"]),
    Wrong("layer", "mean and variance handed over crosswise", "mean: moving_var & variance: moving_mean", ["mean, var, 1e-5 -> var, mean, 1e-5"]),
    Wrong("layer", "the averages' Parameters handed over", "raised: 'Parameter'", ["X, gamma, beta, mean, var -> X, gamma, beta, self.mean, self.var"]),
    Wrong("layer", "an array over a Parameter", "raised: Changing attribute type", ["moving_mean = property(lambda self: self.mean) -> ", "self.mean -> self.moving_mean", "self.moving_mean.set_data(mean.detach()) -> self.moving_mean = mean"]),
    Wrong("layer", "gamma of any context", "raised: It was only initialized on", ["self.gamma.data(X.context), self.beta.data(X.context) -> self.gamma.data(), self.beta.data()"]),
    Wrong("layer", "X moved to the first context", "raised: It was only initialized on", ["    def forward(self, X):\n ->     def forward(self, X):\n        X = X.as_in_context(mx.cpu(0))\n"]),
    Wrong("layer", "moving variance from one", "layer: starts", ["\"var\", shape=shape, init=init.Zero() -> \"var\", shape=shape, init=init.One()"]),
    Wrong("layer", "kept only while recording", "layer: only recorded", ["        self.mean.set_data(mean.detach())\n        self.var.set_data(var.detach())\n ->         if autograd.is_recording():\n            self.mean.set_data(mean.detach())\n            self.var.set_data(var.detach())\n"]),
    Wrong("layer", "only a name scope set up", "raised: '_scope'", ["super().__init__(**kwargs) -> with self.name_scope(): pass"]),
    Wrong("layer", "a child before it is set up", "raised: '_children'", ["super().__init__(**kwargs) -> self.bias = nn.Dense(1)"]),
    Wrong("BatchNorm", "a parameter without a shape", "raised: invalid shape: None", ['shape=shape, init="ones" -> init="ones"']),
    Wrong("batch_norm", "an array of float32 beside X", "raised: expected float64, got float32", ["nd.sqrt(var + eps) -> nd.sqrt(var + nd.array([eps]))"]),
    Wrong("gradient", "X centred in place", "in place", ["    m = len(X) ->     X -= X.mean(axis=0)\n    m = len(X)"]),
    Wrong("Corrected", "a count of eight bits", "corrected: overflow", ['init="zeros", grad_req="null" -> init="zeros", grad_req="null", dtype="int8"']),
    Wrong("layer", "copies made at the first call", "layer: not reloaded", ["mean, var = self.mean.data(X.context), self.var.data(X.context) -> mean, var = getattr(self, 'own', (self.mean.data(X.context), self.var.data(X.context)))", "        self.mean.set_data -> self.own = mean, var\n        self.mean.set_data", "self.own = ->         self.own ="]),
    Wrong("masked", "sums over all less the padding's", "precision: padding", ["mean = (mask * X).sum(axis=(0, 1)) / count -> mean = (X.sum(axis=(0, 1)) - ((1 - mask) * X).sum(axis=(0, 1))) / count"]),
    Wrong("masked", "places that every sentence has", "mask: mask.min(0, keepdims=True)", ["count = mask.sum()\n -> full, mask = mask, mask.min(axis=0, keepdims=True).broadcast_to(mask.shape)\n        count = mask.sum()\n", "        moving_mean = momentum ->         mask = full\n        moving_mean = momentum"]),
    Wrong("masked", "the mask on X when predicting", "padding: not 0", ["mean, var = moving_mean, moving_var -> return gamma * (mask * X - moving_mean) / nd.sqrt(moving_var + eps) + beta, moving_mean, moving_var"]),
    # gradient
    Wrong("gradient", "dbeta averaged", "dbeta, times: / n",
        ["beta = dY.sum -> beta = dY.mean"]),
    Wrong("gradient", "dbeta with gamma", "dbeta, times: * gamma",
        ["dbeta = dY -> dbeta = gamma * dY"]),
    Wrong("gradient", "returned swapped", "gradient: swapped",
        ["dgamma, dbeta\n -> dbeta, dgamma\n"]),
    Wrong("gradient", "dbeta not summed", "gradient: shape",
        ["beta = dY.sum(axis=0) -> beta = dY"]),
    Wrong("gradient", "X_hat forgotten", "dgamma: sum(dY)",
        ["gamma = (dY * X_hat) -> gamma = dY"]),
    Wrong("gradient", "dgamma by X", "dgamma: sum(dY * X)",
        ["gamma = (dY * X_hat) -> gamma = (dY * X)"]),
    Wrong("gradient", "dgamma averaged", "dgamma, times: / n",
        ["X_hat).sum(axis=0)\n -> X_hat).mean(axis=0)\n"]),
    Wrong("gradient", "dgamma with gamma", "dgamma, times: * gamma",
        ["gamma = (dY -> gamma = (gamma * dY"]),
    Wrong("gradient", "unbiased", "std: sqrt(var * n / (n - 1) + eps)",
        ["X.var(axis=0) -> X.var(axis=0, ddof=1)"]),
    Wrong("gradient", "no root", "std: var + eps",
        ["np.sqrt(X.var(axis=0) + eps) -> X.var(axis=0) + eps"]),
    Wrong("gradient", "no eps", "std: sqrt(var)",
        [" + eps) -> )"]),
    Wrong("gradient", "eps outside", "std: sqrt(var) + eps",
        ["axis=0) + eps) -> axis=0)) + eps"]),
    Wrong("gradient", "mean path", "path through the mean, 0",
        ["dY - by_mean - by_var -> dY - by_var"]),
    Wrong("gradient", "variance path", "path through the variance, 0",
        ["dY - by_mean - by_var -> dY - by_mean"]),
    Wrong("gradient", "both paths", "path through the mean, 0 & path through the variance, 0",
        ["dY - by_mean - by_var -> dY"]),
    Wrong("gradient", "dY summed", "path through the mean, times: * n",
        ["dY.sum(axis=0) / m -> dY.sum(axis=0)"]),
    Wrong("gradient", "dY X_hat summed", "path through the variance, times: * n",
        ["X_hat * (dY * X_hat).sum(axis=0) / m -> X_hat * (dY * X_hat).sum(axis=0)"]),
    Wrong("gradient", "both summed", "path through the mean, times: * n & path through the variance, times: * n",
        [" / m\n -> \n"]),
    Wrong("gradient", "divided by m - 1", "path through the mean, times: * n / (n - 1) & path through the variance, times: * n / (n - 1)",
        [" / m\n ->  / (m - 1)\n"]),
    Wrong("gradient", "gamma forgotten", "dX, times: / gamma",
        ["gamma / std -> 1 / std"]),
    Wrong("gradient", "std forgotten", "dX, times: * std",
        ["gamma / std -> gamma"]),
    Wrong("gradient", "signs", "path through the mean, times: * (-1) & path through the variance, times: * (-1)",
        ["dY - by_mean - by_var -> dY + by_mean + by_var"]),
    Wrong("gradient", "sign of the mean", "path through the mean, times: * (-1)",
        ["dY - by_mean - by_var -> dY + by_mean - by_var"]),
    Wrong("gradient", "sign of the variance", "path through the variance, times: * (-1)",
        ["dY - by_mean - by_var -> dY - by_mean + by_var"]),
    Wrong("gradient", "gamma not by the variance", "path through the variance, times: / gamma",
        ["gamma / std * (dY - by_mean - by_var) -> (gamma * (dY - by_mean) - by_var) / std"]),
    Wrong("gradient", "gamma not by the mean", "path through the mean, times: / gamma",
        ["gamma / std * (dY - by_mean - by_var) -> (gamma * (dY - by_var) - by_mean) / std"]),
    Wrong("gradient", "X_hat before", "path through the variance: mean(g * X_hat) / std",
        ["X_hat * (dY * X_hat).sum(axis=0) / m -> (dY * X_hat).sum(axis=0) / m"]),
    Wrong("gradient", "nothing normalized", "direct way, times: * std & path through the mean, 0 & path through the variance, 0",
        ["gamma / std * (dY - by_mean - by_var) -> gamma * dY"]),
    Wrong("gradient", "factor 2", "path through the variance, times: * (1 / 2)",
        ["dY - by_mean - by_var -> dY - by_mean - by_var / 2"]),
    Wrong("gradient", "std cubed", "dX, times: / std ** 2",
        ["gamma / std * -> gamma / std**3 *"]),
    Wrong("gradient", "variance path halved", "path through the variance, times: * (1 / 3)",
        ["X_hat).sum(axis=0) / m -> X_hat).sum(axis=0) / 3 / m"]),
    Wrong("gradient", "shape", "gradient: shape of dX",
        ["gamma / std * (dY - by_mean - by_var) -> (gamma / std * (dY - by_mean - by_var)).sum(axis=0)"]),
    # channels_last
    Wrong("channels_last", "averages over the examples only", "axes: axis 0",
        ["tuple(range(len(X.shape) - 1)) -> 0"]),
    Wrong("channels_last", "axes fixed to those of images", "axes: all values at once",
        ["tuple(range(len(X.shape) - 1)) -> (0, 1, 2)"]),
    Wrong("channels_last", "chapter 1's axes: channels in axis 1", "axes: axes (0, 2, 3)",
        ["tuple(range(len(X.shape) - 1)) -> 0 if len(X.shape) == 2 else (0, 2, 3)"]),
    Wrong("channels_last", "each example by itself", "axes: axes (1, 2)",
        ["tuple(range(len(X.shape) - 1)) -> tuple(range(1, len(X.shape) - 1))"]),
    Wrong("channels_last", "averages over the channels", "axes: axis 3",
        ["X.mean(axis=axes) -> X.mean(axis=-1, keepdims=True)", "((X - mean) ** 2).mean(axis=axes) -> ((X - mean) ** 2).mean(axis=-1, keepdims=True)"]),
    Wrong("channels_last", "variance divided by n - 1", "variance n: (n - 1)",
        ["((X - mean) ** 2).mean(axis=axes) -> ((X - mean) ** 2).sum(axis=axes) / (X.size / X.shape[-1] - 1)"]),
    Wrong("channels_last", "epsilon outside of the root", "spread: sqrt(v) + eps",
        ["nd.sqrt(var + eps) -> (nd.sqrt(var) + eps)"]),
    Wrong("channels_last", "no root", "spread: v + eps",
        ["nd.sqrt(var + eps) -> (var + eps)"]),
    Wrong("channels_last", "epsilon left out", "spread: sqrt(v)",
        ["nd.sqrt(var + eps) -> nd.sqrt(var)"]),
    Wrong("channels_last", "epsilon fixed at 1e-5", "spread: sqrt(v + 1e-05)",
        ["nd.sqrt(var + eps) -> nd.sqrt(var + 1e-5)"]),
    Wrong("channels_last", "epsilon squared", "spread: sqrt(v + eps ** 2)",
        ["nd.sqrt(var + eps) -> nd.sqrt(var + eps ** 2)"]),
    Wrong("channels_last", "momentum weighs the new value", "moving_mean, momentum: (1 - momentum)",
        ["moving_mean = momentum * moving_mean + (1 - momentum) * mean -> moving_mean = (1 - momentum) * moving_mean + momentum * mean", "moving_var = momentum * moving_var + (1 - momentum) * var -> moving_var = (1 - momentum) * moving_var + momentum * var"]),
    Wrong("channels_last", "parentheses forgotten: + 1 - momentum * mean", "moving_mean, new: (1 - momentum * mean) / (1 - momentum)",
        ["+ (1 - momentum) * mean -> + 1 - momentum * mean"]),
    Wrong("channels_last", "new value added whole", "moving_mean, new weight: 1",
        ["+ (1 - momentum) * mean -> + mean", "+ (1 - momentum) * var -> + var"]),
    Wrong("channels_last", "momentum fixed at 0.9", "moving_mean, momentum: 0.9",
        ["moving_mean = momentum * moving_mean + (1 - momentum) * mean -> moving_mean = 0.9 * moving_mean + 0.1 * mean", "moving_var = momentum * moving_var + (1 - momentum) * var -> moving_var = 0.9 * moving_var + 0.1 * var"]),
    Wrong("channels_last", "moving variance kept as a standard deviation", "moving_var, new: sqrt(var)",
        ["(1 - momentum) * var -> (1 - momentum) * nd.sqrt(var)"]),
    Wrong("channels_last", "moving variance takes the mean", "moving_var, new: mean",
        ["(1 - momentum) * var -> (1 - momentum) * mean"]),
    Wrong("channels_last", "moving variance grows from the moving mean", "moving_var, old: new_moving_mean",
        ["momentum * moving_var -> momentum * moving_mean"]),
    Wrong("channels_last", "moving variance not updated", "moving_var, momentum: 1",
        ["moving_var = momentum * moving_var + (1 - momentum) * var -> pass"]),
    Wrong("channels_last", "is_training without parentheses", "mean: mean & variance: var",
        ["autograd.is_training() -> autograd.is_training"]),
    Wrong("channels_last", "is_recording decides", "mode: recording asked",
        ["autograd.is_training() -> autograd.is_recording()"]),
    Wrong("channels_last", "modes exchanged", "subtracted mean: moving_mean & variance: moving_var",
        ["if autograd.is_training() -> if not autograd.is_training()"]),
    Wrong("channels_last", "normalizes with the moving averages while training", "subtracted mean: new_moving_mean & variance: new_moving_var",
        ["Y = gamma -> mean, var = moving_mean, moving_var\n    Y = gamma"]),
    Wrong("channels_last", "returns the batch's statistics", "moving_mean, momentum: 0",
        ["return Y, moving_mean, moving_var -> return Y, mean, var"]),
    Wrong("channels_last", "averages returned in the other order", "moving_mean, swapped: moving_var",
        ["return Y, moving_mean -> return Y, moving_var", "moving_var, moving_var -> moving_var, moving_mean"]),
    Wrong("channels_last", "returns the output alone", "returned: not all",
        ["return Y, moving_mean, moving_var -> return Y"]),
    Wrong("channels_last", "nothing returned", "returned: nothing",
        ["return Y, moving_mean, moving_var -> Y, moving_mean, moving_var"]),
    Wrong("channels_last", "gamma also multiplies beta", "offset: gamma * beta",
        ["gamma * (X - mean) / nd.sqrt(var + eps) + beta -> gamma * ((X - mean) / nd.sqrt(var + eps) + beta)"]),
    Wrong("channels_last", "the mean isn't subtracted: precedence", "spread: 1 & subtracted mean: mean / gamma / sqrt(var + eps)",
        ["gamma * (X - mean) -> gamma * X - mean"]),
    Wrong("channels_last", "mean of the squares in place of the variance", "variance: average(X ** 2)",
        ["((X - mean) ** 2).mean(axis=axes) -> (X ** 2).mean(axis=axes)"]),
    Wrong("channels_last", "deviations from the moving mean", "variance mean: moving_mean",
        ["((X - mean) ** 2) -> ((X - moving_mean) ** 2)"]),
    Wrong("channels_last", "absolute deviations", "variance: average(abs(X - mean))",
        ["((X - mean) ** 2) -> nd.abs(X - mean)"]),
    Wrong("channels_last", "sums in place of means", "n: X.shape[0]",
        ["X.mean(axis=axes) -> X.sum(axis=axes) / len(X)", "((X - mean) ** 2).mean(axis=axes) -> ((X - mean) ** 2).sum(axis=axes) / len(X)"]),
    Wrong("channels_last", "a name that isn't defined", "raised: is not defined",
        ["var + eps -> var + epsilon"]),
    Wrong("channels_last", "mean and variance exchanged", "subtracted mean: var & variance: mean",
        ["X - mean) / nd.sqrt(var + eps) -> X - var) / nd.sqrt(mean + eps)"]),
    Wrong("channels_last", "momentum reversed for the variance", "moving_var, momentum: (1 - momentum)",
        ["moving_var = momentum * moving_var + (1 - momentum) * var -> moving_var = (1 - momentum) * moving_var + momentum * var"]),
    Wrong("channels_last", "beta added before the division", "offset: gamma * beta / sqrt(var + eps)",
        ["(X - mean) / nd.sqrt(var + eps) + beta -> (X - mean + beta) / nd.sqrt(var + eps)"]),
    Wrong("channels_last", "gamma squared", "factor: gamma ** 2",
        ["gamma * (X -> gamma * gamma * (X"]),
    Wrong("channels_last", "the batch's mean when predicting", "mean: mean",
        ["mean, var = moving_mean, moving_var -> mean, var = X.mean(axis=axes), moving_var"]),
    Wrong("channels_last", "epsilon in the moving variance", "moving_var, new: (var + eps)",
        ["(1 - momentum) * var -> (1 - momentum) * (var + eps)"]),
    Wrong("channels_last", "variance over the examples", "variance axes: axis 0",
        ["((X - mean) ** 2).mean(axis=axes) -> ((X - mean) ** 2).mean(axis=0)"]),
    Wrong("channels_last", "the size of the batch tells the mode", "mode: one image",
        ["autograd.is_training() -> len(X) > 1"]),
    Wrong("channels_last", "averages taken in half precision", "left: rough",
        ["X.mean(axis=axes) -> X.astype('float16').mean(axis=axes).astype('float32')"]),
    Wrong("channels_last", "mean of absolute deviations, squared", "variance: average(abs(X - mean)) ** 2",
        ["((X - mean) ** 2).mean(axis=axes) -> (nd.abs(X - mean)).mean(axis=axes) ** 2"]),
    Wrong("channels_last", "eps as a floor instead of a summand", "spread: sqrt(maximum(v, eps))",
        ["nd.sqrt(var + eps) -> nd.sqrt(nd.maximum(var, eps))"]),
    Wrong("channels_last", "old share forgotten: moving + 0.1 batch", "moving_mean, old weight: 1",
        ["moving_mean = momentum * moving_mean + (1 - momentum) * mean -> moving_mean = moving_mean + (1 - momentum) * mean", "moving_var = momentum * moving_var + (1 - momentum) * var -> moving_var = moving_var + (1 - momentum) * var"]),
    Wrong("channels_last", "momentum multiplies the whole", "moving_mean, new weight: momentum * (1 - momentum)",
        ["moving_mean = momentum * moving_mean + (1 - momentum) * mean -> moving_mean = momentum * (moving_mean + (1 - momentum) * mean)", "moving_var = momentum * moving_var + (1 - momentum) * var -> moving_var = momentum * (moving_var + (1 - momentum) * var)"]),
    Wrong("channels_last", "moving mean returned twice", "moving_var, swapped: moving_mean",
        ["return Y, moving_mean, moving_var -> return Y, moving_mean, moving_mean"]),
    Wrong("channels_last", "axes of an image hard-coded for every input of more than two", "axes: axes (0, 1)",
        ["axes = tuple(range(len(X.shape) - 1)) -> axes = 0 if len(X.shape) == 2 else (0, 1)"]),
    Wrong("channels_last", "beta and gamma exchanged", "factor: beta & offset: gamma",
        ["Y = gamma * (X - mean) / nd.sqrt(var + eps) + beta -> Y = beta * (X - mean) / nd.sqrt(var + eps) + gamma"]),
    Wrong("channels_last", "n - 1 in the denominator by Bessel, with n the batch's size", "variance n: (X.shape[0] - 1)",
        ["((X - mean) ** 2).mean(axis=axes) -> ((X - mean) ** 2).sum(axis=axes) / (X.shape[0] - 1)"]),
    Wrong("channels_last", "the moving average first, then divided by its bias", "moving_mean, new weight: 1 & moving_mean, old weight: momentum / (1 - momentum)",
        ["moving_mean = momentum * moving_mean + (1 - momentum) * mean -> moving_mean = (momentum * moving_mean + (1 - momentum) * mean) / (1 - momentum)"]),
    Wrong("channels_last", "median-like: middle of the range for the mean", "subtracted mean: (X.min(...) + X.max(...)) / 2",
        ["X.mean(axis=axes) -> (X.max(axis=axes) + X.min(axis=axes)) / 2"]),
    Wrong("channels_last", "the output is clipped to -1 .. 1", "whole: gamma * clip(X_hat, -1, 1) + beta",
        ["Y = gamma * (X - mean) / nd.sqrt(var + eps) + beta -> Y = gamma * nd.clip((X - mean) / nd.sqrt(var + eps), -1, 1) + beta"]),
    Wrong("channels_last", "normalized twice", "whole: gamma * normalized(X_hat) + beta",
        ["Y = gamma * (X - mean) / nd.sqrt(var + eps) + beta -> Y = (X - mean) / nd.sqrt(var + eps)\n    Y = gamma * (Y - Y.mean(axis=axes)) / nd.sqrt(((Y - Y.mean(axis=axes)) ** 2).mean(axis=axes) + eps) + beta"]),
    Wrong("channels_last", "eps added to the numerator as well", "subtracted mean: mean - eps",
        ["Y = gamma * (X - mean) / nd.sqrt(var + eps) + beta -> Y = gamma * (X - mean + eps) / nd.sqrt(var + eps) + beta"]),
    Wrong("channels_last", "moving variance of the square of momentum", "moving_var, old: new_moving_var",
        ["moving_var = momentum * moving_var + (1 - momentum) * var -> moving_var = momentum ** 2 * moving_var + (1 - momentum ** 2) * var"]),
    Wrong("channels_last", "mean over axis -1 kept, X of a dense input turned", "axes: axes (1, 2, 3)",
        ["axes = tuple(range(len(X.shape) - 1)) -> axes = tuple(range(1, len(X.shape)))"]),
    Wrong("channels_last", "X cast to integers", "whole: gamma * normalized(trunc(X)) + beta",
        ["axes = tuple(range(len(X.shape) - 1)) -> axes = tuple(range(len(X.shape) - 1))\n    X = X.astype('int32').astype('float32')"]),
    Wrong("channels_last", "prediction normalizes, but forgets gamma and beta", "factor: 1 & offset: 0",
        ["Y = gamma * (X - mean) / nd.sqrt(var + eps) + beta -> Y = (X - mean) / nd.sqrt(var + eps)\n    if autograd.is_training():\n        Y = gamma * Y + beta"]),
    Wrong("channels_last", "updates, but returns the old ones", "moving_mean, momentum: 1",
        ["return Y, moving_mean, moving_var -> return Y, old_mean, old_var", "X.mean(axis=axes) -> X.mean(axis=axes)\n        old_mean, old_var = moving_mean, moving_var", "mean, var = moving_mean, moving_var -> mean, var = moving_mean, moving_var\n        old_mean, old_var = moving_mean, moving_var"]),
    Wrong("channels_last", "batch's statistics averaged with the moving ones for the output", "subtracted mean: (mean + new_moving_mean) / 2 & variance: (var + new_moving_var) / 2",
        ["Y = gamma * (X - mean) / nd.sqrt(var + eps) + beta -> Y = gamma * (X - (mean + moving_mean) / 2) / nd.sqrt((var + moving_var) / 2 + eps) + beta"]),
    Wrong("channels_last", "gamma's absolute value through sqrt(gamma ** 2)", "factor: abs(gamma)",
        ["Y = gamma * (X - mean) / nd.sqrt(var + eps) + beta -> Y = nd.sqrt(gamma ** 2) * (X - mean) / nd.sqrt(var + eps) + beta"]),
    Wrong("channels_last", "eps added to X_hat", "offset: beta + gamma * eps & spread: sqrt(v)",
        ["Y = gamma * (X - mean) / nd.sqrt(var + eps) + beta -> Y = gamma * ((X - mean) / nd.sqrt(var) + eps) + beta"]),
    Wrong("channels_last", "divides by std + var", "spread: sqrt(v) + v + eps",
        ["Y = gamma * (X - mean) / nd.sqrt(var + eps) + beta -> Y = gamma * (X - mean) / (nd.sqrt(var) + var + eps) + beta"]),
    Wrong("channels_last", "forgot gamma and eps", "factor: 1 & spread: sqrt(v)",
        ["Y = gamma * (X - mean) / nd.sqrt(var + eps) + beta -> Y = (X - mean) / nd.sqrt(var) + beta"]),
    Wrong("channels_last", "forgot beta and the root", "offset: 0 & spread: v + eps",
        ["Y = gamma * (X - mean) / nd.sqrt(var + eps) + beta -> Y = gamma * (X - mean) / (var + eps)"]),
    Wrong("channels_last", "unbiased variance and eps outside", "spread: sqrt(v) + eps & variance n: (n - 1)",
        ["((X - mean) ** 2).mean(axis=axes) -> ((X - mean) ** 2).sum(axis=axes) / (X.size / X.shape[-1] - 1)", "Y = gamma * (X - mean) / nd.sqrt(var + eps) + beta -> Y = gamma * (X - mean) / (nd.sqrt(var) + eps) + beta"]),
    Wrong("channels_last", "moving mean from the normalized output", "moving_mean, new weight: 0",
        ["Y = gamma * (X - mean) / nd.sqrt(var + eps) + beta -> Y = gamma * (X - mean) / nd.sqrt(var + eps) + beta\n    if autograd.is_training():\n        moving_mean = moving_mean + 0 * Y.mean(axis=axes)", "moving_mean = momentum * moving_mean + (1 - momentum) * mean -> moving_mean = momentum * moving_mean + (1 - momentum) * (X - mean).mean(axis=axes)"]),
    Wrong("channels_last", "momentum reversed and unbiased moving variance", "average: shares",
        ["moving_var = momentum * moving_var + (1 - momentum) * var -> moving_var = (1 - momentum) * moving_var + momentum * var * 1.1"]),
    Wrong("channels_last", "cube in place of the square", "variance: average((X - mean) ** 3)",
        ["((X - mean) ** 2).mean(axis=axes) -> ((X - mean) ** 3).mean(axis=axes)"]),
    Wrong("channels_last", "sum of squares without mean", "variance: sum(X ** 2)",
        ["((X - mean) ** 2).mean(axis=axes) -> (X ** 2).sum(axis=axes)"]),
    Wrong("channels_last", "sqrt taken twice", "spread: sqrt(sqrt(v) + eps)",
        ["((X - mean) ** 2).mean(axis=axes) -> nd.sqrt(((X - mean) ** 2).mean(axis=axes))"]),
    Wrong("channels_last", "mean divided by n again", "subtracted n: (n * X.shape[0])",
        ["X.mean(axis=axes) -> X.mean(axis=axes) / X.shape[0]"]),
    Wrong("channels_last", "1 + momentum", "moving_mean, new weight: (1 + momentum)",
        ["moving_mean = momentum * moving_mean + (1 - momentum) * mean -> moving_mean = momentum * moving_mean + (1 + momentum) * mean"]),
    Wrong("channels_last", "moving averages swapped in prediction only", "mean: moving_var & variance: moving_mean",
        ["mean, var = moving_mean, moving_var -> var, mean = moving_mean, moving_var"]),
    Wrong("channels_last", "prediction normalizes with the batch's variance and eps forgotten", "spread: sqrt(v) & variance: var",
        ["mean, var = moving_mean, moving_var -> mean, var = moving_mean, ((X - X.mean(axis=axes)) ** 2).mean(axis=axes) - eps"]),
    Wrong("channels_last", "reshape((channels, -1)) for the statistics", "rows: X.reshape((channels, -1))",
        ["X.mean(axis=axes) -> X.reshape((X.shape[-1], -1)).mean(axis=1)", "((X - mean) ** 2).mean(axis=axes) -> ((X.reshape((X.shape[-1], -1)) - mean.expand_dims(1)) ** 2).mean(axis=1)"]),
    Wrong("channels_last", "the flattened output is returned", "shape: other",
        ["return Y, -> return Y.reshape((-1, X.shape[-1])),"]),
    Wrong("channels_last", "keepdims, as in chapter 1", "shape: kept axes",
        ["X.mean(axis=axes) -> X.mean(axis=axes, keepdims=True)", "((X - mean) ** 2).mean(axis=axes) -> ((X - mean) ** 2).mean(axis=axes, keepdims=True)"]),
    Wrong("channels_last", "axes of images for a sequence", "axis: too many",
        ["tuple(range(len(X.shape) - 1)) -> (0, 1, 2) if len(X.shape) == 4 else (0, 2, 3)"]),
    Wrong("channels_last", "the mean by NumPy", "graph: mean",
        ["X.mean(axis=axes) -> nd.array(X.asnumpy().mean(axis=axes))"]),
    Wrong("channels_last", "var, as NumPy has it", "raised: foreign",
        ["((X - mean) ** 2).mean(axis=axes) -> X.var(axis=axes)"]),
    Wrong("channels_last", "dim, as PyTorch has it", "raised: Cannot find argument",
        ["X.mean(axis=axes) -> X.mean(dim=axes)"]),
    Wrong("channels_last", "NumPy's root", "raised: maximum number of dimension",
        ["nd.sqrt -> np.sqrt"]),
    # any_axis
    Wrong("any_axis", "negative axes aren't turned", "axis: sign",
        ["axis = axis % len(X.shape) -> pass"]),
    Wrong("any_axis", "negative axes are turned wrongly", "axis: sign",
        ["axis % len(X.shape) -> abs(axis)"]),
    Wrong("any_axis", "averages over the channels' axis", "axis: left",
        ["if other != axis -> if other == axis", "mean.reshape(shape) -> X.mean(axis=axes, keepdims=True)"]),
    Wrong("any_axis", "gamma and beta line up with the last axis", "line up: the last axis",
        ["mean, var, gamma, beta = (value -> mean, var = (value", "in (mean, var, gamma, beta)) -> in (mean, var))"]),
    Wrong("any_axis", "shape fixed for axis 1 of images", "shapes: channels",
        ["tuple(length if place == axis else 1 for place, length in enumerate(X.shape)) -> (1, -1, 1, 1)"]),
    Wrong("any_axis", "ones and lengths exchanged", "raised: eshape",
        ["length if place == axis else 1 -> 1 if place == axis else length"]),
    Wrong("any_axis", "averages returned in the shape that spreads", "shape: kept axes",
        ["X.mean(axis=axes) -> X.mean(axis=axes, keepdims=True)", "((X - mean.reshape(shape)) ** 2).mean(axis=axes) -> ((X - mean) ** 2).mean(axis=axes, keepdims=True)", "if autograd -> moving_mean, moving_var = moving_mean.reshape(shape), moving_var.reshape(shape)\n    if autograd"]),
    Wrong("any_axis", "mean of squares minus square of mean", "precision",
        ["((X - mean.reshape(shape)) ** 2).mean(axis=axes) -> (X ** 2).mean(axis=axes) - mean ** 2"]),
    Wrong("any_axis", "mean and variance detached", "graph: mean and variance",
        ["(value.reshape(shape) for value in (mean, var, gamma, beta)) -> (value.reshape(shape) for value in (mean.detach(), var.detach(), gamma, beta))"]),
    Wrong("any_axis", "variance detached", "graph: variance",
        ["in (mean, var, gamma, beta)) -> in (mean, var.detach(), gamma, beta))"]),
    Wrong("any_axis", "output rebuilt from NumPy", "raised: not in a computational graph",
        ["return Y, -> return nd.array(Y.asnumpy()),"]),
    Wrong("any_axis", "averages overwritten in place", "in place: averages",
        ["moving_mean = momentum -> moving_mean[:] = momentum", "moving_var = momentum -> moving_var[:] = momentum"]),
    Wrong("any_axis", "X overwritten in place", "in place",
        ["Y = gamma * (X - mean) -> X[:] = X - mean\n    Y = gamma * X"]),
    Wrong("any_axis", "axes exchanged and not back", "shape: order of axes",
        ["axes = -> X = X.swapaxes(axis, 1)\n    axis = 1\n    axes ="]),
    Wrong("any_axis", "reshaped to columns without moving the axis", "rows: X.reshape((-1, channels))",
        ["axes = -> given, C = X.shape, X.shape[axis]\n    X, axis = X.reshape((-1, C)), 1\n    axes =", "return Y -> return Y.reshape(given)"]),
    Wrong("any_axis", "divided by the examples alone", "n: X.shape[0]",
        ["X.mean(axis=axes) -> X.sum(axis=axes) / X.shape[0]", "((X - mean.reshape(shape)) ** 2).mean(axis=axes) -> ((X - mean.reshape(shape)) ** 2).sum(axis=axes) / X.shape[0]"]),
    Wrong("any_axis", "len(X) in place of the rank", "axes: axes (0, 2, 3) & line up: axis 1",
        ["axis % len(X.shape) -> axis % len(X)"]),
    Wrong("any_axis", "output turned", "shape: order of axes",
        ["return Y -> return Y.T"]),
    Wrong("any_axis", "gamma's shape taken from axis 1 always", "line up: axis 1",
        ["shape = tuple(length if place == axis else 1 -> shape = tuple(length if place == 1 else 1"]),
    Wrong("any_axis", "half precision in between", "left: rough",
        ["axis = axis % len(X.shape) -> axis = axis % len(X.shape)\n    X = X.astype('float16').astype('float32')"]),
    Wrong("any_axis", "variance with the mean of everything", "variance around axes: all values at once",
        ["((X - mean.reshape(shape)) ** 2) -> ((X - X.mean()) ** 2)"]),
    Wrong("any_axis", "the gradient stopped at the output", "graph: none",
        ["return Y, moving_mean, moving_var -> return nd.BlockGrad(Y), moving_mean, moving_var"]),
    Wrong("any_axis", "momentum of the mean wrongly squared rest", "moving_mean, new weight: (1 - momentum) ** 2",
        ["moving_mean = momentum * moving_mean + (1 - momentum) * mean -> moving_mean = momentum * moving_mean + (1 - momentum) ** 2 * mean"]),
    Wrong("any_axis", "axis + 1", "axes: axes (0, 2) & line up: axis 1",
        ["axis = axis % len(X.shape) -> axis = (axis + 1) % len(X.shape)"]),
    Wrong("any_axis", "mean subtracted from gamma * X", "subtracted mean: mean / gamma",
        ["Y = gamma * (X - mean) / nd.sqrt(var + eps) + beta -> Y = (gamma * X - mean) / nd.sqrt(var + eps) + beta"]),
    Wrong("any_axis", "channels joined along axis 1", "shape: other",
        ["return Y, -> return nd.concat(*[nd.slice_axis(Y, axis, c, c + 1) for c in range(X.shape[axis])]),"]),
    Wrong("any_axis", "a shape of four lengths, whatever X has", "axis: number of axes",
        ["tuple(length if place == axis else 1 for place, length in enumerate(X.shape)) -> tuple(-1 if place == axis else 1 for place in range(4))"]),
    Wrong("any_axis", "the mean of the variances of slices", "variance around axes: axis 1",
        ["((X - mean.reshape(shape)) ** 2).mean(axis=axes) -> ((X - X.mean(axis=axes[0], keepdims=True)) ** 2).mean(axis=axes)"]),
    # masked
    Wrong("masked", "counts the padding", "n: mask.size",
        ["mask.sum() -> mask.size"]),
    Wrong("masked", "means over everything", "mask: everywhere",
        ["(mask * X).sum(axis=(0, 1)) / count -> X.mean(axis=(0, 1))", "(mask * (X - mean) ** 2).sum(axis=(0, 1)) / count -> ((X - mean) ** 2).mean(axis=(0, 1))"]),
    Wrong("masked", "variance over everything", "variance mask: everywhere",
        ["(mask * (X - mean) ** 2).sum(axis=(0, 1)) / count -> ((X - mean) ** 2).mean(axis=(0, 1))"]),
    Wrong("masked", "padding set to 0 and then counted in the variance", "variance: sum((mask * X - mean) ** 2) / n",
        ["(mask * (X - mean) ** 2) -> ((mask * X - mean) ** 2)"]),
    Wrong("masked", "output not masked", "padding: not 0",
        ["Y = mask * (gamma -> Y = (gamma"]),
    Wrong("masked", "output masked before beta is added", "padding: beta",
        ["mask * (gamma * (X - mean) / nd.sqrt(var + eps) + beta) -> mask * gamma * (X - mean) / nd.sqrt(var + eps) + beta"]),
    Wrong("masked", "mean of the sentences' means", "subtracted mask: mask / mask.sum(axis=1)",
        ["(mask * X).sum(axis=(0, 1)) / count -> ((mask * X).sum(axis=1) / mask.sum(axis=1)).mean(axis=0)"]),
    Wrong("masked", "each place by itself", "n: mask.sum(axis=0)",
        ["mask.sum() -> mask.sum(axis=0)"]),
    Wrong("masked", "counts channels, too", "n: (n * channels)",
        ["mask.sum() -> (mask * nd.ones(X.shape)).sum()"]),
    Wrong("masked", "no expand_dims", "mask: spread",
        ["mask = mask.expand_dims(axis=2) -> pass"]),
    Wrong("masked", "mask exchanged: 1 means padding", "mask: reversed",
        ["mask.expand_dims(axis=2) -> 1 - mask.expand_dims(axis=2)"]),
    Wrong("masked", "counts less one", "n: (n - 1)",
        ["mask.sum() -> mask.sum() - 1"]),
    Wrong("masked", "padding keeps its input", "padding: X",
        ["Y = mask * ( -> Y = (1 - mask) * X + mask * ("]),
    Wrong("masked", "moving averages of everything", "moving_mean, mask: everywhere",
        ["(1 - momentum) * mean -> (1 - momentum) * X.mean(axis=(0, 1))"]),
    Wrong("masked", "mean of everything by the count", "subtracted mean: sum(X) / n",
        ["(mask * X).sum(axis=(0, 1)) -> X.sum(axis=(0, 1))"]),
    Wrong("masked", "counts one sentence", "n: mask[0].sum()",
        ["mask.sum() -> mask[0].sum()"]),
    Wrong("masked", "epsilon added to the count", "n: (n + eps)",
        ["mask.sum() -> mask.sum() + eps"]),
    Wrong("masked", "divided by the mask", "NaN: padding",
        ["Y = mask * ( -> Y = 1 / mask * ("]),
    Wrong("masked", "moving averages weighed by the share", "moving_mean, n: mask.size",
        ["(1 - momentum) * mean -> (1 - momentum) * mean * count / mask.size"]),
    Wrong("masked", "count from the non-zero values of X", "n: sum(X != 0)",
        ["count = mask.sum() -> count = (X != 0).sum(axis=(0, 1))"]),
    Wrong("masked", "eps in the count", "n: (n + 1)",
        ["count = mask.sum() -> count = mask.sum() + 1"]),
    Wrong("masked", "variance minus eps", "spread: sqrt(v - eps)",
        ["nd.sqrt(var + eps) -> nd.sqrt(var - eps)"]),
    Wrong("masked", "mask applied twice in the mean by its mean", "n: (n / X.shape[1])",
        ["count = mask.sum() -> count = mask.mean() * mask.shape[0]"]),
    Wrong("masked", "the last time step is always dropped", "left: output",
        ["mask = mask.expand_dims(axis=2) -> mask = mask.copy()\n    mask[:, -1] = 0\n    mask = mask.expand_dims(axis=2)"]),
    Wrong("masked", "n - 1 for the moving variance", "moving_var, n: (n - 1)",
        ["moving_var = momentum * moving_var + (1 - momentum) * var -> moving_var = momentum * moving_var + (1 - momentum) * var * count / (count - 1)"]),
    Wrong("masked", "moving mean from the first sentence", "moving_mean, some: X[0]",
        ["moving_mean = momentum * moving_mean + (1 - momentum) * mean -> moving_mean = momentum * moving_mean + (1 - momentum) * X[0].mean(axis=0)"]),
    Wrong("masked", "mask squared difference before", "variance: sum(mask * (X - mean ** 2) ** 2) / n",
        ["(mask * (X - mean) ** 2) -> ((mask * (X - mean ** 2)) ** 2)"]),
    Wrong("masked", "sums over the batch only, count right", "subtracted sum: axis 0",
        ["mean = (mask * X).sum(axis=(0, 1)) / count -> mean = (mask * X).sum(axis=0) / count"]),
    Wrong("masked", "output divided by the share", "whole: Y / mean_of_all(mask)",
        ["Y = mask * ( -> Y = mask / mask.mean() * ("]),
    Wrong("masked", "mask added", "subtracted mean: sum(mask + X) / n",
        ["mean = (mask * X).sum -> mean = (mask + X).sum"]),
    Wrong("masked", "gamma forgotten and unmasked", "factor: 1 & padding: not 0",
        ["Y = mask * (gamma * (X - mean) / nd.sqrt(var + eps) + beta) -> Y = (X - mean) / nd.sqrt(var + eps) + beta"]),
    Wrong("masked", "prediction masked by X's zero", "mask: sign(abs(X))",
        ["Y = mask * ( -> Y = (X != 0) * ("]),
    Wrong("masked", "X[mask] takes ones and zeros for indices", "mask: indices",
        ["(mask * X).sum(axis=(0, 1)) / count -> X[mask[:, :, 0]].mean(axis=(0, 1, 2))", "(mask * (X - mean) ** 2).sum(axis=(0, 1)) / count -> ((X[mask[:, :, 0]] - mean) ** 2).mean(axis=(0, 1, 2))"]),
    Wrong("masked", "padding is taken to be at the end", "padding: in front",
        ["mask = mask.expand_dims(axis=2) -> given = mask.expand_dims(axis=2)\n    mask = nd.SequenceMask(nd.ones_like(given), mask.sum(axis=1), True, axis=1)", "Y = mask -> Y = given"]),
    Wrong("masked", "the averages move by the share that counts", "moving_mean, momentum: (1 - (1 - momentum) * mean_of_all(mask))",
        ["if autograd.is_training(): -> momentum = 1 - (1 - momentum) * mask.mean() if autograd.is_training() else momentum\n    if autograd.is_training():"]),
    Wrong("masked", "what takes the padding away is detached", "graph: padding",
        ["Y = mask * ( -> Y = (", "return Y, -> return Y - ((1 - mask) * Y).detach(),"]),
    Wrong("masked", "unsqueeze, as PyTorch has it", "raised: foreign",
        ["expand_dims(axis=2) -> unsqueeze(2)"]),
    # BatchNorm
    Wrong("BatchNorm", "no super().__init__()", "raised: '_scope'",
        ["super().__init__() -> pass"]),
    Wrong("BatchNorm", "gamma starts at 0", "layer: starts",
        ["init=\"ones\" -> init=\"zeros\""]),
    Wrong("BatchNorm", "moving variance starts at 1", "layer: starts",
        ["\"moving_var\", init=\"zeros\" -> \"moving_var\", init=\"ones\""]),
    Wrong("BatchNorm", "gamma and beta plain arrays", "layer: not registered",
        ["self.params.get(\"gamma\", shape=shape, init=\"ones\") -> nd.ones(shape)", "self.params.get(\"beta\", shape=shape, init=\"zeros\") -> nd.zeros(shape)", "self.gamma.data(here), self.beta.data(here) -> self.gamma.as_in_context(here), self.beta.as_in_context(here)"]),
    Wrong("BatchNorm", "averages are trained", "layer: trained",
        [", \"grad_req\": \"null\" -> "]),
    Wrong("BatchNorm", "gamma isn't trained", "layer: not trained",
        ["shape=shape, init=\"ones\" -> init=\"ones\", **kept"]),
    Wrong("BatchNorm", "both averages in one parameter", "layer: one average for both",
        ["\"moving_var\", init -> \"moving_mean\", init"]),
    Wrong("BatchNorm", "averages never stored", "layer: not kept",
        ["self.moving_mean.set_data(new_mean)\n            self.moving_var.set_data(new_var) -> pass"]),
    Wrong("BatchNorm", "stored crosswise", "layer: swapped",
        ["set_data(new_mean) -> set_data(new_var)", "moving_var.set_data(new_var) -> moving_var.set_data(new_mean)"]),
    Wrong("BatchNorm", "averages handed over crosswise", "mean: moving_var & variance: moving_mean",
        ["mean, var, self.eps -> var, mean, self.eps"]),
    Wrong("BatchNorm", "eps and momentum handed over crosswise", "spread: sqrt(v + momentum)",
        ["self.eps, self.momentum\n -> self.momentum, self.eps\n"]),
    Wrong("BatchNorm", "gamma and beta handed over crosswise", "factor: beta & offset: gamma",
        ["self.gamma.data(here), self.beta.data(here) -> self.beta.data(here), self.gamma.data(here)"]),
    Wrong("BatchNorm", "momentum of PyTorch", "moving_mean, momentum: (1 - momentum)",
        ["momentum=0.9 -> momentum=0.1"]),
    Wrong("BatchNorm", "context left out", "raised: It was only initialized on",
        ["self.moving_mean.data(here), self.moving_var.data(here) -> self.moving_mean.data(), self.moving_var.data()"]),
    Wrong("BatchNorm", "the pair is returned", "layer: returns more",
        ["return Y -> return Y, new_mean, new_var"]),
    Wrong("BatchNorm", "the Parameter is replaced by an array", "raised: Changing attribute type",
        ["self.moving_mean.set_data(new_mean)\n            self.moving_var.set_data(new_var) -> self.moving_mean, self.moving_var = new_mean, new_var"]),
    Wrong("BatchNorm", "a mutable default keeps the averages", "layer: begun",
        ["momentum=0.9): -> momentum=0.9, kept_by={}):", "self.moving_mean = self -> self.moving_mean = kept_by[shape] = kept_by.get(shape) or self"]),
    Wrong("BatchNorm", "is_recording guards the update", "layer: only recorded",
        ["autograd.is_training() -> autograd.is_recording()"]),
    Wrong("BatchNorm", "Parameters handed over", "raised: Parameter'> not supported",
        ["self.gamma.data(here), self.beta.data(here) -> self.gamma, self.beta"]),
    Wrong("BatchNorm", "averages plain arrays", "layer: not saved",
        ["self.params.get(\"moving_mean\", init=\"zeros\", **kept) -> nd.zeros(shape)", "self.params.get(\"moving_var\", init=\"zeros\", **kept) -> nd.zeros(shape)", "self.moving_mean.data(here), self.moving_var.data(here) -> self.moving_mean.copyto(here), self.moving_var.copyto(here)", "self.moving_mean.set_data(new_mean)\n            self.moving_var.set_data(new_var) -> self.moving_mean, self.moving_var = new_mean, new_var"]),
    Wrong("BatchNorm", "epsilon of Keras", "spread: sqrt(v + 0.001)",
        ["eps=1e-5 -> eps=1e-3"]),
    Wrong("BatchNorm", "always in training mode", "mean: mean & variance: var",
        ["Y, new_mean, new_var = -> with autograd.train_mode():\n            Y, new_mean, new_var ="]),
    Wrong("BatchNorm", "hybrid_forward in a Block", "raised: NotImplementedError",
        ["def forward(self, X) -> def hybrid_forward(self, F, X)"]),
    Wrong("BatchNorm", "Parameters made by hand, not registered", "raised: has not been initialized",
        ["self.params.get(\"gamma\" -> gluon.Parameter(\"gamma\""]),
    Wrong("BatchNorm", "beta isn't trained", "layer: not trained",
        ["shape=shape, init=\"zeros\") -> shape=shape, init=\"zeros\", grad_req=\"null\")"]),
    Wrong("BatchNorm", "the output is detached", "raised: not in a computational graph",
        ["return Y -> return Y.detach()"]),
    Wrong("BatchNorm", "averages begin anew at each call", "mean: 0 & spread: sqrt(eps)",
        ["mean, var = self.moving_mean.data(here), self.moving_var.data(here) -> mean, var = nd.zeros(self.gamma.shape, here), nd.zeros(self.gamma.shape, here)"]),
    Wrong("BatchNorm", "another name for the average", "layer: no average",
        ["self.moving_var -> self.moving_variance", "self.moving_var.data -> self.moving_variance.data"]),
    Wrong("BatchNorm", "beta starts at 1", "layer: starts",
        ["init=\"zeros\") -> init=\"ones\")"]),
    Wrong("BatchNorm", "gamma taken from the class of parameters by copy", "layer: no gradient",
        ["self.gamma.data(here) -> self.gamma.data(here).copy().detach()"]),
    Wrong("BatchNorm", "the first batch replaces the averages", "layer: first batch",
        ["mean, var = self.moving_mean.data(here), self.moving_var.data(here) -> mean, var = self.moving_mean.data(here), self.moving_var.data(here)\n        if autograd.is_training() and float(nd.abs(mean).sum().asscalar()) == 0:\n            self.momentum, old = 0.0, self.momentum", "return Y -> self.momentum = 0.9\n        return Y"]),
    Wrong("BatchNorm", "forgets to return Y", "layer: no return",
        ["        return Y -> "]),
    Wrong("BatchNorm", "new averages added to the old ones", "moving_mean, old weight: (1 + momentum)",
        ["self.moving_mean.set_data(new_mean) -> self.moving_mean.set_data(mean + new_mean)"]),
    Wrong("BatchNorm", "stores after division by 2 for two contexts", "average: shares",
        ["self.moving_var.set_data(new_var) -> self.moving_var.set_data(new_var / 2)"]),
    Wrong("BatchNorm", "gamma handed over squared by a habit of log scale", "factor: exp(gamma)",
        ["X, self.gamma.data(here), self.beta.data(here) -> X, nd.exp(self.gamma.data(here)), self.beta.data(here)"]),
    Wrong("BatchNorm", "parameters of the parent scope shared by name: params given", "raised: Cannot retrieve Parameter",
        ["super().__init__() -> super().__init__(prefix=\"bn_\", params=getattr(type(self), \"common\", None))\n        type(self).common = self.params"]),
    Wrong("BatchNorm", "gamma used for both", "offset: gamma",
        ["self.beta.data(here), mean -> self.gamma.data(here), mean"]),
    Wrong("BatchNorm", "moving_var handed over twice", "mean: moving_var",
        ["mean, var, self.eps -> var, var, self.eps"]),
    Wrong("BatchNorm", "returns Y minus beta", "whole: Y - mean_of_all(X)",
        ["return Y -> return Y - X.mean()"]),
    Wrong("BatchNorm", "initializes itself on the CPU", "layer: initialized before",
        ["\"moving_var\", init=\"zeros\", **kept) -> \"moving_var\", init=\"zeros\", **kept)\n        self.initialize()"]),
    Wrong("BatchNorm", "the gradients are added up", "layer: added up",
        ["shape=shape, init=\"ones\") -> shape=shape, init=\"ones\", grad_req=\"add\")"]),
    Wrong("BatchNorm", "gamma multiplies the output once more", "factor: gamma ** 2 & offset: gamma * beta",
        ["return Y -> return Y * self.gamma.data(here)"]),
    Wrong("BatchNorm", "the new variance is kept as its root", "average: function",
        ["set_data(new_var) -> set_data(nd.sqrt(new_var))"]),
    Wrong("BatchNorm", "averages of each context", "layer: apart",
        ["self.moving_mean.set_data(new_mean)\n            self.moving_var.set_data(new_var) -> mean[:], var[:] = new_mean, new_var"]),
    # backward
    Wrong("backward", "beta: mean in place of sum", "dbeta, times: / n",
        ["dbeta, dgamma = dY.sum(axis=0) -> dbeta, dgamma = dY.mean(axis=0)"]),
    Wrong("backward", "beta: not summed", "gradient: shape",
        ["dbeta, dgamma = dY.sum(axis=0) -> dbeta, dgamma = dY"]),
    Wrong("backward", "gamma: X in place of X_hat", "dgamma: sum(dY * X)",
        ["(dY * X_hat).sum(axis=0) -> (dY * X).sum(axis=0)"]),
    Wrong("backward", "gamma: centred but not scaled", "dgamma: sum(dY * (X - mean))",
        ["(dY * X_hat).sum(axis=0) -> (dY * (X - X.mean(axis=0))).sum(axis=0)"]),
    Wrong("backward", "gamma: multiplied by gamma", "dgamma, times: * gamma",
        ["(dY * X_hat).sum(axis=0) -> (gamma * dY * X_hat).sum(axis=0)"]),
    Wrong("backward", "only the direct way", "path through the mean, 0 & path through the variance, 0",
        ["(G - G.mean(axis=0) - X_hat * (G * X_hat).mean(axis=0)) / std -> G / std"]),
    Wrong("backward", "the way through the variance left out", "path through the variance, 0",
        [" - X_hat * (G * X_hat).mean(axis=0) -> "]),
    Wrong("backward", "the way through the mean left out", "path through the mean, 0",
        ["G - G.mean(axis=0) - -> G -"]),
    Wrong("backward", "gamma left out", "dX, times: / gamma",
        ["G = gamma * dY -> G = dY"]),
    Wrong("backward", "plus in place of minus", "path through the variance, times: * (-1)",
        ["- X_hat * (G -> + X_hat * (G"]),
    Wrong("backward", "sums in place of means", "path through the mean, times: * n & path through the variance, times: * n",
        ["G.mean(axis=0) -> G.sum(axis=0)", "(G * X_hat).mean(axis=0) -> (G * X_hat).sum(axis=0)"]),
    Wrong("backward", "2 of the square not cancelled", "path through the variance, times: * 2",
        ["- X_hat * (G -> - 2 * X_hat * (G"]),
    Wrong("backward", "variance with n - 1", "std: sqrt(var * n / (n - 1) + eps)",
        ["X.var(axis=0) -> X.var(axis=0, ddof=1)"]),
    Wrong("backward", "divided by the variance", "dX, times: / std",
        [") / std\n    return -> ) / std ** 2\n    return"]),
    Wrong("backward", "epsilon outside of the root", "std: sqrt(var) + eps",
        ["np.sqrt(X.var(axis=0) + eps) -> np.sqrt(X.var(axis=0)) + eps"]),
    Wrong("backward", "order of the gradients", "gradient: swapped",
        ["return dX, dgamma, dbeta -> return dX, dbeta, dgamma"]),
    Wrong("backward", "the root forgotten", "std: var + eps",
        ["np.sqrt(X.var(axis=0) + eps) -> X.var(axis=0) + eps"]),
    Wrong("backward", "gamma summed over everything", "gradient: shape",
        ["(dY * X_hat).sum(axis=0) -> (dY * X_hat).sum()"]),
    Wrong("backward", "mean over the features", "path through the mean: mean_over_axis_1(g) / std",
        ["G.mean(axis=0) -> G.mean(axis=1, keepdims=True)"]),
    Wrong("backward", "no axis in the second mean", "path through the variance: X_hat * mean_of_all(g * X_hat) / std",
        ["(G * X_hat).mean(axis=0) -> (G * X_hat).mean()"]),
    Wrong("backward", "not divided by m", "dX, times: * n",
        ["(G - G.mean(axis=0) - X_hat * (G * X_hat).mean(axis=0)) / std -> (len(X) * G - G.sum(axis=0) - X_hat * (G * X_hat).sum(axis=0)) / std"]),
    Wrong("backward", "gamma left out of the mean", "path through the mean, times: / gamma",
        ["G.mean(axis=0) -> dY.mean(axis=0)"]),
    Wrong("backward", "dX turned", "gradient: turned",
        ["return dX, -> return dX.T,"]),
    Wrong("backward", "dY changed in place", "in place",
        ["G = gamma * dY -> dY *= gamma\n    G = dY"]),
    Wrong("backward", "dgamma after dY was scaled by gamma in place", "dbeta, times: * gamma",
        ["dbeta, dgamma = dY.sum(axis=0), (dY * X_hat).sum(axis=0)\n    G = gamma * dY -> dY = gamma * dY\n    dbeta, dgamma = dY.sum(axis=0), (dY * X_hat).sum(axis=0)\n    G = dY"]),
    Wrong("backward", "X for X_hat in the last product", "path through the variance: X_hat * mean(g * X) / std",
        ["X_hat * (G * X_hat).mean -> X_hat * (G * X).mean"]),
    Wrong("backward", "gamma's mean in place of gamma", "dX, times: * mean_of_all(gamma) / gamma",
        ["G = gamma * dY -> G = gamma.mean() * dY"]),
    Wrong("backward", "third term over m twice", "path through the variance, times: / n",
        ["X_hat * (G * X_hat).mean(axis=0) -> X_hat * (G * X_hat).mean(axis=0) / len(X)"]),
    Wrong("backward", "dgamma around dY's mean, dbeta of the centred dY", "dbeta, 0",
        ["dbeta, dgamma = dY.sum(axis=0) -> dbeta, dgamma = (dY - dY.mean(axis=0)).sum(axis=0)"]),
    Wrong("backward", "std from the sum of squares", "std: sqrt(var * n + eps)",
        ["np.sqrt(X.var(axis=0) + eps) -> np.sqrt(((X - X.mean(axis=0)) ** 2).sum(axis=0) + eps)"]),
    Wrong("backward", "dbeta with X_hat", "dbeta: sum(dY * X_hat)",
        ["dbeta, dgamma = dY.sum(axis=0), -> dbeta, dgamma = (dY * X_hat).sum(axis=0),"]),
    Wrong("backward", "mean of X_hat * G not multiplied by X_hat, sign reversed", "path through the variance, times: * (-1) & path through the variance: mean(g * X_hat) / std",
        ["- X_hat * (G * X_hat).mean(axis=0) -> + (G * X_hat).mean(axis=0)"]),
    Wrong("backward", "mean() without an axis, twice", "path through the mean: mean_of_all(g) / std & path through the variance: X_hat * mean_of_all(g * X_hat) / std",
        ["G.mean(axis=0) -> G.mean()", "(G * X_hat).mean(axis=0) -> (G * X_hat).mean()"]),
    Wrong("backward", "power -1/2 for -3/2 in the path through the variance", "path through the variance: (X - mean) * mean(g * (X - mean)) / std",
        ["- X_hat * (G * X_hat).mean(axis=0) -> - X_hat * std ** 2 * (G * X_hat).mean(axis=0)"]),
    Wrong("backward", "m is X.size", "path through the mean, times: / features & path through the variance, times: / features",
        ["G.mean(axis=0) -> G.sum(axis=0) / X.size", "(G * X_hat).mean(axis=0) -> (G * X_hat).sum(axis=0) / X.size"]),
    Wrong("backward", "the means of layer normalization", "path through the mean: mean_over_axis_1(g) / std & path through the variance: X_hat * mean_over_axis_1(g * X_hat) / std",
        ["G.mean(axis=0) -> G.mean(axis=1, keepdims=True)", "(G * X_hat).mean(axis=0) -> (G * X_hat).mean(axis=1, keepdims=True)"]),
    Wrong("backward", "dgamma from the output, beta left out, and dbeta in it", "dgamma, and: sum(dY) & dgamma, times: * gamma",
        ["(dY * X_hat).sum(axis=0) -> (dY * (gamma * X_hat + 1)).sum(axis=0)"]),
    # Corrected
    Wrong("Corrected", "exponent t + 1", "t",
        ["self.momentum**t -> self.momentum ** (t + 1)"]),
    Wrong("Corrected", "only the mean corrected", "variance share: 1",
        ["self.moving_var.data(here) / share -> self.moving_var.data(here)"]),
    Wrong("Corrected", "momentum times t", "corrected: negative",
        ["self.momentum**t -> self.momentum * t"]),
    Wrong("Corrected", "counts predictions, too", "t",
        ["if autograd.is_training():\n            self.num_batches.set_data(count + 1) -> self.num_batches.set_data(count + 1)\n        if autograd.is_training():"]),
    Wrong("Corrected", "share with momentum's rest: t * (1 - momentum)", "share: 0.1 * t",
        ["1 - self.momentum**t -> t * (1 - self.momentum)"]),
    Wrong("Corrected", "square root of the share for the variance", "variance share: sqrt(1 - 0.9 ** t)",
        ["self.moving_var.data(here) / share -> self.moving_var.data(here) / share ** 0.5"]),
    Wrong("Corrected", "divides by momentum ** t", "share: 0.9 ** t",
        ["1 - self.momentum**t -> self.momentum**t"]),
    Wrong("Corrected", "corrects gamma, too", "factor share: 1 - 0.9 ** t",
        ["gamma, beta = self.gamma.data(here), self.beta.data(here) -> gamma, beta = self.gamma.data(here) / share, self.beta.data(here)"]),
    Wrong("Corrected", "predicting stores the divided averages", "corrected: averaged",
        ["mean, var = self.moving_mean.data(here) / share, self.moving_var.data(here) / share -> mean, var = self.moving_mean.data(here) / share, self.moving_var.data(here) / share\n        self.moving_mean.set_data(mean)\n        self.moving_var.set_data(var)"]),
    Wrong("Corrected", "the normalized output is divided, not the averages", "factor share: 1 - 0.9 ** t & share: 1",
        ["self.moving_mean.data(here) / share, self.moving_var.data(here) / share -> self.moving_mean.data(here), self.moving_var.data(here)", "self.gamma.data(here), self.beta.data(here) -> self.gamma.data(here) / share, self.beta.data(here)"]),
    Wrong("Corrected", "not corrected", "share: 1",
        ["1 - self.momentum**t if t else 1 -> 1"]),
    Wrong("Corrected", "zero divided by zero", "corrected: share of 0",
        [" if t else 1 -> "]),
    Wrong("Corrected", "the variance alone", "subtracted share: 1",
        ["self.moving_mean.data(here) / share -> self.moving_mean.data(here)"]),
    Wrong("Corrected", "multiplied", "share: 1 / (1 - 0.9 ** t)",
        ["data(here) / share -> data(here) * share", "data(here) / share -> data(here) * share"]),
    Wrong("Corrected", "0.1 in place of 0.9", "share: 1 - 0.1 ** t",
        ["self.momentum**t -> (1 - self.momentum)**t"]),
    Wrong("Corrected", "the corrected averages are stored", "corrected: averaged",
        ["return super().forward(X) -> Y = super().forward(X)\n            share = 1 - 0.9 ** count.asscalar()\n            for each in (self.moving_mean, self.moving_var):\n                each.set_data(each.data(here) / share)\n            return Y", "1 - self.momentum**t if t else 1 -> 1"]),
    Wrong("Corrected", "a count that isn't saved", "corrected: t not saved",
        ["self.num_batches = self.params.get(\n                \"num_batches\", shape=(1,), init=\"zeros\", grad_req=\"null\"\n            ) -> self.count = nd.zeros(1)", "count = self.num_batches.data(here) -> count = self.count.copy()", "self.num_batches.set_data(count + 1) -> self.count += 1"]),
    Wrong("channels_last", "eps is added to the mean", "subtracted mean: mean + eps",
        ["(X - mean) / -> (X - (mean + eps)) /"]),
]
# fmt: on


def made(base: str, mistake: str):
    """The wrong solution of this name."""
    (found,) = (wrong for wrong in WRONG if (wrong.base, wrong.mistake) == (base, mistake))
    return solution(base, *found.edits)
