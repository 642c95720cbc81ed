"""Checks what a layer computes in each mode, and what it keeps of it."""

from __future__ import annotations

from itertools import chain

import numpy as np

from d2l_bn.checks import averages, formula, mistakes
from d2l_bn.checks.calls import check_finite, to_numpy
from d2l_bn.checks.failure import CheckFailed, kind
from d2l_bn.checks.formula import Case
from d2l_bn.checks.state import INPUTS, Subject, case_of, draw, statistics

from mxnet import gluon, nd


def modes(subject: Subject) -> str:
    """Check the output in both modes, and that gamma and beta are trained."""
    part = "modes of the layer"
    for num_dims, shape in INPUTS.items():
        block = subject.make(num_dims, part)
        X = draw(shape, 400)
        where = f"{part}, training"
        case = case_of(block, X, where)
        received = to_numpy(subject.forward(block, X, where, training=True))
        _output(where, case, received, True)
        X = draw(shape, 401) + 3
        where = f"{part}, prediction"
        case = case_of(block, X, where)
        received = to_numpy(subject.forward(block, X, where, training=False))
        _output(where, case, received, False)
    _trains(subject, part)
    return part


def _output(part: str, case: Case, received: np.ndarray, training: bool) -> None:
    expected = formula.training(case) if training else formula.prediction(case)
    causes = mistakes.of_training(case) if training else averages.of_prediction(case)
    shown = {"X": case.X, "moving_mean": case.mean, "moving_var": case.var}
    check_finite("the output", received, part, shown, "a division by zero. Is eps inside the root?")
    if not formula.close(received, expected, 1e-3):
        raise CheckFailed(
            part,
            "the output is wrong.",
            input=shown,
            expected=expected,
            received=received,
            cause=mistakes.find(chain(causes, _other_eps(case, training)), received, expected),
        )


def _other_eps(case: Case, training: bool):
    """Yield the output with other values of eps, each with its cause."""
    right = formula.training if training else formula.prediction
    for eps in (1e-1, 1e-2, 1e-3, 1e-4, 1e-6, 1e-8):
        yield f"your layer uses eps = {eps:g}. Here it is 1e-5.", right(case._replace(eps=eps))


def _trains(subject: Subject, part: str) -> None:
    """Check that gamma and beta receive their gradients."""
    block = subject.make(2, part)
    X, dY = draw(INPUTS[2], 402), draw(INPUTS[2], 403)
    case = case_of(block, X, part)
    Y = subject.forward(block, X, part, training=True)
    subject.guarded(lambda: Y.backward(nd.array(dY)), part)
    _, *expected = formula.gradients(case, dY)
    for name, right in zip(("gamma", "beta"), expected):
        parameter = getattr(block, name, None)
        if not isinstance(parameter, gluon.Parameter):
            raise CheckFailed(
                part,
                f"{name} is not a parameter, so it has no gradient.",
                expected="a Parameter",
                received=kind(parameter),
                cause='nothing can train it. Mend what the part "parameters" says first.',
            )
        received = to_numpy(parameter.grad())
        if not formula.close(received, right, 1e-3):
            raise CheckFailed(
                part,
                f"{name} receives a wrong gradient.",
                expected=right,
                received=received,
                cause=f"forward does not use self.{name}.data(), or cuts the graph with detach(), "
                "asnumpy() or autograd.pause().",
            )


def kept_statistics(subject: Subject) -> str:
    """Check that training moves the averages, and that predicting leaves them."""
    part = "statistics of the layer"
    for num_dims, shape in INPUTS.items():
        block = subject.make(num_dims, part)
        for seed in (410, 411):
            X = draw(shape, seed)
            case = case_of(block, X, part)
            subject.forward(block, X, part, training=True)
            mean, var = formula.moments(case)
            for name, received, old, new, causes in zip(
                ("moving_mean", "moving_var"),
                statistics(block, part),
                (case.mean, case.var),
                (mean, var),
                (averages.of_moving_mean(case), averages.of_moving_var(case)),
            ):
                expected = formula.moving(case, old, new)
                known = chain([(_NOT_KEPT, old)], causes, _other_momentum(case, old, new))
                _kept(part, name, case, received, expected, known)
        before = statistics(block, part)
        X = draw(shape, 412)
        subject.forward(block, X, part, training=False)
        for name, old, received in zip(
            ("moving_mean", "moving_var"), before, statistics(block, part)
        ):
            _kept(part, name, case._replace(X=X), received, old, [(_CHANGED, received)])
    return part


def _other_momentum(case: Case, old, new):
    """Yield the average with other values of momentum, each with its cause."""
    for momentum in (0.99, 0.999, 0.95, 0.8, 0.5):
        wrong = case._replace(momentum=momentum)
        yield (
            f"your layer uses momentum = {momentum:g}. Here it is 0.9.",
            formula.moving(wrong, old, new),
        )


_NOT_KEPT = (
    "the new averages are not kept after training mode. Assign them: Y, self.moving_mean, "
    "self.moving_var = batch_norm(...)."
)
_CHANGED = "the layer changes its moving averages when predicting. Leave them alone."


def _kept(part: str, name: str, case, received, expected, causes) -> None:
    if not formula.close(received, expected):
        raise CheckFailed(
            part,
            f"{name} is wrong after the call.",
            input={"X": case.X, f"{name} before": case.mean if name == "moving_mean" else case.var},
            expected=expected,
            received=received,
            cause=mistakes.find(causes, received, expected),
        )
