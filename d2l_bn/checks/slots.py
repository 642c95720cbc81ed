"""What an answer is made of: for each of its slots, what may stand in it, the right one first.

An output is factor * (X - mean) / spread + offset. A moving average is weight * old + weight * new.
What one slip changes in several slots has the same key in all of them, so that it counts once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain
from typing import Any, Callable, NamedTuple

import numpy as np

from d2l_bn.checks import grammar
from d2l_bn.checks.cases import Case
from d2l_bn.checks.grammar import FUNCTIONS, altered, grouped, names, shown

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


_COMMON = ("sqrt(v + eps)", "sqrt(v)", "v + eps", "sqrt(v) + eps", "v")  # with any variance
Pools = tuple[list[Part], list[Part], list[Part], list[Part]]


def listed(slot: str, known: dict[str, Any], **short) -> Iterator[Part]:
    """Yield the candidates for a slot with their values, where their names are known."""
    for rarity, expressions in enumerate(grammar.candidates(slot)):
        for expression in expressions:
            yield from _valued(slot, expression.format(**short), known, rarity)


def _valued(slot: str, words: str, known: dict[str, Any], rarity: int = 0) -> Iterator[Part]:
    value = grammar.value(words, known)
    if value is not None:
        words = shown(words)
        yield Part(words, np.asarray(value, float), _key(slot, words), rarity)


def _slips(slot: str, right: str, known: dict[str, Any]) -> Iterator[Part]:
    """Yield what one slip makes of an expression."""
    for words in altered(right):
        yield from _valued(slot, words, known)


def _key(slot: str, words: str) -> frozenset[str]:
    return frozenset({f"{slot}: {words}"})


def _ways(case: Case) -> Iterator[Way]:
    """Yield the wrong ways to average over X."""
    yield from _axes_and_parts(case)
    for where, axis in _alike(case):
        moved = lambda values, axis=axis: np.moveaxis(case.average(values), 1, axis)  # noqa: E731
        yield Way(f"along {where}", f"line up: {where}", moved, 1)
    for words, labels in rows(case):
        each = partial(_grouped, labels, False)
        mixed = partial(_grouped, labels, True)
        yield Way(f"of {words}, which mixes the channels", f"rows: {words}", mixed, 1, each)
        yield Way(f"of each row of {words}", f"rows: {words}", each, 1)
    for words, share, rare in _counts(case):
        by = lambda values, share=share: share * case.average(values)  # noqa: E731
        yield Way(f"by {words}", f"n: {words}", by, rare)
    if case.mask is not None:
        yield from _masked(case)


def _axes_and_parts(case: Case) -> Iterator[Way]:
    X, ndim, counts = case.X, case.X.ndim, _weights_of(case)
    for chosen in range(1, 2**ndim):
        theirs = tuple(place for place in range(ndim) if chosen >> place & 1)
        axes = tuple(case.order[place] for place in theirs)
        if set(axes) != set(case.axes):
            words = f"axis {theirs[0]}" if len(theirs) == 1 else f"axes {theirs}"
            words = "all values at once" if len(axes) == ndim else words
            yield Way(f"over {words}", f"axes: {words}", _weighted(axes, counts))
            left = [X.shape[case.order[place]] for place in range(ndim) if place not in theirs]
            ours = [X.shape[axis] for axis in case.order][ndim - len(left) :]
            if case.mask is None and all(a in (1, b) for a, b in zip(left, ours)):
                unkept = partial(_unkept, case, theirs)
                yield Way(f"over {words}, without keepdims", f"axes: {words}", unkept, 1)
            if case.mask is not None:
                everywhere = _weighted(axes, np.ones_like(counts))
                yield Way(f"over {words}, padding included", f"axes: {words}", everywhere, 2)
    for place, axis in enumerate(case.order):
        if axis != 1:
            for words, part in _some(X.shape[axis], ":, " * place):
                weights = np.zeros(X.shape[axis])
                weights[part] = 1
                weights = weights.reshape([-1 if here == axis else 1 for here in range(ndim)])
                average = _weighted(case.axes, counts * weights)
                yield Way(f"of {words}", f"some: {words}", average, 2)


def _weights_of(case: Case) -> np.ndarray:
    return np.broadcast_to(1.0 if case.mask is None else case.mask, case.X.shape)


def _masked(case: Case) -> Iterator[Way]:
    counts, n = _weights_of(case), case.size
    taken = np.zeros((len(counts), 1, 1))
    taken[:2, 0, 0] = case.X[:, 0].size - n, n
    for key, weights, rarity in (
        ("padding counts", np.ones_like(counts), 0),
        ("as indices", np.broadcast_to(taken, counts.shape), 1),
        ("padding alone", 1 - counts, 1),
        ("nonzero", np.sign(abs(case.X)), 1),
        ("nonzero, masked", np.sign(abs(counts * case.X)), 1),
    ):
        yield Way(f"({key})", f"mask: {key}", _weighted(case.axes, weights), rarity)
    for key, first, then in (("mean of means", 2, 0), ("mean of places", 0, 2)):
        inner = _weighted((first,), counts)
        twice = lambda values, inner=inner, then=then: inner(values).mean(then, keepdims=True)  # noqa: E731
        yield Way(f"({key})", f"mask: {key}", twice, 1)
    for axis, theirs in ((0, 0), (2, 1)):
        part = lambda values, axis=axis: (counts * values).sum(axis, keepdims=True) / n  # noqa: E731
        yield Way(f"summed over axis {theirs}", f"sum: axis {theirs}", part, 1)


def _weighted(axes: tuple[int, ...], weights: np.ndarray) -> Average:
    total = weights.sum(axes, keepdims=True)
    return lambda values: (values * weights).sum(axes, keepdims=True) / total


def _unkept(case: Case, axes: tuple[int, ...], values: np.ndarray) -> np.ndarray:
    """The mean over the student's axes without those, spread as NumPy does from the last axis."""
    theirs = np.moveaxis(np.broadcast_to(values, case.X.shape), 1, case.axis)
    return np.moveaxis(np.broadcast_to(theirs.mean(axes), theirs.shape), case.axis, 1)


def _alike(case: Case) -> Iterator[tuple[str, int]]:
    """Yield the axes that are as long as the channels', as the student calls them, and as we do."""
    for place in reversed(range(case.X.ndim)):
        axis = case.order[place]
        if axis != 1 and case.X.shape[axis] == case.X.shape[1]:
            yield "the last axis" if place == case.X.ndim - 1 else f"axis {place}", axis


def _some(length: int, before: str) -> Iterator[tuple[str, slice]]:
    half = length // 2
    yield f"X[{before}0]", slice(1)
    yield f"X[{before}-1]", slice(-1, None)
    if length > 2:
        yield f"X[{before}1:]", slice(1, None)
        yield f"X[{before}:-1]", slice(-1)
        yield f"X[{before}:half], the first half", slice(half)
        yield f"X[{before}half:], the second half", slice(half, None)
        yield f"X[{before}::2]", slice(None, None, 2)


def rows(case: Case) -> Iterator[tuple[str, np.ndarray]]:
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


def _counts(case: Case) -> Iterator[tuple[str, Any, int]]:
    """Yield what a sum may be divided by in place of n, n divided by it, and how rare it is."""
    lengths = np.moveaxis(case.X, 1, case.axis).shape
    known = {"n": case.size, "channels": case.X.shape[1], "eps": case.eps, "total": case.X.size}
    known.update((f"length_{place}", length) for place, length in enumerate(lengths))
    places = [f"length_{place}" for place in range(len(lengths))]
    words = [*grammar.candidates("count")[0], *places]
    words += [each.format(n) for each in ("(n * {})", "(n / {})", "(total / {})") for n in places]
    if case.mask is not None:
        words += grammar.candidates("masked count")[0]
        zeros = (case.X != 0).sum(case.axes, keepdims=True)
        counted = (case.mask * case.X != 0).sum(case.axes, keepdims=True)
        known.update(places=case.mask.size, nonzero=zeros, counted=counted)
        known["by_place"], known["by_sentence"] = (
            case.mask.sum(axis, keepdims=True) for axis in (0, 2)
        )
    for each in words:
        divisor = grammar.value(each, {**known, "sqrt": np.sqrt})
        if np.all(divisor > 0):
            usual = each in ("1", "(n - 1)", "n ** 2", "places")
            yield shown(each), case.size / divisor, not usual


def means(case: Case, training: bool) -> list[Part]:
    """What may be subtracted."""
    return _finite(_means(case, training))


def _means(case: Case, training: bool) -> Iterator[Part]:
    known = names(case)
    m, v = ("mean", "var") if training else ("moving_mean", "moving_var")
    yield Part(m, known[m])
    yield from listed("mean", known, m=m, v=v)
    if not training:
        yield from _lined_up(m, case, known[m])
        return
    if case.mask is not None:
        yield from _slips("mask", "sum(mask * X) / n", known)
    for way in _ways(case):
        yield Part(f"the mean {way.words}", way.average(case.X), frozenset({way.key}), way.rarity)
    for words, X in _inputs(case):
        yield Part(f"the mean of {words}", case.average(X), _key("input", words), 2)


def _lined_up(slot: str, case: Case, value: np.ndarray) -> Iterator[Part]:
    """Yield a value for each channel that meets another axis, of the same length."""
    for where, axis in _alike(case):
        yield Part(f"{slot} along {where}", np.moveaxis(value, 1, axis), _key("line up", where), 1)


def _inputs(case: Case) -> Iterator[tuple[str, np.ndarray]]:
    """Yield what may stand in X's place when a statistic is taken."""
    X = case.X
    if case.mask is not None:
        yield "(mask * X)", case.mask * X
    for name in ("abs", "relu", "round", "trunc", "floor", "tanh", "sigmoid", "sign"):
        yield f"{name}(X)", FUNCTIONS[name](X)
    for low, high in ((0, 1), (-1, 1), (0, 255), (-2, 2), (-3, 3), (-5, 5)):
        yield f"clip(X, {low}, {high})", np.clip(X, low, high)
    yield from (("(X + eps)", X + case.eps), ("(X - moving_mean)", X - case.mean))
    yield from (("gamma * X", case.gamma * X), ("(gamma * X + beta)", case.gamma * X + case.beta))


def variances(case: Case, training: bool, taken: list[Part]) -> list[Part]:
    """What may be taken for the variance, where these are what may be taken for the mean."""
    return _finite(_variances(case, training, taken))


def _variances(case: Case, training: bool, taken: list[Part]) -> Iterator[Part]:
    known = names(case)
    m, v = ("mean", "var") if training else ("moving_mean", "moving_var")
    X, mean = case.X, known["mean"]
    yield Part(v, known[v])
    yield from listed("variance", known, m=m, v=v)
    if not training:
        yield from _lined_up(v, case, known[v])
        return
    if case.mask is not None:
        yield from _slips("variance", "sum(mask * (X - mean) ** 2) / n", known)
    yield from _slips("variance", "average((X - mean) ** 2)", known)
    for way in _ways(case):
        own, keys = (way.around or way.average)(X), frozenset({way.key})
        for words, value in (
            (f"the mean of (X - m) ** 2 {way.words}", way.average((X - own) ** 2)),
            (f"the mean of (X - mean) ** 2 {way.words}", way.average((X - mean) ** 2)),
        ):
            yield Part(words, value, keys, way.rarity)
        squares, more = way.average(X**2), f"the mean of X ** 2 {way.words}"
        yield Part(more, squares, keys | {"variance: X ** 2"}, 2)
        yield Part(f"{more}, less the squared mean", squares - own**2, keys, 2)
    for words, Z in _inputs(case):
        for center, about in (("m", case.average(Z)), ("mean", mean)):
            value = case.average((Z - about) ** 2)
            yield Part(f"the mean of ({words} - {center}) ** 2", value, _key("input", words), 2)
    for each in taken[1:]:
        around = case.average((X - each.value) ** 2)
        yield Part(f"the mean of (X - m) ** 2, m = {each.words}", around, each.keys, each.rarity)


def spreads(case: Case, taken: list[Part]) -> list[Part]:
    """What may divide: each of these variances, in each way that it may be used."""
    return _finite(_spreads(case, taken))


def _spreads(case: Case, taken: list[Part]) -> Iterator[Part]:
    right, known = _COMMON[0], names(case)
    tables = (altered(right), *grammar.candidates("spread"))
    ways = [(right, 0)] + [(way, rarity) for rarity, line in enumerate(tables) for way in line]
    for place, variance in enumerate(taken):
        known["v"] = variance.value
        for way, rarity in ways:
            if place and way != right and (variance.rarity > 1 or way not in _COMMON):
                continue
            value = grammar.value(way, known)
            if value is not None:
                keys = variance.keys | (_key("spread", shown(way)) if way != right else frozenset())
                words = _put(way, variance.words) if re.search(r"\bv\b", way) else shown(way)
                yield Part(words, np.asarray(value, float), keys, rarity + variance.rarity)


def _put(way: str, words: str) -> str:
    """A way with the variance in its place; a long name stands behind, after a semicolon."""
    if words.startswith("the ") or len(words) > 24:
        return f"{grouped(way)}; v = {words}"
    words = grouped(words) if way not in ("v", "sqrt(v)") else words
    return grouped(re.sub(r"\bv\b", lambda _: words, way))


def output(case: Case, training: bool) -> Pools:
    """The slots of an output: the factor, X - mean, the spread and the offset."""
    known = names(case)
    m, v = ("mean", "var") if training else ("moving_mean", "moving_var")
    taken = means(case, training)
    others = []
    for slot, name in (("factor", "gamma"), ("offset", "beta")):
        value = known[name]
        mixed = (
            Part(f"{name} row by row of {words}", value.reshape(-1)[labels], _key("rows", words), 1)
            for words, labels in rows(case)
        )
        found = listed(slot, known, m=m, v=v)
        lined_up = _lined_up(name, case, value)
        others.append(_finite(chain([Part(name, value)], found, lined_up, mixed)))
    centred = [part._replace(value=case.X - part.value) for part in taken]
    divisors = spreads(case, variances(case, training, taken))
    return others[0], centred, divisors, others[1]


def average(case: Case, which: int) -> Pools:
    """The slots of a moving mean (`which` 0) or variance (1): 1, the batch's, 1 / weight, old."""
    owns, news = ("moving_mean", "moving_var"), ("mean", "var")
    own, other, new, that = owns[which], owns[1 - which], news[which], news[1 - which]
    known = names(case)
    weights = [Part("(1 - momentum)", np.asarray(1 / (1 - case.momentum)))]
    weights += _new_weights(known)
    old_weights = [Part("momentum", known["momentum"])]
    old_weights += [part for part in listed("momentum", known) if np.any(part.value)]
    olds = [Part(own, known[own]), *listed("old", known, own=own, other=other)]
    olds.append(Part(other, known[other], _key("swapped", other)))
    before = [Part("", 0 * known[own], _key("momentum", "0"))]
    for p in old_weights:
        for old in olds:
            words, value = f"{p.words} * {old.words}", p.value * old.value
            before.append(Part(words, value, p.keys | old.keys, p.rarity + old.rarity))
    swapped = Part(that, known[that], _key("swapped", other))
    zeros = [Part("0", 0 * known["mean"], frozenset({key}))
             for key in ("new weight: 0", "momentum: 1")]  # fmt: skip
    extra = [swapped, *zeros, *listed("new", known, new=new, that=that, other=other)]
    found = _batches(case, which)
    return [Part("1", np.ones(1))], _finite(found[:1] + extra + found[1:]), weights, before


def _new_weights(known: dict[str, Any]) -> Iterator[Part]:
    for part in listed("momentum", known):
        words = {"0": "1", "(1 - momentum)": "momentum"}.get(part.words, f"(1 - {part.words})")
        if part.value != 1:
            words = words.replace("- -", "+ ")
            yield Part(words, 1 / (1 - part.value), part.keys, part.rarity)
        if part.value and part.words != "(1 - momentum)":
            key = _key("new weight", part.words)
            yield Part(part.words, 1 / part.value, key, part.rarity + 1)


def _batches(case: Case, which: int) -> list[Part]:
    """What may stand for the batch's mean or variance, of those that an output may have, too."""
    taken, own = means(case, True), ("mean: ", "variance: ")[which]
    found = [
        part._replace(
            keys=frozenset(key.replace(own, "new: ") for key in part.keys),
            rarity=part.rarity + 2 * any(key.startswith(own) for key in part.keys),
        )
        for part in (variances(case, True, taken) if which else taken)
        if np.shape(part.value) in (case.mean.shape, ())
    ]
    mean, var = case.moments()
    for words, values in (
        ("the output", case.training()),
        ("X_hat", (case.X - mean) / np.sqrt(var + case.eps)),
        ("X - mean", case.X - mean),
    ):
        its = case.average(values)
        its = case.average((values - its) ** 2) if which else its
        found.append(Part(f"the {('mean', 'variance')[which]} of {words}", its, _key("new", words)))
    return found


def _finite(found: Iterable[Part]) -> list[Part]:
    """Those that are numbers, each name with its keys once."""
    kept: dict[tuple, Part] = {}
    for each in found:
        if np.isfinite(each.value).all():
            kept.setdefault((each.words, each.keys), each)
    return list(kept.values())
