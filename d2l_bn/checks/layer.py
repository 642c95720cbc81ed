"""Checks a student's layer: what it holds, what it computes, and where its state goes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Callable

import numpy as np

from d2l_bn.checks import derivation, leftover
from d2l_bn.checks.asking import Check, find
from d2l_bn.checks.averages import kept, predicts, statistics, swapped
from d2l_bn.checks.block import AVERAGES, INPUTS, Block, check_of, drawn, inputs, registered
from d2l_bn.checks.cases import Case, close
from d2l_bn.checks.phrases import said


def layer(
    candidate: Callable,
    *parts: str,
    allow_library: bool = False,
    axis: int = 1,
    framework: str = "mxnet",
    momentum_weighs: str = "old",
) -> None:
    """Check a layer like `d2l_bn.BatchNorm`, with eps 1e-5 and momentum 0.9.

    Parameters
    ----------
    candidate : callable
        Called with (num_features, num_dims), for instance the class; returns a Block with the
        attributes gamma, beta, moving_mean and moving_var, or running_mean and running_var in
        place of the last two.
    *parts : {"parameters", "modes", "statistics", "independence", "contexts", "saving",
        "precision"}
        What to check; without any, everything.
    allow_library : bool, default False
        Accept that the layer calls a ready-made normalization, such as `d2l_bn.batch_norm`.
    axis : {1, -1}
        Where the channels of the input are. A layer that has them last is called with num_features
        alone, and what it keeps has the shape (num_features,).
    framework : {"mxnet", "torch"}, default "mxnet"
        With "torch" it is a Module, which trains after train() with gradients enabled and predicts
        after eval() under no_grad(). moving_var may start at 1; contexts are not asked about.
    momentum_weighs : {"old", "new"}, default "old"
        As in `batch_norm`; with "new", the momentum that is asked for is 0.1.

    Raises
    ------
    CheckFailed
        At the first property that does not hold.
    ValueError
        If a part is unknown.
    """
    known: dict[str, Callable[[Check], str]] = {
        "parameters": _parameters,
        "modes": _modes,
        "statistics": statistics,
        "independence": _independence,
        "contexts": _contexts,
        "saving": _saving,
        "precision": _precision,
    }
    if framework == "torch":
        del known["contexts"]
    elif framework == "numpy":
        raise ValueError('a layer is written in "mxnet" or "torch"; got framework="numpy"')
    check_of(candidate, allow_library, axis, framework, momentum_weighs).run(known, parts)


def _parameters(check: Check) -> str:
    check = check.at("parameters")
    before = None
    for shape in ((1, 3), (1, 3, 1, 1), (1, 5), (1, 5, 1, 1)):
        block = Block.made(check, len(shape), num_features=shape[1])
        held = block.state(other=before)
        if held["gamma"]["name"] and held["gamma"]["name"] == held["beta"]["name"]:
            block.blame("one for both")
        for name, start in (("gamma", 1.0), ("beta", 0.0)):
            registered(block.check, name, held[name])
            _start(block, name, held[name], shape, start)
        for name in AVERAGES:
            if held[name]["parameter"] and held[name]["trained"]:
                both = 'grad_req "null"', f'grad_req "{held[name]["grad_req"]}"'
                block.blame("trained", *both, given={}, name=name)
            _start(block, name, held[name], shape, block.start * (name == "moving_var"))
        before = block
    return check.part


def _start(block: Block, name: str, held: dict, shape: tuple[int, ...], start: float) -> None:
    """Check the shape and the value after initialize()."""
    value, right = np.asarray(held["array"], np.float64), block.shape(shape[1])
    if tuple(held["shape"] or ()) != right:
        label = "shape" if value.size == shape[1] else "num_features"
        label = "shared from the start" if held["shared"] else label
        block.blame(label, str(right), str(value.shape), name=name)
    if not np.array_equal(value, np.full(shape, start)):
        block.blame("starts", np.full(shape, start), value, name=name, start=f"{start:g}")


def _modes(check: Check) -> str:
    """Check the output in both modes, and that gamma and beta are trained."""
    part = "modes of the layer"
    for num_dims, shape in inputs(check).items():
        block = Block.made(check.at(part), num_dims)
        for number, scale in ((400, 1.0), (404, 0.01)):  # the small one shows eps
            _output(block, f"{part}, training", drawn(check, shape, number, scale), "record")
        _stored(block, part, drawn(check, shape, 406, 10.0))
        X = drawn(check, shape, 401) + 3
        _output(block, f"{part}, prediction", X, "predict")
        _output(block, f"{part}, training without recording", X, "train")
        _output(block, f"{part}, recording without training", X, "record without training")
    _trains(Block.made(check.at(part), 2), part)
    return part


def _output(block: Block, part: str, X: np.ndarray, mode: str) -> None:
    block, training = block.at(part), mode in ("record", "train")
    case = block.case(X)
    received = block.forward(X, mode)
    with np.errstate(invalid="ignore"):  # a wrong layer may keep a negative variance
        pair = case.training(), case.prediction()
    expected, other = pair if training else pair[::-1]
    given = {"X": case.X, "moving_mean": case.mean, "moving_var": case.var}
    here = replace(block.check, given=given)
    here.finite("the output", received, said("NaN: eps"))
    if not close(received, expected):
        recorded = [(said("mode: recorded"), other)] * (mode not in ("record", "predict"))
        cause = find(recorded, received, expected) or block.of_start()
        here.fail(
            "the output is wrong.", expected, received, cause or block.cause(X, mode, received)
        )


def _stored(block: Block, part: str, X: np.ndarray) -> None:
    """Say so if a step of training puts the averages into each other's place."""
    case = block.case(X)
    block.forward(X, "record")
    swapped(block.at(part, X=X).check, block.averages(), case.step())


def _trains(block: Block, part: str) -> None:
    """Check that gamma and beta receive their gradients, and that a trainer changes them."""
    check, rate = block.check, 0.5
    X, dY = drawn(check, INPUTS[2], 402), drawn(check, INPUTS[2], 403)
    case = block.at(part).case(X)
    block.forward(X, "record", dY=dY)
    held, slope = block.state(), block.gradient
    check.ask("step", key=block.key, rate=rate)
    moved: dict[str, Any] = {}
    for name, value in (("gamma", case.gamma), ("beta", case.beta)):
        gradient = held[name]["gradient"]
        if gradient is not None and np.size(gradient) == value.size:
            value = value - rate * np.asarray(gradient, np.float64).reshape(value.shape)
        moved[name] = value
    for mode in ("predict", "record"):
        case = block.case(X)._replace(**moved)
        with np.errstate(invalid="ignore"):
            expected = case.training() if mode == "record" else case.prediction()
        received = block.forward(X, mode, dY=-dY if mode == "record" else None)
        if np.isfinite(expected).all() and not close(received, expected, 1e-3):
            check.ask("step", key=block.key, rate=rate)  # a wrong layer may share them
            found = block.cause(X, mode, received)
            fits = np.size(held["gamma"]["array"]) == np.size(held["beta"]["array"]) == X.shape[1]
            used = "not used" if fits else "shapes first"
            found = found if found.named else block.said(used)
            wrong = "the output is wrong after a step of a trainer."
            check.at(part, X=X, **moved).fail(wrong, expected, received, found)
    check.ask("step", key=block.key, rate=rate)  # back again
    case = block.case(X)
    _receive(block.at(part), held, case, dY)
    expected, received = case.gradients(dY)[0], np.moveaxis(slope, block.axis, 1)
    if not close(received, expected, 1e-3):
        cause = derivation.of_autograd(case, "X", dY, received, expected, True)
        wrong = "the gradient of X is wrong, though the output is right."
        check.at(part, X=X, dY=dY).fail(wrong, expected, received, cause)


def _receive(block: Block, held: dict, case: Case, dY: np.ndarray) -> None:
    """Say so if gamma or beta doesn't have its gradient."""
    right = case.gradients(dY)[1:]
    for name, expected, other in zip(("gamma", "beta"), right, right[::-1]):
        if held[name]["gradient"] is None:
            block.blame("parameters first", "a Parameter", held[name]["kind"], name=name)
        received = np.asarray(held[name]["gradient"], np.float64)
        if not close(received, expected, 1e-3):
            times = leftover.share(received, expected)
            label = "output first"
            if close(received, other, 1e-3):
                label = "gamma and beta"
            elif not np.any(received):
                label = "no gradient"
            elif times:
                label = "times"
            cause = block.said(label, name=name, times=f"{times:.4g}")
            block.check.fail(f"{name} receives a wrong gradient.", expected, received, cause)


def _independence(check: Check) -> str:
    """Check that one layer's training leaves another layer alone."""
    check = check.at("independence")
    one, other = (Block.made(check, 2) for _ in range(2))
    held = one.state(other=other)
    for name in ("gamma", "beta"):
        if held[name]["shared"]:
            one.blame("shared", name=name)
    X, dY = drawn(check, INPUTS[2], 440), drawn(check, INPUTS[2], 441)
    before = other.state()
    one.forward(X, "record", dY=dY)
    check.ask("step", key=one.key, rate=0.5)
    after, own = other.state(), one.state()
    if not any(np.any(own[name]["array"] != held[name]["array"]) for name in ("gamma", "beta")):
        trained = any(held[name]["trained"] for name in ("gamma", "beta"))
        cause = one.said("not used" if trained else "parameters first")
        wrong = "a step of training changes neither gamma nor beta."
        check.fail(wrong, cause=cause, given={"X": X})
    for name in ("gamma", "beta", *AVERAGES):
        was, now = before[name]["array"], after[name]["array"]
        if was is not None and not np.array_equal(was, now):
            one.blame("shared changes", was, now, name=name)
    same = check.ask("together", keys=[one.key, other.key])["same"]
    if same:
        one.blame("names", "names of its own for each layer", name=same[0])
    return check.part


def _contexts(check: Check) -> str:
    """Check that the statistics follow the input to another context, and keep their values."""
    part = "contexts"
    block = Block.made(check.at(part), 2).at(part)
    X = drawn(check, INPUTS[2], 420)
    case = block.case(X)
    block.forward(X, "record")
    _step(block, case, "not to blame: before")
    block.check.ask("move", key=block.key, context=1)
    X = drawn(check, INPUTS[2], 421)
    case = block.case(X)
    block.forward(X, "record", context=1)
    held = block.state()
    for name in AVERAGES:
        if held[name]["context"] != 1:
            block.blame("stays", "cpu(1)", f"cpu({held[name]['context']})", name=name)
    _on_the_context(block)
    afresh = [case.moving(0 * new, new) for new in case.moments()]
    new = all(map(close, block.averages(), afresh))
    _step(block, case, "afresh" if new else "not to blame")
    _two_contexts(check, part)
    return part


def _two_contexts(check: Check, part: str) -> None:
    """Check that two shards on two contexts are two batches in a row for one set of averages."""
    block = Block.made(check, 2, contexts=(0, 1)).at(f"{part}, a layer on two")
    shard, X, dY = (drawn(check, INPUTS[2], number) for number in (424, 422, 423))
    first = block.case(shard, 0)
    block.forward(shard, "record")
    mean, var = first.step()
    case = first._replace(X=X, mean=mean, var=var)
    # The current context is a third, so that an array of another than X's is noticed.
    block.forward(X, "record", context=1, current=2, dY=dY)
    _on_the_context(block)
    here, there = block.state(1), block.state(0)
    found = block.averages(1)
    apart = first._replace(X=X).step()
    one = all(map(close, found, (mean, var)))
    label = (
        "apart" if all(map(close, found, apart)) else "one context" if one else "another context"
    )
    _step(block, case, label, context=1)
    for name in ("gamma", "beta"):
        if there[name]["gradient"] is not None and np.any(there[name]["gradient"]):
            block.blame("gradient elsewhere", name=name)
    _receive(block, here, case, dY)


def _on_the_context(block: Block) -> None:
    if block.context != 1:
        block.blame("output elsewhere", "cpu(1)", f"cpu({block.context})")


def _step(block: Block, case: Case, label: str, context=None) -> None:
    """Say so if the averages are not what one step of training with `case` makes of them."""
    found, news = block.averages(context), case.moments()
    for name, received, expected, new in zip(AVERAGES, found, case.step(), news):
        if not close(received, expected):
            given = {f"{name} before": getattr(case, name[7:]), f"{name[7:]} of the batch": new}
            block.blame(label, expected, received, given, name=name)


def _saving(check: Check) -> str:
    """Check that a network that is saved and loaded predicts the same."""
    part = "saving and loading"
    for num_dims, shape in inputs(check).items():
        block = Block.made(check.at(part), num_dims).at(part)
        X = drawn(check, shape, 430)
        for _ in range(3):
            block.forward(X, "record")
        before = block.averages()
        predicts(block, [X] * 3, X)
        kept(block, X, block.case(X), before, block.said("changed when predicting"))
        loaded = block.loaded(check, num_dims)
        loaded.forward(X, "predict")
        for name, was, now in zip(AVERAGES, block.averages(), loaded.averages()):
            if not close(now, was, 1e-5):
                block.blame("not saved", was, now, name=name)
        loaded.predicts_like(block, X, block.said("value not saved"))
        block.forward(drawn(check, shape, 431), "record")  # then back to what was saved
        block.check.ask("load", key=block.key, arguments=[], file=block.file)
        block.predicts_like(loaded, X, block.said("not reloaded"))
    return part


def _precision(check: Check) -> str:
    """Check inputs that are far from zero, where E[x^2] - E[x]^2 has no digits left."""
    part = "precision"
    for num_dims, shape in inputs(check).items():
        block = Block.made(check.at(part), num_dims)
        X = (drawn(check, shape, 450) + 10000).astype(np.float32).astype(np.float64)
        expected, received = block.case(X).training(), block.forward(X, "record")
        if not np.abs(received - expected).max() <= 0.05:  # not true of NaN
            block.check.blame("precision", expected, received, {"X": X})
    return part
