"""Checks the gradient of a student's `batch_norm`, and its rounding errors."""

from __future__ import annotations

import numpy as np

from d2l_bn.checks import formula, mistakes
from d2l_bn.checks.calls import check_finite, guarded, three_values, to_numpy
from d2l_bn.checks.failure import CheckFailed
from d2l_bn.checks.formula import Case
from d2l_bn.checks.function import INPUT, NAMES, TRAINING, VISIBLE, Subject, inputs, train

from mxnet import autograd, nd


def gradient(subject: Subject) -> str:
    """Check the gradients of X, gamma and beta in both modes."""
    part = "gradient"
    for ndim in subject.dimensions:
        for case in (*VISIBLE[ndim][1:2], formula.draw((5, 3, 2, 2)[:ndim], 80, eps=0.1)):
            dY = formula.draw(case.X.shape, 81).X
            if case is VISIBLE[ndim][1]:
                dY = np.round(dY, 1)
            _gradient_of(subject, case, dY, f"{part}, {INPUT[ndim]}, training mode", True)
            _gradient_of(subject, case, dY, f"{part}, {INPUT[ndim]}, prediction mode", False)
    return part


def _gradient_of(subject: Subject, case: Case, dY, part: str, training: bool) -> None:
    given = tuple(nd.array(value) for value in case[:5])
    for variable in given[:3]:
        variable.attach_grad()
    shown = {**inputs(case, *TRAINING), "dY": dY}

    def call():
        with autograd.record(train_mode=training):
            result = subject.candidate(*given, case.eps, case.momentum)
        Y, _, _ = three_values(result, part, NAMES)
        Y.backward(nd.array(dY))
        return to_numpy(Y)

    Y = guarded(call, part, allow_library=subject.allow_library, given=shown)
    output = formula.training(case) if training else formula.prediction(case)
    right = formula.gradients if training else formula.prediction_gradients
    for index, (name, expected) in enumerate(zip(("X", "gamma", "beta"), right(case, dY))):
        received = to_numpy(given[index].grad)
        check_finite(f"the gradient of {name}", received, part, shown, "a division by zero.")
        if formula.close(received, expected, 1e-3):
            continue
        if not formula.close(Y, output, 1e-3):
            raise CheckFailed(
                part,
                f"the gradient of {name} is wrong, and so is the output. Mend the output first.",
                input=inputs(case, *TRAINING),
                expected=output,
                received=Y,
                cause=mistakes.find(mistakes.of_training(case), Y, output) if training else "",
            )
        causes = _cut(case, dY) if name == "X" and training else []
        none = f"the output does not depend on {name} by operations that autograd records."
        raise CheckFailed(
            part,
            f"the gradient of {name} is wrong, though the output is right.",
            input=shown,
            expected=expected,
            received=received,
            cause=mistakes.find([*causes, (none, 0 * expected)], received, expected),
        )


def _cut(case: Case, dY: np.ndarray):
    """Yield the gradient of X when a statistic counts as a constant, each with its cause."""
    mean, var = formula.moments(case)
    scale = case.gamma / np.sqrt(var + case.eps)
    X_hat = (case.X - mean) / np.sqrt(var + case.eps)
    through_var = X_hat * (dY * X_hat).mean(case.axes, keepdims=True)
    through_mean = dY.mean(case.axes, keepdims=True)
    rule = "Leave detach(), asnumpy() and autograd.pause() out: the gradient goes through both."
    yield f"the mean and the variance are cut from the graph. {rule}", scale * dY
    yield f"the mean is cut from the graph. {rule}", scale * (dY - through_var)
    yield f"the variance is cut from the graph. {rule}", scale * (dY - through_mean)


def precision(subject: Subject) -> str:
    """Check inputs that are far from zero, where E[x^2] - E[x]^2 has no digits left."""
    part = "precision"
    for ndim in subject.dimensions:
        _far_from_zero(subject, VISIBLE[ndim][0])
        _far_from_zero(subject, formula.draw((64, 2, 3, 3)[:ndim], 90))
    return part


def _far_from_zero(subject: Subject, case: Case) -> None:
    far = case._replace(X=(case.X + 10000).astype(np.float32).astype(np.float64))
    part = f"precision, {INPUT[case.X.ndim]} with mean 10,000"
    expected = formula.training(far)
    received = subject.run(far, part, train).values[0]
    if np.abs(received - expected).max() <= 0.05:  # not true of NaN
        return
    near = subject.run(case, part, train).values[0]
    right = formula.close(near, formula.training(case), 1e-3)
    raise CheckFailed(
        part,
        "the output is wrong in float32.",
        input=inputs(far, *TRAINING),
        expected=expected,
        received=received,
        cause=_OFFSET if right else "the output is wrong without the offset, too.",
    )


_OFFSET = (
    "the variance is taken as E[x^2] - E[x]^2, the difference of two large numbers, of which "
    "float32 keeps seven digits. Subtract the mean first: ((X - mean) ** 2).mean(...)."
)
