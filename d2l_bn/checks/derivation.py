"""The slots of a gradient, and the cause of a wrong one.

dX is a sum of three ways from X to the loss: the direct one, less the paths through the mean and
through the variance. dgamma and dbeta are sums over the batch, and products of those.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import product
from typing import Any

import numpy as np

from d2l_bn.checks import grammar, leftover
from d2l_bn.checks.cases import Case
from d2l_bn.checks.grammar import shown
from d2l_bn.checks.phrases import Cause, explained, said
from d2l_bn.checks.slots import Part, Pools
from d2l_bn.checks.solve import FLOAT64, Search

Instances = Sequence[tuple[Case, np.ndarray, np.ndarray]]  # an input, dY, what was received
WAYS = ("direct way", "path through the mean", "path through the variance")
_RIGHT = ("g / std", "mean(g) / std", "X_hat * mean(g * X_hat) / std")
_SUMS = {"dgamma": "sum(dY * X_hat)", "dbeta": "sum(dY)"}
_ALL = ("dX, ", "std: ", "statistics", "centre")  # slips that are in all three ways
_ONE = Part("", np.ones(1))


def _names(case: Case, dY: np.ndarray) -> dict[str, Any]:
    """The values of the names in the expressions of this module."""
    X, (mu, var), n = case.X, case.moments(), len(case.X)
    std = np.sqrt(var + case.eps)
    known = {"X": X, "dY": dY, "gamma": case.gamma, "g": case.gamma * dY, "n": n, "mu": mu}
    known.update(
        var=var, std=std, X_hat=(X - mu) / std, eps=case.eps, features=X.shape[1], zero=0 * dY
    )
    for name, axis in (("", 0), ("_1", 1), ("_all", None)):
        known[f"sum{name}"] = lambda each, axis=axis: each.sum(axis, keepdims=True)
        known[f"mean{name}"] = lambda each, axis=axis: each.mean(axis, keepdims=True)
    cumsum = lambda each: each.cumsum(1)  # noqa: E731
    return {**known, "sqrt": np.sqrt, "abs": np.abs, "cumsum": cumsum}


@cache
def _products() -> list[tuple[int, str]]:
    """Products of powers of gamma, of the standard deviation and of n, and numbers; how rare."""
    once, twice = grammar.candidates("factor of a way")
    found = [(1, f" * {each}") for each in once] + [(2, f" * {each} / gamma") for each in twice]
    counts = grammar.candidates("count of a way")[0]
    for i, j, count in product((0, 1, 2, -1, -2), range(-4, 5), ["", *counts]):
        words = f"{_power('gamma', i)}{_power('std', j)}{' ' * bool(count)}{count}"
        found.append((abs(i) + abs(j) + bool(count), words))
    return sorted(each for each in found if each[1])


def _power(name: str, exponent: int) -> str:
    sign = " *" if exponent > 0 else " /"
    return f"{sign} {name}{f' ** {abs(exponent)}' * (abs(exponent) > 1)}" * bool(exponent)


def _part(known: dict, words: str, key: str = "", rarity: int = 0) -> Part:
    value = grammar.value(words, known) + known["zero"]
    return Part(shown(words), value, frozenset({shown(key)} if key else ()), rarity)


def _times(part: Part, factors: Sequence[Part], name: str) -> Iterator[Part]:
    """Yield a part times each of the factors."""
    for by in factors:
        key = frozenset({f"{name}, times:{by.words}"})
        value = part.value * by.value
        yield Part(part.words + by.words, value, part.keys | key, part.rarity + by.rarity)


def _way(known: dict, place: int, factors: Sequence[Part]) -> Iterator[Part]:
    """Yield what may be one of the ways, the right one and 0 in front."""
    way, right = WAYS[place], _part(known, _RIGHT[place])
    yield from (right, _part(known, "0 * dY", f"{way}, 0"))
    yield from _times(right, factors, way)
    inner = grammar.candidates(way)[0]
    if place:
        inner = [m.format(each) for m, each in product(grammar.candidates("averaged")[0], inner)]
    by = grammar.candidates("times the path")[0] if place == 2 else ["1"]
    for times, each in product(by, inner):
        words = f"{times} * {each} / std".replace("1 * ", "")
        if words != _RIGHT[place]:
            yield _part(known, words, f"{way}: {words}", 1)


def _statistics(known: dict) -> Iterator[tuple[str, dict]]:
    """Yield other means and standard deviations, as the names of a scope with its key."""
    for key, *both in grammar.candidates("statistics"):
        mu, std = (grammar.value(each, known) for each in both)
        words = shown(f" with mean = {both[0]}, std = {both[1]}")
        yield key, {**known, "mu": mu, "std": std, "X_hat": (known["X"] - mu) / std, "words": words}


def _pools(case: Case, dY: np.ndarray, name: str) -> Pools:
    """The slots of a gradient: 1, what is summed or subtracted, what divides it, what is added."""
    known = _names(case, dY)
    factors = [Part(shown(by), grammar.value("1" + by, known), rarity=r) for r, by in _products()]
    slots = _of_input(known, factors) if name == "dX" else _of_sum(known, name)
    divisors = (
        each._replace(value=1 / each.value, rarity=each.rarity + (name == "dX"))
        for each in _times(_ONE, factors, name)
    )
    return [_ONE], slots[0], [_ONE, *divisors], slots[1]


def _of_input(known: dict, factors: Sequence[Part]) -> tuple[list[Part], list[Part]]:
    """The path through the variance, and what that is subtracted from."""
    direct, first, second = (list(_way(known, place, factors)) for place in range(3))
    pairs = [(direct[0], each) for each in first] + list(product(direct[1:], first[:2]))
    for key, scope in _statistics(known):
        a, b, last = (_part(scope, right, key) for right in _RIGHT)
        pairs.append((a, b))
        second.append(last._replace(words=last.words + scope["words"]))
    before = [
        Part(f"{a.words} - {b.words}", a.value - b.value, a.keys | b.keys, a.rarity + b.rarity)
        for a, b in pairs
    ]
    before += _times(before[0], factors, "dX")
    return [each._replace(value=-each.value) for each in second], before


def _of_sum(known: dict, name: str) -> tuple[list[Part], list[Part]]:
    """What dgamma or dbeta may be a sum of, and what may be added to it."""
    known = {**known, "zero": np.zeros((1, known["dY"].shape[1]))}
    right, ways = _SUMS[name], ("sum", "mean_all", "sum_all")
    sums = [f"{way}({term})" for way, term in product(ways, grammar.candidates("summand")[0])]
    summed = [_part(known, right)]
    for words in (*sums, f"cumsum({right})"):
        if words != right:
            summed.append(_part(known, words, f"{name}: {words}", "all" in words))
    for key, scope in _statistics(known) if name == "dgamma" else ():
        part = _part(scope, right, key)
        summed.append(part._replace(words=right + scope["words"]))
    added = [_part(known, words, f"{name}, and: {words}", 1) for words in _SUMS.values()]
    added = [part._replace(words=f" + {part.words}") for part in added]
    return summed, [Part("", known["zero"]), *added]


def of_gradient(instances: Instances, name: str) -> Cause:
    """The cause of a wrong dX, dgamma or dbeta."""
    received = [each for *_, each in instances]
    if name != "dX" and not any((abs(each) > FLOAT64).any() for each in received):
        return explained("gradient", [f"{name}, 0"])
    with np.errstate(all="ignore"):
        pools = [_pools(case, dY, name) for case, dY, _ in instances]
        parts = Search(pools, received, exact=10 * FLOAT64).best(3)
    if not parts:
        return said("left: gradient")
    _, second, times, before = parts
    keys = frozenset().union(*(part.keys for part in parts))
    if name != "dX":
        words = f"{second.words}{times.words}{before.words}"
        formula = f"your {name} is {words}, where it is {_SUMS[name]}."
    else:
        words = f"{before.words} - {second.words}{times.words}"
        words = words.replace("0 * dY - ", "- ").replace(" - 0 * dY", "")
        formula = said("gradient: formula", what=words)
        if times.keys - before.keys:  # of one way alone
            keys = frozenset(key.replace("dX, times", f"{WAYS[2]}, times") for key in keys)
        elif any(key.startswith(_ALL) for key in before.keys ^ (second.keys | times.keys)):
            return Cause(formula, "dX: some ways")
    return explained("gradient", sorted(keys), formula)


def of_autograd(case: Case, name: str, dY, received, expected, training: bool) -> Cause:
    """The cause of a wrong gradient by autograd, though the output is right."""
    if name == "X" and case.mask is not None:
        padding = received[np.broadcast_to(case.mask, received.shape) == 0]
        if np.abs(padding).max(initial=0) > 1e-3:
            return explained("gradient", ["graph: padding"])
    if not np.any(received):
        return said("graph: none", what=name)
    return _cut(case, dY, received) if name == "X" and training else Cause()


def _cut(case: Case, dY: np.ndarray, dX: np.ndarray) -> Cause:
    """Which of the three ways is cut from the graph, or has another factor."""
    mean, var = case.moments()
    std = np.sqrt(var + case.eps)
    X_hat, dY = (case.X - mean) / std, case.shown(dY)
    ways = [dY, case.average(dY) + 0 * dY, X_hat * case.average(dY * X_hat)]
    basis = [(case.gamma / std * way)[case.counted] for way in ways]
    solved = leftover.fitted(dX[case.counted], basis, 1e-3)
    if solved is None:
        return said("left: gradient")
    factors = np.round(solved * [1, -1, -1], 3) + 0.0
    cut = [way for way, factor in zip(("direct", "mean", "variance"), factors) if factor == 0]
    if cut and all(factor in (0, 1) for factor in factors):
        return explained("gradient", [f"graph: {' and '.join(cut)}"])
    wrong = [f"the {way} counts {by:.4g} times" for way, by in zip(WAYS, factors) if by != 1]
    return Cause(f"{', '.join(wrong)}. Each counts once.", "graph: times")
