"""A question about a student's function on one input, and the search for a mistake's cause."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Optional

import numpy as np

from d2l_bn.checks import causes, leftover, shapes
from d2l_bn.checks.asking import Check, find
from d2l_bn.checks.cases import Case, close, make
from d2l_bn.checks.failure import CheckFailed
from d2l_bn.checks.forms import Form, padded
from d2l_bn.checks.phrases import Cause, said

NAMES = ("Y", "moving_mean", "moving_var")
STATISTICS = ("X", "mask", "mean", "var", "momentum", "axis")
TRAINS = ("train", "record")


@dataclass(frozen=True)
class Question(Check):
    """A check of a function, with the case that it stands at."""

    case: Case = field(default_factory=lambda: make([[0.0]]))
    form: Form = field(default_factory=Form)

    def on(self, form: Form, case: Case, part: str) -> Question:
        """The same check at another case; an exception shows the whole of it."""
        shown, case = form.shown(case, form.arguments(case)), case._replace(axis=form.axis)
        return replace(self, form=form, case=case, part=part, given=shown)

    def right(self, mode: str, name: str = "the output") -> np.ndarray:
        """The right output, or what a moving average is after training."""
        if name in NAMES[1:]:
            return self.case.step()[NAMES.index(name) - 1]
        return self.case.right(mode in TRAINS)

    def ours(self, name: str, values: list[np.ndarray]) -> np.ndarray:
        """One of the three values that are returned, with the channels at axis 1."""
        if name == "the output":
            return np.moveaxis(values[0], self.form.axis, 1)
        value, shape = values[NAMES.index(name)], self.case.mean.shape
        return value.reshape(shape) if value.size == self.case.mean.size else value

    def tried(self, mode: str) -> tuple[Optional[list[np.ndarray]], str]:
        """What is returned, and "", or None and what is wrong with its form, or raised."""
        try:
            return self.result(mode, explain=lambda words: ""), ""
        except CheckFailed as failed:
            return None, failed.property

    def attempt(self, mode: str) -> Optional[list[np.ndarray]]:
        """What is returned, or None if something is wrong with its form."""
        return self.tried(mode)[0]

    def result(self, mode: str, dtype: str = "float32", explain=None) -> list[np.ndarray]:
        """Call the function and check the form of what it returns, but not the numbers."""
        given = self.respondent.framework.arguments(self.form.arguments(self.case))
        explain = explain or partial(self.explained, mode)
        answer = self.ask("call", explain, arguments=list(given.values()), mode=mode, dtype=dtype)
        values = self.three_values(answer["result"], NAMES)
        self._untouched(given, answer["after"], mode, dtype)
        X = self.form.array(self.case.X)
        if values[0].shape != X.shape and any(value.shape == X.shape for value in values[1:]):
            self.shape("Y", values[0], X.shape, said("shape: order of results"))
        self._shape("Y", values[0], self.case.X)
        if dtype != "float32" and answer["result"]["values"][0]["dtype"] != dtype:
            received = answer["result"]["values"][0]["dtype"]
            self.blame("type: cast", dtype, received, {"X": f"an array of {dtype}"})
        return values

    def _shape(self, name: str, value: np.ndarray, ours: np.ndarray) -> None:
        if name in ("Y", "the output"):
            right = self.form.array(ours).shape
            turned = sorted(value.shape) == sorted(right)
            cause = said("shape: order of axes") if turned else Cause()
            if value.ndim > len(right):
                cause = said("shape: number of axes", theirs=value.ndim, ours=len(right))
            elif not turned and value.size == ours.size:
                cause = said("shape: other")
            self.shape(name, value, right, cause)
        else:
            right = self.form.value(ours).shape
            kept = "kept axes" if value.ndim > len(right) else "average"
            first = said("first: output", part=self.first_part)
            wrong = bool(self._instances("the output", "train", [self.case]))
            self.shape(name, value, right, first if wrong else said(f"shape: {kept}"))

    def _untouched(self, given: dict, after: list, mode: str, dtype: str) -> None:
        """Say so if the call changed its arguments; the averages may change while training."""
        when = " when predicting" * (mode == "predict")
        for (name, value), now in zip(given.items(), after):
            if not isinstance(value, np.ndarray):
                continue
            average = name in ("mean", "var")
            if average and mode in ("train", "record") and not self.form.says_axis:
                continue
            before = np.asarray(value, dtype).astype(np.float64)
            if not np.array_equal(before, np.asarray(now, np.float64)):
                name = f"moving_{name}" if average else name
                label = "in place" + (": averages" + when if average else "")
                both = "the same after the call", np.asarray(now, np.float64)
                self.blame(label, *both, {f"{name} before the call": before}, name=name)

    def compare(self, name: str, mode: str, values, shown, known: Iterable = ()) -> None:
        """Say so if one of the values returned is wrong, with the mistake that gives the same.

        `known` are causes with their numbers, which are looked at first.
        """
        here = replace(self, given=self.form.shown(self.case, shown))
        expected, output = self.right(mode, name), name == "the output"
        received = values[NAMES.index(name) if not output else 0]
        here._shape(name, received, expected)
        counts = self.form.array(self.case.shown(np.ones_like(self.case.X)))
        only_padding = output and np.isfinite(received[counts != 0]).all()
        here.finite(name, received, said("NaN: padding" if only_padding else "NaN"))
        right = self.form.array(expected) if output else self.form.value(expected)
        if close(received, right):
            return
        ours = self.ours(name, values)
        cause = (output and shapes.of_sign(self, mode)) or self.in_front(name, mode)
        cause = cause or find(known, ours, expected) or self._once(name, mode)
        here.fail(f"{name} is wrong.", right, received, cause)

    def _once(self, name: str, mode: str) -> Cause:
        """The cause, unless the output in training mode has it, too, and tells it first."""
        cause = self.cause(name, mode)
        if name == "the output" and (mode in TRAINS or not cause.named):
            return cause
        if not cause.named and self._instances("the output", "train", [self.case]):
            return said("first: output", part=self.first_part)
        first = self.cause("the output", "train")
        label = first.label.replace("variance: ", "new: ") if name != "the output" else first.label
        label = label.removeprefix("variance ").removeprefix("subtracted ")
        same = first.named and cause.label.split(", ", 1)[-1] in (first.label, label)
        return said("first: same", part=self.first_part) if same else cause

    @property
    def first_part(self) -> str:
        """The part of the check that looks at the output in training mode."""
        return "training" if self.form.flat else {2: "dense", 4: "images"}[self.case.X.ndim]

    def explained(self, mode: str, words: str) -> Cause:
        """The cause of an exception with these words."""
        return (
            shapes.of_sign(self, mode) or self.on_cubes(mode) or shapes.of_words(self, mode, words)
        )

    def cause(self, name: str, mode: str) -> Cause:
        """The cause of wrong numbers, on inputs where no two slips give the same numbers."""
        instances = self._instances(name, mode, [self.general(), self.general(1)])
        if not instances:  # it is right there, or raises
            again = [self._again(number) for number in (2, 3)]
            instances = self._instances(name, mode, again)
        here = self._instances(name, mode, [self.case])
        found = self._named(name, mode, instances or here)
        if found.named or not here:
            return found
        if name == "the output":  # told by the numbers that are shown
            return leftover.of_output(here[0][0], here[0][1], mode in TRAINS)
        return leftover.of_average(here[0][0], here[0][1], name, NAMES.index(name) - 1)

    def _instances(self, name: str, mode: str, cases: Iterable[Case]) -> list:
        """Those inputs, with what is returned for them, where that is wrong in its numbers."""
        found = []
        for case in cases:
            there = self.on(self.form, case, self.part)
            values, right = there.attempt(mode), there.right(mode, name)
            ours = None if values is None else there.ours(name, values)
            if ours is not None and ours.shape == right.shape and not close(ours, right):
                found.append((there.case, ours))
        return found

    def _named(self, name: str, mode: str, instances: list) -> Cause:
        where = self.form.where(self.case)
        if name == "the output":
            return causes.of_output(instances, mode in TRAINS, where)
        return causes.of_average(instances, name == "moving_var", where)

    def in_front(self, name: str, mode: str) -> Cause:
        """Return a cause if the padding is in front here, and is right where it is at the end."""
        mask = self.case.mask
        if mask is None or mask[:, 0, 0].all():
            return Cause()
        turned = self.case._replace(X=self.case.X[:, :, ::-1], mask=mask[:, :, ::-1])
        there = self.on(self.form, turned, self.part)
        values = there.attempt(mode)
        if values is None or not close(there.ours(name, values), there.right(mode, name)):
            return Cause()
        return said("padding: in front")

    def unmoved(self, values: list[np.ndarray]) -> None:
        """Say so if the averages that prediction mode returns are not those that it got."""
        case = self.case
        here = replace(self, given=self.form.shown(case, STATISTICS))
        for name, old, other, received in zip(
            NAMES[1:], (case.mean, case.var), (case.var, case.mean), values[1:]
        ):
            here._shape(name, received, old)
            here.finite(name, received, said("NaN"))
            if not close(received, self.form.value(old)):
                swapped = close(received, self.form.value(other))
                label = "averages: swapped" if swapped else "averages: updated"
                here.blame(label, self.form.value(old), received, name=name)

    def general(self, number: int = 0) -> Case:
        """An input like this one, on which no two mistakes give the same numbers."""
        ndim = self.case.X.ndim
        shape = {2: (7, 3), 3: (5, 3, 7), 4: (5, 3, 2, 7)}[ndim]
        shape = tuple(length + number for length in shape)
        eps = 0.03 / (1 + 9 * number) if self.case.eps > 1e-9 else self.case.eps
        case = self.draw(shape, 900 + number, eps=eps, momentum=0.7, offset=3)
        scale = 0.03 if number else 1.0  # where eps counts
        case = case._replace(X=scale * case.X, mean=np.abs(case.mean))  # which may have a root
        case = case._replace(var=case.var * scale**2)
        case.X[0] = np.where(case.X[0] == case.X[0].max(), 0, case.X[0])  # 0 is a value, too
        if self.case.mask is None:
            return case
        case = padded(case, self, 900, [4, 7 + number, 2, 5, 6, 8][: 5 + number])
        part = np.arange(len(case.X))[:, None, None] < 3 * number  # whose padding is 0
        return case._replace(X=np.where(part, case.X * case.mask, case.X))

    def _again(self, number: int) -> Case:
        """An input in the shape of this one."""
        case = self.draw(self.case.X.shape, 910 + number, eps=0.03, momentum=0.7, offset=3)
        case = case._replace(mean=np.abs(case.mean), eps=self.case.eps)
        return case if self.case.mask is None else case._replace(mask=self.case.mask)

    def on_cubes(self, mode: str) -> Cause:
        """The cause of wrong numbers where all axes are equally long, so that shapes fit.

        Where they don't, an exception tells less.
        """
        cubes = [self.draw((3,) * self.case.X.ndim, number, eps=0.01) for number in (7, 8)]
        if self.case.X.shape == cubes[0].X.shape:
            return Cause()
        if self.case.mask is not None:
            cubes = [padded(cube, self, 7) for cube in cubes]
        instances = self._instances("the output", mode, cubes)
        found = self._named("the output", mode, instances) if instances else Cause()
        return found if found.named else Cause()
