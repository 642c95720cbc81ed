"""Finds which terms a wrong gradient has: every way from X to the loss by itself.

dX is a sum of three ways, each of them a product: of gamma, of a power of the standard deviation
and of n, and of a sum over the batch. In float64 the numbers say which product it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
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


def _by_axes(case: Case, dY: np.ndarray, dX: np.ndarray) -> str:
    """Averages over other axes: dX = factor * (direct - mean' - X_hat' * mean'')."""
    batch, g = Batch(case, dY), case.gamma * dY
    X_hat, std = batch.X_hat, batch.stds["std"]
    n = batch.n

    def averages(
        terms: Iterable[tuple[str, np.ndarray, int]],
    ) -> Iterator[tuple[str, np.ndarray, int]]:
        for name, values, cost in terms:
            yield f"mean({name})", values.mean(0, keepdims=True) + 0 * values, cost
            yield f"sum({name})", values.sum(0, keepdims=True) + 0 * values, cost + 1
            yield (
                f"mean of {name} over axis 1",
                values.mean(1, keepdims=True) + 0 * values,
                cost + 1,
            )
            yield f"sum of {name} over axis 1", values.sum(1, keepdims=True) + 0 * values, cost + 1
            yield (
                f"sum of {name} over axis 1 / n",
                values.sum(1, keepdims=True) / n + 0 * values,
                cost + 1,
            )
            yield f"mean of all {name}", values.mean() + 0 * values, cost + 1
            yield f"sum of all {name}", values.sum() + 0 * values, cost + 1
            yield f"sum of all {name} / n", values.sum() / n + 0 * values, cost + 1
            yield f"{name}", values, cost + 1

    direct = [
        ("g", g, 0),
        ("dY", dY, 1),
        ("0", 0 * g, 1),
        ("n * g", n * g, 1),
        ("g * X_hat", g * X_hat, 2),
    ]
    outer = [
        ("/ std", 1 / std, 0),
        ("", 1 + 0 * std, 1),
        ("/ std ** 2", std**-2, 1),
        ("* gamma / std", case.gamma / std, 1),
        ("* std", std, 2),
        ("/ (n * std)", 1 / std / n, 1),
        ("/ n", 1 / n + 0 * std, 2),
        ("* gamma / (n * std)", case.gamma / std / n, 2),
        ("/ sqrt(var)", 1 / batch.stds["sqrt(var)"], 1),
    ]
    first = [("0", 0 * g, 1), *averages([("g", g, 0), ("dY", dY, 1), ("g * X_hat", g * X_hat, 2)])]
    second = [("0", 0 * g, 1)]
    for name, values, cost in averages(
        [
            ("g * X_hat", g * X_hat, 0),
            ("dY * X_hat", dY * X_hat, 1),
            ("g * X", g * case.X, 1),
            ("g", g, 2),
            ("g * (X - mean)", g * batch.centred, 1),
            ("dY", dY, 2),
            ("X_hat", X_hat, 2),
        ]
    ):
        for hat, by, more in (
            ("X_hat * ", X_hat, 0),
            ("", 1.0, 1),
            ("X * ", case.X, 1),
            ("(X - mean) * ", batch.centred, 1),
            ("-X_hat * ", -X_hat, 1),
            ("2 * X_hat * ", 2 * X_hat, 1),
            ("0.5 * X_hat * ", X_hat / 2, 1),
            ("X_hat ** 2 * ", X_hat**2, 2),
            ("g * X_hat * ", g * X_hat, 2),
        ):
            second.append((f"{hat}{name}", by * values, cost + more))
    flat = np.stack([values.reshape(-1) for _, values, _ in second])
    best, cheapest = "", 6
    bound = EXACT * max(1, np.abs(dX).max())
    for (f, factor, f_cost), (d, ahead, d_cost) in product(outer, direct):
        rest = ahead - dX / factor
        for m, middle, m_cost in first:
            cost = f_cost + d_cost + m_cost
            if cost >= cheapest:
                continue
            left = (rest - middle).reshape(-1)
            hits = np.flatnonzero(abs(flat[:, 0] - left[0]) <= 1e-6)
            for index in hits:
                total = cost + second[index][2]
                if 0 < total < cheapest and np.abs(flat[index] - left).max() <= 10 * bound * max(
                    1, np.abs(1 / factor).max()
                ):
                    cheapest = total
                    best = f"({d} - {m} - {second[index][0]}) {f}".strip()
    if not best:
        return ""
    right = "(g - mean(g) - X_hat * mean(g * X_hat)) / std"
    return (
        f"your numbers are those of dX = {best} with g = gamma * dY. The formula is dX = {right}."
    )
