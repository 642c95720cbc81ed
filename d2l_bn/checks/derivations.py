"""Known mistakes in the gradient by hand, each with what it gives."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from d2l_bn.checks import formula
from d2l_bn.checks.formula import Case

DBETA = "dbeta = dY.sum(axis=0)"
DGAMMA = "dgamma = (dY * X_hat).sum(axis=0)"
DX = "dX = gamma / std * (dY - mean(dY) - X_hat * mean(dY * X_hat)), each mean over axis 0"


def of_beta(case: Case, dY: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Yield what mistaken derivations give for dbeta, each with its cause."""
    yield f"dbeta is a mean over the batch. It is a sum: {DBETA}.", dY.mean(0)
    yield f"dbeta has gamma in it. beta is added after gamma: {DBETA}.", (dY * case.gamma).sum(0)
    _, dgamma, _ = formula.gradients(case, dY)
    yield "dgamma and dbeta are swapped: return dX, dgamma, dbeta.", dgamma
    if case.X.shape[0] == case.X.shape[1]:
        yield f"dbeta is summed over the features. Sum over the batch: {DBETA}.", dY.sum(1)
    yield f"dbeta is 0. beta is added to each example: {DBETA}.", 0 * dgamma


def of_gamma(case: Case, dY: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Yield what mistaken derivations give for dgamma, each with its cause."""
    X, n = case.X, case.size
    mean, var = formula.moments(case)
    X_hat = (X - mean) / np.sqrt(var + case.eps)
    _, dgamma, dbeta = formula.gradients(case, dY)
    yield f"X_hat is missing in dgamma: {DGAMMA}.", dY.sum(0)
    yield f"dgamma uses X. It takes the normalized values: {DGAMMA}.", (dY * X).sum(0)
    yield (
        f"dgamma uses X - mean, which is not divided by the standard deviation: {DGAMMA}.",
        (dY * (X - mean)).sum(0),
    )
    yield f"dgamma is a mean over the batch. It is a sum: {DGAMMA}.", dgamma / n
    yield f"dgamma has gamma in it: {DGAMMA}.", dgamma * case.gamma
    yield f"dgamma uses the output in place of X_hat: {DGAMMA}.", (dY * X_hat * case.gamma).sum(0)
    yield "dgamma and dbeta are swapped: return dX, dgamma, dbeta.", dbeta
    for words, std in _deviations(case):
        yield f"{words} It belongs to X_hat in dgamma, too.", (dY * (X - mean) / std).sum(0)
    yield f"dgamma is 0: {DGAMMA}.", 0 * dgamma


def _deviations(case: Case) -> Iterator[tuple[str, np.ndarray]]:
    """Yield standard deviations that are slightly wrong."""
    _, var = formula.moments(case)
    yield (
        "the variance divides by m - 1. It divides by m, as in the forward pass.",
        np.sqrt(var * case.size / max(1, case.size - 1) + case.eps),
    )
    yield "eps is missing in the standard deviation: sqrt(var + eps).", np.sqrt(var)
    yield (
        "eps stands outside the root. The standard deviation is sqrt(var + eps).",
        np.sqrt(var) + case.eps,
    )
    yield "the square root is missing. The standard deviation is sqrt(var + eps).", var + case.eps


def of_input(case: Case, dY: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Yield what mistaken derivations give for dX, each with its cause."""
    gamma, n = case.gamma, case.size
    mean, var = formula.moments(case)
    right_std = np.sqrt(var + case.eps)
    X_hat = (case.X - mean) / right_std
    by_mean, by_var = dY.mean(0), X_hat * (dY * X_hat).mean(0)
    full = dY - by_mean - by_var
    scale = gamma / right_std
    sides = "X reaches the output by three ways: directly, through the mean, through the variance."
    yield f"the mean and the variance count as constants. {sides} {DX}.", scale * dY
    yield f"the path through the mean is forgotten. {sides} {DX}.", scale * (dY - by_var)
    yield f"the path through the variance is forgotten. {sides} {DX}.", scale * (dY - by_mean)
    yield (
        f"dY is summed, not averaged, in the path through the mean: the sum lacks / m. {DX}.",
        scale * (dY - dY.sum(0) - by_var),
    )
    yield (
        f"dY * X_hat is summed, not averaged, in the path through the variance. {DX}.",
        scale * (dY - by_mean - n * by_var),
    )
    yield f"both sums lack / m. {DX}.", scale * (dY - n * by_mean - n * by_var)
    yield f"the sums divide by m - 1. {DX}.", scale * (dY - (by_mean + by_var) * n / max(1, n - 1))
    yield f"gamma is missing in dX. {DX}.", full / right_std
    yield f"gamma divides dX. It multiplies. {DX}.", full / right_std / gamma
    yield f"the division by the standard deviation is missing. {DX}.", gamma * full
    yield f"the two paths are added. Both are subtracted. {DX}.", scale * (dY + by_mean + by_var)
    yield f"the path through the mean has the wrong sign. {DX}.", scale * (dY + by_mean - by_var)
    yield (
        f"the path through the variance has the wrong sign. {DX}.",
        scale * (dY - by_mean + by_var),
    )
    yield (
        f"X_hat is missing before mean(dY * X_hat). {DX}.",
        scale * (dY - by_mean - (dY * X_hat).mean(0)),
    )
    yield f"dX is dY itself, as if nothing were normalized. {DX}.", dY
    yield f"dX is gamma * dY, as if nothing were normalized. {DX}.", gamma * dY
    yield (
        f"the factor 2 of the square is forgotten in the path through the variance. {DX}.",
        scale * (dY - by_mean - by_var / 2),
    )
    for words, std in _deviations(case):
        wrong = (case.X - mean) / std
        through = wrong * (dY * wrong).mean(0)
        yield words, gamma / std * (dY - by_mean - through)
