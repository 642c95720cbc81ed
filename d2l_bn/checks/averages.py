"""Known mistakes in the moving averages and in prediction mode."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from d2l_bn.checks.formula import Case, moments, moving, output, training
from d2l_bn.checks.mistakes import of_scale

RULE = "momentum * old + (1 - momentum) * batch"


def of_moving_mean(case: Case) -> Iterator[tuple[str, np.ndarray]]:
    """Yield what mistaken code would return as the moving mean, each with its cause."""
    mean, var = moments(case)
    yield from _of_average(case, "mean", case.mean, mean)
    yield (
        "the moving mean follows the variance. Average the mean of X.",
        moving(case, case.mean, var),
    )
    yield (
        "the moving mean follows the output, not the input. Average the mean of X: "
        f"{RULE}, before X is normalized.",
        moving(case, case.mean, training(case).mean(case.axes, keepdims=True)),
    )
    yield (
        "the moving mean follows the normalized values, whose mean is 0. Average the mean of X.",
        moving(case, case.mean, np.zeros_like(mean)),
    )


def of_moving_var(case: Case) -> Iterator[tuple[str, np.ndarray]]:
    """Yield what mistaken code would return as the moving variance, each with its cause."""
    mean, var = moments(case)
    unbiased = var * case.size / max(1, case.size - 1)
    around = (case.X - moving(case, case.mean, mean)) ** 2
    yield from _of_average(case, "variance", case.var, var)
    for new, cause in (
        (mean, "the moving variance follows the mean. Average the variance of X."),
        (
            np.sqrt(var),
            "the moving variance follows the standard deviation. Average the variance itself.",
        ),
        (
            unbiased,
            "your moving variance divides by n - 1, as some frameworks do. Here it follows the "
            "same variance that normalizes, which divides by n.",
        ),
        (
            var + case.eps,
            "the moving variance has eps in it. Add eps when you divide, not when you average.",
        ),
        (
            around.mean(case.axes, keepdims=True),
            "the variance for the moving average is taken around the moving mean. Take it around "
            "the mean of the batch.",
        ),
        (
            training(case).var(case.axes, keepdims=True),
            "the moving variance follows the output, not the input. Average the variance of X.",
        ),
        (
            var / (var + case.eps),
            "the moving variance follows the normalized values, whose variance is 1. Average the "
            "variance of X.",
        ),
        (np.sqrt(var + case.eps), "the moving variance follows sqrt(var + eps). Average var."),
    ):
        yield cause, moving(case, case.var, new)


def _of_average(case: Case, name: str, old, new) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the mistakes that either moving average can have."""
    p = case.momentum
    returned = "return Y, moving_mean, moving_var"
    yield (
        f"the moving {name} came back as it was. Assign {RULE} to it in training mode and return "
        f"the new value: {returned}.",
        old,
    )
    yield (
        f"momentum is reversed. It weighs the old value: {RULE}.",
        (1 - p) * old + p * new,
    )
    yield (
        f"you return the {name} of the batch. Return the moving average: {RULE}.",
        new,
    )
    yield f"(1 - momentum) is missing before the {name} of the batch: {RULE}.", p * old + new
    yield f"momentum is missing before the old {name}: {RULE}.", old + (1 - p) * new
    yield f"the old moving {name} is forgotten: {RULE}.", (1 - p) * new
    yield f"momentum is fixed at 0.9 in your code. Use the argument: {RULE}.", 0.9 * old + 0.1 * new
    yield (
        f"the moving {name} is updated twice in one call. Update it once.",
        p * (p * old + (1 - p) * new) + (1 - p) * new,
    )
    mean, var = moments(case)
    other = moving(case, case.var, var) if name == "mean" else moving(case, case.mean, mean)
    yield f"the moving mean and the moving variance are swapped: {returned_order()}.", other


def returned_order() -> str:
    """Return the order of the three values."""
    return "return Y, moving_mean, moving_var"


def of_prediction(case: Case) -> Iterator[tuple[str, np.ndarray]]:
    """Yield what mistaken code would return in prediction mode, each with its cause."""
    mean, var = moments(case)
    X, gamma, beta = case.X, case.gamma, case.beta
    yield (
        "you normalize with the mean and the variance of the batch. When predicting, use "
        "moving_mean and moving_var; autograd.is_training(), with its parentheses, tells the mode.",
        training(case),
    )
    yield (
        "the moving averages are updated before you normalize with them. Leave them alone when "
        "predicting.",
        output(case, moving(case, case.mean, mean), moving(case, case.var, var)),
    )
    yield (
        "you use moving_mean, but the variance of the batch. Use moving_var when predicting.",
        output(case, case.mean, var),
    )
    yield (
        "you use moving_var, but the mean of the batch. Use moving_mean when predicting.",
        output(case, mean, case.var),
    )
    yield (
        "you divide by moving_var. Divide by its root: nd.sqrt(moving_var + eps).",
        gamma * (X - case.mean) / (case.var + case.eps) + beta,
    )
    yield (
        "moving_mean is not subtracted. Normalize X - moving_mean.",
        gamma * X / np.sqrt(case.var + case.eps) + beta,
    )
    yield "X comes back as it was. Normalize it with moving_mean and moving_var.", X
    yield from of_scale(case, case.mean, case.var)
