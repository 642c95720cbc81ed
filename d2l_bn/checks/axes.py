"""Known mistakes in what is averaged, masked, and lined up with X: what each of them gives."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations

import numpy as np

from d2l_bn.checks import formulas
from d2l_bn.checks.cases import Case
from d2l_bn.checks.formulas import listed
from d2l_bn.checks.mistakes import Mistakes


def of_axes(case: Case) -> Mistakes:
    """Yield the mistakes in what is averaged, for dense inputs and for images."""
    X = case.X
    rows, columns = X.shape[0], X.shape[-1]
    if X.ndim == 2:
        right = "Average over the batch, axis 0: one mean for each feature."
        yield f"you average over axis 1, the features of each example. {right}", _over(case, (1,))
        yield f"you average over all values at once. {right}", _over(case, (0, 1))
        var = ((X - X.mean()) ** 2).mean(0)
        yield f"your mean is one number, that of all values. {right}", case.output(X.mean(), var)
        if rows == columns:
            mean = X.mean(1)
            for var in (X.var(1), ((X - mean) ** 2).mean(1)):
                yield (
                    "you average over axis 1, and without keepdims the result is then spread over "
                    f"the wrong axis. {right}",
                    case.output(mean, var),
                )
            turned = case._replace(gamma=case.gamma.T, beta=case.beta.T)
            yield _TURNED, turned.output(*case.moments())
            mean, var = case.moments()
            yield _TURNED_STATISTICS, case.output(mean.T, var.T)
        return
    right = "Average over axes (0, 2, 3): one mean for each channel."
    for axes, words in (
        ((0,), "axis 0 alone, so that each pixel has a mean of its own"),
        ((2, 3), "axes (2, 3) alone, so that each image has a mean of its own"),
        ((1, 2, 3), "axes (1, 2, 3), which is layer normalization"),
        ((1,), "axis 1, the channels"),
        ((0, 1), "axes (0, 1)"),
        ((0, 1, 2), "axes (0, 1, 2), as if the channels were last (they are axis 1 in MXNet)"),
        ((0, 1, 2, 3), "all values at once"),
        ((0, 2), "axes (0, 2) and forget axis 3"),
        ((0, 3), "axes (0, 3) and forget axis 2"),
    ):
        yield f"you average over {words}. {right}", _over(case, axes)
    if X.shape[1] == columns:
        mean = X.mean(case.axes)
        for var in (X.var(case.axes), ((X - mean) ** 2).mean(case.axes)):
            yield KEEPDIMS, case.output(mean, var)
    flat = X.reshape(-1, X.shape[1])
    flat = (flat - flat.mean(0)) / np.sqrt(flat.var(0) + case.eps)
    yield FLATTENED, case.gamma * flat.reshape(X.shape) + case.beta
    yield FLATTENED, (case.gamma.reshape(-1) * flat + case.beta.reshape(-1)).reshape(X.shape)


KEEPDIMS = (
    "your mean and variance have shape (channels,), so they are lined up with the last axis of X, "
    "the width. Keep the averaged axes: X.mean(axis=(0, 2, 3), keepdims=True)."
)


FLATTENED = (
    "X.reshape((-1, channels)) mixes the channels, since they are axis 1, not the last. Move them "
    "last before you flatten, X.transpose((0, 2, 3, 1)), and back afterwards."
)


FLATTENED_ANY = (
    "X.reshape((-1, channels)) mixes the channels unless their axis is the last. Move it there "
    "before you flatten, and back afterwards."
)


_TURNED = (
    "gamma and beta are spread over the examples, not over the features. They belong to axis 1: "
    "leave their shape (1, features) as it is."
)


_TURNED_STATISTICS = (
    "your mean and variance are spread over the examples, not over the features. It shows because "
    "here are as many examples as features. Keep them in shape (1, features)."
)


def _other_axes(case: Case, axis: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield the choices of axes that are wrong where the student's channels are at `axis`."""
    ndim = case.X.ndim
    for chosen in range(1, 2**ndim):
        places = tuple(place for place in range(ndim) if chosen >> place & 1)
        if set(places) == set(range(ndim)) - {axis % ndim}:
            continue
        words = f"axis {places[0]}" if len(places) == 1 else f"axes {places}"
        if len(places) == ndim:
            words = "all values at once"
        elif set(places) == set(range(ndim)) - {1}:
            words += ", as if axis 1 had the channels"
        yield f"you average over {words}.", places


def of_any_axes(case: Case, axis: int, right: str) -> Mistakes:
    """Yield what averages over other axes give, where the student's channels are at `axis`."""
    X = np.moveaxis(case.X, 1, axis)
    gamma, beta = np.moveaxis(case.gamma, 1, axis), np.moveaxis(case.beta, 1, axis)
    yield from of_order(case.training(), axis)
    for words, places in _other_axes(case, axis):
        for kept in (True, False):
            mean = X.mean(places, keepdims=kept)
            if mean.ndim and mean.shape[-1] not in (1, X.shape[-1]):
                continue
            try:
                squares = (X - mean) ** 2
            except ValueError:
                continue
            for var in (X.var(places, keepdims=kept), squares.mean(places, keepdims=kept)):
                Y = gamma * (X - mean) / np.sqrt(var + case.eps) + beta
                yield f"{words} {right}", np.moveaxis(Y, axis, 1)
        own = np.moveaxis(case.moments()[0], 1, axis)
        var = ((X - own) ** 2).mean(places, keepdims=True)
        Y = gamma * (X - own) / np.sqrt(var + case.eps) + beta
        yield f"for the variance, {words} {right}", np.moveaxis(Y, axis, 1)
    flat = X.reshape(-1, case.gamma.size)
    flat = (flat - flat.mean(0)) / np.sqrt(flat.var(0) + case.eps)
    for Y in (
        gamma * flat.reshape(X.shape) + beta,
        (case.gamma.reshape(-1) * flat + case.beta.reshape(-1)).reshape(X.shape),
    ):
        yield f"{FLATTENED_ANY} {right}", np.moveaxis(Y, axis, 1)
    for place in range(X.ndim):
        if place != axis % X.ndim and X.shape[place] == case.gamma.size:
            other = np.moveaxis(X, place, 1)
            Y = np.moveaxis(case._replace(X=other).training(), 1, place)
            yield f"you take axis {place} for the channels'. {right}", np.moveaxis(Y, axis, 1)
    mean, var = case.moments()
    yield from of_lining_up(case, axis, mean, var)


def of_order(Y: np.ndarray, axis: int) -> Mistakes:
    """Yield the right output with its axes in another order, where the shape is the same."""
    there = np.moveaxis(Y, 1, axis)
    for order in permutations(range(Y.ndim)):
        turned = there.transpose(order)
        if turned.shape == there.shape:
            yield ORDER_OF_AXES, np.moveaxis(turned, axis, 1)


ORDER_OF_AXES = (
    "the axes of Y are in another order than those of X. Bring them back: swapaxes is undone by "
    "the same swapaxes, transpose(order) by the inverse of order."
)


def of_lining_up(case: Case, axis: int, mean, var) -> Mistakes:
    """Yield what comes of values of shape (channels,) that meet another axis than `axis`.

    Without a shape that says where they belong, they meet the last.
    """
    X = np.moveaxis(case.X, 1, axis)
    rest = tuple(place for place in range(X.ndim) if place != axis % X.ndim)
    ours = tuple(np.moveaxis(each, 1, axis) for each in (mean, var, case.gamma, case.beta))
    for place in reversed(rest):
        if X.shape[place] != mean.size:
            continue
        theirs = tuple(np.moveaxis(each, 1, place) for each in (mean, var, case.gamma, case.beta))
        around = np.moveaxis(((X - theirs[0]) ** 2).mean(rest).reshape(mean.shape), 1, place)
        for words, used in (
            ("the mean and the variance", (*theirs[:2], *ours[2:])),
            ("the mean and the variance", (theirs[0], around, *ours[2:])),
            ("gamma and beta", (*ours[:2], *theirs[2:])),
            ("gamma, beta, the mean and the variance", theirs),
            ("gamma, beta, the mean and the variance", (theirs[0], around, *theirs[2:])),
        ):
            where = "the last axis" if place == X.ndim - 1 else f"axis {place}"
            m, v, gamma, beta = used
            Y = gamma * (X - m) / np.sqrt(v + case.eps) + beta
            yield (
                f"{words} are lined up with {where}. The channels are axis {axis}: reshape what "
                "has the shape (channels,) to 1 along every other axis.",
                np.moveaxis(Y, axis, 1),
            )


def of_mask(case: Case) -> Mistakes:
    """Yield what becomes of padded places that count somewhere, each with its cause."""
    yield from listed(_OF_MASK, (*formulas.MASKED, formulas.OUTPUT), formulas.names(case))
    mask = np.asarray(case.mask)
    for words, places in _other_axes(case, -1):
        axes = tuple((0, 2, 1)[place] for place in places)
        if not (mask.sum(axes) == 0).any():
            mean = np.average(case.X, axes, np.broadcast_to(mask, case.X.shape), keepdims=True)
            squares = mask * (case.X - mean) ** 2
            var = squares.sum(axes, keepdims=True) / mask.sum(axes, keepdims=True)
            yield f"{words} {_OVER_PLACES}", case.output(mean, var)
    lengths = mask.sum(2, keepdims=True)
    mean = ((case.X * mask).sum(2, keepdims=True) / lengths).mean(0, keepdims=True)
    squares = (case.X - mean) ** 2 * mask
    each = (squares.sum(2, keepdims=True) / lengths).mean(0, keepdims=True)
    for var in (case.average((case.X - mean) ** 2), each):
        yield (
            "your mean is the mean of the sentences' means, in which a short sentence weighs as "
            "much as a long one. Sum over the whole batch, then divide by the sum of the mask.",
            case._replace(mask=None).output(mean, var),
        )


_OVER_PLACES = "Here the channels are axis -1: average over axes (0, 1), where the mask is 1."


_IN_MEAN = (
    "padded places count in the mean. Divide the sum over the places where the mask is 1 by the "
    "sum of the mask."
)


_IN_VAR = (
    "padded places count in the variance: multiply the squared differences by the mask before you "
    "sum them."
)


_OF_MASK = {
    "mean = sum(X) / places; var = sum((X - mean) ** 2) / places": "padded places count in the "
    "mean and in the variance. Take both over the places where the mask is 1.",
    "mean = sum(mask * X) / places; var = sum((mask * X - mean) ** 2) / places": "padded places "
    "count as zeros in the mean and in the variance. Divide the sums by the sum of the mask, not "
    "by the number of places.",
    "mean = sum(X) / places": _IN_MEAN,
    "mean = sum(mask * X) / places": _IN_MEAN,
    "mean = sum(X) / n": _IN_MEAN,
    "var = sum((X - mean) ** 2) / n": _IN_VAR,
    "var = sum((X - mean) ** 2) / places": _IN_VAR,
    "var = sum((mask * X - mean) ** 2) / n": "padded places count in the variance: X * mask - mean "
    "is not 0 there. Subtract first, square, then multiply by the mask.",
    "mean = sum(mask * X) / places; var = sum(mask * (X - mean) ** 2) / places": "the sums are "
    "divided by the number of all places. Divide them by the sum of the mask.",
    "var = sum(mask * (X - mean) ** 2) / places": "the variance is divided by the number of all "
    "places. Divide it by the sum of the mask.",
}


def of_padding(case: Case, m: str = "mean", v: str = "var") -> Mistakes:
    """Yield outputs whose padding is wrong, with the statistics of these names."""
    if case.mask is None:
        return
    right = f"gamma * (X - {m}) / sqrt({v} + eps) + beta"
    table = {
        f"Y = {right}": "the output is not 0 where the mask is. Multiply it by the mask.",
        f"Y = mask * ({right} - beta) + beta": "the output is beta where the mask is 0. Multiply "
        "by the mask after beta has been added.",
        f"Y = mask * ({right}) + (1 - mask) * X": "the padding keeps its input. The output is 0 "
        "where the mask is 0.",
    }
    if (case.mask == 0).any():
        reversed = "the mask is taken the other way round. It is 1 where a value counts."
        table[f"Y = (1 - mask) * ({right})"] = reversed
        table[
            "mean = sum((1 - mask) * X) / (places - count); "
            "var = sum((1 - mask) * (X - mean) ** 2) / (places - count); "
            f"Y = (1 - mask) * ({right})"
        ] = reversed
    known = formulas.names(case)
    lines = (*formulas.MASKED, f"Y = {right}")
    yield from listed(table, lines, known)
    yield from _of_spread_mask(case, *((case.mean, case.var) if m != "mean" else case.moments()))


def _of_spread_mask(case: Case, mean, var) -> Mistakes:
    """Yield outputs for a mask that is spread over the wrong axes, the student's channels last."""
    X, mask = np.moveaxis(case.X, 1, -1), np.asarray(case.mask)[:, 0]
    gamma, beta, mean, var = (v.reshape(-1) for v in (case.gamma, case.beta, mean, var))
    for spread in (mask[None], mask[:, None], mask.T[:, :, None], mask.T[None]):
        try:
            weights = np.broadcast_to(spread, X.shape)
        except ValueError:
            continue
        own = (weights * X).sum((0, 1)) / mask.sum()
        around = (weights * (X - own) ** 2).sum((0, 1)) / mask.sum()
        for m, v in ((mean, var), (own, around)):
            yield (
                "the mask, (batch, length), is spread over the wrong axes of X, (batch, length, "
                "channels). It needs one more axis, the last: mask.expand_dims(axis=2).",
                np.moveaxis(weights * (gamma * (X - m) / np.sqrt(v + case.eps) + beta), -1, 1),
            )


def _over(case: Case, axes: tuple[int, ...]) -> np.ndarray:
    """Return the output when the averages are taken over these axes."""
    return case.output(case.X.mean(axes, keepdims=True), case.X.var(axes, keepdims=True))
