"""What a student may have taken for the mean, the variance and the divisor: quantities with names.

Each stands by itself, so that a wrong mean from one place can meet a wrong variance from another,
whoever combines them, `composition.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache, partial
from itertools import chain
from typing import Callable, NamedTuple

import numpy as np

from d2l_bn.checks import formulas
from d2l_bn.checks.cases import Case


class Quantity(NamedTuple):
    """A value that spreads over X, its name, and how far it is from the right one."""

    words: str
    value: np.ndarray
    cost: int = 1


Average = Callable[[np.ndarray], np.ndarray]
# What may be done to each value by itself: X, X_hat or the output.
FUNCTIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "abs": np.abs,
    "relu": lambda x: np.maximum(x, 0),
    "round": np.round,
    "trunc": np.trunc,
    "floor": np.floor,
    "sign": np.sign,
    "square": np.square,
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "exp": np.exp,
}
# Expressions, by their cost. {m} and {v} are the names of the right mean and variance.
_MEANS = {
    0: "{m}",
    1: "moving_mean; mean; 0; new_moving_mean; -{m}",
    2: "var; moving_var; (mean + moving_mean) / 2; (mean + new_moving_mean) / 2; low; high; "
    "(low + high) / 2; median",
    3: "new_moving_var; abs(mean); 2 * mean; sqrt(mean); mean ** 2; {m} / sqrt({v} + eps); "
    "{m} * sqrt({v} + eps); {m} / ({v} + eps); {m} * ({v} + eps); beta; gamma; gamma * mean; "
    "mean / gamma; least; largest; 0.9 * moving_mean + 0.1 * mean; "
    "(1 - momentum) * moving_mean + momentum * mean; average(X ** 2)",
}
_VARIANCES = {
    0: "{v}",
    1: "moving_var; var; new_moving_var",
    2: "0; mean; moving_mean; (var + moving_var) / 2; (var + new_moving_var) / 2; high - low; "
    "average(abs(X - mean)); average(abs(X - mean) ** 3); average((X - mean) ** 4); "
    "average((X - var) ** 2); average((X - mean ** 2) ** 2)",
    3: "abs(mean); mean ** 2; var - mean ** 2; average(X ** 2) - mean; "
    "average(X ** 2) + mean ** 2; average((X - mean) ** 3); average(abs(X - mean)) ** 2; gamma; "
    "beta; gamma ** 2 * var; (high - low) ** 2; high ** 2",
}
_FACTORS = {
    0: "gamma",
    1: "1; beta",
    2: "0; -gamma; gamma ** 2; 1 / gamma; abs(gamma); 1 + gamma; exp(gamma); gamma + beta; "
    "everything(gamma)",
    3: "sqrt(gamma); gamma * beta; 2 * gamma",
}
_OFFSETS = {
    0: "beta",
    1: "0; gamma; gamma * beta; -beta",
    2: "1; eps; {m}; beta / sqrt({v} + eps); gamma * beta / sqrt({v} + eps); everything(beta); "
    "beta + eps; beta + gamma * eps",
    3: "2 * beta; beta ** 2; beta * sqrt({v} + eps); beta - {m}; beta + {m}; gamma * {m}",
}
# How a standard deviation is made of a variance v.
_SPREADS = {
    0: "sqrt(v + eps)",
    1: "sqrt(v); sqrt(v) + eps; v + eps",
    2: "1; v; sqrt(abs(v) + eps); sqrt(v + eps ** 2); sqrt(v + sqrt(eps)); sqrt(v ** 2 + eps); "
    "sqrt(sqrt(v) + eps); sqrt(sqrt(v + eps)); sqrt(v - eps); sqrt(v * eps); sqrt(v + 2 * eps); "
    "sqrt(v) + sqrt(eps); sqrt(v + eps) + eps; 1 / sqrt(v + eps); sqrt(maximum(v, eps)); "
    "maximum(sqrt(v), eps); maximum(v, eps); sqrt(v + momentum); sqrt(v + 1); sqrt(v + 0.1); "
    "sqrt(v + 0.01); sqrt(v + 1e-3); sqrt(v + 1e-5)",
    3: "1 + eps; sqrt((v + eps) ** 2 + eps); (v + eps) ** 2; sqrt(v * (1 + eps)); sqrt(v) + v; "
    "sqrt(v + eps) + v + eps; sqrt(v) + v + eps; sqrt(v) + 1; (v + eps) ** (1 / 3); "
    "(v + eps) ** 1.5; 1 / (v + eps); exp(v / 2); log(1 + v); sqrt(maximum(v, 1)); "
    "sqrt(maximum(v, 1) + eps); sqrt(maximum(v, 0.1)); sqrt(maximum(v, 0.1) + eps); "
    "sqrt(minimum(v, 1) + eps); sqrt(minimum(v, 10) + eps); sqrt(minimum(v, 100) + eps); "
    "maximum(sqrt(v), 1); maximum(sqrt(v), 0.1)",
}


def evaluated(table: dict[int, str], case: Case, training: bool = True) -> Iterator[Quantity]:
    """Yield the expressions of a table with their values, where their names are known."""
    known = _known(case)
    m, v = ("mean", "var") if training else ("moving_mean", "moving_var")
    for cost, expressions in table.items():
        for words in expressions.format(m=m, v=v).split("; "):
            if set(_code(words).co_names) <= set(known):
                value = eval(_code(words), {"__builtins__": {}}, known)
                yield Quantity(shown(words), value + 0 * case.mean, cost)


def _known(case: Case) -> dict:
    """The values of the names in the expressions."""
    mean, var = case.moments()
    known = formulas.names(
        case,
        mean=mean,
        var=var,
        n=case.size,
        new_moving_mean=case.moving(case.mean, mean),
        new_moving_var=case.moving(case.var, var),
        minimum=np.minimum,
        log=np.log,
    )
    if case.mask is None:
        known["median"] = np.median(case.X, case.axes, keepdims=True)
        known.update(least=case.X.min(), largest=case.X.max())
    else:
        del known["low"], known["high"]
    return known


@cache
def _code(words: str):
    return compile(words, "quantity", "eval")


def shown(words: str) -> str:
    """An expression as a student would write it."""
    for ours, theirs in (
        ("everything", "mean_of_all"),
        ("low", "X.min(...)"),
        ("high", "X.max(...)"),
    ):
        words = re.sub(rf"\b{ours}\b", theirs, words)
    return words


def grouped(words: str, operators: str = "-+*/") -> str:
    """An expression with parentheses, where one of these operators stands outside of any."""
    bare, before = words, ""
    while bare != before:
        bare, before = re.sub(r"\([^()]*\)", "", bare), bare
    return f"({words})" if re.search(rf" [{operators}] ", bare) else words


def samples(case: Case) -> Iterator[tuple[str, Average, int]]:
    """Yield ways to average, by the student's axes: words, the function, and the cost."""
    order = case.order
    counts = np.broadcast_to(1.0 if case.mask is None else case.mask, case.X.shape)
    yield "", case.average, 0
    for chosen in range(1, 2**case.X.ndim):
        theirs = tuple(place for place in range(case.X.ndim) if chosen >> place & 1)
        axes = tuple(order[place] for place in theirs)
        if set(axes) != set(case.axes):
            words = "all values" if len(axes) == case.X.ndim else f"over {_axes(theirs)}"
            yield words, _weighted(axes, counts), 1
    for place, axis in enumerate(order):
        if axis != 1:
            for words, part in _parts(case.X.shape[axis], ":, " * place):
                weights = np.zeros(case.X.shape[axis])
                weights[part] = 1
                shape = [-1 if here == axis else 1 for here in range(case.X.ndim)]
                yield f"of {words}", _weighted(case.axes, counts * weights.reshape(shape)), 2
    yield from _mixed(case, counts)
    if case.mask is not None:
        indices = np.zeros((len(case.X), 1, 1))
        indices[:2, 0, 0] = (case.mask == 0).sum(), (case.mask == 1).sum()
        spread = np.broadcast_to(indices, case.X.shape)
        words = "of X[mask], which takes ones and zeros for indices"
        yield words, _weighted(case.axes, spread), 2
        everywhere = np.ones_like(counts)
        yield "of the padded places too", _weighted(case.axes, everywhere), 1
        yield "of the padding", _weighted(case.axes, 1 - counts), 2
        yield "of the sentences' means", _twice(counts, (2,), (0,)), 2
        yield "of the places' means", _twice(counts, (0,), (2,)), 2
        for axes, words in (
            ((0,), "over axis 0"),
            ((2,), "over axis 1"),
            ((1, 2), "over each row"),
        ):
            yield f"{words}, padding included", _weighted(axes, everywhere), 2


def _mixed(case: Case, counts: np.ndarray) -> Iterator[tuple[str, Average, int]]:
    """Yield averages of what a reshape takes for a channel, where that mixes the channels."""
    for words, labels in _rows(case):
        yield f"of {words}, which mixes the channels", partial(_grouped, labels, counts, True), 2
        yield f"of each row of {words}", partial(_grouped, labels, counts, False), 2


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


def _grouped(labels, counts, by_channel: bool, values: np.ndarray) -> np.ndarray:
    weights = np.bincount(labels.reshape(-1), counts.reshape(-1))
    values = np.broadcast_to(values, labels.shape)
    sums = np.bincount(labels.reshape(-1), (values * counts).reshape(-1))
    found = sums / weights
    if by_channel:
        return found.reshape((1, -1) + (1,) * (values.ndim - 2))
    return found[labels]


def _parts(length: int, before: str) -> Iterator[tuple[str, slice]]:
    half = length // 2
    yield f"X[{before}0]", slice(1)
    yield f"X[{before}-1]", slice(-1, None)
    if length > 2:
        yield f"X[{before}1:]", slice(1, None)
        yield f"X[{before}:-1]", slice(-1)
        yield f"X[{before}:half], the first half", slice(half)
        yield f"X[{before}half:], the second half", slice(half, None)
        yield f"X[{before}::2]", slice(None, None, 2)


def _weighted(axes: tuple[int, ...], weights: np.ndarray) -> Average:
    total = weights.sum(axes, keepdims=True)
    return lambda values: (values * weights).sum(axes, keepdims=True) / total


def _twice(counts, first: tuple[int, ...], then: tuple[int, ...]) -> Average:
    inner = _weighted(first, counts)
    return lambda values: inner(values).mean(then, keepdims=True)


def _axes(places: tuple[int, ...]) -> str:
    return f"axis {places[0]}" if len(places) == 1 else f"axes {places}"


def shares(case: Case) -> Iterator[tuple[str, float]]:
    """Yield what a sum may be divided by in place of n, and n divided by it."""
    lengths = np.moveaxis(case.X, 1, case.axis).shape
    n = case.size
    found = {"1": 1, "(n - 1)": n - 1, "(n + 1)": n + 1, "n ** 2": n**2, "sqrt(n)": n**0.5}
    found.update({f"X.shape[{place}]": length for place, length in enumerate(lengths)})
    found.update({"X.size": case.X.size, "(n * channels)": n * lengths[case.axis]})
    found.update({"(n - channels)": n - lengths[case.axis], "(n - 2)": n - 2})
    found.update({"(X.shape[0] - 1)": lengths[0] - 1, "(n + eps)": n + case.eps})
    found.update({"2 * n": 2 * n, "n / 2": n / 2})
    for place, length in enumerate(lengths):
        found.update({f"(n * X.shape[{place}])": n * length, f"(n / X.shape[{place}])": n / length})
    if case.mask is not None:
        found.update({"mask.size": case.mask.size, "(mask.size - n)": case.mask.size - n})
    for words, divisor in found.items():
        if divisor > 0:
            yield words, n / divisor


def _by(divisor: str) -> str:
    return f" divided by {divisor}" * (divisor != "1")


def _inputs(case: Case) -> Iterator[tuple[str, np.ndarray]]:
    """Yield what may stand in X's place when a statistic is taken."""
    if case.mask is not None:
        yield "mask * X", case.mask * case.X
    for name in ("abs", "relu", "round", "trunc", "floor", "tanh", "sigmoid", "sign"):
        yield f"{name}(X)", FUNCTIONS[name](case.X)
    for low, high in ((0, 1), (-1, 1), (0, 255), (-2, 2), (-3, 3), (-5, 5)):
        yield f"clip(X, {low}, {high})", np.clip(case.X, low, high)
    yield "(X + eps)", case.X + case.eps
    yield "(X - moving_mean)", case.X - case.mean
    yield "gamma * X", case.gamma * case.X
    yield "(gamma * X + beta)", case.gamma * case.X + case.beta


def means(case: Case, training: bool = True) -> list[Quantity]:
    """What may be subtracted, the right one first."""
    return unlike(_means(case, training))


def _means(case: Case, training: bool) -> Iterator[Quantity]:
    yield from evaluated(_MEANS, case, training)
    mean = case.average(case.X)
    for words, average, cost in samples(case):
        if words:
            yield Quantity(f"the mean {words}", average(case.X), cost)
    for words, share in shares(case):
        yield Quantity(f"the sum{_by(words)}", share * mean, 2)
    for words, X in _inputs(case):
        yield Quantity(f"the mean of {words}", case.average(X), 3)


def variances(case: Case, training: bool = True) -> list[Quantity]:
    """What may be taken for the variance, the right one first."""
    return unlike(_variances(case, training))


def _variances(case: Case, training: bool) -> Iterator[Quantity]:
    X, (mean, var) = case.X, case.moments()
    yield from evaluated(_VARIANCES, case, training)
    for words, average, cost in samples(case):
        own = average(X)
        own_var = average(X**2) - own**2
        if words and np.max(own_var) > 1e-9:  # not of one value alone
            yield Quantity(f"the variance {words}", own_var, cost)
            over = words.replace("of ", "over ", 1)
            yield Quantity(
                f"the mean of (X - mean) ** 2 {over}", average((X - mean) ** 2), cost + 1
            )
        yield Quantity(f"the mean of X ** 2 {words}".strip(), average(X**2), cost + 1)
    for words, share in shares(case):
        around = share * case.average((X - share * mean) ** 2)
        yield Quantity(f"the sum of (X - mean) ** 2{_by(words)}", share * var, 2)
        yield Quantity(f"the sum of squares around such a mean{_by(words)}", around, 2)
        yield Quantity(f"the sum of X ** 2{_by(words)}", share * case.average(X**2), 3)
        if not training:
            yield Quantity(f"moving_var * n / {words}", share * case.var, 3)
    for words, Z in _inputs(case):
        its_var = case.average(Z**2) - case.average(Z) ** 2
        yield Quantity(f"the variance of {words}", its_var, 3)
        yield Quantity(f"the mean of ({words} - mean) ** 2", case.average((Z - mean) ** 2), 3)
    for each in means(case, training):
        if each.words not in ("mean", "0"):
            around = case.average((X - each.value) ** 2)
            yield Quantity(f"the mean square around {each.words}", around, each.cost + 1)
    if case.mask is not None:
        for words, Z in (("mask * X", case.mask * X), ("X", X)):
            for divisor, n in (("n", case.size), ("mask.size", case.mask.size)):
                total = ((Z - mean) ** 2).sum(case.axes, keepdims=True)
                yield Quantity(f"the sum of all ({words} - mean) ** 2{_by(divisor)}", total / n, 2)


def spreads(case: Case, training: bool = True) -> list[Quantity]:
    """What may divide, the right one first: each variance, in each way of SPREADS."""
    return unlike(_spreads(case, training))


def _spreads(case: Case, training: bool) -> Iterator[Quantity]:
    known = _known(case)
    for variance in variances(case, training):
        known["v"] = variance.value
        for cost, ways in _SPREADS.items():
            if cost + variance.cost > 5:
                continue
            for way in ways.split("; "):
                value = np.asarray(eval(_code(way), {"__builtins__": {}}, known), float)
                yield Quantity(_put(way, variance.words), value, cost + variance.cost)


def _put(way: str, words: str) -> str:
    """A way with the variance in its place; a long name stands behind, after a semicolon."""
    if words.startswith("the ") or "average" in words:
        return f"{grouped(way)}; v = {words}"
    words = grouped(words) if way not in ("v", "sqrt(v)") else words
    return grouped(re.sub(r"\bv\b", lambda _: words, way))


def factors(case: Case) -> list[Quantity]:
    """What may multiply, the right one first."""
    gamma = case.gamma.reshape(-1)
    rows = (
        Quantity(f"gamma row by row of {words}", gamma[labels]) for words, labels in _rows(case)
    )
    return unlike(chain(evaluated(_FACTORS, case), rows))


def offsets(case: Case, training: bool = True) -> list[Quantity]:
    """What may be added, the right one first."""
    beta = case.beta.reshape(-1)
    rows = (Quantity(f"beta row by row of {words}", beta[labels]) for words, labels in _rows(case))
    return unlike(chain(evaluated(_OFFSETS, case, training), rows))


def unlike(found: Iterable[Quantity]) -> list[Quantity]:
    """Those that are numbers, the cheapest first, each name once."""
    kept: dict[str, Quantity] = {}
    for each in found:
        if np.isfinite(each.value).all():
            kept.setdefault(each.words, each)
    return sorted(kept.values(), key=lambda each: each.cost)
