"""How a student's function wants its arguments, and the kinds of input that it is checked on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from d2l_bn.checks.asking import Check
from d2l_bn.checks.cases import Case, make


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

    def where(self, case: Case) -> str:
        """Where the channels are, and what to average over."""
        rest = tuple(place for place in range(case.X.ndim) if place != self.axis % case.X.ndim)
        axes = f"axis {rest[0]}" if len(rest) == 1 else f"axes {rest}"
        counts = ", where the mask is 1" if case.mask is not None else ""
        return f"Here the channels are axis {self.axis}: average over {axes}{counts}."


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
            yield form, padded(case, check, number, in_front=in_front) if form.label else case


def padded(case: Case, check: Check, number: int, lengths=None, in_front=False) -> Case:
    """The same case with a mask: padding stands behind each example, or in front, of any value."""
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
_TWO = (
    [[[1, 2, 3], [0, 4, 2]], [[4, 8, 0], [1, 2, 9]]],
    [[[3, 6, 3], [5, 2, 5]], [[0, 4, 2], [7, 7, 4]]],
)
_THREE = [[[[1, 2]], [[4, 8]]], [[[3, 6]], [[0, 4]]], [[[5, 1]], [[2, 2]]]]
_SMALL = [[[[0.01, 0.02]], [[0.04, 0.08]]], [[[0.03, 0.06]], [[0, 0.04]]]]
_PICTURES = (
    make(_TWO, mean=[7, -3], var=[4, 9]),
    make(_THREE, gamma=[2, -1], beta=[0.5, 3]),
    make(_SMALL, eps=0.001),
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
_AXES = (
    (0, (5, 3)),
    (-2, (3, 2, 4, 5)),
    (1, (3, 3, 3, 3)),
    (2, (2, 5, 3)),
    (3, (4, 2, 3, 5)),
    (-1, (6, 4)),
)
ANY_AXIS = Kind(
    "any axis",
    tuple(
        (Form(axis, flat=True, says_axis=True), case)
        for axis, case in ((0, _SEQUENCE), (-1, _PICTURES[0]), (1, _PICTURES[1]), (2, _PICTURES[2]))
    ),
    tuple((Form(axis, flat=True, says_axis=True), shape) for axis, shape in _AXES),
)
_MASK = np.array([[[1.0, 1]], [[1, 0]], [[1, 1]]])
_SENTENCES = [[[1, 2], [4, 8]], [[3, 9], [0, 9]], [[5, 1], [2, 2]]]
_SCALED = make(_SENTENCES, gamma=[2, -1], beta=[0.5, 3], eps=0.1, mask=_MASK)
_TRAINED = make(_SENTENCES, mean=[7, -3], var=[4, 9], mask=_MASK)
PADDED = Kind(
    "padded sequences",
    ((MASKED, _TRAINED), (MASKED, _SCALED)),
    tuple((MASKED, shape) for shape in [(3, 2, 4), (5, 3, 2), (4, 4, 4), (2, 1, 6)]),
)
