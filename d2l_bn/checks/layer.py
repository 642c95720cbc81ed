"""Checks a student's layer: what it holds, what it computes, and where its state goes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Callable

import numpy as np

from d2l_bn.checks import causes, leftover
from d2l_bn.checks.asking import Check, find
from d2l_bn.checks.averages import predicts, statistics, swapped
from d2l_bn.checks.block import (
    AVERAGES,
    EPS,
    INPUTS,
    SHAPE,
    Layer,
    check_of,
    drawn,
    of_start,
    registered,
)
from d2l_bn.checks.cases import Case, close
from d2l_bn.checks.phrases import said


def layer(candidate: Callable, *parts: str, allow_library: bool = False, axis: int = 1) -> None:
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
    check_of(candidate, allow_library, axis).run(known, parts)


def _parameters(check: Check) -> str:
    check = check.at("parameters")
    before = None
    for shape in ((1, 3), (1, 3, 1, 1), (1, 5), (1, 5, 1, 1)):
        block = Layer.made(check, len(shape), num_features=shape[1])
        held = block.state(other=before)
        for name, start in (("gamma", 1.0), ("beta", 0.0)):
            registered(block.check, name, held[name])
            _start(block, name, held[name], shape, start)
        for name in AVERAGES:
            if held[name]["parameter"] and held[name]["trained"]:
                replace(block.check, given={}).fail(
                    f"{name} is trained.",
                    expected='grad_req "null"',
                    received=f'grad_req "{held[name]["grad_req"]}"',
                    cause="a trainer would change the moving averages. Make them with "
                    'grad_req="null".',
                )
            _start(block, name, held[name], shape, 0.0)
        before = block
    return check.part


_FEATURES = "there is one value for each feature. Use the argument num_features."


_SHARED = (
    "it is shared by all layers: it belongs to the class, to the module or to a default argument. "
    "Make it in __init__, a new one for each layer."
)


def _start(block: Layer, name: str, held: dict, shape: tuple[int, ...], start: float) -> None:
    """Check the shape and the value after initialize()."""
    value, check, right = np.asarray(held["array"], np.float64), block.check, block.shape(shape[1])
    if tuple(held["shape"] or ()) != right:
        cause = SHAPE if value.size == shape[1] else _FEATURES
        check.fail(
            f"the shape of {name} is wrong.",
            expected=str(right),
            received=str(value.shape),
            cause=_SHARED if held["shared"] else cause,
        )
    if not np.array_equal(value, np.full(shape, start)):
        check.fail(
            f"{name} starts at a wrong value.",
            expected=np.full(shape, start),
            received=value,
            cause=f"{name} starts at {start:g}: gamma at ones (init.One()), beta at zeros "
            "(init.Zero()), both moving averages at zeros.",
        )


def _modes(check: Check) -> str:
    """Check the output in both modes, and that gamma and beta are trained."""
    part = "modes of the layer"
    for num_dims, shape in INPUTS.items():
        block = Layer.made(check.at(part), num_dims)
        for number, scale in ((400, 1.0), (404, 0.01)):  # the small one shows eps
            _output(block, f"{part}, training", drawn(check, shape, number, scale), True)
        _stored(block, part, drawn(check, shape, 406, 10.0))
        _output(block, f"{part}, prediction", drawn(check, shape, 401) + 3, False)
    _trains(Layer.made(check.at(part), 2), part)
    return part


def _output(block: Layer, part: str, X: np.ndarray, training: bool) -> None:
    block = block.at(part)
    case = block.case(X)
    received = block.forward(X, "record" if training else "predict")
    expected = case.training() if training else case.prediction()
    given = {"X": case.X, "moving_mean": case.mean, "moving_var": case.var}
    here = replace(block.check, given=given)
    here.finite("the output", received, "a division by zero. Is eps inside the root?")
    if not close(received, expected):
        here.fail(
            "the output is wrong.",
            expected=expected,
            received=received,
            cause=find(_directly(case, training), received, expected)
            or of_start(block.state())
            or block.cause(X, "record" if training else "predict", received),
        )


def _directly(case: Case, training: bool) -> Iterator[tuple[str, np.ndarray]]:
    """Yield outputs with other arguments than those that the layer has, each with its cause."""
    if not training:
        yield said("layer: zeros"), case.output(0, 0)
    crossed = case._replace(eps=0.9)
    yield said("layer: eps and momentum"), crossed.training() if training else crossed.prediction()
    for eps in (1e-1, 1e-2, 1e-3, 1e-4, 1e-6, 1e-7, 1e-8):
        other = case._replace(eps=eps)
        yield (
            f"your layer uses eps = {eps:g}. Here it is {EPS:g}.",
            other.training() if training else other.prediction(),
        )


def _stored(block: Layer, part: str, X: np.ndarray) -> None:
    """Say so if a step of training puts the averages into each other's place."""
    case = block.case(X)
    block.forward(X, "record")
    mean, var = case.moments()
    right = case.moving(case.mean, mean), case.moving(case.var, var)
    found = block.averages()
    if all(close(a, b) for a, b in zip(found, right[::-1])):
        swapped(block.at(part, X=X).check, "moving_mean", right[0], found[0])


def _trains(block: Layer, part: str) -> None:
    """Check that gamma and beta receive their gradients, and that a trainer changes them."""
    check, rate = block.check, 0.5
    X, dY = drawn(check, INPUTS[2], 402), drawn(check, INPUTS[2], 403)
    case = block.at(part).case(X)
    block.forward(X, "record", dY=dY)
    held = block.state()
    check.ask("step", key=block.key, rate=rate)
    moved = [case.gamma, case.beta]
    for place, name in enumerate(("gamma", "beta")):
        if held[name]["gradient"] is not None:
            gradient = np.asarray(held[name]["gradient"], np.float64)
            if gradient.size == moved[place].size:
                gradient = gradient.reshape(moved[place].shape)
            moved[place] = moved[place] - rate * gradient
    case = case._replace(gamma=moved[0], beta=moved[1])
    received = block.forward(X, "record", dY=-dY)
    check.ask("step", key=block.key, rate=rate)  # back again: a wrong layer may share them
    if not close(received, case.training(), 1e-3):
        given = {"X": X, "gamma": case.gamma, "beta": case.beta}
        found = causes.of_output([(case, received)], True)
        replace(check.at(part), given=given).fail(
            "the output is wrong after a step of a trainer.",
            expected=case.training(),
            received=received,
            cause=(found if found.named else "")
            or "forward does not use the gamma and beta that are registered as parameters.",
        )
    _receive(block.at(part).check, held, block.case(X), dY)


def _receive(check: Check, held: dict, case: Case, dY: np.ndarray) -> None:
    """Say so if gamma or beta doesn't have its gradient."""
    right = case.gradients(dY)[1:]
    for name, expected, other in zip(("gamma", "beta"), right, right[::-1]):
        if held[name]["gradient"] is None:
            check.fail(
                f"{name} is not a parameter, so it has no gradient.",
                expected="a Parameter",
                received=held[name]["kind"],
                cause='nothing can train it. Mend what the part "parameters" says first.',
            )
        received = np.asarray(held[name]["gradient"], np.float64)
        if not close(received, expected, 1e-3):
            times = leftover.share(received, expected)
            cause = "Mend the output first, which both follow from."
            if close(received, other, 1e-3):
                cause = "gamma and beta are in each other's place. gamma multiplies, beta is added."
            elif not np.any(received):
                cause = (
                    f"forward does not use self.{name}.data(), or cuts the graph with detach(), "
                    "asnumpy() or autograd.pause()."
                )
            elif times:
                cause = f"it is {times:.4g} times the right one. Use self.{name}.data() once."
            check.fail(
                f"{name} receives a wrong gradient.",
                expected=expected,
                received=received,
                cause=cause,
            )


def _independence(check: Check) -> str:
    """Check that one layer's training leaves another layer alone."""
    part = "independence"
    one, other = (Layer.made(check.at(part), 2) for _ in range(2))
    held = one.state(other=other)
    for name in ("gamma", "beta"):
        if held[name]["shared"]:
            check.at(part).fail(
                f"two layers share {name}.",
                cause=f"{name} is made once, for the class or the module. Make it in __init__.",
            )
    X, dY = drawn(check, INPUTS[2], 440), drawn(check, INPUTS[2], 441)
    before = other.state()
    one.forward(X, "record", dY=dY)
    one.check.ask("step", key=one.key, rate=0.5)
    after, own = other.state(), one.state()
    if not any(np.any(own[name]["array"] != held[name]["array"]) for name in ("gamma", "beta")):
        check.at(part, X=X).fail(
            "a step of training changes neither gamma nor beta.",
            cause="forward does not use self.gamma.data() and self.beta.data().",
        )
    for name in ("gamma", "beta", *AVERAGES):
        was, now = before[name]["array"], after[name]["array"]
        if was is not None and not np.array_equal(was, now):
            check.at(part).fail(
                f"training one layer changes {name} of another.",
                expected=was,
                received=now,
                cause=_SHARED.replace("it is", f"{name} is", 1),
            )
    return part


def _contexts(check: Check) -> str:
    """Check that the statistics follow the input to another context, and keep their values."""
    part = "contexts"
    block = Layer.made(check.at(part), 2).at(part)
    X = drawn(check, INPUTS[2], 420)
    case = block.case(X)
    block.forward(X, "record")
    _step(
        block,
        case,
        "is wrong after one step, before the context changes.",
        'the contexts are not to blame. Mend what the part "statistics" says first.',
    )
    block.check.ask("move", key=block.key, context=1)
    X = drawn(check, INPUTS[2], 421)
    case = block.case(X)
    block.forward(X, "record", context=1)
    held = block.state()
    for name in AVERAGES:
        if held[name]["context"] != 1:
            block.check.fail(
                f"{name} stays on cpu({held[name]['context']}) when X is on cpu(1).",
                expected="cpu(1)",
                received=f"cpu({held[name]['context']})",
                cause="a GPU cannot mix arrays of two contexts. Where the contexts differ, forward "
                f"begins with: self.{name} = self.{name}.copyto(X.context).",
            )
    _on_the_context(block)
    afresh = [case.moving(0 * new, new) for new in case.moments()]
    _step(
        block,
        case,
        "is wrong after a step on cpu(1).",
        "new arrays are made on the new context. Copy the old ones: "
        "self.moving_mean.copyto(X.context), and so for moving_var."
        if all(map(close, block.averages(), afresh))
        else 'the context is not to blame. Mend what the part "statistics" says first.',
    )
    _two_contexts(check, part)
    return part


def _two_contexts(check: Check, part: str) -> None:
    """Check that two shards on two contexts are two batches in a row for one set of averages."""
    block = Layer.made(check.at(part), 2, contexts=(0, 1)).at(f"{part}, a layer on two")
    shard, X, dY = (drawn(check, INPUTS[2], number) for number in (424, 422, 423))
    first = block.case(shard, 0)
    block.forward(shard, "record")
    mean, var = map(first.moving, (first.mean, first.var), first.moments())
    case = first._replace(X=X, mean=mean, var=var)
    # The current context is a third, so that an array of another than X's is noticed.
    block.forward(X, "record", context=1, current=2, dY=dY)
    _on_the_context(block)
    here, there = block.state(1), block.state(0)
    found = block.averages(1)
    apart = [case.moving(old, new) for old, new in zip((first.mean, first.var), case.moments())]
    _step(
        block,
        case,
        "after a shard on cpu(0) and one on cpu(1) isn't that of two batches in a row.",
        "each context keeps averages of its own. There is one set for the layer: "
        "self.moving_mean.set_data(...) writes to all contexts, and so for moving_var."
        if all(map(close, found, apart))
        else "forward takes the array of another context: self.moving_mean.data(X.context) has the "
        "one where X is, and so for moving_var.",
        context=1,
    )
    for name in ("gamma", "beta"):
        if there[name]["gradient"] is not None and np.any(there[name]["gradient"]):
            block.check.fail(
                f"{name} receives its gradient on cpu(0), though X is on cpu(1).",
                cause=f"forward takes the array of another context: self.{name}.data(X.context) "
                "has the one where X is. X itself stays where it is.",
            )
    _receive(block.check, here, case, dY)


def _on_the_context(block: Layer) -> None:
    if block.context != 1:
        block.check.fail(
            f"the output is on cpu({block.context}) when X is on cpu(1).",
            expected="cpu(1)",
            received=f"cpu({block.context})",
            cause="an array in forward is made on, or fetched from, another context. Use "
            "self.gamma.data(X.context) and ctx=X.context.",
        )


def _step(block: Layer, case: Case, wrong: str, cause: str, context=None) -> None:
    """Say so if the averages are not what one step of training with `case` makes of them."""
    for name, received, old, new in zip(
        AVERAGES, block.averages(context), (case.mean, case.var), case.moments()
    ):
        expected = case.moving(old, new)
        if not close(received, expected):
            given = {f"{name} before": old, "mean or variance of the batch": new}
            replace(block.check, given=given).fail(
                f"{name} {wrong}", expected=expected, received=received, cause=cause
            )


def _saving(check: Check) -> str:
    """Check that a network that is saved and loaded predicts the same."""
    part = "saving and loading"
    for num_dims, shape in INPUTS.items():
        block = Layer.made(check.at(part), num_dims).at(part)
        X = drawn(check, shape, 430)
        for _ in range(3):
            block.forward(X, "record")
        predicts(block, [X] * 3, X)
        loaded = block.loaded(check, num_dims)
        loaded.forward(X, "predict")
        for name, was, now in zip(AVERAGES, block.averages(), loaded.averages()):
            if not close(now, was, 1e-5):
                block.check.fail(
                    f"{name} is lost: the loaded layer predicts something else.",
                    expected=was,
                    received=now,
                    cause="save_parameters writes parameters only. Make the averages parameters "
                    f'that are not trained: self.params.get("{name}", shape=shape, '
                    'init=init.Zero(), grad_req="null"), and write the new value by '
                    f"self.{name}.set_data(...).",
                )
        loaded.predicts_like(
            block, X, "the prediction depends on a value that is not saved. Keep it as a parameter."
        )
    return part


def _precision(check: Check) -> str:
    """Check inputs that are far from zero, where E[x^2] - E[x]^2 has no digits left."""
    part = "precision"
    for num_dims, shape in INPUTS.items():
        block = Layer.made(check.at(part), num_dims)
        X = (drawn(check, shape, 450) + 10000).astype(np.float32).astype(np.float64)
        expected, received = block.case(X).training(), block.forward(X, "record")
        if not np.abs(received - expected).max() <= 0.05:  # not true of NaN
            replace(block.check, given={"X": X}).fail(
                "the output is wrong for inputs far from zero.",
                expected=expected,
                received=received,
                cause="the variance is the mean of the squares minus the square of the mean: both "
                "are near 10,000 squared, and float32 has seven digits. Subtract the mean first.",
            )
    return part
