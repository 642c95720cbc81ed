"""Tries a library that has just been built, in a process of its own."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np

from d2l_bn.nn import normalization, operator

from mxnet import autograd, nd

SHAPES = (64, 3), (64, 3, 40, 40)


def run(path: Path) -> None:
    """Load the library, and compare what it computes with the definition.

    Raises
    ------
    ArithmeticError
        If an output or a gradient differs, in either mode and type.
    """
    operator.load(path)
    for shape, dtype, train in itertools.product(SHAPES, ("float32", "float64"), (True, False)):
        received, expected = (
            _results(function, shape, dtype, train)
            for function in (operator.batch_norm, normalization.batch_norm)
        )
        for name, ours, right in zip(
            ("Y", "mean", "var", "dX", "dgamma", "dbeta"), received, expected
        ):
            if not np.allclose(ours, right, rtol=1e-3, atol=1e-3 * np.abs(right).max()):
                raise ArithmeticError(f"wrong {name} for {shape} in {dtype}, training {train}")


def _results(batch_norm, shape: tuple[int, ...], dtype: str, train: bool) -> list[np.ndarray]:
    """The outputs of a function, and the gradients that it gives, for numbers always the same."""
    rng = np.random.default_rng(0)
    ones = (1, shape[1]) + (1,) * (len(shape) - 2)
    X, dY = (nd.array(rng.normal(1, 2, shape), dtype=dtype) for _ in range(2))
    gamma, beta, mean, var = (nd.array(rng.uniform(1, 2, ones), dtype=dtype) for _ in range(4))
    for variable in (X, gamma, beta):
        variable.attach_grad()
    with autograd.record(train_mode=train):
        outputs = batch_norm(X, gamma, beta, mean, var, 1e-5, 0.9)
    outputs[0].backward(dY)
    return [array.asnumpy() for array in (*outputs, X.grad, gamma.grad, beta.grad)]
