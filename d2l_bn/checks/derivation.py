"""Finds which terms a wrong gradient has: every way from X to the loss by itself.

dX is a sum of three ways, each of them a product: of gamma, of a power of the standard deviation
and of n, and of a sum over the batch. In float64 the numbers say which product it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np

from d2l_bn.checks.cases import Case, close

EXACT = 1e-9
WAYS = ("direct way", "path through the mean", "path through the variance")


class Batch:
    """What stands in the terms, for one input and one gradient of the output."""

    def __init__(self, case: Case, dY: np.ndarray) -> None:
        self.case, self.dY, self.n = case, dY, len(case.X)
        self.mean, self.var = case.moments()
        self.centred = case.X - self.mean
        self.stds = {
            "std": np.sqrt(self.var + case.eps),
            "sqrt(var)": np.sqrt(self.var),
            "(sqrt(var) + eps)": np.sqrt(self.var) + case.eps,
            "sqrt(var * n / (n - 1) + eps)": np.sqrt(
                self.var * self.n / max(1, self.n - 1) + case.eps
            ),
        }
        self.X_hat = self.centred / self.stds["std"]

    def sums(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yield sums over the batch, or what may stand in the place of one, with their names."""
        X, dY = self.case.X, self.dY
        terms = {
            "dY * X_hat": dY * self.X_hat,
            "dY": dY,
            "dY * X": dY * X,
            "X_hat": self.X_hat,
            "X_hat ** 2": self.X_hat**2,
            "X": X,
            "X ** 2": X**2,
            "dY ** 2": dY**2,
            "abs(dY)": abs(dY),
            "dY * X_hat ** 2": dY * self.X_hat**2,
            "dY * abs(X_hat)": dY * abs(self.X_hat),
            "abs(dY * X_hat)": abs(dY * self.X_hat),
            "(dY - mean(dY)) * X": (dY - dY.mean(0)) * X,
        }
        yield "", np.ones((1, X.shape[1]))
        for name, values in terms.items():
            yield f"sum({name})", values.sum(0, keepdims=True)
            yield f"sum of all {name}", np.full((1, X.shape[1]), values.sum())
            yield f"mean of all {name}", np.full((1, X.shape[1]), values.mean())
            scaled = self.case.gamma * values
            yield f"sum of all gamma * {name}", np.full((1, X.shape[1]), scaled.sum())
            yield f"mean of all gamma * {name}", np.full((1, X.shape[1]), scaled.mean())
            yield f"({name})[0]", values[:1]
            yield f"({name})[-1]", values[-1:]
        yield "mean", self.mean
        for name in ("dY * X_hat", "dY"):
            yield f"sum({name}) * mean", self.mean * terms[name].sum(0, keepdims=True)
        yield "sum(dY) * sum(dY * X_hat)", dY.sum(0, keepdims=True) * terms["dY * X_hat"].sum(0)

    def factors(self) -> Iterator[tuple[str, np.ndarray, int]]:
        """Yield products of powers of gamma, of the standard deviation and of n."""
        n, gamma = self.n, self.case.gamma
        counts = {"": 1.0, "/ n": 1 / n, "* n": n, "/ n ** 2": n**-2.0, "/ (n - 1)": 1 / (n - 1)}
        counts.update(
            {"* (n - 1) / n": (n - 1) / n, "/ sqrt(n)": n**-0.5, "/ channels": 1 / gamma.size}
        )
        for name, std in self.stds.items():
            powers = range(-4, 5) if name == "std" else (-3, -2, -1, 1)
            for i, j, (count, share) in product(range(-1, 3), powers, counts.items()):
                words = " ".join(filter(None, (_power("gamma", i), _power(name, j), count)))
                cost = abs(i - 1) + abs(j + 1) + (name != "std") + (count != "")
                yield words, gamma**i * std**j * share, cost


def _power(name: str, exponent: int) -> str:
    if not exponent:
        return ""
    sign = "*" if exponent > 0 else "/"
    return f"{sign} {name}" + f" ** {abs(exponent)}" * (abs(exponent) > 1)


def of_sum(case: Case, dY: np.ndarray, name: str, received: np.ndarray) -> str:
    """Return the product that `received`, dgamma or dbeta, is, or ""."""
    right = {"dgamma": "sum(dY * X_hat)", "dbeta": "sum(dY)"}[name]
    batch = Batch(case, dY)
    found = _product(batch, received.reshape(1, -1), right)
    if found:
        return f"your numbers are those of {name} = {found}. The formula is {name} = {right}."
    basis = dict(batch.sums())
    gamma, std = case.gamma, batch.stds["std"]
    for factor, times in ((1, ""), (gamma, "gamma * "), (1 / std, "1 / std * "), (-1, "-")):
        found = _product(batch, received.reshape(1, -1) - factor * basis[right], "sum(dY)")
        if found:
            whole = f"{times}{right} + {found}".replace("+ -", "- ")
            return f"your numbers are those of {name} = {whole}. The formula is {name} = {right}."
    return ""


def _product(batch: Batch, received: np.ndarray, likely: str) -> str:
    """Name the product of a number, powers and a sum that `received` is; the simplest one."""
    if np.abs(received).max() <= EXACT:
        return "0"
    best, cheapest = "", 99
    sums = [(words, value, words != likely) for words, value in batch.sums()]
    for factor, value, cost in batch.factors():
        for words, total, other in sums:
            here = value * total
            k = float((received * here).sum() / max((here**2).sum(), 1e-300))
            if abs(k * 12 - round(k * 12)) > 1e-6 or not 0.08 < abs(k) < 13:
                continue
            if np.abs(received - k * here).max() > EXACT * max(1, np.abs(received).max()):
                continue
            expense = cost + 2 * other + 2 * (k not in (1, -1)) + words.startswith("sum of all")
            if expense < cheapest:
                cheapest, best = expense, _written(round(k * 12) / 12, words, factor)
    return best


def _written(k: float, words: str, factor: str) -> str:
    sign = "-" if k < 0 else ""
    number = f"{abs(k):.4g}" if abs(k) != 1 else ""
    above = [part for part in (number, words) if part]
    text = f"{sign}{' * '.join(above) or '1'} {factor}".strip()
    text = text.replace("1 * ", "", 1) if text.lstrip("-").startswith("1 * ") else text
    return text


def of_input(case: Case, dY: np.ndarray, dX: np.ndarray) -> str:
    """Return which ways in `dX` are wrong, and what they are, or ""."""
    found = _by_feature(case, dY, dX)
    return found or _by_axes(case, dY, dX)


def _by_feature(case: Case, dY: np.ndarray, dX: np.ndarray) -> str:
    """Each feature by itself: dX = a * dY + b + c * X_hat."""
    batch = Batch(case, dY)
    rights = (case.gamma / batch.stds["std"]) * np.stack(
        [
            np.ones((1, dY.shape[1])),
            -dY.mean(0, keepdims=True),
            -(dY * batch.X_hat).mean(0, keepdims=True),
        ]
    )
    if len(dX) < 5:
        return ""
    coefficients = []
    for feature in range(dX.shape[1]):
        basis = np.stack([dY[:, feature], np.ones(len(dX)), batch.X_hat[:, feature]], axis=1)
        solved, *_ = np.linalg.lstsq(basis, dX[:, feature], rcond=None)
        if np.abs(basis @ solved - dX[:, feature]).max() > EXACT * max(1, np.abs(dX).max()):
            return ""
        coefficients.append(solved)
    theirs = np.array(coefficients).T[:, None, :]
    written = (
        "gamma / std * dY",
        "-gamma / std / n * sum(dY)",
        "-gamma / std / n * sum(dY * X_hat) * X_hat",
    )
    likely = ("", "sum(dY)", "sum(dY * X_hat)")
    if close(theirs, rights * theirs[0] / rights[0], 1e-8):
        words = _product(batch, theirs[0], "")
        return f"all three ways begin with {words}, where it is gamma / std." if words else ""
    wrong, unknown = [], []
    for place, (way, mine, right) in enumerate(zip(WAYS, theirs, rights)):
        if close(mine, right, 1e-8):
            continue
        words = _product(batch, mine, likely[place])
        if not words and place == 1:
            extra = _product(batch, mine - right, "sum(dY * X_hat)")
            words = f"{written[1]} and {extra}" if extra else ""
        if not words:
            unknown.append(way)
            continue
        last = ("dY", "", "X_hat")[place]
        words = "0" if words == "0" else f"{words} * {last}".removesuffix(" * ")
        wrong.append(f"your {way} is {words}, where it is {written[place]}")
    if unknown or not wrong:
        return ""
    return "; ".join(wrong) + "."


# Averages by themselves, with what each costs; {} is what is averaged.
_AVERAGES = {
    "mean({})": (lambda values: values.mean(0), 0),
    "sum({})": (lambda values: values.sum(0), 1),
    "mean of {} over axis 1": (lambda values: values.mean(1, keepdims=True), 1),
    "sum of {} over axis 1": (lambda values: values.sum(1, keepdims=True), 1),
    "sum of {} over axis 1 / n": (lambda values: values.sum(1, keepdims=True) / len(values), 1),
    "mean of all {}": (np.mean, 1),
    "sum of all {}": (np.sum, 1),
    "sum of all {} / n": (lambda values: values.sum() / len(values), 1),
    "{}": (lambda values: values, 1),
}
# Expressions by cost: dX = (direct - a first average - a second one, in proportion) outer.
_DIRECT = {0: "g", 1: "dY; 0; n * g", 2: "g * X_hat"}
_OUTER = {
    0: "1 / std",
    1: "1; 1 / std ** 2; gamma / std; 1 / (n * std); 1 / sqrt_var",
    2: "std; 1 / n; gamma / (n * std)",
}
_FIRST = {0: "g", 1: "dY", 2: "g * X_hat"}
_SECOND = {0: "g * X_hat", 1: "dY * X_hat; g * X; g * (X - mean)", 2: "g; dY; X_hat"}
_PROPORTION = {0: "X_hat", 1: "1; X; (X - mean); -X_hat; 2 * X_hat; X_hat / 2", 2: "X_hat ** 2"}


def _by_axes(case: Case, dY: np.ndarray, dX: np.ndarray) -> str:
    """Averages over other axes: dX = outer * (direct - average - proportion * average)."""
    batch = Batch(case, dY)
    known = {"X": case.X, "dY": dY, "g": case.gamma * dY, "n": batch.n, "X_hat": batch.X_hat}
    known.update(gamma=case.gamma, mean=batch.mean, std=batch.stds["std"])
    known.update(sqrt_var=batch.stds["sqrt(var)"])

    def values(table: dict[int, str]) -> Iterator[tuple[str, np.ndarray, int]]:
        for cost, expressions in table.items():
            for words in expressions.split("; "):
                yield words, eval(words, {"__builtins__": {}}, known) + 0 * dY, cost

    def averages(table: dict[int, str]) -> Iterator[tuple[str, np.ndarray, int]]:
        for (words, each, cost), (name, (average, more)) in product(
            values(table), _AVERAGES.items()
        ):
            yield name.format(words), average(each) + 0 * dY, cost + more
        yield "0", 0 * dY, 1

    first = list(averages(_FIRST))
    second = [
        ("0" if name == "0" else f"{by} * {name}".removeprefix("1 * "), share * each, cost + more)
        for (name, each, cost), (by, share, more) in product(averages(_SECOND), values(_PROPORTION))
    ]
    flat = np.stack([each.reshape(-1) for _, each, _ in second])
    best, cheapest = "", 6
    for (outer, factor, f_cost), (direct, ahead, d_cost) in product(
        values(_OUTER), values(_DIRECT)
    ):
        bound = 10 * EXACT * max(1, np.abs(dX / factor).max())
        for middle, each, m_cost in first:
            cost = f_cost + d_cost + m_cost
            left = (ahead - dX / factor - each).reshape(-1)
            for index in np.flatnonzero(abs(flat[:, 0] - left[0]) <= bound):
                total = cost + second[index][2]
                if 0 < total < cheapest and np.abs(flat[index] - left).max() <= bound:
                    cheapest = total
                    best = f"({direct} - {middle} - {second[index][0]}) * {outer}"
    if not best:
        return ""
    best = best.replace(") * 1 / ", ") / ").removesuffix(" * 1").replace("sqrt_var", "sqrt(var)")
    right = "(g - mean(g) - X_hat * mean(g * X_hat)) / std"
    return (
        f"your numbers are those of dX = {best} with g = gamma * dY. The formula is dX = {right}."
    )
