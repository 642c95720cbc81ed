"""One set of weights in every layer: what comes out, what differs, and why."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from in_tensorflow.layers import Case, Layer, Run, all_layers, make_case, missing
from in_tensorflow.probes import Conventions, batch_statistics, probe

SHAPES = {"dense": (16, 3), "images": (4, 3, 3, 4)}
FIELDS = ("Y", "dX", "dgamma", "dbeta", "mean", "var", "Y_predict")
OURS = Conventions(
    unbiased={2: False, 4: False}, start_mean=0, start_var=0, side="old", keep=0.9, eps=1e-5,
    gamma="trained", updates="forward", modes={},
)  # fmt: skip


class Expected(NamedTuple):
    """What a layer with given conventions must make of a case, in float64; fields as in `Run`."""

    Y: np.ndarray
    dX: np.ndarray
    dgamma: np.ndarray
    dbeta: np.ndarray
    mean: np.ndarray
    var: np.ndarray
    Y_predict: np.ndarray


def differences(aligned: bool = False) -> list[dict]:
    """Give every layer the same weights, input and gradient, and compare with ours, done by hand.

    Parameters
    ----------
    aligned : bool, default False
        Set every option to our value: eps, momentum, the start of the averages, a trained gamma.
        Otherwise each layer keeps its defaults.

    Returns
    -------
    list of dict
        A row for each layer and kind of input. `Y`, `dX`, `dgamma`, `dbeta`, `mean`, `var` and
        `Y_predict` hold the largest difference from our conventions, in float64 by hand (None
        without a gamma); `why` names the conventions behind it; `unexplained` is the largest
        difference that is left once they are accounted for. A framework that isn't installed
        has a row with the reason in `why` and None elsewhere.
    """
    return [
        compare(layer, kind, aligned)
        for layer in all_layers()
        for kind in (SHAPES if not missing(layer) else ["dense, images"])
    ]


def compare(layer: Layer, kind: str, aligned: bool = False) -> dict:
    """One row of `differences`."""
    head = {"layer": layer.name, "input": kind}
    if missing(layer):
        return {**head, **dict.fromkeys(FIELDS), "why": missing(layer), "unexplained": None}
    case = make_case(SHAPES[kind], mean=1, std=1)
    theirs = probe(layer)
    options: dict = {}
    if aligned:
        options = aligned_options(theirs, case.X.shape[1])
        theirs = OURS._replace(unbiased=theirs.unbiased)
    run = layer.run(case, **options)
    from_ours = distances(run, by_hand(case, OURS))
    unexplained = distances(run, by_hand(case, theirs))
    return {
        **head,
        **from_ours,
        "why": ", ".join(reasons(theirs, case.X)) or "the same",
        "unexplained": max(value for value in unexplained.values() if value is not None),
    }


def aligned_options(theirs: Conventions, channels: int) -> dict:
    """Return the options that make a layer's conventions ours."""
    momentum = 1 - OURS.keep if theirs.side == "new" else OURS.keep
    start = np.full(channels, OURS.start_mean), np.full(channels, OURS.start_var)
    return dict(eps=OURS.eps, momentum=momentum, scale=True, start=np.float32(start))


def reasons(theirs: Conventions, X: np.ndarray) -> list[str]:
    """Name each convention that differs from ours, in a word or two."""
    n = batch_statistics(X)[2]
    found = {
        f"unbiased: {n}/{n - 1}": theirs.unbiased[X.ndim],
        f"variance starts at {theirs.start_var:g}": theirs.start_var != OURS.start_var,
        f"keeps {theirs.keep:g} of the old": theirs.keep != OURS.keep,
        f"eps {theirs.eps:.0e}".replace("e-0", "e-"): theirs.eps != OURS.eps,
        {"none": "no gamma"}.get(theirs.gamma, "gamma " + theirs.gamma): theirs.gamma != OURS.gamma,
    }
    return [reason for reason, differs in found.items() if differs]


def by_hand(case: Case, rules: Conventions) -> Expected:
    """Batch normalization and its gradients in NumPy, float64, under the given conventions.

    Equations from Ioffe and Szegedy (2015), https://arxiv.org/abs/1502.03167, section 3.
    """
    axes = tuple(axis for axis in range(case.X.ndim) if axis != 1)
    along = (1, -1) + (1,) * (case.X.ndim - 2)
    X, dY, gamma, beta = (array.astype(np.float64) for array in case)
    gamma = gamma if rules.gamma == "trained" else np.ones_like(gamma)
    mu, var, n = batch_statistics(X)
    scale = (1 / np.sqrt(var + rules.eps)).reshape(along)
    X_hat = (X - mu.reshape(along)) * scale
    dX_hat = dY * gamma.reshape(along)
    # The two sums are what flows back through the batch's mean and variance.
    along_X_hat = (dX_hat * X_hat).mean(axes, keepdims=True)
    dX = scale * (dX_hat - dX_hat.mean(axes, keepdims=True) - X_hat * along_X_hat)

    moving_mean = rules.keep * rules.start_mean + (1 - rules.keep) * mu
    averaged = var * n / (n - 1) if rules.unbiased[X.ndim] else var
    moving_var = rules.keep * rules.start_var + (1 - rules.keep) * averaged
    predicted = (X - moving_mean.reshape(along)) / np.sqrt(moving_var + rules.eps).reshape(along)
    dgamma = (dY * X_hat).sum(axes)
    return Expected(
        gamma.reshape(along) * X_hat + beta.reshape(along),
        dX,
        np.zeros_like(dgamma) if rules.gamma == "fixed at 1" else dgamma,
        dY.sum(axes),
        moving_mean,
        moving_var,
        gamma.reshape(along) * predicted + beta.reshape(along),
    )


def distances(run: Run, expected: Expected) -> dict:
    """Take the largest difference of each field; None for the gradient of a gamma there isn't."""
    pairs = {field: (getattr(run, field), getattr(expected, field)) for field in FIELDS}
    return {
        field: None if received is None else float(np.abs(received - wanted).max())
        for field, (received, wanted) in pairs.items()
    }
