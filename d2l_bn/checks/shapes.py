"""The cause of an exception or of a wrong output that lies in the number and order of axes."""

from __future__ import annotations

import re
from itertools import combinations
from typing import Any

import numpy as np

from d2l_bn.checks.cases import close
from d2l_bn.checks.phrases import Cause, said

Question = Any  # a Question, whose module needs this one


def of_sign(check: Question, mode: str) -> Cause:
    """The cause if the same axis, counted from the other end, gives the right output."""
    form, ndim = check.form, check.case.X.ndim
    if not form.says_axis:
        return Cause()
    axis = form.axis + ndim if form.axis < 0 else form.axis - ndim
    there = check.on(form._replace(axis=axis), check.case, check.part)
    values = there.attempt(mode)
    if values is None or not close(values[0], form.array(there.right(mode))):
        return Cause()
    advice = ""
    if form.axis < 0:
        advice = " Negative axes count from the end: axis % len(X.shape)."
    elif form.axis == 0:
        advice = " 0 is an axis, too: neither `axis or ...` nor `if axis` tells it."
    return said("axis: sign", there=axis, here=form.axis, advice=advice)


def _of_rank(check: Question, mode: str) -> tuple[Cause, bool]:
    """The cause if the function is right for other numbers of axes than this input has.

    Also return whether it is right for two axes alone, as whatever averages one axis is.
    """
    form, ndim = check.form, check.case.X.ndim
    if not form.flat or check.case.mask is not None:
        return Cause(), False
    found = {}
    for shape in ((6, 3), (2, 5, 3), (4, 2, 3, 5)):
        axis = max(-len(shape), min(form.axis, len(shape) - 1))
        there = check.on(form._replace(axis=axis), check.draw(shape, 7, eps=0.01), check.part)
        values = there.attempt(mode)
        right = values is not None and close(values[0], there.form.array(there.right(mode)))
        found[len(shape)] = right
    if found[ndim] or not any(found.values()):
        return Cause(), False
    fit, unfit = ([each for each in found if found[each] is held] for held in (True, False))
    words = {"fit": " or ".join(map(str, fit)), "unfit": " or ".join(map(str, unfit))}
    return said("axis: number of axes", **words), fit == [2]


def of_words(check: Question, mode: str, words: str) -> Cause:
    """The cause by the shapes that an exception names."""
    form, case = check.form, check.case
    if "Reduction axis" in words:
        ndim = case.X.ndim
        return said("axis: too many", ndim=ndim, last=ndim - 1, where=form.where(case))
    rank, dense = _of_rank(check, mode)
    if rank and not dense:
        return rank
    if not form.flat or not re.search("broadcast|must match|reshape array of size", words):
        return rank
    general = check.on(form, check.general(), check.part)
    for here, raised in ((check, words), (general, general.tried(mode)[1])):
        cause = _of_axes_left(here, raised)
        if cause:
            return cause
    if rank or "reshape array" in words:
        return rank
    return said("shapes: channels" if case.mask is None else "shapes: mask")


def _of_axes_left(check: Question, words: str) -> Cause:
    """The cause if one choice of axes leaves an array of the shape or size in these words."""
    form, case = check.form, check.case
    shape, axes = form.array(case.X).shape, range(case.X.ndim)
    channels = form.axis % case.X.ndim
    left = {
        gone: tuple(length for axis, length in enumerate(shape) if axis not in gone)
        for count in range(1, len(axes))
        for gone in combinations(axes, count)
    }
    for shapes, size in re.findall(r"[\[(]([\d,]*\d),?[\])]|array of size (\d+)", words):
        if size:
            gone = [each for each in left if np.prod(left[each]) == int(size)]
        else:
            gone = [each for each in left if left[each] == tuple(map(int, shapes.split(",")))]
        if len(gone) == 1 and set(gone[0]) != set(axes) - {channels}:
            found = dict(shape=shape, left=left[gone[0]], gone=gone[0], where=form.where(case))
            return said("axis: left", **found)
    return Cause()
