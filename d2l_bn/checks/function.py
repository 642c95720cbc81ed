"""Runs a student's function `batch_norm` and compares what it returns."""

from __future__ import annotations

from contextlib import AbstractContextManager
from itertools import chain
from typing import Callable, NamedTuple

import numpy as np

from d2l_bn.checks import formula, mistakes
from d2l_bn.checks.calls import check_finite, check_shape, guarded, three_values, to_numpy
from d2l_bn.checks.failure import CheckFailed
from d2l_bn.checks.formula import Case

from mxnet import autograd, nd

NAMES = ("Y", "moving_mean", "moving_var")
VISIBLE = {
    2: (
        formula.make([[1, 2], [3, 6], [1, 6], [3, 2]]),
        formula.make([[1, 2], [3, 6], [5, 1]], gamma=[2, -1], beta=[0.5, 3]),
        formula.make([[0.01, 0.02], [0.03, 0.06]], eps=0.001),
    ),
    4: (
        formula.make(
            [
                [[[1, 2, 3], [0, 4, 2]], [[4, 8, 0], [1, 2, 9]]],
                [[[3, 6, 3], [5, 2, 5]], [[0, 4, 2], [7, 7, 4]]],
            ]
        ),
        formula.make(
            [[[[1, 2]], [[4, 8]]], [[[3, 6]], [[0, 4]]], [[[5, 1]], [[2, 2]]]],
            gamma=[2, -1],
            beta=[0.5, 3],
        ),
        formula.make([[[[0.01, 0.02]], [[0.04, 0.08]]], [[[0.03, 0.06]], [[0, 0.04]]]], eps=0.001),
    ),
}
HIDDEN: dict[int, list[tuple[int, ...]]] = {
    2: [(4, 2), (5, 3), (4, 4), (8, 1)],
    4: [(2, 2, 2, 3), (3, 2, 4, 5), (3, 3, 3, 3), (1, 2, 3, 3)],
}
TRAINING = ("X", "gamma", "beta", "eps")
STATISTICS = ("X", "mean", "var", "momentum")
PREDICTION = ("X", "gamma", "beta", "mean", "var", "eps")
INPUT = {2: "dense input", 4: "images"}


class Result(NamedTuple):
    """What a call returned, as NDArrays and in float64, and what it was given."""

    arrays: tuple
    values: tuple
    given: tuple


class Subject(NamedTuple):
    """A candidate function, whether it may call ready-made normalizations, and what it takes."""

    candidate: Callable
    allow_library: bool
    dimensions: tuple[int, ...] = (2, 4)

    def run(
        self,
        case: Case,
        part: str,
        mode: Callable[[], AbstractContextManager],
        *,
        dtype="float32",
        explain=None,
    ) -> Result:
        """Call the candidate and check the form of what it returns, but not the numbers."""
        given = tuple(nd.array(value, dtype=dtype) for value in case[:5])

        def call():
            with mode():
                return self.candidate(*given, case.eps, case.momentum)

        shown = inputs(case, *case._fields)
        result = guarded(call, part, allow_library=self.allow_library, given=shown, explain=explain)
        arrays = three_values(result, part, NAMES)
        check_untouched(case, given, mode in (train, autograd.record), part, dtype)
        check_shape("Y", arrays[0], case.X.shape, part, shown)
        return Result(arrays, tuple(to_numpy(array) for array in arrays), given)


KEEP_SHAPE = (
    "the moving averages must keep the shape that they came with. Average with keepdims=True, or "
    "reshape the mean and the variance to it."
)
train = autograd.train_mode
predict = autograd.predict_mode


def inputs(case: Case, *names: str) -> dict:
    """Return what to show of a case, under the names of the arguments."""
    renamed = {"mean": "moving_mean", "var": "moving_var"}
    return {renamed.get(name, name): getattr(case, name) for name in names}


def check_untouched(case: Case, given: tuple, training: bool, part: str, dtype) -> None:
    """Say so if the call changed its arguments; the averages may change while training."""
    for name, before, after in zip(case._fields, case[: 3 if training else 5], given):
        before = np.asarray(before, dtype).astype(np.float64)
        if not np.array_equal(before, to_numpy(after)):
            (name,) = inputs(case, name)
            raise CheckFailed(
                part,
                f"your function changes its argument {name} in place.",
                input={f"{name} before the call": before},
                expected="the same after the call",
                received=to_numpy(after),
                cause="+=, -=, *=, /= and [:] = write into the caller's array. Make a new one: "
                "X_hat = X - mean."
                if name in ("X", "gamma", "beta")
                else "the moving averages are updated when predicting. Leave them alone unless "
                "autograd.is_training() is True.",
            )


def compare(part: str, name: str, case: Case, received, expected, causes, shown) -> None:
    """Say so if the numbers are wrong, with the mistake that gives the same numbers."""
    given = inputs(case, *shown)
    if name != "the output":
        check_shape(name, received, case.mean.shape, part, given, KEEP_SHAPE)
    check_finite(name, received, part, given, _NAN)
    if formula.close(received, expected):
        return
    examples = [(_HARD_CODED, formula.training(example)) for example in VISIBLE[case.X.ndim]]
    cause = mistakes.find(chain(causes, examples), received, expected)
    raise CheckFailed(
        part,
        f"{name} is wrong.",
        input=given,
        expected=expected,
        received=received,
        cause=cause or _by_property(part, name, case, received),
    )


_HARD_CODED = (
    "these are the numbers of an example that the check shows. Compute everything from the "
    "arguments."
)
_NAN = (
    "a division by zero, or the root of a negative number. eps, inside the root, prevents "
    "the first: nd.sqrt(var + eps). ((X - mean) ** 2).mean(...) is never negative."
)


def _by_property(part: str, name: str, case: Case, received: np.ndarray) -> str:
    """Return what the received output has in place of mean beta and standard deviation gamma."""
    if name != "the output" or "prediction" in part:
        return ""
    mean, std = received.mean(case.axes), received.std(case.axes)
    return (
        "not one of the known mistakes. In training mode each channel of the output has mean beta "
        f"and standard deviation |gamma|; yours have means {np.round(mean, 3).tolist()} and "
        f"standard deviations {np.round(std, 3).tolist()}."
    )
