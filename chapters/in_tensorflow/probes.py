"""Probes that find out a layer's conventions from what it makes of known data."""

from __future__ import annotations

import functools
from typing import NamedTuple, Optional

import numpy as np
from in_tensorflow.one_step import Case, Layer, Run, make_case

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
        The weight of the old value in the moving averages, at a second step.
    keep_first : float
        The same at the first step: 0 where the first batch is taken as it is.
    eps : float
        What is added to the variance.
    gamma : {"trained", "fixed at 1", "none"}
        What becomes of the scale.
    updates : str
        What it takes to move the averages.
    modes : dict of str to str
        "on" (training) or "off", where the mode isn't named, by the place of the call.
    own : bool
        Whether a training batch is normalized with its own statistics, also in a second step.
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
    keep_first: float
    own: bool


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
        find_next_keep(dense.X, run),
        find_eps(layer, gamma),
        gamma,
        run.updates,
        {place: find_mode(Y, run) for place, Y in run.Y_default.items()},
        find_keep(dense.X, run),
        uses_its_own(dense, run, gamma),
    )


def batch_statistics(X: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Mean and biased variance of each channel, in float64, and the number of its values."""
    mean, var = (values.reshape(-1) for values in moments(X))
    return mean, var, X.size // X.shape[1]


def find_keep(X: np.ndarray, run: Run) -> float:
    """Solve mean = keep * start + (1 - keep) * mu for keep."""
    mu, _, _ = batch_statistics(X)
    return the_one((run.mean - mu) / (run.start_mean - mu))


def find_next_keep(X: np.ndarray, run: Run) -> float:
    """Solve the same for the second step, where the batch is `-X` and its mean `-mu`."""
    mu, _, _ = batch_statistics(X)
    return the_one((run.mean_next + mu) / (run.mean + mu))


def uses_its_own(case: Case, run: Run, gamma: str) -> bool:
    """Whether the second training batch has the mean beta and the variance gamma^2 as it leaves."""
    mean, var, _ = batch_statistics(run.Y_next)
    scale = case.gamma if gamma == "trained" else 1
    return bool(np.allclose(mean, case.beta, atol=1e-4) and np.allclose(var, scale**2, rtol=1e-2))


def deviations_at(layer: Layer, offset: float) -> tuple[float, float]:
    """The smallest and the largest standard deviation of 64 units' training outputs.

    The inputs have a standard deviation of 1 around a mean of `offset`, in a batch of 256.
    """
    case = make_case((256, 64), mean=offset, std=1, factor=1)
    case = case._replace(gamma=np.ones_like(case.gamma), beta=np.zeros_like(case.beta))
    found = layer.run(case).Y.astype(np.float64).std(axis=0)
    return float(found.min()), float(found.max())


def predicts_with(layer: Layer) -> float:
    """The variance in prediction after one batch of variance 4, from var(Y) = 4 / (var + eps)."""
    case = make_case((1000, 3), mean=0, std=1, factor=1)
    X = 2 * (case.X - case.X.mean(axis=0)) / case.X.std(axis=0)
    case = Case(X, case.dY, np.ones_like(case.gamma), np.zeros_like(case.beta))
    return float(np.mean(4 / batch_statistics(layer.run(case).Y_predict)[1]))


def makes_of_one(layer: Layer) -> str:
    """What becomes of a training batch of one: "zeros", or the name of the error."""
    case = make_case((1, 3))
    case = case._replace(beta=np.zeros_like(case.beta))
    try:
        run = layer.run(case)
    except ValueError as error:
        return type(error).__name__
    first, second = (not Y.any() for Y in (run.Y, run.Y_next))
    return {(True, True): "zeros", (True, False): "zeros at first"}.get((first, second), "neither")


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
    return {0.25: "old", 0.75: "new"}[find_next_keep(case.X, layer.run(case, momentum=0.25))]


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
        for mode, expected in (("on", run.Y_next), ("off", run.Y_next_predict))
        if np.allclose(Y, expected, rtol=0, atol=1e-5)
    )
    return mode


def the_one(values: np.ndarray, digits: int = 4) -> float:
    """Return the value that all channels share, rounded."""
    shared = set(np.round(np.asarray(values, np.float64), digits) + 0.0)
    if len(shared) != 1:
        raise ValueError(f"all channels must follow one convention, got {sorted(shared)}")
    return float(shared.pop())
