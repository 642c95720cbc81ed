"""What an answer that no slip explains says of itself: never a guess, only what its numbers show."""

from __future__ import annotations

import numpy as np

from d2l_bn.checks.cases import Case, close
from d2l_bn.checks.phrases import Cause

UNKNOWN = "not one of the known mistakes."
_ROUGH = (
    "the first digits are right, the others are not. Compute in the type of X: float16 has three "
    "digits, and integers have none after the point."
)


def of_output(case: Case, Y: np.ndarray, training: bool) -> Cause:
    """What is known of a wrong output."""
    right = case.training() if training else case.prediction()
    if close(Y, right, 3e-3):
        return Cause(_ROUGH, "left: rough")
    for label, found in (
        ("multiple", _multiple(case, Y, right)),
        ("places", _places(case, Y, right)),
        ("statistics", _statistics(case, Y, training)),
    ):
        if found:
            return Cause(found, f"left: {label}")
    return Cause(f"{UNKNOWN} No mean and variance of a channel, with its gamma and beta, give "
                 "this.", "left: unknown")  # fmt: skip


def _counted(case: Case) -> np.ndarray:
    return np.broadcast_to(np.ones(1) if case.mask is None else case.mask, case.X.shape) == 1


def _multiple(case: Case, received: np.ndarray, right: np.ndarray) -> str:
    """Whether the output is the right one times a number, or plus one."""
    counted = _counted(case)
    Y, right = received[counted], right[counted]
    basis = np.stack([right, np.ones_like(right)], axis=1)
    (a, b), *_ = np.linalg.lstsq(basis, Y, rcond=None)
    fits = np.abs(basis @ [a, b] - Y).max() <= 2e-5 * max(1, abs(Y).max())
    if len(Y) < 5 or np.ptp(right) == 0 or abs(a) < 1e-6 or not fits:
        return ""
    times = f"{a:.4g} times the right one" if abs(a - 1) > 1e-3 else "the right one"
    return f"your output is {times}{f' plus {b:.4g}' * (abs(b) > 1e-3)}, everywhere."


def _places(case: Case, received: np.ndarray, right: np.ndarray) -> str:
    """Whether the right values stand in other places, or only some of them are right."""
    X, theirs, right = (np.moveaxis(each, 1, case.axis) for each in (case.X, received, right))
    if close(np.sort(theirs.reshape(-1)), np.sort(right.reshape(-1)), 2e-5):
        for axis in range(theirs.ndim):
            if close(np.flip(theirs, axis), right, 2e-5):
                return f"the output is turned round along axis {axis}: what is last comes first."
        return (
            "all values of the output are right, but they stand in other places. A reshape, "
            "transpose or swapaxes isn't undone by its inverse, or is one in place of another."
        )
    wrong = ~np.isclose(theirs, right, atol=2e-5 * max(1, abs(right).max()), rtol=0)
    for axis in range(theirs.ndim):
        some = wrong.any(tuple(other for other in range(theirs.ndim) if other != axis))
        if not some.all():
            there, given = (np.compress(some, values, axis) for values in (theirs, X))
            what = ", where it is 0" * close(there, 0 * there)
            what = what or ", where it is X" * close(there, given)
            which = np.flatnonzero(some).tolist()
            index = ":, " * axis
            return f"the output is right but for Y[{index}i] with i in {which}{what}."
    if case.mask is not None and ((received == 0) & _counted(case)).all(1).any():
        zero = ((received == 0) & _counted(case)).all(1)
        places = np.argwhere(zero)[:4].tolist()
        return f"the output is 0 at the places (sentence, word) {places}, where the mask is 1."
    return ""


def used(case: Case, Y: np.ndarray):
    """Return the mean and the variance, eps included, that gave `Y`, or None if none did.

    A normalized channel is a straight line over its inputs, Y = a X + b. With a = gamma / std and
    b = beta - a mean, the line says which mean and which standard deviation were used.
    """
    middle = case.average(case.X)
    spread = case.average((case.X - middle) ** 2)
    if not spread.all():
        return None
    a = case.average((case.X - middle) * Y) / spread
    b = case.average(Y) - a * middle
    if not (case.gamma / np.where(a, a, -case.gamma) > 0).all():
        return None
    if not close(case.shown(a * case.X + b), Y):
        return None
    return (case.beta - b) / a, (case.gamma / a) ** 2


def _statistics(case: Case, Y: np.ndarray, training: bool) -> str:
    """With which statistics a wrong output was computed, or ""."""
    found = used(case, Y)
    if found is None:
        return ""
    mean, var = case.moments() if training else (case.mean, case.var)
    whose = "the batch" if training else "the moving average"
    its_mean, squared = found
    right, alike = close(its_mean, mean, 1e-3), close(squared, var + case.eps, 1e-3)
    said = (
        "the mean is right."
        if right
        else f"the mean that you subtract is {_listed(its_mean)}, where {whose} has "
        f"{_listed(mean)}."
    )
    if alike:
        return f"{said} The variance is right."
    return (
        f"{said} Your output is that of var + eps = {_listed(squared)}, where {whose} has "
        f"{_listed(var + case.eps)}."
    )


def of_average(case: Case, name: str, received: np.ndarray, which: int) -> Cause:
    """Which shares of its old value and of the batch a wrong moving average has."""
    old, new = (case.mean, case.var)[which], case.moments()[which]
    p, right = case.momentum, f"{case.momentum:.4g} and {1 - case.momentum:.4g}"
    for words, function in (
        ("the root", np.sqrt),
        ("the square", np.square),
        ("the negative", np.negative),
        ("the absolute value", np.abs),
    ):
        with np.errstate(all="ignore"):
            if close(function(case.moving(old, new)), received, 2e-5):
                said = f"{words} of the right {name} is what you return or keep."
                return Cause(said, f"left: {words}")
    basis = np.stack([old.reshape(-1), new.reshape(-1)], axis=1)
    if len(basis) > 2 and np.linalg.matrix_rank(basis) == 2:
        (a, b), *_ = np.linalg.lstsq(basis, received.reshape(-1), rcond=None)
        if close(basis @ [a, b], received.reshape(-1), 2e-5):
            return Cause(
                f"your {name} is {a:.4g} times its old value and {b:.4g} times the batch's. With "
                f"momentum {p:.4g} it is {right} times.",
                "left: shares",
            )
    return Cause(
        f"{UNKNOWN} Beside momentum times its old value, your {name} takes (1 - momentum) times "
        f"{_listed((received - p * old) / (1 - p))} where the batch has {_listed(new)}.",
        "left: average",
    )


def of_gradient(case: Case, dX: np.ndarray) -> Cause:
    """A property of dX that does not hold, to say where to look."""
    mean, var = case.moments()
    X_hat = (case.X - mean) / np.sqrt(var + case.eps)
    for label, sums, words, way in (
        ("shift", dX.sum(0), "Shifting a feature changes no output, so each column of dX", "mean"),
        ("stretch", (dX * X_hat).sum(0), "Stretching a feature changes no output, but for eps, so "
         "each column of dX * X_hat", "variance"),
    ):  # fmt: skip
        if not close(sums, 0 * sums, 1e-3) and (label == "shift" or case.eps < 1e-4):
            return Cause(
                f"{UNKNOWN} {words} sums to 0; yours sum to {np.round(sums, 3).tolist()}. Look at "
                f"the path through the {way}.",
                f"left: {label}",
            )
    return Cause(f"{UNKNOWN} Look at the factors: gamma, the standard deviation, m.", "left: dX")


def share(received: np.ndarray, right: np.ndarray) -> float:
    """Return the number, other than 1, that `received` is `right` times, and 0 if there is none.

    One channel alone would fit whatever it is.
    """
    found = float((received * right).sum() / max((right**2).sum(), 1e-12))
    alike = received.size > 1 and close(received, found * right, 1e-3)
    return found if alike and abs(found) > 1e-3 and abs(found - 1) > 1e-3 else 0.0


def _listed(values: np.ndarray) -> list[float]:
    return [float(f"{value:.3g}") for value in values.reshape(-1)]
