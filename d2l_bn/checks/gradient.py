"""Checks a gradient that a student derived by hand, for dense inputs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Callable

import numpy as np

from d2l_bn.checks import inference
from d2l_bn.checks.asking import Check, find
from d2l_bn.checks.cases import Case, close, make
from d2l_bn.checks.mistakes import Mistakes

NAMES = ("dX", "dgamma", "dbeta")
EXACT = 1e-9  # relative: float64 gives fifteen digits, a difference quotient hardly ten
LONG, WIDE = (40000, 5), (100, 4000)  # many examples; many features
SECONDS = 3.0  # for a large batch, which sums over the batch take a few hundredths of


def backward(
    candidate: Callable, *parts: str, allow_library: bool = False, by_hand: bool = True
) -> None:
    """Check a function (dY, X, gamma, eps) -> (dX, dgamma, dbeta) for dense inputs.

    The gradient has to be one that is derived: exact to the digits that float64 has, and computed
    by sums over the batch. Difference quotients fail by the time that a large batch takes.

    Parameters
    ----------
    candidate : callable
        Called with the gradient dY of the output and the input X, shape (m, d), the scale gamma,
        shape (d,), and eps. The arrays are NumPy's, float64, and so are those that it returns.
    *parts : {"beta", "gamma", "input"}
        What to check; without any, everything.
    allow_library : bool, default False
        Accept that `candidate` calls a ready-made normalization, or autograd.
    by_hand : bool, default True
        Whether it may not call autograd.

    Raises
    ------
    CheckFailed
        At the first property that does not hold.
    ValueError
        If a part is unknown.
    """
    known: dict[str, Callable[[Check], str]] = {
        part: partial(_compare, part=f"gradient of {words}", index=index, causes=causes)
        for part, words, index, causes in (
            ("beta", "beta", 2, of_beta),
            ("gamma", "gamma", 1, of_gamma),
            ("input", "X", 0, of_input),
        )
    }
    Check.of(candidate, allow_library, by_hand=by_hand).run(known, parts)


def _cases(check: Check) -> Iterator[tuple[Case, np.ndarray]]:
    """Yield the inputs: two to read, with and without a scale, then others."""
    X, dY = [[1, 2], [3, 6], [5, 1]], np.array([[1.0, 0], [0, 2], [1, 1]])
    yield make(X), dY
    yield make(X, gamma=[2, -1], eps=0.5), dY
    for number, shape in enumerate([(3, 2), (5, 3), (4, 4), (8, 1)]):
        case = check.draw(shape, 200 + number, eps=0.1)
        yield case, check.draw(shape, 300 + number).X


def _compare(check: Check, part: str, index: int, causes: Callable) -> str:
    name = NAMES[index]
    for case, dY in _cases(check):
        here = check.at(part, dY=dY, X=case.X, gamma=case.gamma.reshape(-1), eps=case.eps)
        values = _call(here, case, dY)
        expected = case.gradients(dY)[index]
        if index:
            expected = expected.reshape(-1)
        value = values[index]
        if value.size != expected.size or (index == 0 and value.shape != expected.shape):
            other_order = value.shape == case.X.shape != values[0].shape
            turned = index == 0 and value.shape == expected.shape[::-1]
            here.shape(name, value, expected.shape, _of_shape(name, other_order, turned))
        received = value.reshape(expected.shape)
        here.finite(name, received, "a division by zero. Is eps inside the root?")
        if not close(received, expected, EXACT):
            here.fail(
                f"{name} is wrong.",
                expected=expected,
                received=received,
                cause=_swapped(values, index, case, dY)
                or find(causes(case, dY), received, expected)
                or (_ROUGH if close(received, expected, 1e-4) else "")
                or (name == "dX" and _property(received, case, dY))
                or "",
            )
    _large(check, part, LONG if index == 0 else WIDE)
    return part


def _large(check: Check, part: str, shape: tuple[int, int]) -> None:
    """Say so if a large input takes too long, as with one call of the forward pass for each value.

    It grows step by step, so that nobody waits for long.
    """
    for share in (0.02, 0.06, 0.2, 0.5, 1):
        shape_now = tuple(max(5, int(share * length)) for length in shape)
        case, dY = check.draw(shape_now, 400, eps=0.1), check.draw(shape_now, 401).X
        here = check.at(part, dY=dY, X=case.X, gamma=case.gamma.reshape(-1), eps=case.eps)
        took = _timed(here, case, dY)
        if SECONDS < took < 2 * SECONDS:  # the machine may have been busy
            took = _timed(here, case, dY)
        if took > SECONDS:
            replace(here, given={"X": f"an array of shape {shape_now}"}).fail(
                f"your function takes more than {SECONDS:g} seconds.",
                cause="it goes over pairs of values, or calls the forward pass once for each of "
                "them, as difference quotients do. Derive the gradient: sums over the batch are "
                "all that it needs.",
            )


def _timed(check: Check, case: Case, dY: np.ndarray) -> float:
    """The seconds that a call takes; a long one is told as if the machine did nothing else."""
    start = time.monotonic()
    _call(check, case, dY)
    took = time.monotonic() - start
    return took / _slowdown() if took > SECONDS else took


def _slowdown() -> float:
    """How much longer a program takes now than on an idle machine, from a tenth of a second."""
    start, used = time.monotonic(), time.thread_time()
    while time.thread_time() - used < 0.1:
        pass
    return max(1.0, (time.monotonic() - start) / (time.thread_time() - used))


_ROUGH = (
    "the first digits are right, but not all that float64 has. A difference quotient gives such "
    "numbers, and so does float32. Derive the gradient, and compute it in the type of X."
)


def _swapped(values: list[np.ndarray], index: int, case: Case, dY: np.ndarray) -> str:
    """Return the cause if dgamma and dbeta are each other's."""
    _, *right = case.gradients(dY)
    found = [value.reshape(1, -1) for value in values[1:]]
    if index and all(close(a, b.reshape(1, -1)) for a, b in zip(found, right[::-1])):
        return "dgamma and dbeta are swapped: return dX, dgamma, dbeta."
    return ""


def _of_shape(name: str, other_order: bool, turned: bool) -> str:
    if other_order:
        return "the order is another one: return dX, dgamma, dbeta."
    if turned:
        return f"{name} is turned. It has the shape of X."
    if name == "dX":
        return "dX has one value for each value of X. The sums over the batch stand inside it."
    return (
        f"{name} has one value for each feature, as {name[1:]} has. A sum over axis 0 is missing "
        "or goes over another axis."
    )


def _property(dX: np.ndarray, case: Case, dY: np.ndarray) -> str:
    """Return a property of dX that does not hold, to say where to look."""
    found = inference.of_gradient(case, dY, dX)
    if found:
        return found
    mean, var = case.moments()
    sums = dX.sum(0)
    if not close(sums, 0 * sums, 1e-3):
        return (
            f"{inference.UNKNOWN} Shifting a feature changes no output, so each column of dX sums "
            f"to 0; yours sum to {np.round(sums, 3).tolist()}. Look at the path through the mean."
        )
    sums = (dX * (case.X - mean) / np.sqrt(var + case.eps)).sum(0)
    if case.eps < 1e-4 and not close(sums, 0 * sums, 1e-3):
        return (
            f"{inference.UNKNOWN} Stretching a feature changes no output, but for eps, so each "
            f"column of dX * X_hat sums to 0; yours sum to {np.round(sums, 3).tolist()}. Look at "
            "the path through the variance."
        )
    return f"{inference.UNKNOWN} Look at the factors: gamma, the standard deviation, m."


def _call(check: Check, case: Case, dY: np.ndarray) -> list[np.ndarray]:
    """Call the function, and check what it returns and leaves behind, but not the numbers."""
    given = {"dY": dY, "X": case.X, "gamma": case.gamma.reshape(-1)}
    answer = check.ask("call", arguments=[*given.values(), case.eps])
    for (name, before), after in zip(given.items(), answer["after"]):
        if not close(np.asarray(after, np.float64), before, 1e-5):
            replace(check, given={f"{name} before the call": before}).fail(
                f"your function changes its argument {name} in place.",
                received=after,
                cause="+=, -=, *=, /= and [:] = write into the caller's array. Make a new one.",
            )
    return check.three_values(answer["result"], NAMES, "NumPy")


def of_beta(case: Case, dY: np.ndarray) -> Mistakes:
    """Yield what mistaken derivations give for dbeta, each with its cause."""
    yield "dbeta is a mean over the batch. It is a sum: each example adds its dY.", dY.mean(0)
    yield (
        "dbeta has gamma in it. beta is added after gamma has multiplied.",
        (dY * case.gamma).sum(0),
    )
    _, dgamma, _ = case.gradients(dY)
    yield "dgamma and dbeta are swapped: return dX, dgamma, dbeta.", dgamma
    if case.X.shape[0] == case.X.shape[1]:
        yield "dbeta is summed over the features. Sum over the batch, axis 0.", dY.sum(1)
    yield "dbeta is 0. beta is added to each example: sum their dY.", 0 * dgamma


def of_gamma(case: Case, dY: np.ndarray) -> Mistakes:
    """Yield what mistaken derivations give for dgamma, each with its cause."""
    X, n = case.X, case.size
    mean, _ = case.moments()
    _, dgamma, dbeta = case.gradients(dY)
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


def _deviations(case: Case) -> Mistakes:
    """Yield standard deviations that are slightly wrong."""
    _, var = case.moments()
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


def of_input(case: Case, dY: np.ndarray) -> Mistakes:
    """Yield what mistaken derivations give for dX, each with its cause."""
    gamma, n = case.gamma, case.size
    mean, var = case.moments()
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
            "the mean of dY goes over the features. Take it over the batch, axis 0.",
            dY - dY.mean(1, keepdims=True) - by_var,
        ),
        (
            "the mean of dY * X_hat goes over everything. Take it over the batch, axis 0.",
            dY - by_mean - X_hat * (dY * X_hat).mean(),
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
