"""Finds of which quantities a wrong answer is composed: each part of the formula by itself.

An output is factor * (X - mean) / spread + offset. Whatever a student took for each of the four is
sought among the `quantities`, all at once: with the factor, the mean and the offset, the spread
follows from the numbers. So two and three mistakes at once are found as one is.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from d2l_bn.checks import quantities
from d2l_bn.checks.cases import Case, close
from d2l_bn.checks.quantities import FUNCTIONS, Quantity

EXACT = 5e-5
SAMPLE = 12  # values on which a composition is tried first


def of_output(case: Case, received: np.ndarray, training: bool) -> str:
    """Return the composition that gives this output, or ""."""
    expected = case.training() if training else case.prediction()
    with np.errstate(all="ignore"):
        return (
            _composed(case, received, expected, training)
            or _of_values(case, received, expected)
            or _of_functions(case, received, expected, training)
            or _of_places(case, received, expected)
        )


def _counted(case: Case) -> np.ndarray:
    return np.broadcast_to(np.ones(1) if case.mask is None else case.mask, case.X.shape) == 1


def _composed(case: Case, received, expected, training: bool) -> str:
    counted = _counted(case)
    wrong = counted & (abs(received - expected) > EXACT * np.maximum(1, abs(expected)))
    if not wrong.any() or not np.isfinite(received).all():
        return ""
    places = np.argwhere(counted)
    rng = np.random.RandomState(0)
    places = places[rng.permutation(len(places))[:SAMPLE]].T

    def stacked(found: list[Quantity]) -> np.ndarray:
        return np.stack([np.broadcast_to(e.value, case.X.shape)[tuple(places)] for e in found])

    pools = (
        quantities.factors(case),
        quantities.means(case, training),
        quantities.spreads(case, training),
        quantities.offsets(case, training),
    )
    G, M, D, B = map(stacked, pools)
    X, Y = case.X[tuple(places)], received[tuple(places)]
    bound = EXACT * np.maximum(1, abs(Y))
    best, cheapest = None, 99
    pairs = sorted(
        ((g, b) for g in range(len(G)) for b in range(len(B))),
        key=lambda pair: pools[0][pair[0]].cost + pools[3][pair[1]].cost,
    )
    for g, b in pairs:
        cost_here = pools[0][g].cost + pools[3][b].cost
        if cost_here >= min(cheapest, 6):
            break
        top = G[g] * (X - M)  # (means, sample)
        left = Y - B[b]
        near = abs(top[:, None, 0] - left[0] * D[None, :, 0]) <= bound[0] * abs(D[None, :, 0])
        m, d = np.nonzero(near)
        for one in range(1, top.shape[1]):
            keep = abs(top[m, one] - left[one] * D[d, one]) <= bound[one] * abs(D[d, one])
            m, d = m[keep], d[keep]
        for m_, d_ in zip(m, d):
            cost = cost_here + pools[1][m_].cost + pools[2][d_].cost
            if cost < cheapest:
                chosen = [pool[i] for pool, i in zip(pools, (g, m_, d_, b))]
                numbers = chosen[0].value * (case.X - chosen[1].value) / chosen[2].value
                numbers = numbers + chosen[3].value
                error = abs(numbers - received)[counted].max()
                if error <= 2 * EXACT * max(1, abs(numbers[counted]).max()) and (
                    error < 0.05 * abs(received - expected)[counted].max()
                ):
                    best, cheapest = chosen, cost
    return "" if best is None or cheapest == 0 else _written(*best, case, training)


def _written(factor, mean, spread, offset, case: Case, training: bool) -> str:
    """The formula with these parts, as a student would write it."""
    spread_words, _, definition = spread.words.partition("; ")
    definitions = [definition] if definition else []
    m = mean.words
    if m.startswith("the "):
        definitions.insert(0, f"m = {m}")
        m = "m"
    m = f"({m})" if " " in m and not m.startswith("(") else m
    difference = "X" if m == "0" else f"(X - {m})".replace("- -", "+ ")
    line = difference if factor.words == "1" else f"{factor.words} * {difference}"
    if spread_words != "1":
        line += f" / {spread_words}"
    if factor.words == "0":
        line = offset.words
    elif offset.words.startswith("-"):
        line += f" - {offset.words[1:]}"
    elif offset.words != "0":
        line += f" + {offset.words}"
    right = "gamma * (X - {0}mean) / sqrt({0}var + eps) + beta".format("" if training else "moving_")
    where = f", where {' and '.join(definitions)}".replace("m = ", "m is ").replace("v = ", "v is ")
    where = where if definitions else ""
    return f"your numbers are those of Y = {line}{where}. The formula is Y = {right}."


def _of_values(case: Case, received, expected) -> str:
    """Whether the output is the right one times a number, or plus one."""
    counted = _counted(case)
    Y, right = received[counted], expected[counted]
    basis = np.stack([right, np.ones_like(right)], axis=1)
    (a, b), *_ = np.linalg.lstsq(basis, Y, rcond=None)
    if len(Y) < 5 or np.ptp(right) == 0 or not np.isfinite([a, b]).all() or abs(a) < 1e-6:
        return ""
    if np.abs(basis @ [a, b] - Y).max() > EXACT * max(1, abs(Y).max()):
        return ""
    if abs(b) < 1e-3:
        return f"your output is {a:.4g} times the right one, everywhere."
    if abs(a - 1) < 1e-3:
        return f"your output is the right one plus {b:.4g}, everywhere."
    return f"your output is {a:.4g} times the right one plus {b:.4g}, everywhere."


def _of_functions(case: Case, received, expected, training: bool) -> str:
    """Whether a function of single values is applied where none belongs."""
    counted = _counted(case)
    Y = received[counted]
    mean, var = case.moments() if training else (case.mean, case.var)
    m, v = ("mean", "var") if training else ("moving_mean", "moving_var")
    X_hat = (case.X - mean) / np.sqrt(var + case.eps)
    formula = f"gamma * X_hat + beta, where X_hat is (X - {m}) / sqrt({v} + eps)"

    def same(numbers) -> bool:
        numbers = np.broadcast_to(numbers, expected.shape)[counted]
        return bool(
            np.isfinite(numbers).all()
            and abs(numbers - Y).max() <= EXACT * max(1, abs(numbers).max())
        )

    for words, function in _functions(received, case, X_hat):
        changed = function(case.X)
        own_mean, own_var = case._replace(X=changed).moments() if training else (mean, var)
        own = case.gamma * (changed - own_mean) / np.sqrt(own_var + case.eps) + case.beta
        for argument, numbers in (
            ("the output", function(expected)),
            ("X_hat", case.gamma * function(X_hat) + case.beta),
            ("gamma * X_hat", function(case.gamma * X_hat) + case.beta),
            ("X before anything else", own),
            (
                "X where the mean is subtracted",
                case.gamma * (changed - mean) / np.sqrt(var + case.eps) + case.beta,
            ),
        ):
            if same(numbers):
                return (
                    f"your numbers are those of {words} applied to {argument}. No such thing is "
                    f"in the formula: {formula}."
                )
    again_mean, again_var = case.average(X_hat), case.average((X_hat - case.average(X_hat)) ** 2)
    Y_mean = case.average(expected)
    for words, numbers in (
        (
            "X_hat is normalized once more, with a mean and a variance of its own",
            case.gamma * (X_hat - again_mean) / np.sqrt(again_var + case.eps) + case.beta,
        ),
        ("X_hat is normalized once more with the same mean and variance",
            case.gamma * (X_hat - mean) / np.sqrt(var + case.eps) + case.beta),
        ("gamma and beta are applied twice", case.gamma * (case.gamma * X_hat + case.beta) + case.beta),
        (
            "the output is normalized once more, with a mean and a variance of its own",
            (expected - Y_mean)
            / np.sqrt(case.average((expected - Y_mean) ** 2) + case.eps),
        ),
        ("the output is divided by the standard deviation once more",
            expected / np.sqrt(var + case.eps)),
        ("X is added to the output", expected + case.X),
        ("X multiplies the output", expected * case.X),
        ("gamma multiplies the whole output", case.gamma * expected),
        ("the mean of X is subtracted from the output", expected - mean),
        ("the mean of all values of X is subtracted from the output", expected - case.X.mean()),
        ("the mean of the output is subtracted", expected - Y_mean),
        ("the input is subtracted from the output", expected - case.X),
        ("the mask multiplies nothing, but divides by its mean", expected * (1 if case.mask is None else 1 / np.mean(case.mask))),
    ):
        if same(numbers):
            return f"{words}. The formula is {formula}."
    return ""


def _functions(received: np.ndarray, case: Case, X_hat: np.ndarray) -> Iterator[tuple]:
    """Yield functions of single values, clipping at what the extremes of the output show."""
    for name, function in FUNCTIONS.items():
        yield name, function
    counted = _counted(case)
    Y = received[counted]
    limits = {-1.0, 0.0, 1.0, -2.0, 2.0, -3.0, 3.0, 5.0, -5.0, 6.0, 10.0, -10.0, 1e-5, case.eps, 255.0}
    for bound in (Y.min(), Y.max()):
        if (abs(Y - bound) < 1e-6 * max(1, abs(bound))).sum() > 1:
            limits.add(float(f"{bound:.6g}"))
    for limit in sorted(limits, key=abs):
        yield f"minimum(..., {limit:g})", lambda x, limit=limit: np.minimum(x, limit)
        yield f"maximum(..., {limit:g})", lambda x, limit=limit: np.maximum(x, limit)
    for low in sorted(limits, key=abs):
        for high in sorted(limits, key=abs):
            if low < high:
                yield (
                    f"clip(..., {low:g}, {high:g})",
                    lambda x, low=low, high=high: np.clip(x, low, high),
                )


def _of_places(case: Case, received, expected) -> str:
    """Whether the right values stand in other places, or only some of them are right."""
    theirs, right = (np.moveaxis(each, 1, case.axis) for each in (received, expected))
    both = np.sort(theirs.reshape(-1)), np.sort(right.reshape(-1))
    if close(*both, EXACT):
        for axis in range(theirs.ndim):
            if close(np.flip(theirs, axis), right, EXACT):
                return f"the output is turned round along axis {axis}: what is last comes first."
        return (
            "all values of the output are right, but they stand in other places. A reshape, "
            "transpose or swapaxes isn't undone by its inverse, or is one in place of another."
        )
    wrong = ~np.isclose(theirs, right, atol=1e-4 * max(1, abs(right).max()), rtol=0)
    for axis in range(theirs.ndim):
        rest = tuple(other for other in range(theirs.ndim) if other != axis)
        some, every = wrong.any(rest), (wrong | (abs(theirs - right) < 1e-3)).all(rest)
        if some.any() and not some.all():
            which = np.flatnonzero(some).tolist()
            what = _content(case, np.compress(some, theirs, axis), np.compress(
                some, np.moveaxis(case.X, 1, case.axis), axis))
            index = ":, " * axis
            return (
                f"the output is right but for Y[{index}i] with i in {which}, along axis {axis}"
                f"{what}."
            )
    return ""


def _content(case: Case, values, inputs) -> str:
    if close(values, 0 * values):
        return ", where it is 0"
    if close(values, inputs):
        return ", where it is X"
    return ""


def of_average(case: Case, which: int, received: np.ndarray) -> str:
    """Return the composition that gives this moving mean (`which` 0) or variance (1), or ""."""
    with np.errstate(all="ignore"):
        return _average(case, which, received)


def _average(case: Case, which: int, received: np.ndarray) -> str:
    name, other = ("moving_mean", "moving_var")[:: 1 - 2 * which]
    own = (case.mean, case.var)[which]
    right = case.moving(own, case.moments()[which])
    if received.shape != own.shape or not np.isfinite(received).all() or received.size < 3:
        return ""
    flat = lambda found: [each for each in found if each.value.size == received.size]  # noqa: E731
    p = case.momentum
    weights = {
        "momentum": (p, 0), "(1 - momentum)": (1 - p, 0), "": (1.0, 1), "0": (0.0, 1),
        "(1 + momentum)": (1 + p, 3), "momentum ** 2": (p**2, 2),
        "(1 - momentum ** 2)": (1 - p**2, 2), "(1 - momentum) ** 2": ((1 - p) ** 2, 2),
        "momentum * (1 - momentum)": (p * (1 - p), 2), "(2 - momentum)": (2 - p, 3),
        "-momentum": (-p, 2), "-(1 - momentum)": (p - 1, 2), "(momentum - 1)": (p - 1, 3),
        "1 / (1 - momentum)": (1 / (1 - p), 2), "momentum / (1 - momentum)": (p / (1 - p), 3),
        "eps": (case.eps, 3), "(1 - eps)": (1 - case.eps, 3),
        **{f"{n:g}": (n, 2) for n in (0.9, 0.1, 0.99, 0.01, 0.999, 0.001, 0.5, 2, -1, 0.95, 0.05)},
    }  # fmt: skip
    olds = [
        Quantity(name, own, 0), Quantity(other, (case.mean, case.var)[1 - which], 2),
        Quantity(f"sqrt({name})", quantities._root(own), 2), Quantity(f"{name} ** 2", own**2, 3),
        Quantity("new_moving_mean", case.moving(case.mean, case.moments()[0]), 2),
    ]  # fmt: skip
    sources = (quantities.means, quantities.spreads) if which == 0 else (quantities.variances, quantities.means, quantities.spreads)
    news: list[Quantity] = []
    for level, source in enumerate(sources):
        news += [
            each._replace(cost=each.cost + 2 * bool(level)) for each in flat(source(case))
        ]
    mean, var = case.moments()
    Y = case.training()
    for words, values in (
        ("the output", Y), ("X_hat", (case.X - mean) / np.sqrt(var + case.eps)), ("(X - mean)", case.X - mean),
    ):  # fmt: skip
        its_mean = case.average(values)
        news.append(Quantity(f"the mean of {words}", its_mean, 2))
        news.append(Quantity(f"the variance of {words}", case.average((values - its_mean) ** 2), 2))
    news.append(Quantity("1", np.ones_like(own), 3))
    news.append(Quantity("(var + eps)", var + case.eps, 2))
    news = quantities.unlike(news)
    target = received.reshape(-1)
    N = np.stack([each.value.reshape(-1) for each in news])
    best, cheapest = "", 99
    for p_words, (p_, p_cost) in weights.items():
        for old in olds:
            rest = target - p_ * old.value.reshape(-1)
            for q_words, (q, q_cost) in weights.items():
                cost = p_cost + q_cost + old.cost
                cost += 2 * (p_words == q_words) + (p_words != "momentum") + (q_words != "(1 - momentum)")
                if cost >= min(cheapest, 9):
                    continue
                near = (abs(q * N - rest) <= EXACT * np.maximum(1, abs(target))).all(1)
                for index in np.flatnonzero(near):
                    total = cost + news[index].cost
                    if total < cheapest and total > 0:
                        cheapest = total
                        best = _sum(name, p_words, p_, old.words, q_words, q, news[index].words)
    if not best or close(received, right, EXACT):
        return ""
    new = ("mean", "var")[which]
    return (
        f"your numbers are those of {best}. The formula is {name} = momentum * {name} + "
        f"(1 - momentum) * {new}."
    )


def _sum(name, p_words, p, old, q_words, q, new) -> str:
    new, _, definition = new.partition("; ")
    where = f", where {definition.replace('v = ', 'v is ')}" if definition else ""
    if new.startswith("the "):
        where, new = f", where v is {new}", "v"
    first = "" if p == 0 else old if not p_words else f"{p_words} * {old}"
    then = "" if q == 0 else new if not q_words else f"{q_words} * {new}"
    return f"{name} = {' + '.join(filter(None, (first, then))) or '0'}{where}"
