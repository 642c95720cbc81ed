"""What an answer that no slip explains says of itself: no guess, only what its numbers show."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from d2l_bn.checks.cases import Case, close
from d2l_bn.checks.phrases import Cause, said


def fitted(received: np.ndarray, basis: Sequence[np.ndarray], tolerance: float = 2e-5):
    """The coefficients that make these numbers of those of a basis; None if none do."""
    columns = np.stack([np.broadcast_to(each, received.shape).reshape(-1) for each in basis], 1)
    found, _, rank, _ = np.linalg.lstsq(columns, received.reshape(-1), rcond=None)
    fits = close(columns @ found, received.reshape(-1), tolerance)
    return found if fits and rank == len(basis) < received.size else None


def of_output(case: Case, Y: np.ndarray, training: bool) -> Cause:
    """What is known of a wrong output."""
    right = case.right(training)
    if close(Y, right, 3e-3):
        return said("left: rough")
    found = _multiple(case, Y, right) or _places(case, Y, right) or _statistics(case, Y, training)
    label = getattr(found, "label", "left: output")
    return Cause(found, label) if found else said("left: unknown")


def _multiple(case: Case, received: np.ndarray, right: np.ndarray) -> str:
    """Whether the output is the right one times a number, or plus one."""
    Y, right = received[case.counted], right[case.counted]
    found = fitted(Y, [right, np.ones(1)]) if len(Y) > 4 else None
    if found is None or abs(found[0]) < 1e-6:
        return ""
    a, b = found
    times = f"{a:.4g} times the right one" if abs(a - 1) > 1e-3 else "the right one"
    return f"your output is {times}{f' plus {b:.4g}' * bool(abs(b) > 1e-3)}, everywhere."


def _places(case: Case, received: np.ndarray, right: np.ndarray) -> str:
    """Whether the right values stand in other places, or only some of them are right."""
    X, theirs, right = (np.moveaxis(each, 1, case.axis) for each in (case.X, received, right))
    if close(np.sort(theirs.reshape(-1)), np.sort(right.reshape(-1)), 2e-5):
        for axis in range(theirs.ndim):
            if close(np.flip(theirs, axis), right, 2e-5):
                return f"the output is turned round along axis {axis}: what is last comes first."
        return said("places")
    wrong = ~np.isclose(theirs, right, atol=2e-5 * max(1, abs(right).max()), rtol=0)
    for axis in range(theirs.ndim):
        some = wrong.any(tuple(other for other in range(theirs.ndim) if other != axis))
        if not some.all():
            there, given = (np.compress(some, values, axis) for values in (theirs, X))
            what = ", where it is 0" * close(there, 0 * there)
            what = what or ", where it is X" * close(there, given)
            index = f"Y[{':, ' * axis}i] with i in {np.flatnonzero(some).tolist()}"
            return f"the output is right but for {index}{what}."
    zero = ((received == 0) & case.counted).all(1)
    if case.mask is not None and zero.any():
        places = np.argwhere(zero)[:4].tolist()
        return f"the output is 0 at the places (sentence, word) {places}, where the mask is 1."
    return ""


def used(case: Case, Y: np.ndarray):
    """Return the mean and the variance, eps included, that gave `Y`, or None if none did.

    A normalized channel is a straight line over its inputs, Y = a X + b. With a = gamma / std and
    b = beta - a mean, the line says which mean and which standard deviation were used.
    """
    middle = case.average(case.X)
    with np.errstate(all="ignore"):
        a = case.average((case.X - middle) * Y) / case.average((case.X - middle) ** 2)
        b = case.average(Y) - a * middle
        if (case.gamma / a > 0).all() and close(case.shown(a * case.X + b), Y):
            return (case.beta - b) / a, (case.gamma / a) ** 2
    return None


def _statistics(case: Case, Y: np.ndarray, training: bool) -> str:
    """With which statistics a wrong output was computed, or ""."""
    found = used(case, Y)
    if found is None:
        return ""
    mean, var = case.moments() if training else (case.mean, case.var)
    whose, lines = "the batch" if training else "the moving average", []
    for what, its, right in zip(("mean", "variance, with eps,"), found, (mean, var + case.eps)):
        line = f"your {what} is {_listed(its)}, where {whose} has {_listed(right)}"
        lines.append(f"the {what[:8]} is right" if close(its, right, 1e-3) else line)
    return "; ".join(lines) + "."


def of_average(case: Case, received: np.ndarray, name: str, which: int) -> Cause:
    """Which shares of its old value and of the batch a wrong moving average has."""
    old, new, p = (case.mean, case.var)[which], case.moments()[which], case.momentum
    for words in ("sqrt", "square", "negative", "abs"):
        with np.errstate(all="ignore"):
            if close(getattr(np, words)(case.moving(old, new)), received, 2e-5):
                return said("average: function", what=words, own=name)
    found = fitted(received, [old, new])
    if found is not None:
        shares = (f"{share:.4g}" for share in (*found, p, 1 - p))
        return said("average: shares", own=name, **dict(zip("abpq", shares)))
    its = _listed((received - p * old) / (1 - p))
    return said("left: average", own=name, its=its, new=_listed(new))


def of_gradient(case: Case, dX: np.ndarray) -> Cause:
    """A property of dX that does not hold, to say where to look."""
    mean, var = case.moments()
    X_hat = (case.X - mean) / np.sqrt(var + case.eps)
    for label, sums in (("shift", dX.sum(0)), ("stretch", (dX * X_hat).sum(0))):
        if not close(sums, 0 * sums, 1e-3) and (label == "shift" or case.eps < 1e-4):
            return said(f"left: {label}", sums=np.round(sums, 3).tolist())
    return said("left: dX")


def share(received: np.ndarray, right: np.ndarray) -> float:
    """Return the number, other than 1, that `received` is `right` times, and 0 if there is none.

    One channel alone would fit whatever it is.
    """
    found = fitted(received, [right], 1e-3)
    return 0.0 if found is None or min(abs(found), abs(found - 1)) < 1e-3 else float(found[0])


def _listed(values: np.ndarray) -> list[float]:
    return [float(f"{value:.3g}") for value in values.reshape(-1)]
