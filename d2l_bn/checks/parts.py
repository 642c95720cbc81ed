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
    PREDICTION,
    STATISTICS,
    TRAINING,
    VISIBLE,
    Subject,
    compare,
    predict,
    train,
)

from mxnet import autograd


def batch_norm(candidate: Callable, *parts: str, allow_library: bool = False) -> None:
    """Check a function with the arguments and results of `d2l_bn.batch_norm`.

    Parameters
    ----------
    candidate : callable
        Called with (X, gamma, beta, moving_mean, moving_var, eps, momentum), in any mode.
    *parts : {"dense", "images", "statistics", "prediction", "gradient", "precision", "shapes"}
        What to check; without any, everything.
    allow_library : bool, default False
        Accept that `candidate` calls a ready-made normalization.

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
        "prediction": _prediction,
        "gradient": numerics.gradient,
        "precision": numerics.precision,
        "shapes": _shapes,
    }
    run_parts(known, parts, Subject(candidate, allow_library))


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
    causes: Iterable = mistakes.of_training(case)
    if formula.close(received, formula.prediction(case)):
        recorded = subject.run(case, part, autograd.record).values[0]
        if formula.close(recorded, expected):
            causes = [(_RECORDING, received)]
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
    for ndim in (2, 4):
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


def _prediction(subject: Subject) -> str:
    part = "prediction mode"
    for ndim in (2, 4):
        cases = [
            case._replace(
                mean=formula.per_channel([1, 2], ndim), var=formula.per_channel([4, 9], ndim)
            )
            for case in VISIBLE[ndim][:2]
        ]
        cases += [formula.draw(s, 40 + i, eps=0.05) for i, s in enumerate(HIDDEN[ndim])]
        where = f"{part}, {INPUT[ndim]}"
        for case in cases:
            result = subject.run(case, where, predict)
            causes, expected = averages.of_prediction(case), formula.prediction(case)
            compare(where, "the output", case, result.values[0], expected, causes, PREDICTION)
            for name, old, received in zip(
                ("moving_mean", "moving_var"), (case.mean, case.var), result.values[1:]
            ):
                updated = [(_UPDATED, received)]
                compare(where, name, case, received, old, updated, STATISTICS)
    _modes(subject)
    return part


_UPDATED = (
    "the moving averages are updated when predicting. Return them as they came unless "
    "autograd.is_training() is True."
)


def _modes(subject: Subject) -> None:
    """Check that training mode decides, not whether autograd records."""
    case = formula.draw((5, 3), 60)
    for part, mode, expected, other in (
        ("training mode without recording", train, formula.training, formula.prediction),
        (
            "recording without training mode",
            partial(autograd.record, train_mode=False),
            formula.prediction,
            formula.training,
        ),
    ):
        received = subject.run(case, part, mode).values[0]
        causes = [(_RECORDED, other(case))]
        compare(part, "the output", case, received, expected(case), causes, PREDICTION)


_RECORDED = (
    "the batch's statistics are used whenever autograd records. Recording is not training: ask "
    "autograd.is_training() alone."
)
_RECORDING = (
    "you ask autograd.is_recording(), which tells whether operations are recorded. "
    "autograd.is_training() tells the mode."
)


def _shapes(subject: Subject) -> str:
    part = "shapes"
    for shape in ((3, 3), (4, 4), (2, 5), (3, 3, 3, 3), (2, 4, 1, 4), (4, 2, 4, 4), (2, 1, 3, 2)):
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
            cause="an array of your own is made in float32. Make it with dtype=X.dtype.",
        )
    return part
