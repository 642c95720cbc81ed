"""Checks a student's function: `batch_norm`, and its siblings that chapters leave to the reader."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain, combinations
from typing import Callable, NamedTuple, Optional

import numpy as np

from d2l_bn.checks import composition, inference, mistakes
from d2l_bn.checks.asking import Check, find, matches
from d2l_bn.checks.cases import Case, close, make, per_channel
from d2l_bn.checks.failure import CheckFailed

NAMES = ("Y", "moving_mean", "moving_var")
TRAINING = ("X", "mask", "gamma", "beta", "eps", "axis")
STATISTICS = ("X", "mask", "mean", "var", "momentum", "axis")
PREDICTION = ("X", "mask", "gamma", "beta", "mean", "var", "eps", "axis")


Part = Callable[["Question"], str]


class Form(NamedTuple):
    """How a function wants its arguments, which a `Case` holds with the channels at axis 1."""

    axis: int = 1  # the axis of the channels in the student's X
    flat: bool = False  # whether what is given for each channel has the shape (channels,)
    says_axis: bool = False  # whether the axis is an argument
    label: str = ""

    def array(self, ours: np.ndarray) -> np.ndarray:
        """An array in the shape of X, as the student has it."""
        return np.moveaxis(ours, 1, self.axis)

    def value(self, ours: np.ndarray) -> np.ndarray:
        """What there is for each channel, as the student has it."""
        return ours.reshape(-1) if self.flat else ours

    def arguments(self, case: Case) -> dict:
        """The arguments, by name and in order."""
        given: dict = {"X": self.array(case.X)}
        if case.mask is not None:
            given["mask"] = case.mask[:, 0]
        for name in ("gamma", "beta", "mean", "var"):
            given[name] = self.value(getattr(case, name))
        given.update(eps=case.eps, momentum=case.momentum)
        if self.says_axis:
            given["axis"] = self.axis
        return given

    def shown(self, case: Case, names: Iterable[str]) -> dict:
        """Those of the arguments that matter, under the names that the student gives them."""
        renamed = {"mean": "moving_mean", "var": "moving_var"}
        given = self.arguments(case)
        return {renamed.get(name, name): given[name] for name in names if name in given}

    def wrong_axes(self, case: Case) -> mistakes.Mistakes:
        """The mistakes in what is averaged."""
        if case.mask is not None:
            return chain(mistakes.of_padding(case), mistakes.of_mask(case))
        if not self.flat:
            return mistakes.of_axes(case)
        return mistakes.of_any_axes(case, self.axis, self.where(case))

    def wrong_prediction(self, case: Case) -> mistakes.Mistakes:
        """The mistakes in where the values of the channels and the mask belong."""
        if case.mask is not None or not self.flat:
            return mistakes.of_padding(case, "moving_mean", "moving_var")
        return chain(
            mistakes.of_order(case.prediction(), self.axis),
            mistakes.of_lining_up(case, self.axis, case.mean, case.var),
        )

    def wrong_averages(self, case: Case, which: int) -> mistakes.Mistakes:
        """The same for the moving mean and the moving variance."""
        if case.mask is not None or not self.flat:
            return iter(())
        old = (case.mean, case.var)[which]
        return mistakes.of_average_axes(case, self.axis, self.where(case), old, which)

    def where(self, case: Case) -> str:
        """Where the channels are, and what to average over."""
        rest = tuple(place for place in range(case.X.ndim) if place != self.axis % case.X.ndim)
        axes = f"axis {rest[0]}" if len(rest) == 1 else f"axes {rest}"
        return f"Here the channels are axis {self.axis}: average over {axes}."


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
        case, (mean, var) = self.case, self.case.moments()
        if name == "moving_mean":
            return case.moving(case.mean, mean)
        if name == "moving_var":
            return case.moving(case.var, var)
        return case.training() if mode in _TRAINS else case.prediction()

    def ours(self, name: str, values: list[np.ndarray]) -> np.ndarray:
        """One of the three values that are returned, with the channels at axis 1."""
        if name == "the output":
            return np.moveaxis(values[0], self.form.axis, 1)
        value, shape = values[NAMES.index(name)], self.case.mean.shape
        return value.reshape(shape) if value.size == self.case.mean.size else value

    def known(self, name: str, mode: str) -> Iterator[tuple[str, np.ndarray]]:
        """The known mistakes in the output or in a moving average."""
        case, form = self.case, self.form
        if name == "moving_mean":
            return chain(form.wrong_averages(case, 0), mistakes.of_moving_mean(case))
        if name == "moving_var":
            return chain(form.wrong_averages(case, 1), mistakes.of_moving_var(case))
        if mode in _TRAINS:
            return chain(form.wrong_axes(case), mistakes.of_training(case))
        return chain(form.wrong_prediction(case), mistakes.of_prediction(case))

    def attempt(self, mode: str) -> Optional[list[np.ndarray]]:
        """What is returned, or None if something is wrong with its form."""
        try:
            return self.result(mode, explain=lambda words: "")
        except CheckFailed:
            return None

    def raised(self, mode: str) -> str:
        """The words of an exception, or of whatever else is wrong with the form."""
        try:
            self.result(mode, explain=lambda words: "")
        except CheckFailed as failed:
            return failed.property
        return ""

    def result(self, mode: str, dtype: str = "float32", explain=None) -> list[np.ndarray]:
        """Call the function and check the form of what it returns, but not the numbers."""
        given = self.form.arguments(self.case)
        explain = explain or partial(_explain, self, mode)
        answer = self.ask("call", explain, arguments=list(given.values()), mode=mode, dtype=dtype)
        values = self.three_values(answer["result"], NAMES)
        self._untouched(given, answer["after"], mode, dtype)
        X = self.form.array(self.case.X)
        if values[0].shape != X.shape and any(value.shape == X.shape for value in values[1:]):
            self.shape("Y", values[0], X.shape, f"the order is another one: {mistakes.ORDER}.")
        self._shape("Y", values[0], self.case.X)
        if dtype != "float32" and answer["result"]["values"][0]["dtype"] != dtype:
            replace(self, given={"X": f"an array of {dtype}"}).fail(
                "the output has another type than X.",
                expected=dtype,
                received=answer["result"]["values"][0]["dtype"],
                cause="the result keeps the type of X. It is cast with astype, or an array of your "
                "own is made in float32: make that with dtype=X.dtype.",
            )
        return values

    def _shape(self, name: str, value: np.ndarray, ours: np.ndarray) -> None:
        if name in ("Y", "the output"):
            right = self.form.array(ours).shape
            turned = sorted(value.shape) == sorted(right)
            cause = mistakes.ORDER_OF_AXES if turned else ""
            if not turned and value.size == ours.size:
                cause = (
                    "Y has as many values as X in another shape. What changes the shape (reshape, "
                    "transpose, concat, stack) isn't undone, or joins along another axis."
                )
            self.shape(name, value, right, cause)
        else:
            right = self.form.value(ours).shape
            self.shape(name, value, right, DROP_AXES if value.ndim > len(right) else KEEP_SHAPE)

    def _untouched(self, given: dict, after: list, mode: str, dtype: str) -> None:
        """Say so if the call changed its arguments; the averages may change while training."""
        for (name, value), now in zip(given.items(), after):
            if not isinstance(value, np.ndarray):
                continue
            average = name in ("mean", "var")
            if average and mode in ("train", "record") and not self.form.says_axis:
                continue
            before = np.asarray(value, dtype).astype(np.float64)
            if not np.array_equal(before, np.asarray(now, np.float64)):
                name = f"moving_{name}" if average else name
                replace(self, given={f"{name} before the call": before}).fail(
                    f"your function changes its argument {name} in place.",
                    expected="the same after the call",
                    received=np.asarray(now, np.float64),
                    cause="the moving averages are updated when predicting. Leave them alone "
                    "unless autograd.is_training() is True."
                    if average and mode == "predict"
                    else "[:] = and += write into the caller's array. Make a new one: "
                    "moving_mean = momentum * moving_mean + (1 - momentum) * mean."
                    if average
                    else "+=, -=, *=, /= and [:] = write into the caller's array. Make a new one: "
                    "X_hat = X - mean.",
                )

    def compare(self, name: str, mode: str, values, shown, causes: Iterable = ()) -> None:
        """Say so if one of the values returned is wrong, with the mistake that gives the same.

        `causes` are looked at before the known mistakes.
        """
        here = replace(self, given=self.form.shown(self.case, shown))
        expected, output = self.right(mode, name), name == "the output"
        received = values[NAMES.index(name) if not output else 0]
        here._shape(name, received, expected)
        counts = self.form.array(self.case.shown(np.ones_like(self.case.X)))
        only_padding = output and np.isfinite(received[counts != 0]).all()
        here.finite(name, received, _NAN_IN_PADDING if only_padding else _NAN)
        right = self.form.array(expected) if output else self.form.value(expected)
        if close(received, right):
            return
        ours = self.ours(name, values)
        here.fail(
            f"{name} is wrong.",
            expected=right,
            received=received,
            cause=(output and _of_sign(self, mode))
            or self._in_front(name, mode)
            or find(self._masked(causes), ours, expected)
            or here.cause(name, mode, ours),
        )

    def cause(self, name: str, mode: str, received: np.ndarray) -> str:
        """Return the mistake that explains wrong numbers.

        On a small input two mistakes may give the same numbers. So what explains them here is held
        against one more input, on which none does.
        """
        right, output = self.right(mode, name), name == "the output"
        here = list(matches(self._masked(self.known(name, mode)), received, right))
        general = self.on(self.form, self.general(), self.part)
        values, expected = general.attempt(mode), general.right(mode, name)
        theirs = np.array(np.nan) if values is None else general.ours(name, values)
        if (
            not np.isfinite(theirs).all()
            or theirs.shape != expected.shape
            or close(theirs, expected)
        ):
            rough = _ROUGH if close(received, right, 3e-3) else ""
            return (
                next(iter(here), rough)
                or self._composed(name, mode, [(self.case, received)])
                or self._inferred(name, received, mode)
            )
        there = list(matches(general._masked(general.known(name, mode)), theirs, expected))
        return (
            next(iter([cause for cause in there if cause in here] or there), "")
            or self._composed(name, mode, [(general.case, theirs), *self._more(name, mode)])
            or (_ROUGH if close(theirs, expected, 3e-3) else "")
            or (
                self._inferred(name, received, mode)
                if output
                else general._inferred(name, theirs, mode)
            )
        )

    def _in_front(self, name: str, mode: str) -> str:
        """Return a cause if the padding is in front here, and is right where it is at the end."""
        mask = self.case.mask
        if mask is None or mask[:, 0, 0].all():
            return ""
        turned = self.case._replace(X=self.case.X[:, :, ::-1], mask=mask[:, :, ::-1])
        there = self.on(self.form, turned, self.part)
        values = there.attempt(mode)
        if values is None or not close(there.ours(name, values), there.right(mode, name)):
            return ""
        return (
            "it is right where the padding is at the end, but not where it is in front. The mask "
            "alone says what counts."
        )

    def unmoved(self, values: list[np.ndarray]) -> None:
        """Say so if the averages that prediction mode returns are not those that it got."""
        case = self.case
        here = replace(self, given=self.form.shown(case, STATISTICS))
        for name, old, other, received in zip(
            NAMES[1:], (case.mean, case.var), (case.var, case.mean), values[1:]
        ):
            here._shape(name, received, old)
            here.finite(name, received, _NAN)
            if not close(received, self.form.value(old)):
                swapped = close(received, self.form.value(other))
                here.fail(
                    f"{name} is wrong.",
                    expected=self.form.value(old),
                    received=received,
                    cause=f"the two averages are swapped: {mistakes.ORDER}."
                    if swapped
                    else _UPDATED,
                )

    def general(self, number: int = 0) -> Case:
        """An input like this one, on which no two mistakes give the same numbers."""
        ndim = self.case.X.ndim
        shape = {2: (7, 3), 3: (5, 3, 7), 4: (5, 3, 2, 7)}[ndim]
        shape = tuple(length + number for length in shape)
        eps = 0.03 if self.case.eps > 1e-9 else self.case.eps  # where it doesn't matter, nor there
        case = self.draw(shape, 900 + number, eps=eps, momentum=0.7, offset=3)
        case = case._replace(mean=np.abs(case.mean))  # so that a root can be taken of it by mistake
        return (
            case
            if self.case.mask is None
            else _padded(case, self, 900, [7 + number, 4, 1, 5, 6, 8][: 5 + number])
        )

    def _masked(self, causes: Iterable) -> Iterator[tuple[str, np.ndarray]]:
        """Yield the mistakes, and what they give where the output is masked."""
        for cause, numbers in causes:
            yield cause, numbers
            if self.case.mask is not None and np.shape(numbers) == self.case.X.shape:
                yield cause, self.case.shown(numbers)

    def _more(self, name: str, mode: str) -> list[tuple[Case, np.ndarray]]:
        """One more input with what is returned for it, where that has the right form."""
        other = self.on(self.form, self.general(1), self.part)
        values = other.attempt(mode)
        ours = np.array(np.nan) if values is None else other.ours(name, values)
        return [(other.case, ours)] if ours.shape == other.right(mode, name).shape else []

    def _composed(self, name: str, mode: str, instances: list) -> str:
        """Return of which quantities the numbers are composed, or ""."""
        if name == "the output":
            return composition.of_output(instances, mode in _TRAINS)
        return composition.of_average(instances, name == "moving_var")

    def _inferred(self, name: str, received: np.ndarray, mode: str) -> str:
        """Return what an unknown mistake says of itself."""
        case, (mean, var) = self.case, self.case.moments()
        if name == "moving_mean":
            return inference.of_average(case, name, received, case.mean, mean)
        if name == "moving_var":
            return inference.of_average(case, name, received, case.var, var)
        if mode in _TRAINS:
            return inference.of_output(case, received, mean, var, "the batch")
        return inference.of_output(case, received, case.mean, case.var, "the moving average")


_TRAINS = ("train", "record")
_ROUGH = (
    "the first digits are right, the others are not. Compute in the type of X: float16 has three "
    "digits, and integers have none after the point."
)
KEEP_SHAPE = (
    "the moving averages must keep the shape that they came with. Average with keepdims=True, or "
    "reshape the mean and the variance to it."
)
DROP_AXES = (
    "it has more axes than the average that came in. Leave keepdims out, or reshape what you "
    "return to the shape that it came with, and average over all axes but the channels'."
)
_HARD_CODED = (
    "these are the numbers of an example that the check shows. Compute everything from the "
    "arguments."
)
_NAN = (
    "a division by zero, or the root of a negative number. eps, inside the root, prevents "
    "the first: nd.sqrt(var + eps). ((X - mean) ** 2).mean(...) is never negative."
)
_NAN_IN_PADDING = (
    "it is so where the mask is 0. Multiply by the mask, and don't divide by it: 0 / 0 is no "
    "number."
)


class Kind(NamedTuple):
    """A kind of input: its name, what a check shows of it, and the shapes that it draws."""

    label: str
    visible: tuple[tuple[Form, Case], ...]
    hidden: tuple[tuple[Form, tuple[int, ...]], ...]

    def cases(self, check: Check, first: int, **options) -> Iterator[tuple[Form, Case]]:
        """Draw the cases that a check doesn't show, numbered from `first` on."""
        for number, (form, shape) in enumerate(self.hidden, first):
            case = check.draw(shape, number, **options)
            in_front = number - first == 2
            yield form, _padded(case, check, number, in_front=in_front) if form.label else case


def _padded(case: Case, check: Check, number: int, lengths=None, in_front=False) -> Case:
    """The same case with a mask: padding follows each example, or precedes it, and holds anything."""
    batch, _, length = case.X.shape
    rng = np.random.RandomState((*check.respondent.seed, 7, number))
    lengths = np.r_[length, rng.randint(1, length, batch - 1)] if lengths is None else lengths
    mask = (np.arange(length) < np.reshape(lengths, (-1, 1)))[:, None, :].astype(float)
    if in_front:
        mask = mask[:, :, ::-1]
    return case._replace(mask=mask, X=case.X + 4 * (1 - mask))


PLAIN = Form()
LAST = Form(-1, flat=True)
MASKED = Form(-1, flat=True, label="mask")
DENSE = Kind(
    "dense input",
    (
        (PLAIN, make([[1, 2], [3, 6], [1, 6], [3, 2]], mean=[7, -3], var=[4, 9])),
        (PLAIN, make([[1, 2], [3, 6], [5, 1]], gamma=[2, -1], beta=[0.5, 3])),
        (PLAIN, make([[0.01, 0.02], [0.03, 0.06]], eps=0.001)),
    ),
    tuple((PLAIN, shape) for shape in [(4, 2), (5, 3), (4, 4), (8, 1)]),
)
_PICTURES = (
    make(
        [
            [[[1, 2, 3], [0, 4, 2]], [[4, 8, 0], [1, 2, 9]]],
            [[[3, 6, 3], [5, 2, 5]], [[0, 4, 2], [7, 7, 4]]],
        ],
        mean=[7, -3],
        var=[4, 9],
    ),
    make(
        [[[[1, 2]], [[4, 8]]], [[[3, 6]], [[0, 4]]], [[[5, 1]], [[2, 2]]]],
        gamma=[2, -1],
        beta=[0.5, 3],
    ),
    make([[[[0.01, 0.02]], [[0.04, 0.08]]], [[[0.03, 0.06]], [[0, 0.04]]]], eps=0.001),
)
IMAGES = Kind(
    "images",
    tuple((PLAIN, case) for case in _PICTURES),
    tuple((PLAIN, shape) for shape in [(2, 2, 2, 3), (3, 2, 4, 5), (3, 3, 3, 3), (1, 2, 3, 3)]),
)
# A sequence is (batch, length, channels): three channels, so that no axis is as long as another.
_SEQUENCE = make(
    [[[1, 2], [0, 4], [5, 3]], [[3, 6], [4, 8], [1, 7]]], gamma=[2, -1, 1], beta=[0.5, 3, 0]
)
CHANNELS_LAST = Kind(
    "channels last",
    ((LAST, _PICTURES[0]), (LAST, _SEQUENCE), (LAST, _PICTURES[2])),
    tuple((LAST, shape) for shape in [(3, 2, 4, 5), (2, 5, 3), (3, 3, 3, 3), (6, 4), (1, 2, 3, 3)]),
)
ANY_AXIS = Kind(
    "any axis",
    tuple(
        (Form(axis, flat=True, says_axis=True), case)
        for axis, case in ((0, _SEQUENCE), (-1, _PICTURES[0]), (1, _PICTURES[1]), (2, _PICTURES[2]))
    ),
    tuple(
        (Form(axis, flat=True, says_axis=True), shape)
        for axis, shape in (
            (0, (5, 3)),
            (-2, (3, 2, 4, 5)),
            (1, (3, 3, 3, 3)),
            (2, (2, 5, 3)),
            (3, (4, 2, 3, 5)),
            (-1, (6, 4)),
        )
    ),
)
_MASK = np.array([[[1.0, 1]], [[1, 0]], [[1, 1]]])
PADDED = Kind(
    "padded sequences",
    (
        (
            MASKED,
            make(
                [[[1, 2], [4, 8]], [[3, 9], [0, 9]], [[5, 1], [2, 2]]],
                mean=[7, -3],
                var=[4, 9],
                mask=_MASK,
            ),
        ),
        (
            MASKED,
            make(
                [[[1, 2], [4, 8]], [[3, 9], [0, 9]], [[5, 1], [2, 2]]],
                gamma=[2, -1],
                beta=[0.5, 3],
                eps=0.1,
                mask=_MASK,
            ),
        ),
    ),
    tuple((MASKED, shape) for shape in [(3, 2, 4), (5, 3, 2), (4, 4, 4), (2, 1, 6)]),
)


def batch_norm(
    candidate: Callable, *parts: str, allow_library: bool = False, dense_only: bool = False
) -> None:
    """Check a function with the arguments and results of `d2l_bn.batch_norm`.

    Parameters
    ----------
    candidate : callable
        Called with (X, gamma, beta, moving_mean, moving_var, eps, momentum), in any mode.
    *parts : {"dense", "images", "statistics", "prediction", "gradient", "precision", "shapes"}
        What to check; without any, everything.
    allow_library : bool, default False
        Accept that `candidate` calls a ready-made normalization.
    dense_only : bool, default False
        Check dense inputs alone, of a function that does not know images.

    Raises
    ------
    CheckFailed
        At the first property that does not hold.
    ValueError
        If a part is unknown.
    """
    kinds = (DENSE,) if dense_only else (DENSE, IMAGES)
    known: dict[str, Part] = {
        "dense": partial(_training, kind=DENSE),
        "images": partial(_training, kind=IMAGES),
    }
    known.update(_common(kinds), shapes=partial(_shapes, dense_only=dense_only))
    if dense_only:
        del known["images"]
    _run(candidate, known, parts, allow_library)


def channels_last(candidate: Callable, *parts: str, allow_library: bool = False) -> None:
    """Check a `batch_norm` whose channels are the last axis of X, however many axes that has.

    It is called like `batch_norm`, with gamma, beta and the averages in shape (channels,).

    Parameters
    ----------
    candidate, allow_library
        As in `batch_norm`.
    *parts : {"training", "statistics", "prediction", "gradient", "precision"}
        What to check; without any, everything.
    """
    _sibling(CHANNELS_LAST, candidate, parts, allow_library)


def any_axis(candidate: Callable, *parts: str, allow_library: bool = False) -> None:
    """Check a `batch_norm` that gets the axis of the channels as its last argument.

    Parameters
    ----------
    candidate, allow_library, *parts
        As in `channels_last`.
    """
    _sibling(ANY_AXIS, candidate, parts, allow_library)


def masked(candidate: Callable, *parts: str, allow_library: bool = False) -> None:
    """Check a `batch_norm` of padded sequences, (batch, length, channels).

    It is called with (X, mask, gamma, beta, moving_mean, moving_var, eps, momentum); the mask, of
    shape (batch, length), is 1 where X counts and 0 where it is padding.

    Parameters
    ----------
    candidate, allow_library, *parts
        As in `channels_last`.
    """
    _sibling(PADDED, candidate, parts, allow_library)


def _run(candidate, known: dict[str, Part], parts: tuple[str, ...], allow_library: bool) -> None:
    check = Check.of(candidate, allow_library)
    Question(check.respondent, ready_made=allow_library).run(known, parts)  # type: ignore[arg-type]


def _sibling(kind: Kind, candidate, parts: tuple[str, ...], allow_library: bool) -> None:
    known: dict[str, Part] = {"training": partial(_training, kind=kind)}
    _run(candidate, {**known, **_common((kind,))}, parts, allow_library)


def _common(kinds: tuple[Kind, ...]) -> dict[str, Part]:
    """The parts that all of these functions have."""
    return {
        "statistics": partial(_statistics, kinds=kinds),
        "prediction": partial(_prediction, kinds=kinds),
        "gradient": partial(_gradient, kinds=kinds),
        "precision": partial(_precision, kinds=kinds),
    }


def _training(check: Question, kind: Kind) -> str:
    part = f"{kind.label}, training mode"
    for form, case in kind.visible:
        _output(check.on(form, case, part))
    form, constant = kind.visible[0]
    _output(check.on(form, constant._replace(X=np.full_like(constant.X, 3)), part))
    for form, case in kind.cases(check, 0, eps=0.01):
        _output(check.on(form, case, part))
    return part


def _output(check: Question) -> None:
    case, form = check.case, check.form
    values = check.result("train")
    causes: Iterable[tuple] = _examples()
    if close(values[0], form.array(case.prediction())):
        recorded = check.result("record")[0]
        if close(recorded, form.array(case.training())):
            causes = [(_RECORDING, case.prediction())]
        elif len(case.X) == 1:
            causes = [(_ONE_IMAGE, case.prediction())]
    check.compare("the output", "train", values, TRAINING, causes)


def _examples() -> Iterator[tuple[str, np.ndarray]]:
    """Yield the numbers of the examples that are shown: they may have been written down."""
    for kind in (DENSE, IMAGES, CHANNELS_LAST, ANY_AXIS, PADDED):
        for _, example in kind.visible:
            yield _HARD_CODED, example.training()


def _explain(check: Question, mode: str, words: str) -> str:
    """Find the cause of an exception.

    It is sought on an input where all axes are equally long: there the shapes fit by accident, so
    that numbers come out and can be recognized.
    """
    form, case = check.form, check.case
    square = check.draw((3,) * case.X.ndim, 7, eps=0.01)
    if case.X.shape == square.X.shape:
        return ""
    square = _padded(square, check, 7) if case.mask is not None else square
    cause = _of_sign(check, mode)
    here = check.on(form, square, check.part)
    values = here.attempt(mode)
    if not cause and values is not None:
        name = "the output"
        cause = find(here.known(name, mode), here.ours(name, values), here.right(mode))
    return cause or _of_shapes(check, mode, words)


def _of_sign(check: Question, mode: str) -> str:
    """Return a cause if the same axis, counted from the other end, gives the right output."""
    form, ndim = check.form, check.case.X.ndim
    if not form.says_axis:
        return ""
    axis = form.axis + ndim if form.axis < 0 else form.axis - ndim
    there = check.on(form._replace(axis=axis), check.case, check.part)
    values = there.attempt(mode)
    if values is None or not close(values[0], form.array(there.right(mode))):
        return ""
    advice = "Negative axes count from the end: axis % len(X.shape)."
    if form.axis >= 0:
        advice = "0 is an axis, too: neither `axis or ...` nor `if axis` tells it." * (
            not form.axis
        )
    return (
        f"with axis {axis} your function is right, with axis {form.axis}, which is the same, it "
        f"isn't. {advice}"
    ).strip()


def _of_rank(check: Question, mode: str) -> tuple[str, bool]:
    """Return a cause if the function is right for other numbers of axes than this input has.

    Also return whether it is right for two axes alone, as whatever averages one axis is.
    """
    form, ndim = check.form, check.case.X.ndim
    if not form.flat or check.case.mask is not None:
        return "", False
    found = {}
    for shape in ((6, 3), (2, 5, 3), (4, 2, 3, 5)):
        axis = max(-len(shape), min(form.axis, len(shape) - 1))
        there = check.on(form._replace(axis=axis), check.draw(shape, 7, eps=0.01), check.part)
        values = there.attempt(mode)
        right = values is not None and close(values[0], there.form.array(there.right(mode)))
        found[len(shape)] = right
    if found[ndim] or not any(found.values()):
        return "", False
    right, wrong = ([each for each in found if found[each] is held] for held in (True, False))
    return (
        f"where X has {' or '.join(map(str, right))} axes your function is right, where it has "
        f"{' or '.join(map(str, wrong))} it isn't. Look at what depends on the number of axes: "
        "which are averaged over, and the shapes. len(X.shape) tells how many there are."
    ), right == [2]


def _of_shapes(check: Question, mode: str, words: str) -> str:
    """Return a cause by the shapes that an exception names."""
    form, case = check.form, check.case
    if "Reduction axis" in words:
        ndim = case.X.ndim
        return (
            f"an axis is averaged that isn't there: your X has {ndim} axes, 0 to {ndim - 1}. "
            f"len(X.shape) tells. {form.where(case)}"
        )
    rank, dense = _of_rank(check, mode)
    if rank and not dense:
        return rank
    if not form.flat or not re.search("broadcast|reshape array of size", words):
        return rank
    general = check.on(form, check.general(), check.part)
    for here, said in ((check, words), (general, general.raised(mode))):
        cause = _of_axes_left(here, said)
        if cause:
            return cause
    if rank or "broadcast" not in words:
        return rank
    if case.mask is not None:
        return (
            "two arrays of different shapes meet. MXNet lines shapes up from the last axis on: "
            "what there is for each channel has the shape (channels,), and the mask (batch, "
            "length), and that isn't the end of every shape."
        )
    return (
        "two arrays of different shapes meet. MXNet lines shapes up from the last axis on. What "
        "there is for each channel has the shape (channels,), which fits where the channels are "
        "last; elsewhere it takes lengths of 1 along all other axes: reshape it."
    )


def _of_axes_left(check: Question, words: str) -> str:
    """Return a cause if one choice of axes leaves an array of the shape or size in these words."""
    form, case = check.form, check.case
    shape, axes = form.array(case.X).shape, range(case.X.ndim)
    channels = form.axis % case.X.ndim
    left = {
        gone: tuple(length for axis, length in enumerate(shape) if axis not in gone)
        for count in range(1, len(axes))
        for gone in combinations(axes, count)
    }
    for shapes, size in re.findall(r"\[([\d,]+)\]|array of size (\d+)", words):
        if size:
            gone = [each for each in left if np.prod(left[each]) == int(size)]
        else:
            gone = [each for each in left if left[each] == tuple(map(int, shapes.split(",")))]
        if len(gone) == 1 and set(gone[0]) != set(axes) - {channels}:
            return (
                f"where X has shape {shape}, an array has shape {left[gone[0]]}, as if axes "
                f"{gone[0]} were averaged away. {form.where(case)}"
            )
    return ""


def _statistics(check: Question, kinds: tuple[Kind, ...]) -> str:
    part = "moving averages"
    for kind in kinds:
        form, visible = kind.visible[0]
        channels = np.arange(visible.X.shape[1])
        visible = visible._replace(
            mean=per_channel(10 + 10 * channels, visible.X.ndim),
            var=per_channel(4 + 5 * channels, visible.X.ndim),
        )
        cases = [(form, visible), (form, visible._replace(momentum=0.6, eps=0.5))]
        for form, case in chain(cases, kind.cases(check, 20, momentum=0.7)):
            here = check.on(form, case, f"{part}, {kind.label}")
            values = here.result("train")
            for name in NAMES[1:]:
                here.compare(name, "train", values, STATISTICS)
    return part


_ONE_IMAGE = (
    "a batch of one image is taken for prediction. autograd.is_training() alone tells the mode; "
    "one image has a mean and a variance over its pixels."
)
_RECORDING = (
    "you ask autograd.is_recording(), which tells whether operations are recorded. "
    "autograd.is_training() tells the mode."
)
_UPDATED = (
    "the moving averages are updated when predicting. Return them as they came unless "
    "autograd.is_training() is True."
)
_RECORDED = (
    "the batch's statistics are used whenever autograd records. Recording is not training: ask "
    "autograd.is_training() alone."
)


def _prediction(check: Question, kinds: tuple[Kind, ...]) -> str:
    """Check prediction mode, and that nothing else decides for it."""
    part = "prediction mode"
    for kind in kinds:
        visible = [
            (
                form,
                case._replace(
                    mean=per_channel(1 + np.arange(case.X.shape[1]), case.X.ndim),
                    var=per_channel((2 + np.arange(case.X.shape[1])) ** 2, case.X.ndim),
                ),
            )
            for form, case in kind.visible[:2]
        ]
        for form, case in chain(visible, kind.cases(check, 40, eps=0.05)):
            here = check.on(form, case, f"{part}, {kind.label}")
            values = here.result("predict")
            here.compare("the output", "predict", values, PREDICTION)
            here.unmoved(values)
    _modes(check, kinds[0])
    return part


def _modes(check: Question, kind: Kind) -> None:
    """Check that training mode decides, not whether autograd records."""
    form, case = list(kind.cases(check, 60))[1]

    here = check.on(form, case, "training mode without recording")
    recorded = here.result("record")[0]  # like with it; a wrong formula is told elsewhere
    values = here.result("train")
    if not close(values[0], recorded):
        here.compare("the output", "train", values, PREDICTION, [(_RECORDED, case.prediction())])

    here = check.on(form, case, "recording without training mode")
    values = here.result("record without training")
    causes = [(_RECORDED, case.training())]
    here.compare("the output", "record without training", values, PREDICTION, causes)


def _gradient(check: Question, kinds: tuple[Kind, ...]) -> str:
    """Check the gradients of X, gamma and beta in both modes."""
    part = "gradient"
    for kind in kinds:
        drawn = list(kind.cases(check, 80, eps=0.1))[1:3]
        for number, (form, case) in enumerate([kind.visible[1], *drawn]):
            dY = check.draw(case.X.shape, 90 + number).X
            dY = np.round(dY, 1) if number == 0 else dY
            for mode, words in (("record", "training"), ("record without training", "prediction")):
                here = check.on(form, case, f"{part}, {kind.label}, {words} mode")
                _gradient_of(here, dY, mode)
    return part


def _gradient_of(check: Question, dY: np.ndarray, mode: str) -> None:
    case, form, training = check.case, check.form, mode == "record"
    names = [name for name in ("X", "mask", "gamma", "beta") if name in form.arguments(case)]
    given = form.shown(case, TRAINING)
    check = replace(check, given={**given, "dY": form.array(dY)})
    answer = check.ask(
        "call",
        lambda words: "" if "computational graph" in words else _explain(check, mode, words),
        arguments=list(form.arguments(case).values()),
        mode=mode,
        variables=len(names),
        dY=form.array(dY),
    )
    Y = check.three_values(answer["result"], NAMES)[0]
    check._shape("Y", Y, case.X)
    gradients = dict(zip(names, answer["gradients"]))
    output = form.array(check.right(mode))
    for name, ours in zip(("X", "gamma", "beta"), case.gradients(dY, training)):
        expected = form.array(ours) if name == "X" else form.value(ours)
        received = np.asarray(gradients[name], np.float64)
        check.finite(f"the gradient of {name}", received, "a division by zero.")
        if close(received, expected, 1e-3):
            continue
        if not close(Y, output, 1e-3):
            ours_of_Y = np.moveaxis(Y, form.axis, 1)
            replace(check, given=given).fail(
                f"the gradient of {name} is wrong, and so is the output. Mend the output first.",
                expected=output,
                received=Y,
                cause=check.cause("the output", mode, ours_of_Y),
            )
        causes = mistakes.of_cut(case, dY) if name == "X" and training else ()
        none = f"the output does not depend on {name} by operations that autograd records."
        theirs = np.moveaxis(received, form.axis, 1) if name == "X" else received
        check.fail(
            f"the gradient of {name} is wrong, though the output is right.",
            expected=expected,
            received=received,
            cause=find([*causes, (none, 0 * ours)], theirs.reshape(ours.shape), ours)
            or _of_gradient(case, name, dY, theirs.reshape(ours.shape), ours, training),
        )


def _of_gradient(case: Case, name: str, dY, received, expected, training: bool) -> str:
    """Return what a wrong gradient says of itself, or ""."""
    if name == "X" and case.mask is not None and close(case.shown(received), expected, 1e-3):
        return "a gradient goes to the padding. Where the mask is 0, Y is 0 whatever X is."
    share = inference.share(received, expected)
    if share:
        return f"it is {share:.4g} times the right one. Does {name} reach the output by one way?"
    if name == "X" and training:
        return inference.of_gradient(case, dY, received, 1e-3)
    return ""


def _precision(check: Question, kinds: tuple[Kind, ...]) -> str:
    """Check inputs that are far from zero, where E[x^2] - E[x]^2 has no digits left."""
    part = "precision"
    for kind in kinds:
        form, shape = kind.hidden[-1]
        large = (64, 2, *((3,) * (len(shape) - 2)))
        drawn = check.draw(large, 95)
        drawn = _padded(drawn, check, 95) if form.label else drawn
        for where, case in (kind.visible[0], (form, drawn)):
            _far_from_zero(check, where, case, kind)
    return part


def _far_from_zero(check: Question, form: Form, case: Case, kind: Kind) -> None:
    far = case._replace(X=(case.X + 10000).astype(np.float32).astype(np.float64))
    here = check.on(form, far, f"precision, {kind.label} with mean 10,000")
    expected = form.array(far.training())
    received = here.result("train")[0]
    if np.abs(received - expected).max() <= 0.05:  # not true of NaN
        return
    near = check.on(form, case, here.part).result("train")[0]
    right = close(near, form.array(case.training()), 1e-3)
    replace(here, given=form.shown(far, TRAINING)).fail(
        "the output is wrong in float32.",
        expected=expected,
        received=received,
        cause=_OFFSET if right else "the output is wrong without the offset, too.",
    )


_OFFSET = (
    "the variance is taken as E[x^2] - E[x]^2, the difference of two large numbers, of which "
    "float32 keeps seven digits. Subtract the mean first: ((X - mean) ** 2).mean(...)."
)


def _shapes(check: Question, dense_only: bool) -> str:
    part = "shapes"
    images = (3, 3, 3, 3), (2, 4, 1, 4), (4, 2, 4, 4), (2, 1, 3, 2)
    for shape in ((3, 3), (4, 4), (2, 5), *(() if dense_only else images)):
        case = check.draw(shape, 100, eps=0.1)
        _output(check.on(PLAIN, case, f"{part}, X is {shape}"))
    check.on(PLAIN, check.draw((5, 3), 101), f"{part}, float64").result("train", dtype="float64")
    return part
