"""Known mistakes in the output, to find the one that gives what was received."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from d2l_bn.checks.axes import of_axes
from d2l_bn.checks.formula import Case, moments, moving, output


def find(
    candidates: Iterable, received: np.ndarray, expected: np.ndarray, tolerance: float = 1e-4
) -> str:
    """Return the cause whose numbers are those received, or "" if none's are."""
    if received.shape != expected.shape:
        return ""
    distance = np.abs(received - expected).max()
    with np.errstate(all="ignore"):
        for cause, numbers in candidates:
            numbers = np.asarray(numbers)
            if numbers.shape != expected.shape and numbers.size == expected.size:
                numbers = numbers.reshape(expected.shape)
            if numbers.shape != expected.shape or not np.isfinite(numbers).all():
                continue
            error = np.abs(received - numbers).max()
            if error <= tolerance * max(1, np.abs(numbers).max()) and error < 0.1 * distance:
                return cause
    return ""


def of_training(case: Case) -> Iterator[tuple[str, np.ndarray]]:
    """Yield what mistaken code would return in training mode, each with its cause."""
    X, gamma, beta, eps, n = case.X, case.gamma, case.beta, case.eps, case.size
    mean, var = moments(case)
    D = X - mean
    yield from of_axes(case)
    yield (
        "your variance divides by n - 1. Batch normalization divides by n, the number of values "
        "of a channel: ((X - mean) ** 2).mean(...).",
        output(case, mean, var * n / max(1, n - 1)),
    )
    yield (
        "your variance is the mean of X ** 2. Subtract the mean before you square: "
        "((X - mean) ** 2).mean(...).",
        output(case, mean, (X**2).mean(case.axes, keepdims=True)),
    )
    yield (
        "your variance is a sum. Divide it by n, the number of values of a channel.",
        output(case, mean, var * n),
    )
    yield (
        "the mean is not subtracted. Normalize X - mean, not X.",
        gamma * X / np.sqrt(var + eps) + beta,
    )
    yield (
        "you divide by the variance. Divide by its square root: nd.sqrt(var + eps).",
        gamma * D / (var + eps) + beta,
    )
    yield (
        "you multiply by the standard deviation. Divide by it.",
        gamma * D * np.sqrt(var + eps) + beta,
    )
    yield (
        "the mean is added. Subtract it: X - mean.",
        gamma * (X + mean) / np.sqrt(var + eps) + beta,
    )
    yield (
        "your variance is the mean of |X - mean|. Square the differences: ((X - mean) ** 2).",
        output(case, mean, np.abs(D).mean(case.axes, keepdims=True)),
    )
    yield (
        "your variance is divided by n twice: mean() has done it already.",
        output(case, mean, var / n),
    )
    low, high = X.min(case.axes, keepdims=True), X.max(case.axes, keepdims=True)
    yield (
        "you scale X to the range 0 to 1. Subtract the mean and divide by the standard deviation.",
        gamma * (X - low) / (high - low + eps) + beta,
    )
    yield (
        "you normalize with the moving averages in training mode. Use the mean and the variance "
        "of the batch while autograd.is_training() is True.",
        output(case, case.mean, case.var),
    )
    yield (
        "you normalize with the new moving averages in training mode. Use the mean and the "
        "variance of the batch; the averages are for prediction.",
        output(case, moving(case, case.mean, mean), moving(case, case.var, var)),
    )
    yield from of_scale(case, mean, var)


def of_scale(case: Case, mean, var) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the mistakes with eps, gamma and beta, for given statistics."""
    X, gamma, beta, eps = case.X, case.gamma, case.beta, case.eps
    D, std = X - mean, np.sqrt(var + eps)
    X_hat = D / std
    yield (
        "eps is missing. Add it to the variance: nd.sqrt(var + eps).",
        gamma * D / np.sqrt(var) + beta,
    )
    yield (
        "eps stands outside the root. Add it to the variance: nd.sqrt(var + eps), not "
        "nd.sqrt(var) + eps.",
        gamma * D / (np.sqrt(var) + eps) + beta,
    )
    yield (
        "eps is fixed at 1e-5 in your code. Use the argument eps.",
        gamma * D / np.sqrt(var + 1e-5) + beta,
    )
    yield "gamma and beta are not used: Y = gamma * X_hat + beta.", X_hat
    yield "gamma is not used: Y = gamma * X_hat + beta.", X_hat + beta
    yield "beta is not used: Y = gamma * X_hat + beta.", gamma * X_hat
    yield (
        "gamma and beta are swapped. gamma multiplies and beta is added: gamma * X_hat + beta.",
        beta * X_hat + gamma,
    )
    yield (
        "beta is scaled too: you return gamma * (X_hat + beta). It is gamma * X_hat + beta.",
        gamma * (X_hat + beta),
    )
    yield (
        "gamma is applied before the normalization, which takes it out again. Normalize first: "
        "Y = gamma * X_hat + beta.",
        gamma * D / np.sqrt(gamma**2 * var + eps) + beta,
    )
    yield (
        "gamma and beta are applied before the normalization, which takes them out again. "
        "Normalize first, then return gamma * X_hat + beta.",
        gamma * D / np.sqrt(gamma**2 * var + eps),
    )
    yield "beta is subtracted. It is added: gamma * X_hat + beta.", gamma * X_hat - beta
    yield "you divide by gamma. It multiplies: gamma * X_hat + beta.", X_hat / gamma + beta
