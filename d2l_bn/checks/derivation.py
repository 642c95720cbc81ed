"""The slots of a gradient, and the cause of a wrong one.

dX is a sum of three ways from X to the loss: the direct one, less the paths through the mean and
through the variance. dgamma and dbeta are sums over the batch, and products of those.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import product
from typing import Any

import numpy as np

from d2l_bn.checks import grammar
from d2l_bn.checks.cases import Case, close
from d2l_bn.checks.phrases import Cause, explained, said
from d2l_bn.checks.slots import Part, Pools
from d2l_bn.checks.solve import FLOAT64, Search

Instances = Sequence[tuple[Case, np.ndarray, np.ndarray]]  # an input, dY, what was received
WAYS = ("direct way", "path through the mean", "path through the variance")
_RIGHT = ("g / std", "mean(g) / std", "X_hat * mean(g * X_hat) / std")
_SUMS = {"dgamma": "sum(dY * X_hat)", "dbeta": "sum(dY)"}
_OFTEN = (" * gamma", " / gamma", " * std", " / std")
_BOTH = {"over axis 1": "mean_1({})", "of all values": "mean_all({})"}


def _names(case: Case, dY: np.ndarray) -> dict[str, Any]:
    """The values of the names in the expressions of this module."""
    X, (mu, var), n = case.X, case.moments(), len(case.X)
    std = np.sqrt(var + case.eps)
    known = {"X": X, "dY": dY, "gamma": case.gamma, "g": case.gamma * dY, "n": n, "mu": mu}
    known.update(var=var, std=std, X_hat=(X - mu) / std, eps=case.eps, features=X.shape[1])
    for name, axis in (("", 0), ("_1", 1), ("_all", None)):
        known[f"sum{name}"] = lambda each, axis=axis: each.sum(axis, keepdims=True)
        known[f"mean{name}"] = lambda each, axis=axis: each.mean(axis, keepdims=True)
    cumsum = lambda each: each.cumsum(1)  # noqa: E731
    return {**known, "sqrt": np.sqrt, "abs": np.abs, "cumsum": cumsum}


@cache
def _shown(words: str) -> str:
    names = {"mu": "mean", "mean_1": "mean_over_axis_1", "mean_all": "mean_of_all"}
    for ours, theirs in {**names, "sum_all": "sum_of_all"}.items():
        words = re.sub(rf"\b{ours}\b", theirs, words)
    return words


@cache
def _products() -> list[tuple[int, str]]:
    """Products of powers of gamma, of the standard deviation and of n, and numbers; how rare."""
    once, twice = grammar.candidates("factor of a way")
    found = [(1, f" * {each}") for each in once] + [(2, f" * {each} / gamma") for each in twice]
    for i, j, count in product((0, 1, 2, -1, -2), range(-4, 5), ["", *_each("count of a way")]):
        words = f"{_power('gamma', i)}{_power('std', j)}{' ' * bool(count)}{count}"
        found.append((abs(i) + abs(j) + bool(count), words))
    return sorted(each for each in found if each[1])


def _factors(known: dict) -> list[Part]:
    """What a way or a sum may be multiplied by."""
    return [
        Part(words, grammar.value("1" + words, known), frozenset({words}), rarity)
        for rarity, words in _products()
    ]


def _power(name: str, exponent: int) -> str:
    sign = " *" if exponent > 0 else " /"
    return f"{sign} {name}{f' ** {abs(exponent)}' * (abs(exponent) > 1)}" * bool(exponent)


def _each(slot: str) -> list[str]:
    return grammar.candidates(slot)[0]


def _part(known: dict, words: str, key: str, rarity: int = 0) -> Part:
    value = grammar.value(words, known) + 0 * known["dY"]
    return Part(_shown(words), value, frozenset({_shown(key)} if key else ()), rarity)


def _way(known: dict, place: int, factors: list[Part]) -> Iterator[Part]:
    """Yield what may be one of the ways."""
    way, right = WAYS[place], _RIGHT[place]
    yield _part(known, right, "")
    yield _part(known, "0 * dY", f"{way}, 0")
    yield from _multiplied(known, right, way, factors)
    if place == 0:
        others: Iterable[str] = (f"({each}) / std" for each in _each("direct way"))
    else:
        inner = _each(WAYS[place])
        by = [""] if place == 1 else [f"{each} * " for each in _each("times the path")]
        means = [mean.format(each) for mean, each in product(_each("averaged"), inner)]
        others = (f"{times}{mean} / std".replace("1 * ", "") for times, mean in product(by, means))
    for words in others:
        if words != right:
            yield _part(known, words, f"{way}: {words}", 1)


def _multiplied(known: dict, words: str, name: str, factors: list[Part]) -> Iterator[Part]:
    """Yield an expression times each of the factors."""
    value = grammar.value(words, known) + 0 * known["dY"]
    for by in factors:
        key = frozenset({_shown(f"{name}, times:{by.words}")})
        yield Part(_shown(words + by.words), value * by.value, key, by.rarity)


def _statistics(known: dict) -> Iterator[tuple[str, dict]]:
    """Yield other means and standard deviations, as the names of a scope with its key."""
    right = {"mu": "mu", "std": "std"}
    others = [(f"std: {_shown(each)}", {**right, "std": each}) for each in _each("std")]
    for mu in _each("centre"):
        for std in ("std", f"sqrt(mean((X - {mu}) ** 2) + eps)"):
            others.append((f"centre: {_shown(mu)}", {"mu": mu, "std": std}))
    for words, mean in _BOTH.items():
        mu = mean.format("X")
        std = f"sqrt({mean.format(f'(X - {mu}) ** 2')} + eps)"
        others.append((f"statistics {words}", {"mu": mu, "std": std}))
    for key, expressions in others:
        scope = {name: grammar.value(each, known) for name, each in expressions.items()}
        words = _shown(f"with mean = {expressions['mu']}, std = {expressions['std']}")
        hat = (known["X"] - scope["mu"]) / scope["std"]
        yield key, {**known, **scope, "X_hat": hat, "words": words}


def _pools_of_input(case: Case, dY: np.ndarray) -> Pools:
    """The slots of dX: the path through the variance, and what that is subtracted from."""
    known = _names(case, dY)
    factors = _factors(known)
    direct, first, second = (list(_way(known, place, factors)) for place in range(3))
    pairs = [(direct[0], each) for each in first] + [(each, first[0]) for each in direct[1:]]
    pairs += [(each, first[1]) for each in direct[1:]]
    whole = [_multiplied(known, right, "dX", factors) for right in _RIGHT]
    triples = list(zip(*whole))
    for key, scope in _statistics(known):
        ways = (_part(scope, right, key) for right in _RIGHT)
        triples.append(tuple(way._replace(words=f"{way.words} {scope['words']}") for way in ways))
    pairs += [triple[:2] for triple in triples]
    minus = [*second, *(triple[2] for triple in triples)]
    for by in factors:
        if by.words in _OFTEN:  # with another path through the variance
            more = frozenset({f"dX, times:{by.words}"})
            for each in second:
                if each.keys and each.rarity < 2:
                    words, value = each.words + by.words, each.value * by.value
                    minus.append(Part(words, value, each.keys | more, each.rarity))
    before = [
        Part(f"{a.words} - {b.words}", a.value - b.value, a.keys | b.keys, a.rarity + b.rarity)
        for a, b in pairs
    ]
    one = [Part("1", np.ones(1))]
    return one, [each._replace(value=-each.value) for each in minus], one, before


def _pools_of_sum(case: Case, dY: np.ndarray, name: str) -> Pools:
    """The slots of dgamma or dbeta: what is summed, what multiplies it, and what is added."""
    known, right = _names(case, dY), _SUMS[name]
    zero = np.zeros((1, dY.shape[1]))
    sums = [right] + [f"{way}({term})" for way, term in product(
        ("sum", "mean_all", "sum_all"), _each("summand"))]  # fmt: skip
    sums.append(f"cumsum({right})")
    summed = [Part(_shown(words), grammar.value(words, known) + zero,
                   frozenset({f"{name}: {_shown(words)}"} if place else ()), "all" in words)
              for place, words in enumerate(dict.fromkeys(sums))]  # fmt: skip
    if name == "dgamma":
        summed += [
            Part(f"{right} {scope['words']}", scope["sum"](dY * scope["X_hat"]), frozenset({key}))
            for key, scope in _statistics(known)
        ]
    factors = [Part("", zero + 1)]
    for by in _factors(known):
        key = frozenset({f"{name}, times:{by.words}"})
        factors.append(Part(by.words, 1 / by.value + zero, key, by.rarity))
    added = [Part("", zero)]
    for words in _SUMS.values():
        value = grammar.value(words, known)
        added.append(Part(f" + {words}", value, frozenset({f"{name}, and: {words}"}), 1))
    return [Part("1", np.ones(1))], summed, factors, added


def _search(pools: list[Pools], received: list[np.ndarray], most: int):
    counted = [np.ones(each.shape) for each in received]
    with np.errstate(all="ignore"):
        return Search(pools, received, counted, 10 * FLOAT64).best(most)


def of_sum(instances: Instances, name: str) -> Cause:
    """The cause of wrong gradients of gamma or beta."""
    received = [each.reshape(1, -1) for *_, each in instances]
    if not any((abs(each) > FLOAT64).any() for each in received):
        return explained("gradient", [f"{name}, 0"])
    parts = _search([_pools_of_sum(case, dY, name) for case, dY, _ in instances], received, 3)
    if not parts:
        return said("left: gradient")
    _, summed, factor, added = parts
    words = f"{summed.words}{factor.words}{added.words}"
    return _explained(parts, f"your {name} is {words}, where it is {_SUMS[name]}.")


def _explained(parts: Sequence[Part], formula: str) -> Cause:
    labels = sorted(frozenset().union(*(part.keys for part in parts)))
    return explained("gradient", labels, formula)


def of_input(instances: Instances) -> Cause:
    """The cause of wrong gradients of X."""
    pools = [_pools_of_input(case, dY) for case, dY, _ in instances]
    parts = _search(pools, [dX for *_, dX in instances], 3)
    if not parts:
        return said("left: gradient")
    _, second, _, before = parts
    words = f"{before.words} - {second.words}".replace("0 * dY - ", "- ").replace(" - 0 * dY", "")
    formula = said("gradient: formula", what=words)
    whole = [key.startswith(("dX, ", "std: ", "stat")) * key for key in before.keys ^ second.keys]
    if any(whole):  # not in all three ways
        return Cause(formula, "dX: some ways")
    return _explained(parts, formula)


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
    counted = case.shown(np.ones_like(dX)) == 1
    basis = np.stack([(case.gamma / std * way)[counted] for way in ways], axis=1)
    solved = np.linalg.lstsq(basis, dX[counted], rcond=None)[0]
    if not close(basis @ solved, dX[counted], 1e-3):
        return said("left: gradient")
    factors = np.round(solved * [1, -1, -1], 3) + 0.0
    cut = [way for way, factor in zip(("direct", "mean", "variance"), factors) if factor == 0]
    if cut and all(factor in (0, 1) for factor in factors):
        return explained("gradient", [f"graph: {' and '.join(cut)}"])
    wrong = [f"the {way} counts {factor:.4g} times" for way, factor in zip(WAYS, factors)
             if factor != 1]  # fmt: skip
    return Cause(f"{', '.join(wrong)}. Each counts once.", "graph: times")
