"""Checks a layer whose predictions are right from the first batch: its averages are corrected."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Callable

import numpy as np

from d2l_bn.checks import causes, grammar, leftover, slots
from d2l_bn.checks.asking import Check, find
from d2l_bn.checks.block import AVERAGES, EPS, INPUTS, Block, check_of, drawn, inputs
from d2l_bn.checks.cases import Case, close, make
from d2l_bn.checks.phrases import Cause, said
from d2l_bn.checks.slots import Part, Pools

MOMENTUM, MANY = 0.9, 130  # more batches than an int8 counts


def corrected(candidate: Callable, *parts: str, allow_library: bool = False, axis: int = 1) -> None:
    """Check a layer that divides its moving averages by 1 - 0.9 ** t when it predicts.

    t is the number of batches that it was trained on. Before the first it predicts with the
    averages as they are, and it always stores what `layer` asks for.

    Parameters
    ----------
    candidate, allow_library, axis
        As in `layer`.
    *parts : {"prediction", "contexts", "saving"}
        What to check; without any, everything.
    """
    known: dict[str, Callable[[Check], str]] = {
        "prediction": _prediction,
        "contexts": _contexts,
        "saving": _saving,
    }
    check_of(candidate, allow_library, axis).run(known, parts)


def _prediction(check: Check) -> str:
    part = "corrected prediction"
    shapes = list(inputs(check).values())
    for shape, scale in (*((shape, 1.0) for shape in shapes), (shapes[0], 0.01)):
        block = Block.made(check.at(part), len(shape))
        X = drawn(check, shape, 500, scale)
        for name in block.state()["others"]:
            block.check.blame("corrected: t trained", 'grad_req "null"', given={}, name=name)
        batches: list[np.ndarray] = []
        for number, mode in ((501, "record"), (502, "train"), (503, "record")):
            batches.append(drawn(check, shape, number, scale))
            case = block.trained(make(batches[-1], eps=EPS))
            record = mode == "record"
            received = block.step(case.X) if record else block.forward(case.X, mode)
            if not close(received, case.training(), 1e-3):
                divided = said("corrected: output divided"), case.training() / _share(len(batches))
                found = find([divided], received, case.training())
                found = found or block.cause(case.X, mode, received)
                cause = Cause(f"{said('corrected: training')} {found}", found.label)
                wrong = "the output in training mode is wrong."
                block.check.fail(wrong, case.training(), received, cause, {"X": case.X})
            for mode in ("predict", "record without training"):
                _predicts(block, batches, X, mode)
    for number in range(530, 540):  # so many that nothing but the share is right
        batches.append(drawn(check, shape, number, scale))
        block.forward(batches[-1], "train")
    _predicts(block, batches, X)
    given = np.moveaxis(batches[-1], 1, block.axis)
    block.check.ask("forward", key=block.key, X=given, mode="train", repeat=MANY)
    _predicts(block, [*batches, *batches[-1:] * MANY], X)
    _before(check.at(part), drawn(check, shapes[0], 500))
    return part


def _before(check: Check, X: np.ndarray) -> None:
    """Say so if a layer that has seen no batch doesn't predict with the averages as they are."""
    received = Block.made(check, 2).forward(X, "predict")
    expected = make(X, var=np.zeros(X.shape[1]), eps=EPS).prediction()
    here = replace(check, given={"X": X})
    here.finite("the prediction before the first batch", received, said("corrected: share of 0"))
    if not close(received, expected, 1e-3):
        here.blame("corrected: before", expected, received)


def _averages(batches: list[np.ndarray], stored: Callable = lambda average, t: average) -> list:
    """The moving mean and variance after these batches, if each step keeps `stored` of them."""
    averages = [np.zeros_like(value) for value in make(batches[0]).moments()]
    for t, batch in enumerate(batches, 1):
        step = make(batch, momentum=MOMENTUM)
        averages = [stored(step.moving(*pair), t) for pair in zip(averages, step.moments())]
    return averages


def _share(t: float) -> float:
    return 1 - MOMENTUM**t


def _predicts(block: Block, batches: list, X: np.ndarray, mode="predict", context=None) -> None:
    """Say so if a prediction isn't that of the corrected averages, or others are stored."""
    t, (mean, var) = len(batches), _averages(batches)
    case = make(X, eps=EPS, mean=mean / _share(t), var=var / _share(t))._replace(axis=block.axis)
    case = block.trained(case, context)
    received = block.forward(X, mode, context=context or 0)
    held, after = block.averages(context), f"after {_count(t)}"
    here = replace(block.check, given={"X": X, "t": t, "moving_mean": mean, "moving_var": var})
    if not close(received, case.prediction(), 1e-3):
        here.finite(f"the prediction {after}", received, said("corrected: negative"))
        recorded = Cause()
        if mode != "predict" and close(block.forward(X, "predict"), case.prediction(), 1e-3):
            recorded = said("corrected: recorded")
        cause = recorded or _of_stored(held, case, batches, received) or _cause(block, mode, t)
        cause = cause or _number(case, received, t)
        cause = cause or said("corrected: used" if t < MANY else "corrected: overflow")
        here.fail(f"the prediction {after} is wrong.", case.prediction(), received, cause)
    for name, right, stored in zip(AVERAGES, (mean, var), held):
        if not close(stored, right):
            cause = _of_stored(held, case, batches, received)
            here.fail(f"{name} {after} isn't what 2.1 stores.", right, stored, cause)


def _number(case: Case, received: np.ndarray, t: int) -> Cause:
    """By which number the averages are divided, if the prediction comes of any, and for which t."""
    found = leftover.used(case, received)
    if found is None:
        return Cause()
    by = np.stack([case.mean / found[0], case.var / (found[1] - case.eps)]) * _share(t)
    if not close(by, np.full_like(by, by.mean()), 1e-2):
        return Cause()
    other = np.log1p(-by.mean()) / np.log(MOMENTUM) if 0 < by.mean() < 1 else 0
    words = dict(batches=_count(t), by=f"{by.mean():.3g}", share=f"{_share(t):.3g}", t=round(other))
    whole = other > 0.9 and abs(other - round(other)) < 0.02
    return said("t" if whole else "share: number", **words)


def _count(t: int) -> str:
    return f"{t} batch{'es' * (t > 1)}"


def _cause(block: Block, mode: str, t: int) -> Cause:
    """The cause in a layer after three batches and as many steps of a trainer, or after t."""
    for number in dict.fromkeys((3, min(t, 13))):
        batches = [drawn(block.check, (5, 3), 550 + k, 0.02) for k in range(number)]  # so eps shows
        mean, var = (average / _share(number) for average in _averages(batches))
        instances = []
        for seed in (507, 512):
            layer = Block.made(block.check, 2)
            for batch in batches:
                layer.step(batch)
            case = make(drawn(block.check, (5, 3), seed, 0.02), mean=mean, var=var, eps=EPS)
            case = layer.trained(case._replace(axis=block.axis))
            Y = layer.forward(case.X, mode)
            if np.isfinite(Y).all() and not close(Y, case.prediction(), 1e-3):
                instances.append((case, Y))
        if instances:
            with np.errstate(all="ignore"):
                pools = [_pools(case, batches) for case, _ in instances]
                found = causes.of_output(instances, False, pools=pools)
            when = f"after {_count(t)}, " * (number == t > 3)
            return Cause(when + found, found.label) if found.named else Cause()
    return Cause()


def _of_stored(held: list, case: Case, batches: list, received: np.ndarray) -> Cause:
    """Say so if the averages that are kept are not those of 2.1."""
    t, (mean, var) = len(batches), _averages(batches)
    divided = _averages(batches, lambda average, t: average / _share(t))
    if close(received, case.prediction(), 1e-3):
        same = all(map(close, held, (case.mean, case.var)))
        return said("corrected: averaged" if same else "corrected: not stored")
    if close(received, case.output(*divided), 1e-3):
        return said("share: stored")
    if all(map(close, held, (mean, var))):
        return Cause()
    powers = [_share(t) ** power for power in range(1, 12)]
    stored = any(all(map(close, held, (mean / by, var / by))) for by in powers)
    return said("corrected: divided stored" if stored else "corrected: not stored")


def _pools(case: Case, batches: list[np.ndarray]) -> Pools:
    """What may stand for the factor, X - mean, the spread and the offset."""
    t, kept, before = len(batches), _averages(batches), _averages(batches[:-1])
    known = {**grammar.names(case, False), "p": MOMENTUM, "t": t, "exp": np.exp}
    shares = [Part("1 - 0.9 ** t", np.asarray(_share(t)))]
    shares += slots.listed("share", known, "1 - p ** t")
    moments = np.array([make(batch).moments() for batch in batches]).swapaxes(0, 1)
    taken: tuple[list[Part], list[Part]] = ([], [])
    for place, name in enumerate(AVERAGES):
        stored = (
            (name, kept[place], ()),
            (f"the {name} of one batch before", before[place], ("from: one batch before",)),
            (AVERAGES[1 - place], kept[1 - place], ("from: the other average",)),
        )
        for (words, value, keys), by in product(stored, shares):
            words = f"{words} / {grammar.grouped(by.words)}".removesuffix(" / 1")
            rarity = by.rarity + 2 * len(keys)
            taken[place].append(Part(words, value / by.value, by.keys.union(keys), rarity))
        for words, value in (
            ("the mean over all batches", moments[place].mean(0)),
            ("that of the last batch", moments[place][-1]),
            ("that of the first batch", moments[place][0]),
            ("that of X itself", case.moments()[place]),
            (str(place), place + 0 * case.mean),
        ):
            taken[place].append(Part(words, value, frozenset({f"from: {words}"}), 1))
    factors, _, _, offsets = slots.output(case, False)
    spreads = list(slots.spreads(known, taken[1]))
    root = "sqrt(moving_var + eps)"
    for name, value, found, slot in (
        ("gamma", case.gamma, factors, "factor share"),
        ("beta", case.beta, offsets, "factor share"),
        (root, np.sqrt(kept[1] + case.eps), spreads, "root share"),
        (root, np.sqrt(kept[1] + case.eps), spreads, "root of the share"),
    ):
        for by in shares:
            keys = frozenset({f"{slot}: {by.words}"})
            over = np.sqrt(by.value) if "of" in slot else by.value
            words = f"{name} / {grammar.grouped(by.words)}"
            found.append(Part(words, value / over, keys, 1))
    return factors, [p._replace(value=case.X - p.value) for p in taken[0]], spreads, offsets


def _contexts(check: Check) -> str:
    """Check that shards on two contexts count as two batches."""
    part = "contexts"
    block = Block.made(check.at(part), 2, contexts=(0, 1)).at(part)
    batches = [drawn(check, INPUTS[2], number) for number in (510, 511, 512)]
    for batch, context in zip(batches, (0, 1, 1)):
        block.forward(batch, "record", context=context)
    for context in (1, 0):
        _predicts(block, batches, drawn(check, INPUTS[2], 513), context=context)
    return part


def _saving(check: Check) -> str:
    """Check that a loaded layer predicts, and goes on counting, as the saved one does."""
    part = "saving and loading"
    block = Block.made(check.at(part), 2).at(part)
    batches = [drawn(check, INPUTS[2], number) for number in (520, 521)]
    X = drawn(check, INPUTS[2], 522)
    for batch in batches:
        block.forward(batch, "record")
    _predicts(block, batches, X)
    loaded = block.loaded(check, 2)
    loaded.predicts_like(block, X, said("corrected: t not saved"))
    batches.append(drawn(check, INPUTS[2], 523))
    loaded.forward(batches[-1], "record")
    _predicts(loaded.at(f"{part}, one batch later"), batches, X)
    return part
