"""Checks the moving averages of a student's layer, and what it predicts with them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import NoReturn

import numpy as np

from d2l_bn.checks import causes
from d2l_bn.checks.asking import Check, find
from d2l_bn.checks.block import AVERAGES, EPS, INPUTS, SHAPE, Layer, drawn, of_start
from d2l_bn.checks.cases import Case, close, make
from d2l_bn.checks.phrases import Cause, said


def statistics(check: Check) -> str:
    """Check that training moves the averages, that predicting leaves them, and the guard."""
    part = "statistics of the layer"
    for num_dims, shape in INPUTS.items():
        block = Layer.made(check.at(part), num_dims)
        begun = block.averages()
        batches = [drawn(check, shape, number) for number in (409, 410, 411, 413)]
        first = block.case(batches[0])
        block.forward(batches[0], "record")
        begun_with = block.averages()  # from 0, which shows no mistake in the old share
        for X, mode in zip(batches[1:], ("record", "record", "train")):
            case = block.case(X)
            block.forward(X, mode)
            found = block.averages()
            if mode == "train" and np.array_equal(found, [case.mean, case.var]):
                right = [case.moving(case.mean, case.moments()[0]), case.var]
                kept(block, X, case, right, said("layer: only recorded"))
            moved(block, X, case)
        if not np.any(begun):
            _first(block, first, begun_with)
        predicts(
            block, batches, drawn(check, shape, 414), said("layer: begun") if np.any(begun) else ""
        )
        for mode, words in (
            ("predict", said("layer: changed when predicting")),
            ("record without training", said("layer: while recorded")),
        ):
            X = drawn(check, shape, 412)
            case = block.case(X)
            block.forward(X, mode)
            kept(block, X, case, (case.mean, case.var), words)
    return part


def _first(block: Layer, case: Case, found: list[np.ndarray]) -> None:
    """Say so if the first step, from zeros, isn't like those that follow it."""
    for which, (name, received, new) in enumerate(zip(AVERAGES, found, case.moments())):
        expected = case.moving(0 * new, new)
        if not close(received, expected):
            here = replace(block.check, given={"X": case.X, f"{name} before": 0 * new})
            here.fail(
                f"{name} is wrong after the first batch, though not after the others.",
                expected=expected,
                received=received,
                cause=find([(said("layer: first batch"), new)], received, expected)
                or causes.of_average([(case, received)], which),
            )


def predicts(block: Layer, batches: list[np.ndarray], X: np.ndarray, cause: str = "") -> None:
    """Say so if a prediction doesn't use the averages that steps from zero give."""
    tracked = make(batches[0], var=np.zeros(X.shape[1]), eps=EPS)
    for batch in batches:
        step = tracked._replace(X=batch)
        mean, var = step.moments()
        tracked = step._replace(mean=step.moving(step.mean, mean), var=step.moving(step.var, var))
    right = close(np.stack(block.averages()), np.stack([tracked.mean, tracked.var]))
    tracked = tracked._replace(X=X)
    received = block.forward(X, "predict")
    if not close(received, tracked.prediction(), 1e-3):
        given = {"X": X, "moving_mean": tracked.mean, "moving_var": tracked.var}
        replace(block.check, given=given).fail(
            f"the prediction after {len(batches)} steps is wrong.",
            expected=tracked.prediction(),
            received=received,
            cause=cause or _of_prediction(block, tracked, received, right),
        )


def _of_prediction(block: Layer, case: Case, received: np.ndarray, right: bool) -> Cause:
    start = of_start(block.state())
    if start or not right:
        return start or said("layer: statistics first")
    return causes.of_output([(case, received)], False)


def moved(block: Layer, X: np.ndarray, case: Case) -> None:
    """Say so if the averages have not taken one step."""
    moments, found = case.moments(), block.averages()
    right = [case.moving(old, new) for old, new in zip((case.mean, case.var), moments)]
    if close(found[0], found[1]) and np.any(found) and not close(right[0], right[1]):
        replace(block.check, given={"X": X}).fail(
            "moving_mean and moving_var are the same after the call.",
            expected=right,
            received=found,
            cause="both are one parameter, or one array: parameters of one name are made once. "
            "Give each a name of its own.",
        )
    if all(close(a, b) for a, b in zip(found, right[::-1])):
        swapped(replace(block.check, given={"X": X}), "moving_mean", right[0], found[0])
    for which, (name, received, expected) in enumerate(zip(AVERAGES, found, right)):
        if not close(received, expected):
            old, new = (case.mean, case.var)[which], moments[which]
            here = replace(block.check, given={"X": case.X, f"{name} before": old})
            crossed = case.moving((case.var, case.mean)[which], new)
            known = [
                (said("layer: not kept"), old),
                (said("layer: handed over"), crossed),
                *_other_momentum(case, old, new),
            ]
            cause = SHAPE
            if received.shape == expected.shape:
                cause = find(known, received, expected) or causes.of_average(
                    [(case, received)], which
                )
            _after_the_call(here, name, expected, received, cause)


def _other_momentum(case: Case, old, new) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the average with other values of momentum, each with its cause."""
    yield said("layer: eps and momentum"), case._replace(momentum=EPS).moving(old, new)
    yield (
        "your layer uses momentum = 0.99, or it averages twice: what batch_norm returns are the "
        "new averages, to be stored as they are. Here momentum is 0.9.",
        case._replace(momentum=0.99).moving(old, new),
    )
    for momentum in (0.999, 0.95, 0.8, 0.7, 0.5):
        wrong = case._replace(momentum=momentum)
        yield f"your layer uses momentum = {momentum:g}. Here it is 0.9.", wrong.moving(old, new)


def kept(block: Layer, X: np.ndarray, case: Case, right: Iterable, cause: str) -> None:
    """Say so if the averages are not these."""
    for name, expected, received in zip(AVERAGES, right, block.averages()):
        if not close(received, expected):
            old = case.mean if name == "moving_mean" else case.var
            here = replace(block.check, given={"X": X, f"{name} before": old})
            _after_the_call(here, name, expected, received, cause)


def swapped(check: Check, name: str, expected: np.ndarray, received: np.ndarray) -> NoReturn:
    """Say that the averages are stored in each other's place."""
    _after_the_call(
        check,
        name,
        expected,
        received,
        "the mean and the variance are stored in each other's place. The function returns Y, "
        "moving_mean, moving_var, in this order.",
    )


def _after_the_call(check: Check, name: str, expected, received, cause: str) -> NoReturn:
    wrong = f"{name} is wrong after the call."
    check.fail(wrong, expected=expected, received=received, cause=cause)
