"""Known mistakes in the choice and the shape of what is averaged."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from d2l_bn.checks.formula import Case, moments, output


def of_axes(case: Case) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the mistakes in the choice and the shape of what is averaged."""
    X = case.X
    rows, columns = X.shape[0], X.shape[-1]
    if X.ndim == 2:
        right = "Average over the batch, axis 0: one mean for each feature."
        yield f"you average over axis 1, the features of each example. {right}", _over(case, (1,))
        yield f"you average over all values at once. {right}", _over(case, (0, 1))
        var = ((X - X.mean()) ** 2).mean(0)
        yield f"your mean is one number, that of all values. {right}", output(case, X.mean(), var)
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
