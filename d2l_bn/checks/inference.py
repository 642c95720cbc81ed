"""What a wrong answer says of itself: with which statistics, or which factors, it was computed."""

from __future__ import annotations

import numpy as np

from d2l_bn.checks.cases import Case, close

UNKNOWN = "not one of the known mistakes."


def of_output(case: Case, Y: np.ndarray, mean: np.ndarray, var: np.ndarray, whose: str) -> str:
    """Return what is known of the statistics that gave `Y` in place of `mean` and `var`.

    A normalized channel is a straight line over its inputs, Y = a X + b. With a = gamma / std and
    b = beta - a mean, the line says which mean and which standard deviation were used.
    """
    middle = case.average(case.X)
    spread = case.average((case.X - middle) ** 2)
    if not spread.all():
        return UNKNOWN
    a = case.average((case.X - middle) * Y) / spread
    if not a.all():
        return UNKNOWN
    b = case.average(Y) - a * middle
    if not close(case.shown(a * case.X + b), Y, 1e-3):
        return (
            f"{UNKNOWN} The values of a channel are not all scaled and shifted alike, as they are "
            "by one mean, one variance, one gamma and one beta for each channel."
        )
    if not (case.gamma / a > 0).all():
        return UNKNOWN
    used, squared = (case.beta - b) / a, (case.gamma / a) ** 2
    if close(used, mean, 1e-3):
        eps = squared - var
        alike = close(eps, np.full_like(eps, eps.mean()), 1e-3 * eps.mean())
        if alike and eps.mean() > 1e-9 and abs(eps.mean() / case.eps - 1) > 0.05:
            return f"eps acts as {eps.mean():.3g} in your code. Here it is {case.eps:g}."
        share = _share(squared - case.eps, var)
        words = "your variance" if share else ""
    else:
        share = _share(used, mean)
        words = "your mean" if share else ""
    if words and close(case.size / share, np.round(case.size / share), 1e-3):
        return (
            f"{words} is {share:.4g} times that of {whose}, as if a sum were divided by "
            f"{case.size / share:.4g}, where a channel has {case.size} values that count."
        )
    return (
        f"{UNKNOWN} Your output is that of mean {_listed(used)} and variance "
        f"{_listed(squared - case.eps)}, where {whose} has {_listed(mean)} and {_listed(var)}."
    )


def of_average(case: Case, name: str, received: np.ndarray, old: np.ndarray, new) -> str:
    """Return what a wrong moving average took from the batch, if it keeps its share of `old`."""
    taken = (received - case.momentum * old) / (1 - case.momentum)
    share = _share(taken, new)
    times = f", {share:.4g} times that," if share else ""
    return (
        f"{UNKNOWN} Beside momentum times its old value, your {name} takes (1 - momentum) times "
        f"{_listed(taken)}{times} where the batch has {_listed(new)}."
    )


def of_gradient(case: Case, dY: np.ndarray, dX: np.ndarray) -> str:
    """Return which of the three ways from X to the output has a wrong factor in `dX`."""
    mean, var = case.moments()
    std = np.sqrt(var + case.eps)
    X_hat = (case.X - mean) / std
    ways = [dY, dY.mean(0) + 0 * dY, X_hat * (dY * X_hat).mean(0)]
    basis = np.stack([(case.gamma / std * way).reshape(-1) for way in ways], axis=1)
    factors = np.linalg.lstsq(basis, dX.reshape(-1), rcond=None)[0] * [1, -1, -1]
    if not close(basis @ (factors * [1, -1, -1]), dX.reshape(-1), 1e-6):
        return ""
    if np.ptp(factors) < 1e-6:
        return f"dX is {factors[0]:.4g} times too large. Where does m stand, and where gamma?"
    for way, factor in zip(
        ("direct way", "path through the mean", "path through the variance"), factors
    ):
        if abs(factor - 1) > 1e-6:
            return f"the {way} counts {factor:.4g} times. It counts once."
    return ""


def _share(received: np.ndarray, right: np.ndarray) -> float:
    """Return the number, other than 1, that `received` is `right` times, and 0 if there is none.

    One channel alone would fit whatever it is.
    """
    share = float((received * right).sum() / max((right**2).sum(), 1e-12))
    alike = received.size > 1 and close(received, share * right, 1e-3)
    return share if alike and share > 1e-3 and abs(share - 1) > 1e-3 else 0.0


def _listed(values: np.ndarray) -> list[float]:
    return [float(f"{value:.3g}") for value in values.reshape(-1)]
