"""The functions that no chapter has: right ones pass, wrong ones are told what is wrong."""

from __future__ import annotations

import numpy as np
import pytest
import unseen
import wrong

from d2l_bn import checks

from mxnet import autograd, nd

LAST = f"""\
def batch_norm(X, gamma, beta, moving_mean, moving_var, eps, momentum):
{unseen.ON_LAST_AXIS}\
    return Y, moving_mean, moving_var
"""
ANY = """\
def batch_norm(X, gamma, beta, moving_mean, moving_var, eps, momentum, axis):
    axis = axis % X.ndim
    axes = tuple(place for place in range(X.ndim) if place != axis)
    shape = [1] * X.ndim
    shape[axis] = -1
    if autograd.is_training():
        mean = X.mean(axis=axes)
        var = ((X - mean.reshape(shape)) ** 2).mean(axis=axes)
        moving_mean = momentum * moving_mean + (1 - momentum) * mean
        moving_var = momentum * moving_var + (1 - momentum) * var
    else:
        mean, var = moving_mean, moving_var
    mean, var, gamma, beta = (v.reshape(shape) for v in (mean, var, gamma, beta))
    return gamma * (X - mean) / nd.sqrt(var + eps) + beta, moving_mean, moving_var
"""
MASKED = """\
def batch_norm(X, mask, gamma, beta, moving_mean, moving_var, eps, momentum):
    mask = mask.expand_dims(axis=2)
    if autograd.is_training():
        count = mask.sum()
        mean = (mask * X).sum(axis=(0, 1)) / count
        var = (mask * (X - mean) ** 2).sum(axis=(0, 1)) / count
        moving_mean = momentum * moving_mean + (1 - momentum) * mean
        moving_var = momentum * moving_var + (1 - momentum) * var
    else:
        mean, var = moving_mean, moving_var
    Y = gamma * (X - mean) / nd.sqrt(var + eps) + beta
    return mask * Y, moving_mean, moving_var
"""
CHECKS = {LAST: checks.channels_last, ANY: checks.any_axis, MASKED: checks.masked}


def chosen(X, mask, gamma, beta, moving_mean, moving_var, eps, momentum):
    """Another right one: the values that count are picked out and put back."""
    rows, counts = X.reshape((-1, X.shape[2])), mask.reshape((-1, 1))
    mean, var = moving_mean, moving_var
    if autograd.is_training():
        share = counts / counts.sum()
        mean = nd.dot(share.T, rows).reshape(-1)
        var = nd.dot(share.T, nd.square(nd.where(nd.broadcast_like(counts, rows) > 0, rows - mean,
                                                  nd.zeros_like(rows)))).reshape(-1)  # fmt: skip
        moving_mean = momentum * moving_mean + (1 - momentum) * mean.detach()
        moving_var = momentum * moving_var + (1 - momentum) * var.detach()
    Y = counts * (gamma * (rows - mean) / nd.sqrt(var + eps) + beta)
    return Y.reshape(X.shape), moving_mean, moving_var


def turned(X, gamma, beta, moving_mean, moving_var, eps, momentum, axis):
    """Another right one: the axis is moved to the end and back."""
    order = [place for place in range(X.ndim) if place != axis % X.ndim] + [axis % X.ndim]
    last = wrong.run(LAST, "batch_norm")
    Y, mean, var = last(X.transpose(order), gamma, beta, moving_mean, moving_var, eps, momentum)
    return Y.transpose(list(np.argsort(order))), mean, var


@pytest.mark.parametrize("source", CHECKS, ids=lambda source: CHECKS[source].__name__)
def test_right_ones_pass(source):
    CHECKS[source](wrong.run(source, "batch_norm"))


def test_right_ones_in_other_styles_pass():
    checks.masked(chosen)
    checks.any_axis(turned)
    checks.any_axis(lambda *given: wrong.run(ANY, "batch_norm")(*given))
    checks.channels_last(lambda *given: wrong.run(ANY, "batch_norm")(*given, -1))


WRONG = [
    (LAST, "tuple(range(X.ndim - 1))", "(0,)", "axis 0"),
    (LAST, "tuple(range(X.ndim - 1))", "tuple(range(1, X.ndim))", "axes (1, 2, 3)"),
    (LAST, "tuple(range(X.ndim - 1))", "(0, 2, 3)[: X.ndim - 1]", "as if axis 1 had the channels"),
    (LAST, "nd.sqrt(var + eps)", "nd.sqrt(var)", "eps is missing"),
    (LAST, "((X - mean) ** 2)", "(X ** 2)", "mean of X ** 2"),
    (LAST, "* (X - mean)", "* X - mean", "parentheses around the difference"),
    (
        LAST,
        "else:\n        mean, var = moving_mean, moving_var",
        "else:\n        mean, var = moving_var, moving_mean",
        "in each other's place",
    ),
    (ANY, "axis % X.ndim", "1", "you take axis 1 for the channels'"),
    (ANY, "shape[axis] = -1", "shape[-1] = -1", "shape"),
    (ANY, "if place != axis)", "if place not in (0, axis))", "different shapes meet"),
    (
        ANY,
        "reshape(shape) for v in (mean, var, gamma, beta)",
        "reshape(shape).detach() for v in (mean, var, gamma, beta)",
        "are cut from the graph",
    ),
    (MASKED, "count = mask.sum()", "count = mask.size", "by the sum of the mask"),
    (MASKED, "(mask * X).sum(axis=(0, 1)) / count", "X.mean(axis=(0, 1))", "padded places count"),
    (
        MASKED,
        "(mask * (X - mean) ** 2)",
        "((X - mean) ** 2)",
        "padded places count in the variance",
    ),
    (MASKED, "(mask * (X - mean) ** 2)", "((mask * X - mean) ** 2)", "is not 0 there"),
    (MASKED, "return mask * Y", "return Y", "is not 0 where the mask is"),
    (MASKED, "/ count\n        moving", "/ (count - 1)\n        moving", "divides by n - 1"),
    (
        MASKED,
        "(1 - momentum) * mean",
        "(1 - momentum) * X.mean(axis=(0, 1))",
        "padded places count",
    ),
]


@pytest.mark.parametrize("source, old, new, cause", WRONG)
def test_wrong_ones_are_told_why(source, old, new, cause):
    assert old in source
    with pytest.raises(checks.CheckFailed) as caught:
        CHECKS[source](wrong.run(source.replace(old, new), "batch_norm"))
    assert cause in str(caught.value.cause), str(caught.value)


@pytest.mark.parametrize("source", CHECKS, ids=lambda source: CHECKS[source].__name__)
def test_the_chapters_function_is_no_answer(source):
    plain = wrong.run(wrong.FUNCTION, "batch_norm")
    given = (lambda X, mask, *rest: plain(X, *rest)) if source == MASKED else plain
    given = (lambda *rest: plain(*rest[:-1])) if source == ANY else given
    for part in ("training", "statistics", "prediction", "gradient"):
        with pytest.raises(checks.CheckFailed):
            CHECKS[source](given, part)
