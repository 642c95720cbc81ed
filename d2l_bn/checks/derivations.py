"""Known mistakes in the gradient by hand, each with what it gives."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from d2l_bn.checks import formula
from d2l_bn.checks.formula import Case


def of_beta(case: Case, dY: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Yield what mistaken derivations give for dbeta, each with its cause."""
    yield "dbeta is a mean over the batch. It is a sum: each example adds its dY.", dY.mean(0)
    yield (
        "dbeta has gamma in it. beta is added after gamma has multiplied.",
        (dY * case.gamma).sum(0),
    )
    _, dgamma, _ = formula.gradients(case, dY)
    yield "dgamma and dbeta are swapped: return dX, dgamma, dbeta.", dgamma
    if case.X.shape[0] == case.X.shape[1]:
        yield "dbeta is summed over the features. Sum over the batch, axis 0.", dY.sum(1)
    yield "dbeta is 0. beta is added to each example: sum their dY.", 0 * dgamma


def of_gamma(case: Case, dY: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Yield what mistaken derivations give for dgamma, each with its cause."""
    X, n = case.X, case.size
    mean, _ = formula.moments(case)
    _, dgamma, dbeta = formula.gradients(case, dY)
    yield (
        "X_hat is missing in dgamma. gamma multiplies X_hat, so each dY counts X_hat times.",
        dbeta,
    )
    yield "dgamma uses X. gamma multiplies the normalized values, X_hat.", (dY * X).sum(0)
    yield (
        "dgamma uses X - mean, which is not divided by the standard deviation. It takes X_hat.",
        (dY * (X - mean)).sum(0),
    )
    yield "dgamma is a mean over the batch. It is a sum: each example adds its own.", dgamma / n
    yield (
        "dgamma has gamma in it. The derivative of gamma * X_hat by gamma is X_hat alone.",
        dgamma * case.gamma,
    )
    for words, std in _deviations(case):
        yield f"{words} It belongs to X_hat in dgamma, too.", (dY * (X - mean) / std).sum(0)
    yield "dgamma is 0. gamma multiplies X_hat: sum dY * X_hat over the batch.", 0 * dgamma


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
    for cause, inner in (
        (
            "the mean and the variance count as constants. But X reaches the output by three ways: "
            "directly, through the mean, and through the variance.",
            dY,
        ),
        (
            "gamma is missing in the path through the variance. dX_hat = gamma * dY goes through "
            "all three ways.",
            dY - by_mean - by_var / gamma,
        ),
        (
            "gamma is missing in the path through the mean. dX_hat = gamma * dY goes through all "
            "three ways.",
            dY - by_mean / gamma - by_var,
        ),
        (
            "the path through the mean is forgotten. Each x moves the mean by 1 / m of itself, and "
            "the mean moves every output of that feature.",
            dY - by_var,
        ),
        (
            "the path through the variance is forgotten. Each x moves the variance, and the "
            "variance scales every output of that feature.",
            dY - by_mean,
        ),
        (
            "dY is summed, not averaged, in the path through the mean: / m is missing.",
            dY - n * by_mean - by_var,
        ),
        (
            "dY * X_hat is summed, not averaged, in the path through the variance: / m is missing.",
            dY - by_mean - n * by_var,
        ),
        (
            "/ m is missing in both paths, through the mean and through the variance.",
            dY - n * by_mean - n * by_var,
        ),
        (
            "the paths through the mean and the variance divide by m - 1. They divide by m.",
            dY - (by_mean + by_var) * n / max(1, n - 1),
        ),
        (
            "the paths through the mean and the variance are added. Both are subtracted: they take "
            "away what normalization undoes.",
            dY + by_mean + by_var,
        ),
        ("the path through the mean has the wrong sign.", dY + by_mean - by_var),
        ("the path through the variance has the wrong sign.", dY - by_mean + by_var),
        (
            "X_hat is missing in the path through the variance. The variance moves each output in "
            "proportion to its own X_hat.",
            dY - by_mean - (dY * X_hat).mean(0),
        ),
        (
            "the factor 2 of the square is forgotten in the path through the variance.",
            dY - by_mean - by_var / 2,
        ),
    ):
        yield cause, scale * inner
    yield "gamma is missing in dX. The output is gamma * X_hat + beta.", full / right_std
    yield "gamma divides dX. It multiplies, as in the forward pass.", full / right_std / gamma
    yield (
        "the division by the standard deviation is missing in dX. X_hat = (X - mean) / std.",
        gamma * full,
    )
    yield "dX is gamma * dY, as if nothing were normalized. X_hat depends on X.", gamma * dY
    for words, std in _deviations(case):
        wrong = (case.X - mean) / std
        through = wrong * (dY * wrong).mean(0)
        yield words, gamma / std * (dY - by_mean - through)
