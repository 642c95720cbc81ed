"""Finds of which quantities a wrong answer is composed: each part of the formula by itself.

An output is factor * (X - mean) / spread + offset. Whatever a student took for each of the four is
sought among the `quantities`, all at once: with the factor, the mean and the offset, the spread
follows from the numbers. So two and three mistakes at once are found as one is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from d2l_bn.checks import quantities
from d2l_bn.checks.cases import Case, close
from d2l_bn.checks.quantities import FUNCTIONS, Quantity, grouped

EXACT = 2e-5
SAMPLE = 8  # values on which a composition is tried first


Instances = Sequence[tuple[Case, np.ndarray]]  # inputs, each with the answer to it


def of_output(instances: Instances, training: bool) -> str:
    """Return the composition that gives these outputs, or "".

    One input may agree with a wrong composition by chance, so with a second, larger one more is
    believed.
    """
    with np.errstate(all="ignore"):
        pools = [_pools(case, training) for case, _ in instances]
        return (
            composed(instances, training, 3, pools)
            or _of_functions(instances, training)
            or _of_values(*instances[0], training)
            or (composed(instances, training, 9, pools) if len(instances) > 1 else "")
            or _of_places(*instances[0], training)
        )


def _right(case: Case, training: bool) -> np.ndarray:
    return case.training() if training else case.prediction()


def _counted(case: Case) -> np.ndarray:
    return np.broadcast_to(np.ones(1) if case.mask is None else case.mask, case.X.shape) == 1


def _pools(case: Case, training: bool) -> tuple[dict[str, Quantity], ...]:
    """What may stand for the factor, the mean, the spread and the offset, by name."""
    found = (
        quantities.factors(case),
        quantities.means(case, training),
        quantities.spreads(case, training),
        quantities.offsets(case, training),
    )
    return tuple({each.words: each for each in pool} for pool in found)


def composed(instances: Instances, training: bool, limit: int, pools: Sequence) -> str:
    """Return the parts, of these pools, that together cost no more than `limit`, or ""."""
    names = [
        [name for name in pools[0][part] if all(name in other[part] for other in pools)]
        for part in range(4)
    ]
    costs = [np.array([pools[0][part][name].cost for name in names[part]]) for part in range(4)]
    sampled: list[list[np.ndarray]] = [[] for _ in range(6)]
    for (case, received), pool in zip(instances, pools):
        if not np.isfinite(received).all():
            return ""
        places = np.argwhere(_counted(case))
        chosen = tuple(places[np.random.RandomState(0).permutation(len(places))[:SAMPLE]].T)
        for part in range(4):
            values = [
                np.broadcast_to(pool[part][n].value, case.X.shape)[chosen] for n in names[part]
            ]
            sampled[part].append(np.stack(values))
        sampled[4].append(case.X[chosen])
        sampled[5].append(received[chosen])
    G, M, D, B = (np.concatenate(each, axis=1) for each in sampled[:4])
    X, Y = np.concatenate(sampled[4]), np.concatenate(sampled[5])
    bound = EXACT * np.maximum(1, abs(Y))
    order = np.argsort(D[:, 0])
    first = D[order, 0], order
    best, cheapest = "", limit + 1
    outer = costs[0][:, None] + costs[3]
    for g, b in sorted(np.ndindex(outer.shape), key=lambda pair: outer[pair]):
        if outer[g, b] >= cheapest:
            break
        top, left = G[g] * (X - M), Y - B[b]
        m, d = _near(top[:, 0], left[0], bound[0], first)
        for one in range(1, len(X)):
            keep = abs(top[m, one] - left[one] * D[d, one]) <= bound[one] * abs(D[d, one])
            m, d = m[keep], d[keep]
        for total, m_, d_ in sorted(zip(outer[g, b] + costs[1][m] + costs[2][d], m, d)):
            if total >= cheapest:
                break
            chosen_names = [names[part][i] for part, i in enumerate((g, m_, d_, b))]
            if total and all(
                _gives(
                    case, received, [pool[part][n] for part, n in enumerate(chosen_names)], training
                )
                for (case, received), pool in zip(instances, pools)
            ):
                best, cheapest = _written(*chosen_names), total
                break
    right = _written(*(pool and next(iter(pool)) for pool in pools[0]))
    return best and f"your numbers are those of {best}. The formula is {right}."


def _near(top: np.ndarray, left: float, bound: float, divisors: tuple) -> tuple:
    """Pairs of indices, of `top` and of the sorted divisors, whose quotient is `left`."""
    values, order = divisors
    ends = np.stack([top / (left - bound), top / (left + bound)])
    start = np.searchsorted(values, ends.min(0), "left")
    stop = np.maximum(np.searchsorted(values, ends.max(0), "right"), start)
    m = np.repeat(np.arange(len(top)), stop - start)
    return m, order[np.concatenate([np.arange(*pair) for pair in zip(start, stop)]).astype(int)]


def _gives(case: Case, received, parts: list[Quantity], training: bool) -> bool:
    """Whether these parts give what was received, and not merely what is right."""
    counted, right = _counted(case), _right(case, training)
    factor, mean, spread, offset = (part.value for part in parts)
    numbers = factor * (case.X - mean) / spread + offset
    error = abs(numbers - received)[counted].max()
    return bool(
        error <= 2 * EXACT * max(1, abs(numbers[counted]).max())
        and error < 0.1 * abs(right - received)[counted].max()
    )


def _written(factor: str, mean: str, spread: str, offset: str) -> str:
    """The formula with these parts, as a student would write it."""
    divisor, _, definition = spread.partition("; ")
    definitions = [definition.replace("v = ", "v is ")] if definition else []
    if mean.startswith("the ") or "average" in mean:
        definitions.insert(0, f"m is {mean}")
        mean = "m"
    line = "X" if mean == "0" else f"(X - {grouped(mean.strip('-'), '-+')})"
    line = line.replace("-", "+", 1) if mean.startswith("-") else line
    line = line if factor == "1" else f"{grouped(factor)} * {line}"
    line = line if divisor == "1" else f"{line} / {divisor}"
    if offset.startswith("-"):
        line += f" - {offset[1:]}"
    elif factor == "0" or offset != "0":
        line = offset if factor == "0" else f"{line} + {offset}"
    where = f", where {' and '.join(definitions)}"
    return f"Y = {line}{where * bool(definitions)}"


def _of_values(case: Case, received, training: bool) -> str:
    """Whether the output is the right one times a number, or plus one."""
    counted = _counted(case)
    Y, right = received[counted], _right(case, training)[counted]
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


def _of_functions(instances: Instances, training: bool) -> str:
    """Whether something is done to X, X_hat or the output that is not in the formula."""
    limits = [limit for case, received in instances for limit in _limits(received[_counted(case)])]
    found = [dict(_misapplied(case, training, limits)) for case, _ in instances]
    for words in found[0]:
        if all(
            _same(case, received, each[words], _right(case, training))
            for (case, received), each in zip(instances, found)
        ):
            m, v = ("mean", "var") if training else ("moving_mean", "moving_var")
            return (
                f"your numbers are those of the right formula, but {words}. It is gamma * X_hat + "
                f"beta with X_hat = (X - {m}) / sqrt({v} + eps), and nothing else."
            )
    return ""


def _same(case: Case, received, numbers, right) -> bool:
    counted = _counted(case)
    numbers = np.broadcast_to(numbers, received.shape)[counted]
    error = abs(numbers - received[counted]).max()
    return bool(
        error <= EXACT * max(1, abs(numbers).max())
        and error < 0.1 * abs(right - received)[counted].max()
    )


def _misapplied(case: Case, training: bool, limits: list) -> Iterator[tuple[str, np.ndarray]]:
    X, gamma, beta = case.X, case.gamma, case.beta
    mean, var = case.moments() if training else (case.mean, case.var)
    std, right = np.sqrt(var + case.eps), _right(case, training)
    X_hat = (X - mean) / std
    for words, function in _functions(limits):
        changed = function(X)
        its = case._replace(X=changed).moments() if training else (mean, var)
        yield f"{words} is applied to the output", function(right)
        yield f"{words} is applied to X_hat", gamma * function(X_hat) + beta
        yield f"{words} is applied to gamma * X_hat", function(gamma * X_hat) + beta
        yield f"{words} is applied to X - mean", gamma * function(X - mean) / std + beta
        yield (
            f"{words} is applied to X first",
            gamma * (changed - its[0]) / np.sqrt(its[1] + case.eps) + beta,
        )
        yield (
            f"{words} is applied to X where the mean is subtracted",
            gamma * (changed - mean) / std + beta,
        )
    yield "X_hat is normalized once more", gamma * _normalized(case, X_hat) + beta
    yield (
        "X_hat is normalized once more, with the mean and the variance of X",
        gamma * (X_hat - mean) / std + beta,
    )
    yield "gamma and beta are applied twice", gamma * right + beta
    yield "gamma multiplies the whole output", gamma * right
    yield "the output is normalized once more", _normalized(case, right)
    yield (
        "the output is normalized once more, with gamma and beta",
        gamma * _normalized(case, right) + beta,
    )
    yield "the output is divided by the standard deviation once more", right / std
    yield "X is added to the output", right + X
    yield "X is subtracted from the output", right - X
    yield "X multiplies the output", right * X
    yield "the mean of X is subtracted from the output", right - mean
    yield "the mean of X is added to the output", right + mean
    yield "the mean of all of X is subtracted from the output", right - X.mean()
    yield "the mean of the output is subtracted from it", right - case.average(right)
    if case.mask is not None:
        yield "the output is divided by the share of the mask", right / np.mean(case.mask)
        yield "the output is multiplied by the share of the mask", right * np.mean(case.mask)


def _normalized(case: Case, values: np.ndarray) -> np.ndarray:
    mean = case.average(values)
    return (values - mean) / np.sqrt(case.average((values - mean) ** 2) + case.eps)


def _limits(Y: np.ndarray) -> list[float]:
    """The extremes of an output, where several values have them."""
    return [
        float(f"{bound:.6g}")
        for bound in (Y.min(), Y.max())
        if (abs(Y - bound) < 1e-6 * max(1, abs(bound))).sum() > 1
    ]


def _functions(limits: list[float]) -> Iterator[tuple]:
    """Yield functions of single values, with their names."""
    yield from FUNCTIONS.items()
    low, high = {-1, 0, -2, -3, -5, -10}, {1, 2, 3, 5, 6, 10}
    both = {*low, *high, *limits}
    for limit in both:
        yield f"minimum(..., {limit:g})", lambda x, limit=limit: np.minimum(x, limit)
        yield f"maximum(..., {limit:g})", lambda x, limit=limit: np.maximum(x, limit)
    for a in sorted({*low, *limits}, key=abs):
        for b in sorted({*high, *limits}, key=abs):
            if a < b:
                yield f"clip(..., {a:g}, {b:g})", lambda x, a=a, b=b: np.clip(x, a, b)


def _of_places(case: Case, received, training: bool) -> str:
    """Whether the right values stand in other places, or only some of them are right."""
    theirs, right = (np.moveaxis(each, 1, case.axis) for each in (received, _right(case, training)))
    both = np.sort(theirs.reshape(-1)), np.sort(right.reshape(-1))
    if close(*both, EXACT):
        for axis in range(theirs.ndim):
            if close(np.flip(theirs, axis), right, EXACT):
                return f"the output is turned round along axis {axis}: what is last comes first."
        return (
            "all values of the output are right, but they stand in other places. A reshape, "
            "transpose or swapaxes isn't undone by its inverse, or is one in place of another."
        )
    if close(theirs, right, 3e-3):
        return ""  # none is right to its last digits
    wrong = ~np.isclose(theirs, right, atol=EXACT * max(1, abs(right).max()), rtol=0)
    for axis in range(theirs.ndim):
        rest = tuple(other for other in range(theirs.ndim) if other != axis)
        some = wrong.any(rest)
        if some.any() and not some.all():
            which = np.flatnonzero(some).tolist()
            what = _content(
                case,
                np.compress(some, theirs, axis),
                np.compress(some, np.moveaxis(case.X, 1, case.axis), axis),
            )
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


def of_average(instances: Instances, which: int) -> str:
    """Return the composition that gives this moving mean (`which` 0) or variance (1), or ""."""
    with np.errstate(all="ignore"):
        return _average(instances, which)


def _average(instances: Instances, which: int) -> str:
    name, new = (("moving_mean", "mean"), ("moving_var", "var"))[which]
    right = f"The formula is {name} = momentum * {name} + (1 - momentum) * {new}."
    for case, received in instances:
        if received.shape != case.mean.shape or not np.isfinite(received).all():
            return ""
    target = np.concatenate([received.reshape(-1) for _, received in instances])
    bound = EXACT * np.maximum(1, abs(target))
    whole = np.concatenate(
        [
            case.moving((case.mean, case.var)[which], case.moments()[which]).ravel()
            for case, _ in instances
        ]
    )
    for words, function in (
        ("the root", np.sqrt),
        ("the square", np.square),
        ("the negative", np.negative),
        ("the absolute value", np.abs),
    ):
        if (abs(function(whole) - target) <= bound).all():
            return f"{words} of the right value is what you return or keep. {right}"
    olds, news = (
        _shared([source(case, which) for case, _ in instances]) for source in (_olds, _news)
    )
    weights = _shared([_weights(case) for case, _ in instances])
    N = np.stack([values for _, values, _ in news])
    # Few numbers agree with many compositions, so only a simple one is believed of them.
    believed = 9 if len(instances) > 1 else {1: 0, 2: 2}.get(len(target), 6)
    best, cheapest = "", believed
    for p_words, p, p_cost in weights:
        for old_words, old, old_cost in olds:
            rest = target - p * old
            for q_words, q, q_cost in weights:
                cost = p_cost + q_cost + old_cost + 2 * (p_words == q_words)
                cost += (p_words != "momentum") + (q_words != "(1 - momentum)")
                if cost >= cheapest:
                    continue
                for index in np.flatnonzero((abs(q * N - rest) <= bound).all(1)):
                    total = cost + news[index][2]
                    if 0 < total < cheapest:
                        cheapest = total
                        best = _sum(name, p_words, old_words, q_words, news[index][0])
    if not best:
        return ""
    return f"your numbers are those of {best}. {right}"


def _shared(found: list[list[Quantity]]) -> list[tuple[str, np.ndarray, int]]:
    """The quantities that all inputs have, with their values one after the other."""
    named = [{each.words: each for each in pool} for pool in found]
    return [
        (
            each.words,
            np.concatenate([pool[each.words].value.reshape(-1) for pool in named]),
            each.cost,
        )
        for each in found[0]
        if all(each.words in pool for pool in named)
    ]


_WEIGHTS = {
    0: "momentum; (1 - momentum)",
    1: "1; 0; (1 - momentum) * everything(mask); (1 - (1 - momentum) * everything(mask))",
    2: "momentum ** 2; (1 - momentum ** 2); (1 - momentum) ** 2; momentum * (1 - momentum); "
    "-momentum; (momentum - 1); 1 / (1 - momentum); 0.9; 0.1; 0.99; 0.01; 0.999; 0.001; 0.95; "
    "0.05; 0.5; 2; -1",
    3: "(1 + momentum); (2 - momentum); momentum / (1 - momentum); 1 / momentum; eps; (1 - eps)",
}
_OLDS = {
    0: "{own}",
    2: "moving_mean; moving_var; sqrt({own}); new_moving_mean",
    3: "{own} ** 2; mean; var",
}


def _weights(case: Case) -> list[Quantity]:
    """What may weigh the old average or the batch's."""
    return list(quantities.evaluated(_WEIGHTS, case))


def _olds(case: Case, which: int) -> list[Quantity]:
    """What may stand for the old average."""
    own = ("moving_mean", "moving_var")[which]
    table = {cost: words.replace("{own}", own) for cost, words in _OLDS.items()}
    return quantities.unlike(quantities.evaluated(table, case))


def _news(case: Case, which: int) -> list[Quantity]:
    """What may stand for the batch's mean or variance."""
    sources = [quantities.variances, quantities.means, quantities.spreads]
    if which == 0:
        sources = [quantities.means, quantities.spreads]
    found = [
        each._replace(cost=each.cost + 2 * bool(level))
        for level, source in enumerate(sources)
        for each in source(case)
        if each.value.size == case.mean.size
    ]
    mean, var = case.moments()
    for words, values in (
        ("the output", case.training()),
        ("X_hat", (case.X - mean) / np.sqrt(var + case.eps)),
        ("X - mean", case.X - mean),
    ):
        own = case.average(values)
        found.append(Quantity(f"the mean of {words}", own, 2))
        found.append(Quantity(f"the variance of {words}", case.average((values - own) ** 2), 2))
    found.append(Quantity("1", np.ones_like(mean), 3))
    found.append(Quantity("(var + eps)", var + case.eps, 2))
    return quantities.unlike(found)


def _sum(name: str, p: str, old: str, q: str, new: str) -> str:
    new, _, definition = new.partition("; ")
    if new.startswith("the ") or "average" in new:
        new, definition = "v", f"v = {new}"
    where = f", where {definition.replace('v = ', 'v is ')}" if definition else ""
    terms = [
        term if weight == "1" else f"{weight} * {term}"
        for weight, term in ((p, old), (q, quantities.grouped(new)))
        if weight != "0"
    ]
    return f"{name} = {' + '.join(terms) or '0'}{where}"
