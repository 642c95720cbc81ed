"""Checks the moving averages of a student's layer, and what it predicts with them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from d2l_bn.checks import causes
from d2l_bn.checks.asking import Check, find
from d2l_bn.checks.block import AVERAGES, EPS, Block, drawn, inputs
from d2l_bn.checks.cases import Case, close, make
from d2l_bn.checks.forms import Form
from d2l_bn.checks.phrases import Cause, said


def statistics(check: Check) -> str:
    """Check that training moves the averages, that predicting leaves them, and the guard."""
    part = "statistics of the layer"
    for num_dims, shape in inputs(check).items():
        block = Block.made(check.at(part), num_dims)
        begun = [block.averages()[0], block.averages()[1] - block.start]
        batches = [drawn(check, shape, number) for number in (409, 410, 411, 413)]
        first = block.case(batches[0])
        block.forward(batches[0], "record")
        begun_with = block.averages()  # from 0, which shows no mistake in the old share
        for X, mode in zip(batches[1:], ("record", "record", "train")):
            case = block.case(X)
            block.forward(X, mode)
            found = block.averages()
            if mode == "train" and np.array_equal(found, [case.mean, case.var]):
                kept(block, X, case, case.step(), said("layer: only recorded"))
            moved(block, X, case)
        if not np.any(begun):
            _first(block, first, begun_with)
        predicts(
            block, batches, drawn(check, shape, 414), said("layer: begun") if np.any(begun) else ""
        )
        for mode, wrong in (
            ("predict", "changed when predicting"),
            ("record without training", "while recorded"),
        ):
            X = drawn(check, shape, 412)
            case = block.case(X)
            block.forward(X, mode)
            kept(block, X, case, (case.mean, case.var), block.said(wrong))
    return part


def _first(block: Block, case: Case, found: list[np.ndarray]) -> None:
    """Say so if the first step, from zeros, isn't like those that follow it."""
    for which, (name, received, new) in enumerate(zip(AVERAGES, found, case.moments())):
        old = np.full_like(new, block.start * which)
        expected = case.moving(old, new)
        if not close(received, expected):
            cause = find([(said("layer: first batch"), new)], received, expected)
            cause = cause or causes.of_average([(case, received)], which)
            wrong = f"{name} is wrong after the first batch, though not after the others."
            given = {"X": case.X, f"{name} before": old}
            block.check.fail(wrong, expected, received, cause, given)


def predicts(block: Block, batches: list[np.ndarray], X: np.ndarray, cause: str = "") -> None:
    """Say so if a prediction doesn't use the averages that steps from zero give."""
    tracked = make(batches[0], var=np.full(X.shape[1], block.start), eps=EPS)
    tracked = tracked._replace(axis=block.axis)
    for batch in batches:
        mean, var = tracked._replace(X=batch).step()
        tracked = tracked._replace(mean=mean, var=var)
    right = close(np.stack(block.averages()), np.stack([tracked.mean, tracked.var]))
    tracked = tracked._replace(X=X)
    received = block.forward(X, "predict")
    if not close(received, tracked.prediction(), 1e-3):
        cause = cause or block.of_start() or ("" if right else said("layer: statistics first"))
        where = Form(block.axis).where(tracked)
        cause = cause or causes.of_output([(tracked, received)], False, where)
        wrong = f"the prediction after {len(batches)} steps is wrong."
        given = {"X": X, "moving_mean": tracked.mean, "moving_var": tracked.var}
        block.check.fail(wrong, tracked.prediction(), received, cause, given)


def moved(block: Block, X: np.ndarray, case: Case) -> None:
    """Say so if the averages have not taken one step."""
    found, right = block.averages(), case.step()
    if close(found[0], found[1]) and np.any(found) and not close(right[0], right[1]):
        block.blame("one average for both", right, found, {"X": X})
    swapped(replace(block.check, given={"X": X}), found, right)
    for which, (name, received, expected) in enumerate(zip(AVERAGES, found, right)):
        if not close(received, expected):
            old = (case.mean, case.var)[which]
            cause: str = block.said("shape")
            if received.shape == expected.shape:
                where = Form(block.axis).where(case)
                cause = find(_steps(case, which), received, expected)
                cause = cause or causes.of_average([(case, received)], which, where)
            given = {"X": case.X, f"{name} before": old}
            block.check.fail(_AFTER.format(name), expected, received, cause, given)


_AFTER = "{} is wrong after the call."


def _steps(case: Case, which: int) -> Iterator[tuple[Cause, np.ndarray]]:
    """Yield the average after other steps, each with its cause."""
    old, new = (case.mean, case.var)[which], case.moments()[which]
    yield said("layer: not kept"), old
    yield said("layer: handed over"), case.moving((case.var, case.mean)[which], new)
    for momentum in (EPS, 0.99, 0.999, 0.95, 0.8, 0.7):
        label = {EPS: "eps and momentum", 0.99: "twice"}.get(momentum, "momentum")
        wrong = case._replace(momentum=momentum).moving(old, new)
        yield said(f"layer: {label}", momentum=f"{momentum:g}"), wrong


def kept(block: Block, X: np.ndarray, case: Case, right: Iterable, cause: str) -> None:
    """Say so if the averages are not these."""
    for name, expected, received in zip(AVERAGES, right, block.averages()):
        if not close(received, expected):
            old = case.mean if name == "moving_mean" else case.var
            given = {"X": X, f"{name} before": old}
            block.check.fail(_AFTER.format(name), expected, received, cause, given)


def swapped(check: Check, found: list[np.ndarray], right: list[np.ndarray]) -> None:
    """Say so if the averages are stored in each other's place."""
    if all(close(a, b) for a, b in zip(found, right[::-1])):
        check.fail(_AFTER.format(AVERAGES[0]), right[0], found[0], said("layer: swapped"))
