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


Pools = tuple[list[Part], list[Part], list[Part], list[Part]]
# Expressions for each slot that no slip in one place makes, the likelier ones in front.
_MEANS = (
    "moving_mean; mean; 0; -{m}; new_moving_mean",
    "var; moving_var; {m} / sqrt({v} + eps); {m} / gamma; {m} / gamma / sqrt({v} + eps); "
    "everything(X); (low + high) / 2; median; (mean + moving_mean) / 2; "
    "(mean + new_moving_mean) / 2",
    "low; high; new_moving_var; abs(mean); 2 * mean; sqrt(mean); mean ** 2; {m} * sqrt({v} + eps); "
    "{m} / ({v} + eps); {m} * ({v} + eps); beta; gamma; gamma * mean; least; largest; {m} - eps; "
    "0.9 * moving_mean + 0.1 * mean; (1 - momentum) * moving_mean + momentum * mean; "
    "average(X ** 2)",
)
_VARIANCES = (
    "moving_var; var; new_moving_var; average(X ** 2)",
    "0; mean; moving_mean; gamma ** 2 * var; gamma ** 2 * moving_var; average(abs(X)); "
    "(var + moving_var) / 2; (var + new_moving_var) / 2; high - low; average(abs(X - mean)) ** 2; "
    "average(abs(X - mean) ** 3)",
    "mean ** 2; var - mean ** 2; average(X ** 2) - mean; average(X ** 2) + mean ** 2; gamma; beta; "
    "(high - low) ** 2; high ** 2; abs(mean); average(X); 0.9 * moving_var + 0.1 * var; "
    "(1 - momentum) * moving_var + momentum * var",
)
_SPREADS = (
    "1; v; sqrt(v) + sqrt(eps); sqrt(v + eps) + eps; maximum(sqrt(v), eps); 1 / sqrt(v + eps); "
    "sqrt(v + 1e-3) + eps; sqrt(sqrt(v) + eps); sqrt(sqrt(v + eps))",
    "sqrt((v + eps) ** 2 + eps); (v + eps) ** 2; sqrt(v) + v; sqrt(v) + v + eps; sqrt(v) + 1; "
    "(v + eps) ** 1.5; (v + eps) ** (1 / 3); exp(v / 2); log(1 + v); 1 / (v + eps); v ** 2; "
    "maximum(sqrt(v), 1); maximum(sqrt(v), 0.1); sqrt(v + eps) + v + eps; 1 + eps; sqrt(v) - eps; "
    "sqrt(v + eps) * n; sqrt(v + eps) / n; high - low; high - low + eps",
)
# The ways to spread that also meet another variance than the right one.
_COMMON = ("sqrt(v)", "v + eps", "sqrt(v) + eps", "v")
_FACTORS = (
    "1; beta; gamma ** 2; 1 / gamma; -gamma; 0",
    "abs(gamma); 1 + gamma; exp(gamma); gamma + beta; everything(gamma); sqrt(gamma); "
    "gamma * beta; 2 * gamma; gamma / 2; gamma / n; gamma * n; gamma - 1",
)
_OFFSETS = (
    "0; gamma; gamma * beta; -beta; beta / sqrt({v} + eps); gamma * beta / sqrt({v} + eps)",
    "everything(beta); beta + eps; beta + gamma * eps; {m}; 2 * beta; beta - {m}; beta + {m}; "
    "1; eps; beta ** 2; beta * sqrt({v} + eps); gamma * {m}; beta + 1; gamma + beta; "
    "beta / gamma; beta / ({v} + eps)",
)


def listed(slot: str, table: Iterable[str], known: dict[str, Any], **short) -> Iterator[Part]:
    """Yield the expressions of a table with their values, where their names are known."""
    for rarity, expressions in enumerate(table):
        for words in expressions.format(**short).split("; "):
            value = grammar.value(words, known)
            if value is not None:
                yield Part(
                    shown(words),
                    np.asarray(value, float),
                    frozenset({f"{slot}: {shown(words)}"}),
                    rarity,
                )


def samples(case: Case) -> Iterator[tuple[str, Average, str, int]]:
    """Yield ways to average that are wrong: words, the function, the key, how rare it is."""
    X, ndim = case.X, case.X.ndim
    counts = np.broadcast_to(1.0 if case.mask is None else case.mask, X.shape)
    for chosen in range(1, 2**ndim):
        theirs = tuple(place for place in range(ndim) if chosen >> place & 1)
        axes = tuple(case.order[place] for place in theirs)
        words = "all values at once" if len(axes) == ndim else _axes(theirs)
        if set(axes) != set(case.axes):
            yield f"over {words}", _weighted(axes, counts), f"axes: {words}", 0
        left = [X.shape[case.order[place]] for place in range(ndim) if place not in theirs]
        ours = [X.shape[axis] for axis in case.order][ndim - len(left) :]
        fits = case.mask is None and all(a in (1, b) for a, b in zip(left, ours))
        if fits and set(axes) != set(case.axes):
            unkept = partial(_unkept, case, theirs)
            yield f"over {words}, without keepdims", unkept, f"axes: {words}", 1
    for where, axis in _alike(case):
        moved = partial(_moved, case, axis)
        yield f"along {where}", moved, f"line up: {where}", 1
    for place, axis in enumerate(case.order):
        if axis != 1:
            for words, part in _some(X.shape[axis], ":, " * place):
                weights = np.zeros(X.shape[axis])
                weights[part] = 1
                shape = [-1 if here == axis else 1 for here in range(ndim)]
                average = _weighted(case.axes, counts * weights.reshape(shape))
                yield f"of {words}", average, f"some: {words}", 2
    for words, labels in rows(case):
        key = f"rows: {words}"
        yield f"of {words}, which mixes the channels", partial(_grouped, labels, True), key, 1
        yield f"of each row of {words}", partial(_grouped, labels, False), key, 1
    if case.mask is not None:
        yield from _masked(case, counts)


def _masked(case: Case, counts: np.ndarray) -> Iterator[tuple[str, Average, str, int]]:
    everywhere, spread = np.ones_like(counts), np.zeros((len(counts), 1, 1))
    spread[:2, 0, 0] = (case.mask == 0).sum(), (case.mask == 1).sum()
    taken = np.broadcast_to(spread, counts.shape)
    for words, average, key, rarity in (
        ("of the padded places too", _weighted(case.axes, everywhere), "padding counts", 0),
        ("of X[mask]", _weighted(case.axes, taken), "mask as indices", 1),
        ("of the padding alone", _weighted(case.axes, 1 - counts), "padding alone", 1),
        ("of the sentences' means", _twice(counts, (2,), (0,)), "mean of means", 1),
        ("of the places' means", _twice(counts, (0,), (2,)), "mean of places", 1),
        ("over axis 0, padding included", _weighted((0,), everywhere), "axes: axis 0", 2),
        ("over axis 1, padding included", _weighted((2,), everywhere), "axes: axis 1", 2),
        ("over each row, padding included", _weighted((1, 2), everywhere), "axes: axes (1, 2)", 2),
    ):
        yield words, average, f"mask: {key}" if ":" not in key else key, rarity


def _weighted(axes: tuple[int, ...], weights: np.ndarray) -> Average:
    total = weights.sum(axes, keepdims=True)
    return lambda values: (values * weights).sum(axes, keepdims=True) / total


def _twice(counts, first: tuple[int, ...], then: tuple[int, ...]) -> Average:
    inner = _weighted(first, counts)
    return lambda values: inner(values).mean(then, keepdims=True)


def _unkept(case: Case, axes: tuple[int, ...], values: np.ndarray) -> np.ndarray:
    """The mean over the student's axes without those, spread as NumPy does from the last axis."""
    values = np.broadcast_to(values, case.X.shape)
    theirs = np.moveaxis(values, 1, case.axis)
    return np.moveaxis(np.broadcast_to(theirs.mean(axes), theirs.shape), case.axis, 1)


def _alike(case: Case) -> Iterator[tuple[str, int]]:
    """Yield the axes that are as long as the channels', as the student calls them, and as we do."""
    for place in reversed(range(case.X.ndim)):
        axis = case.order[place]
        if axis != 1 and case.X.shape[axis] == case.X.shape[1]:
            yield "the last axis" if place == case.X.ndim - 1 else f"axis {place}", axis


def _moved(case: Case, axis: int, values: np.ndarray) -> np.ndarray:
    return np.moveaxis(case.average(values), 1, axis)


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


def _axes(places: tuple[int, ...]) -> str:
    return f"axis {places[0]}" if len(places) == 1 else f"axes {places}"


def counts(case: Case) -> Iterator[tuple[str, Any, int]]:
    """Yield what a sum may be divided by in place of n, n divided by it, and how rare it is."""
    lengths = np.moveaxis(case.X, 1, case.axis).shape
    n, channels = case.size, lengths[case.axis]
    found: dict[str, Any] = {"1": 1, "(n - 1)": n - 1, "(n + 1)": n + 1, "n ** 2": n**2}
    found.update({f"X.shape[{place}]": length for place, length in enumerate(lengths)})
    found.update({"X.size": case.X.size, "(n * channels)": n * channels, "sqrt(n)": n**0.5})
    found.update({"(n - channels)": n - channels, "(n - 2)": n - 2, "2 * n": 2 * n, "n / 2": n / 2})
    found.update({"(X.shape[0] - 1)": lengths[0] - 1, "(n + eps)": n + case.eps})
    for place, length in enumerate(lengths):
        found.update({f"(n * X.shape[{place}])": n * length, f"(n / X.shape[{place}])": n / length})
    if case.mask is not None:
        by_place, by_sentence = (case.mask.sum(axis, keepdims=True) for axis in (0, 2))
        found.update({"mask.size": case.mask.size, "(mask.size - n)": case.mask.size - n})
        found.update({"mask.sum(axis=0)": by_place, "mask.sum(axis=1)": by_sentence})
        found["sum(X != 0)"] = (case.X != 0).sum(case.axes, keepdims=True)
    usual = ("1", "(n - 1)", "n ** 2", "mask.size")
    for words, divisor in found.items():
        if np.all(divisor > 0):
            yield words, n / divisor, words not in usual


def _inputs(case: Case) -> Iterator[tuple[str, np.ndarray]]:
    """Yield what may stand in X's place when a statistic is taken."""
    if case.mask is not None:
        yield "(mask * X)", case.mask * case.X
    for name in ("abs", "relu", "round", "trunc", "floor", "tanh", "sigmoid", "sign"):
        yield f"{name}(X)", FUNCTIONS[name](case.X)
    for low, high in ((0, 1), (-1, 1), (0, 255), (-2, 2), (-3, 3), (-5, 5)):
        yield f"clip(X, {low}, {high})", np.clip(case.X, low, high)
    yield "(X + eps)", case.X + case.eps
    yield "(X - moving_mean)", case.X - case.mean
    yield "gamma * X", case.gamma * case.X
    yield "(gamma * X + beta)", case.gamma * case.X + case.beta


def _by(divisor: str) -> str:
    return f" divided by {divisor}" * (divisor != "1")


def _key(slot: str, words: str) -> frozenset[str]:
    return frozenset({f"{slot}: {words}"})


def _lined_up(slot: str, case: Case, value: np.ndarray) -> Iterator[Part]:
    """Yield a value for each channel that meets another axis, of the same length."""
    for where, axis in _alike(case):
        yield Part(f"{slot} along {where}", np.moveaxis(value, 1, axis), _key("line up", where), 1)


def means(case: Case, training: bool) -> list[Part]:
    """What may be subtracted."""
    return _finite(_means(case, training))


def _means(case: Case, training: bool) -> Iterator[Part]:
    known = names(case, n=case.size)
    m, v = ("mean", "var") if training else ("moving_mean", "moving_var")
    yield Part(m, known[m])
    yield from listed("mean", _MEANS, known, m=m, v=v)
    if not training:
        yield from _lined_up(m, case, known[m])
        return
    for words, average, key, rarity in samples(case):
        yield Part(f"the mean {words}", average(case.X), frozenset({key}), rarity)
    for words, share, rare in counts(case):
        yield Part(
            f"sum(X) / {words}".replace(" / 1", ""), share * known[m], _key("n", words), rare
        )
    for words, X in _inputs(case):
        yield Part(f"the mean of {words}", case.average(X), _key("input", words), 2)
    if case.mask is not None:
        yield from listed("mask", ["; ".join(altered("sum(mask * X) / n"))], known)
        for axis, words in ((0, "0"), (2, "1")):
            part = (case.mask * case.X).sum(axis, keepdims=True) / case.size
            yield Part(f"the sum over axis {words} / n", part, _key("sum", f"axis {words}"), 1)


def variances(case: Case, training: bool, taken: list[Part]) -> list[Part]:
    """What may be taken for the variance, where these are what may be taken for the mean."""
    return _finite(_variances(case, training, taken))


def _variances(case: Case, training: bool, taken: list[Part]) -> Iterator[Part]:
    known = names(case, n=case.size)
    m, v = ("mean", "var") if training else ("moving_mean", "moving_var")
    X, mean = case.X, known["mean"]
    yield Part(v, known[v])
    yield from listed("variance", _VARIANCES, known, m=m, v=v)
    if not training:
        yield from _lined_up(v, case, known[v])
        for words, share, rare in counts(case):
            yield Part(f"moving_var * n / {words}", share * known[v], _key("n", words), 1 + rare)
        return
    yield from listed("variance", ["; ".join(altered("average((X - mean) ** 2)"))], known)
    if case.mask is not None:
        squares = "sum(mask * (X - mean) ** 2) / n"
        yield from listed("variance", ["; ".join(altered(squares))], known)
    for words, average, key, rarity in samples(case):
        own, around = average(X), average((X - mean) ** 2)
        keys = frozenset({key})
        yield Part(f"the variance {words}", average((X - own) ** 2), keys, rarity)
        yield Part(f"the mean of (X - mean) ** 2 {words}", around, keys, rarity)
        yield Part(f"the mean of (X - m) ** 2, m the mean {words}", case.average((X - own) ** 2),
                   keys, rarity)  # fmt: skip
        yield Part(f"the mean of X ** 2 {words}", average(X**2), keys | {"variance: X ** 2"}, 2)
    for words, labels in rows(case):
        around = (X - _grouped(labels, False, X)) ** 2
        yield Part(f"the variance of rows of {words}", _grouped(labels, True, around),
                   _key("rows", words), 1)  # fmt: skip
    yield from _divided(case, mean, known["var"])
    for words, Z in _inputs(case):
        its = case.average(Z)
        keys = _key("input", words)
        yield Part(f"the variance of {words}", case.average((Z - its) ** 2), keys, 2)
        yield Part(f"the mean of ({words} - mean) ** 2", case.average((Z - mean) ** 2), keys, 2)
        yield Part(f"the mean of (X - m) ** 2, m the mean of {words}",
                   case.average((X - its) ** 2), keys, 2)  # fmt: skip
    for each in taken:
        if any(key.startswith(("mean: ", "mask: sum", "mask: (", "sum: ")) for key in each.keys):
            around = case.average((X - each.value) ** 2)
            yield Part(f"the mean of (X - m) ** 2, m = {each.words}", around, each.keys, 1)


def _divided(case: Case, mean, var) -> Iterator[Part]:
    """Yield sums of squares that are divided by something else than n."""
    X = case.X
    for words, share, rare in counts(case):
        keys = _key("n", words)
        over = f" / {words}" * (words != "1")
        around = case.average((X - share * mean) ** 2)
        yield Part(f"sum((X - mean) ** 2){over}", share * var, keys, rare)
        yield Part(f"sum((X - m) ** 2){over}, m = sum(X){over}", share * around, keys, rare)
        yield Part(f"the mean of (X - m) ** 2, m = sum(X){over}", around, keys, rare)
        squares = share * case.average(X**2)
        yield Part(f"sum(X ** 2){over}", squares, keys | {"variance: X ** 2"}, 2)
    if case.mask is not None:
        for divisor, n in (("n", case.size), ("mask.size", case.mask.size)):
            for words, Z in (("mask * X", case.mask * X), ("X", X)):
                total = ((Z - mean) ** 2).sum(case.axes, keepdims=True) / n
                what = f"sum(({words} - mean) ** 2) / {divisor}"
                yield Part(what, total, _key("variance", what), 1)
        masked = case.mask * X
        own = masked.mean(case.axes, keepdims=True)
        var = ((masked - own) ** 2).mean(case.axes, keepdims=True)
        yield Part("the variance of mask * X", var, _key("n", "mask.size"), 1)


def spreads(case: Case, taken: list[Part]) -> list[Part]:
    """What may divide: each of these variances, in each way that it may be used."""
    return _finite(_spreads(case, taken))


def _spreads(case: Case, taken: list[Part]) -> Iterator[Part]:
    right = "sqrt(v + eps)"
    tables = ("; ".join(altered(right)), *_SPREADS)
    ways = [(right, 0)] + [(way, r) for r, line in enumerate(tables) for way in line.split("; ")]
    for place, variance in enumerate(taken):
        known = names_of_spread(case, variance.value)
        for way, rarity in ways:
            if place and way != right and (variance.rarity > 1 or way not in _COMMON):
                continue
            value = grammar.value(way, known)
            if value is not None:
                keys = variance.keys | (_key("spread", shown(way)) if way != right else frozenset())
                used = bool(re.search(r"\bv\b", way))
                words = _put(way, variance.words) if used else shown(way)
                yield Part(words, np.asarray(value, float), keys, rarity + variance.rarity)


def names_of_spread(case: Case, v) -> dict[str, Any]:
    low, high = (each(case.axes, keepdims=True) for each in (case.X.min, case.X.max))
    known = dict(v=v, eps=case.eps, momentum=case.momentum, n=case.size, low=low, high=high)
    known.update((name, getattr(np, name)) for name in ("sqrt", "exp", "log", "abs"))
    return {**known, "maximum": np.maximum, "minimum": np.minimum}


def _put(way: str, words: str) -> str:
    """A way with the variance in its place; a long name stands behind, after a semicolon."""
    if words.startswith("the ") or len(words) > 24:
        return f"{grouped(way)}; v = {words}"
    words = grouped(words) if way not in ("v", "sqrt(v)") else words
    return grouped(re.sub(r"\bv\b", lambda _: words, way))


def output(case: Case, training: bool) -> Pools:
    """The slots of an output: the factor, X - mean, the spread and the offset."""
    known = names(case, n=case.size)
    m, v = ("mean", "var") if training else ("moving_mean", "moving_var")
    taken = means(case, training)
    others = []
    for name, value, table in (("gamma", case.gamma, _FACTORS), ("beta", case.beta, _OFFSETS)):
        slot = {"gamma": "factor", "beta": "offset"}[name]
        mixed = (
            Part(f"{name} row by row of {words}", value.reshape(-1)[labels], _key("rows", words), 1)
            for words, labels in rows(case)
        )
        found = listed(slot, table, known, m=m, v=v)
        others.append(
            _finite(chain([Part(name, value)], found, _lined_up(name, case, value), mixed))
        )
    centred = [part._replace(value=case.X - part.value) for part in taken]
    divisors = spreads(case, variances(case, training, taken))
    return others[0], centred, divisors, others[1]


_WEIGHTS = (
    "1; 0; (1 - momentum)",
    "momentum ** 2; 0.9; 0.1; 0.99; 0.01; 0.999; 0.95; 0.5; -momentum; 1 / momentum; "
    "momentum * (1 - momentum); 1 / (1 - momentum); momentum / (1 - momentum); (1 + momentum); "
    "(1 - momentum) ** 2; (1 - eps); eps; 2; -1; 0.8; 0.7; (2 - momentum)",
)
_OLDS = (
    "moving_mean; moving_var",
    "new_moving_mean; new_moving_var; mean; var; sqrt({own}); {own} ** 2; 1",
)
_NEWS = (
    "var; mean",
    "(var + eps); sqrt(var); sqrt(var + eps); 1; sqrt(abs(mean)); var / n; abs(mean); moving_mean; "
    "moving_var; (1 - momentum * {new}) / (1 - momentum); {new} ** 2; "
    "gamma ** 2 * var / (var + eps); var / (var + eps)",
)


def average(case: Case, which: int) -> Pools:
    """The slots of a moving mean (`which` 0) or variance (1): 1, the batch's, 1 / weight, old."""
    own, new = (("moving_mean", "mean"), ("moving_var", "var"))[which]
    known = names(case, n=case.size)
    if case.mask is not None:
        known["share"] = known["everything"](case.mask)
    alone = [Part("1", np.ones(1))]
    right = Part("(1 - momentum)", np.asarray(1 / (1 - case.momentum)))
    weights = [right, *_new_weights(known)]
    old_weights = [Part("momentum", known["momentum"])]
    old_weights += [part for part in listed("momentum", _WEIGHTS, known) if part.words != "0"]
    if case.mask is not None:
        moved = 1 - (1 - case.momentum) * known["share"]
        key = _key("momentum", "share")
        old_weights.append(Part("(1 - (1 - momentum) * mean(mask))", moved, key, 1))
        words = "(1 - momentum) * mean(mask)"
        weights.append(Part(words, 1 / (1 - moved), key, 1))
    olds = [Part(own, known[own])]
    olds += [each for each in listed("old", _OLDS, known, own=own) if each.words != own]
    other = ("moving_var", "moving_mean")[which]
    olds += [Part(other, known[other], _key("swapped", other), 0)]
    before = [
        Part(f"{p.words} * {old.words}", p.value * old.value, p.keys | old.keys,
             p.rarity + old.rarity)
        for p in old_weights for old in olds
    ]  # fmt: skip
    before.append(Part("", 0 * known[own], _key("momentum", "0"), 0))
    news = _news(case, which, known, new)
    return alone, news, [part for part in weights if np.isfinite(part.value).all()], before


def _new_weights(known: dict[str, Any]) -> Iterator[Part]:
    for part in listed("momentum", _WEIGHTS, known):
        share = np.asarray(1 - part.value)
        if share.any():
            words = part.words
            words = f"1 - {words}" if words != "(1 - momentum)" else "momentum"
            words = {"1 - 0": "1"}.get(words, words).replace("- -", "+ ")
            yield Part(f"({words})" if " " in words else words, 1 / share, part.keys, part.rarity)
    for part in listed("new weight", _WEIGHTS, known):
        if np.all(part.value) and part.words != "(1 - momentum)":
            rarity = part.rarity + 1
            yield Part(part.words, 1 / np.asarray(part.value), part.keys, rarity)


def _news(case: Case, which: int, known: dict[str, Any], new: str) -> list[Part]:
    """What may stand for the batch's mean or variance."""
    taken = means(case, True)
    found = taken if which == 0 else variances(case, True, taken)
    own = ("mean: ", "variance: ")[which]
    found = [part._replace(keys=frozenset(key.replace(own, "new: ") for key in part.keys))
             for part in found if np.size(part.value) == case.mean.size]  # fmt: skip
    other = ("var", "mean")[which]
    extra = [Part(other, known[other], _key("swapped", ("moving_var", "moving_mean")[which]), 0)]
    extra += [
        Part("0", 0 * known["mean"], frozenset({key})) for key in ("new weight: 0", "momentum: 1")
    ]
    extra += [*listed("new", _NEWS, known, new=new)]
    mean, var = known["mean"], known["var"]
    for words, values in (
        ("the output", case.training()),
        ("X_hat", (case.X - mean) / np.sqrt(var + case.eps)),
        ("X - mean", case.X - mean),
    ):
        its = case.average(values)
        key = frozenset({f"new: {words}"})
        if which == 0:
            extra.append(Part(f"the mean of {words}", its, key, 1))
        else:
            extra.append(Part(f"the variance of {words}", case.average((values - its) ** 2), key))
    return _finite(found[:1] + extra + found[1:])


def _finite(found: Iterable[Part]) -> list[Part]:
    """Those that are numbers, each name with its keys once."""
    kept: dict[tuple, Part] = {}
    for each in found:
        if np.isfinite(each.value).all():
            kept.setdefault((each.words, each.keys), each)
    return list(kept.values())
