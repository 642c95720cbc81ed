"""Every element of every gradient against finite differences, in float64."""

from __future__ import annotations

import numpy as np
import pytest
from cases import Case, arrays, both_ranks, make_case

from d2l_bn.nn.layer import IMPLEMENTATIONS

from mxnet import autograd

pytestmark = pytest.mark.usefixtures("each_implementation")


def value(case: Case, train_mode: bool) -> float:
    """A scalar that depends on all outputs, each with a weight of its own."""
    X, gamma, beta, dY, mean, var = arrays(case, "float64")
    with autograd.train_mode() if train_mode else autograd.predict_mode():
        Y, _, _ = IMPLEMENTATIONS["auto"](X, gamma, beta, mean, var, 1e-5, 0.9)
    return float((Y * dY).asnumpy().sum())


def gradient(case: Case, name: str, train_mode: bool) -> np.ndarray:
    """What autograd makes of `value`."""
    given = arrays(case, "float64")
    variable = getattr(given, name)
    variable.attach_grad()
    X, gamma, beta, dY, mean, var = given
    with autograd.record(train_mode=train_mode):
        Y, _, _ = IMPLEMENTATIONS["auto"](X, gamma, beta, mean, var, 1e-5, 0.9)
    Y.backward(dY)
    return variable.grad.asnumpy()


def check(case: Case, name: str, received: np.ndarray, train_mode: bool, h=1e-5) -> None:
    """Compare a gradient, element by element, with central differences."""
    given = getattr(case, name)
    for index in np.ndindex(given.shape):
        up, down = given.copy(), given.copy()
        up[index] += h
        down[index] -= h
        values = (value(case._replace(**{name: x}), train_mode) for x in (up, down))
        expected = (next(values) - next(values)) / (2 * h)
        assert abs(received[index] - expected) <= 1e-6 * max(1, abs(expected)), (
            f"d value / d {name}{list(index)}, train_mode={train_mode}:\n"
            f"input    {given[index]} in\n{given}\n"
            f"expected {expected}\n"
            f"received {received[index]}"
        )


@both_ranks
@pytest.mark.parametrize("train_mode", [True, False])
@pytest.mark.parametrize("name", ["X", "gamma", "beta"])
def test_gradient(shape, train_mode, name):
    case = make_case(shape)
    check(case, name, gradient(case, name, train_mode), train_mode)


def test_a_wrong_element_is_found_and_shown():
    case = make_case((5, 3))
    received = gradient(case, "X", True)
    received[4, 2] += 1e-3
    parts = r"(?s)d X\[4, 2\], train_mode=True.*input +-?\d.*expected -?\d.*received -?\d"
    with pytest.raises(AssertionError, match=parts):
        check(case, "X", received, True)


def test_the_gradient_of_prediction_is_not_that_of_training():
    """Statistics that are cut off from the graph give this wrong gradient in training."""
    case = make_case((5, 3))
    with pytest.raises(AssertionError, match="expected"):
        check(case, "X", gradient(case, "X", False), True)
