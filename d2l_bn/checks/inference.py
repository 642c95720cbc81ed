"""What a wrong answer says of itself: with which statistics, or which factors, it was computed."""

from __future__ import annotations

import numpy as np

from d2l_bn.checks.cases import Case, close

UNKNOWN = "not one of the known mistakes."
ROUGH = (
    "the first digits are right, the others are not. Compute in the type of X: float16 has three "
    "digits, and integers have none after the point."
)


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


def of_output(case: Case, Y: np.ndarray, mean: np.ndarray, var: np.ndarray, whose: str) -> str:
    """Return what is known of the statistics that gave `Y` in place of `mean` and `var`."""
    if case.mask is not None:
        zero = (Y == 0).all(1, keepdims=True) & (case.mask == 1)
        if zero.any():
            places = np.argwhere(zero[:, 0])[:4].tolist()
            return f"the output is 0 at the places (sentence, word) {places}, where the mask is 1."
    found = used(case, Y)
    if found is None:
        return f"{UNKNOWN} No mean and variance of a channel, with its gamma and beta, give this."
    its_mean, squared = found
    if close(its_mean, mean, 1e-3):
        return (
            f"the mean is right. Your output is that of var + eps = {_listed(squared)}, where "
            f"{whose} has {_listed(var + case.eps)}."
        )
    times = share(its_mean, mean)
    if times and close(case.size / times, np.round(case.size / times), 1e-3):
        return (
            f"your mean is {times:.4g} times that of {whose}, as if a sum were divided by "
            f"{case.size / times:.4g}, where a channel has {case.size} values that count."
        )
    variance = "is right" if close(squared, var + case.eps, 1e-3) else "is another one, too"
    return (
        f"the mean that you subtract is {_listed(its_mean)}, where {whose} has {_listed(mean)}. "
        f"The variance {variance}: your output is that of {_listed(squared - case.eps)}, where "
        f"{whose} has {_listed(var)}."
    )


def of_average(case: Case, name: str, received: np.ndarray, old: np.ndarray, new) -> str:
    """Return which shares of its old value and of the batch a wrong moving average has."""
    basis = np.stack([old.reshape(-1), new.reshape(-1)], axis=1)
    p, right = case.momentum, f"{case.momentum:.4g} and {1 - case.momentum:.4g}"
    numbers = np.isfinite(basis).all() and np.isfinite(received).all()
    if numbers and len(basis) > 2 and np.linalg.matrix_rank(basis) == 2:
        (a, b), *_ = np.linalg.lstsq(basis, received.reshape(-1), rcond=None)
        if close(basis @ [a, b], received.reshape(-1), 2e-5):
            return (
                f"your {name} is {a:.4g} times its old value and {b:.4g} times the batch's. With "
                f"momentum {p:.4g} it is {right} times."
            )
    return (
        f"{UNKNOWN} Beside momentum times its old value, your {name} takes (1 - momentum) times "
        f"{_listed((received - p * old) / (1 - p))} where the batch has {_listed(new)}."
    )


def of_gradient(case: Case, dY: np.ndarray, dX: np.ndarray, tolerance: float = 1e-6) -> str:
    """Return which of the three ways from X to the output has a wrong factor in `dX`."""
    mean, var = case.moments()
    std = np.sqrt(var + case.eps)
    X_hat = (case.X - mean) / std
    dY = case.shown(dY)
    ways = [dY, case.average(dY) + 0 * dY, X_hat * case.average(dY * X_hat)]
    counted = np.broadcast_to(np.ones(1) if case.mask is None else case.mask, dX.shape) == 1
    basis = np.stack([(case.gamma / std * way)[counted] for way in ways], axis=1)
    factors = np.linalg.lstsq(basis, dX[counted], rcond=None)[0] * [1, -1, -1]
    if not close(basis @ (factors * [1, -1, -1]), dX[counted], tolerance):
        return ""
    near = 1e-6 if tolerance < 1e-5 else 1e-3
    if np.ptp(factors) < near:
        if abs(factors[0] - 1) < near:
            return ""
        times = _times(case, factors[0])
        return f"dX is {times} times too large. Where does m stand, and where gamma?"
    wrong = [
        f"the {way} counts {_times(case, factor)} times"
        for way, factor in zip(
            ("direct way", "path through the mean", "path through the variance"), factors
        )
        if abs(factor - 1) > near
    ]
    if not wrong:
        return ""
    return f"{', '.join(wrong)}. {'It' if len(wrong) == 1 else 'Each'} counts once."


def _times(case: Case, factor: float) -> str:
    m, d = case.size, case.X.shape[1]
    names = {m: "m", 1 / m: "1 / m", 1 / d: "1 / (number of features)", d: "(number of features)"}
    near = [name for number, name in names.items() if abs(factor / number - 1) < 1e-5]
    return near[0] if near else f"{round(factor, 6) + 0.0:.4g}"


def share(received: np.ndarray, right: np.ndarray) -> float:
    """Return the number, other than 1, that `received` is `right` times, and 0 if there is none.

    One channel alone would fit whatever it is.
    """
    found = float((received * right).sum() / max((right**2).sum(), 1e-12))
    alike = received.size > 1 and close(received, found * right, 1e-3)
    return found if alike and abs(found) > 1e-3 and abs(found - 1) > 1e-3 else 0.0


def _listed(values: np.ndarray) -> list[float]:
    return [float(f"{value:.3g}") for value in values.reshape(-1)]
