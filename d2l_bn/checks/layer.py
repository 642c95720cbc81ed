"""Checks a student's layer: what it holds, what it computes, and where its state goes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import chain, count
from typing import Callable, NoReturn

import numpy as np

from d2l_bn.checks import composition, inference, mistakes
from d2l_bn.checks.asking import Check, find
from d2l_bn.checks.cases import Case, close, make

INPUTS = {2: (5, 3), 4: (4, 3, 2, 2)}
AVERAGES = ("moving_mean", "moving_var")
EPS = 1e-5  # of the layer that is asked for
_numbers = count()


def layer(candidate: Callable, *parts: str, allow_library: bool = False) -> None:
    """Check a layer like `d2l_bn.BatchNorm`, with eps 1e-5 and momentum 0.9.

    Parameters
    ----------
    candidate : callable
        Called with (num_features, num_dims), for instance the class; returns a Block with the
        attributes gamma, beta, moving_mean and moving_var, or running_mean and running_var in
        place of the last two.
    *parts : {"parameters", "modes", "statistics", "independence", "contexts", "saving"}
        What to check; without any, everything.
    allow_library : bool, default False
        Accept that the layer calls a ready-made normalization, such as `d2l_bn.batch_norm`.

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
        "statistics": _statistics,
        "independence": _independence,
        "contexts": _contexts,
        "saving": _saving,
    }
    Check.of(candidate, allow_library).run(known, parts)


@dataclass
class Layer:
    """One layer of the student's, known by a name on their side."""

    check: Check
    key: str

    @staticmethod
    def made(check: Check, num_dims: int, *, num_features: int = 3, contexts=(0,)) -> Layer:
        """A new layer, initialized."""
        check = replace(check, given={"num_features": num_features, "num_dims": num_dims})
        key = f"layer {next(_numbers)}"
        arguments = [num_features, num_dims]
        answer = check.ask("make", key=key, arguments=arguments, contexts=list(contexts))
        if not answer["block"]:
            check.fail(
                "your layer is not a Block of Gluon's.",
                expected="an object of a class that extends nn.Block",
                received=answer["kind"],
                cause="the class does not extend nn.Block, or the function does not return it: "
                "class BatchNorm(nn.Block).",
            )
        for context in contexts:
            check.ask("state", _of_initialize, key=key, context=context, other=None)
        return Layer(check, key)

    def forward(self, X: np.ndarray, mode: str, *, dY=None, **contexts: int) -> np.ndarray:
        """The output; where a gradient `dY` of it is given, the parameters get theirs."""
        check = replace(self.check, given={"X": X})
        answer = check.ask(
            "forward", self._of_words, key=self.key, X=X, mode=mode, dY=dY, **contexts
        )
        (value,) = answer["result"]["values"]
        if value["type"] != "NDArray":
            check.fail(
                f"what forward returns is {value['kind']}, but must be the output, an NDArray.",
                cause="the return statement is missing."
                if value["kind"] == "None"
                else "all three values are returned. Keep the averages and return Y.",
            )
        Y = np.asarray(value["array"], np.float64)
        check.shape(
            "the output",
            Y,
            X.shape,
            "gamma, beta or the statistics have a shape that does not fit num_dims.",
        )
        self.context = answer["context"]
        return Y

    def _of_words(self, words: str) -> str:
        """Return the cause of an exception of these words in forward, or ""."""
        if "not in a computational graph" in words:
            held = self.check.ask("state", key=self.key, context=None, other=None)
            if not (held["gamma"]["trained"] or held["beta"]["trained"]):
                return 'gamma and beta are not trained. Mend what the part "parameters" says first.'
        return _of_words(words)

    def state(self, context=None, other: Layer | None = None) -> dict[str, dict]:
        """What the layer holds, and what it has in common with another."""
        asked = {"key": self.key, "context": context, "other": other and other.key}
        held = self.check.ask("state", **asked)
        for name in AVERAGES:
            if held[name]["array"] is None:
                replace(self.check, given={}).fail(
                    f"the layer has no {name} that is an NDArray or a parameter.",
                    received=held[name]["kind"],
                    cause=f"__init__ does not set self.{name}, or sets it to something else.",
                )
        return held

    def averages(self, context=None) -> list[np.ndarray]:
        """Both moving averages in float64."""
        held = self.state(context)
        return [np.asarray(held[name]["array"], np.float64) for name in AVERAGES]

    def case(self, X: np.ndarray, context=None) -> Case:
        """The case that the layer meets with this input: fresh gamma and beta, its averages."""
        mean, var = self.averages(context)
        return make(X, mean=mean, var=var, eps=EPS)

    def loaded(self, check: Check, num_dims: int) -> Layer:
        """A new layer that has loaded what this one saves, in a process that has seen nothing."""
        file = self.check.ask("save", key=self.key)["file"]
        elsewhere = replace(self.check, respondent=check.respondent.afresh())
        loaded = Layer(elsewhere, f"layer {next(_numbers)}")
        elsewhere.ask("load", key=loaded.key, arguments=[3, num_dims], file=file)
        return loaded

    def predicts_like(self, saved: Layer, X: np.ndarray, cause: str) -> None:
        """Say so if this layer, once loaded, predicts something else than the saved one."""
        received, expected = self.forward(X, "predict"), saved.forward(X, "predict")
        if not close(received, expected):
            replace(saved.check, given={"X": X}).fail(
                "the loaded layer predicts something else.",
                expected=expected,
                received=received,
                cause=cause,
            )

    def at(self, part: str, **given) -> Layer:
        """The same layer at another place of the check."""
        layer = Layer(self.check.at(part, **given), self.key)
        layer.context = getattr(self, "context", 0)
        return layer


def _of_initialize(words: str) -> str:
    return (
        "initialize(ctx=[...]) was called with both contexts. Parameters that were initialized "
        "before keep theirs: __init__ initializes them, or another layer has the same ones."
    ) * ("initialized on" in words)


def _of_words(words: str) -> str:
    """Return the cause of an exception of these words in forward, or ""."""
    if "already in a computational graph" in words:
        return _WRITTEN_WHILE_RECORDED
    if "has no attribute 'backward'" in words:
        return "forward returns something else than the output. Keep the averages and return Y."
    if re.search("expected float.., got float..", words):
        return (
            "what the layer keeps has another type than X, which is float32. Leave dtype and "
            "astype out of the parameters."
        )
    shape = "gamma, beta or an average has another shape than it should, or they are handed over in"
    return f"{shape} another order. {_SHAPE[0].upper()}{_SHAPE[1:]}" * ("broadcast" in words)


def drawn(check: Check, shape: tuple[int, ...], number: int, scale: float = 1.0) -> np.ndarray:
    """Draw an input with one digit after the point, which is easy to read."""
    return np.round(check.draw(shape, number).X, 1) * scale


def _parameters(check: Check) -> str:
    check = check.at("parameters")
    before = None
    for shape in ((1, 3), (1, 3, 1, 1), (1, 5), (1, 5, 1, 1)):
        block = Layer.made(check, len(shape), num_features=shape[1])
        held = block.state(other=before)
        for name, start in (("gamma", 1.0), ("beta", 0.0)):
            registered(block.check, name, held[name])
            _start(block.check, name, held[name], shape, start)
        for name in AVERAGES:
            if held[name]["parameter"] and held[name]["trained"]:
                replace(block.check, given={}).fail(
                    f"{name} is trained.",
                    expected='grad_req "null"',
                    received=f'grad_req "{held[name]["grad_req"]}"',
                    cause="a trainer would change the moving averages. Make them with "
                    'grad_req="null".',
                )
            _start(block.check, name, held[name], shape, 0.0)
        before = block
    return check.part


def registered(check: Check, name: str, held: dict) -> None:
    """Say so if gamma or beta is nothing that a trainer finds and changes."""
    if not (held["parameter"] and held["registered"]):
        check.fail(
            f"{name} is not one of the layer's parameters.",
            expected=f"a Parameter in collect_params(), as self.{name}",
            received=f"self.{name} is {held['kind']}",
            cause=f"a trainer sees registered parameters only. Make it with "
            f'self.{name} = self.params.get("{name}", shape=shape, init=...).',
        )
    if not held["trained"]:
        replace(check, given={}).fail(
            f"{name} is not trained.",
            expected='grad_req "write"',
            received='grad_req "null"',
            cause=f'{name} was made with grad_req="null" or get_constant. Leave that out.',
        )
    if held["grad_req"] == "add":
        replace(check, given={}).fail(
            f"the gradients of {name} are added up, from one batch to the next.",
            expected='grad_req "write"',
            received='grad_req "add"',
            cause=f'{name} was made with grad_req="add". Leave that out.',
        )


_WRITTEN_WHILE_RECORDED = (
    "an average is written while autograd records it. An average is not trained: make it with "
    'grad_req="null". If that is so already, write it inside of autograd.pause(), and read the '
    "mode before: inside of it, autograd.is_training() is False."
)
_SHAPE = (
    "the shape is (1, num_features) for num_dims 2 and (1, num_features, 1, 1) for num_dims 4, so "
    "that it broadcasts."
)
_FEATURES = "there is one value for each feature. Use the argument num_features."
_SHARED = (
    "it is shared by all layers: it belongs to the class, to the module or to a default argument. "
    "Make it in __init__, a new one for each layer."
)


def _start(check: Check, name: str, held: dict, shape: tuple[int, ...], start: float) -> None:
    """Check the shape and the value after initialize()."""
    value = np.asarray(held["array"], np.float64)
    if value.shape != shape:
        cause = _SHAPE if value.size == shape[1] else _FEATURES
        check.fail(
            f"the shape of {name} is wrong.",
            expected=str(shape),
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
    if not close(received, expected, 1e-3):
        causes = (
            chain(mistakes.of_axes(case), mistakes.of_training(case))
            if training
            else chain(mistakes.of_prediction(case), [(_ZEROS, case.output(0, 0))])
        )
        here.fail(
            "the output is wrong.",
            expected=expected,
            received=received,
            cause=find(chain(_other_eps(case, training), causes), received, expected)
            or _of_start(block.state())
            or composition.of_output([(case, received)], training)
            or inference.of_output(
                case,
                received,
                *(case.moments() if training else (case.mean, case.var)),
                "the batch" if training else "the moving average",
            ),
        )


_ZEROS = "forward hands zeros to batch_norm in place of the averages that the layer keeps."


def _of_start(held: dict) -> str:
    """Return a cause if gamma or beta of a layer that isn't trained is another than asked for."""
    for name, start in (("gamma", 1), ("beta", 0)):
        if held[name]["array"] is None or np.any(np.asarray(held[name]["array"]) != start):
            return f'{name} doesn\'t start at {start}. Mend what the part "parameters" says first.'
    return ""


def _other_eps(case: Case, training: bool) -> mistakes.Mistakes:
    """Yield the output with other values of eps, each with its cause."""
    crossed = case._replace(eps=0.9)
    yield _CROSSED, crossed.training() if training else crossed.prediction()
    for eps in (1e-1, 1e-2, 1e-3, 1e-4, 1e-6, 1e-7, 1e-8):
        other = case._replace(eps=eps)
        yield (
            f"your layer uses eps = {eps:g}. Here it is {EPS:g}.",
            other.training() if training else other.prediction(),
        )


_CROSSED = (
    "eps and momentum are handed over in each other's place. The order is batch_norm(X, gamma, "
    "beta, moving_mean, moving_var, eps, momentum)."
)


def _stored(block: Layer, part: str, X: np.ndarray) -> None:
    """Say so if a step of training puts the averages into each other's place."""
    case = block.case(X)
    block.forward(X, "record")
    mean, var = case.moments()
    right = case.moving(case.mean, mean), case.moving(case.var, var)
    found = block.averages()
    if all(close(a, b) for a, b in zip(found, right[::-1])):
        _swapped(block.at(part, X=X).check, "moving_mean", right[0], found[0])


def _swapped(check: Check, name: str, expected: np.ndarray, received: np.ndarray) -> NoReturn:
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
            moved[place] = moved[place] - rate * np.asarray(held[name]["gradient"], np.float64)
    case = case._replace(gamma=moved[0], beta=moved[1])
    received = block.forward(X, "record", dY=-dY)
    check.ask("step", key=block.key, rate=rate)  # back again: a wrong layer may share them
    if not close(received, case.training(), 1e-3):
        given = {"X": X, "gamma": case.gamma, "beta": case.beta}
        replace(check.at(part), given=given).fail(
            "the output is wrong after a step of a trainer.",
            expected=case.training(),
            received=received,
            cause=find(mistakes.of_training(case), received, case.training())
            or composition.of_output([(case, received)], True)
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
            times = inference.share(received, expected)
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


def _statistics(check: Check) -> str:
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
                _kept(block, X, case, right, _ONLY_RECORDED)
            _moved(block, X, case)
        if not np.any(begun):
            _first(block, first, begun_with)
        _predicts(block, batches, drawn(check, shape, 414), _BEGUN if np.any(begun) else "")
        for mode, words in (("predict", _CHANGED), ("record without training", _WHILE_RECORDED)):
            X = drawn(check, shape, 412)
            case = block.case(X)
            block.forward(X, mode)
            _kept(block, X, case, (case.mean, case.var), words)
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
                cause=find([(_SET, new)], received, expected)
                or composition.of_average([(case, received)], which),
            )


_SET = (
    "the first batch sets the averages to its own mean and variance. They start at 0, and the "
    "first step takes a tenth of the way, as all do."
)
_BEGUN = (
    "the averages of a new layer aren't 0. They start elsewhere, or another layer has used them: "
    "then they belong to the class, to the module or to a default argument. Make them in __init__."
)
_MODES = 'the averages are not to blame. Mend what the part "modes" says first.'
_AVERAGES = 'the averages are not those of the steps. Mend what the part "statistics" says first.'


def _predicts(block: Layer, batches: list[np.ndarray], X: np.ndarray, cause: str = "") -> None:
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
            cause=cause or (_of_prediction(tracked, received) if right else _AVERAGES),
        )


def _of_prediction(case: Case, received: np.ndarray) -> str:
    return (
        find(mistakes.of_prediction(case), received, case.prediction())
        or composition.of_output([(case, received)], False)
        or _MODES
    )


def _moved(block: Layer, X: np.ndarray, case: Case) -> None:
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
        _swapped(replace(block.check, given={"X": X}), "moving_mean", right[0], found[0])
    for name, received, expected, old, new, causes in zip(
        AVERAGES,
        found,
        right,
        (case.mean, case.var),
        moments,
        (mistakes.of_moving_mean(case), mistakes.of_moving_var(case)),
    ):
        crossed = case.moving(case.var if name == "moving_mean" else case.mean, new)
        known: Iterable = chain(
            [(_NOT_KEPT, old)], [(_HANDED_OVER, crossed)], _other_momentum(case, old, new), causes
        )
        if not close(received, expected):
            here = replace(block.check, given={"X": case.X, f"{name} before": old})
            cause = find(known, received, expected) or (
                composition.of_average([(case, received)], name == "moving_var")
                or inference.of_average(case, name, received, old, new)
                if received.shape == expected.shape
                else _SHAPE
            )
            _after_the_call(here, name, expected, received, cause)


def _other_momentum(case: Case, old, new) -> mistakes.Mistakes:
    """Yield the average with other values of momentum, each with its cause."""
    yield _CROSSED, case._replace(momentum=EPS).moving(old, new)
    yield (
        "your layer uses momentum = 0.99, or it averages twice: what batch_norm returns are the "
        "new averages, to be stored as they are. Here momentum is 0.9.",
        case._replace(momentum=0.99).moving(old, new),
    )
    for momentum in (0.999, 0.95, 0.8, 0.7, 0.5):
        wrong = case._replace(momentum=momentum)
        yield f"your layer uses momentum = {momentum:g}. Here it is 0.9.", wrong.moving(old, new)


_NOT_KEPT = (
    "the new averages are not kept after training mode. Write them into what the layer "
    "keeps: self.moving_mean.set_data(...) for a Parameter. Read the mode before autograd.pause(): "
    "inside of it, autograd.is_training() is False."
)
_HANDED_OVER = (
    "the moving mean and the moving variance are handed over in each other's place. The order is "
    "batch_norm(X, gamma, beta, moving_mean, moving_var, eps, momentum)."
)
_CHANGED = "the layer changes its moving averages when predicting. Leave them alone."
_WHILE_RECORDED = (
    "the layer changes its moving averages in prediction mode when autograd records. Ask "
    "autograd.is_training(), not autograd.is_recording()."
)
_ONLY_RECORDED = (
    "in training mode the averages are updated only while autograd records. Ask "
    "autograd.is_training(), not autograd.is_recording()."
)


def _kept(block: Layer, X: np.ndarray, case: Case, right: Iterable, cause: str) -> None:
    """Say so if the averages are not these."""
    for name, expected, received in zip(AVERAGES, right, block.averages()):
        if not close(received, expected):
            old = case.mean if name == "moving_mean" else case.var
            here = replace(block.check, given={"X": X, f"{name} before": old})
            _after_the_call(here, name, expected, received, cause)


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
    after = other.state()
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
    _step(
        block,
        case,
        "loses its value on the way to cpu(1).",
        "new arrays are made on the new context. Copy the old ones: "
        "self.moving_mean.copyto(X.context), and so for moving_var.",
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
        _predicts(block, [X] * 3, X)
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
