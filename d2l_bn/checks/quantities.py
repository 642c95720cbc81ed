"""What a student may have taken for the mean, the variance and the divisor: quantities with names.

Each stands by itself, so that a wrong mean from one place can meet a wrong variance from another,
whoever combines them, `composition.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Callable, NamedTuple

import numpy as np

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
# How a standard deviation is made of a variance, with the cost of each way. {v} stands for it.
SPREADS = {
    "sqrt({v} + eps)": 0,
    "sqrt({v})": 1,
    "(sqrt({v}) + eps)": 1,
    "({v} + eps)": 1,
    "{v}": 2,
    "1": 2,
    "(1 + eps)": 3,
    "sqrt(abs({v}) + eps)": 2,
    "sqrt({v} + eps ** 2)": 2,
    "sqrt({v} + sqrt(eps))": 2,
    "sqrt({v} ** 2 + eps)": 2,
    "sqrt(({v} + eps) ** 2 + eps)": 3,
    "({v} + eps) ** 2": 3,
    "sqrt(sqrt({v}) + eps)": 2,
    "sqrt(sqrt({v} + eps))": 2,
    "sqrt({v} - eps)": 2,
    "sqrt({v} * eps)": 2,
    "sqrt({v} * (1 + eps))": 3,
    "(sqrt({v}) + sqrt(eps))": 2,
    "sqrt({v} + 2 * eps)": 2,
    "(sqrt({v} + eps) + eps)": 2,
    "(sqrt({v}) + {v})": 3,
    "(sqrt({v} + eps) + {v} + eps)": 3,
    "(sqrt({v}) + {v} + eps)": 3,
    "(sqrt({v}) + 1)": 3,
    "({v} + eps) ** (1 / 3)": 3,
    "({v} + eps) ** 1.5": 3,
    "1 / sqrt({v} + eps)": 2,
    "1 / ({v} + eps)": 3,
    "sqrt(maximum({v}, eps))": 2,
    "maximum(sqrt({v}), eps)": 2,
    "maximum({v}, eps)": 2,
    "sqrt({v} + momentum)": 2,
    "exp({v} / 2)": 3,
    "log(1 + {v})": 3,
    **{f"sqrt({{v}} + {eps:g})": 2 for eps in (1, 0.1, 0.01, 1e-3, 1e-5)},
    **{f"sqrt(maximum({{v}}, {low:g}))": 3 for low in (1, 0.5, 0.1)},
    **{f"sqrt(maximum({{v}}, {low:g}) + eps)": 3 for low in (1, 0.5, 0.1)},
    **{f"sqrt(minimum({{v}}, {high:g}) + eps)": 3 for high in (1, 10, 100)},
    **{f"maximum(sqrt({{v}}), {low:g})": 3 for low in (1, 0.5, 0.1)},
}


def samples(case: Case) -> Iterator[tuple[str, Average, int]]:
    """Yield ways to average, by the student's axes: words, the function, and the cost."""
    order = _order(case)
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
        yield f"X[{before}:{half}], the first half", slice(half)
        yield f"X[{before}{half}:], the second half", slice(half, None)
        yield f"X[{before}::2]", slice(None, None, 2)


def _weighted(axes: tuple[int, ...], weights: np.ndarray) -> Average:
    total = weights.sum(axes, keepdims=True)
    return lambda values: (values * weights).sum(axes, keepdims=True) / total


def _twice(counts, first: tuple[int, ...], then: tuple[int, ...]) -> Average:
    inner = _weighted(first, counts)
    return lambda values: inner(values).mean(then, keepdims=True)


def _order(case: Case) -> list[int]:
    """Which of our axes each of the student's is."""
    order = list(range(case.X.ndim))
    order.insert(case.axis % case.X.ndim, order.pop(1))
    return order


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
    for name in ("abs", "relu", "round", "trunc", "floor", "tanh"):
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
    mean, var = case.moments()
    new_mean, new_var = case.moving(case.mean, mean), case.moving(case.var, var)
    yield Quantity("mean" if training else "moving_mean", mean if training else case.mean, 0)
    yield Quantity("moving_mean" if training else "mean", case.mean if training else mean)
    yield Quantity("0", 0 * mean)
    yield Quantity("var", var, 2)
    yield Quantity("moving_var", case.var, 2)
    yield Quantity("new_moving_mean", new_mean)
    yield Quantity("new_moving_var", new_var, 3)
    for words, average, cost in samples(case):
        if words:
            yield Quantity(f"the mean {words}", average(case.X), cost)
    for words, share in shares(case):
        yield Quantity(f"the sum{_by(words)}", share * mean, 2)
    for words, X in _inputs(case):
        yield Quantity(f"the mean of {words}", case.average(X), 3)
    yield Quantity("the mean of X ** 2", case.average(case.X**2), 3)
    yield Quantity("(mean + moving_mean) / 2", (mean + case.mean) / 2, 2)
    yield Quantity("(mean + new_moving_mean) / 2", (mean + new_mean) / 2, 2)
    yield Quantity("abs(mean)", abs(mean), 3)
    yield Quantity("-mean" if training else "-moving_mean", -(mean if training else case.mean), 1)
    yield Quantity("2 * mean", 2 * mean, 3)
    yield Quantity("sqrt(mean)", _root(mean), 3)
    yield Quantity("mean ** 2", mean**2, 3)
    for name, power in (("sqrt", 0.5), ("sqrt", 1)):
        kept, spread = (mean, var) if training else (case.mean, case.var)
        right = "mean" if training else "moving_mean"
        v = "var" if training else "moving_var"
        divisor = f"{name}({v} + eps)" if power == 0.5 else f"({v} + eps)"
        yield Quantity(f"{right} / {divisor}", kept / (spread + case.eps) ** power, 3)
        yield Quantity(f"{right} * {divisor}", kept * (spread + case.eps) ** power, 3)
    yield Quantity("beta", case.beta, 3)
    yield Quantity("gamma", case.gamma, 3)
    yield Quantity("gamma * mean", case.gamma * mean, 3)
    yield Quantity("mean / gamma", mean / case.gamma, 3)
    if case.mask is None:
        yield Quantity("the median", np.median(case.X, case.axes, keepdims=True), 2)
        yield from _extremes(case)
        ordered = np.sort(np.moveaxis(case.X, 1, 0).reshape(case.X.shape[1], -1), axis=1)
        lower = ordered[:, (case.size - 1) // 2]
        yield Quantity("the lower median", lower.reshape(mean.shape), 3)
    if training:
        for words, momentum in (
            ("0.9", 0.9),
            ("0.99", 0.99),
            ("(1 - momentum)", 1 - case.momentum),
        ):
            yield Quantity(
                f"the new moving mean with momentum {words}",
                momentum * case.mean + (1 - momentum) * mean,
                3,
            )


def _extremes(case: Case) -> Iterator[Quantity]:
    low, high = (get(case.X, case.axes, keepdims=True) for get in (np.min, np.max))
    yield Quantity("X.min(...)", low, 2)
    yield Quantity("X.max(...)", high, 2)
    yield Quantity("(low + high) / 2", (low + high) / 2, 2)
    for get, words in ((np.min, "the smallest of all values"), (np.max, "the largest of all")):
        yield Quantity(words, np.full_like(low, get(case.X)), 3)


def variances(case: Case, training: bool = True) -> list[Quantity]:
    """What may be taken for the variance, the right one first."""
    return unlike(_variances(case, training))


def _variances(case: Case, training: bool) -> Iterator[Quantity]:
    X, (mean, var) = case.X, case.moments()
    new_mean, new_var = case.moving(case.mean, mean), case.moving(case.var, var)
    yield Quantity("var" if training else "moving_var", var if training else case.var, 0)
    yield Quantity("moving_var" if training else "var", case.var if training else var)
    yield Quantity("new_moving_var", new_var)
    yield Quantity("0", 0 * var, 2)
    yield Quantity("mean", mean, 2)
    yield Quantity("moving_mean", case.mean, 2)
    yield Quantity("abs(mean)", abs(mean), 3)
    for words, average, cost in samples(case):
        own = average(X)
        own_var = average(X**2) - own**2
        if words and np.max(own_var) > 1e-9:  # not of one value alone
            yield Quantity(f"the variance {words}", own_var, cost)
            yield Quantity(
                f"the mean of (X - mean) ** 2 {words}".replace(" of X", " over X"),
                average((X - mean) ** 2),
                cost + 1,
            )
            yield Quantity(f"the variance around the mean {words}", case.average((X - own) ** 2), 3)
        yield Quantity(f"the mean of X ** 2 {words}".strip(), average(X**2), cost + 1)
    for words, around in (
        ("moving_mean", case.mean),
        ("new_moving_mean", new_mean),
        ("var", var),
        ("mean ** 2", mean**2),
    ):
        yield Quantity(f"the mean of (X - {words}) ** 2", case.average((X - around) ** 2), 2)
    for words, share in shares(case):
        yield Quantity(f"the sum of (X - mean) ** 2{_by(words)}", share * var, 2)
        around = case.average((X - share * mean) ** 2)
        yield Quantity(f"the sum of squares around such a mean{_by(words)}", share * around, 2)
        if not training:
            yield Quantity(f"moving_var * n / {words}", share * case.var, 3)
        yield Quantity(f"the sum of X ** 2{_by(words)}", share * case.average(X**2), 3)
    for words, power in (("abs(X - mean)", 1), ("abs(X - mean) ** 3", 3), ("(X - mean) ** 4", 4)):
        yield Quantity(f"the mean of {words}", case.average(abs(X - mean) ** power), 2)
    yield Quantity("the mean of (X - mean) ** 3", case.average((X - mean) ** 3), 3)
    yield Quantity("the square of the mean of abs(X - mean)", case.average(abs(X - mean)) ** 2, 3)
    for words, Z in _inputs(case):
        own = case.average(Z)
        yield Quantity(f"the variance of {words}", case.average((Z - own) ** 2), 3)
        yield Quantity(f"the mean of ({words} - mean) ** 2", case.average((Z - mean) ** 2), 3)
    yield Quantity("mean ** 2", mean**2, 3)
    yield Quantity("the variance minus mean ** 2", var - mean**2, 3)
    yield Quantity("the mean of X ** 2 minus the mean", case.average(X**2) - mean, 3)
    yield Quantity("the mean of X ** 2 plus mean ** 2", case.average(X**2) + mean**2, 3)
    yield Quantity("(var + moving_var) / 2", (var + case.var) / 2, 2)
    yield Quantity("(var + new_moving_var) / 2", (var + new_var) / 2, 2)
    yield Quantity("gamma", case.gamma, 3)
    yield Quantity("gamma ** 2 * var", case.gamma**2 * var, 3)
    yield Quantity("beta", case.beta, 3)
    for each in means(case, training):
        if each.words not in ("mean", "0"):
            around = case.average((X - each.value) ** 2)
            yield Quantity(f"the mean square around {each.words}", around, each.cost + 1)
    if case.mask is None:
        yield from _ranges(case)
    else:
        for words, Z in (("mask * X", case.mask * X), ("X", X)):
            for divisor, n in (("n", case.size), ("mask.size", case.mask.size)):
                total = ((Z - mean) ** 2).sum(case.axes, keepdims=True)
                yield Quantity(f"the sum of all ({words} - mean) ** 2{_by(divisor)}", total / n, 2)


def _ranges(case: Case) -> Iterator[Quantity]:
    low, high = (get(case.X, case.axes, keepdims=True) for get in (np.min, np.max))
    yield Quantity("(high - low)", high - low, 2)
    yield Quantity("(high - low) ** 2", (high - low) ** 2, 3)
    yield Quantity("high ** 2", high**2, 3)
    yield Quantity("the largest abs(X), squared", abs(case.X).max(case.axes, keepdims=True) ** 2, 3)


def spreads(case: Case, training: bool = True) -> list[Quantity]:
    """What may divide, the right one first: each variance, in each way of SPREADS."""
    return unlike(_spreads(case, training))


def _spreads(case: Case, training: bool) -> Iterator[Quantity]:
    tools = {
        "sqrt": np.sqrt, "exp": np.exp, "log": np.log, "maximum": np.maximum, "minimum": np.minimum,
        "abs": np.abs, "eps": case.eps, "momentum": case.momentum,
    }  # fmt: skip
    programs = {way: compile(way.format(v="v"), "way", "eval") for way in SPREADS}
    with np.errstate(all="ignore"):
        for variance in variances(case, training):
            for way, cost in SPREADS.items():
                if cost + variance.cost > 5:
                    continue
                value = np.asarray(eval(programs[way], tools, {"v": variance.value}), float)
                yield Quantity(_put(way, variance.words), value, cost + variance.cost)


def _put(way: str, words: str) -> str:
    """A way with the variance in its place; a long name stands behind, after a semicolon."""
    if words.startswith("the "):
        return f"{way.format(v='v')}; v = {words}"
    return way.format(v=words)


def _root(values):
    with np.errstate(all="ignore"):
        return np.sqrt(values)


def factors(case: Case) -> list[Quantity]:
    """What may multiply, the right one first."""
    gamma, beta = case.gamma, case.beta
    found = [Quantity("gamma", gamma, 0), Quantity("1", 0 * gamma + 1), Quantity("beta", beta)]
    found += [Quantity("gamma ** 2", gamma**2, 2), Quantity("1 / gamma", 1 / gamma, 2)]
    found += [Quantity("abs(gamma)", abs(gamma), 2), Quantity("(1 + gamma)", 1 + gamma, 2)]
    found += [Quantity("mean(gamma)", 0 * gamma + gamma.mean(), 2), Quantity("-gamma", -gamma, 2)]
    found += [Quantity("exp(gamma)", np.exp(gamma), 2), Quantity("(gamma + beta)", gamma + beta, 2)]
    found += [Quantity("gamma[0]", 0 * gamma + gamma.reshape(-1)[0], 2)]
    found += [Quantity("0", 0 * gamma, 2), Quantity("sqrt(gamma)", _root(gamma), 3)]
    found += [Quantity("gamma * beta", gamma * beta, 3), Quantity("2 * gamma", 2 * gamma, 3)]
    for words, labels in _rows(case):
        found.append(Quantity(f"gamma row by row of {words}", gamma.reshape(-1)[labels], 1))
    return unlike(found)


def offsets(case: Case, training: bool = True) -> list[Quantity]:
    """What may be added, the right one first."""
    gamma, beta = case.gamma, case.beta
    mean, var = case.moments() if training else (case.mean, case.var)
    m, v = ("mean", "var") if training else ("moving_mean", "moving_var")
    std = np.sqrt(var + case.eps)
    found = [Quantity("beta", beta, 0), Quantity("0", 0 * beta), Quantity("gamma", gamma)]
    found += [Quantity("gamma * beta", gamma * beta), Quantity("-beta", -beta)]
    found += [Quantity("1", 0 * beta + 1, 2), Quantity(m, 0 * beta + mean, 2)]
    found += [Quantity(f"beta / sqrt({v} + eps)", beta / std, 2)]
    found += [Quantity(f"gamma * beta / sqrt({v} + eps)", gamma * beta / std, 2)]
    found += [Quantity("mean(beta)", 0 * beta + beta.mean(), 2), Quantity("2 * beta", 2 * beta, 3)]
    found += [Quantity("(beta + eps)", beta + case.eps, 2), Quantity("beta ** 2", beta**2, 3)]
    found += [
        Quantity("beta[0]", 0 * beta + beta.reshape(-1)[0], 2),
        Quantity("eps", beta * 0 + case.eps, 2),
    ]
    found += [Quantity("(beta + gamma * eps)", beta + gamma * case.eps, 2)]
    found += [Quantity("beta * sqrt(var + eps)", beta * std, 3)]
    found += [Quantity(f"(beta - {m})", beta - mean, 3), Quantity(f"(beta + {m})", beta + mean, 3)]
    found += [Quantity(f"gamma * {m}", gamma * mean, 3)]
    for words, labels in _rows(case):
        found.append(Quantity(f"beta row by row of {words}", beta.reshape(-1)[labels], 1))
    return unlike(found)


def unlike(found: Iterable[Quantity]) -> list[Quantity]:
    """Those that are numbers, the cheapest of each value."""
    kept: dict[tuple, Quantity] = {}
    for each in found:
        value = np.asarray(each.value, float)
        if np.isfinite(value).all():
            key = (value.shape, *np.round(value.reshape(-1)[:8], 9).tolist())
            if key not in kept or each.cost < kept[key].cost:
                kept[key] = each._replace(value=value)
    return sorted(kept.values(), key=lambda each: each.cost)
