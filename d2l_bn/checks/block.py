"""A layer of the student's, a Block of Gluon's: what is asked of it, and the right answers."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import Any, Callable, NoReturn

import numpy as np

from d2l_bn.checks import causes, phrases
from d2l_bn.checks.answers import STATE
from d2l_bn.checks.asking import Check
from d2l_bn.checks.cases import Case, close, make
from d2l_bn.checks.forms import Form
from d2l_bn.checks.phrases import Cause, said

INPUTS = {2: (5, 3), 4: (4, 3, 2, 2)}
LAST = {2: (5, 3), 3: (4, 3, 5), 4: (4, 3, 2, 2)}  # of a layer that has its channels last
AVERAGES = ("moving_mean", "moving_var")
EPS = 1e-5  # of the layer that is asked for
SHAPES = {
    1: "(1, num_features) for num_dims 2 and (1, num_features, 1, 1) for num_dims 4, so that it "
    "broadcasts",
    -1: "(num_features,), which lines up with the last axis of X.reshape((-1, X.shape[-1]))",
}
_numbers = count()


class Last(Check):
    """A check of a layer that has its channels last, and an array of shape (C,) for what it keeps.

    A check reckons with the channels at axis 1, so that arrays are turned on the way to the student
    and back, and in what the student reads.
    """

    def fail(
        self, property: str, expected=None, received=None, cause: str = "", given=None
    ) -> NoReturn:
        """Say that a property does not hold here, or where this is given."""
        given = self.given if given is None else given
        given = {name: _turned(value) for name, value in given.items()}
        super().fail(property, _turned(expected), _turned(received), cause, given)


def _turned(value):
    """An array as a student has it whose channels are last."""
    if isinstance(value, list):
        return [_turned(each) for each in value]
    if not isinstance(value, np.ndarray) or value.ndim < 2:
        return value
    kept = value.size == value.shape[1]
    return value.reshape(-1) if kept else np.moveaxis(value, 1, -1)


def check_of(candidate: Callable, allow_library: bool, axis: int, *written: str) -> Check:
    """The check of a layer, which has its channels at axis 1 or -1."""
    if axis not in (1, -1):
        raise ValueError(f"the axis of the channels must be 1 or -1, got {axis}")
    check = Check.of(candidate, allow_library, *written)
    return check if axis == 1 else Last(**vars(check))


def inputs(check: Check) -> dict[int, tuple[int, ...]]:
    """The shapes that a layer is checked on, by their number of axes."""
    return LAST if isinstance(check, Last) else INPUTS


class Block:
    """One layer of the student's, known by a name on their side."""

    def __init__(self, check: Check, key: str, num_dims: int = 2) -> None:
        self.check, self.key, self.num_dims = check, key, num_dims
        self.axis = -1 if isinstance(check, Last) else 1  # where it has the channels
        self.context, self.afresh = 0, False
        self.start = 0.0  # of moving_var, which begins with ones in PyTorch, as in torch.nn

    @staticmethod
    def made(check: Check, num_dims: int, *, num_features: int = 3, contexts=(0,)) -> Block:
        """A new layer, initialized."""
        names = ("num_features",) if isinstance(check, Last) else ("num_features", "num_dims")
        arguments = [num_features, num_dims][: len(names)]
        check = replace(check, given=dict(zip(names, arguments)))
        block = Block(check, f"layer {next(_numbers)}", num_dims)
        answer = check.ask("make", key=block.key, arguments=arguments, contexts=list(contexts))
        if not answer["block"]:
            block.blame("no block", "an object of a class that extends nn.Block", answer["kind"])

        def before(words: str) -> Cause:
            return block.said("initialized before") if "initialized on" in words else Cause()

        for context in contexts:
            held = check.ask("state", before, key=block.key, context=context, other=None)
        ones = np.all(held["moving_var"]["array"] == 1)
        block.start = float(ones and check.respondent.framework.name == "torch")
        return block

    def said(self, label: str, **words) -> Cause:
        """The cause of this label, in the words of this layer."""
        return said(f"layer: {label}", shape=SHAPES[self.axis], **words)

    def blame(self, label: str, expected=None, received=None, given=None, **words) -> NoReturn:
        """Say what is wrong, and why, in the words of this layer."""
        words["shape"] = SHAPES[self.axis]
        self.check.blame(f"layer: {label}", expected, received, given, **words)

    def raised(self, words: str) -> Cause:
        """The cause of an exception of these words."""
        if "not in a computational graph" in words or "It was only initialized on" in words:
            held = self.check.ask("state", key=self.key, context=None, other=None)
            pair = held["gamma"], held["beta"]
            registered = all(each["registered"] for each in pair)
            if not registered or not any(each["trained"] for each in pair):
                return self.said("parameters first")
        if self.afresh and "has not been initialized" in words:
            return self.said("not loaded")
        return phrases.raised("layer", words, shape=SHAPES[self.axis])

    def forward(self, X: np.ndarray, mode: str, *, dY=None, **contexts: int) -> np.ndarray:
        """The output; where a gradient `dY` of it is given, the parameters get theirs."""
        check = replace(self.check, given={"X": X})
        given = np.moveaxis(X, 1, self.axis)
        slope = None if dY is None else np.moveaxis(dY, 1, self.axis)
        answer = check.ask(
            "forward", self.raised, key=self.key, X=given, mode=mode, dY=slope, **contexts
        )
        (value,) = answer["result"]["values"]
        if value["type"] != (check.respondent.framework.array or "NDArray"):
            label = "no return" if value["kind"] == "None" else "returns more"
            self.blame(label, given={"X": X}, kind=value["kind"])
        Y = np.asarray(value["array"], np.float64)
        other = said("shape: other") if Y.size == X.size else self.said("shape of output")
        check.shape("the output", Y, given.shape, other)
        self.context, self.gradient = answer["context"], answer["gradient"]
        return np.moveaxis(Y, self.axis, 1)

    def state(self, context=None, other: Block | None = None) -> dict[str, dict]:
        """What the layer holds, and what it has in common with another."""
        asked = {"key": self.key, "context": context, "other": other and other.key}
        held = self.check.ask("state", **asked)
        for name in AVERAGES:
            if held[name]["array"] is None:
                self.blame("no average", received=held[name]["kind"], given={}, name=name)
            if held[name].get("recorded"):
                self.blame("graph kept", given={}, name=name)
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
        return make(X, mean=mean, var=var, eps=EPS)._replace(axis=self.axis)

    def trained(self, case: Case, context=None) -> Case:
        """The case with the gamma and the beta that the layer has now."""
        held = self.state(context)
        for name in ("gamma", "beta"):
            value = np.asarray(held[name]["array"], np.float64)
            if value.size == case.gamma.size:
                new: dict[str, Any] = {name: value.reshape(case.gamma.shape)}
                case = case._replace(**new)
        return case

    def step(self, X: np.ndarray) -> np.ndarray:
        """Train on a batch, let a trainer move gamma and beta, and return the output."""
        Y = self.forward(X, "record", dY=drawn(self.check, X.shape, 508))
        self.check.ask("step", key=self.key, rate=0.3)
        return Y

    def cause(self, X: np.ndarray, mode: str, received: np.ndarray) -> Cause:
        """The cause of a wrong output, sought once gamma isn't 1, nor beta 0."""
        training = mode in ("record", "train")
        other = Block.made(self.check, X.ndim)
        other.step(drawn(self.check, X.shape, 505, 0.02))
        instances = []
        for number, scale in ((507, 0.02), (509, 1)):  # a small input shows eps
            longer = drawn(self.check, (X.shape[0] + 1, *X.shape[1:]), number, scale)
            case = other.trained(other.case(longer))
            Y = other.forward(longer, mode)
            if not close(Y, case.right(training)):
                instances.append((case, Y))
        where = Form(self.axis).where(self.case(X))
        return causes.of_output(instances or [(self.case(X), received)], training, where)

    def loaded(self, check: Check, num_dims: int) -> Block:
        """A new layer that has loaded what this one saves, in a process that has seen nothing."""
        file = self.file = self.check.ask("save", key=self.key)["file"]
        elsewhere = replace(self.check, respondent=check.respondent.afresh())
        loaded = Block(elsewhere, f"layer {next(_numbers)}", num_dims)
        loaded.afresh, arguments = True, [3, num_dims][: 1 + (self.axis == 1)]
        elsewhere.ask("load", key=loaded.key, arguments=arguments, file=file)
        return loaded

    def predicts_like(self, saved: Block, X: np.ndarray, cause: Cause) -> None:
        """Say so if this layer, once loaded, predicts something else than the saved one."""
        received, expected = self.forward(X, "predict"), saved.forward(X, "predict")
        if not close(received, expected):
            wrong = "the loaded layer predicts something else."
            saved.check.fail(wrong, expected, received, cause, {"X": X})

    def at(self, part: str, **given) -> Block:
        """The same layer at another place of the check."""
        block = Block(self.check.at(part, **given), self.key, self.num_dims)
        block.context, block.start = self.context, self.start
        return block

    def of_start(self) -> Cause:
        """The cause if gamma or beta of a layer that isn't trained is another than asked for."""
        held = self.state()
        for name, start in (("gamma", 1), ("beta", 0)):
            if held[name]["array"] is None or np.any(np.asarray(held[name]["array"]) != start):
                return self.said("start", name=name, start=start)
        return Cause()


def drawn(check: Check, shape: tuple[int, ...], number: int, scale: float = 1.0) -> np.ndarray:
    """Draw an input with one digit after the point, which is easy to read."""
    return np.round(check.draw(shape, number).X, 1) * scale


def registered(check: Check, name: str, held: dict) -> None:
    """Say so if gamma or beta is nothing that a trainer finds and changes."""
    if not (held["parameter"] and held["registered"]):
        right = f"a Parameter in collect_params(), as self.{name}"
        check.blame("layer: not registered", right, f"self.{name} is {held['kind']}", name=name)
    for grad_req, wrong in (("null", "not trained"), ("add", "added up")):
        if held["grad_req"] == grad_req:
            both = 'grad_req "write"', f'grad_req "{grad_req}"'
            check.blame(f"layer: {wrong}", *both, given={}, name=name)
