"""The parts of the check of a student's function `batch_norm`."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Callable

import numpy as np

from d2l_bn.checks import averages, formula, mistakes, numerics
from d2l_bn.checks.choose import run_parts
from d2l_bn.checks.failure import CheckFailed
from d2l_bn.checks.formula import Case
from d2l_bn.checks.function import (
    HIDDEN,
    INPUT,
    STATISTICS,
    TRAINING,
    VISIBLE,
    Subject,
    compare,
    train,
)
from d2l_bn.checks.prediction import prediction

from mxnet import autograd


def batch_norm(
    candidate: Callable, *parts: str, allow_library: bool = False, dense_only: bool = False
) -> None:
    """Check a function with the arguments and results of `d2l_bn.batch_norm`.

    Parameters
    ----------
    candidate : callable
        Called with (X, gamma, beta, moving_mean, moving_var, eps, momentum), in any mode.
    *parts : {"dense", "images", "statistics", "prediction", "gradient", "precision", "shapes"}
        What to check; without any, everything.
    allow_library : bool, default False
        Accept that `candidate` calls a ready-made normalization.
    dense_only : bool, default False
        Check dense inputs alone, of a function that does not know images.

    Raises
    ------
    CheckFailed
        At the first property that does not hold.
    ValueError
        If a part is unknown.
    """
    known: dict[str, Callable[[Subject], str]] = {
        "dense": partial(_training, ndim=2),
        "images": partial(_training, ndim=4),
        "statistics": _statistics,
        "prediction": prediction,
        "gradient": numerics.gradient,
        "precision": numerics.precision,
        "shapes": _shapes,
    }
    if dense_only:
        del known["images"]
    dimensions = (2,) if dense_only else (2, 4)
    run_parts(known, parts, Subject(candidate, allow_library, dimensions))


def _training(subject: Subject, ndim: int) -> str:
    part = f"{INPUT[ndim]}, training mode"
    for case in VISIBLE[ndim]:
        _training_output(subject, case, part)
    constant = VISIBLE[ndim][0]
    constant = constant._replace(X=np.full_like(constant.X, 3))
    _training_output(subject, constant, part)
    for seed, shape in enumerate(HIDDEN[ndim]):
        case = formula.draw(shape, seed, eps=0.01)
        _training_output(subject, case, part)
    return part


def _training_output(subject: Subject, case: Case, part: str) -> None:
    result = subject.run(case, part, train, explain=lambda: _explain(subject, case, part))
    received, expected = result.values[0], formula.training(case)
    causes: Iterable[tuple] = mistakes.of_training(case)
    if formula.close(received, formula.prediction(case)):
        recorded = subject.run(case, part, autograd.record).values[0]
        if formula.close(recorded, expected):
            causes = [(_RECORDING, received)]
        elif len(case.X) == 1:
            causes = [(_ONE_IMAGE, received)]
    compare(part, "the output", case, received, expected, causes, TRAINING)


def _explain(subject: Subject, case: Case, part: str) -> str:
    """Find the cause of an exception on an input where all axes are equally long.

    There the shapes fit by accident, so that numbers come out and can be recognized.
    """
    square = formula.draw((3, 3) if case.X.ndim == 2 else (3, 3, 3, 3), seed=7, eps=0.01)
    if case.X.shape == square.X.shape:
        return ""
    try:
        received = subject.run(square, part, train).values[0]
    except CheckFailed:
        return ""
    return mistakes.find(mistakes.of_training(square), received, formula.training(square))


def _statistics(subject: Subject) -> str:
    part = "moving averages"
    for ndim in subject.dimensions:
        visible = VISIBLE[ndim][0]
        visible = visible._replace(
            mean=formula.per_channel([10, 20], ndim), var=formula.per_channel([4, 9], ndim)
        )
        cases = [visible, visible._replace(momentum=0.6, eps=0.5)]
        cases += [formula.draw(s, 20 + i, momentum=0.7) for i, s in enumerate(HIDDEN[ndim])]
        for case in cases:
            result = subject.run(case, f"{part}, {INPUT[ndim]}", train)
            mean, var = formula.moments(case)
            for name, received, old, new, causes in (
                ("moving_mean", result.values[1], case.mean, mean, averages.of_moving_mean),
                ("moving_var", result.values[2], case.var, var, averages.of_moving_var),
            ):
                expected = formula.moving(case, old, new)
                where = f"{part}, {INPUT[ndim]}"
                compare(where, name, case, received, expected, causes(case), STATISTICS)
    return part


_ONE_IMAGE = (
    "a batch of one image is taken for prediction. autograd.is_training() alone tells the mode; "
    "one image has a mean and a variance over its pixels."
)
_RECORDING = (
    "you ask autograd.is_recording(), which tells whether operations are recorded. "
    "autograd.is_training() tells the mode."
)


def _shapes(subject: Subject) -> str:
    part = "shapes"
    images = (3, 3, 3, 3), (2, 4, 1, 4), (4, 2, 4, 4), (2, 1, 3, 2)
    for shape in ((3, 3), (4, 4), (2, 5), *(images if 4 in subject.dimensions else ())):
        _training_output(subject, formula.draw(shape, 100, eps=0.1), f"{part}, X is {shape}")
    case = formula.draw((5, 3), 101)
    result = subject.run(case, f"{part}, float64", train, dtype="float64")
    if result.arrays[0].dtype != np.float64:
        raise CheckFailed(
            f"{part}, float64",
            "the output has another type than X.",
            input={"X": "an array of float64"},
            expected="float64",
            received=result.arrays[0].dtype.__name__,
            cause="the result keeps the type of X. It is cast with astype, or an array of your own "
            "is made in float32: make that with dtype=X.dtype.",
        )
    return part
