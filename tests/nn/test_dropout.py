"""Dropout drops, scales, and leaves predictions alone."""

from __future__ import annotations

import numpy as np
import pytest

import d2l_bn

import mxnet as mx
from mxnet import autograd, nd

X = nd.arange(1, 20001).reshape((100, 200))


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_drops_the_share_p_and_scales_the_rest(p):
    with autograd.train_mode():
        Y = d2l_bn.dropout(X, p).asnumpy()
    dropped = Y == 0
    assert dropped.mean() == pytest.approx(p, abs=0.02)
    np.testing.assert_allclose(Y[~dropped], X.asnumpy()[~dropped] / (1 - p), rtol=1e-6)
    assert Y.mean() == pytest.approx(X.mean().asscalar(), rel=0.05)


@pytest.mark.parametrize("mode", [autograd.predict_mode, autograd.pause])
def test_predicting_changes_nothing(mode):
    with mode():
        assert d2l_bn.dropout(X, 0.5) is X
    with autograd.record(train_mode=False):
        assert d2l_bn.dropout(X, 0.5) is X
    assert d2l_bn.dropout(X, 0.5) is X


def test_the_two_ends():
    x = nd.ones((3, 4))
    x.attach_grad()
    with autograd.record():
        assert d2l_bn.dropout(x, 0) is x
        Y = d2l_bn.dropout(x, 1)
    assert Y.asnumpy().tolist() == np.zeros((3, 4)).tolist()


def test_the_gradient_at_the_two_ends():
    x = nd.ones((3, 4))
    x.attach_grad()
    for p, expected in ((0, 2.0), (1, 0.0)):
        with autograd.record():
            Y = d2l_bn.dropout(x, p) * 2
        Y.backward()
        assert x.grad.asnumpy().tolist() == np.full((3, 4), expected).tolist()


def test_the_layer_follows_autograd_as_batch_norm_does():
    layer = d2l_bn.Dropout(0.5)
    assert layer(X) is X
    with autograd.record():
        dropped = (layer(X) == 0).mean().asscalar()
    assert dropped == pytest.approx(0.5, abs=0.02)
    with autograd.record(train_mode=False):
        assert layer(X) is X


def test_the_gradient_is_dropped_and_scaled_alike():
    x = X.copy()
    x.attach_grad()
    with autograd.record():
        Y = d2l_bn.dropout(x, 0.3)
    Y.backward()
    np.testing.assert_allclose(x.grad.asnumpy(), (Y / X).asnumpy(), rtol=1e-5)


def test_each_call_drops_other_values_and_a_seed_repeats_them():
    with autograd.train_mode():
        one, two = d2l_bn.dropout(X, 0.5), d2l_bn.dropout(X, 0.5)
        mx.random.seed(5)
        three = d2l_bn.dropout(X, 0.5)
        mx.random.seed(5)
        four = d2l_bn.dropout(X, 0.5)
    assert (one != two).sum() > 0
    assert (three != four).sum() == 0


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("context", [mx.cpu(0), mx.cpu(1)])
def test_type_and_context_stay(dtype, context):
    with autograd.train_mode():
        Y = d2l_bn.Dropout(0.5)(nd.ones((8, 8), dtype=dtype, ctx=context))
    assert (Y.dtype, Y.context) == (np.dtype(dtype).type, context)


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan")])
def test_a_chance_outside_of_0_and_1_is_refused(p):
    for make in (lambda: d2l_bn.dropout(X, p), lambda: d2l_bn.Dropout(p)):
        with pytest.raises(ValueError, match=r"p must be in \[0, 1\], got"):
            make()
