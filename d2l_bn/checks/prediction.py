"""Checks what a student's function `batch_norm` does in prediction mode."""

from __future__ import annotations

from functools import partial

from d2l_bn.checks import averages, formula
from d2l_bn.checks.function import (
    HIDDEN,
    INPUT,
    PREDICTION,
    STATISTICS,
    VISIBLE,
    Subject,
    compare,
    predict,
    train,
)

from mxnet import autograd


def prediction(subject: Subject) -> str:
    """Check prediction mode, and that nothing else decides for it."""
    part = "prediction mode"
    for ndim in subject.dimensions:
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
            swapped = f"the two averages are swapped: {averages.returned_order()}."
            for name, old, other, received in zip(
                ("moving_mean", "moving_var"),
                (case.mean, case.var),
                (case.var, case.mean),
                result.values[1:],
            ):
                known = [(swapped, other), (_UPDATED, received)]
                compare(where, name, case, received, old, known, STATISTICS)
    _modes(subject)
    return part


_UPDATED = (
    "the moving averages are updated when predicting. Return them as they came unless "
    "autograd.is_training() is True."
)


def _modes(subject: Subject) -> None:
    """Check that training mode decides, not whether autograd records."""
    case = formula.draw((5, 3), 60)
    training, prediction = formula.training(case), formula.prediction(case)

    part = "training mode without recording"  # like with it; a wrong formula is told elsewhere
    recorded = subject.run(case, part, autograd.record).values[0]
    received = subject.run(case, part, train).values[0]
    compare(part, "the output", case, received, recorded, [(_RECORDED, prediction)], PREDICTION)

    part = "recording without training mode"
    received = subject.run(case, part, partial(autograd.record, train_mode=False)).values[0]
    compare(part, "the output", case, received, prediction, [(_RECORDED, training)], PREDICTION)


_RECORDED = (
    "the batch's statistics are used whenever autograd records. Recording is not training: ask "
    "autograd.is_training() alone."
)
