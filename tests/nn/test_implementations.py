"""Inputs on which a fast way could lose what the definition has: digits, channels, an order."""

from __future__ import annotations

import numpy as np
import pytest
from cases import Case, arrays, assert_steps_close, make_case, prepare, step

from d2l_bn import BatchNorm
from d2l_bn.nn.layer import IMPLEMENTATIONS
from d2l_bn.reference.mathematics import prediction, training

from mxnet import autograd
from mxnet.base import MXNetError

pytestmark = pytest.mark.usefixtures("each_implementation")

DENSE = [(2, 1), (5, 3), (32, 84), (8, 513)]
IMAGES = [(1, 3, 2, 2), (4, 3, 2, 5), (2, 9, 1, 1), (2, 6, 24, 24)]


def in_float32(case: Case) -> Case:
    """The case that is left when its input is rounded, so that rounding it is no error of ours."""
    return case._replace(X=np.float64(np.float32(case.X)))


def one_step(case: Case, dtype="float32", momentum=0.0, **options):
    layer = BatchNorm(case.X.shape[1], case.X.ndim, momentum=momentum, **options)
    return step(prepare(layer, case, dtype), case, dtype)


@pytest.mark.parametrize("dtype, tolerance", [("float32", 2e-5), ("float64", 1e-11)])
@pytest.mark.parametrize("shape", DENSE + IMAGES, ids=str)
@pytest.mark.parametrize("use_global_stats", [False, True])
def test_every_shape_type_and_mode(shape, dtype, tolerance, use_global_stats):
    case = make_case(shape)
    expected = prediction(*case) if use_global_stats else training(*case)
    received = one_step(case, dtype, momentum=0.9, use_global_stats=use_global_stats)
    assert_steps_close(received, expected, tolerance)
    layer = prepare(BatchNorm(shape[1], len(shape)), case, dtype)
    assert_steps_close(step(layer, case, dtype, train_mode=False), prediction(*case), tolerance)


@pytest.mark.parametrize("scale", [2, 100])
@pytest.mark.parametrize("shape", [(64, 3), (8, 3, 6, 6)], ids=str)
def test_an_offset_of_a_million(shape, scale, each_implementation):
    """Float32 has steps of 1/16 there: a mean rounded to them is off by as much as 1/32."""
    case = in_float32(make_case(shape, offset=1e6, scale=scale))
    tolerance = 1 / 16 / scale if each_implementation == "definition" else 1e-5
    assert_steps_close(one_step(case), training(*case, momentum=0), tolerance)


@pytest.mark.parametrize("shape", [(256, 3), (65536, 2)], ids=str)
def test_an_outlying_first_row(shape):
    """One row of zeros among values near 1000: a variance around the first row would be far off."""
    case = in_float32(make_case(shape, offset=1000, scale=1))
    case.X[0] = 0
    assert_steps_close(one_step(case), training(*case, momentum=0), 2e-4)


@pytest.mark.parametrize("shape", [(64, 3), (8, 3, 6, 6)], ids=str)
def test_deviations_up_to_the_end_of_float32(shape):
    """As `batch_norm` says: up to m d^2 = 3.4e38 all is right, and far beyond var is infinite."""
    case = make_case(shape, scale=1)
    m, d = np.prod(shape) // shape[1], np.abs(case.X - 0.5).max()  # 0.5 is the mean
    case = case._replace(X=case.X * np.sqrt(3.3e38 / m) / d)
    assert_steps_close(one_step(in_float32(case)), training(*in_float32(case), momentum=0), 1e-5)
    far = one_step(case._replace(X=case.X * 1e4))
    assert np.isinf(far.var).all()


@pytest.mark.parametrize("offset", [0, 1000])
def test_many_rows(offset):
    case = in_float32(make_case((131072, 3), offset=offset, scale=1))
    received = one_step(case)
    assert_steps_close(received, training(*case, momentum=0), 1e-4)
    assert (received.var > 0).all()


@pytest.mark.parametrize("value", [0.1, 1e6, -3e-5])
@pytest.mark.parametrize("shape", [(1000, 2), (64, 2, 5, 5)], ids=str)
def test_the_variance_of_a_constant_channel_is_not_negative(shape, value):
    case = make_case(shape)._replace(X=np.full(shape, value))
    received = one_step(case)
    assert (received.var >= 0).all() and np.isfinite(received.Y).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("shape", [(8, 3), (4, 3, 2, 2), (4, 12, 2, 2)], ids=str)
def test_a_channel_that_is_not_finite_leaves_the_others_alone(shape, bad):
    case = make_case(shape)
    expected = training(*case, momentum=0)
    others = [channel for channel in range(shape[1]) if channel != 1]
    case.X[0, 1] = bad
    received = one_step(case)
    assert np.isnan(received.Y[:, 1]).any()
    for name in ("Y", "dX", "dgamma", "dbeta", "mean", "var"):
        got, wanted = getattr(received, name), getattr(expected, name)
        got = got.reshape(wanted.shape)
        np.testing.assert_allclose(got[:, others], wanted[:, others], atol=1e-4, err_msg=name)


def test_the_order_of_the_rows_changes_rounding_alone():
    case = in_float32(make_case((4096, 3), offset=100))
    order = np.random.default_rng(0).permutation(4096)
    turned = case._replace(X=case.X[order], dY=case.dY[order])
    received, expected = one_step(turned), one_step(case)
    expected = expected._replace(Y=expected.Y[order], dX=expected.dX[order])
    assert_steps_close(received, expected, 2e-5)


def test_mxnet_refuses_the_gradient_of_a_gradient():
    """It has none for its means, its products and its differences, so none for what they make."""
    given = arrays(make_case())
    given.X.attach_grad()
    with autograd.record():
        Y, _, _ = IMPLEMENTATIONS["auto"](*given[:3], given.mean, given.var, 1e-5, 0.9)
        with pytest.raises(MXNetError, match=r"non-differentiable|higher order gradients"):
            autograd.grad(Y, [given.X], head_grads=[given.dY], create_graph=True)[0].backward()
