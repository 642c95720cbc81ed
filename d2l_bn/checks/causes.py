"""From wrong numbers to their cause: the slots of the answer, the search, the words.

`instances` are inputs, each with what was received for it, the channels at axis 1. The first is
what the student reads; the others confirm.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any, Optional

import numpy as np

from d2l_bn.checks import grammar, leftover, phrases, slots
from d2l_bn.checks.cases import Case
from d2l_bn.checks.grammar import FUNCTIONS, grouped
from d2l_bn.checks.phrases import Cause
from d2l_bn.checks.slots import Part, Pools
from d2l_bn.checks.solve import FLOAT32, Search

Instances = Sequence[tuple[Case, np.ndarray]]
_NAMES = ("gamma", "the mean", "the variance", "beta")
# Slips that are in one slot alone, but show in the mean and, around it, in the variance.
_STATISTICS = ("mean", "axes", "n", "input", "mask", "some", "rows", "sum", "share", "from")
_NUMBERS = "your numbers are those of {theirs}. The formula is {ours}."
# Outputs as a whole, where Y is the right one without a mask.
_MASKED = (
    ("padding: not 0", "Y"),
    ("padding: beta", "mask * (Y - beta) + beta"),
    ("padding: X", "mask * Y + (1 - mask) * X"),
    ("mask: nonzero", "sign(abs(X)) * Y"),
    ("mask: nonzero", "sign(abs(X)) * (gamma * normalized(X, sign(abs(X))) + beta)"),
    ("mask: nonzero", "mask * sign(abs(X)) * (gamma * normalized(X, mask * sign(abs(X))) + beta)"),
    ("mask: reversed", "(1 - mask) * Y"),
    ("mask: reversed", "(1 - mask) * (gamma * normalized(X, 1 - mask) + beta)"),
    *(("mask: spread", f"turned_{k} * (gamma * normalized(X, turned_{k}, n) + beta)")
      for k in range(5)),
    *(("mask: spread", f"turned_{k} * Y") for k in range(5)),
)  # fmt: skip


def right(case: Case, training: bool) -> np.ndarray:
    """The right output."""
    return case.training() if training else case.prediction()


def counted(case: Case) -> np.ndarray:
    """Which places of the output count."""
    return np.broadcast_to(np.ones(1) if case.mask is None else case.mask, case.X.shape) == 1


def of_output(
    instances: Instances, training: bool, where: str = "", pools: Optional[list[Pools]] = None
) -> Cause:
    """The cause of wrong outputs, or what they say of themselves."""
    instances = [each for each in instances if np.isfinite(each[1]).all()]
    if not instances:
        return Cause()
    m, v, M, V = ("mean", "var", "the mean", "the variance")
    m, v, M, V = (m, v, M, V) if training else ("moving_mean", "moving_var") * 2
    words = {"m": m, "v": v, "M": M, "V": V, **_common(instances, where)}
    with np.errstate(all="ignore"):
        masked = instances[0][0].mask is not None
        label = _whole(instances, training, _MASKED, False) if masked else ""
        if label:
            return phrases.explained("output", [label], **words)
        return _composed(instances, training, words, pools) or leftover.of_output(
            *instances[0], training
        )


def _common(instances: Instances, where: str) -> dict[str, str]:
    masked = instances[0][0].mask is not None
    n = "the sum of the mask" if masked else "the number of values of a channel"
    return {"where": where, "n": n}


def _whole(instances: Instances, training: bool, table, only_counted: bool) -> str:
    """The label of the expression of a table that gives the outputs, or ""."""
    known = [_names(case, training) for case, _ in instances]
    for label, words in table:
        for (case, Y), names in zip(instances, known):
            numbers, places = grammar.value(words, names), counted(case) | (not only_counted)
            if numbers is None or not _same(case, Y, numbers, training, places):
                break
        else:
            return label
    return ""


def _same(case: Case, received: np.ndarray, numbers, training: bool, places) -> bool:
    """Whether these are the numbers received, and not merely near the right ones."""
    numbers, expected = np.broadcast_to(numbers, received.shape), right(case, training)
    error = abs(numbers - received)[places].max()
    distance = abs(expected - received)[places].max()
    return bool(error <= 2 * FLOAT32 * max(1, abs(numbers).max()) and error < 0.1 * distance)


def _names(case: Case, training: bool) -> dict[str, Any]:
    """The names in the expressions for a whole output."""
    mean, var = case.moments() if training else (case.mean, case.var)
    std = np.sqrt(var + case.eps)
    X_hat = (case.X - mean) / std
    weights = np.broadcast_to(1.0 if case.mask is None else case.mask, case.X.shape)

    def normalized(values, weights=weights, count=None):
        count = weights.sum(case.axes, keepdims=True) if count is None else count
        mean = (weights * values).sum(case.axes, keepdims=True) / count
        squares = (weights * (values - mean) ** 2).sum(case.axes, keepdims=True)
        return (values - mean) / np.sqrt(squares / count + case.eps)

    known = {**grammar.names(case), "mean": mean, "std": std, "X_hat": X_hat}
    known.update(Y=case.gamma * X_hat + case.beta, normalized=normalized)
    if case.mask is not None:  # its shape is (batch, length): four ways to spread that over X
        mask, last = np.asarray(case.mask)[:, 0], np.moveaxis(case.X, 1, -1)
        turned = [mask[None], mask[:, None], mask.T[:, :, None], mask.T[None]]
        turned.append(mask.T.reshape(mask.shape)[..., None])
        for k, each in enumerate(turned):
            if all(a in (1, b) for a, b in zip(each.shape, last.shape)):
                known[f"turned_{k}"] = np.moveaxis(np.broadcast_to(each, last.shape), -1, 1)
    return known


def _functions(instances: Instances) -> Iterator[tuple[str, str]]:
    """Yield the outputs as a whole, each with its label: every function of single values in it."""
    limits = [float(f"{bound:.6g}") for case, Y in instances for bound in _limits(Y[counted(case)])]
    low, high = {-1, 0, -2, -3, -5, -10, *limits}, {1, 2, 3, 5, 6, 10, *limits}
    functions = [f"{name}({{}})" for name in FUNCTIONS]
    functions += [f"{name}({{}}, {limit:g})" for name in ("minimum", "maximum")
                  for limit in sorted(low | high)]  # fmt: skip
    pairs = product(sorted(low, key=abs), sorted(high, key=abs))
    functions += [f"clip({{}}, {a:g}, {b:g})" for a, b in pairs if a < b]
    for function, words in product(functions, grammar.candidates("whole")[0]):
        words = re.sub(r"\bf\(([^()]*)\)", function.format(r"\1"), words)
        yield f"whole: {grammar.shown(words)}", words
    yield from (
        (f"whole: {grammar.shown(words)}", words) for words in grammar.candidates("whole")[1]
    )


def _limits(Y: np.ndarray) -> Iterator[float]:
    """The extremes of an output, where several values have them."""
    for bound in (Y.min(), Y.max()):
        if (abs(Y - bound) < 1e-6 * max(1, abs(bound))).sum() > 1:
            yield bound


def _composed(
    instances: Instances, training: bool, words: dict[str, str], pools: Optional[list[Pools]]
) -> Cause:
    """Whether slips in the slots explain it, or something is done that is not in the formula."""
    pools = pools or [slots.output(case, training) for case, _ in instances]
    search = Search(pools, [Y for _, Y in instances], [counted(case) for case, _ in instances])
    parts = search.best(2)
    found = _said(parts, pools, training, words) if parts else Cause()
    if len(_keys(parts or ())) != 1 and (not parts or found.startswith(_NUMBERS[:12])):
        label = _whole(instances, training, _functions(instances), True)
        if label:
            return phrases.explained("output", [label], **words)
    if not parts and len(instances) > 1:
        parts = search.best(4)
        found = _said(parts, pools, training, words) if parts else Cause()
    padding = _padding(instances, parts) if parts else ""
    if padding:
        more = phrases.explained("output", [padding], **words)
        return Cause(f"{found} Also, {more}", f"{found.label} & {padding}")
    return found


def _said(parts, pools: Sequence[Pools], training: bool, words: dict[str, str]) -> Cause:
    """The words for these parts of an output."""
    labels, which = [], ""
    for key in sorted(_keys(parts)):
        held = [key in part.keys for part in parts]
        if held[1] and ", m = " in parts[2].words:  # a variance around a wrong mean
            held[2] = False
        which = " and ".join(name for name, has in zip(_NAMES, held) if has)
        which = which.replace(" and ", ", ", which.count(" and ") - 1)
        shared = training or key.startswith("share: ")
        one = shared and key.split(": ")[0] in _STATISTICS and held[1] != held[2]
        labels.append(("subtracted " if held[1] else "variance ") * one + key)
    ours = written([pool[0] for pool in pools[0]])
    formula = _NUMBERS.format(theirs=written(parts), ours=ours)
    are = "are" if " and " in which else "is"
    return phrases.explained("output", labels, formula, which=which, are=are, **words)


def _keys(parts: Sequence[Part]) -> frozenset[str]:
    return frozenset().union(*(part.keys for part in parts))


def _padding(instances: Instances, parts: Sequence[Part]) -> str:
    """The label of what stands where the mask is 0, if these parts stand where it is 1."""
    case, received = instances[0]
    out = ~counted(case)
    if not np.any(received[out]):
        return ""
    factor, centred, spread, offset = (part.value for part in parts)
    names = {**_names(case, True), "Y": factor * centred / spread + offset}
    for label, words in _MASKED[:3]:
        numbers = np.broadcast_to(grammar.value(words, names), received.shape)
        if np.allclose(numbers[out], received[out], 1e-3, 1e-3):
            return label
    return "padding: not 0"


def written(parts: Sequence[Part]) -> str:
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
    if factor == "0" or offset != "0":
        line = offset if factor == "0" else f"{line} + {offset}".replace("+ -", "- ")
    where = f", where {' and '.join(definitions)}"
    return f"Y = {line}{where * bool(definitions)}"


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
    words = dict(own=own, other=other, new=new, word=word, **_common(instances, where))
    with np.errstate(all="ignore"):
        pools = [slots.average(case, which) for case, _ in instances]
        received = [each for _, each in instances]
        search = Search(pools, received, [np.ones(each.shape) for each in received])
        few = sum(each.size for each in received) < 3
        parts = search.best(1 if few else 3 if len(instances) > 1 else 2)
    if not parts:
        return leftover.of_average(*instances[0], own, which)
    ours = f"{own} = momentum * {own} + (1 - momentum) * {new}"
    formula = _NUMBERS.format(theirs=_sum(own, parts), ours=ours)
    labels = [f"{own}, {label}" for label in _average_labels(parts)]
    return phrases.explained("average", labels, formula, **words)


def _average_labels(parts: Sequence[Part]) -> Iterator[str]:
    _, batch, weight, before = parts
    for key in sorted(_keys(parts)):
        slot, _, what = key.partition(": ")
        old, new = key in before.keys, key in batch.keys | weight.keys
        if slot == "swapped" and old != new:
            key = f"old: {what}" if old else f"new: {what[7:]}"
        if slot == "momentum" and old != new:
            key = f"old weight: {what}" if old else f"new weight: {weight.words}"
        yield key


def _sum(name: str, parts: Sequence[Part]) -> str:
    _, batch, weight, before = parts
    value, definition = batch.words, ""
    if value.startswith("the ") or len(value) > 24:
        value, definition = "v", f", where v is {value}"
    terms = [before.words.removeprefix("1 * ")] if before.words else []
    if value != "0":
        terms.append(f"{weight.words} * {grouped(value)}".removeprefix("1 * "))
    return f"{name} = {' + '.join(terms) or '0'}{definition}"
