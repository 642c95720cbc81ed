"""Ours, the source's, Gluon's and NumPy's batch normalization agree, over many shapes."""

from __future__ import annotations

import numpy as np
import pytest
from cases import arrays, assert_steps_close, make_case, prepare, step
from hypothesis import given
from hypothesis import strategies as st

from d2l_bn import BatchNorm, GluonBatchNorm
from d2l_bn.reference.mathematics import training
from d2l_bn.reference.source import SourceBatchNorm

pytestmark = pytest.mark.usefixtures("each_implementation")

TOLERANCE = {"float32": 2e-4, "float64": 1e-9}
both_types = pytest.mark.parametrize("dtype", list(TOLERANCE))


@st.composite
def shapes(draw):
    """Dense and convolutional shapes with at least two values per channel."""
    channels = draw(st.integers(1, 6))
    if draw(st.booleans()):
        return draw(st.integers(2, 9)), channels
    p, q = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    return draw(st.integers(1 if p * q > 1 else 2, 4)), channels, p, q


@st.composite
def several_steps(draw, count=3):
    """A list of cases of one shape, at offsets and scales that float32 has digits for."""
    shape, seed = draw(shapes()), draw(st.integers(0, 10**6))
    offset, scale = draw(st.sampled_from([0, -3, 10])), draw(st.sampled_from([0.3, 1, 20]))
    return [make_case(shape, seed + i, offset + i, scale) for i in range(count)]


def pair(other, case, dtype):
    """A layer of ours and one made by `other`, in the same state."""
    _, channels, *image = case.X.shape
    return [prepare(norm(channels, 2 + len(image)), case, dtype) for norm in (BatchNorm, other)]


@both_types
@given(cases=several_steps())
def test_the_source(dtype, cases):
    ours, source = pair(SourceBatchNorm, cases[0], dtype)
    for case in cases:
        assert_steps_close(step(ours, case, dtype), step(source, case, dtype), TOLERANCE[dtype])
    X = arrays(cases[0], dtype).X  # not recorded: the source's statistics drag a freed graph along
    received, expected = ours(X).asnumpy(), source(X).asnumpy()
    atol = TOLERANCE[dtype] * max(1, abs(expected).max())
    np.testing.assert_allclose(received, expected, rtol=0, atol=atol)


@both_types
@given(cases=several_steps())
def test_gluon(dtype, cases):
    # Gluon holds eps and momentum in float32, and a gradient that is a sum may cancel: 1.5e-6 seen.
    tolerance = max(TOLERANCE[dtype], 1e-5)
    ours, gluons = pair(GluonBatchNorm, cases[0], dtype)
    for case in cases:
        assert_steps_close(step(ours, case, dtype), step(gluons, case, dtype), tolerance)
    received, expected = (step(layer, cases[0], dtype, False) for layer in (ours, gluons))
    assert_steps_close(received, expected, tolerance)


@pytest.mark.parametrize("norm", [BatchNorm, SourceBatchNorm])
def test_the_source_and_ours_start_alike(norm):
    layer, case = norm(3, 4), make_case((4, 3, 2, 5))
    layer.initialize()
    zeros, ones = np.zeros((1, 3, 1, 1)), np.ones((1, 3, 1, 1))
    expected = training(case.X, ones, zeros, case.dY, zeros, zeros)
    assert_steps_close(step(layer, case), expected, 1e-5)
