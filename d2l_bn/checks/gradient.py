"""Checks a gradient that a student derived by hand, for dense inputs."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Callable

import numpy as np

from d2l_bn.checks import derivation, formulas, inference
from d2l_bn.checks.asking import Check, matches
from d2l_bn.checks.cases import Case, close, make
from d2l_bn.checks.formulas import altered, listed
from d2l_bn.checks.mistakes import Mistakes

NAMES = ("dX", "dgamma", "dbeta")
EXACT = 1e-9  # relative: float64 gives fifteen digits, a difference quotient hardly ten
LONG, WIDE = (40000, 5), (100, 4000)  # many examples; many features
SECONDS = 3.0  # for a large batch, which sums over the batch take a few hundredths of
TIMES = 300  # as long as the right gradient may it take where the machine is that slow


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
    *parts : {"beta", "gamma", "input", "precision"}
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
    known["precision"] = _precision
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
                or _cause(here, index, causes, case, dY, received)
                or (_ROUGH if close(received, expected, 1e-4) else "")
                or (name == "dX" and _property(received, case, dY))
                or "",
            )
    if index == 0:
        _linear(check, part)
    _large(check, part, LONG if index == 0 else WIDE)
    return part


def _linear(check: Check, part: str) -> None:
    """Say so if dX does not follow dY where features differ by hundreds of powers of ten.

    That is nothing to a gradient that is derived, but a step along dY, even an imaginary one, is
    too short in one feature or too long in another.
    """
    case, dY = check.draw((6, 3), 402, eps=0.1), check.draw((6, 3), 403).X
    scale = np.array([1e-290, 1e10, 1])
    here = check.at(part, dY=dY * scale, X=case.X, gamma=case.gamma.reshape(-1), eps=case.eps)
    received, expected = _call(here, case, dY * scale)[0] / scale, case.gradients(dY)[0]
    if not close(received, expected, EXACT):
        here.fail(
            "dX is wrong where the features of dY have very different sizes.",
            expected=expected * scale,
            received=received * scale,
            cause="a step, be it a small or an imaginary one, takes the place of the derivation. "
            "Derive the gradient: it is linear in dY, of whatever size.",
        )


def _precision(check: Check) -> str:
    """Check inputs that are far from zero, where E[x^2] - E[x]^2 has few digits left."""
    part = "precision"
    case, dY = check.draw((16, 3), 404, offset=1e5), check.draw((16, 3), 405).X
    here = check.at(part, dY=dY, X=case.X, gamma=case.gamma.reshape(-1), eps=case.eps)
    for name, received, right in zip(NAMES, _call(here, case, dY), case.gradients(dY)):
        expected = right if name == "dX" else right.reshape(-1)
        if not close(received.reshape(expected.shape), expected, 1e-8):
            here.fail(
                f"{name} is wrong for inputs far from zero.",
                expected=expected,
                received=received,
                cause="the variance is the mean of the squares minus the square of the mean, two "
                "large numbers. Subtract the mean first, then square.",
            )
    return part


def _cause(check: Check, index: int, causes: Callable, case: Case, dY, received) -> str:
    """Return the mistake that explains wrong numbers here and, if any does, on one more input.

    On a small input two mistakes may give the same numbers.
    """
    general = check.draw((7, 4), 900, eps=0.1)
    slope = check.draw((7, 4), 901).X
    expected = general.gradients(slope)[index]
    theirs = _call(check, general, slope)[index]
    right = case.gradients(dY)[index].reshape(received.shape)
    here = list(matches(causes(case, dY), received, right))
    if theirs.size != expected.size:
        return next(iter(here), "")
    there = list(matches(causes(general, slope), theirs.reshape(expected.shape), expected))
    known = next(iter([cause for cause in there if cause in here] or there), "")
    if known or close(theirs.reshape(expected.shape), expected, EXACT):
        return known
    if index:
        return derivation.of_sum(general, slope, NAMES[index], theirs)
    return inference.of_gradient(general, slope, theirs) or derivation.of_input(
        general, slope, theirs
    )


def _large(check: Check, part: str, shape: tuple[int, int]) -> None:
    """Say so if a large input takes too long, as with one call of the forward pass for each value.

    It grows step by step, so that nobody waits for long. What the right gradient takes here and now
    says how busy the machine is.
    """
    for share in (0.02, 0.06, 0.12, 0.25, 0.5, 1):
        shape_now = tuple(max(5, int(share * length)) for length in shape)
        case, dY = check.draw(shape_now, 400, eps=0.1), check.draw(shape_now, 401).X
        here = check.at(part, dY=dY, X=case.X, gamma=case.gamma.reshape(-1), eps=case.eps)
        for _ in range(3):
            ours = _seconds(time.thread_time, case.gradients, dY)
            took = _seconds(check.respondent.clock, _call, here, case, dY)
            limit = max(SECONDS, TIMES * ours)
            if not limit < took < 2 * limit:
                break
        if took > limit:
            replace(here, given={"X": f"an array of shape {shape_now}"}).fail(
                f"your function takes more than {limit:.3g} seconds.",
                cause="it goes over pairs of values, or calls the forward pass once for each of "
                "them, as difference quotients do. Derive the gradient: sums over the batch are "
                "all that it needs.",
            )


def _seconds(clock: Callable[[], float], run: Callable, *arguments) -> float:
    start = clock()
    run(*arguments)
    return clock() - start


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
    known = formulas.names(case, dY=dY)
    yield from listed(_OF_BETA, formulas.BETA, known)
    _, dgamma, _ = case.gradients(dY)
    yield "dbeta has X_hat in it, as dgamma has. beta is added: sum dY alone.", dgamma
    if case.X.shape[0] == case.X.shape[1]:
        yield "dbeta is summed over the features. Sum over the batch, axis 0.", dY.sum(1)
    yield from altered(formulas.BETA, known)


_OF_BETA = {
    "dbeta = sum(dY) / count": "dbeta is a mean over the batch. It is a sum: each example adds its "
    "dY.",
    "dbeta = sum(gamma * dY)": "dbeta has gamma in it. beta is added after gamma has multiplied.",
    "dbeta = 0": "dbeta is 0. beta is added to each example: sum their dY.",
}


def of_gamma(case: Case, dY: np.ndarray) -> Mistakes:
    """Yield what mistaken derivations give for dgamma, each with its cause."""
    known = formulas.names(case, dY=dY)
    deviations = {
        key: f"{words} It belongs to X_hat in dgamma, too." for key, words in _STD.items()
    }
    yield from listed({**_OF_GAMMA, **deviations}, formulas.GAMMA, known)
    yield from altered(formulas.GAMMA, known)


_OF_GAMMA = {
    "dgamma = sum(dY)": "X_hat is missing in dgamma. gamma multiplies X_hat, so each dY counts "
    "X_hat times.",
    "dgamma = sum(dY * X)": "dgamma uses X. gamma multiplies the normalized values, X_hat.",
    "dgamma = sum(dY * (X - mean))": "dgamma uses X - mean, which is not divided by the standard "
    "deviation. It takes X_hat.",
    "dgamma = sum(dY * X_hat) / n": "dgamma is a mean over the batch. It is a sum: each example "
    "adds its own.",
    "dgamma = gamma * sum(dY * X_hat)": "dgamma has gamma in it. The derivative of gamma * X_hat "
    "by gamma is X_hat alone.",
    "dgamma = 0": "dgamma is 0. gamma multiplies X_hat: sum dY * X_hat over the batch.",
}
_STD = {
    "var = sum((X - mean) ** 2) / maximum(1, n - 1)": "the variance divides by m - 1. It divides "
    "by m, as in the forward pass.",
    "std = sqrt(var)": "eps is missing in the standard deviation: sqrt(var + eps).",
    "std = sqrt(var) + eps": "eps stands outside the root. The standard deviation is sqrt(var + "
    "eps).",
    "std = var + eps": "the square root is missing. The standard deviation is sqrt(var + eps).",
}


def of_input(case: Case, dY: np.ndarray) -> Mistakes:
    """Yield what mistaken derivations give for dX, each with its cause."""
    known = formulas.names(case, dY=dY)
    short, long = formulas.INPUT
    yield from listed({**_OF_INPUT, **_STD}, short, known)
    forward = len(formulas.NORMALIZED)
    for place, line in enumerate(formulas.NORMALIZED, 1):
        known[line.split(" = ")[0]] = formulas.value(formulas.NORMALIZED[:place], known)
    for way in (short, long):  # the backward pass itself is the likelier place
        yield from altered(way[forward:], known)
    for way in (short, long):
        yield from altered(way, known)


def _inner(text: str) -> str:
    """The gradient of X with this inside of the parentheses, where M and V stand for its paths."""
    paths = {"M": "sum(g) / n", "V": "X_hat * sum(g * X_hat) / n"}
    return "dX = (" + re.sub(r"\b[MV]\b", lambda letter: paths[letter[0]], text) + ") / std"


_OVER_FEATURES = "the mean of dY goes over the features. Take it over the batch, axis 0."
_OVER_EVERYTHING = "the mean of dY * X_hat goes over everything. Take it over the batch, axis 0."
_OF_INPUT = {
    _inner("g"): "the mean and the variance count as constants. But X reaches the output by three "
    "ways: directly, through the mean, and through the variance.",
    _inner("g - M - V / gamma"): "gamma is missing in the path through the variance. dX_hat = "
    "gamma * dY goes through all three ways.",
    _inner("g - M / gamma - V"): "gamma is missing in the path through the mean. dX_hat = gamma * "
    "dY goes through all three ways.",
    _inner("g - V"): "the path through the mean is forgotten. Each x moves the mean by 1 / m of "
    "itself, and the mean moves every output of that feature.",
    _inner("g - M"): "the path through the variance is forgotten. Each x moves the variance, and "
    "the variance scales every output of that feature.",
    _inner("g - n * M - V"): "dY is summed, not averaged, in the path through the mean: / m is "
    "missing.",
    _inner("g - M - n * V"): "dY * X_hat is summed, not averaged, in the path through the "
    "variance: / m is missing.",
    _inner("g - n * M - n * V"): "/ m is missing in both paths, through the mean and through the "
    "variance.",
    _inner("g - (M + V) * n / maximum(1, n - 1)"): "the paths through the mean and the variance "
    "divide by m - 1. They divide by m.",
    _inner("g + M + V"): "the paths through the mean and the variance are added. Both are "
    "subtracted: they take away what normalization undoes.",
    _inner("g + M - V"): "the path through the mean has the wrong sign.",
    _inner("g - M + V"): "the path through the variance has the wrong sign.",
    _inner("g - M - sum(g * X_hat) / n"): "X_hat is missing in the path through the variance. The "
    "variance moves each output in proportion to its own X_hat.",
    _inner("g - gamma * features(dY) - V"): _OVER_FEATURES,
    _inner("g - features(g) - V"): _OVER_FEATURES,
    _inner("g - M - gamma * X_hat * everything(dY * X_hat)"): _OVER_EVERYTHING,
    _inner("g - M - X_hat * everything(g * X_hat)"): _OVER_EVERYTHING,
    _inner("g - M - V / 2"): "the factor 2 of the square is forgotten in the path through the "
    "variance.",
    _inner("g - M - 2 * V"): "the path through the variance counts 2 times. It counts once.",
    _inner("(g - M - V) / gamma"): "gamma is missing in dX. The output is gamma * X_hat + beta.",
    _inner("(g - M - V) / gamma ** 2"): "gamma divides dX. It multiplies, as in the forward pass.",
    _inner("gamma * (g - M - V)"): "gamma multiplies dX twice. It multiplies once.",
    _inner("(g - M - V) * std"): "the division by the standard deviation is missing in dX. X_hat "
    "= (X - mean) / std.",
    _inner("(g - M - V) * std * std"): "dX is multiplied by the standard deviation. Divide by it.",
    _inner("(g - M - V) / std"): "dX is divided by the variance. Divide by the standard deviation.",
    "dX = g": "dX is gamma * dY, as if nothing were normalized. X_hat depends on X.",
}
