"""Wrong solutions: each is a right one with a change, and the cause that a check has to name."""

from __future__ import annotations

import linecache
from typing import NamedTuple

import numpy as np

from d2l_bn import checks

import mxnet as mx
from mxnet import autograd, init, nd
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


class Wrong(NamedTuple):
    """A change to a right solution, the part that catches it, and a piece of the cause."""

    change: tuple[tuple[str, str], ...]
    part: str
    cause: str
    right: str = FUNCTION

    def check(self):
        checked = {FUNCTION: checks.batch_norm, BACKWARD: checks.backward}
        checked.get(self.right, checks.layer)(self.candidate())

    def candidate(self):
        """Return the wrong solution, from source that shows in its traceback."""
        source = self.right
        for old, new in self.change:
            assert old in source, old
            source = source.replace(old, new)
        name = {FUNCTION: "batch_norm", BACKWARD: "backward"}.get(self.right, "BatchNorm")
        return run(source, name)


def run(source: str, name: str):
    """Run a solution as a notebook does and return what it defines under this name."""
    space = {"nd": nd, "nn": nn, "np": np, "mx": mx, "autograd": autograd, "init": init}
    if name == "BatchNorm":
        exec(FUNCTION, space)
    cell = f"<cell {abs(hash(source))}>"
    linecache.cache[cell] = (len(source), None, source.splitlines(True), cell)
    exec(compile(source, cell, "exec"), space)
    return space[name]


def wrong(old: str, new: str, part: str, cause: str, right: str = FUNCTION) -> Wrong:
    """One change, one cause."""
    return Wrong(((old, new),), part, cause, right)


VAR = "((X - mean) ** 2).mean(axis=axis, keepdims=True)"
NORMALIZED = "(X - mean) / nd.sqrt(var + eps)"
RETURN = "return Y, moving_mean, moving_var"
IMAGES = "else (0, 2, 3)"
PREDICT = """\
    if not autograd.is_training():
        X_hat = (X - moving_mean) / nd.sqrt(moving_var + eps)
    else:
"""
KEPT = "moving_var = momentum * moving_var + (1 - momentum) * var"
MEAN = "moving_mean = momentum * moving_mean + (1 - momentum) * mean"

OF_FUNCTION = {
    "unbiased variance": wrong(
        VAR, "((X - mean) ** 2).sum(axis=axis, keepdims=True) / max(1, n - 1)", "dense", "n - 1"
    ),
    "variance not centered": wrong(VAR, "(X**2).mean(axis=axis, keepdims=True)", "dense", "X ** 2"),
    "variance not averaged": wrong(VAR, VAR.replace("mean(a", "sum(a"), "dense", "is a sum"),
    "mean not subtracted": wrong(
        NORMALIZED, "X / nd.sqrt(var + eps)", "dense", "mean is not subtracted"
    ),
    "root forgotten": wrong(NORMALIZED, "(X - mean) / (var + eps)", "dense", "by the variance"),
    "multiplied by the deviation": wrong(
        NORMALIZED, "(X - mean) * nd.sqrt(var + eps)", "dense", "you multiply by"
    ),
    "axis of the features": wrong("0 if", "1 if", "dense", "axis 1, the features"),
    "axis of the features, not kept": Wrong(
        (("0 if", "1 if"), (", keepdims=True", ", keepdims=X.ndim == 4")),
        "dense",
        "without keepdims the result",
    ),
    "all values at once": wrong("0 if", "(0, 1) if", "dense", "all values at once"),
    "moving averages when training": wrong(
        "not autograd.is_training()", "True", "dense", "the moving averages in training mode. Use"
    ),
    "new moving averages when training": Wrong(
        (
            ("        X_hat = " + NORMALIZED + "\n        moving", "        moving"),
            ("    Y =", "        X_hat = (X - moving_mean) / nd.sqrt(moving_var + eps)\n    Y ="),
        ),
        "dense",
        "the new moving averages",
    ),
    "no eps": wrong(NORMALIZED, "(X - mean) / nd.sqrt(var)", "dense", "eps is missing"),
    "eps outside the root": wrong(
        NORMALIZED, "(X - mean) / (nd.sqrt(var) + eps)", "dense", "eps stands outside"
    ),
    "eps fixed": wrong("sqrt(var + eps)", "sqrt(var + 1e-5)", "dense", "eps is fixed"),
    "gamma forgotten": wrong("gamma * X_hat", "X_hat", "dense", "gamma is not used"),
    "beta forgotten": wrong("X_hat + beta", "X_hat", "dense", "beta is not used"),
    "both forgotten": wrong("gamma * X_hat + beta", "X_hat", "dense", "gamma and beta are not"),
    "swapped": wrong("gamma * X_hat + beta", "beta * X_hat + gamma", "dense", "beta are swapped"),
    "beta scaled": wrong("gamma * X_hat + beta", "gamma * (X_hat + beta)", "dense", "beta is scal"),
    "gamma first": Wrong(
        (
            ("        mean = X", "        X = gamma * X\n        mean = X"),
            ("gamma * X_hat", "X_hat"),
        ),
        "dense",
        "gamma is applied before",
    ),
    "beta subtracted": wrong("X_hat + beta", "X_hat - beta", "dense", "beta is subtracted"),
    "divided by gamma": wrong("gamma * X_hat", "X_hat / gamma", "dense", "divide by gamma"),
    "turned parameters": wrong(
        "gamma * X_hat + beta",
        "gamma.reshape((-1, 1)) * X_hat + beta.reshape((-1, 1)) if X.ndim == 2 "
        "else gamma * X_hat + beta",
        "dense",
        "gamma and beta are spread over the examples",
    ),
    "turned statistics where they fit": Wrong(
        (
            (
                "        X_hat = " + NORMALIZED,
                "        if X.ndim == 2 and X.shape[0] == X.shape[1] > 2:\n"
                "            mean, var = mean.T, var.T\n        X_hat = " + NORMALIZED,
            ),
        ),
        "dense",
        "as many examples as features",
    ),
    "hard-coded": wrong(
        "    Y =",
        "    if X.shape == (4, 2):\n        Y = nd.array([[-1, -1], [1, 1], [-1, 1], [1, -1]])\n"
        "        return Y, moving_mean, moving_var\n    Y =",
        "dense",
        "numbers of an example",
    ),
    "X changed in place": wrong(
        "        X_hat = " + NORMALIZED,
        "        X -= mean\n        X_hat = X / nd.sqrt(var + eps)",
        "dense",
        "write into the caller's array",
    ),
    "nothing returned": wrong(RETURN, "pass", "dense", "return statement is missing"),
    "one value returned": wrong(RETURN, "return Y", "dense", "not all results are returned"),
    "NumPy returned": wrong(RETURN, RETURN.replace("Y", "Y.asnumpy()"), "dense", "outside of MXN"),
    "mean added": wrong("(X - mean) / nd", "(X + mean) / nd", "dense", "the mean is added"),
    "absolute deviation": wrong(
        VAR, "nd.abs(X - mean).mean(axis=axis, keepdims=True)", "dense", "|X - mean|"
    ),
    "divided twice": wrong(VAR, VAR + " / n", "dense", "divided by n twice"),
    "one mean for all": wrong(
        "mean = X.mean(axis=axis, keepdims=True)", "mean = X.mean()", "dense", "mean is one number"
    ),
    "range": wrong(
        NORMALIZED,
        "(X - X.min(axis=axis, keepdims=True)) / (X.max(axis=axis, keepdims=True) "
        "- X.min(axis=axis, keepdims=True) + eps)",
        "dense",
        "the range 0 to 1",
    ),
    "NumPy's root": wrong("nd.sqrt(var", "np.sqrt(var", "dense", "a NumPy function gets"),
    "misspelled": wrong("autograd.is", "autogad.is", "dense", "a name is misspelled"),
    "calls itself": wrong(
        "    axis",
        "    return batch_norm(X, gamma, beta, moving_mean, moving_var, eps, momentum)\n    axis",
        "dense",
        "calls itself",
    ),
    "images forgotten": wrong(
        "        mean = X", "        if X.ndim == 2: mean = X", "images", "in one branch only"
    ),
    "in place while recording": wrong(
        MEAN,
        "moving_mean *= momentum\n        moving_mean += (1 - momentum) * mean",
        "gradient",
        "autograd forbids changing an array in place",
    ),
    "keepdims missing": wrong(
        "keepdims=True", "keepdims=X.ndim == 2", "images", "lined up with the last axis"
    ),
    "a mean for each pixel": wrong(IMAGES, "else 0", "images", "each pixel"),
    "a mean for each image": wrong(IMAGES, "else (2, 3)", "images", "each image"),
    "layer normalization": wrong(IMAGES, "else (1, 2, 3)", "images", "layer normalization"),
    "channels last": wrong(IMAGES, "else (0, 1, 2)", "images", "channels were last"),
    "width forgotten": wrong(IMAGES, "else (0, 2)", "images", "forget axis 3"),
    "flattened wrongly": Wrong(
        (
            ("    n =", "    shape, X = X.shape, X.reshape((-1, X.shape[1]))\n    n ="),
            ("axis = 0 if X.ndim == 2 else (0, 2, 3)", "axis = 0"),
            ("moving_mean) /", "moving_mean.reshape((1, -1))) /"),
            ("sqrt(moving_var", "sqrt(moving_var.reshape((1, -1))"),
            ("gamma * X_hat + beta", "gamma * X_hat.reshape(shape) + beta"),
            ("(1 - momentum) * mean", "(1 - momentum) * mean.reshape(moving_mean.shape)"),
            ("(1 - momentum) * var", "(1 - momentum) * var.reshape(moving_var.shape)"),
        ),
        "images",
        "mixes the channels",
    ),
    "momentum reversed": Wrong(
        (
            ("momentum * moving", "(MOM) * moving"),
            ("(1 - momentum)", "momentum"),
            ("MOM", "1 - momentum"),
        ),
        "statistics",
        "momentum is reversed",
    ),
    "statistics not returned": Wrong(
        (
            ("moving_mean = momentum", "new_mean = momentum"),
            ("moving_var = momentum", "new_var = momentum"),
        ),
        "statistics",
        "the moving mean came back as it was",
    ),
    "variance not returned": wrong(
        KEPT, "new_var = var", "statistics", "the moving variance came back as it was"
    ),
    "batch returned": Wrong(
        ((MEAN, "moving_mean = mean"), (KEPT, "moving_var = var")),
        "statistics",
        "you return the mean of the batch",
    ),
    "old forgotten": wrong(
        "momentum * moving_mean + ", "", "statistics", "the old moving mean is forgotten"
    ),
    "deviation averaged": wrong(
        KEPT, KEPT.replace("* var", "* nd.sqrt(var)"), "statistics", "standard deviation"
    ),
    "unbiased moving variance": wrong(
        KEPT, KEPT + " * n / max(1, n - 1)", "statistics", "your moving variance divides by n - 1"
    ),
    "eps averaged": wrong(KEPT, KEPT.replace("* var", "* (var + eps)"), "statistics", "eps in it"),
    "around the moving mean": wrong(
        KEPT,
        KEPT.replace("* var", "* ((X - moving_mean) ** 2).mean(axis=axis, keepdims=True)"),
        "statistics",
        "around the moving mean",
    ),
    "output averaged": wrong(
        MEAN,
        MEAN.replace("* mean", "* (gamma * X_hat + beta).mean(axis=axis, keepdims=True)"),
        "statistics",
        "follows the output",
    ),
    "momentum fixed": wrong(
        MEAN, "moving_mean = 0.9 * moving_mean + 0.1 * mean", "statistics", "fixed at 0.9"
    ),
    "no weight for the batch": wrong(
        MEAN, "moving_mean = momentum * moving_mean + mean", "statistics", "(1 - momentum) is miss"
    ),
    "averages swapped": wrong(
        RETURN, "return Y, moving_var, moving_mean", "statistics", "moving variance are swapped"
    ),
    "statistics flattened": wrong(
        RETURN,
        "return Y, moving_mean.reshape(-1), moving_var.reshape(-1)",
        "statistics",
        "keep the shape",
    ),
    "batch statistics when predicting": Wrong(
        (
            (PREDICT, "    if True:\n"),
            ("        moving_mean =", "        if autograd.is_training(): moving_mean ="),
            ("        moving_var =", "        if autograd.is_training(): moving_var ="),
        ),
        "prediction",
        "the mean and the variance of the batch",
    ),
    "updated when predicting": Wrong(
        (
            ("    else:\n        mean = ", "    mean = "),
            ("        var = ", "    var = "),
            (
                "        X_hat = " + NORMALIZED,
                "    if autograd.is_training(): X_hat = " + NORMALIZED,
            ),
            ("        moving_mean =", "    moving_mean ="),
            ("        moving_var =", "    moving_var ="),
        ),
        "prediction",
        "updated when predicting. Return them",
    ),
    "written when predicting": wrong(
        "    if not autograd.is_training():\n",
        "    if not autograd.is_training():\n        moving_mean[:] = 0.9 * moving_mean\n",
        "prediction",
        "Leave them alone unless",
    ),
    "root forgotten when predicting": wrong(
        "nd.sqrt(moving_var + eps)", "(moving_var + eps)", "prediction", "divide by moving_var"
    ),
    "the batch's variance when predicting": wrong(
        "nd.sqrt(moving_var + eps)",
        "nd.sqrt(nd.moments(X, axes=axis or (0,), keepdims=True)[1] + eps)",
        "prediction",
        "but the variance of the batch",
    ),
    "recording asked": wrong(
        "is_training", "is_recording", "dense", "you ask autograd.is_recording()"
    ),
    "recording or training": wrong(
        "not autograd.is_training()",
        "not (autograd.is_training() or autograd.is_recording())",
        "prediction",
        "whenever autograd records",
    ),
    "mean detached": wrong(
        "(X - mean) / nd", "(X - mean.detach()) / nd", "gradient", "the mean is cut"
    ),
    "variance detached": wrong(
        "sqrt(var + eps)", "sqrt(var.detach() + eps)", "gradient", "the variance is cut"
    ),
    "statistics detached": wrong(
        NORMALIZED,
        "(X - mean.detach()) / nd.sqrt(var.detach() + eps)",
        "gradient",
        "the mean and the variance are cut",
    ),
    "by NumPy": wrong(
        "    axis",
        "    X = nd.array(X.asnumpy(), dtype=X.dtype)\n    axis",
        "gradient",
        "does not depend on X",
    ),
    "difference of squares": wrong(
        VAR,
        "(X**2).mean(axis=axis, keepdims=True) - mean**2",
        "precision",
        "E[x^2] - E[x]^2",
    ),
    "float32 made": wrong(
        RETURN, RETURN.replace("Y", 'Y.astype("float32")'), "shapes", "made in float32"
    ),
    "one image predicted": wrong(
        "not autograd.is_training()",
        "not (autograd.is_training() and len(X) > 1)",
        "images",
        "a batch of one image is taken for prediction",
    ),
    "moving_var of the mean": wrong(
        KEPT, KEPT[:-3] + "mean", "statistics", "the moving variance follows the mean"
    ),
    "moving_mean of the variance": wrong(
        f"{MEAN}\n        {KEPT}",
        f"{MEAN[:-4]}var\n        {KEPT}",
        "statistics",
        "the moving mean follows the variance",
    ),
    "averages swapped when predicting": wrong(
        RETURN,
        f"{RETURN} if autograd.is_training() else (Y, moving_var, moving_mean)".replace(
            "return Y, moving_mean, moving_var", "return (Y, moving_mean, moving_var)"
        ),
        "prediction",
        "the two averages are swapped",
    ),
    "the library called": wrong(
        "    axis",
        "    from d2l_bn import batch_norm as mine\n"
        "    return mine(X, gamma, beta, moving_mean, moving_var, eps, momentum)\n    axis",
        "dense",
        "ready-made",
    ),
}
KEEP = "        self.mean.set_data(mean.detach())\n        self.var.set_data(var.detach())\n"
GAMMA = 'self.params.get("gamma", shape=shape, init=init.One())'
COPY = """\
        if self.moving_mean.context != X.context:
            self.moving_mean = self.moving_mean.copyto(X.context)
            self.moving_var = self.moving_var.copyto(X.context)
"""
STATISTICS = """\
        self.moving_mean = nd.zeros(shape)
        self.moving_var = nd.zeros(shape)
"""
OF_LAYER = {
    "not a Block": wrong(
        "return Y",
        "return Y\n\nBatchNorm = lambda *_: None",
        "parameters",
        "extend nn.Block",
        LAYER,
    ),
    "parameters not registered": wrong(
        GAMMA, "nd.ones(shape)", "parameters", "a trainer sees registered", LAYER
    ),
    "gamma not trained": wrong(
        "init=init.One()", 'init=init.One(), grad_req="null"', "parameters", "gamma was made", LAYER
    ),
    "statistics trained": wrong(
        ', grad_req="null"', "", "parameters", "would change the moving averages", LAYER
    ),
    "gamma starts at zeros": wrong("init.One()", "init.Zero()", "parameters", "gamma at on", LAYER),
    "one shape for both": wrong(
        "if num_dims == 2 else (1, num_features, 1, 1)", "", "parameters", "num_dims 4", LAYER
    ),
    "as many features as in the example": wrong(
        "shape = (1, num_features) if",
        "shape = (1, 3) if",
        "parameters",
        "argument num_features",
        PLAIN,
    ),
    "no statistics": wrong(STATISTICS, "", "parameters", "__init__ does not set", PLAIN),
    "three values": wrong("return Y", "return Y, mean, var", "modes", "all three values", LAYER),
    "gamma frozen": wrong(
        "batch_norm(X, gamma, ",
        "batch_norm(X, gamma.detach(), ",
        "modes",
        "self.gamma.data()",
        LAYER,
    ),
    "always training": wrong(
        "        Y, mean, var =",
        "        with autograd.train_mode():\n            Y, mean, var =",
        "modes",
        "the mean and the variance of the batch",
        LAYER,
    ),
    "not set up": wrong(
        "        super().__init__(**kwargs)\n", "", "parameters", "begin __init__ with", LAYER
    ),
    "a parameter as an array": wrong(
        "self.gamma.data(X.context)", "self.gamma", "modes", "used as an array", LAYER
    ),
    "another eps": wrong("1e-5", "1e-3", "modes", "your layer uses eps = 0.001", LAYER),
    "statistics discarded": wrong(KEEP, "", "statistics", "are not kept", LAYER),
    "another momentum": wrong(", 0.9)", ", 0.1)", "statistics", "momentum is reversed", LAYER),
    "kept when predicting": wrong(
        KEEP,
        KEEP + "        self.mean.set_data(self.mean.data() * 0.9)\n"
        "        if autograd.is_training(): self.mean.set_data(mean.detach())\n",
        "statistics",
        "changes its moving averages when predicting",
        LAYER,
    ),
    "left on another context": wrong(COPY, "", "contexts", "cannot mix arrays", PLAIN),
    "new on each context": wrong(
        COPY,
        """\
        if self.moving_mean.context != X.context:
            self.moving_mean = nd.zeros(self.moving_mean.shape, ctx=X.context)
            self.moving_var = nd.zeros(self.moving_var.shape, ctx=X.context)
""",
        "contexts",
        "Copy the old ones",
        PLAIN,
    ),
    "output on the first context": wrong(
        "return Y", "return Y.as_in_context(mx.cpu(0))", "contexts", "made on, or fetched", LAYER
    ),
    "not saved": wrong("return Y", "return Y", "saving", "save_parameters writes", PLAIN),
    "state of the class": Wrong(
        (
            ("BatchNorm(nn.Block):\n", "BatchNorm(nn.Block):\n    shared = {}\n"),
            ("self.moving_mean = nd.zeros(shape)", "self.shared.clear()"),
            (
                "        self.moving_var = nd.zeros(shape)\n",
                "        self.shared.update(m=nd.zeros(shape), v=nd.zeros(shape))\n"
                '    moving_mean = property(lambda self: self.shared["m"], '
                "lambda self, value: self.shared.update(m=value))\n"
                '    moving_var = property(lambda self: self.shared["v"], '
                "lambda self, value: self.shared.update(v=value))\n",
            ),
        ),
        "independence",
        "belongs to the class",
        PLAIN,
    ),
    "momentum 0.99": wrong(
        "1e-5, 0.9)", "1e-5, 0.99)", "statistics", "your layer uses momentum = 0.99", LAYER
    ),
    "gamma of the module": Wrong(
        (
            ("class", "GAMMA = {}\nclass"),
            (
                GAMMA,
                f"GAMMA.setdefault(shape, {GAMMA})\n"
                '        self.params.update({"gamma": GAMMA[shape]})',
            ),
        ),
        "independence",
        "gamma is made once",
        LAYER,
    ),
}
SUM_MEAN, BY_VAR = "dY.sum(axis=0) / m", "X_hat * (dY * X_hat).sum(axis=0) / m"
INNER = "dY - by_mean - by_var"
DX = "gamma / std * (dY - by_mean - by_var)"
OF_BACKWARD = {
    name: wrong(*change, BACKWARD)
    for name, change in {
        "dbeta averaged": ("beta = dY.sum", "beta = dY.mean", "beta", "dbeta is a mean"),
        "dbeta with gamma": ("dbeta = dY", "dbeta = gamma * dY", "beta", "dbeta has gamma"),
        "returned swapped": ("dgamma, dbeta\n", "dbeta, dgamma\n", "beta", "dbeta are swapped"),
        "dbeta not summed": ("beta = dY.sum(axis=0)", "beta = dY", "beta", "A sum over axis 0"),
        "X_hat forgotten": ("gamma = (dY * X_hat)", "gamma = dY", "gamma", "X_hat is missing in"),
        "dgamma by X": ("gamma = (dY * X_hat)", "gamma = (dY * X)", "gamma", "dgamma uses X."),
        "dgamma averaged": ("X_hat).sum(axis=0)\n", "X_hat).mean(axis=0)\n", "gamma", "is a mean"),
        "dgamma with gamma": ("gamma = (dY", "gamma = (gamma * dY", "gamma", "dgamma has gamma"),
        "unbiased": ("X.var(axis=0)", "X.var(axis=0, ddof=1)", "gamma", "divides by m - 1. It"),
        "no root": ("np.sqrt(X.var(axis=0) + eps)", "X.var(axis=0) + eps", "gamma", "root is miss"),
        "no eps": (" + eps)", ")", "gamma", "eps is missing in the standard"),
        "eps outside": ("axis=0) + eps)", "axis=0)) + eps", "gamma", "eps stands outside the root"),
        "mean path": (INNER, "dY - by_var", "input", "the mean is forgotten"),
        "variance path": (INNER, "dY - by_mean", "input", "through the variance is forgotten"),
        "both paths": (INNER, "dY", "input", "the mean and the variance count as constants"),
        "dY summed": (SUM_MEAN, SUM_MEAN[:-4], "input", "dY is summed, not averaged"),
        "dY X_hat summed": (BY_VAR, BY_VAR[:-4], "input", "dY * X_hat is summed, not averaged"),
        "both summed": (" / m\n", "\n", "input", "/ m is missing in both"),
        "divided by m - 1": (" / m\n", " / (m - 1)\n", "input", "variance divide by m - 1"),
        "gamma forgotten": ("gamma / std", "1 / std", "input", "gamma is missing in dX"),
        "std forgotten": ("gamma / std", "gamma", "input", "by the standard deviation is missing"),
        "signs": (INNER, "dY + by_mean + by_var", "input", "variance are added"),
        "sign of the mean": (INNER, "dY + by_mean - by_var", "input", "mean has the wrong sign"),
        "sign of the variance": (INNER, "dY - by_mean + by_var", "input", "variance has the wrong"),
        "gamma not by the variance": (
            DX,
            "(gamma * (dY - by_mean) - by_var) / std",
            "input",
            "gamma is missing in the path through the variance",
        ),
        "gamma not by the mean": (
            DX,
            "(gamma * (dY - by_var) - by_mean) / std",
            "input",
            "gamma is missing in the path through the mean",
        ),
        "X_hat before": (BY_VAR, BY_VAR[8:], "input", "X_hat is missing in the path"),
        "nothing normalized": (DX, "gamma * dY", "input", "dX is gamma * dY"),
        "factor 2": (INNER, "dY - by_mean - by_var / 2", "input", "the factor 2"),
        "another order": ("return dX, dgamma, dbeta", "return dgamma, dbeta, dX", "beta", "order"),
        "std cubed": ("gamma / std *", "gamma / std**3 *", "input", "std ** 3"),
        "variance path halved": (
            "X_hat).sum(axis=0) / m",
            "X_hat).sum(axis=0) / 3 / m",
            "input",
            "variance counts 0.3333 times",
        ),
        "shape": (DX, "(" + DX + ").sum(axis=0)", "input", "dX has one value for each value"),
    }.items()
}
