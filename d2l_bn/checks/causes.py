"""From wrong numbers to their cause: the slots of the answer, the search, the words.

`instances` are inputs, each with what was received for it, the channels at axis 1. The first is
what the student reads; the others confirm.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Optional

import numpy as np

from d2l_bn.checks import leftover, phrases, slots
from d2l_bn.checks.cases import Case
from d2l_bn.checks.grammar import FUNCTIONS, grouped
from d2l_bn.checks.phrases import Cause
from d2l_bn.checks.slots import Part, Pools
from d2l_bn.checks.solve import FLOAT32, Search

Instances = Sequence[tuple[Case, np.ndarray]]
_NAMES = ("gamma", "the mean", "the variance", "beta")
# Slips that are in one slot alone, but show in the mean and, around it, in the variance.
_STATISTICS = ("mean", "axes", "n", "input", "mask", "some", "rows", "sum")


def right(case: Case, training: bool) -> np.ndarray:
    """The right output."""
    return case.training() if training else case.prediction()


def counted(case: Case) -> np.ndarray:
    """Which places of the output count."""
    return np.broadcast_to(np.ones(1) if case.mask is None else case.mask, case.X.shape) == 1


def same(received: np.ndarray, numbers, case: Case, training: bool) -> bool:
    """Whether these are the numbers received, and not merely near the right ones."""
    numbers, expected = np.broadcast_to(numbers, received.shape), right(case, training)
    error = abs(numbers - received).max()
    return bool(
        error <= 2 * FLOAT32 * max(1, abs(numbers).max())
        and error < 0.1 * abs(expected - received).max()
    )


def of_output(
    instances: Instances, training: bool, where: str = "", pools: Optional[list[Pools]] = None
) -> Cause:
    """The cause of wrong outputs, or what they say of themselves."""
    instances = [each for each in instances if np.isfinite(each[1]).all()]
    if not instances:
        return Cause()
    words = dict(zip("mv", ("mean", "var") if training else ("moving_mean", "moving_var")))
    n = "the number of values of a channel"
    n = n if instances[0][0].mask is None else "the sum of the mask"
    M, V = ("the mean", "the variance") if training else ("moving_mean", "moving_var")
    words.update(M=M, V=V, where=where, n=n)
    with np.errstate(all="ignore"):
        return (
            _of_mask(instances, training, words)
            or _composed(instances, training, words, pools)
            or leftover.of_output(*instances[0], training)
        )


def _of_mask(instances: Instances, training: bool, words: dict[str, str]) -> Cause:
    """Whether another mask, or none, explains all."""
    if instances[0][0].mask is None:
        return Cause()
    each_has = [dict(_other_masks(case, training)) for case, _ in instances]
    for name in each_has[0]:
        if all(
            name in found and same(received, found[name], case, training)
            for (case, received), found in zip(instances, each_has)
        ):
            return _said(phrases.OUTPUT, [_bare(name)], words)
    return Cause()


def _other_masks(case: Case, training: bool) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the outputs for a mask that is used wrongly, with their labels."""
    plain = case._replace(mask=None)
    mean, var = case.moments() if training else (case.mean, case.var)
    Y, mask = plain.output(mean, var), np.broadcast_to(case.mask, case.X.shape)
    for label, padding in _paddings(case, Y):
        yield label, np.where(mask, Y, padding)
    yield "mask: reversed, in the output", (1 - mask) * Y
    for name, weights in _masks(case):
        count = weights.sum() / case.X.shape[1] if name == "reversed" else case.size
        if count:
            own = (weights * case.X).sum(case.axes, keepdims=True) / count
            around = (weights * (case.X - own) ** 2).sum(case.axes, keepdims=True) / count
            yield f"mask: {name}", weights * plain.output(own, around)
        yield f"mask: {name.split(' ')[0]}, in the output {name}", weights * Y


def _bare(name: str) -> str:
    name = name.split(", ")[0]
    return name[:-2] if name.startswith("mask: spread ") else name


def _paddings(case: Case, Y: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Yield what may stand where the mask is 0, if `Y` is the output without a mask."""
    yield from (("padding: not 0", Y), ("padding: beta", case.beta + 0 * Y), ("padding: X", case.X))


def _masks(case: Case) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the mask turned round, or spread over the wrong axes."""
    X, mask = np.moveaxis(case.X, 1, -1), np.asarray(case.mask)[:, 0]
    yield "reversed", np.broadcast_to(1 - case.mask, case.X.shape)
    for number, spread in enumerate((mask[None], mask[:, None], mask.T[:, :, None], mask.T[None])):
        try:
            yield f"spread {number}", np.moveaxis(np.broadcast_to(spread, X.shape), -1, 1)
        except ValueError:
            continue


def _composed(
    instances: Instances, training: bool, words: dict[str, str], pools: Optional[list[Pools]]
) -> Cause:
    """Whether slips in the slots explain it, or something is done that is not in the formula."""
    pools = pools or [slots.output(case, training) for case, _ in instances]
    search = Search(pools, [Y for _, Y in instances], [counted(case) for case, _ in instances])
    parts = search.best(2)
    if not parts or (len(_keys(parts)) > 1 and not _explained(parts, training, words)):
        after = _after(instances, training)
        if after:
            return Cause(_AFTER.format(after=after, **words), f"after: {after}")
    parts = parts or (search.best(4) if len(instances) > 1 else None)
    if not parts:
        return Cause()
    labels = labels_of(parts, training)[0]
    formula = written(parts)
    said = _explained(parts, training, words)
    said = said or _NUMBERS.format(theirs=formula, ours=written(_rights(pools[0])))
    padding = _padding(instances, pools, parts)
    label = " & ".join(sorted([*labels, *filter(None, [padding])]))
    also = phrases.sentence(phrases.OUTPUT, padding, **words) if padding else ""
    return Cause(f"{said} Also, {also}" if also else said, label)


_NUMBERS = "your numbers are those of {theirs}. The formula is {ours}."
_AFTER = (
    "your numbers are those of the right formula, but {after}. It is gamma * X_hat + beta with "
    "X_hat = (X - {m}) / sqrt({v} + eps), and nothing else."
)


def _said(table: dict[str, str], labels: list[str], words: dict[str, str]) -> Cause:
    return Cause(phrases.explained(table, labels, **words), " & ".join(sorted(labels)))


def _keys(parts: tuple[Part, ...]) -> frozenset[str]:
    return frozenset().union(*(part.keys for part in parts))


def _explained(parts: tuple[Part, ...], training: bool, words: dict[str, str]) -> str:
    """The sentences for these parts of an output, or ""."""
    labels, which = labels_of(parts, training)
    are = "are" if " and " in which else "is"
    return phrases.explained(phrases.OUTPUT, labels, which=which, are=are, **words)


def _rights(pools: Pools) -> tuple[Part, ...]:
    return tuple(pool[0] for pool in pools)


def labels_of(parts: tuple[Part, ...], training: bool) -> tuple[list[str], str]:
    """The labels of the slips in these parts of an output, and which slots the last has."""
    found, which = [], ""
    for key in sorted(_keys(parts)):
        held = [key in part.keys for part in parts]
        which = " and ".join(name for name, has in zip(_NAMES, held) if has)
        which = which.replace(" and ", ", ", which.count(" and ") - 1)
        prefix = ""
        shown = key.split(": ")[0] in _STATISTICS if training else key.startswith("share")
        if shown and held[1] != held[2]:
            prefix = "subtracted " if held[1] else "variance "
        found.append(prefix + key)
    return found, which


def _padding(instances: Instances, pools: Sequence[Pools], parts: tuple[Part, ...]) -> str:
    """The label of what stands where the mask is 0, if these parts stand where it is 1."""
    case, received = instances[0]
    if case.mask is None or not np.any(received[~counted(case)]):
        return ""
    factor, centred, spread, offset = (part.value for part in parts)
    Y, out = factor * centred / spread + offset, ~counted(case)
    for label, padding in _paddings(case, np.broadcast_to(Y, received.shape)):
        if np.allclose(padding[out], received[out], 1e-3, 1e-3):
            return label
    return "padding: not 0"


def written(parts: tuple[Part, ...]) -> str:
    """The formula of an output with these parts, as a student would write it."""
    factor, mean, spread, offset = (part.words for part in parts)
    divisor, _, definition = spread.partition("; ")
    definition, around, _ = definition.partition(", m = ")
    definitions = [definition.replace("v = ", "v is ")] if definition else []
    if mean.startswith("the ") or len(mean) > 24 or around:
        definitions.insert(0, f"m is {mean}")
        mean = "m"
    line = "X" if mean == "0" else f"(X - {grouped(mean.strip('-'), '-+')})"
    line = line.replace("-", "+", 1) if mean.startswith("-") else line
    line = line if factor == "1" else f"{grouped(factor)} * {line}"
    line = line if divisor == "1" else f"{line} / {grouped(divisor)}"
    if offset.startswith("-"):
        line += f" - {offset[1:]}"
    elif factor == "0" or offset != "0":
        line = offset if factor == "0" else f"{line} + {offset}"
    where = f", where {' and '.join(definitions)}"
    return f"Y = {line}{where * bool(definitions)}"


def _after(instances: Instances, training: bool) -> str:
    """What is done to X, X_hat or the output that is not in the formula, or ""."""
    limits = [each for case, Y in instances for each in _limits(Y[counted(case)])]
    found = [dict(_misapplied(case, training, limits)) for case, _ in instances]
    for words in found[0]:
        if all(
            _fits(case, Y, numbers[words], training) for (case, Y), numbers in zip(instances, found)
        ):
            return words
    return ""


def _fits(case: Case, Y: np.ndarray, numbers, training: bool) -> bool:
    masked = np.where(counted(case), np.broadcast_to(numbers, Y.shape), Y)
    return same(Y, masked, case, training)


def _limits(Y: np.ndarray) -> list[float]:
    """The extremes of an output, where several values have them."""
    return [
        float(f"{bound:.6g}")
        for bound in (Y.min(), Y.max())
        if (abs(Y - bound) < 1e-6 * max(1, abs(bound))).sum() > 1
    ]


def _misapplied(case: Case, training: bool, limits: list) -> Iterator[tuple[str, np.ndarray]]:
    X, gamma, beta = case.X, case.gamma, case.beta
    mean, var = case.moments() if training else (case.mean, case.var)
    std, Y = np.sqrt(var + case.eps), right(case, training)
    X_hat = (X - mean) / std
    for words, function in _functions(limits):
        changed = function(X)
        its = case._replace(X=changed).moments() if training else (mean, var)
        for what, values in (
            ("the output", function(Y)),
            ("X_hat", gamma * function(X_hat) + beta),
            ("gamma * X_hat", function(gamma * X_hat) + beta),
            ("X - mean", gamma * function(X - mean) / std + beta),
            ("X first", gamma * (changed - its[0]) / np.sqrt(its[1] + case.eps) + beta),
            ("X where the mean is subtracted", gamma * (changed - mean) / std + beta),
        ):
            yield f"{words} is applied to {what}", values
    once_more = _normalized(case, Y)
    yield "X_hat is normalized once more", gamma * _normalized(case, X_hat) + beta
    yield "X_hat is normalized once more, by X's statistics", gamma * (X_hat - mean) / std + beta
    yield "gamma and beta are applied twice", gamma * Y + beta
    yield "gamma multiplies the whole output", gamma * Y
    yield "the output is normalized once more", once_more
    yield "the output is normalized once more, with gamma and beta", gamma * once_more + beta
    yield "the output is divided by the standard deviation once more", Y / std
    for words, values in (
        ("X", X),
        ("the mean of X", mean),
        ("the mean of all of X", X.mean()),
        ("the mean of the output", case.average(Y)),
    ):
        yield f"{words} is added to the output", Y + values
        yield f"{words} is subtracted from the output", Y - values
    yield "X multiplies the output", Y * X
    if case.mask is not None:
        yield "the output is divided by the share of the mask", Y / np.mean(case.mask)
        yield "the output is multiplied by the share of the mask", Y * np.mean(case.mask)


def _normalized(case: Case, values: np.ndarray) -> np.ndarray:
    mean = case.average(values)
    return (values - mean) / np.sqrt(case.average((values - mean) ** 2) + case.eps)


def _functions(limits: list[float]) -> Iterator[tuple]:
    """Yield functions of single values, with their names."""
    yield from FUNCTIONS.items()
    low, high = {-1, 0, -2, -3, -5, -10, *limits}, {1, 2, 3, 5, 6, 10, *limits}
    for limit in sorted(low | high):
        yield f"minimum(..., {limit:g})", lambda x, limit=limit: np.minimum(x, limit)
        yield f"maximum(..., {limit:g})", lambda x, limit=limit: np.maximum(x, limit)
    for a in sorted(low, key=abs):
        for b in sorted(high, key=abs):
            if a < b:
                yield f"clip(..., {a:g}, {b:g})", lambda x, a=a, b=b: np.clip(x, a, b)


def of_average(instances: Instances, which: int, where: str = "") -> Cause:
    """The cause of wrong moving means (`which` 0) or variances (1), or what they say."""
    own, other = ("moving_mean", "moving_var")[:: -1 if which else 1]
    new, word = (("mean", "mean"), ("var", "variance"))[which]
    instances = [
        each for each in instances
        if each[1].shape == each[0].mean.shape and np.isfinite(each[1]).all()
    ]  # fmt: skip
    if not instances:
        return Cause()
    n = "the number of values of a channel"
    n = n if instances[0][0].mask is None else "the sum of the mask"
    words = dict(own=own, other=other, new=new, word=word, where=where, n=n)
    with np.errstate(all="ignore"):
        pools = [slots.average(case, which) for case, _ in instances]
        received = [each for _, each in instances]
        search = Search(pools, received, [np.ones(each.shape) for each in received])
        few = sum(each.size for each in received) < 3
        parts = search.best(1 if few else 3 if len(instances) > 1 else 2)
    if not parts:
        case, received = instances[0]
        return leftover.of_average(case, own, received, which)
    labels = [f"{own}, {label}" for label in _average_labels(parts)]
    said = phrases.explained(phrases.AVERAGE, labels, **words)
    ours = f"{own} = momentum * {own} + (1 - momentum) * {new}"
    said = said or _NUMBERS.format(theirs=_sum(own, parts), ours=ours)
    return Cause(said, " & ".join(sorted(labels)))


def _average_labels(parts: tuple[Part, ...]) -> list[str]:
    _, _, weight, before = parts
    found = []
    for key in sorted(_keys(parts)):
        if key.startswith("swapped: ") and (key in parts[1].keys) != (key in before.keys):
            other = key.split(": ")[1]
            key = f"old: {other}" if key in before.keys else f"new: {other[7:]}"
        held = key in weight.keys | parts[1].keys
        if key.startswith("momentum: ") and held != (key in before.keys):
            slot = "new weight: " + weight.words
            if key in before.keys:
                slot = "old weight: " + key.split(": ")[1]
            key = slot
        found.append(key)
    return found


def _sum(name: str, parts: tuple[Part, ...]) -> str:
    _, new, weight, before = parts
    value, definition = new.words, ""
    if value.startswith("the ") or len(value) > 24:
        value, definition = "v", f", where v is {value}"
    terms = [before.words.removeprefix("1 * ")] if before.words else []
    if value != "0":
        value = grouped(value)
        terms.append(value if weight.words == "1" else f"{weight.words} * {value}")
    return f"{name} = {' + '.join(terms) or '0'}{definition}"
