"""Checks the exercise with six bugs: each part looks at one bug alone, whatever the others do."""

from __future__ import annotations

from functools import partial
from typing import Callable

import numpy as np

from d2l_bn.checks.asking import Check
from d2l_bn.checks.block import AVERAGES, INPUTS, Block, drawn, registered
from d2l_bn.checks.cases import close, make
from d2l_bn.checks.failure import CheckFailed
from d2l_bn.checks.function import PLAIN, PREDICTION, STATISTICS, TRAINING, Question
from d2l_bn.checks.phrases import said

TINY = 1e-12  # an eps that doesn't matter, wherever it stands


def mended(function, layer, *parts: str, allow_library: bool = False) -> None:
    """Check that bugs are mended, in a function like `batch_norm` and a layer that calls it.

    Each part also looks whether the layer gives what the function gives, whichever bugs are left.

    Parameters
    ----------
    function, layer : callable
        As in `batch_norm` and `layer`.
    *parts : {"eps", "axes", "averages", "mode", "parameters", "shared"}
        The bugs to look at; without any, all.
    allow_library : bool, default False
        Accept that ready-made normalizations are called.

    Raises
    ------
    CheckFailed
        At the first bug that is left.
    ValueError
        If a part is unknown.
    """
    respondent = Check.of(layer, allow_library)
    known: dict[str, Callable] = {
        "eps": _eps,
        "axes": _axes,
        "averages": _averages,
        "mode": _mode,
        "parameters": partial(_parameters, layer=respondent),
        "shared": partial(_shared, layer=respondent),
    }
    known = {part: partial(_whole, look=look, layer=respondent) for part, look in known.items()}
    check = Check.of(function, allow_library)
    Question(check.respondent, ready_made=allow_library).run(known, parts)


def _whole(check: Question, look: Callable, layer: Check) -> str:
    """Look at one bug, and whether the layer has its output and its averages of the function."""
    part, compared = look(check), 0
    for num_dims, shape in INPUTS.items():
        block = Block.made(layer.at(part), num_dims)
        for mode in ("predict", "record without training", "train", "record"):
            X = drawn(check, shape, 505, 0.01)
            case = block.case(X)
            if case.mean.shape != np.shape(block.averages()[0]):
                break  # another layer's, while all layers have the same ones
            question = check.on(PLAIN, case, part)
            theirs = question.attempt(mode)
            try:
                ours = [block.forward(X, mode), *block.averages()]
            except CheckFailed:
                if theirs is None:
                    continue
                raise
            compared += 1
            if theirs is None or not all(map(partial(close, tolerance=1e-3), ours, theirs)):
                first = theirs and theirs[0]
                block.blame("another function", first, ours[0], {"X": X}, mode=repr(mode))
    if not compared:
        check.on(PLAIN, case, part).result(mode)  # which says what the function raises
    return part


def _eps(check: Question) -> str:
    small = check.draw((8, 2), 500, eps=1e-2)
    small = small._replace(X=0.01 * small.X)
    return _compare(check, "eps", make([[0.01, 0.02], [0.03, 0.06]], eps=0.001), small)


def _axes(check: Question) -> str:
    visible = make([[[[1, 2, 3], [0, 4, 2]]], [[[3, 6, 3], [5, 2, 5]]]], eps=TINY)
    return _compare(check, "axes of images", visible, check.draw((6, 2, 3, 5), 501, eps=TINY))


def _averages(check: Question) -> str:
    visible = make([[1, 2], [3, 6]], mean=[10, 10], var=[8, 8], momentum=0.75)
    drawn = check.draw((8, 2), 502, momentum=0.6)
    return _compare(check, "moving averages", visible, drawn, shown=STATISTICS, names=AVERAGES)


def _compare(check: Question, part: str, *cases, shown=TRAINING, names=("the output",)) -> str:
    for case in cases:
        here = check.on(PLAIN, case, part)
        values = here.result("record")
        for name in names:
            here.compare(name, "record", values, shown)
    return part


def _mode(check: Question) -> str:
    part = "the switch between the modes"
    visible = make([[1, 2], [3, 6]], mean=[0, 1], var=[1, 4], eps=TINY)
    for case in (visible, check.draw((8, 2), 503, eps=TINY)):
        for mode, training in (("record without training", False), ("train", True)):
            here = check.on(PLAIN, case, f"{part}, {mode}")
            other = case.prediction() if training else case.training()
            here.compare(
                "the output",
                mode,
                here.result(mode),
                PREDICTION,
                [(said("mode: recording asked"), other)],
            )
    return part


def _parameters(_: Question, layer: Check) -> str:
    check = layer.at("parameters")
    for num_dims in (2, 4):
        block = Block.made(check, num_dims)
        held = block.state()
        for name in ("gamma", "beta"):
            registered(block.check, name, held[name])
    return check.part


def _shared(_: Question, layer: Check) -> str:
    check = layer.at("two layers")
    first, second = (Block.made(check, 2) for _ in range(2))
    before = second.averages()
    X = np.round(check.draw(INPUTS[2], 504).X, 1) + 5
    first.forward(X, "record")
    third = Block.made(check, 2)
    for name, was, now, new in zip(AVERAGES, before, second.averages(), third.averages()):
        for label, value in (("shared changes", now), ("shared begins", new)):
            if not np.array_equal(was, value):
                first.blame(label, was, value, {"X": X}, name=name)
    if all(np.array_equal(was, now) for was, now in zip(before, first.averages())):
        first.blame("not kept", "other averages than before", before, {"X": X})
    return check.part
