"""Checks where a layer's statistics go: to other contexts, to files, to other layers."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from d2l_bn.checks import formula
from d2l_bn.checks.calls import to_numpy
from d2l_bn.checks.failure import CheckFailed
from d2l_bn.checks.formula import Case
from d2l_bn.checks.state import INPUTS, Subject, case_of, draw, statistic, statistics

import mxnet as mx

AVERAGES = ("moving_mean", "moving_var")


def contexts(subject: Subject) -> str:
    """Check that the statistics follow the input to another context, and keep their values."""
    part = "contexts"
    first, second = mx.cpu(0), mx.cpu(1)
    block = subject.make(2, part, ctx=first)
    X = draw(INPUTS[2], 420)
    case = case_of(block, X, part)
    subject.forward(block, X, part, training=True, ctx=first)
    _check_step(
        block,
        case,
        part,
        "is wrong after one step, before the context changes.",
        'the contexts are not to blame. Mend what the part "statistics" says first.',
    )
    subject.guarded(lambda: block.collect_params().reset_ctx(second), part)
    X = draw(INPUTS[2], 421)
    case = case_of(block, X, part)
    Y = subject.forward(block, X, part, training=True, ctx=second)
    for name in AVERAGES:
        context = statistic(block, name, part).context
        if context != second:
            raise CheckFailed(
                part,
                f"{name} stays on {context} when X is on {second}.",
                expected=str(second),
                received=str(context),
                cause="a GPU cannot mix arrays of two contexts. Where the contexts differ, forward "
                f"begins with: self.{name} = self.{name}.copyto(X.context).",
            )
    if Y.context != second:
        raise CheckFailed(
            part,
            f"the output is on {Y.context} when X is on {second}.",
            expected=str(second),
            received=str(Y.context),
            cause="an array in forward is made on, or fetched from, another context. Use "
            "self.gamma.data(X.context) and ctx=X.context.",
        )
    _check_step(
        block,
        case,
        part,
        f"loses its value on the way to {second}.",
        "new arrays are made on the new context. Copy the old ones: "
        "self.moving_mean.copyto(X.context), and so for moving_var.",
    )
    return part


def _check_step(block, case: Case, part: str, wrong: str, cause: str) -> None:
    """Say so if the averages are not what one step of training with `case` makes of them."""
    for name, received, old, new in zip(
        AVERAGES, statistics(block, part), (case.mean, case.var), formula.moments(case)
    ):
        expected = formula.moving(case, old, new)
        if not formula.close(received, expected):
            raise CheckFailed(
                part,
                f"{name} {wrong}",
                input={f"{name} before": old, "mean or variance of the batch": new},
                expected=expected,
                received=received,
                cause=cause,
            )


def saving(subject: Subject) -> str:
    """Check that a network that is saved and loaded predicts the same."""
    part = "saving and loading"
    for num_dims, shape in INPUTS.items():
        block = subject.make(num_dims, part)
        X = draw(shape, 430)
        for _ in range(3):
            subject.forward(block, X, part, training=True)
        expected = to_numpy(subject.forward(block, X, part, training=False))
        loaded = subject.guarded(lambda d=num_dims, b=block: _reloaded(subject, d, b), part)
        received = to_numpy(subject.forward(loaded, X, part, training=False))
        for name, was, now in zip(AVERAGES, statistics(block, part), statistics(loaded, part)):
            if not formula.close(now, was, 1e-5):
                raise CheckFailed(
                    part,
                    f"{name} is lost: the loaded layer predicts something else.",
                    expected=was,
                    received=now,
                    cause="save_parameters writes parameters only. Make the averages parameters "
                    f'that are not trained: self.params.get("{name}", shape=shape, '
                    'init=init.Zero(), grad_req="null"), and set_data() the new value.',
                )
        if not formula.close(received, expected):
            raise CheckFailed(
                part,
                "the loaded layer predicts something else.",
                input={"X": X},
                expected=expected,
                received=received,
                cause="the prediction depends on a value that is not saved. Keep it as a "
                "parameter.",
            )
    return part


def _reloaded(subject: Subject, num_dims: int, block):
    """Save a layer and load it into a new one."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "layer.params")
        block.save_parameters(path)
        loaded = subject.candidate(3, num_dims)
        loaded.load_parameters(path, ctx=mx.cpu())
    return loaded


def independence(subject: Subject) -> str:
    """Check that one layer's training leaves another layer alone."""
    part = "independence"
    one, other = subject.make(2, part), subject.make(2, part)
    for name in ("gamma", "beta"):
        if getattr(one, name, None) is getattr(other, name, ()):
            raise CheckFailed(
                part,
                f"two layers share {name}.",
                cause=f"{name} is made once, for the class or the module. Make it in __init__.",
            )
    before = statistics(other, part)
    subject.forward(one, draw(INPUTS[2], 440), part, training=True)
    for name, was, now in zip(AVERAGES, before, statistics(other, part)):
        if not np.array_equal(was, now):
            raise CheckFailed(
                part,
                f"training one layer changes {name} of another.",
                expected=was,
                received=now,
                cause=f"{name} is shared: it belongs to the class, to the module or to a default "
                "argument. Make it in __init__, a new one for each layer.",
            )
    return part
