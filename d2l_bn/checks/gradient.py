"""Checks a gradient that a student derived by hand, for dense inputs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from typing import Callable

import numpy as np

from d2l_bn.checks import derivation, leftover
from d2l_bn.checks.asking import Check
from d2l_bn.checks.cases import Case, close, make
from d2l_bn.checks.phrases import Cause, said

NAMES = ("dX", "dgamma", "dbeta")
EXACT = 1e-9  # relative: float64 gives fifteen digits, a difference quotient hardly ten
LONG, WIDE = (40000, 5), (100, 4000)  # many examples; many features
SECONDS = 3.0  # for a large batch, which sums over the batch take a few hundredths of
TIMES = 300  # as long as the right gradient may it take where the machine is that slow


def backward(
    candidate: Callable,
    *parts: str,
    allow_library: bool = False,
    by_hand: bool = True,
    framework: str = "numpy",
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
    framework : {"numpy", "torch"}, default "numpy"
        Whose arrays they are, in place of NumPy's.

    Raises
    ------
    CheckFailed
        At the first property that does not hold.
    ValueError
        If a part is unknown.
    """
    known: dict[str, Callable[[Check], str]] = {
        part: partial(_compare, part=f"gradient of {words}", index=index)
        for part, words, index in (("beta", "beta", 2), ("gamma", "gamma", 1), ("input", "X", 0))
    }
    known["precision"] = _precision
    Check.of(candidate, allow_library, framework, by_hand=by_hand).run(known, parts)


def _cases(check: Check) -> Iterator[tuple[Case, np.ndarray]]:
    """Yield the inputs: two to read, with and without a scale, then others."""
    X, dY = [[1, 2], [3, 6], [5, 1]], np.array([[1.0, 0], [0, 2], [1, 1]])
    yield make(X), dY
    yield make(X, gamma=[2, -1], eps=0.5), dY
    for number, shape in enumerate([(3, 2), (5, 3), (4, 4), (8, 1)]):
        case = check.draw(shape, 200 + number, eps=0.1)
        yield case, check.draw(shape, 300 + number).X


def _compare(check: Check, part: str, index: int) -> str:
    name = NAMES[index]
    for case, dY in _cases(check):
        here = check.at(part, dY=dY, X=case.X, gamma=case.gamma.reshape(-1), eps=case.eps)
        values = _call(here, case, dY)
        expected = case.gradients(dY)[index]
        if index:
            expected = expected.reshape(-1)
        value = values[index]
        if value.shape != expected.shape:
            other_order = value.shape == case.X.shape != values[0].shape
            turned = index == 0 and value.shape == expected.shape[::-1]
            label = "shape" if index else "turned" if turned else "shape of dX"
            label = f"gradient: {'order' if other_order else label}"
            here.shape(name, value, expected.shape, said(label, name=name, what=name[1:]))
        here.finite(name, value, said("NaN: eps"))
        if not close(value, expected, EXACT):
            cause = _swapped(values, index, case, dY) or _cause(here, index, case, value)
            if index == 0 and not cause.named:
                gamma = case.gradients(dY)[1].reshape(-1)
                cause = cause if close(values[1], gamma, EXACT) else said("first: gamma")
            here.fail(f"{name} is wrong.", expected, value, cause)
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
        here.blame("gradient: step", expected * scale, received * scale)


def _precision(check: Check) -> str:
    """Check inputs that are far from zero, where E[x^2] - E[x]^2 has few digits left."""
    part = "precision"
    case, dY = check.draw((16, 3), 404, offset=1e5), check.draw((16, 3), 405).X
    here = check.at(part, dY=dY, X=case.X, gamma=case.gamma.reshape(-1), eps=case.eps)
    for name, received, right in zip(NAMES, _call(here, case, dY), case.gradients(dY)):
        expected = right if name == "dX" else right.reshape(-1)
        if not close(received.reshape(expected.shape), expected, 1e-8):
            here.blame("gradient: precision", expected, received, name=name)
    return part


def _cause(check: Check, index: int, case: Case, received: np.ndarray) -> Cause:
    """The cause of wrong numbers, on inputs where no two slips give the same numbers."""
    instances = []
    for number in (0, 1):
        other = check.draw((7 + number, 4 - number), 900 + number, eps=0.1)
        dY = check.draw(other.X.shape, 910 + number).X
        expected, theirs = other.gradients(dY)[index], _call(check, other, dY)[index]
        if theirs.size == expected.size and np.isfinite(theirs).all():
            theirs = theirs.reshape(expected.shape)
            if not close(theirs, expected, EXACT):
                instances.append((other, dY, theirs))
    if not instances:
        return Cause()
    name = NAMES[index]
    found = derivation.of_gradient(instances, name)
    if found.named:
        return found
    if close(instances[0][2], instances[0][0].gradients(instances[0][1])[index], 1e-4):
        return said("gradient: float32" if _in_float32(*instances[0], index) else "rough")
    largest = abs(instances[0][2]).max()
    if (abs(instances[0][2]) == largest).sum() > 1 and found.label == "left: gradient":
        return said("gradient: limit", name=name, limit=f"{largest:.4g}")
    return _columns(*instances[0], index) or (
        found if index else leftover.of_gradient(case, received)
    )


def _in_float32(case: Case, dY: np.ndarray, received: np.ndarray, index: int) -> bool:
    """Whether these are a float32's digits, or the right ones from inputs that are."""
    short = lambda each: each.astype(np.float32).astype(np.float64)  # noqa: E731
    if np.array_equal(short(received), received):
        return True
    for k in range(1, 8):
        X, gamma, dy = (
            short(v) if k >> i & 1 else v for i, v in enumerate((case.X, case.gamma, dY))
        )
        if close(received, case._replace(X=X, gamma=gamma).gradients(dy)[index], EXACT):
            return True
    return False


def _columns(case: Case, dY: np.ndarray, received: np.ndarray, index: int) -> Cause:
    """Say which features are wrong, if others are right."""
    wrong = ~np.isclose(received, case.gradients(dY)[index], EXACT, EXACT).all(0)
    if wrong.all():
        return Cause()
    features = ", ".join(map(str, np.flatnonzero(wrong)))
    label = "left: columns" if received[:, wrong].any() else "columns"
    return said(label, name=NAMES[index], features=features, of=len(wrong) - 1)


def _large(check: Check, part: str, shape: tuple[int, int]) -> None:
    """Say so if a large input takes too long, as with one call of the forward pass for each value.

    It grows step by step, and its time may grow with it, so that nobody waits for long. What the
    right gradient takes here and now says how busy the machine is.
    """
    for share in (0.02, 0.06, 0.12, 0.25, 0.5, 1):
        shape_now = tuple(max(5, int(share * length)) for length in shape)
        case, dY = check.draw(shape_now, 400, eps=0.1), check.draw(shape_now, 401).X
        here = check.at(part, dY=dY, X=case.X, gamma=case.gamma.reshape(-1), eps=case.eps)
        for _ in range(3):
            ours = _seconds(time.thread_time, case.gradients, dY)
            took = _seconds(check.respondent.clock, _call, here, case, dY)
            limit = max(SECONDS * max(share, 0.1), TIMES * ours)
            if not limit < took < 2 * limit:
                break
        if took > limit:
            given = {"X": f"an array of shape {shape_now}"}
            here.blame("gradient: slow", given=given, limit=f"{limit:.3g}")


def _seconds(clock: Callable[[], float], run: Callable, *arguments) -> float:
    start = clock()
    run(*arguments)
    return clock() - start


def _swapped(values: list[np.ndarray], index: int, case: Case, dY: np.ndarray) -> Cause:
    """The cause if dgamma or dbeta is the other one, and the other isn't right, either."""
    right = [each.reshape(-1) for each in case.gradients(dY)[1:]]
    alike = [[close(each.reshape(-1), other) for other in right] for each in values[1:]]
    crosswise = (alike[0][1] and not alike[1][1]) or (alike[1][0] and not alike[0][0])
    return said("gradient: swapped") if index and crosswise else Cause()


def _call(check: Check, case: Case, dY: np.ndarray) -> list[np.ndarray]:
    """Call the function, and check what it returns and leaves behind, but not the numbers."""
    given = {"dY": dY, "X": case.X, "gamma": case.gamma.reshape(-1)}
    answer = check.ask("call", arguments=[*given.values(), case.eps])
    for (name, before), after in zip(given.items(), answer["after"]):
        if not close(np.asarray(after, np.float64), before, 1e-5):
            given = {f"{name} before the call": before}
            check.blame("in place", received=after, given=given, name=name)
    return check.three_values(answer["result"], NAMES, "NumPy")
