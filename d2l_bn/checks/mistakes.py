"""Known mistakes in the output, to find the one that gives what was received."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

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
    yield from _of_axes(case)
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


def _of_axes(case: Case) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the mistakes in the choice and the shape of what is averaged."""
    X = case.X
    rows, columns = X.shape[0], X.shape[-1]
    if X.ndim == 2:
        right = "Average over the batch, axis 0: one mean for each feature."
        yield f"you average over axis 1, the features of each example. {right}", _over(case, (1,))
        yield f"you average over all values at once. {right}", _over(case, (0, 1))
        if rows == columns:
            mean = X.mean(1)
            for var in (X.var(1), ((X - mean) ** 2).mean(1)):
                yield (
                    "you average over axis 1, and without keepdims the result is then spread over "
                    f"the wrong axis. {right}",
                    output(case, mean, var),
                )
            turned = case._replace(gamma=case.gamma.T, beta=case.beta.T)
            yield _TURNED, output(turned, *moments(case))
            mean, var = moments(case)
            yield _TURNED_STATISTICS, output(case, mean.T, var.T)
        return
    right = "Average over axes (0, 2, 3): one mean for each channel."
    for axes, words in (
        ((0,), "axis 0 alone, so that each pixel has a mean of its own"),
        ((2, 3), "axes (2, 3) alone, so that each image has a mean of its own"),
        ((1, 2, 3), "axes (1, 2, 3), which is layer normalization"),
        ((1,), "axis 1, the channels"),
        ((0, 1), "axes (0, 1)"),
        ((0, 1, 2), "axes (0, 1, 2), as if the channels were last (they are axis 1 in MXNet)"),
        ((0, 1, 2, 3), "all values at once"),
        ((0, 2), "axes (0, 2) and forget axis 3"),
        ((0, 3), "axes (0, 3) and forget axis 2"),
    ):
        yield f"you average over {words}. {right}", _over(case, axes)
    if X.shape[1] == columns:
        mean = X.mean(case.axes)
        for var in (X.var(case.axes), ((X - mean) ** 2).mean(case.axes)):
            yield KEEPDIMS, output(case, mean, var)
    flat = X.reshape(-1, X.shape[1])
    flat = (flat - flat.mean(0)) / np.sqrt(flat.var(0) + case.eps)
    yield FLATTENED, case.gamma * flat.reshape(X.shape) + case.beta
    yield FLATTENED, (case.gamma.reshape(-1) * flat + case.beta.reshape(-1)).reshape(X.shape)


KEEPDIMS = (
    "your mean and variance have shape (channels,), so they are lined up with the last axis of X, "
    "the width. Keep the averaged axes: X.mean(axis=(0, 2, 3), keepdims=True)."
)
FLATTENED = (
    "X.reshape((-1, channels)) mixes the channels, since they are axis 1, not the last. Move them "
    "last before you flatten, X.transpose((0, 2, 3, 1)), and back afterwards."
)
_TURNED = (
    "gamma and beta are spread over the examples, not over the features. They belong to axis 1: "
    "leave their shape (1, features) as it is."
)
_TURNED_STATISTICS = (
    "your mean and variance are spread over the examples, not over the features. It shows because "
    "here are as many examples as features. Keep them in shape (1, features)."
)


def _over(case: Case, axes: tuple[int, ...]) -> np.ndarray:
    """Return the output when the averages are taken over these axes."""
    return output(case, case.X.mean(axes, keepdims=True), case.X.var(axes, keepdims=True))


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
