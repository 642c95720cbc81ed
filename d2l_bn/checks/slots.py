"""What an answer is made of: for each of its slots, what may stand in it, the right one first.

An output is factor * (X - mean) / spread + offset. A moving average is weight * old + weight * new.
What one slip changes in several slots has the same key in all of them, so that it counts once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain, combinations
from typing import Any, Callable, NamedTuple

import numpy as np

from d2l_bn.checks import grammar
from d2l_bn.checks.cases import Case
from d2l_bn.checks.grammar import grouped, names, shown

Average = Callable[[np.ndarray], np.ndarray]


class Part(NamedTuple):
    """A candidate for a slot: its name, its value, the slips that make it, how rare they are."""

    words: str
    value: np.ndarray
    keys: frozenset[str] = frozenset()
    rarity: int = 0


class Way(NamedTuple):
    """A wrong way to average, and the mean that it is taken around if it is used for both."""

    words: str
    key: str
    average: Average
    rarity: int = 0
    around: Any = None


Pools = tuple[list[Part], list[Part], list[Part], list[Part]]
_COMMON = ("sqrt(v + eps)", "sqrt(v)", "v + eps", "sqrt(v) + eps", "v")  # with any variance
_SOME = ("0", "-1", "1:", ":-1", ":half", "half:", "::2")


def listed(slot: str, known: dict[str, Any], *right: str, **short) -> Iterator[Part]:
    """Yield the candidates for a slot with their values, where their names are known."""
    for words, rarity in grammar.expressions(slot, *right):
        words = words.format(**short)
        value = grammar.value(words, known)
        if value is not None:
            yield Part(shown(words), np.asarray(value, float), _key(slot, words), rarity)


def _key(slot: str, words: str) -> frozenset[str]:
    return frozenset({f"{slot}: {shown(words)}"})


def _ways(case: Case, known: dict[str, Any]) -> Iterator[Way]:
    """Yield the wrong ways to average over X."""
    yield from _axes_and_parts(case)
    for where, axis in _alike(case):
        moved = lambda values, axis=axis: np.moveaxis(case.average(values), 1, axis)  # noqa: E731
        yield Way(f"along {where}", f"line up: {where}", moved, 1)
    for words, labels in _rows(case):
        row, mixed = (partial(_grouped, labels, by_channel) for by_channel in (False, True))
        yield Way(f"of {words}, which mixes the channels", f"rows: {words}", mixed, 1, row)
        yield Way(f"of each row of {words}", f"rows: {words}", row, 1)
    for by in listed("n", known):
        if np.all(by.value > 0):
            less = lambda values, by=by: case.size / by.value * case.average(values)  # noqa: E731
            yield Way(f"by {by.words}", f"n: {by.words}", less, by.rarity)
    if case.mask is None:
        return
    for by in listed("weights", known):
        weights = np.broadcast_to(by.value, case.X.shape)
        yield Way(f"({by.words})", f"mask: {by.words}", _weighted(case.axes, weights), by.rarity)
    for axis, theirs in ((0, 0), (2, 1)):
        part = lambda each, axis=axis: (case.counted * each).sum(axis, keepdims=True) / case.size  # noqa: E731
        yield Way(f"summed over axis {theirs}", f"sum: axis {theirs}", part, 1)


def _axes_and_parts(case: Case) -> Iterator[Way]:
    X, places = case.X, range(case.X.ndim)
    counts = [("", case.counted.astype(float), 0), (", padding included", np.ones_like(X), 2)]
    counts = counts[: 1 if case.mask is None else 2]
    for theirs in chain.from_iterable(combinations(places, k + 1) for k in places):
        axes = tuple(case.order[place] for place in theirs)
        if set(axes) != set(case.axes):
            words = f"axis {theirs[0]}" if len(theirs) == 1 else f"axes {theirs}"
            words = "all values at once" if len(axes) == X.ndim else words
            for more, each, rarity in counts:
                yield Way(f"over {words}{more}", f"axes: {words}", _weighted(axes, each), rarity)
            if case.mask is None:
                unkept = partial(_unkept, case, theirs)
                yield Way(f"over {words}, without keepdims", f"axes: {words}", unkept, 1)
    for place, axis in enumerate(case.order):
        length = X.shape[axis]
        for index in _SOME[: 0 if axis == 1 else 7 if length > 2 else 2]:
            some = np.zeros(length)
            some[eval(f"s_[{index}]", {"s_": np.s_, "half": length // 2})] = 1
            some = some.reshape([-1 if here == axis else 1 for here in places])
            words = f"X[{':, ' * place}{index}]"
            for more, each, _ in counts:
                average = _weighted(case.axes, each * some)
                yield Way(f"of {words}{more}", f"some: {words}", average, 2)


def _weighted(axes: tuple[int, ...], weights: np.ndarray) -> Average:
    total = weights.sum(axes, keepdims=True)
    return lambda values: (values * weights).sum(axes, keepdims=True) / total


def _unkept(case: Case, axes: tuple[int, ...], values: np.ndarray) -> np.ndarray:
    """The mean over the student's axes without those, spread as NumPy does from the last axis."""
    theirs = np.moveaxis(np.broadcast_to(values, case.X.shape), 1, case.axis)
    try:
        return np.moveaxis(np.broadcast_to(theirs.mean(axes), theirs.shape), case.axis, 1)
    except ValueError:  # it doesn't line up
        return np.full(case.X.shape, np.nan)


def _alike(case: Case) -> Iterator[tuple[str, int]]:
    """Yield the axes that are as long as the channels', as the student calls them, and as we do."""
    for place in reversed(range(case.X.ndim)):
        axis = case.order[place]
        if axis != 1 and case.X.shape[axis] == case.X.shape[1]:
            yield "the last axis" if place == case.X.ndim - 1 else f"axis {place}", axis


def _rows(case: Case) -> Iterator[tuple[str, np.ndarray]]:
    """Yield which channel each value gets by reshapes that mix the channels, in our layout."""
    channels = case.X.shape[1]
    there = np.moveaxis(case.X, 1, case.axis).shape
    size = case.X.size // channels
    for words, labels in (
        ("reshape((channels, -1))", np.repeat(np.arange(channels), size)),
        ("reshape((-1, channels))", np.tile(np.arange(channels), size)),
    ):
        for turned in (False, True):
            each = labels.reshape(there[::-1] if turned else there)
            ours = np.moveaxis(each.T if turned else each, case.axis, 1)
            if any(len(np.unique(ours[:, channel])) > 1 for channel in range(channels)):
                yield f"{'X.T.' if turned else 'X.'}{words}", ours


def _grouped(labels, by_channel: bool, values: np.ndarray) -> np.ndarray:
    values = np.broadcast_to(values, labels.shape)
    sums = np.bincount(labels.reshape(-1), values.reshape(-1))
    found = sums / np.bincount(labels.reshape(-1))
    return found.reshape((1, -1) + (1,) * (values.ndim - 2)) if by_channel else found[labels]


def _lined_up(name: str, case: Case, value: np.ndarray) -> Iterator[Part]:
    """Yield a value for each channel that meets another axis, of the same length."""
    for where, axis in _alike(case):
        yield Part(f"{name} along {where}", np.moveaxis(value, 1, axis), _key("line up", where), 1)


def _used(training: bool) -> dict[str, str]:
    """The names of the mean and the variance that normalize."""
    return dict(zip("mv", ("mean", "var") if training else ("moving_mean", "moving_var")))


def means(case: Case, training: bool, known: dict[str, Any]) -> Iterator[Part]:
    """Yield what may be subtracted."""
    used = _used(training)
    slips = ["sum(mask * X) / n"] * (training and "mask" in known)
    yield Part(used["m"], known[used["m"]])
    yield from listed("mean", known, *slips, **used)
    if not training:
        yield from _lined_up(used["m"], case, known[used["m"]])
        return
    for way in _ways(case, known):
        yield Part(f"the mean {way.words}", way.average(case.X), frozenset({way.key}), way.rarity)
    for each in listed("input", known):
        yield Part(f"the mean of {each.words}", case.average(each.value), each.keys, 2)


def variances(
    case: Case, training: bool, known: dict[str, Any], taken: Sequence[Part]
) -> Iterator[Part]:
    """Yield what may be taken for the variance, where these are what may be taken for the mean."""
    used, X, mean = _used(training), case.X, known["mean"]
    slips = ["sum(mask * (X - mean) ** 2) / n"] * ("mask" in known) + ["average((X - mean) ** 2)"]
    yield Part(used["v"], known[used["v"]])
    yield from listed("variance", known, *slips * training, **used)
    if not training:
        yield from _lined_up(used["v"], case, known[used["v"]])
        return
    for way in _ways(case, known):
        own, squares = (way.around or way.average)(X), way.average(X**2)
        keys, more = frozenset({way.key}), f"the mean of X ** 2 {way.words}"
        for name, center in (("m", own), ("mean", mean)):
            words = f"the mean of (X - {name}) ** 2 {way.words}"
            yield Part(words, way.average((X - center) ** 2), keys, way.rarity)
        yield Part(more, squares, keys | {"variance: X ** 2"}, 2)
        yield Part(f"{more}, less the squared mean", squares - own**2, keys, 2)
    for each in listed("input", known):
        for name, center in (("m", case.average(each.value)), ("mean", mean)):
            value = case.average((each.value - center) ** 2)
            yield Part(f"the mean of ({each.words} - {name}) ** 2", value, each.keys, 2)
    for each in taken[1:]:
        around = case.average((X - each.value) ** 2)
        yield Part(f"the mean of (X - m) ** 2, m = {each.words}", around, each.keys, each.rarity)


def spreads(known: dict[str, Any], taken: Sequence[Part]) -> Iterator[Part]:
    """Yield what may divide: each of these variances, in each way that it may be used."""
    ways = [(_COMMON[0], 0), *grammar.expressions("spread", _COMMON[0])]
    for variance in taken:
        scope = {**known, "v": variance.value}
        for way, rarity in ways:
            right = way == _COMMON[0]
            if variance.keys and not right and (variance.rarity > 1 or way not in _COMMON):
                continue
            value = grammar.value(way, scope)
            if value is not None:
                keys = variance.keys if right else variance.keys | _key("spread", way)
                words = _put(shown(way), variance.words)
                yield Part(words, np.asarray(value, float), keys, rarity + variance.rarity)


def _put(way: str, words: str) -> str:
    """A way with the variance in its place; a long name stands behind, after a semicolon."""
    if not re.search(r"\bv\b", way):
        return way
    if words.startswith("the ") or len(words) > 24:
        return f"{grouped(way)}; v = {words}"
    words = grouped(words) if way not in ("v", "sqrt(v)") else words
    return grouped(re.sub(r"\bv\b", lambda _: words, way))


def output(case: Case, training: bool) -> Pools:
    """The slots of an output: the factor, X - mean, the spread and the offset."""
    known, others = names(case, training), []
    taken = list(means(case, training, known))
    for slot, name in (("factor", "gamma"), ("offset", "beta")):
        found = [Part(name, known[name]), *listed(slot, known, **_used(training))]
        found += _lined_up(name, case, known[name])
        for words, labels in _rows(case):
            mixed = known[name].reshape(-1)[labels]
            found.append(Part(f"{name} row by row of {words}", mixed, _key("rows", words), 1))
        others.append(found)
    centred = [part._replace(value=case.X - part.value) for part in taken]
    divisors = spreads(known, list(variances(case, training, known, taken)))
    return others[0], centred, list(divisors), others[1]


def average(case: Case, which: int) -> Pools:
    """The slots of a moving mean (`which` 0) or variance (1): 1, the batch's, 1 / weight, old."""
    owns, news = ("moving_mean", "moving_var"), ("mean", "var")
    own, other, new, that = owns[which], owns[1 - which], news[which], news[1 - which]
    known = names(case)
    weights = [Part("(1 - momentum)", np.asarray(1 / (1 - case.momentum)))]
    weights += _new_weights(known)
    olds = [Part(own, known[own]), *listed("old", known, own=own, other=other)]
    olds.append(Part(other, known[other], _key("swapped", other)))
    before = [Part("", 0 * known[own], _key("momentum", "0"))]
    for p in chain([Part("momentum", known["momentum"])], listed("momentum", known)):
        for old in olds if p.value else ():
            words, value = f"{p.words} * {old.words}", p.value * old.value
            before.append(Part(words, value, p.keys | old.keys, p.rarity + old.rarity))
    right, *found = _batches(case, which, known)
    batches = [right, Part(that, known[that], _key("swapped", other))]
    batches += [
        Part("0", 0 * known[own], frozenset({key})) for key in ("new weight: 0", "momentum: 1")
    ]
    batches += listed("new", known, new=new, that=that, other=other)
    return [Part("1", np.ones(1))], [*batches, *found], weights, before


def _new_weights(known: dict[str, Any]) -> Iterator[Part]:
    for part in listed("momentum", known):
        words = {"0": "1", "(1 - momentum)": "momentum"}.get(part.words, f"(1 - {part.words})")
        if part.value != 1:
            words = words.replace("- -", "+ ")
            yield Part(words, 1 / (1 - part.value), part.keys, part.rarity)
        if part.value and part.words != "(1 - momentum)":
            key = _key("new weight", part.words)
            yield Part(part.words, 1 / part.value, key, part.rarity + 1)


def _batches(case: Case, which: int, known: dict[str, Any]) -> Iterator[Part]:
    """Yield what may stand for the batch's mean or variance, as for those of an output."""
    taken, own = list(means(case, True, known)), ("mean: ", "variance: ")[which]
    for part in variances(case, True, known, taken) if which else taken:
        if np.shape(part.value) in (case.mean.shape, ()):
            rarity = part.rarity + 2 * any(key.startswith(own) for key in part.keys)
            keys = frozenset(key.replace(own, "new: ") for key in part.keys)
            yield part._replace(keys=keys, rarity=rarity)
