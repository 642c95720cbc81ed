"""The cause of a wrong gradient: every way from X to the loss by itself.

dX is a sum of three ways: gamma / std * dY, less the ways through the mean and through the
variance. For each feature the numbers say what each way is, and the search says which slip that is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np

from d2l_bn.checks import phrases
from d2l_bn.checks.cases import Case, close
from d2l_bn.checks.leftover import UNKNOWN
from d2l_bn.checks.phrases import Cause
from d2l_bn.checks.slots import Part, Pools
from d2l_bn.checks.solve import FLOAT64, Search

WAYS = ("direct way", "path through the mean", "path through the variance")
_FORMULAS = {
    "dgamma": "sum(dY * X_hat)",
    "dbeta": "sum(dY)",
    WAYS[0]: "gamma / std * dY",
    WAYS[1]: "-gamma / std / n * sum(dY)",
    WAYS[2]: "-gamma / std / n * sum(dY * X_hat) * X_hat",
}
Instances = Sequence[tuple[Case, np.ndarray, np.ndarray]]  # an input, dY, what was received


class Batch:
    """What stands in the terms, for one input and one gradient of the output."""

    def __init__(self, case: Case, dY: np.ndarray) -> None:
        self.case, self.dY, self.n = case, dY, len(case.X)
        self.mean, self.var = case.moments()
        self.std = np.sqrt(self.var + case.eps)
        self.centred = case.X - self.mean
        self.X_hat = self.centred / self.std

    def stds(self) -> dict[str, np.ndarray]:
        """What may be taken for the standard deviation."""
        n, var, eps = self.n, self.var, self.case.eps
        return {
            "n - 1": np.sqrt(var * n / max(1, n - 1) + eps),
            "sqrt(var)": np.sqrt(var),
            "sqrt(var) + eps": np.sqrt(var) + eps,
            "var + eps": var + eps,
            "sqrt(sum + eps)": np.sqrt(var * n + eps),
            "n - 1, without eps": np.sqrt(var * n / max(1, n - 1)),
            "sqrt(average(X ** 2) + eps)": np.sqrt(var + self.mean**2 + eps),
            "sqrt(sqrt(var) + eps)": np.sqrt(np.sqrt(var) + eps),
            "sqrt(var + eps ** 2)": np.sqrt(var + eps**2),
            "1": np.ones_like(var),
        }

    def sums(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yield what may be summed over the batch, or stand in the place of a sum."""
        X, dY, X_hat = self.case.X, self.dY, self.X_hat
        terms = {
            "dY * X_hat": dY * X_hat,
            "dY": dY,
            "dY * X": dY * X,
            "dY * (X - mean)": dY * self.centred,
            "X_hat": X_hat,
            "X_hat ** 2": X_hat**2,
            "X": X,
            "X ** 2": X**2,
            "dY ** 2": dY**2,
            "abs(dY)": abs(dY),
            "dY * X_hat ** 2": dY * X_hat**2,
            "dY * abs(X_hat)": dY * abs(X_hat),
            "abs(dY * X_hat)": abs(dY * X_hat),
            "dY * (gamma * X_hat + 1)": dY * (self.case.gamma * X_hat + 1),
            "(dY - mean(dY)) * X": (dY - dY.mean(0)) * X,
        }
        whole = np.ones((1, X.shape[1]))
        for name, values in terms.items():
            yield f"sum({name})", values.sum(0, keepdims=True)
            yield f"sum of all {name}", values.sum() * whole
            yield f"mean of all {name}", values.mean() * whole
            yield f"sum of all gamma * {name}", (self.case.gamma * values).sum() * whole
            yield f"mean of all gamma * {name}", (self.case.gamma * values).mean() * whole
            yield f"({name})[0]", values[:1]
            yield f"({name})[-1]", values[-1:]
        yield "1", whole
        yield "sum(dY) * mean", dY.sum(0) * self.mean
        yield "sum(dY * X_hat) * mean", (dY * X_hat).sum(0) * self.mean
        yield "sum(dY) * sum(dY * X_hat)", dY.sum(0) * (dY * X_hat).sum(0, keepdims=True)

    def right(self, slot: str) -> tuple[str, np.ndarray]:
        """The sum in a slot, and what multiplies it."""
        if slot in ("dgamma", "dbeta"):
            return _FORMULAS[slot], np.ones_like(self.std)
        outer = self.case.gamma / self.std
        return {
            WAYS[0]: ("1", outer),
            WAYS[1]: ("sum(dY)", -outer / self.n),
            WAYS[2]: ("sum(dY * X_hat)", -outer / self.n),
        }[slot]

    def pools(self, slot: str) -> Pools:
        """The slots of a coefficient: a number, what is summed, what divides, what is added."""
        right, outer = self.right(slot)
        sums = dict(self.sums())
        seconds = [Part("", sums[right] * outer)]
        for words, value in sums.items():
            if words != right:
                scale = outer
                if slot in WAYS[1:] and words.startswith("mean of all"):
                    scale = outer * self.n  # they are averaged already
                if slot in WAYS[1:] and "all gamma" in words:
                    scale = scale / self.case.gamma
                key = frozenset({f"sum: {words}"})
                seconds.append(Part(words, value * scale, key, "all" in words))
        if slot == "dgamma":
            for words, std in self.stds().items():
                value = (self.dY * self.centred / std).sum(0, keepdims=True)
                seconds.append(Part(f"std {words}", value, frozenset({f"std: {words}"})))
        added = [Part("", 0 * self.std)]
        for words, value in (("sum(dY)", sums["sum(dY)"]), (right, sums[right]),
                             ("sum(dY * X_hat)", sums["sum(dY * X_hat)"])):  # fmt: skip
            extra = outer if slot in WAYS else 1.0
            added.append(Part(f"{words} more", value * extra, frozenset({f"and: {words}"}), 1))
        numbers = [Part("", np.ones(1))] + [
            Part(f"{k:.4g}", np.full(1, k), frozenset({f"times: {k:.4g}"}))
            for k in (-1, 2, 0.5, -2, -0.5, 3, 4, 1 / 3, 0.25, 1.5, -1.5)
        ]
        return numbers, seconds, list(self._powers()), added

    def _powers(self) -> Iterator[Part]:
        """Yield products of powers of gamma, of the standard deviation and of n, turned round."""
        n, gamma = self.n, self.case.gamma
        counts = {"": 1.0, " / n": 1 / n, " * n": n, " / n ** 2": n**-2.0, " * n ** 2": n**2.0}
        counts.update({" * n / (n - 1)": n / max(1, n - 1), " * (n - 1) / n": (n - 1) / n})
        counts.update({" / sqrt(n)": n**-0.5, " * sqrt(n)": n**0.5})
        counts.update({" / features": 1 / gamma.size, " / n / features": 1 / n / gamma.size})
        for i, j, (count, share) in product((0, 1, -1, -2), range(-4, 5), counts.items()):
            words = f"{_power('gamma', i)}{_power('std', j)}{count}".strip()
            keys = frozenset({f"times: {words}"} if words else ())
            value = gamma ** -float(i) * self.std ** -float(j) / share
            yield Part(words, value, keys, abs(i) + abs(j) + bool(count))


def _power(name: str, exponent: int) -> str:
    if not exponent:
        return ""
    sign = " *" if exponent > 0 else " /"
    return f"{sign} {name}" + f" ** {abs(exponent)}" * (abs(exponent) > 1)


def of_sum(instances: Instances, name: str) -> Cause:
    """The cause of wrong gradients of gamma or beta."""
    batches = [Batch(case, dY) for case, dY, _ in instances]
    received = [each.reshape(1, -1) for *_, each in instances]
    if not any(each.any() for each in received):
        return _said([f"{name}, 0"], "")
    if name == "dbeta" and all(
        close(each[0], batch.dY.sum(1)) for each, batch in zip(received, batches)
    ):
        return _said(["dbeta, axis 1"], "")
    found = _coefficient(batches, name, received)
    if not found:
        return Cause(UNKNOWN, "left: gradient")
    labels, words = found
    return _said(labels, f"your {name} is {words}, where it is {_FORMULAS[name]}.")


def _said(labels: list[str], formula: str) -> Cause:
    label = " & ".join(sorted(labels))
    return Cause(phrases.explained(phrases.GRADIENT, labels) or formula, label)


def _coefficient(batches: list[Batch], slot: str, received: list[np.ndarray]):
    """The labels and the words of what a sum or a way is, or None."""
    if max(abs(each).max() for each in received) < FLOAT64:
        return [f"{slot}, 0"], "0"
    search = Search(
        [batch.pools(slot) for batch in batches],
        received,
        [np.ones(each.shape) for each in received],
        10 * FLOAT64,
    )
    parts = search.best(3)
    if parts is None:
        return None
    number, summed, power, added = parts
    labels = sorted(f"{slot}, {key}" for part in parts for key in part.keys)
    right = _FORMULAS[slot]
    words = _in_place(slot, summed.words) if summed.words else right
    words = f"{number.words} * ({words})" if number.words else words
    words = f"({words}) {power.words}" if power.words else words
    more = added.words.removesuffix(" more")
    return labels, words + (f" + {_in_place(slot, more)}" if more else "")


def _in_place(slot: str, summed: str) -> str:
    """What a way is with this in the place of its sum."""
    if slot not in WAYS[1:]:
        return _FORMULAS[slot].replace("* dY", f"* {summed}") if slot in WAYS else summed
    words = f"-gamma / std / n * {summed}"
    if summed.startswith("mean of all"):
        words = words.replace(" / n", "")
    if "all gamma" in summed:
        words = words.replace("gamma", "1", 1)
    return words + " * X_hat" * (slot == WAYS[2])


def of_input(instances: Instances) -> Cause:
    """The cause of wrong gradients of X."""
    batches = [Batch(case, dY) for case, dY, _ in instances]
    received = [dX for *_, dX in instances]
    for words in batches[0].stds():
        if all(close(dX, _with(batch, batch.stds()[words]), 1e-8)
               for batch, dX in zip(batches, received)):  # fmt: skip
            return _said([f"std: {words}"], "")
    ways = [_by_feature(batch, dX) for batch, dX in zip(batches, received)]
    if any(each is None for each in ways):
        return _by_axes(batches, received)
    rights = [
        [dict(batch.sums())[name] * outer for name, outer in map(batch.right, WAYS)]
        for batch in batches
    ]
    ratios = [theirs[0] / right[0] for theirs, right in zip(ways, rights)]
    if all(
        close(way, right * ratio, 1e-7)
        for theirs, mine, ratio in zip(ways, rights, ratios)
        for way, right in zip(theirs, mine)
    ):
        found = _coefficient(batches, WAYS[0], [theirs[0] for theirs in ways])
        labels = [each.replace(WAYS[0], "dX") for each in found[0]] if found else []
        words = found[1].removesuffix(" * dY") if found else ""
        formula = f"all three ways begin with {words}, where it is gamma / std."
        return _said(labels, formula) if found else Cause(UNKNOWN, "left: gradient")
    labels, formulas = [], []
    for place, way in enumerate(WAYS):
        theirs = [each[place] for each in ways]
        if all(close(a, right[place], 1e-8) for a, right in zip(theirs, rights)):
            continue
        found = _coefficient(batches, way, theirs)
        if not found:
            return Cause(UNKNOWN, "left: gradient")
        labels += found[0]
        formulas.append(f"your {way} is {found[1]}, where it is {_FORMULAS[way]}")
    return _said(labels, "; ".join(formulas) + ".")


def _with(batch: Batch, std: np.ndarray) -> np.ndarray:
    """The gradient of X with another standard deviation."""
    g, X_hat = batch.case.gamma * batch.dY, batch.centred / std
    return (g - g.mean(0) - X_hat * (g * X_hat).mean(0)) / std


def _by_feature(batch: Batch, dX: np.ndarray):
    """Each feature by itself: dX = a * dY + b + c * X_hat. Returns a, b and c, or None."""
    coefficients = []
    for feature in range(dX.shape[1]):
        basis = [batch.dY[:, feature], np.ones(len(dX)), batch.X_hat[:, feature]]
        solved, *_ = np.linalg.lstsq(np.stack(basis, axis=1), dX[:, feature], rcond=None)
        rest = np.stack(basis, axis=1) @ solved - dX[:, feature]
        if np.abs(rest).max() > FLOAT64 * max(1, np.abs(dX).max()):
            return None
        coefficients.append(np.where(abs(solved) < 10 * FLOAT64, 0, solved))
    return list(np.array(coefficients).T[:, None, :])


_MEANS = {
    "mean({})": lambda values: values.mean(0, keepdims=True),
    "mean of {} over axis 1": lambda values: values.mean(1, keepdims=True),
    "mean of all {}": lambda values: values.mean(keepdims=True),
    "{}": lambda values: values,
}


def _by_axes(batches: list[Batch], received: list[np.ndarray]) -> Cause:
    """Averages over other axes: dX = (a * direct + b * a first mean + c * a second one) / std."""
    columns = [dict(_columns(batch)) for batch in batches]
    for outer in ("std", "1"):
        target = np.concatenate([
            (dX * (batch.std if outer == "std" else 1)).ravel()
            for batch, dX in zip(batches, received)
        ])  # fmt: skip
        names = list(columns[0])
        table = np.stack([np.concatenate([each[n].ravel() for each in columns]) for n in names])
        gram, along = table @ table.T, table @ target
        kinds = [[i for i, name in enumerate(names) if name[0] == kind] for kind in (0, 1, 2)]
        for triple in product(*kinds):
            at = np.array(triple)
            try:
                numbers = np.linalg.solve(gram[np.ix_(at, at)], along[at])
            except np.linalg.LinAlgError:
                continue
            if np.abs(numbers @ table[at] - target).max() < 1e-7 * max(1, np.abs(target).max()):
                return _of_triple([names[i] for i in triple], numbers, outer)
    return Cause(UNKNOWN, "left: gradient")


def _columns(batch: Batch) -> Iterator[tuple[tuple[int, str], np.ndarray]]:
    """Yield what may stand in the three places, right ones first."""
    g, dY, X_hat, X = batch.case.gamma * batch.dY, batch.dY, batch.X_hat, batch.case.X
    for words, values in (("g", g), ("dY", dY), ("g * X_hat", g * X_hat)):
        yield (0, words), values
    for words, values in (("g", g), ("dY", dY), ("g * X_hat", g * X_hat)):
        for name, mean in _MEANS.items():
            yield (1, name.format(words)), mean(values) + 0 * g
    for words, values in (("g * X_hat", g * X_hat), ("dY * X_hat", dY * X_hat), ("g * X", g * X),
                          ("g", g), ("g * (X - mean)", g * batch.centred)):  # fmt: skip
        for name, mean in _MEANS.items():
            for by, times in (("X_hat * ", X_hat), ("", 1), ("X * ", X),
                              ("(X - mean) * ", batch.centred), ("X_hat ** 2 * ", X_hat**2)):  # fmt: skip
                yield (2, f"{by}{name.format(words)}"), times * mean(values) + 0 * g


def _of_triple(names: list, numbers: np.ndarray, outer: str) -> Cause:
    rights = "g", "mean(g)", "X_hat * mean(g * X_hat)"
    labels, terms = [], ""
    for (kind, words), right, number, sign in zip(names, rights, numbers, (1, -1, -1)):
        if abs(number) > 1e-7:
            share = "" if abs(abs(number) - 1) < 1e-6 else f"{abs(number):.4g} * "
            terms += f" {'-' if number < 0 else '+'} {share}{words}"
        if words != right or abs(number - sign) > 1e-6:
            labels.append(f"{WAYS[kind]}: {words}")
    line = f"({terms.removeprefix(' + ').strip()}){' / std' * (outer == 'std')}"
    formula = (
        f"your numbers are those of dX = {line} with g = gamma * dY. The formula is dX = (g - "
        "mean(g) - X_hat * mean(g * X_hat)) / std."
    )
    return _said(labels, formula)


def of_autograd(case: Case, name: str, dY, received, expected, training: bool) -> Cause:
    """The cause of a wrong gradient of X by autograd, though the output is right."""
    if name == "X" and case.mask is not None:
        if close(case.shown(received), expected, 1e-3) or _leaks(case, dY, received):
            return _said(["graph: padding"], "")
    if not np.any(received):
        return Cause(f"the output does not depend on {name} by operations that autograd records.",
                     "graph: none")  # fmt: skip
    if name == "X" and training:
        return _cut(case, dY, received)
    return Cause()


def _leaks(case: Case, dY, received) -> bool:
    """Whether a gradient goes to the padding as if it counted in the output."""
    out = np.broadcast_to(case.mask, received.shape) == 0
    return bool(np.any(np.abs(received[out]) > 1e-3))


def _cut(case: Case, dY: np.ndarray, dX: np.ndarray) -> Cause:
    """Which of the three ways is cut from the graph, or has another factor."""
    mean, var = case.moments()
    std = np.sqrt(var + case.eps)
    X_hat, dY = (case.X - mean) / std, case.shown(dY)
    ways = [dY, case.average(dY) + 0 * dY, X_hat * case.average(dY * X_hat)]
    counts = np.broadcast_to(np.ones(1) if case.mask is None else case.mask, dX.shape) == 1
    basis = np.stack([(case.gamma / std * way)[counts] for way in ways], axis=1)
    solved = np.linalg.lstsq(basis, dX[counts], rcond=None)[0]
    if not close(basis @ solved, dX[counts], 1e-3):
        return Cause(UNKNOWN, "left: gradient")
    factors = solved * [1, -1, -1]
    gone = [way for way, factor in zip(("direct", "mean", "variance"), factors)
            if abs(factor) < 1e-3]  # fmt: skip
    if gone and all(abs(factor - 1) < 1e-3 or abs(factor) < 1e-3 for factor in factors):
        return _said([f"graph: {' and '.join(gone)}"], "")
    if np.ptp(factors) < 1e-3:
        return Cause(f"it is {factors[0]:.4g} times the right one. Does X reach the output by one "
                     "way?", "left: gradient times")  # fmt: skip
    counted = ", ".join(f"the {way} counts {factor:.4g} times" for way, factor in
                        zip(WAYS, factors) if abs(factor - 1) > 1e-3)  # fmt: skip
    return Cause(f"{counted}. Each counts once.", "left: ways")
