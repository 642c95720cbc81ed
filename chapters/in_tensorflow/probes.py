"""Probes that find out a layer's conventions from what it makes of known data."""

from __future__ import annotations

import functools
from typing import NamedTuple, Optional

import numpy as np
from in_tensorflow.one_step import Layer, Run, make_case

from d2l_bn.reference.mathematics import moments

DENSE, IMAGES = (6, 3), (3, 3, 2, 2)  # few values a channel, so that n / (n - 1) is far from 1


class Conventions(NamedTuple):
    """What a layer decides.

    Attributes
    ----------
    unbiased : dict of int to bool
        Whether the variance in the moving average is unbiased, by the rank of the input.
    start_mean, start_var : float
        The moving averages of a new layer.
    side : {"old", "new"} or None
        What an option named momentum weighs; None without such an option.
    keep : float
        The weight of the old value in the moving averages.
    eps : float
        What is added to the variance.
    gamma : {"trained", "fixed at 1", "none"}
        What becomes of the scale.
    updates : str
        What it takes to move the averages.
    modes : dict of str to str
        "on" (training) or "off", where the mode isn't named, by the place of the call.
    """

    unbiased: dict[int, bool]
    start_mean: float
    start_var: float
    side: Optional[str]
    keep: float
    eps: float
    gamma: str
    updates: str
    modes: dict[str, str]


@functools.cache
def probe(layer: Layer) -> Conventions:
    """Run the layer on known data and infer its conventions."""
    dense, images = make_case(DENSE), make_case(IMAGES)
    run = layer.run(dense)
    gamma = find_gamma(run)
    return Conventions(
        {2: is_unbiased(dense.X, run), 4: is_unbiased(images.X, layer.run(images))},
        the_one(run.start_mean),
        the_one(run.start_var),
        None if "momentum" in layer.yours else find_side(layer),
        find_keep(dense.X, run),
        find_eps(layer, gamma),
        gamma,
        run.updates,
        {place: find_mode(Y, run) for place, Y in run.Y_default.items()},
    )


def batch_statistics(X: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Mean and biased variance of each channel, in float64, and the number of its values."""
    mean, var = (values.reshape(-1) for values in moments(X))
    return mean, var, X.size // X.shape[1]


def find_keep(X: np.ndarray, run: Run) -> float:
    """Solve mean = keep * start + (1 - keep) * mu for keep."""
    mu, _, _ = batch_statistics(X)
    return the_one((run.mean - mu) / (run.start_mean - mu))


def is_unbiased(X: np.ndarray, run: Run) -> bool:
    """Solve var = keep * start + (1 - keep) * s2, and see which of the two estimators s2 is."""
    _, biased, n = batch_statistics(X)
    keep = find_keep(X, run)
    ratio = the_one((run.var - keep * run.start_var) / (1 - keep) / biased, digits=3)
    candidates = {round(n / (n - 1), 3): True, 1: False}
    if ratio not in candidates:
        raise ValueError(f"the moving variance must average the biased or the unbiased variance, "
                         f"got {ratio} times the biased one")  # fmt: skip
    return candidates[ratio]


def find_side(layer: Layer) -> str:
    """Set momentum to 1/4, and see whether 1/4 or 3/4 of the old value is left."""
    case = make_case(DENSE)
    return {0.25: "old", 0.75: "new"}[find_keep(case.X, layer.run(case, momentum=0.25))]


def find_eps(layer: Layer, gamma: str) -> float:
    """Solve var(Y) = gamma^2 var / (var + eps) for eps, where var is as small as eps."""
    case = make_case(DENSE, mean=0, std=0.01)
    _, var, _ = batch_statistics(case.X)
    _, var_Y, _ = batch_statistics(layer.run(case).Y)
    scale = case.gamma if gamma == "trained" else 1
    return the_one(1e5 * (scale**2 * var / var_Y - var), digits=0) / 1e5


def find_gamma(run: Run) -> str:
    """No gamma, one that gets no gradient, or one that is trained."""
    if run.dgamma is None:
        return "none"
    return "trained" if run.dgamma.any() else "fixed at 1"


def find_mode(Y: np.ndarray, run: Run) -> str:
    """See which of the two outputs `Y` is."""
    (mode,) = (
        mode
        for mode, expected in (("on", run.Y), ("off", run.Y_predict))
        if np.allclose(Y, expected, rtol=0, atol=1e-5)
    )
    return mode


def the_one(values: np.ndarray, digits: int = 4) -> float:
    """Return the value that all channels share, rounded."""
    shared = set(np.round(np.asarray(values, np.float64), digits) + 0.0)
    if len(shared) != 1:
        raise ValueError(f"all channels must follow one convention, got {sorted(shared)}")
    return float(shared.pop())
