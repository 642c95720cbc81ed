"""From wrong numbers to their cause: the slots of the answer, the search, the words.

`instances` are inputs, each with what was received for it, the channels at axis 1. The first is
what the student reads; the others confirm.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Optional

import numpy as np

from d2l_bn.checks import grammar, leftover, phrases, slots
from d2l_bn.checks.cases import Case, close
from d2l_bn.checks.grammar import FUNCTIONS, grouped
from d2l_bn.checks.phrases import Cause
from d2l_bn.checks.slots import Part, Pools
from d2l_bn.checks.solve import FLOAT32, Search

Instances = Sequence[tuple[Case, np.ndarray]]
_ONE = [Part("1", np.ones(1))]
_NAMES = ("gamma", "the mean", "the variance", "beta")
# Slips that are in one slot alone, but show in the mean and, around it, in the variance.
_STATISTICS = ("mean", "axes", "n", "input", "mask", "some", "rows", "sum", "share", "from")
_NUMBERS = "your numbers are those of {theirs}. The formula is {ours}."


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
        found = _padded(instances, training, words) or _composed(instances, training, words, pools)
        return found or leftover.of_output(*instances[0], training)


def _common(instances: Instances, where: str) -> dict[str, str]:
    masked = instances[0][0].mask is not None
    n = "the sum of the mask" if masked else "the number of values of a channel"
    return {"where": where, "n": n}


def _padded(instances: Instances, training: bool, words: dict[str, str]) -> Cause:
    """Whether a mask is used in a wrong way, by a table where Y is right but for the mask."""
    case, Y = instances[0]
    if case.mask is None:
        return Cause()
    if np.any(Y) and not np.any(Y[case.counted]):
        return phrases.explained("output", ["mask: reversed"], **words)
    if all(close(case.shown(Y), case.right(training)) for case, Y in instances):
        return phrases.explained("output", [_padding(case, Y)], **words)
    table = [(label, each) for label, *some in grammar.candidates("padded") for each in some]
    return _whole(instances, training, table, None, words)


def _whole(instances: Instances, training: bool, table, counted, words: dict[str, str]) -> Cause:
    """The cause if an expression of a table, (label, expression), gives the outputs."""
    pools = []
    for case, _ in instances:
        known = grammar.names(case, training)
        wholes = [
            Part(each, np.asarray(grammar.value(each, known), float), frozenset({label}))
            for label, each in table  # NaN where a name is unknown
        ]
        pools.append((_ONE, wholes, _ONE, [Part("0", np.zeros(1))]))
    found = Search(pools, [Y for _, Y in instances], counted, 2 * FLOAT32).best(1)
    return phrases.explained("output", [*found[1].keys], **words) if found else Cause()


def _functions(instances: Instances, m: str) -> Iterator[tuple[str, str]]:
    """Yield the outputs as a whole, each with its label: every function of single values in it."""
    limits = []
    for case, Y in instances:
        for bound in (Y[case.counted].min(), Y[case.counted].max()):
            if (abs(Y - bound) < 1e-6 * max(1, abs(bound))).sum() > 1:  # several values have it
                limits.append(f"{bound:.6g}")
    low, high = ([*each.split(), *limits] for each in ("0 -1 -2 -3 -5 -10", "1 2 3 5 6 10"))
    functions = [f"{name}({{}})" for name in FUNCTIONS]
    functions += map("{}({{}}, {})".format, *zip(*product(("minimum", "maximum"), low + high)))
    functions += [f"clip({{}}, {a}, {b})" for a, b in product(low, high) if float(a) < float(b)]
    of_any, others = grammar.candidates("whole")
    for function, words in [*product(functions, of_any), *(("{}", words) for words in others)]:
        words = re.sub(r"\bf\(([^()]*)\)", function.format(r"\1"), words.format(m=m))
        yield f"whole: {grammar.shown(words)}", words


def _composed(
    instances: Instances, training: bool, words: dict[str, str], pools: Optional[list[Pools]]
) -> Cause:
    """Whether slips in the slots explain it, or something is done that is not in the formula."""
    pools = pools or [slots.output(case, training) for case, _ in instances]
    counted = [case.counted for case, _ in instances]
    search = Search(pools, [Y for _, Y in instances], counted)
    parts = search.best(2)
    found = _said(parts, pools, training, words) if parts else Cause()
    if len(_keys(parts or ())) != 1 and (not parts or found.startswith(_NUMBERS[:12])):
        whole = _whole(instances, training, [*_functions(instances, words["m"])], counted, words)
        if whole:
            return whole
    if not parts and len(instances) > 1:
        parts = search.best(4)
        found = _said(parts, pools, training, words) if parts else Cause()
    padding = _padding(*instances[0]) if parts else ""
    if padding:
        more = phrases.explained("output", [padding], **words)
        return Cause(f"{found} Also, {more}", f"{found.label} & {padding}")
    return found


def _said(parts, pools: Sequence[Pools], training: bool, words: dict[str, str]) -> Cause:
    """The words for these parts of an output."""
    labels, which = [], ""
    for key in sorted(_keys(parts)):
        held = [key in part.keys for part in parts]
        around = ", m = " in parts[2].words  # a variance around a wrong mean
        held[2] = held[2] and not (held[1] and around)
        which = " and ".join(name for name, has in zip(_NAMES, held) if has)
        which = which.replace(" and ", ", ", which.count(" and ") - 1)
        shared = training or key.startswith("share: ")
        one = shared and key.split(": ")[0] in _STATISTICS and held[1] != held[2]
        which_one = "variance around " if around and not key.startswith("mean") else "variance "
        labels.append(("subtracted " if held[1] else which_one) * one + key)
    ours = written([pool[0] for pool in pools[0]])
    formula = _NUMBERS.format(theirs=written(parts), ours=ours)
    are = "are" if " and " in which else "is"
    return phrases.explained("output", labels, formula, which=which, are=are, **words)


def _keys(parts: Sequence[Part]) -> frozenset[str]:
    return frozenset().union(*(part.keys for part in parts))


def _padding(case: Case, received: np.ndarray) -> str:
    """The label of what stands where the mask is 0."""
    out = ~case.counted
    for what, right in (("beta", case.beta), ("X", case.X)):
        if np.allclose(received[out], np.broadcast_to(right, out.shape)[out]):
            return f"padding: {what}" * bool(np.any(received[out]))
    return "padding: not 0" * bool(np.any(received[out]))


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
        search = Search(pools, received)
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
