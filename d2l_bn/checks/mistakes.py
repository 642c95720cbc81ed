"""Known mistakes in a student's function: what each of them gives, with its cause.

Whoever compares tries them all, and tells the cause whose numbers are those received. Most are
lines in place of the right ones. What no table has is sought by altering those, `formulas.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import numpy as np

from d2l_bn.checks import formulas
from d2l_bn.checks.cases import Case
from d2l_bn.checks.formulas import altered, listed

Mistakes = Iterator[tuple[str, np.ndarray]]
ORDER = "return Y, moving_mean, moving_var"
RULE = "momentum * old + (1 - momentum) * batch"
_NEW_MEAN = "(momentum * moving_mean + (1 - momentum) * mean)"


_NEW_VAR = "(momentum * moving_var + (1 - momentum) * var)"


def of_training(case: Case) -> Mistakes:
    """Yield what mistaken code would return in training mode, each with its cause."""
    known, statistics = formulas.names(case), formulas.statistics(case)
    lines = (*statistics, formulas.output(case))
    plain = (*statistics, formulas.OUTPUT)
    yield from listed(_OF_TRAINING, plain, known)
    yield from listed(_of_scale("mean", "var"), plain, known)
    yield from altered(lines, known)
    if case.mask is None:
        yield from altered((*statistics, formulas.APART), known)


_AROUND_MOVING = (
    "your variance is taken around the moving mean. Take it around the mean of the batch."
)


_OF_TRAINING = {
    "var = average((X - mean) ** 2) * n / maximum(1, n - 1)": "your variance divides by n - 1. "
    "Batch normalization divides by n, the number of values of a channel: ((X - mean) ** 2)"
    ".mean(...).",
    "var = average(X ** 2)": "your variance is the mean of X ** 2. Subtract the mean before you "
    "square: ((X - mean) ** 2).mean(...).",
    "var = average((X - mean) ** 2) * n": "your variance is a sum. Divide it by n, the number of "
    "values of a channel.",
    "Y = gamma * (X - mean) + beta": "nothing divides by the standard deviation: (X - mean) / "
    "nd.sqrt(var + eps).",
    "Y = X": "X comes back as it was. Normalize it with the mean and the variance of the batch.",
    "var = average(abs(X - mean))": "your variance is the mean of |X - mean|. Square the "
    "differences: ((X - mean) ** 2).",
    "Y = gamma * (X - var) / sqrt(mean + eps) + beta": "the mean and the variance are in each "
    "other's place: (X - mean) / nd.sqrt(var + eps).",
    "var = average((X - moving_mean) ** 2)": _AROUND_MOVING,
    f"var = average((X - {_NEW_MEAN}) ** 2)": _AROUND_MOVING,
    "var = average((X - mean) ** 2) / n": "your variance is divided by n twice: mean() has done "
    "it already.",
    "Y = gamma * (X - low) / (high - low + eps) + beta": "you scale X to the range 0 to 1. "
    "Subtract the mean and divide by the standard deviation.",
    "mean = moving_mean; var = moving_var": "you normalize with the moving averages in training "
    "mode. Use the mean and the variance of the batch while autograd.is_training() is True.",
    f"Y = gamma * (X - {_NEW_MEAN}) / sqrt({_NEW_VAR} + eps) + beta": "you normalize with the new "
    "moving averages in training mode. Use the mean and the variance of the batch; the averages "
    "are for prediction.",
}


def _of_scale(m: str, v: str) -> dict[str, str]:
    """The mistakes in scaling and shifting by the statistics of these names."""
    the_mean, the_var = (m, v) if m != "mean" else ("the mean", "the variance")
    right = f"gamma * (X - {m}) / nd.sqrt({v} + eps) + beta"
    table = {
        "gamma * X / S + beta": f"{the_mean} is not subtracted. Normalize X - {m}, not X.",
        "gamma * (X - M / S) + beta": f"{m} / std is subtracted from X. Put parentheses around "
        f"the difference, which is what is divided: (X - {m}) / nd.sqrt({v} + eps).",
        "(gamma * X - M) / S + beta": f"gamma multiplies X before {the_mean} is subtracted. Put "
        f"parentheses around the difference: {right}.",
        "gamma * X - M / S + beta": f"gamma * X - {m} is another thing than gamma * (X - {m}): "
        f"put parentheses around the difference, and divide it by nd.sqrt({v} + eps).",
        "gamma * X - M + beta": f"gamma * X - {m} is another thing than gamma * (X - {m}), and "
        f"nothing divides it: Y = {right}.",
        "gamma * (X - M) / (V + eps) + beta": f"you divide by {the_var}. Divide by its square "
        f"root: nd.sqrt({v} + eps).",
        "gamma * (X - M) * S + beta": "you multiply by the standard deviation. Divide by it.",
        "gamma * (X + M) / S + beta": f"{the_mean} is added. Subtract it: X - {m}.",
        "gamma * (X - M) / sqrt(V) + beta": "eps is missing. Add it to the variance: nd.sqrt(var + "
        "eps).",
        "gamma * (X - M) / (sqrt(V) + eps) + beta": "eps stands outside the root. Add it to the "
        "variance: nd.sqrt(var + eps), not nd.sqrt(var) + eps.",
        "gamma * (X - M) / sqrt(V + 1e-5) + beta": "eps is fixed at 1e-5 in your code. Use the "
        "argument eps.",
        "(X - M) / S": "gamma and beta are not used: Y = gamma * X_hat + beta.",
        "(X - M) / S + beta": "gamma is not used: Y = gamma * X_hat + beta.",
        "gamma * (X - M) / S": "beta is not used: Y = gamma * X_hat + beta.",
        "beta * (X - M) / S + gamma": "gamma and beta are swapped. gamma multiplies and beta is "
        "added: gamma * X_hat + beta.",
        "gamma * ((X - M) / S + beta)": "beta is scaled too: you return gamma * (X_hat + beta). "
        "It is gamma * X_hat + beta.",
        "gamma * (X - M) / sqrt(gamma ** 2 * V + eps) + beta": "gamma is applied before the "
        "normalization, which takes it out again. Normalize first: Y = gamma * X_hat + beta.",
        "gamma * (X - M) / sqrt(gamma ** 2 * V + eps)": "gamma and beta are applied before the "
        "normalization, which takes them out again. Normalize first, then return gamma * X_hat + "
        "beta.",
        "gamma * (X - M + beta) / S": "beta is divided by the standard deviation, too. Add it "
        "last: gamma * X_hat + beta.",
        "gamma ** 2 * (X - M) / S + beta": "gamma multiplies twice. Y = gamma * X_hat + beta.",
        "gamma * (X - M) / S - beta": "beta is subtracted. It is added: gamma * X_hat + beta.",
        "(X - M) / S / gamma + beta": "you divide by gamma. It multiplies: gamma * X_hat + beta.",
    }
    short = {"M": m, "V": v, "S": f"sqrt({v} + eps)"}
    return {
        "Y = " + "".join(short.get(letter, letter) for letter in line): words
        for line, words in table.items()
    }


def of_moving_mean(case: Case) -> Mistakes:
    """Yield what mistaken code would return as the moving mean, each with its cause."""
    new = "moving_mean = momentum * moving_mean + (1 - momentum) *"
    yield from _of_average(
        case,
        formulas.MOVING_MEAN,
        {
            **_of_update("moving_mean", "mean", "moving_var", "var", "mean"),
            f"{new} var": "the moving mean follows the variance. Average the mean of X.",
            f"{new} average({formulas.OUTPUT[4:]})": "the moving mean follows the output, not the "
            f"input. Average the mean of X: {RULE}, before X is normalized.",
            "moving_mean = momentum * moving_mean": "the moving mean follows the normalized "
            "values, whose mean is 0. Average the mean of X.",
        },
    )


def of_moving_var(case: Case) -> Mistakes:
    """Yield what mistaken code would return as the moving variance, each with its cause."""
    around = (
        "the variance for the moving average is taken around the moving mean. Take it around the "
        "mean of the batch."
    )
    new = {
        "mean": "the moving variance follows the mean. Average the variance of X.",
        "sqrt(var)": "the moving variance follows the standard deviation. Average the variance "
        "itself.",
        "var * n / maximum(1, n - 1)": "your moving variance divides by n - 1, as some frameworks "
        "do. Here it follows the same variance that normalizes, which divides by n.",
        "(var + eps)": "the moving variance has eps in it. Add eps when you divide, not when you "
        "average.",
        "(var + (mean - moving_mean) ** 2)": around,
        f"(var + (mean - {_NEW_MEAN}) ** 2)": around,
        "gamma ** 2 * var / (var + eps)": "the moving variance follows the output, not the input. "
        "Average the variance of X.",
        "var / (var + eps)": "the moving variance follows the normalized values, whose variance is "
        "1. Average the variance of X.",
        "sqrt(var + eps)": "the moving variance follows sqrt(var + eps). Average var.",
    }
    rest = {
        f"moving_var = momentum * moving_var + (1 - momentum) * {value}": words
        for value, words in new.items()
    }
    of_update = _of_update("moving_var", "var", "moving_mean", "mean", "variance")
    yield from _of_average(case, formulas.MOVING_VAR, {**of_update, **rest})


def _of_average(case: Case, line: str, table: dict[str, str]) -> Mistakes:
    known, lines = formulas.names(case), (*formulas.statistics(case), line)
    if case.mask is not None:
        words = "padded places count in it. Take it over the places where the mask is 1."
        counted = "mean = sum(X) / places; var = sum((X - mean) ** 2) / places"
        table = {**table, counted: words, counted.replace("X", "(mask * X)"): words}
    return chain(listed(table, lines, known), altered(lines, known))


def _of_update(a: str, b: str, other: str, other_b: str, word: str) -> dict[str, str]:
    """The mistakes that either moving average can have: `a` follows `b`."""
    table = {
        f"{a}": f"the moving {word} came back as it was. Assign {RULE} to it in training mode and "
        f"return the new value: {ORDER}.",
        f"(1 - momentum) * {a} + momentum * {b}": "momentum is reversed. It weighs the old value: "
        f"{RULE}.",
        f"{b}": f"you return the {word} of the batch. Return the moving average: {RULE}.",
        f"momentum * {a} + {b}": f"(1 - momentum) is missing before the {word} of the batch: "
        f"{RULE}.",
        f"{a} + (1 - momentum) * {b}": f"momentum is missing before the old {word}: {RULE}.",
        f"(1 - momentum) * {b}": f"the old moving {word} is forgotten: {RULE}.",
        f"0.9 * {a} + 0.1 * {b}": "momentum is fixed at 0.9 in your code. Use the argument: "
        f"{RULE}.",
        f"momentum * {a} + 1 - momentum * {b}": f"1 - momentum * {word} lacks parentheses around "
        f"1 - momentum: {RULE}.",
        f"momentum * {other} + (1 - momentum) * {b}": f"the moving {word} takes its old value "
        f"from the other average. Take its own: {RULE}.",
        f"momentum * (momentum * {a} + (1 - momentum) * {b}) + (1 - momentum) * {b}": "the moving "
        f"{word} is updated twice in one call. Update it once.",
        f"momentum * {other} + (1 - momentum) * {other_b}": "the moving mean and the moving "
        f"variance are swapped: {ORDER}.",
    }
    if a == "moving_var":  # the mean is right, and has been updated when the variance is
        table["momentum * moving_mean + (1 - momentum) * mean"] = (
            f"the moving mean comes in the place of the moving variance: {ORDER}."
        )
        table[f"momentum * {_NEW_MEAN} + (1 - momentum) * var"] = table[
            "momentum * moving_mean + (1 - momentum) * var"
        ]
    return {f"{a} = {right}": words for right, words in table.items()}


def of_prediction(case: Case) -> Mistakes:
    """Yield what mistaken code would return in prediction mode, each with its cause."""
    known = formulas.names(case)
    known["mean"], known["var"] = case.moments()
    lines = (formulas.prediction(case),)
    plain = (formulas.PREDICTION,)
    yield from listed(_OF_PREDICTION, plain, known)
    yield from listed(_of_scale("moving_mean", "moving_var"), plain, known)
    yield from altered(lines, known)


_OF_PREDICTION = {
    formulas.OUTPUT: "you normalize with the mean and the variance of the batch. When predicting, "
    "use moving_mean and moving_var; autograd.is_training(), with its parentheses, tells the mode.",
    f"Y = gamma * (X - {_NEW_MEAN}) / sqrt({_NEW_VAR} + eps) + beta": "the moving averages are "
    "updated before you normalize with them. Leave them alone when predicting.",
    "Y = gamma * (X - moving_mean) / sqrt(var + eps) + beta": "you use moving_mean, but the "
    "variance of the batch. Use moving_var when predicting.",
    "Y = gamma * (X - mean) / sqrt(moving_var + eps) + beta": "you use moving_var, but the mean of "
    "the batch. Use moving_mean when predicting.",
    "Y = X": "X comes back as it was. Normalize it with moving_mean and moving_var.",
    "Y = gamma * (X - moving_var) / sqrt(moving_mean + eps) + beta": "moving_mean and moving_var "
    "are in each other's place. Subtract the mean and divide by the root of the variance, and hand "
    "them over in the order that the function has.",
}


def of_cut(case: Case, dY: np.ndarray) -> Mistakes:
    """Yield the gradient of X when a statistic counts as a constant, each with its cause."""
    mean, var = case.moments()
    if case.mask is not None:
        std, slope = np.sqrt(var + case.eps), case.gamma * dY
        X_hat, share = (case.X - mean) / std, case.mask / case.size
        total, along = (each.sum(case.axes, keepdims=True) for each in (slope, slope * X_hat))
        yield (
            "the gradient of the padded places isn't 0: what makes the output 0 there is cut from "
            "the graph. Multiply by the mask, or use nd.where.",
            (slope - share * (total + X_hat * along)) / std,
        )
    dY = case.shown(dY)
    scale = case.gamma / np.sqrt(var + case.eps)
    X_hat = (case.X - mean) / np.sqrt(var + case.eps)
    through_var = X_hat * case.average(dY * X_hat)
    through_mean = case.average(dY)
    rule = (
        "Leave detach(), asnumpy() and autograd.pause() out of the mean and the variance that "
        "normalize X: the gradient goes through both. The moving averages may be detached."
    )
    for words, gradient in (
        ("the mean and the variance are cut from the graph.", scale * dY),
        ("the mean is cut from the graph.", scale * (dY - through_var)),
        ("the variance is cut from the graph.", scale * (dY - through_mean)),
    ):
        yield f"{words} {rule}", case.shown(gradient)
