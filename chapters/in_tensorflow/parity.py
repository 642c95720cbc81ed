"""One set of weights in every layer: what comes out, what differs, and why."""

from __future__ import annotations

import numpy as np
from in_tensorflow.frameworks import LAYERS, missing
from in_tensorflow.one_step import Case, Layer, Run, make_case
from in_tensorflow.probes import Conventions, batch_statistics, probe

from d2l_bn.reference.mathematics import gradients, moments, moving, output, per_channel

SHAPES = {"dense": (16, 3), "images": (4, 3, 3, 4)}
FIELDS = ("Y", "dX", "dgamma", "dbeta", "mean", "var", "Y_predict")
OURS = Conventions(
    unbiased={2: False, 4: False}, start_mean=0, start_var=0, side="old", keep=0.9, eps=1e-5,
    gamma="trained", updates="forward", modes={}, keep_first=0.9, own=True,
)  # fmt: skip


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
        for layer in LAYERS
        for kind in (SHAPES if not missing(layer.framework) else ["dense, images"])
    ]


def compare(layer: Layer, kind: str, aligned: bool = False) -> dict:
    """One row of `differences`."""
    head = {"layer": layer.name, "input": kind}
    reason = missing(layer.framework)
    if reason:
        return {**head, **dict.fromkeys(FIELDS), "why": reason, "unexplained": None}
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
    start = [np.full(channels, v, np.float32) for v in (OURS.start_mean, OURS.start_var)]
    scale = {} if theirs.gamma == OURS.gamma else {"scale": True}
    return dict(eps=OURS.eps, momentum=momentum, start=start, **scale)


def reasons(theirs: Conventions, X: np.ndarray) -> list[str]:
    """Name each convention that differs from ours, in a word or two."""
    n = batch_statistics(X)[2]
    first = theirs.keep_first == 0  # which leaves nothing of the start
    found = {
        f"unbiased: {n}/{n - 1}": theirs.unbiased[X.ndim],
        "takes the first batch as it is": first,
        f"variance starts at {theirs.start_var:g}": not first
        and theirs.start_var != OURS.start_var,
        f"keeps {theirs.keep:g} of the old": not first and theirs.keep != OURS.keep,
        f"eps {theirs.eps:.0e}".replace("e-0", "e-"): theirs.eps != OURS.eps,
        {"none": "no gamma"}.get(theirs.gamma, "gamma " + theirs.gamma): theirs.gamma != OURS.gamma,
    }
    return [reason for reason, differs in found.items() if differs]


def by_hand(case: Case, rules: Conventions) -> dict[str, np.ndarray]:
    """What a layer with these conventions must make of a case, in float64; keys as `FIELDS`."""
    X, dY, gamma, beta = case
    if rules.gamma != "trained":
        gamma = np.ones_like(gamma)
    gamma, beta = per_channel(gamma, X.ndim), per_channel(beta, X.ndim)
    mean, var = moments(X)
    n = X.size // X.shape[1]
    averaged = var * n / (n - 1) if rules.unbiased[X.ndim] else var
    moving_mean = moving(rules.start_mean, mean, rules.keep_first)
    moving_var = moving(rules.start_var, averaged, rules.keep_first)
    dX, dgamma, dbeta = gradients(X, gamma, dY, rules.eps)
    if rules.gamma == "fixed at 1":
        dgamma = np.zeros_like(dgamma)
    return {
        "Y": output(X, gamma, beta, mean, var, rules.eps),
        "dX": dX,
        "dgamma": dgamma,
        "dbeta": dbeta,
        "mean": moving_mean,
        "var": moving_var,
        "Y_predict": output(X, gamma, beta, moving_mean, moving_var, rules.eps),
    }


def distances(run: Run, expected: dict[str, np.ndarray]) -> dict:
    """Take the largest difference of each field; None for the gradient of a gamma there isn't."""
    received = {field: getattr(run, field) for field in FIELDS}
    return {
        field: None
        if value is None
        else float(abs(value - expected[field].reshape(value.shape)).max())
        for field, value in received.items()
    }
