"""Whatever a student's code returns, a check answers in words and never breaks itself."""

from __future__ import annotations

import corpus
import numpy as np
import pytest

from d2l_bn import checks

import mxnet as mx
from mxnet import nd
from mxnet.gluon import nn

THINGS = {
    "None": lambda X: None,
    "a number": lambda X: 3,
    "a string": lambda X: "abc",
    "a generator": lambda X: (X for _ in range(3)),
    "two values": lambda X: (X, X),
    "four values": lambda X: [X, X, X, X],
    "three Nones": lambda X: (None, None, None),
    "three numbers": lambda X: (1.0, 2.0, 3.0),
    "three letters": lambda X: ("a", "b", "c"),
    "lists": lambda X: ([1, 2], [3], [4]),
    "a scalar each": lambda X: (nd.ones(1), nd.ones(1), nd.ones(1)),
    "no values": lambda X: (nd.zeros((0, 2)), nd.ones(1), nd.ones(1)),
    "whole numbers": lambda X: (nd.zeros((4, 2), dtype="int32"),) * 3,
    "NaN": lambda X: (nd.full((4, 2), np.nan), nd.ones((1, 2)), nd.ones((1, 2))),
    "infinity": lambda X: (nd.full((4, 2), np.inf), nd.ones((1, 2)), nd.ones((1, 2))),
    "another context": lambda X: (nd.ones((4, 2), ctx=mx.cpu(1)),) * 3,
    "a failing operator": lambda X: nd.dot(nd.ones((2, 3)), nd.ones((2, 3))),
    "an endless recursion": lambda X: THINGS["an endless recursion"](X),
    "an assertion": lambda X: np.testing.assert_equal(1, 2),
}
things = pytest.mark.parametrize("thing", list(THINGS.values()), ids=list(THINGS))


def words_of(check, candidate):
    """Return how a check fails, in lines of a bearable length."""
    with pytest.raises(checks.CheckFailed) as caught:
        check(candidate)
    message = str(caught.value)
    assert max(map(len, message.splitlines())) <= 80
    return caught.value


@things
def test_function(thing):
    words_of(checks.batch_norm, lambda X, *_: thing(X))


@things
def test_backward(thing):
    words_of(checks.backward, lambda dY, X, *_: thing(X))


@things
def test_layer(thing):

    class Layer(nn.Block):
        forward = staticmethod(thing)

    words_of(checks.layer, lambda *_: thing(None))
    right = corpus.run(corpus.LAYER, "BatchNorm")
    right.forward = lambda self, X: thing(X)
    words_of(checks.layer, right)


@pytest.mark.parametrize("candidate", [None, "batch_norm", 3, lambda: None])
@pytest.mark.parametrize("check", [checks.batch_norm, checks.layer, checks.backward])
def test_what_cannot_be_called(check, candidate):
    assert "your code raised TypeError" in words_of(check, candidate).property


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["moving_mean", "moving_var"])
def test_statistics_that_are_no_numbers(name, number):
    changed = "return Y, moving_mean, moving_var".replace(name, f"{name} + float('{number}') * 1")
    solution = corpus.solution("batch_norm", f"return Y, moving_mean, moving_var -> {changed}")
    failed = words_of(checks.batch_norm, solution)
    assert failed.property == f"{name} contains NaN or infinity."


@pytest.mark.parametrize("part", ["modes", "statistics", "contexts", "saving"])
def test_a_layer_of_nan_fails_each_part(part):
    broken = corpus.solution("layer")
    forward = broken.forward

    def poisoned(self, X):
        Y = forward(self, X)
        for kept in (self.mean, self.var):
            kept.set_data(kept.data() * np.nan)
        return Y * np.nan

    broken.forward = poisoned
    with pytest.raises(checks.CheckFailed):
        checks.layer(broken, part)
