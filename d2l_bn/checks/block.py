"""A layer of the student's: what is asked of it, and what a check needs of its answers."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import count
from typing import Callable, NoReturn

import numpy as np

from d2l_bn.checks import causes
from d2l_bn.checks.answers import STATE
from d2l_bn.checks.asking import Check
from d2l_bn.checks.cases import Case, close, make
from d2l_bn.checks.phrases import Cause, said

INPUTS = {2: (5, 3), 4: (4, 3, 2, 2)}
AVERAGES = ("moving_mean", "moving_var")
EPS = 1e-5  # of the layer that is asked for
_numbers = count()


class Last(Check):
    """A check of a layer that has its channels last, and an array of shape (C,) for what it keeps.

    A check reckons with the channels at axis 1, so that arrays are turned on the way to the student
    and back, and in what the student reads.
    """

    def fail(self, property: str, *, expected=None, received=None, cause: str = "") -> NoReturn:
        """Say that a property does not hold here."""
        given = {name: _turned(value) for name, value in self.given.items()}
        expected, received = _turned(expected), _turned(received)
        words = cause.replace(SHAPE, SHAPE_LAST).replace("(0, 2, 3)", "all but the last")
        cause = Cause(words, getattr(cause, "label", ""))
        here = Check(self.respondent, self.part, given, self.ready_made)
        here.fail(property, expected=expected, received=received, cause=cause)


def _turned(value):
    """An array as a student has it whose channels are last."""
    if isinstance(value, list):
        return [_turned(each) for each in value]
    if not isinstance(value, np.ndarray) or value.ndim not in (2, 4):
        return value
    kept = value.size == value.shape[1]
    return value.reshape(-1) if kept else np.moveaxis(value, 1, -1)


def check_of(candidate: Callable, allow_library: bool, axis: int) -> Check:
    """The check of a layer, which has its channels at axis 1 or -1."""
    if axis not in (1, -1):
        raise ValueError(f"the axis of the channels must be 1 or -1, got {axis}")
    check = Check.of(candidate, allow_library)
    return check if axis == 1 else Last(**vars(check))


@dataclass
class Layer:
    """One layer of the student's, known by a name on their side."""

    check: Check
    key: str
    num_dims: int = 2

    @staticmethod
    def made(check: Check, num_dims: int, *, num_features: int = 3, contexts=(0,)) -> Layer:
        """A new layer, initialized."""
        names = ("num_features",) if isinstance(check, Last) else ("num_features", "num_dims")
        arguments = [num_features, num_dims][: len(names)]
        check = replace(check, given=dict(zip(names, arguments)))
        key = f"layer {next(_numbers)}"
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
        return Layer(check, key, num_dims)

    @property
    def axis(self) -> int:
        """Where the student's layer has the channels."""
        return -1 if isinstance(self.check, Last) else 1

    def forward(self, X: np.ndarray, mode: str, *, dY=None, **contexts: int) -> np.ndarray:
        """The output; where a gradient `dY` of it is given, the parameters get theirs."""
        check = replace(self.check, given={"X": X})
        given = np.moveaxis(X, 1, self.axis)
        slope = None if dY is None else np.moveaxis(dY, 1, self.axis)
        answer = check.ask(
            "forward", self._of_words, key=self.key, X=given, mode=mode, dY=slope, **contexts
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
            given.shape,
            "gamma, beta or the statistics have a shape that does not fit X.",
        )
        self.context = answer["context"]
        return np.moveaxis(Y, self.axis, 1)

    def _of_words(self, words: str) -> str:
        """Return the cause of an exception of these words in forward, or ""."""
        if "not in a computational graph" in words or "It was only initialized on" in words:
            held = self.check.ask("state", key=self.key, context=None, other=None)
            pair = held["gamma"], held["beta"]
            registered = all(each["registered"] for each in pair)
            if not registered or not any(each["trained"] for each in pair):
                return said("layer: parameters first")
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
        for each in (held[name] for name in STATE):
            array = each["array"]
            each["shape"] = None if array is None else array.shape
            if self.axis == -1 and array is not None and array.ndim == 1:
                for what in ("array", "gradient"):
                    if each[what] is not None:
                        each[what] = each[what].reshape(1, -1, *(1,) * (self.num_dims - 2))
        return held

    def shape(self, num_features: int) -> tuple[int, ...]:
        """The shape of what the layer keeps."""
        rest = (1,) * (self.num_dims - 2)
        return (num_features,) if self.axis == -1 else (1, num_features, *rest)

    def averages(self, context=None) -> list[np.ndarray]:
        """Both moving averages in float64."""
        held = self.state(context)
        return [np.asarray(held[name]["array"], np.float64) for name in AVERAGES]

    def case(self, X: np.ndarray, context=None) -> Case:
        """The case that the layer meets with this input: fresh gamma and beta, its averages."""
        mean, var = self.averages(context)
        return make(X, mean=mean, var=var, eps=EPS)

    def cause(self, X: np.ndarray, mode: str, received: np.ndarray) -> Cause:
        """The cause of a wrong output, sought once gamma isn't 1, nor beta 0."""
        training = mode in ("record", "train")
        other = Layer.made(self.check, X.ndim)
        other.forward(drawn(self.check, X.shape, 505), "record", dY=drawn(self.check, X.shape, 508))
        self.check.ask("step", key=other.key, rate=0.3)
        instances = []
        for number in (507, 509):
            case = other.case(drawn(self.check, (X.shape[0] + 1, *X.shape[1:]), number))
            held = other.state()
            gamma, beta = (held[name]["array"] for name in ("gamma", "beta"))
            if all(np.size(each) == case.gamma.size for each in (gamma, beta)):
                case = case._replace(
                    gamma=gamma.reshape(case.gamma.shape), beta=beta.reshape(case.beta.shape)
                )
            Y = other.forward(case.X, mode)
            if not close(Y, causes.right(case, training)):
                instances.append((case, Y))
        return causes.of_output(instances or [(self.case(X), received)], training)

    def loaded(self, check: Check, num_dims: int) -> Layer:
        """A new layer that has loaded what this one saves, in a process that has seen nothing."""
        file = self.check.ask("save", key=self.key)["file"]
        elsewhere = replace(self.check, respondent=check.respondent.afresh())
        loaded = Layer(elsewhere, f"layer {next(_numbers)}", num_dims)
        arguments = [3, num_dims][: 1 + (self.axis == 1)]
        elsewhere.ask("load", key=loaded.key, arguments=arguments, file=file)
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
        layer = Layer(self.check.at(part, **given), self.key, self.num_dims)
        layer.context = getattr(self, "context", 0)
        return layer


def _of_initialize(words: str) -> str:
    if "initialized on" not in words:
        return ""
    return Cause(
        "initialize(ctx=...) was called with this context, too. Parameters that were initialized "
        "before keep theirs: __init__ initializes them, or another layer has the same ones.",
        "layer: initialized before",
    )


def _of_words(words: str) -> str:
    """Return the cause of an exception of these words in forward, or ""."""
    if "already in a computational graph" in words:
        return _WRITTEN_WHILE_RECORDED
    if "incompatible with given shape" in words:
        return f"what is written into a Parameter has another shape than it was made with: {SHAPE}"
    if "has no attribute 'backward'" in words:
        return "forward returns something else than the output. Keep the averages and return Y."
    if re.search("expected float.., got float..", words):
        return (
            "what the layer keeps has another type than X, which is float32. Leave dtype and "
            "astype out of the parameters."
        )
    shape = "gamma, beta or an average has another shape than it should, or they are handed over in"
    return f"{shape} another order. {SHAPE[0].upper()}{SHAPE[1:]}" * ("broadcast" in words)


_WRITTEN_WHILE_RECORDED = (
    "an average is written while autograd records it. An average is not trained: make it with "
    'grad_req="null". If that is so already, write it inside of autograd.pause(), and read the '
    "mode before: inside of it, autograd.is_training() is False."
)


SHAPE = (
    "the shape is (1, num_features) for num_dims 2 and (1, num_features, 1, 1) for num_dims 4, so "
    "that it broadcasts."
)
SHAPE_LAST = "the shape is (num_features,), which lines up with the last axis of X."


def drawn(check: Check, shape: tuple[int, ...], number: int, scale: float = 1.0) -> np.ndarray:
    """Draw an input with one digit after the point, which is easy to read."""
    return np.round(check.draw(shape, number).X, 1) * scale


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


def of_start(held: dict) -> Cause:
    """The cause if gamma or beta of a layer that isn't trained is another than asked for."""
    for name, start in (("gamma", 1), ("beta", 0)):
        if held[name]["array"] is None or np.any(np.asarray(held[name]["array"]) != start):
            return said("layer: start", name=name, start=start)
    return Cause()
