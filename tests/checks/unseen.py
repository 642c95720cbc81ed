"""Wrong solutions that were written before looking at the checks, each with what is wrong in it.

Most are the exercise's own solution with a few words exchanged, as a student may slip. How often the
checks name the cause of a mistake that they have not met is the measure of what they are worth:

| batch | named | only the area | a wrong cause | accepted |
| --- | --- | --- | --- | --- |
| 123, with a table of mistakes | 88 | 26 | 7 | 2 |
| 36 of rarer kinds, with a longer table | 23 | 9 | 4 | 0 |
| 61 more | 49 | 8 | 4 | 0 |
| 41 of rarer kinds, with altered formulas | 22 | 12 | 7 | 0 |
| 40 as in a first course, with shares and statistics | 27 | 10 | 3 | 0 |
| 100 by somebody who had only the exercises, with quantities | 86 | 4 | 9 | 1 |
| 100 by somebody else, after these | 96 | 1 | 3 | 0 |
| 100 by a third, after these | 96 | 3 | 1 | 0 |

In the last three a wrong cause in any cell of the notebook counts, whatever the others say; with
them came 60 right solutions, of which none was refused. After each batch but the last the checks
were mended, and what was new in it is below, so that they have met these all now. 15 right
solutions in unusual styles, `STYLES`, were accepted from the start.
"""

# ruff: noqa: E501

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

from d2l_bn.nn.statistic import Statistic

import mxnet as mx
from mxnet import autograd, gluon, nd
from mxnet.gluon import nn

EXERCISES = Path(__file__).parents[2] / "chapters" / "exercises"
PLACES = {
    "channels_last": ("1-batch-norm", "last-solution"),
    "any_axis": ("1-batch-norm", "axis-solution"),
    "masked": ("1-batch-norm", "mask-solution"),
    "BatchNorm": ("2-the-layer", "layer-solution"),
    "Corrected": ("2-the-layer", "corrected-solution"),
    "backward": ("3-the-gradient", "backward-solution"),
}


@functools.cache
def cells(exercise: str) -> dict[str, str]:
    notebook = json.loads((EXERCISES / f"{exercise}.ipynb").read_text(encoding="utf-8"))
    named = [cell for cell in notebook["cells"] if "nbgrader" in cell["metadata"]]
    return {cell["metadata"]["nbgrader"]["grade_id"]: "".join(cell["source"]) for cell in named}


def solution(name: str, *edits: str):
    """The exercise's solution `name`, in which each "old -> new" of `edits` is done once.

    An edit without an arrow is the whole solution.
    """
    exercise, grade_id = PLACES[name]
    source = cells(exercise)[grade_id]
    for edit in edits:
        old, arrow, new = edit.partition(" -> ")
        assert not arrow or old in source, (name, old)
        source = source.replace(old, new, 1) if arrow else edit
    scope = {"mx": mx, "np": np, "nd": nd, "nn": nn, "gluon": gluon, "autograd": autograd}
    scope["batch_norm"] = given_function()
    if name == "Corrected":
        exec(cells(exercise)["layer-solution"], scope)
    exec(source, scope)
    return scope[name]


def given_function():
    scope = {"nd": nd, "autograd": autograd}
    exec(cells("2-the-layer")["given-function"], scope)
    return scope["batch_norm"]


batch_norm = given_function()


class Unseen(NamedTuple):
    mistake: str
    cause: str  # how the check begins to name it; empty where it says only what it sees
    name: str
    edits: tuple[str, ...]


def of(name: str):
    """How a mistake in the solution `name` is written down."""
    return lambda mistake, cause, *edits: Unseen(mistake, cause, name, edits)


last, axis, mask, layer, corrected, gradient = map(of, PLACES)
MEAN = "X.mean(axis=axes)"
VAR = "((X - mean) ** 2).mean(axis=axes)"
AXES = "tuple(range(len(X.shape) - 1))"
UPDATE_MEAN = "moving_mean = momentum * moving_mean + (1 - momentum) * mean"
UPDATE_VAR = "moving_var = momentum * moving_var + (1 - momentum) * var"
DX = "(G - G.mean(axis=0) - X_hat * (G * X_hat).mean(axis=0)) / std"
ON_LAST_AXIS = """\
    axes = tuple(range(X.ndim - 1))
    if autograd.is_training():
        mean = X.mean(axis=axes)
        var = ((X - mean) ** 2).mean(axis=axes)
        moving_mean = momentum * moving_mean + (1 - momentum) * mean
        moving_var = momentum * moving_var + (1 - momentum) * var
    else:
        mean, var = moving_mean, moving_var
    Y = gamma * (X - mean) / nd.sqrt(var + eps) + beta
"""
STORE = "self.moving_mean.set_data(new_mean)\n            self.moving_var.set_data(new_var)"

# fmt: off
WRONG = [
    # channels last
    last("averages over the examples only", "you average over axis 0. Here the channels",
        f"{AXES} -> 0"),
    last("axes fixed to those of images", "you average over all values at once. Here the",
        f"{AXES} -> (0, 1, 2)"),
    last("chapter 1's axes: channels in axis 1", "you average over axes (0, 2, 3), as if axis 1",
        f"{AXES} -> 0 if len(X.shape) == 2 else (0, 2, 3)"),
    last("each example by itself", "you average over axes (1, 2). Here the",
        f"{AXES} -> tuple(range(1, len(X.shape) - 1))"),
    last("averages over the channels", "you average over axis 3. Here the channels",
        f"{MEAN} -> X.mean(axis=-1, keepdims=True)",
         f"{VAR} -> ((X - mean) ** 2).mean(axis=-1, keepdims=True)"),
    last("one mean and variance for all channels", "you average over all values at once. Here the",
        f"{AXES} -> tuple(range(len(X.shape)))"),
    last("variance divided by n - 1", "your variance divides by n - 1. Batch",
        f"{VAR} -> ((X - mean) ** 2).sum(axis=axes) / (X.size / X.shape[-1] - 1)"),
    last("epsilon outside of the root", "eps stands outside the root. Add it to the",
        "nd.sqrt(var + eps) -> (nd.sqrt(var) + eps)"),
    last("no root", "you divide by the variance. Divide by its",
        "nd.sqrt(var + eps) -> (var + eps)"),
    last("epsilon left out", "eps is missing. Add it to the variance",
        "nd.sqrt(var + eps) -> nd.sqrt(var)"),
    last("epsilon fixed at 1e-5", "eps is fixed at 1e-5 in your code. Use the",
        "nd.sqrt(var + eps) -> nd.sqrt(var + 1e-5)"),
    last("epsilon squared", "your numbers are those of Y = gamma * (X - mean) / sqrt(var + eps ** 2) + beta",
        "nd.sqrt(var + eps) -> nd.sqrt(var + eps ** 2)"),
    last("momentum weighs the new value", "momentum is reversed. It weighs the old",
        f"{UPDATE_MEAN} -> moving_mean = (1 - momentum) * moving_mean + momentum * mean",
         f"{UPDATE_VAR} -> moving_var = (1 - momentum) * moving_var + momentum * var"),
    last("parentheses forgotten: + 1 - momentum * mean", "1 - momentum * mean lacks parentheses around",
        "+ (1 - momentum) * mean -> + 1 - momentum * mean"),
    last("new value added whole", "(1 - momentum) is missing before the mean of",
        "+ (1 - momentum) * mean -> + mean", "+ (1 - momentum) * var -> + var"),
    last("momentum fixed at 0.9", "momentum is fixed at 0.9 in your code. Use",
        f"{UPDATE_MEAN} -> moving_mean = 0.9 * moving_mean + 0.1 * mean",
         f"{UPDATE_VAR} -> moving_var = 0.9 * moving_var + 0.1 * var"),
    last("moving variance kept as a standard deviation", "the moving variance follows the standard",
        "(1 - momentum) * var -> (1 - momentum) * nd.sqrt(var)"),
    last("moving variance takes the mean", "the moving variance follows the mean. Average",
        "(1 - momentum) * var -> (1 - momentum) * mean"),
    last("moving variance grows from the moving mean", "the moving variance takes its old value from",
        "momentum * moving_var -> momentum * moving_mean"),
    last("moving variance not updated", "the moving variance came back as it was.",
        f"{UPDATE_VAR} -> pass"),
    last("is_training without parentheses", "you normalize with the mean and the variance",
        "autograd.is_training() -> autograd.is_training"),
    last("is_recording decides", "you ask autograd.is_recording(), which tells",
        "autograd.is_training() -> autograd.is_recording()"),
    last("modes exchanged", "you normalize with the moving averages in",
        "if autograd.is_training() -> if not autograd.is_training()"),
    last("normalizes with the moving averages while training", "you normalize with the new moving averages in",
        "Y = gamma -> mean, var = moving_mean, moving_var\n    Y = gamma"),
    last("returns the batch's statistics", "you return the mean of the batch. Return the",
        "return Y, moving_mean, moving_var -> return Y, mean, var"),
    last("averages returned in the other order", "the moving mean and the moving variance are",
        "return Y, moving_mean -> return Y, moving_var",
         "moving_var, moving_var -> moving_var, moving_mean"),
    last("returns the output alone", "not all results are returned. End with",
        "return Y, moving_mean, moving_var -> return Y"),
    last("nothing returned", "the return statement is missing. End with",
        "return Y, moving_mean, moving_var -> Y, moving_mean, moving_var"),
    last("gamma also multiplies beta", "beta is scaled too: you return gamma * (X_hat",
        "gamma * (X - mean) / nd.sqrt(var + eps) + beta -> gamma * ((X - mean) / nd.sqrt(var + eps) + beta)"),
    last("the mean isn't subtracted: precedence", "gamma * X - mean is another thing than gamma * (X - mean): put",
        "gamma * (X - mean) -> gamma * X - mean"),
    last("mean of the squares in place of the variance", "your variance is the mean of X ** 2. Subtract",
        f"{VAR} -> (X ** 2).mean(axis=axes)"),
    last("deviations from the moving mean", "your variance is taken around the moving",
        "((X - mean) ** 2) -> ((X - moving_mean) ** 2)"),
    last("absolute deviations", "your variance is the mean of |X - mean|.",
        "((X - mean) ** 2) -> nd.abs(X - mean)"),
    last("sums in place of means", "your numbers are those of n = X.shape[0]",
        f"{MEAN} -> X.sum(axis=axes) / len(X)", f"{VAR} -> ((X - mean) ** 2).sum(axis=axes) / len(X)"),
    last("a name that isn't defined", "a name is misspelled, or the cell that",
        "var + eps -> var + epsilon"),
    # any axis
    axis("negative axes aren't turned", "with axis 3 your function is right, with axis",
        "axis = axis % len(X.shape) -> pass"),
    axis("negative axes are turned wrongly", "with axis 3 your function is right, with axis",
        "axis % len(X.shape) -> abs(axis)"),
    axis("averages over the channels' axis", "where X has shape (3, 2, 2), an array has shape (2, 2)",
        "if other != axis -> if other == axis",
         "mean.reshape(shape) -> X.mean(axis=axes, keepdims=True)"),
    axis("gamma and beta line up with the last axis", "gamma and beta are lined up with the last",
        "mean, var, gamma, beta = (value -> mean, var = (value",
         "in (mean, var, gamma, beta)) -> in (mean, var))"),
    axis("shape fixed for axis 1 of images", "two arrays of different shapes meet. MXNet",
        "tuple(length if place == axis else 1 for place, length in enumerate(X.shape)) -> (1, -1, 1, 1)"),
    axis("shape fixed for the last axis", "gamma, beta, the mean and the variance are",
        "tuple(length if place == axis else 1 for place, length in enumerate(X.shape)) -> (1,) * (len(X.shape) - 1) + (-1,)"),
    axis("ones and lengths exchanged", "an array gets a shape for another number of",
        "length if place == axis else 1 -> 1 if place == axis else length"),
    axis("averages returned in the shape that spreads", "it has more axes than the average that came",
        f"{MEAN} -> X.mean(axis=axes, keepdims=True)",
         "((X - mean.reshape(shape)) ** 2).mean(axis=axes) -> ((X - mean) ** 2).mean(axis=axes, keepdims=True)",
         "if autograd -> moving_mean, moving_var = moving_mean.reshape(shape), moving_var.reshape(shape)\n    if autograd"),
    axis("mean of squares minus square of mean", "the variance is taken as E[x^2] - E[x]^2, or as what is the same on paper: the difference of",
        "((X - mean.reshape(shape)) ** 2).mean(axis=axes) -> (X ** 2).mean(axis=axes) - mean ** 2"),
    axis("mean and variance detached", "the mean and the variance are cut from the",
        "(value.reshape(shape) for value in (mean, var, gamma, beta)) -> (value.reshape(shape) for value in (mean.detach(), var.detach(), gamma, beta))"),
    axis("variance detached", "the variance is cut from the graph. Leave",
        "in (mean, var, gamma, beta)) -> in (mean, var.detach(), gamma, beta))"),
    axis("mean detached", "the mean is cut from the graph. Leave",
        "in (mean, var, gamma, beta)) -> in (mean.detach(), var, gamma, beta))"),
    axis("mean and variance through NumPy", "the mean and the variance are cut from the",
        f"mean = {MEAN} -> mean = nd.array(X.asnumpy().mean(axes))",
         "var = ((X - mean.reshape(shape)) ** 2).mean(axis=axes) -> var = nd.array(X.asnumpy().var(axes))"),
    axis("statistics under pause", "the mean is cut from the graph. Leave",
        f"mean = {MEAN} -> with autograd.pause(train_mode=True):\n            mean = {MEAN}"),
    axis("output rebuilt from NumPy", "the output does not depend on X by operations",
        "return Y, -> return nd.array(Y.asnumpy()),"),
    axis("averages overwritten in place", "[:] = and += write into the caller's array.",
        "moving_mean = momentum -> moving_mean[:] = momentum",
         "moving_var = momentum -> moving_var[:] = momentum"),
    axis("X overwritten in place", "+=, -=, *=, /= and [:] = write into the",
        "Y = gamma * (X - mean) -> X[:] = X - mean\n    Y = gamma * X"),
    axis("axes exchanged and not back", "the axes of Y are in another order than those of X. Bring them back:",
        "axes = -> X = X.swapaxes(axis, 1)\n    axis = 1\n    axes ="),
    axis("reshaped to columns without moving the axis", "X.reshape((-1, channels)) mixes the channels",
        "axes = -> given, C = X.shape, X.shape[axis]\n    X, axis = X.reshape((-1, C)), 1\n    axes =", "return Y -> return Y.reshape(given)"),
    axis("divided by the examples alone", "your numbers are those of n = X.shape[0]",
        f"{MEAN} -> X.sum(axis=axes) / X.shape[0]",
         "((X - mean.reshape(shape)) ** 2).mean(axis=axes) -> ((X - mean.reshape(shape)) ** 2).sum(axis=axes) / X.shape[0]"),
    axis("moving averages not reshaped when predicting", "the mean and the variance are lined up with",
        "mean, var, gamma, beta = ( -> if autograd.is_training():\n        mean, var = mean.reshape(shape), var.reshape(shape)\n    gamma, beta = (",
         "in (mean, var, gamma, beta)) -> in (gamma, beta))"),
    axis("len(X) in place of the rank", "you average over axes (0, 2, 3), as if axis 1",
        "axis % len(X.shape) -> axis % len(X)"),
    # masked
    mask("counts the padding", "the sums are divided by the number of all",
        "mask.sum() -> mask.size"),
    mask("means over everything", "padded places count in the mean and in the",
        "(mask * X).sum(axis=(0, 1)) / count -> X.mean(axis=(0, 1))",
         "(mask * (X - mean) ** 2).sum(axis=(0, 1)) / count -> ((X - mean) ** 2).mean(axis=(0, 1))"),
    mask("variance over everything", "padded places count in the variance: multiply",
        "(mask * (X - mean) ** 2).sum(axis=(0, 1)) / count -> ((X - mean) ** 2).mean(axis=(0, 1))"),
    mask("padding set to 0 and then counted in the variance", "padded places count in the variance: X * mask",
        "(mask * (X - mean) ** 2) -> ((mask * X - mean) ** 2)"),
    mask("output not masked", "the output is not 0 where the mask is.",
        "Y = mask * (gamma -> Y = (gamma"),
    mask("output masked before beta is added", "the output is beta where the mask is 0.",
        "mask * (gamma * (X - mean) / nd.sqrt(var + eps) + beta) -> mask * gamma * (X - mean) / nd.sqrt(var + eps) + beta"),
    mask("output masked in training only", "the output is not 0 where the mask is.",
        "Y = mask * (gamma -> Y = (mask if autograd.is_training() else 1) * (gamma"),
    mask("mean of the sentences' means", "your mean is the mean of the sentences'",
        "(mask * X).sum(axis=(0, 1)) / count -> ((mask * X).sum(axis=1) / mask.sum(axis=1)).mean(axis=0)"),
    mask("each place by itself", "your numbers are those of n = mask.sum(axis=0)",
        "mask.sum() -> mask.sum(axis=0)"),
    mask("counts channels, too", "your numbers are those of n = sum(mask) * channels",
        "mask.sum() -> (mask * nd.ones(X.shape)).sum()"),
    mask("no expand_dims", "the mask, (batch, length), is spread over the",
        "mask = mask.expand_dims(axis=2) -> pass"),
    mask("expand_dims in the wrong place", "the mask, (batch, length), is spread over the",
        "expand_dims(axis=2) -> expand_dims(axis=1)"),
    mask("mask exchanged: 1 means padding", "the mask is taken the other way round. It is",
        "mask.expand_dims(axis=2) -> 1 - mask.expand_dims(axis=2)"),
    mask("counts less one", "your numbers are those of n = sum(mask) - 1",
        "mask.sum() -> mask.sum() - 1"),
    mask("variance detached", "the variance is cut from the graph. Leave",
        "nd.sqrt(var + eps) -> nd.sqrt(var.detach() + eps)"),
    mask("mean of squares minus square of mean", "the variance is taken as E[x^2] - E[x]^2, or as",
        "(mask * (X - mean) ** 2).sum(axis=(0, 1)) / count -> (mask * X ** 2).sum(axis=(0, 1)) / count - mean ** 2"),
    mask("padding keeps its input", "the padding keeps its input. The output is 0",
        "Y = mask * ( -> Y = (1 - mask) * X + mask * ("),
    mask("moving averages of everything", "padded places count in it. Take it over the",
        "(1 - momentum) * mean -> (1 - momentum) * X.mean(axis=(0, 1))"),
    mask("counts the sentences", "your numbers are those of n = X.shape[0]",
        "mask.sum() -> len(X)"),
    # the layer
    layer("no super().__init__()", "a Block has to be set up before its",
        "super().__init__() -> pass"),
    layer("shape (features,)", "the shape is (1, num_features) for num_dims 2",
        "(1, num_features) if num_dims == 2 else (1, num_features, 1, 1) -> (num_features,)"),
    layer("the two shapes exchanged", "the shape is (1, num_features) for num_dims 2",
        "num_dims == 2 -> num_dims == 4"),
    layer("gamma starts at 0", "gamma starts at 1: gamma at ones",
        'init="ones" -> init="zeros"'),
    layer("moving variance starts at 1", "moving_var starts at 0: gamma at ones",
        '"moving_var", init="zeros" -> "moving_var", init="ones"'),
    layer("gamma and beta plain arrays", "a trainer sees registered parameters only.",
        'self.params.get("gamma", shape=shape, init="ones") -> nd.ones(shape)', 'self.params.get("beta", shape=shape, init="zeros") -> nd.zeros(shape)',
          "self.gamma.data(here), self.beta.data(here) -> self.gamma.as_in_context(here), self.beta.as_in_context(here)"),
    layer("averages are trained", "a trainer would change the moving averages.",
        ', "grad_req": "null" -> '),
    layer("gamma isn't trained", "gamma was made with grad_req=\"null\" or",
        'shape=shape, init="ones" -> init="ones", **kept'),
    layer("both averages in one parameter", "both are one parameter, or one array",
        '"moving_var", init -> "moving_mean", init'),
    layer("averages never stored", "the new averages are not kept after training",
        f"{STORE} -> pass"),
    layer("stored crosswise", "the mean and the variance are stored in each",
        "set_data(new_mean) -> set_data(new_var)", "moving_var.set_data(new_var) -> moving_var.set_data(new_mean)"),
    layer("averaged twice", "your layer uses momentum = 0.99, or it",
        "set_data(new_mean) -> set_data(0.9 * mean + 0.1 * new_mean)", "set_data(new_var) -> set_data(0.9 * var + 0.1 * new_var)"),
    layer("averages handed over crosswise", "moving_mean and moving_var are in each",
        "mean, var, self.eps -> var, mean, self.eps"),
    layer("eps and momentum handed over crosswise", "eps and momentum are handed over in each",
        "self.eps, self.momentum\n -> self.momentum, self.eps\n"),
    layer("gamma and beta handed over crosswise", "gamma and beta are swapped. gamma multiplies",
        "self.gamma.data(here), self.beta.data(here) -> self.beta.data(here), self.gamma.data(here)"),
    layer("momentum of PyTorch", "momentum is reversed. It weighs the old",
        "momentum=0.9 -> momentum=0.1"),
    layer("context left out", "an array is taken from another context than",
        "self.moving_mean.data(here), self.moving_var.data(here) -> self.moving_mean.data(), self.moving_var.data()"),
    layer("mode read inside of pause", "the new averages are not kept after training",
        f"if autograd.is_training():\n            {STORE} -> with autograd.pause():\n          if autograd.is_training():\n            {STORE}"),
    layer("the pair is returned", "all three values are returned. Keep the",
        "return Y -> return Y, new_mean, new_var"),
    layer("the Parameter is replaced by an array", "an array is assigned over a Parameter. Write",
        f"{STORE} -> self.moving_mean, self.moving_var = new_mean, new_var"),
    layer("a mutable default keeps the averages", "the averages of a new layer aren't 0. They",
        "momentum=0.9): -> momentum=0.9, kept_by={}):",
          'self.moving_mean = self -> self.moving_mean = kept_by[shape] = kept_by.get(shape) or self'),
    layer("init left out", "gamma starts at 1: gamma at ones",
        'shape=shape, init="ones" -> shape=shape'),
    layer("is_recording guards the update", "in training mode the averages are updated",
        "autograd.is_training() -> autograd.is_recording()"),
    layer("X copied to the first context", "an array is taken from another context than",
        "here = X.context -> X = X.copyto(mx.cpu(0))\n        here = X.context"),
    layer("Parameters handed over", "a Parameter is used as an array. Take its",
        "self.gamma.data(here), self.beta.data(here) -> self.gamma, self.beta"),
    layer("averages plain arrays", "save_parameters writes parameters only. Make",
        'self.params.get("moving_mean", init="zeros", **kept) -> nd.zeros(shape)',
          'self.params.get("moving_var", init="zeros", **kept) -> nd.zeros(shape)',
          "self.moving_mean.data(here), self.moving_var.data(here) -> self.moving_mean.copyto(here), self.moving_var.copyto(here)",
          f"{STORE} -> self.moving_mean, self.moving_var = new_mean, new_var"),
    layer("epsilon of Keras", "your layer uses eps = 0.001. Here it is 1e-05.",
        "eps=1e-5 -> eps=1e-3"),
    layer("always in training mode", "you normalize with the mean and the variance",
        "Y, new_mean, new_var = -> with autograd.train_mode():\n            Y, new_mean, new_var ="),
    layer("hybrid_forward in a Block", "a Block computes in forward(self, X).",
        "def forward(self, X) -> def hybrid_forward(self, F, X)"),
    layer("Parameters made by hand, not registered", "a parameter is used that initialize() did not",
        'self.params.get("gamma" -> gluon.Parameter("gamma"'),
    # the gradient by hand
    gradient("beta: mean in place of sum", "dbeta is a mean over the batch. It is a sum",
        "dbeta, dgamma = dY.sum(axis=0) -> dbeta, dgamma = dY.mean(axis=0)"),
    gradient("beta: not summed", "dbeta has one value for each feature, as beta",
        "dbeta, dgamma = dY.sum(axis=0) -> dbeta, dgamma = dY"),
    gradient("gamma: X in place of X_hat", "dgamma uses X. gamma multiplies the",
        "(dY * X_hat).sum(axis=0) -> (dY * X).sum(axis=0)"),
    gradient("gamma: centred but not scaled", "dgamma uses X - mean, which is not divided by",
        "(dY * X_hat).sum(axis=0) -> (dY * (X - X.mean(axis=0))).sum(axis=0)"),
    gradient("gamma: multiplied by gamma", "dgamma has gamma in it. The derivative of",
        "(dY * X_hat).sum(axis=0) -> (gamma * dY * X_hat).sum(axis=0)"),
    gradient("only the direct way", "the mean and the variance count as constants.",
        f"{DX} -> G / std"),
    gradient("the way through the variance left out", "the path through the variance is forgotten.",
        " - X_hat * (G * X_hat).mean(axis=0) -> "),
    gradient("the way through the mean left out", "the path through the mean is forgotten. Each",
        "G - G.mean(axis=0) - -> G -"),
    gradient("gamma left out", "gamma is missing in dX. The output is gamma *",
        "G = gamma * dY -> G = dY"),
    gradient("plus in place of minus", "the path through the variance has the wrong",
        "- X_hat * (G -> + X_hat * (G"),
    gradient("sums in place of means", "/ m is missing in both paths, through the",
        "G.mean(axis=0) -> G.sum(axis=0)", "(G * X_hat).mean(axis=0) -> (G * X_hat).sum(axis=0)"),
    gradient("2 of the square not cancelled", "the path through the variance counts 2 times.",
        "- X_hat * (G -> - 2 * X_hat * (G"),
    gradient("variance with n - 1", "the variance divides by m - 1. It divides by",
        "X.var(axis=0) -> X.var(axis=0, ddof=1)"),
    gradient("divided by the variance", "dX is divided by the variance. Divide by the",
        ") / std\n    return -> ) / std ** 2\n    return"),
    gradient("epsilon outside of the root", "eps stands outside the root. The standard",
        "np.sqrt(X.var(axis=0) + eps) -> np.sqrt(X.var(axis=0)) + eps"),
    gradient("order of the gradients", "dgamma and dbeta are swapped: return dX",
        "return dX, dgamma, dbeta -> return dX, dbeta, dgamma"),
    gradient("axis 1", "dbeta has one value for each feature, as beta",
        "dbeta, dgamma = dY.sum(axis=0) -> dbeta, dgamma = dY.sum(axis=1)"),
    # a second list, written when the checks had been mended after the first
    last("mean and variance exchanged", "the mean and the variance are in each other's",
        "X - mean) / nd.sqrt(var + eps) -> X - var) / nd.sqrt(mean + eps)"),
    last("momentum reversed for the variance", "momentum is reversed. It weighs the old",
        f"{UPDATE_VAR} -> moving_var = (1 - momentum) * moving_var + momentum * var"),
    last("beta added before the division", "beta is divided by the standard deviation",
        "(X - mean) / nd.sqrt(var + eps) + beta -> (X - mean + beta) / nd.sqrt(var + eps)"),
    last("gamma squared", "gamma multiplies twice. Y = gamma * X_hat +",
        "gamma * (X -> gamma * gamma * (X"),
    last("the batch's mean when predicting", "you use moving_var, but the mean of the",
        "mean, var = moving_mean, moving_var -> mean, var = X.mean(axis=axes), moving_var"),
    last("epsilon in the moving variance", "the moving variance has eps in it. Add eps",
        "(1 - momentum) * var -> (1 - momentum) * (var + eps)"),
    last("variance over the examples", "for the variance, you average over axis 0.",
        f"{VAR} -> ((X - mean) ** 2).mean(axis=0)"),
    last("the size of the batch tells the mode", "a batch of one image is taken for prediction.",
        "autograd.is_training() -> len(X) > 1"),
    last("averages taken in half precision", "the first digits are right, the others are not. Compute in the type",
        "X.mean(axis=axes) -> X.astype('float16').mean(axis=axes).astype('float32')"),
    axis("examples never averaged", "where X has shape (5, 2, 7, 3), an array has shape (5, 3)",
        "if other != axis) -> if other not in (0, axis))"),
    axis("the rank is added to every axis", "with axis -3 your function is right, with",
        "axis % len(X.shape) -> axis + len(X.shape)"),
    axis("beta isn't reshaped", "two arrays of different shapes meet. MXNet",
        "mean, var, gamma, beta = (value -> mean, var, gamma = (value", "(mean, var, gamma, beta)) -> (mean, var, gamma))"),
    axis("output turned", "the axes of Y are in another order than those of X. Bring them back:",
        "return Y -> return Y.T"),
    axis("averages returned with lengths of 1", "it has more axes than the average that came",
        "return Y, moving_mean, moving_var -> return Y, moving_mean.reshape(shape), moving_var.reshape(shape)"),
    mask("mean of everything by the count", "padded places count in the mean. Divide the",
        "(mask * X).sum(axis=(0, 1)) -> X.sum(axis=(0, 1))"),
    mask("counts one sentence", "your numbers are those of n = X.shape[1]",
        "mask.sum() -> mask[0].sum()"),
    mask("epsilon added to the count", "your numbers are those of n = sum(mask) + eps",
        "mask.sum() -> mask.sum() + eps"),
    mask("divided by the mask", "it is so where the mask is 0. Multiply by the",
        "Y = mask * ( -> Y = 1 / mask * ("),
    mask("moving averages weighed by the share", "padded places count in it. Take it over the",
        "(1 - momentum) * mean -> (1 - momentum) * mean * count / mask.size"),
    mask("the longest sentence counts for all", "the sums are divided by the number of all",
        "mask.sum() -> mask.sum(axis=1).max() * len(X)"),
    layer("num_dims in place of num_features", "there is one value for each feature. Use the",
        "(1, num_features) if -> (1, num_dims) if"),
    layer("beta isn't trained", "beta was made with grad_req=\"null\" or",
        'shape=shape, init="zeros") -> shape=shape, init="zeros", grad_req="null")'),
    layer("the output is detached", "the output does not depend on X by operations",
        "return Y -> return Y.detach()"),
    layer("only the mean is stored", "the new averages are not kept after training",
        f"{STORE} -> self.moving_mean.set_data(new_mean)"),
    layer("averages begin anew at each call", "forward hands zeros to batch_norm in place of",
        "mean, var = self.moving_mean.data(here), self.moving_var.data(here) -> mean, var = nd.zeros(self.gamma.shape, here), nd.zeros(self.gamma.shape, here)"),
    layer("another name for the average", "__init__ does not set self.moving_var, or",
        "self.moving_var -> self.moving_variance", "self.moving_var.data -> self.moving_variance.data"),
    layer("beta starts at 1", "beta starts at 0: gamma at ones (init.One())",
        'init="zeros") -> init="ones")'),
    layer("gamma taken from the class of parameters by copy", "forward does not use self.gamma.data(), or",
        "self.gamma.data(here) -> self.gamma.data(here).copy().detach()"),
    gradient("the root forgotten", "the square root is missing. The standard",
        "np.sqrt(X.var(axis=0) + eps) -> X.var(axis=0) + eps"),
    gradient("gamma summed over everything", "dgamma has one value for each feature, as",
        "(dY * X_hat).sum(axis=0) -> (dY * X_hat).sum()"),
    gradient("mean over the features", "the mean of dY goes over the features. Take",
        "G.mean(axis=0) -> G.mean(axis=1, keepdims=True)"),
    gradient("no axis in the second mean", "the mean of dY * X_hat goes over everything.",
        "(G * X_hat).mean(axis=0) -> (G * X_hat).mean()"),
    gradient("not divided by m", "dX is m times too large. Where does m stand, and where gamma?",
        f"{DX} -> (len(X) * G - G.sum(axis=0) - X_hat * (G * X_hat).sum(axis=0)) / std"),
    gradient("gamma left out of the mean", "gamma is missing in the path through the",
        "G.mean(axis=0) -> dY.mean(axis=0)"),
    gradient("dX turned", "dX is turned. It has the shape of X.",
        "return dX, -> return dX.T,"),
    gradient("dY changed in place", "+=, -=, *=, /= and [:] = write into the",
        "G = gamma * dY -> dY *= gamma\n    G = dY"),
    # 61 more, written before looking.
    last("root taken of the mean square around the moving mean", "your variance is taken around the moving mean",
        "((X - mean) ** 2).mean(axis=axes) -> ((X - moving_mean) ** 2).mean(axis=axes)"),
    last("mean of absolute deviations, squared", "your numbers are those of Y = gamma * (X - mean) / sqrt(v + eps) + beta, where v is",
        "((X - mean) ** 2).mean(axis=axes) -> (nd.abs(X - mean)).mean(axis=axes) ** 2"),
    last("eps squared under the root", "your numbers are those of Y = gamma * (X - mean) / sqrt(var + eps ** 2) + beta",
        "var + eps) -> var + eps ** 2)"),
    last("eps as a floor instead of a summand", "your numbers are those of Y = gamma * (X - mean) / sqrt(maximum(var, eps)) + beta",
        "nd.sqrt(var + eps) -> nd.sqrt(nd.maximum(var, eps))"),
    last("beta scaled by gamma", "beta is scaled too: you return gamma * (X_hat + beta)",
        "Y = gamma * (X - mean) / nd.sqrt(var + eps) + beta -> Y = gamma * ((X - mean) / nd.sqrt(var + eps) + beta)"),
    last("gamma squared", "gamma multiplies twice",
        "Y = gamma * (X - mean) / nd.sqrt(var + eps) + beta -> Y = gamma * gamma * (X - mean) / nd.sqrt(var + eps) + beta"),
    last("the moving variance follows the standard deviation", "the moving variance follows the standard deviation",
        "moving_var = momentum * moving_var + (1 - momentum) * var -> moving_var = momentum * moving_var + (1 - momentum) * nd.sqrt(var)"),
    last("the moving variance follows var + eps", "the moving variance has eps in it",
        "moving_var = momentum * moving_var + (1 - momentum) * var -> var = var + eps\n        moving_var = momentum * moving_var + (1 - momentum) * var",
        "nd.sqrt(var + eps) -> nd.sqrt(var)"),
    last("old share forgotten: moving + 0.1 batch", "momentum is missing before the old mean: momentum * old + (1 - momentum) * batch.",
        "moving_mean = momentum * moving_mean + (1 - momentum) * mean -> moving_mean = moving_mean + (1 - momentum) * mean",
        "moving_var = momentum * moving_var + (1 - momentum) * var -> moving_var = moving_var + (1 - momentum) * var"),
    last("momentum multiplies the whole", "your numbers are those of moving_mean = momentum * (moving_mean + (1 - momentum) * mean)",
        "moving_mean = momentum * moving_mean + (1 - momentum) * mean -> moving_mean = momentum * (moving_mean + (1 - momentum) * mean)",
        "moving_var = momentum * moving_var + (1 - momentum) * var -> moving_var = momentum * (moving_var + (1 - momentum) * var)"),
    last("moving mean returned twice", "the moving mean comes in the place of the moving variance: return Y, moving_mean, moving_var.",
        "return Y, moving_mean, moving_var -> return Y, moving_mean, moving_mean"),
    last("root forgotten in prediction only", "you divide by moving_var",
        "Y = gamma * (X - mean) / nd.sqrt(var + eps) + beta -> Y = gamma * (X - mean) / (nd.sqrt(var + eps) if autograd.is_training() else var + eps) + beta"),
    last("axes of an image hard-coded for every input of more than two", "you average over axes (0, 1)",
        "axes = tuple(range(len(X.shape) - 1)) -> axes = 0 if len(X.shape) == 2 else (0, 1)"),
    last("beta and gamma exchanged", "gamma and beta are swapped",
        "Y = gamma * (X - mean) / nd.sqrt(var + eps) + beta -> Y = beta * (X - mean) / nd.sqrt(var + eps) + gamma"),
    last("n - 1 in the denominator by Bessel, with n the batch's size", "your numbers are those of var = sum((X - mean) ** 2) / (X.shape[0] - 1)",
        "((X - mean) ** 2).mean(axis=axes) -> ((X - mean) ** 2).sum(axis=axes) / (X.shape[0] - 1)"),
    last("the mean is divided by the number of examples, not of values", "your numbers are those of mean = sum(X) / X.shape[0]",
        "X.mean(axis=axes) -> X.sum(axis=axes) / X.shape[0]"),
    axis("gamma's shape taken from axis 1 always", "gamma, beta, the mean and the variance are lined up with axis 1",
        "shape = tuple(length if place == axis else 1 -> shape = tuple(length if place == 1 else 1"),
    axis("negative axis clipped to 0", "with axis 3 your function is right, with axis -1, which is the same, it isn't",
        "axis = axis % len(X.shape) -> axis = max(axis, 0)"),
    axis("negative axis by abs", "with axis 3 your function is right, with axis -1, which is the same, it isn't",
        "axis = axis % len(X.shape) -> axis = abs(axis)"),
    axis("negative axis off by one", "with axis 3 your function is right, with axis -1, which is the same, it isn't",
        "axis = axis % len(X.shape) -> axis = axis if axis >= 0 else len(X.shape) + axis - 1"),
    axis("the batch axis is never averaged", "where X has shape (5, 2, 7, 3), an array has shape (5, 3), as if axes (1, 2) were averaged",
        "if other != axis) -> if other != axis and other != 0)"),
    axis("columns by reshape without transposing", "X.reshape((-1, channels)) mixes the channels unless their axis is the last",
        """def any_axis(X, gamma, beta, moving_mean, moving_var, eps, momentum, axis):

    C = X.shape[axis]
    Z = X.reshape((-1, C))
    if autograd.is_training():
        mean = Z.mean(axis=0)
        var = ((Z - mean) ** 2).mean(axis=0)
        moving_mean = momentum * moving_mean + (1 - momentum) * mean
        moving_var = momentum * moving_var + (1 - momentum) * var
    else:
        mean, var = moving_mean, moving_var
    Y = gamma * (Z - mean) / nd.sqrt(var + eps) + beta
    return Y.reshape(X.shape), moving_mean, moving_var
"""),
    axis("swapped to the end and left there", "the axes of Y are in another order than those of X",
        """def any_axis(X, gamma, beta, moving_mean, moving_var, eps, momentum, axis):

    X = X.swapaxes(axis, -1)
""" + ON_LAST_AXIS + """\
    return Y, moving_mean, moving_var
"""),
    axis("moved to the end, brought back by the same permutation", "the axes of Y are in another order than those of X",
        """def any_axis(X, gamma, beta, moving_mean, moving_var, eps, momentum, axis):

    axis = axis % len(X.shape)
    order = tuple(i for i in range(len(X.shape)) if i != axis) + (axis,)
    X = X.transpose(order)
""" + ON_LAST_AXIS + """\
    return Y.transpose(order), moving_mean, moving_var
"""),
    axis("only the variance detached", "the variance is cut from the graph",
        "var = ((X - mean.reshape(shape)) ** 2).mean(axis=axes) -> var = nd.array(((X - mean.reshape(shape)) ** 2).mean(axis=axes).asnumpy())"),
    axis("half precision in between", "the first digits are right, the others are not. Compute",
        "axis = axis % len(X.shape) -> axis = axis % len(X.shape)\n    X = X.astype('float16').astype('float32')"),
    axis("variance from raw moments", "the variance is taken as E[x^2] - E[x]^2, or as what is the same on paper: the difference of",
        "var = ((X - mean.reshape(shape)) ** 2).mean(axis=axes) -> var = nd.square(X).mean(axis=axes) - nd.square(mean)"),
    axis("averages changed in place", "[:] = and += write into the caller's array",
        "moving_mean = momentum * moving_mean + (1 - momentum) * mean -> moving_mean *= momentum\n        moving_mean += (1 - momentum) * mean",
        "moving_var = momentum * moving_var + (1 - momentum) * var -> moving_var *= momentum\n        moving_var += (1 - momentum) * var"),
    mask("counts every channel: mean over mask * X", "padded places count in the mean",
        "mean = (mask * X).sum(axis=(0, 1)) / count -> mean = (mask * X).mean(axis=(0, 1))"),
    mask("count times channels", "your numbers are those of n = sum(mask) * channels",
        "count = mask.sum() -> count = mask.sum() * X.shape[2]"),
    mask("mean of the means of the sequences", "your mean is the mean of the sentences' means, in which a short sentence weighs as much as a long one",
        "mean = (mask * X).sum(axis=(0, 1)) / count -> mean = ((mask * X).sum(axis=1) / mask.sum(axis=1)).mean(axis=0)"),
    mask("beta stays in the padding", "the output is beta where the mask is 0",
        "Y = mask * (gamma * (X - mean) / nd.sqrt(var + eps) + beta) -> Y = gamma * mask * (X - mean) / nd.sqrt(var + eps) + beta"),
    mask("padding passes X through", "the padding keeps its input",
        "Y = mask * (gamma * (X - mean) / nd.sqrt(var + eps) + beta) -> Y = mask * (gamma * (X - mean) / nd.sqrt(var + eps) + beta) + (1 - mask) * X"),
    mask("the padding enters the variance as zeros", "padded places count in the variance: X * mask - mean is not 0 there",
        "var = (mask * (X - mean) ** 2).sum(axis=(0, 1)) / count -> var = ((mask * X - mean) ** 2).sum(axis=(0, 1)) / count"),
    mask("count from the non-zero values of X", "your numbers are those of n = sum(X != 0)",
        "count = mask.sum() -> count = (X != 0).sum(axis=(0, 1))"),
    mask("count is the number of sequences", "your numbers are those of n = X.shape[0]",
        "count = mask.sum() -> count = mask.shape[0]"),
    mask("the mask inverted", "the mask is taken the other way round",
        "mask = mask.expand_dims(axis=2) -> mask = 1 - mask.expand_dims(axis=2)"),
    mask("eps in the count", "your numbers are those of n = sum(mask) + 1",
        "count = mask.sum() -> count = mask.sum() + 1"),
    mask("masked in training only", "the output is not 0 where the mask is",
        """Y = mask * (gamma * (X - mean) / nd.sqrt(var + eps) + beta) -> Y = gamma * (X - mean) / nd.sqrt(var + eps) + beta
    if autograd.is_training():
        Y = Y * mask"""),
    mask("mask missing from the mean only", "padded places count in the mean",
        "mean = (mask * X).sum(axis=(0, 1)) / count -> mean = X.sum(axis=(0, 1)) / count"),
    layer("eps and momentum handed over in the wrong order", "eps and momentum are handed over in each other's place",
        "mean, var, self.eps, self.momentum -> mean, var, self.momentum, self.eps"),
    layer("gamma starts at 0 and beta at 1", "gamma starts at 1: gamma at ones (init.One()), beta at zeros (init.Zero()), both moving averages at zeros.",
        'shape=shape, init="ones" -> shape=shape, init="zeros"',
        'self.params.get("beta", shape=shape, init="zeros") -> self.params.get("beta", shape=shape, init="ones")'),
    layer("both averages get one name", "both are one parameter, or one array: parameters of one name are made once",
        '"moving_var", init -> "moving_mean", init'),
    layer("plain Parameters that no ParameterDict knows", "a parameter is used that initialize() did not reach",
        'self.params.get("gamma", shape=shape, init="ones") -> gluon.Parameter("gamma", shape=shape, init="ones")',
        'self.params.get("beta", shape=shape, init="zeros") -> gluon.Parameter("beta", shape=shape, init="zeros")'),
    layer("the averages have a gradient", "a trainer would change the moving averages",
        '"grad_req": "null" -> "grad_req": "write"'),
    layer("the first batch replaces the averages", "the first batch sets the averages to its own mean and variance. They start at 0, and the first",
        """mean, var = self.moving_mean.data(here), self.moving_var.data(here) -> mean, var = self.moving_mean.data(here), self.moving_var.data(here)
        if autograd.is_training() and float(nd.abs(mean).sum().asscalar()) == 0:
            self.momentum, old = 0.0, self.momentum""",
        "return Y -> self.momentum = 0.9\n        return Y"),
    layer("averages stored only when recording", "in training mode the averages are updated only while autograd records",
        "if autograd.is_training(): -> if autograd.is_recording():"),
    layer("forgets to return Y", "the return statement is missing.",
        "        return Y -> "),
    layer("1 and 0 as scalars per layer", "there is one value for each feature",
        "shape = (1, num_features) if num_dims == 2 else (1, num_features, 1, 1) -> shape = (1,) * num_dims"),
    corrected("exponent t + 1", "your t is 2 after 1 batch",
        "self.momentum**t -> self.momentum ** (t + 1)"),
    corrected("only the mean corrected", "moving_var is not divided by 1 - 0.9 ** t.",
        "self.moving_var.data(here) / share -> self.moving_var.data(here)"),
    corrected("momentum times t", "the averages are divided by 0 or by a negative number",
        "self.momentum**t -> self.momentum * t"),
    corrected("counts predictions, too", "your t is 3 after 1 batch",
        "if autograd.is_training():\n            self.num_batches.set_data(count + 1) -> self.num_batches.set_data(count + 1)\n        if autograd.is_training():"),
    gradient("dgamma after dY was scaled by gamma in place", "dbeta has gamma in it",
        """dbeta, dgamma = dY.sum(axis=0), (dY * X_hat).sum(axis=0)
    G = gamma * dY -> dY = gamma * dY
    dbeta, dgamma = dY.sum(axis=0), (dY * X_hat).sum(axis=0)
    G = dY"""),
    gradient("twice the variance's way", "the path through the variance counts 2 times",
        "X_hat * (G -> 2 * X_hat * (G"),
    gradient("X for X_hat in the last product", "your numbers are those of dX = (g - sum(g) / n - X_hat * sum(g * X) / n) / std",
        "X_hat * (G * X_hat).mean -> X_hat * (G * X).mean"),
    gradient("divided by the variance", "the square root is missing",
        ".mean(axis=0)) / std -> .mean(axis=0)) / std ** 2"),
    # 41 of rarer kinds, written after the formulas were there.
    last("the moving average first, then divided by its bias", "your numbers are those of moving_mean = 1 / (1 - momentum) * new_moving_mean. The formula is",
        "moving_mean = momentum * moving_mean + (1 - momentum) * mean -> moving_mean = (momentum * moving_mean + (1 - momentum) * mean) / (1 - momentum)"),
    last("median-like: middle of the range for the mean", "your numbers are those of Y = gamma * (X - (X.min(...) + X.max(...)) / 2) / sqrt(v + eps) +",
        "X.mean(axis=axes) -> (X.max(axis=axes) + X.min(axis=axes)) / 2"),
    last("the output is clipped to -1 .. 1", "your numbers are those of the right formula, but clip(..., -1, 1) is applied to X_hat.",
        "Y = gamma * (X - mean) / nd.sqrt(var + eps) + beta -> Y = gamma * nd.clip((X - mean) / nd.sqrt(var + eps), -1, 1) + beta"),
    last("normalized twice", "your numbers are those of the right formula, but X_hat is normalized once more.",
        """Y = gamma * (X - mean) / nd.sqrt(var + eps) + beta -> Y = (X - mean) / nd.sqrt(var + eps)
    Y = gamma * (Y - Y.mean(axis=axes)) / nd.sqrt(((Y - Y.mean(axis=axes)) ** 2).mean(axis=axes) + eps) + beta"""),
    last("eps added to the numerator as well", "your numbers are those of Y = gamma * (X + eps - mean) / sqrt(var + eps) + beta",
        "Y = gamma * (X - mean) / nd.sqrt(var + eps) + beta -> Y = gamma * (X - mean + eps) / nd.sqrt(var + eps) + beta"),
    last("momentum and its rest exchanged for the variance, mean right", "momentum is reversed",
        "moving_var = momentum * moving_var + (1 - momentum) * var -> moving_var = (1 - momentum) * moving_var + momentum * var"),
    last("moving variance of the square of momentum", "the moving variance is updated twice in one call.",
        "moving_var = momentum * moving_var + (1 - momentum) * var -> moving_var = momentum ** 2 * moving_var + (1 - momentum ** 2) * var"),
    last("mean over axis -1 kept, X of a dense input turned", "you average over axes (1, 2, 3)",
        "axes = tuple(range(len(X.shape) - 1)) -> axes = tuple(range(1, len(X.shape)))"),
    last("X cast to integers", "your numbers are those of the right formula, but trunc is applied to X first.",
        "axes = tuple(range(len(X.shape) - 1)) -> axes = tuple(range(len(X.shape) - 1))\n    X = X.astype('int32').astype('float32')"),
    last("prediction normalizes, but forgets gamma and beta", "gamma and beta are not used: Y = gamma * X_hat + beta.",
        "Y = gamma * (X - mean) / nd.sqrt(var + eps) + beta -> Y = (X - mean) / nd.sqrt(var + eps)\n    if autograd.is_training():\n        Y = gamma * Y + beta"),
    last("eps only in training", "eps is missing",
        "Y = gamma * (X - mean) / nd.sqrt(var + eps) + beta -> Y = gamma * (X - mean) / nd.sqrt(var + (eps if autograd.is_training() else 0)) + beta"),
    last("updates, but returns the old ones", "the moving mean came back as it was",
        "return Y, moving_mean, moving_var -> return Y, old_mean, old_var",
        "X.mean(axis=axes) -> X.mean(axis=axes)\n        old_mean, old_var = moving_mean, moving_var",
        "mean, var = moving_mean, moving_var -> mean, var = moving_mean, moving_var\n        old_mean, old_var = moving_mean, moving_var"),
    last("batch's statistics averaged with the moving ones for the output", "your numbers are those of Y = gamma * (X - (mean + new_moving_mean) / 2) / sqrt(",
        "Y = gamma * (X - mean) / nd.sqrt(var + eps) + beta -> Y = gamma * (X - (mean + moving_mean) / 2) / nd.sqrt((var + moving_var) / 2 + eps) + beta"),
    last("gamma's absolute value through sqrt(gamma ** 2)", "your numbers are those of Y = abs(gamma) * (X - mean) / sqrt(var + eps) + beta",
        "Y = gamma * (X - mean) / nd.sqrt(var + eps) + beta -> Y = nd.sqrt(gamma ** 2) * (X - mean) / nd.sqrt(var + eps) + beta"),
    axis("len(X.shape) - 1 for a negative axis always", "with axis 2 your function is right, with axis -2, which is the same, it isn't",
        "axis = axis % len(X.shape) -> axis = axis if axis >= 0 else len(X.shape) - 1"),
    axis("variance with the mean of everything", "your numbers are those of var = sum((X - mean_of_all(X)) ** 2) / n",
        "((X - mean.reshape(shape)) ** 2) -> ((X - X.mean()) ** 2)"),
    axis("gamma and beta reshaped, mean and variance not", "the mean and the variance are lined up with the last axis",
        "(value.reshape(shape) for value in (mean, var, gamma, beta)) -> (mean, var, gamma.reshape(shape), beta.reshape(shape))"),
    axis("moves the channels to axis 1 as in chapter 1 and not back", "the axes of Y are in another order than those of X",
        """def any_axis(X, gamma, beta, moving_mean, moving_var, eps, momentum, axis):

    X = X.swapaxes(1, axis)
    axes = tuple(i for i in range(X.ndim) if i != 1)
    shape = [1] * X.ndim
    shape[1] = -1
    if autograd.is_training():
        mean = X.mean(axis=axes)
        var = ((X - mean.reshape(shape)) ** 2).mean(axis=axes)
        moving_mean = momentum * moving_mean + (1 - momentum) * mean
        moving_var = momentum * moving_var + (1 - momentum) * var
    else:
        mean, var = moving_mean, moving_var
    Y = gamma.reshape(shape) * (X - mean.reshape(shape)) / nd.sqrt(var.reshape(shape) + eps) + beta.reshape(shape)
    return Y, moving_mean, moving_var
"""),
    axis("the gradient stopped at the output", "the output does not depend on X by operations that autograd records.",
        "return Y, moving_mean, moving_var -> return nd.BlockGrad(Y), moving_mean, moving_var"),
    axis("the denominator under pause", "the variance is cut from the graph",
        "Y = gamma * (X - mean) / nd.sqrt(var + eps) + beta -> with autograd.pause():\n        std = nd.sqrt(var + eps)\n    Y = gamma * (X - mean) / std + beta"),
    axis("momentum of the mean wrongly squared rest", "your numbers are those of moving_mean = momentum * moving_mean + (1 - momentum) ** 2 * mean",
        "moving_mean = momentum * moving_mean + (1 - momentum) * mean -> moving_mean = momentum * moving_mean + (1 - momentum) ** 2 * mean"),
    axis("float16 constant for eps", "eps is missing",
        "nd.sqrt(var + eps) -> nd.sqrt(var + round(eps, 1))"),
    mask("variance minus eps", "your numbers are those of Y = mask * (gamma * (X - mean) / sqrt(var - eps) + beta)",
        "nd.sqrt(var + eps) -> nd.sqrt(var - eps)"),
    mask("mask applied twice in the mean by its mean", "your numbers are those of Y = gamma * (X - m) / sqrt(v + eps) + beta, where m is the sum divided by (n / X.shape[1])",
        "count = mask.sum() -> count = mask.mean() * mask.shape[0]"),
    mask("padding is set to the mean instead of 0", "the output is beta where the mask is 0",
        "Y = mask * (gamma * (X - mean) / nd.sqrt(var + eps) + beta) -> Y = gamma * (mask * X + (1 - mask) * mean - mean) / nd.sqrt(var + eps) + beta"),
    mask("the last time step is always dropped", "the output is 0 at the places (sentence, word) [[0, 1], [2, 1]], where the mask is 1.",
        "mask = mask.expand_dims(axis=2) -> mask = mask.copy()\n    mask[:, -1] = 0\n    mask = mask.expand_dims(axis=2)"),
    mask("n - 1 for the moving variance", "your moving variance divides by n - 1, as some frameworks do",
        "moving_var = momentum * moving_var + (1 - momentum) * var -> moving_var = momentum * moving_var + (1 - momentum) * var * count / (count - 1)"),
    mask("moving mean from the first sentence", "your numbers are those of moving_mean = momentum * moving_mean + (1 - momentum) * v, where v is the mean of X[0].",
        "moving_mean = momentum * moving_mean + (1 - momentum) * mean -> moving_mean = momentum * moving_mean + (1 - momentum) * X[0].mean(axis=0)"),
    layer("new averages added to the old ones", "your numbers are those of moving_mean = (1 + momentum) * moving_mean + (1 - momentum) * mean.",
        "self.moving_mean.set_data(new_mean) -> self.moving_mean.set_data(mean + new_mean)"),
    layer("stores after division by 2 for two contexts", "your moving_var is 0.45 times its old value and 0.05 times the batch's",
        "self.moving_var.set_data(new_var) -> self.moving_var.set_data(new_var / 2)"),
    layer("gamma handed over squared by a habit of log scale", "your numbers are those of Y = exp(gamma) * (X - mean) / sqrt(var + eps) + beta",
        "X, self.gamma.data(here), self.beta.data(here) -> X, nd.exp(self.gamma.data(here)), self.beta.data(here)"),
    layer("parameters of the parent scope shared by name: params given", "a parameter of this name has been made before, in another shape: layers share",
        'super().__init__() -> super().__init__(prefix="bn_", params=getattr(type(self), "common", None))\n        type(self).common = self.params'),
    layer("updates in prediction mode only", "the new averages are not kept after training mode",
        "if autograd.is_training(): -> if not autograd.is_training():"),
    layer("shape (num_features,) everywhere", "the shape is (1, num_features) for num_dims 2 and (1, num_features, 1, 1) for",
        "shape = (1, num_features) if num_dims == 2 else (1, num_features, 1, 1) -> shape = (num_features,)"),
    corrected("share with momentum's rest: t * (1 - momentum)", "your numbers are those of Y = gamma * (X - moving_mean / (0.1 * t)) / sqrt(moving_var / (0.1",
        "1 - self.momentum**t -> t * (1 - self.momentum)"),
    corrected("square root of the share for the variance", "your numbers are those of var = moving_var / sqrt(share)",
        "self.moving_var.data(here) / share -> self.moving_var.data(here) / share ** 0.5"),
    corrected("counts examples, not batches", "your t is 5 after 1 batch",
        "count + 1 -> count + X.shape[0]"),
    gradient("gamma's mean in place of gamma", "your numbers are those of g = mean_of_all(gamma) * dY",
        "G = gamma * dY -> G = gamma.mean() * dY"),
    gradient("third term over m twice", "your numbers are those of dX = (g - sum(g) / n - X_hat * (sum(g * X_hat) / n) / n) / std",
        "X_hat * (G * X_hat).mean(axis=0) -> X_hat * (G * X_hat).mean(axis=0) / len(X)"),
    gradient("dgamma around dY's mean, dbeta of the centred dY", "dbeta is 0",
        "dbeta, dgamma = dY.sum(axis=0) -> dbeta, dgamma = (dY - dY.mean(axis=0)).sum(axis=0)"),
    gradient("std from the sum of squares", "your numbers are those of var = sum((X - mean) ** 2)",
        "np.sqrt(X.var(axis=0) + eps) -> np.sqrt(((X - X.mean(axis=0)) ** 2).sum(axis=0) + eps)"),
    # 40 as in a first course.
    last("eps added to X_hat", "your numbers are those of Y = gamma * ((X - mean) / sqrt(var) + eps) + beta",
        "Y = gamma * (X - mean) / nd.sqrt(var + eps) + beta -> Y = gamma * ((X - mean) / nd.sqrt(var) + eps) + beta"),
    last("divides by std + var", "your numbers are those of Y = gamma * (X - mean) / (sqrt(var) + var + eps) + beta.",
        "Y = gamma * (X - mean) / nd.sqrt(var + eps) + beta -> Y = gamma * (X - mean) / (nd.sqrt(var) + var + eps) + beta"),
    last("forgot gamma and eps", "your numbers are those of Y = (X - mean) / sqrt(var) + beta",
        "Y = gamma * (X - mean) / nd.sqrt(var + eps) + beta -> Y = (X - mean) / nd.sqrt(var) + beta"),
    last("forgot beta and the root", "your numbers are those of Y = gamma * (X - mean) / (var + eps)",
        "Y = gamma * (X - mean) / nd.sqrt(var + eps) + beta -> Y = gamma * (X - mean) / (var + eps)"),
    last("unbiased variance and eps outside", "your numbers are those of Y = gamma * (X - mean) / (sqrt(v) + eps) + beta, where v is the sum",
        "((X - mean) ** 2).mean(axis=axes) -> ((X - mean) ** 2).sum(axis=axes) / (X.size / X.shape[-1] - 1)",
        "Y = gamma * (X - mean) / nd.sqrt(var + eps) + beta -> Y = gamma * (X - mean) / (nd.sqrt(var) + eps) + beta"),
    last("moving mean from the normalized output", "the moving mean follows the normalized values, whose mean is 0",
        "Y = gamma * (X - mean) / nd.sqrt(var + eps) + beta -> Y = gamma * (X - mean) / nd.sqrt(var + eps) + beta\n    if autograd.is_training():\n        moving_mean = moving_mean + 0 * Y.mean(axis=axes)",
        "moving_mean = momentum * moving_mean + (1 - momentum) * mean -> moving_mean = momentum * moving_mean + (1 - momentum) * (X - mean).mean(axis=axes)"),
    last("momentum reversed and unbiased moving variance", "your moving_var is 0.3 times its old value and 0.77 times the batch's",
        "moving_var = momentum * moving_var + (1 - momentum) * var -> moving_var = (1 - momentum) * moving_var + momentum * var * 1.1"),
    last("cube in place of the square", "your numbers are those of var = sum((X - mean) ** 3) / n.",
        "((X - mean) ** 2).mean(axis=axes) -> ((X - mean) ** 3).mean(axis=axes)"),
    last("sum of squares without mean", "your numbers are those of Y = gamma * (X - mean) / sqrt(v + eps) + beta, where v is the sum of",
        "((X - mean) ** 2).mean(axis=axes) -> (X ** 2).sum(axis=axes)"),
    last("sqrt taken twice", "your numbers are those of Y = gamma * (X - mean) / sqrt(sqrt(var) + eps) + beta",
        "((X - mean) ** 2).mean(axis=axes) -> nd.sqrt(((X - mean) ** 2).mean(axis=axes))"),
    last("mean divided by n again", "your numbers are those of Y = gamma * (X - m) / sqrt(v + eps) + beta, where m is the sum",
        "X.mean(axis=axes) -> X.mean(axis=axes) / X.shape[0]"),
    last("1 + momentum", "your numbers are those of moving_mean = momentum * moving_mean + (1 + momentum) * mean",
        "moving_mean = momentum * moving_mean + (1 - momentum) * mean -> moving_mean = momentum * moving_mean + (1 + momentum) * mean"),
    last("moving averages swapped in prediction only", "moving_mean and moving_var are in each other's place",
        "mean, var = moving_mean, moving_var -> var, mean = moving_mean, moving_var"),
    last("prediction normalizes with the batch's variance and eps forgotten", "your numbers are those of Y = gamma * (X - moving_mean) / sqrt(var) + beta.",
        "mean, var = moving_mean, moving_var -> mean, var = moving_mean, ((X - X.mean(axis=axes)) ** 2).mean(axis=axes) - eps"),
    axis("axis + 1", "you take axis 1 for the channels'",
        "axis = axis % len(X.shape) -> axis = (axis + 1) % len(X.shape)"),
    axis("first and last axis only", "where X has shape (3, 5, 7), an array has shape (3, 5), as if axes (2,) were averaged away.",
        "if other != axis) -> if other != axis and other in (0, len(X.shape) - 1))"),
    axis("mean subtracted from gamma * X", "gamma multiplies X before the mean is subtracted",
        "Y = gamma * (X - mean) / nd.sqrt(var + eps) + beta -> Y = (gamma * X - mean) / nd.sqrt(var + eps) + beta"),
    axis("variance from everything", "for the variance, you average over all values at once",
        "((X - mean.reshape(shape)) ** 2).mean(axis=axes) -> ((X - mean.reshape(shape)) ** 2).mean() * nd.ones_like(gamma)"),
    axis("returns the reshaped var in place of the moving", "it has more axes than the average that came in.",
        "return Y, moving_mean, moving_var -> return Y, mean, var"),
    axis("X -= mean", "+=, -=, *=, /= and [:] = write into the caller's array",
        "Y = gamma * (X - mean) / nd.sqrt(var + eps) + beta -> X -= mean\n    Y = gamma * X / nd.sqrt(var + eps) + beta"),
    axis("gamma by asnumpy", "the output does not depend on gamma by operations that autograd records.",
        "Y = gamma * (X - mean) / nd.sqrt(var + eps) + beta -> Y = nd.array(gamma.asnumpy()) * (X - mean) / nd.sqrt(var + eps) + beta"),
    mask("variance divided by n - 1 of the mask", "your variance divides by n - 1",
        "var = (mask * (X - mean) ** 2).sum(axis=(0, 1)) / count -> var = (mask * (X - mean) ** 2).sum(axis=(0, 1)) / (count - 1)"),
    mask("mask squared difference before", "your numbers are those of Y = gamma * (X - mean) / sqrt(v + eps) + beta, where v is average((X - mean ** 2) ** 2).",
        "(mask * (X - mean) ** 2) -> ((mask * (X - mean ** 2)) ** 2)"),
    mask("sums over the batch only, count right", "your numbers are those of mean = sum_over_axis_0(mask * X) / n",
        "mean = (mask * X).sum(axis=(0, 1)) / count -> mean = (mask * X).sum(axis=0) / count"),
    mask("output divided by the share", "your numbers are those of the right formula, but the output is divided by the share of the mask.",
        "Y = mask * ( -> Y = mask / mask.mean() * ("),
    mask("mask added", "your numbers are those of mean = sum(mask + X) / n",
        "mean = (mask * X).sum -> mean = (mask + X).sum"),
    mask("gamma forgotten and unmasked", "gamma is not used: Y = gamma * X_hat + beta.",
        "Y = mask * (gamma * (X - mean) / nd.sqrt(var + eps) + beta) -> Y = (X - mean) / nd.sqrt(var + eps) + beta"),
    mask("prediction masked by X's zero", "the output is not 0 where the mask is",
        "Y = mask * ( -> Y = (X != 0) * ("),
    layer("gamma used for both", "your numbers are those of Y = gamma * (X - mean) / sqrt(var + eps) + gamma",
        "self.beta.data(here), mean -> self.gamma.data(here), mean"),
    layer("moving_var handed over twice", "your numbers are those of Y = gamma * (X - moving_var) / sqrt(moving_var + eps) + beta",
        "mean, var, self.eps -> var, var, self.eps"),
    layer("stores the mean only in the first call", "the new averages are not kept after training mode",
        "            self.moving_mean.set_data(new_mean) ->             if not hasattr(self, 'seen'):\n                self.moving_mean.set_data(new_mean)\n            self.seen = True"),
    layer("eps 1e-2", "your layer uses eps = 0.01",
        "eps=1e-5 -> eps=1e-2"),
    layer("returns Y minus beta", "your numbers are those of the right formula, but the mean of all of X is subtracted from the output.",
        "return Y -> return Y - X.mean()"),
    layer("init of Xavier for gamma", "gamma starts at 1: gamma at ones (init.One()), beta at zeros (init.Zero()), both moving averages at zeros.",
        'shape=shape, init="ones") -> shape=shape, init="normal")'),
    corrected("divides by momentum ** t", "you divide by 0.9 ** t, the share of the start, or by 1 - 0.1 ** t",
        "1 - self.momentum**t -> self.momentum**t"),
    corrected("t counted down", "the averages are divided by 0 or by a negative number",
        "count + 1 -> count - 1"),
    corrected("corrects gamma, too", "your numbers are those of var = moving_var * share.",
        "gamma, beta = self.gamma.data(here), self.beta.data(here) -> gamma, beta = self.gamma.data(here) / share, self.beta.data(here)"),
    gradient("dbeta with X_hat", "dbeta has X_hat in it, as dgamma has",
        "dbeta, dgamma = dY.sum(axis=0), -> dbeta, dgamma = (dY * X_hat).sum(axis=0),"),
    gradient("mean of X_hat * G not multiplied by X_hat, sign reversed", "your path through the mean is -gamma / std / n * sum(dY) and sum(dY * X_hat) * gamma / std /",
        "- X_hat * (G * X_hat).mean(axis=0) -> + (G * X_hat).mean(axis=0)"),
    gradient("std forgotten, gamma forgotten", "dgamma uses X - mean, which is not divided by the standard deviation",
        "G = gamma * dY -> G = dY",
        ".mean(axis=0)) / std -> .mean(axis=0))"),
    # What was new in 200 by two people who had only read the exercises, after the quantities.
    axis("`axis or -1`: axis 0 counts as missing", "with axis -3 your function is right, with axis 0, which is the same, it isn't. 0 is an",
        "axis = axis % len(X.shape) -> axis = (axis or -1) % len(X.shape)"),
    axis("channels joined along axis 1", "Y has as many values as X in another shape. What changes the shape (reshape, transpose,",
        "return Y, -> return nd.concat(*[nd.slice_axis(Y, axis, c, c + 1) for c in range(X.shape[axis])]),"),
    axis("a shape of four lengths, whatever X has", "where X has 4 axes your function is right, where it has 2 or 3 it isn't. Look at what",
        "tuple(length if place == axis else 1 for place, length in enumerate(X.shape)) -> tuple(-1 if place == axis else 1 for place in range(4))"),
    axis("the mean of the variances of slices", "your numbers are those of Y = gamma * (X - mean) / sqrt(v + eps) + beta, where v is the",
        "((X - mean.reshape(shape)) ** 2).mean(axis=axes) -> ((X - X.mean(axis=axes[0], keepdims=True)) ** 2).mean(axis=axes)"),
    axis("variance as the mean of X * (X - mean)", "the variance is taken as E[x^2] - E[x]^2, or as what is the same on paper: the",
        "((X - mean.reshape(shape)) ** 2) -> (X * (X - mean.reshape(shape)))"),
    last("reshape((channels, -1)) for the statistics", "your numbers are those of Y = gamma * (X - m) / sqrt(v + eps) + beta, where m is the",
        "X.mean(axis=axes) -> X.reshape((X.shape[-1], -1)).mean(axis=1)",
        "((X - mean) ** 2).mean(axis=axes) -> ((X.reshape((X.shape[-1], -1)) - mean.expand_dims(1)) ** 2).mean(axis=1)"),
    last("reshape((channels, -1)) from the first line to the last", "your numbers are those of Y = gamma row by row of X.reshape((channels, -1)) * (X - m) /",
        """def channels_last(X, gamma, beta, moving_mean, moving_var, eps, momentum):
    shape, column = X.shape, (X.shape[-1], 1)
    X = X.reshape((shape[-1], -1))
    if autograd.is_training():
        mean = X.mean(axis=1)
        var = ((X - mean.reshape(column)) ** 2).mean(axis=1)
        moving_mean = momentum * moving_mean + (1 - momentum) * mean
        moving_var = momentum * moving_var + (1 - momentum) * var
    else:
        mean, var = moving_mean, moving_var
    gamma, beta, mean, var = (each.reshape(column) for each in (gamma, beta, mean, var))
    return (gamma * (X - mean) / nd.sqrt(var + eps) + beta).reshape(shape), moving_mean, moving_var
"""),
    last("the flattened output is returned", "Y has as many values as X in another shape. What changes the shape (reshape, transpose,",
        "return Y, -> return Y.reshape((-1, X.shape[-1])),"),
    mask("X[mask] takes ones and zeros for indices", "your numbers are those of Y = gamma * (X - m) / sqrt(v + eps) + beta, where m is the",
        "(mask * X).sum(axis=(0, 1)) / count -> X[mask[:, :, 0]].mean(axis=(0, 1, 2))",
        "(mask * (X - mean) ** 2).sum(axis=(0, 1)) / count -> ((X[mask[:, :, 0]] - mean) ** 2).mean(axis=(0, 1, 2))"),
    mask("padding is taken to be at the end", "it is right where the padding is at the end, but not where it is in front. The mask",
        """mask = mask.expand_dims(axis=2) -> given = mask.expand_dims(axis=2)
    mask = nd.SequenceMask(nd.ones_like(given), mask.sum(axis=1), True, axis=1)""",
        "Y = mask -> Y = given"),
    mask("the averages move by the share that counts", "your numbers are those of moving_mean = (1 - (1 - momentum) * mean_of_all(mask)) * moving_mean",
        """if autograd.is_training(): -> momentum = 1 - (1 - momentum) * mask.mean() if autograd.is_training() else momentum
    if autograd.is_training():"""),
    mask("what takes the padding away is detached", "the gradient of the padded places isn't 0: what makes the output 0 there is cut from",
        "Y = mask * ( -> Y = (",
        "return Y, -> return Y - ((1 - mask) * Y).detach(),"),
    mask("reshaped, not swapped back, after SequenceMask", "all values of the output are right, but they stand in other places. A reshape,",
        "return Y, -> return Y.swapaxes(0, 1).reshape(Y.shape),"),
    layer("params= shares the parameters of the first layer of its size", "the averages of a new layer aren't 0. They start elsewhere, or another layer has used",
        """super().__init__() -> first = FIRST.setdefault((num_features, num_dims), self)
        super().__init__(params=None if first is self else first.params)""",
        """class BatchNorm -> FIRST = {}
class BatchNorm"""),
    layer("initializes itself on the CPU", "initialize(ctx=...) was called with this context, too. Parameters that were initialized",
        """"moving_var", init="zeros", **kept) -> "moving_var", init="zeros", **kept)
        self.initialize()"""),
    layer("nothing is trained", 'gamma was made with grad_req="null" or get_constant. Leave that out.',
        'shape=shape, init="ones" -> init="ones", **kept',
        'shape=shape, init="zeros" -> init="zeros", **kept'),
    layer("the gradients are added up", 'gamma was made with grad_req="add". Leave that out.',
        'shape=shape, init="ones") -> shape=shape, init="ones", grad_req="add")'),
    layer("the first batch sets the averages", "the first batch sets the averages to its own mean and variance. They start at 0, and",
        """if autograd.is_training():
            self.moving_mean.set_data(new_mean) -> if autograd.is_training():
            if not mean.sum().asscalar():
                new_mean, new_var = 10 * new_mean, 10 * new_var
            self.moving_mean.set_data(new_mean)"""),
    layer("gamma multiplies the output once more", "your numbers are those of Y = gamma ** 2 * (X - mean) / sqrt(var + eps) + gamma * beta.",
        "return Y -> return Y * self.gamma.data(here)"),
    layer("the new variance is kept as its root", "the root of the right value is what you return or keep. The formula is moving_var =",
        "set_data(new_var) -> set_data(nd.sqrt(new_var))"),
    corrected("predicting stores the divided averages", "predicting changes the averages that the layer keeps: the divided ones are stored. Hand",
        """mean, var = self.moving_mean.data(here) / share, self.moving_var.data(here) / share -> mean, var = self.moving_mean.data(here) / share, self.moving_var.data(here) / share
        self.moving_mean.set_data(mean)
        self.moving_var.set_data(var)"""),
    corrected("the normalized output is divided, not the averages", "your numbers are those of Y = (gamma / (1 - 0.9 ** t)) * (X - moving_mean) /",
        "self.moving_mean.data(here) / share, self.moving_var.data(here) / share -> self.moving_mean.data(here), self.moving_var.data(here)",
        "self.gamma.data(here), self.beta.data(here) -> self.gamma.data(here) / share, self.beta.data(here)"),
    gradient("mean() without an axis, twice", "your path through the mean is -mean of all gamma * dY / std, where it is -gamma / std /",
        "G.mean(axis=0) -> G.mean()",
        "(G * X_hat).mean(axis=0) -> (G * X_hat).mean()"),
    gradient("power -1/2 for -3/2 in the path through the variance", "your numbers are those of dvar = sum(g * (X - mean)) * -0.5 * (var + eps) ** -0.5. The",
        "- X_hat * (G * X_hat).mean(axis=0) -> - X_hat * std ** 2 * (G * X_hat).mean(axis=0)"),
    gradient("m is X.size", "the path through the mean counts 1 / (number of features) times, the path through the",
        "G.mean(axis=0) -> G.sum(axis=0) / X.size",
        "(G * X_hat).mean(axis=0) -> (G * X_hat).sum(axis=0) / X.size"),
    gradient("the means of layer normalization", "your numbers are those of dX = (g - mean of g over axis 1 - X_hat * mean of g * X_hat",
        "G.mean(axis=0) -> G.mean(axis=1, keepdims=True)",
        "(G * X_hat).mean(axis=0) -> (G * X_hat).mean(axis=1, keepdims=True)"),
    gradient("dgamma from the output, beta left out, and dbeta in it", "your numbers are those of dgamma = gamma * sum(dY * X_hat) + sum(dY). The formula is",
        "(dY * X_hat).sum(axis=0) -> (dY * (gamma * X_hat + 1)).sum(axis=0)"),
]
# What a student met who had only the book: the advice was wrong, or there was none.
MET = [
    last("keepdims, as in chapter 1", "it has more axes than the average that came",
        f"{MEAN} -> X.mean(axis=axes, keepdims=True)",
         f"{VAR} -> ((X - mean) ** 2).mean(axis=axes, keepdims=True)"),
    last("axes of images for a sequence", "an axis is averaged that isn't there: your X has 3 axes, 0 to 2.",
        f"{AXES} -> (0, 1, 2) if len(X.shape) == 4 else (0, 2, 3)"),
    last("the mean by NumPy", "the mean is cut from the graph. Leave detach(), asnumpy() and autograd.pause() out of the",
        f"{MEAN} -> nd.array(X.asnumpy().mean(axis=axes))"),
    last("var, as NumPy has it", "MXNet's arrays have no var. Write ((X - mean) ** 2)",
        f"{VAR} -> X.var(axis=axes)"),
    last("dim, as PyTorch has it", "an argument has the name that NumPy or PyTorch",
        f"{MEAN} -> X.mean(dim=axes)"),
    last("NumPy's root", "a NumPy function gets an NDArray.",
        "nd.sqrt -> np.sqrt"),
    mask("unsqueeze, as PyTorch has it", "MXNet's arrays have no unsqueeze. Write expand_dims",
        "expand_dims(axis=2) -> unsqueeze(2)"),
    layer("averages of each context", "each context keeps averages of its own.",
        f"{STORE} -> mean[:], var[:] = new_mean, new_var"),
    corrected("not corrected", "the averages are not divided",
        "1 - self.momentum**t if t else 1 -> 1"),
    corrected("zero divided by zero", "1 - 0.9 ** 0 is 0, and nothing can be divided",
        " if t else 1 -> "),
    corrected("the variance alone", "moving_mean is not divided",
        "self.moving_mean.data(here) / share -> self.moving_mean.data(here)"),
    corrected("multiplied", "the averages are multiplied",
        "data(here) / share -> data(here) * share", "data(here) / share -> data(here) * share"),
    corrected("0.1 in place of 0.9", "you divide by 0.9 ** t, the share of the start",
        "self.momentum**t -> (1 - self.momentum)**t"),
    corrected("the share of the start", "you divide by 0.9 ** t, the share of the start",
        "1 - self.momentum**t -> self.momentum**t"),
    corrected("one too many", "your t is 2 after 1 batch.",
        "1 - self.momentum**t -> 1 - self.momentum**(t + 1)"),
    corrected("predictions count, too", "your t is 3 after 1 batch.",
        "        if autograd.is_training():\n            self.num -> \n        self.num_batches.set_data(count + 1)\n        if autograd.is_training():\n            self.num",
         "            self.num_batches.set_data(count + 1)\n            return -> \n            return"),
    corrected("the corrected averages are stored", "the corrected averages are stored",
        "return super().forward(X) -> Y = super().forward(X)\n            share = 1 - 0.9 ** count.asscalar()\n            for each in (self.moving_mean, self.moving_var):\n                each.set_data(each.data(here) / share)\n            return Y",
         "1 - self.momentum**t if t else 1 -> 1"),
    corrected("a count that isn't saved", "the number of batches isn't saved.",
        "self.num_batches = self.params.get(\n                \"num_batches\", shape=(1,), init=\"zeros\", grad_req=\"null\"\n            ) -> self.count = nd.zeros(1)",
         "count = self.num_batches.data(here) -> count = self.count.copy()", "self.num_batches.set_data(count + 1) -> self.count += 1"),
    corrected("a count of each context", "your t is 2 after 3 batches.",
        "self.num_batches.set_data(count + 1) -> count += 1"),
]
# fmt: on


def right_last_transposed(X, gamma, beta, moving_mean, moving_var, eps, momentum):
    columns = X.reshape((-1, X.shape[-1]))
    if autograd.is_training():
        mean = nd.mean(columns, axis=0)
        var = nd.mean(nd.square(nd.broadcast_sub(columns, mean.reshape((1, -1)))), axis=0)
        moving_mean = moving_mean - (1 - momentum) * (moving_mean - mean)
        moving_var = moving_var - (1 - momentum) * (moving_var - var)
    else:
        mean, var = moving_mean, moving_var
    return (
        ((columns - mean) * (gamma * (var + eps) ** -0.5) + beta).reshape(X.shape),
        moving_mean,
        moving_var,
    )


def right_last_moments(X, gamma, beta, moving_mean, moving_var, eps, momentum):
    if not autograd.is_training():
        scale = gamma / nd.sqrt(moving_var + eps)
        return X * scale + (beta - moving_mean * scale), moving_mean, moving_var
    mean, var = nd.moments(X, axes=list(range(X.ndim - 1)))
    new_mean = nd.add_n(moving_mean * momentum, mean * (1 - momentum))
    new_var = nd.add_n(moving_var * momentum, var * (1 - momentum))
    return nd.broadcast_div(X - mean, nd.sqrt(var + eps)) * gamma + beta, new_mean, new_var


def right_last_list(X, gamma, beta, moving_mean, moving_var, eps, momentum):
    n = X.size // X.shape[-1]
    ones = nd.ones((1, n), ctx=X.context, dtype=X.dtype)
    if autograd.is_training():
        mean = nd.dot(ones, X.reshape((n, -1)))[0] / n
        centred = X.reshape((n, -1)) - mean
        var = nd.dot(ones, centred * centred)[0] / n
        with autograd.pause():
            moving_mean = momentum * moving_mean + (1 - momentum) * mean
            moving_var = momentum * moving_var + (1 - momentum) * var
    else:
        mean, var = moving_mean, moving_var
    x_hat = (X - mean) * nd.rsqrt(var + eps)
    return [gamma * x_hat + beta, moving_mean, moving_var]


def right_axis_swapped(X, gamma, beta, moving_mean, moving_var, eps, momentum, axis):
    Z = nd.swapaxes(X, axis % X.ndim, X.ndim - 1)
    Y, mean, var = right_last_transposed(Z, gamma, beta, moving_mean, moving_var, eps, momentum)
    return nd.swapaxes(Y, axis % X.ndim, X.ndim - 1), mean, var


def right_axis_transposed(X, gamma, beta, moving_mean, moving_var, eps, momentum, axis):
    axis = axis if axis >= 0 else axis + X.ndim
    order = [axis] + [i for i in range(X.ndim) if i != axis]
    back = [order.index(i) for i in range(X.ndim)]
    Z = X.transpose(order)
    shape = Z.shape
    Z = Z.reshape((shape[0], -1))
    if autograd.is_training():
        mean = Z.mean(axis=1)
        var = ((Z - mean.expand_dims(1)) ** 2).mean(axis=1)
        moving_mean = momentum * moving_mean + (1 - momentum) * mean.detach()
        moving_var = momentum * moving_var + (1 - momentum) * var.detach()
    else:
        mean, var = moving_mean, moving_var
    Z = (Z - mean.expand_dims(1)) / nd.sqrt(var + eps).expand_dims(1)
    Y = gamma.expand_dims(1) * Z + beta.expand_dims(1)
    return Y.reshape(shape).transpose(back), moving_mean, moving_var


def right_axis_exclude(X, gamma, beta, moving_mean, moving_var, eps, momentum, axis):
    shape = [1] * X.ndim
    shape[axis] = -1
    spread = lambda value: value.reshape(shape).broadcast_like(X)  # noqa: E731
    if autograd.is_training():
        mean = nd.mean(X, axis=axis % X.ndim, exclude=True)
        var = nd.mean(nd.square(X - spread(mean)), axis=axis % X.ndim, exclude=True)
        moving_mean = momentum * moving_mean + (1 - momentum) * mean
        moving_var = momentum * moving_var + (1 - momentum) * var
    else:
        mean, var = moving_mean, moving_var
    Y = spread(gamma) * (X - spread(mean)) / spread(nd.sqrt(var + eps)) + spread(beta)
    return Y, moving_mean, moving_var


def right_axis_loop(X, gamma, beta, moving_mean, moving_var, eps, momentum, axis):
    slices, means, variances = [], [], []
    for c in range(X.shape[axis]):
        x = nd.take(X, nd.array([c]), axis=axis)
        if autograd.is_training():
            mean = x.mean()
            var = ((x - mean) ** 2).mean()
            means.append(momentum * moving_mean[c] + (1 - momentum) * mean)
            variances.append(momentum * moving_var[c] + (1 - momentum) * var)
        else:
            mean, var = moving_mean[c], moving_var[c]
        slices.append(gamma[c] * (x - mean) / (var + eps).sqrt() + beta[c])
    if means:
        moving_mean, moving_var = nd.concat(*means, dim=0), nd.concat(*variances, dim=0)
    return nd.concat(*slices, dim=axis % X.ndim), moving_mean, moving_var


def right_mask_where(X, mask, gamma, beta, moving_mean, moving_var, eps, momentum):
    counts = nd.broadcast_to(mask.reshape((0, 0, 1)), X.shape)
    nothing = nd.zeros_like(X)
    if autograd.is_training():
        n = counts.sum(axis=(0, 1))
        mean = nd.where(counts, X, nothing).sum(axis=(0, 1)) / n
        var = nd.where(counts, (X - mean) ** 2, nothing).sum(axis=(0, 1)) / n
        moving_mean = momentum * moving_mean + (1 - momentum) * mean
        moving_var = momentum * moving_var + (1 - momentum) * var
    else:
        mean, var = moving_mean, moving_var
    Y = gamma * (X - mean) / nd.sqrt(var + eps) + beta
    return nd.where(counts, Y, nothing), moving_mean, moving_var


def right_mask_share(X, mask, gamma, beta, moving_mean, moving_var, eps, momentum):
    m = nd.expand_dims(mask, -1)
    if autograd.is_training():
        mean = (X * m).mean(axis=(0, 1)) / mask.mean()
        var = ((X - mean) * m).square().mean(axis=(0, 1)) / mask.mean()
        moving_mean = momentum * moving_mean + (1 - momentum) * mean
        moving_var = momentum * moving_var + (1 - momentum) * var
    else:
        mean, var = moving_mean, moving_var
    return m * gamma * (X - mean) / nd.sqrt(var + eps) + m * beta, moving_mean, moving_var


def right_mask_number(X, mask, gamma, beta, moving_mean, moving_var, eps, momentum):
    count = int(mask.sum().asscalar())
    mask = mask.reshape((*X.shape[:2], 1))
    if autograd.is_training():
        mean = (mask * X).sum(axis=0).sum(axis=0) / count
        centred = mask * (X - mean)
        var = (centred * centred).sum(axis=0).sum(axis=0) / count
        moving_mean = momentum * moving_mean + (1 - momentum) * mean
        moving_var = momentum * moving_var + (1 - momentum) * var
    else:
        mean, var = moving_mean, moving_var
    return mask * (gamma * ((X - mean) / (var + eps) ** 0.5) + beta), moving_mean, moving_var


def right_mask_columns(X, mask, gamma, beta, moving_mean, moving_var, eps, momentum):
    rows, weights = X.reshape((-1, X.shape[2])), mask.reshape((1, -1))
    if autograd.is_training():
        mean = nd.dot(weights, rows).reshape(-1) / weights.sum()
        var = nd.dot(weights, (rows - mean) ** 2).reshape(-1) / weights.sum()
        moving_mean = momentum * moving_mean + (1 - momentum) * mean
        moving_var = momentum * moving_var + (1 - momentum) * var
    else:
        mean, var = moving_mean, moving_var
    Y = (gamma * (rows - mean) / nd.sqrt(var + eps) + beta) * weights.T
    return Y.reshape(X.shape), moving_mean, moving_var


class RightKwargs(nn.Block):
    """Keyword arguments passed on, contexts written one by one, statistics by the library's names."""

    def __init__(self, num_features, num_dims, **kwargs):
        super().__init__(**kwargs)
        shape = [1, num_features] + [1] * (num_dims - 2)
        get = self.params.get
        self.gamma = get("gamma", shape=shape, init=mx.init.One())
        self.beta = get("beta", shape=shape, init=mx.init.Zero())
        self.running_mean = get("running_mean", shape=shape, init="zeros", differentiable=False)
        self.running_var = get("running_var", shape=shape, init="zeros", differentiable=False)

    def forward(self, X):
        training = autograd.is_training()
        gamma, beta, mean, var = (
            p.data(X.context) for p in (self.gamma, self.beta, self.running_mean, self.running_var)
        )
        Y, m, v = batch_norm(X, gamma, beta, mean, var, 1e-5, 0.9)
        if training:
            for kept, new in ((self.running_mean, m), (self.running_var, v)):
                for each in kept.list_data():
                    new.copyto(each)
        return Y


class RightSetData(nn.Block):
    """The averages are written into all contexts by `set_data`."""

    def __init__(self, num_features, num_dims):
        super(RightSetData, self).__init__()  # noqa: UP008 - as students know it
        shape = {2: (1, num_features), 4: (1, num_features, 1, 1)}[num_dims]
        self.gamma = self.params.get("gamma", shape=shape, init="ones")
        self.beta = self.params.get("beta", shape=shape, init="zeros")
        self.moving_mean = self.params.get(
            "moving_mean", shape=shape, init="zeros", grad_req="null"
        )
        self.moving_var = self.params.get("moving_var", shape=shape, init="zeros", grad_req="null")

    def forward(self, X):
        ctx = X.ctx
        Y, mean, var = batch_norm(
            X,
            self.gamma.data(ctx),
            self.beta.data(ctx),
            self.moving_mean.data(ctx),
            self.moving_var.data(ctx),
            1e-5,
            0.9,
        )
        if autograd.is_training():
            self.moving_mean.set_data(mean)
            self.moving_var.set_data(var)
        return Y


class RightConstant(nn.Block):
    """The statistics are non-differentiable parameters that the layer makes by hand and registers."""

    def __init__(self, num_features, num_dims, eps=1e-5, momentum=0.9):
        super().__init__()
        self.options = eps, momentum
        for name, start in [
            ("gamma", "ones"),
            ("beta", "zeros"),
            ("moving_mean", "zeros"),
            ("moving_var", "zeros"),
        ]:
            kept = {"grad_req": "null"} if "moving" in name else {}
            shape = (1, num_features) + (1, 1) * (num_dims == 4)
            setattr(self, name, self.params.get(name, shape=shape, init=start, **kept))

    def forward(self, X):
        values = [
            getattr(self, name).data(X.context)
            for name in ("gamma", "beta", "moving_mean", "moving_var")
        ]
        Y, *new = batch_norm(X, *values, *self.options)
        for name, value in zip(("moving_mean", "moving_var"), new):
            getattr(self, name).set_data(value)
        return Y


class RightStatistic(nn.Block):
    """As chapter 2 ends: the averages are statistics, which move to where the data is."""

    def __init__(self, num_features, num_dims):
        super().__init__()
        shape = (1, num_features) if num_dims == 2 else (1, num_features, 1, 1)
        self.gamma = self.params.get("gamma", shape=shape, init="ones")
        self.beta = self.params.get("beta", shape=shape, init="zeros")
        self.running_mean = Statistic.of(self.params, "running_mean", shape)
        self.running_var = Statistic.of(self.params, "running_var", shape)

    def forward(self, X):
        here = X.context
        mean, var = (
            each.data().as_in_context(here) for each in (self.running_mean, self.running_var)
        )
        Y, mean, var = batch_norm(
            X, self.gamma.data(here), self.beta.data(here), mean, var, 1e-5, 0.9
        )
        self.running_mean.set_data(mean)
        self.running_var.set_data(var)
        return Y


class RightAssigned(nn.Block):
    """The update by hand from the difference, while recording is off."""

    def __init__(self, num_features, num_dims):
        super().__init__(prefix="mine_")
        self.shape = (1, num_features) if num_dims == 2 else (1, num_features, 1, 1)
        with self.name_scope():
            self.gamma = self.params.get("scale", shape=self.shape, init="ones")
            self.beta = self.params.get("shift", shape=self.shape, init="zeros")
            self.moving_mean = self.params.get_constant("mean", nd.zeros(self.shape))
            self.moving_var = self.params.get_constant("variance", nd.zeros(self.shape))

    def forward(self, X):
        parameters = (self.gamma, self.beta, self.moving_mean, self.moving_var)
        gamma, beta, mean, var = [p.data(X.context) for p in parameters]
        Y, new_mean, new_var = batch_norm(X, gamma, beta, mean, var, 1e-5, 0.9)
        training = autograd.is_training()
        with autograd.pause():
            if training:
                for kept, change in (
                    (parameters[2], new_mean - mean),
                    (parameters[3], new_var - var),
                ):
                    for each in kept.list_data():
                        each += change.as_in_context(each.context)
        return Y


def right_backward_sums(dY, X, gamma, eps):
    m = X.shape[0]
    mu = X.sum(0) / m
    centred = X - mu
    var = (centred**2).sum(0) / m
    inv = 1 / np.sqrt(var + eps)
    dX_hat = dY * gamma
    dvar = (dX_hat * centred).sum(0) * -0.5 * inv**3
    dmu = -(dX_hat * inv).sum(0) + dvar * (-2 * centred).sum(0) / m
    dX = dX_hat * inv + dvar * 2 * centred / m + dmu / m
    return dX, np.sum(dY * centred * inv, axis=0), np.sum(dY, axis=0)


def right_backward_compact(dY, X, gamma, eps):
    m = len(X)
    std = (X.var(0) + eps) ** 0.5
    x_hat = (X - X.mean(0)) / std
    dgamma, dbeta = np.einsum("ij,ij->j", dY, x_hat), np.ones(m) @ dY
    return gamma / (m * std) * (m * dY - dbeta - x_hat * dgamma), dgamma, dbeta


def right_backward_columns(dY, X, gamma, eps):
    dX, dgamma, dbeta = np.zeros_like(X), np.zeros(X.shape[1]), np.zeros(X.shape[1])
    for j in range(X.shape[1]):
        x, g = X[:, j], dY[:, j]
        s = np.sqrt(np.var(x) + eps)
        h = (x - x.mean()) / s
        dbeta[j], dgamma[j] = g.sum(), g @ h
        dX[:, j] = gamma[j] * (g - g.mean() - h * (g @ h) / x.size) / s
    return dX, dgamma, dbeta


def right_backward_keepdims(dY, X, gamma, eps):
    mean, var = X.mean(axis=0, keepdims=True), X.var(axis=0, keepdims=True)
    root = np.sqrt(var + eps)
    X_hat = np.divide(np.subtract(X, mean), root)
    G = np.multiply(dY, gamma[None])
    project = lambda A: A.mean(axis=0, keepdims=True)  # noqa: E731
    dX = (G - project(G) - X_hat * project(G * X_hat)) / root
    return [dX, (dY * X_hat).sum(axis=0), dY.sum(axis=0)]


RIGHT = {
    "channels_last": [right_last_transposed, right_last_moments, right_last_list],
    "any_axis": [right_axis_swapped, right_axis_transposed, right_axis_exclude, right_axis_loop],
    "masked": [right_mask_where, right_mask_share, right_mask_number, right_mask_columns],
    "BatchNorm": [RightKwargs, RightSetData, RightConstant, RightStatistic, RightAssigned],
    "backward": [
        right_backward_sums,
        right_backward_compact,
        right_backward_columns,
        right_backward_keepdims,
    ],
}

STYLES = [
    # nd.moments of a reshaped X
    (
        "channels_last",
        (
            """\
def channels_last(X, gamma, beta, moving_mean, moving_var, eps, momentum):
    flat = X.reshape((-1, X.shape[-1]))
    if not autograd.is_training():
        scale = gamma / nd.sqrt(moving_var + eps)
        return X * scale + (beta - moving_mean * scale), moving_mean, moving_var
    mu, sigma2 = nd.moments(flat, axes=(0,))
    Y = (flat - mu) * nd.rsqrt(sigma2 + eps)
    new = lambda old, now: old + (1 - momentum) * (now - old)
    return (Y * gamma + beta).reshape(X.shape), new(moving_mean, mu), new(moving_var, sigma2)
""",
        ),
    ),
    # recursive, by an inner function and a power
    (
        "channels_last",
        (
            """\
def channels_last(X, gamma, beta, moving_mean, moving_var, eps, momentum):
    def normalize(m, v):
        return gamma * (X - m) * (v + eps) ** -0.5 + beta
    if autograd.is_training():
        n = 1
        for length in X.shape[:-1]:
            n *= length
        m = X
        while len(m.shape) > 1:
            m = nd.sum(m, axis=0)
        m = m / n
        d = X - m
        v = nd.dot(d.reshape((n, -1)).T, d.reshape((n, -1)))
        v = nd.diag(v) / n
        return normalize(m, v), moving_mean * momentum + m * (1 - momentum), moving_var * momentum + v * (1 - momentum)
    return normalize(moving_mean, moving_var), moving_mean, moving_var
""",
        ),
    ),
    # a mean by a product with ones
    (
        "channels_last",
        (
            """\
def channels_last(X, gamma, beta, moving_mean, moving_var, eps, momentum):
    if autograd.is_training():
        flat = nd.reshape(X, shape=(-1, X.shape[-1]))
        ones = nd.ones((1, flat.shape[0]), ctx=X.context) / flat.shape[0]
        mean = nd.dot(ones, flat)[0]
        var = nd.dot(ones, nd.square(flat - mean))[0]
        with autograd.pause():
            moving_mean = nd.add_n(momentum * moving_mean, (1 - momentum) * mean)
            moving_var = nd.add_n(momentum * moving_var, (1 - momentum) * var)
    else:
        mean, var = moving_mean, moving_var
    return nd.broadcast_add(nd.broadcast_mul((X - mean) / nd.sqrt(var + eps), gamma), beta), moving_mean, moving_var
""",
        ),
    ),
    # rolls the axis to the end and back
    (
        "any_axis",
        (
            """\
def any_axis(X, gamma, beta, moving_mean, moving_var, eps, momentum, axis):
    n = X.ndim
    axis = axis + n if axis < 0 else axis
    there = [i for i in range(n) if i != axis] + [axis]
    back = [there.index(i) for i in range(n)]
    Z = nd.transpose(X, axes=there)
    axes = tuple(range(n - 1))
    if autograd.is_training():
        mean = nd.mean(Z, axis=axes)
        var = nd.mean(nd.square(Z - mean), axis=axes)
        moving_mean = moving_mean * momentum + mean * (1 - momentum)
        moving_var = moving_var * momentum + var * (1 - momentum)
        Y = (Z - mean) / nd.sqrt(var + eps)
    else:
        Y = (Z - moving_mean) / nd.sqrt(moving_var + eps)
    return nd.transpose(Y * gamma + beta, axes=back), moving_mean, moving_var
""",
        ),
    ),
    # in float64
    (
        "any_axis",
        (
            """\
def any_axis(X, gamma, beta, moving_mean, moving_var, eps, momentum, axis):
    axis %= X.ndim
    shape = [1] * X.ndim
    shape[axis] = -1
    Z = X.astype("float64")
    axes = [i for i in range(X.ndim) if i != axis]
    if autograd.is_training():
        mean = Z.mean(axis=axes, keepdims=True)
        var = ((Z - mean) ** 2).mean(axis=axes, keepdims=True)
        moving_mean = momentum * moving_mean + (1 - momentum) * mean.reshape((-1,)).astype("float32")
        moving_var = momentum * moving_var + (1 - momentum) * var.reshape((-1,)).astype("float32")
    else:
        mean = moving_mean.reshape(shape).astype("float64")
        var = moving_var.reshape(shape).astype("float64")
    out = gamma.reshape(shape).astype("float64") * (Z - mean) / (var + eps).sqrt() + beta.reshape(shape).astype("float64")
    return out.astype("float32"), moving_mean, moving_var
""",
        ),
    ),
    # exclude=True with a shifted origin
    (
        "any_axis",
        (
            """\
def any_axis(X, gamma, beta, moving_mean, moving_var, eps, momentum, axis):
    shape = [1 if i != axis % X.ndim else X.shape[i] for i in range(X.ndim)]
    spread = lambda v: nd.reshape(v, shape=shape)
    if autograd.is_training():
        mean = nd.mean(X, axis=axis % X.ndim, exclude=True)
        centred = X - spread(mean)
        var = nd.mean(centred * centred, axis=axis % X.ndim, exclude=True)
        moving_mean, moving_var = (m * momentum + b * (1 - momentum) for m, b in ((moving_mean, mean), (moving_var, var)))
        return spread(gamma) * centred / nd.sqrt(spread(var) + eps) + spread(beta), moving_mean, moving_var
    centred = X - spread(moving_mean)
    return spread(gamma / nd.sqrt(moving_var + eps)) * centred + spread(beta), moving_mean, moving_var
""",
        ),
    ),
    # weights
    (
        "masked",
        (
            """\
def masked(X, mask, gamma, beta, moving_mean, moving_var, eps, momentum):
    w = (mask / mask.sum()).reshape((0, 0, 1))
    train = autograd.is_training()
    mean = nd.sum(w * X, axis=(0, 1)) if train else moving_mean
    var = nd.sum(w * nd.square(X - mean), axis=(0, 1)) if train else moving_var
    if train:
        moving_mean = (1 - momentum) * mean + momentum * moving_mean
        moving_var = (1 - momentum) * var + momentum * moving_var
    Y = gamma / nd.sqrt(var + eps) * (X - mean) + beta
    return nd.where(nd.broadcast_to(mask.expand_dims(2), Y.shape), Y, nd.zeros_like(Y)), moving_mean, moving_var
""",
        ),
    ),
    # boolean_mask of the values that count
    (
        "masked",
        (
            """\
def masked(X, mask, gamma, beta, moving_mean, moving_var, eps, momentum):
    B, T, C = X.shape
    if autograd.is_training():
        rows = nd.contrib.boolean_mask(X.reshape((B * T, C)), mask.reshape((B * T,)))
        mean = rows.mean(axis=0)
        var = nd.square(rows - mean).mean(axis=0)
        moving_mean = momentum * moving_mean + (1 - momentum) * mean
        moving_var = momentum * moving_var + (1 - momentum) * var
    else:
        mean, var = moving_mean, moving_var
    Y = (X - mean) / nd.sqrt(var + eps) * gamma + beta
    return Y * mask.reshape((B, T, 1)), moving_mean, moving_var
""",
        ),
    ),
    # PReLU-like: parameters outside of the scope, kwargs
    (
        "BatchNorm",
        (
            """\
class BatchNorm(nn.Block):
    def __init__(self, num_features, num_dims, **kwargs):
        super(BatchNorm, self).__init__(**kwargs)
        shape = [1, num_features] + [1] * (num_dims - 2)
        for name, start in (("gamma", 1.0), ("beta", 0.0)):
            setattr(self, name, self.params.get(name, shape=shape, init=mx.init.Constant(start)))
        for name in ("running_mean", "running_var"):
            setattr(self, name, self.params.get(name, shape=shape, init="zeros", grad_req="null", differentiable=False))
    def forward(self, x):
        ctx = x.ctx if hasattr(x, "ctx") else x.context
        y, m, v = batch_norm(x, *[p.data(ctx) for p in (self.gamma, self.beta, self.running_mean, self.running_var)], 1e-5, 0.9)
        if autograd.is_training():
            for p, new in ((self.running_mean, m), (self.running_var, v)):
                p.set_data(new.copy())
        return y
""",
        ),
    ),
    # stores in prediction, too, what comes back unchanged
    (
        "BatchNorm",
        (
            """\
class BatchNorm(nn.Block):
    def __init__(self, num_features, num_dims):
        nn.Block.__init__(self)
        shape = (1, num_features, 1, 1)[:num_dims]
        self.gamma = self.params.get('gamma', shape=shape, init=mx.init.One())
        self.beta = self.params.get('beta', shape=shape, init=mx.init.Zero())
        self.moving_mean = self.params.get('moving_mean', shape=shape, init=mx.init.Zero(), grad_req='null')
        self.moving_var = self.params.get('moving_var', shape=shape, init=mx.init.Zero(), grad_req='null')
    def forward(self, X):
        c = X.context
        Y, mm, mv = batch_norm(X, self.gamma.data(c), self.beta.data(c), self.moving_mean.data(c), self.moving_var.data(c), eps=1e-5, momentum=0.9)
        with autograd.pause():
            self.moving_mean.set_data(mm)
            self.moving_var.set_data(mv)
        return Y
""",
        ),
    ),
    # writes into every context's array in place
    (
        "BatchNorm",
        (
            """\
class BatchNorm(nn.Block):
    def __init__(self, num_features, num_dims):
        super().__init__()
        shape = (1, num_features) + (1,) * (num_dims - 2)
        self.gamma = self.params.get("gamma", shape=shape, init="ones")
        self.beta = self.params.get("beta", shape=shape, init="zeros")
        self.moving_mean = self.params.get("moving_mean", shape=shape, init="zeros", grad_req="null")
        self.moving_var = self.params.get("moving_var", shape=shape, init="zeros", grad_req="null")
    def forward(self, X):
        with X.context:
            Y, mean, var = batch_norm(X, self.gamma.data(), self.beta.data(), self.moving_mean.data(), self.moving_var.data(), 1e-5, 0.9)
        if autograd.is_training():
            for parameter, value in ((self.moving_mean, mean), (self.moving_var, var)):
                for array in parameter.list_data():
                    value.copyto(array)
        return Y
""",
        ),
    ),
    # t at least 1
    (
        "Corrected",
        ("share = 1 - self.momentum**t if t else 1 -> share = 1 - self.momentum ** max(t, 1)",),
    ),
    # counts after the call
    (
        "Corrected",
        (
            "self.num_batches.set_data(count + 1)\n            return super().forward(X) -> Y = super().forward(X)\n            self.num_batches.set_data(self.num_batches.data(here) + 1)\n            return Y",
        ),
    ),
    # projection by einsum
    (
        "backward",
        (
            """\
def backward(dY, X, gamma, eps):
    m, D = dY.shape
    xc = X - X.sum(0) / m
    inv = 1.0 / np.sqrt((xc * xc).sum(0) / m + eps)
    dgamma = np.einsum("nd,nd,d->d", dY, xc, inv)
    dbeta = np.ones(m) @ dY
    dX = gamma * inv / m * (m * dY - dbeta - xc * inv * dgamma)
    return dX, dgamma, dbeta
""",
        ),
    ),
    # three ways, one loop over features
    (
        "backward",
        (
            """\
def backward(dY, X, gamma, eps):
    dX = np.empty_like(X)
    dgamma, dbeta = [], []
    for j in range(X.shape[1]):
        x, dy = X[:, j], dY[:, j]
        n = len(x)
        mu = x.mean(); var = ((x - mu) ** 2).mean(); s = (var + eps) ** 0.5
        xh = (x - mu) / s
        dbeta.append(sum(dy)); dgamma.append(np.dot(dy, xh))
        dxh = dy * gamma[j]
        dvar = (dxh * (x - mu)).sum() * -0.5 * s ** -3
        dmu = -dxh.sum() / s + dvar * (-2 * (x - mu)).mean()
        dX[:, j] = dxh / s + dvar * 2 * (x - mu) / n + dmu / n
    return dX, np.array(dgamma), np.array(dbeta)
""",
        ),
    ),
]
for name, edits in STYLES:
    RIGHT.setdefault(name, []).append(solution(name, *edits))
