"""Checks a layer whose predictions are right from the first batch: its averages are corrected."""

from __future__ import annotations

from dataclasses import replace
from typing import Callable

import numpy as np

from d2l_bn.checks import causes, grammar, leftover, slots
from d2l_bn.checks.asking import Check, find
from d2l_bn.checks.block import AVERAGES, EPS, INPUTS, Block, check_of, drawn, inputs
from d2l_bn.checks.cases import Case, close, make
from d2l_bn.checks.phrases import Cause, said
from d2l_bn.checks.slots import Part, Pools

MOMENTUM = 0.9


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
            wrong, cause = f"{name} is trained.", said("corrected: t trained")
            replace(block.check, given={}).fail(wrong, 'grad_req "null"', cause=cause)
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
                replace(block.check, given={"X": case.X}).fail(
                    "the output in training mode is wrong.",
                    case.training(),
                    received,
                    Cause(f"{said('corrected: training')} {found}", found.label),
                )
            for mode in ("predict", "record without training"):
                _predicts(block, batches, X, mode)
    for number in range(530, 540):  # so many that nothing but the share is right
        batches.append(drawn(check, shape, number, scale))
        block.forward(batches[-1], "train")
    _predicts(block, batches, X)
    _before(check.at(part), drawn(check, shapes[0], 500))
    return part


def _before(check: Check, X: np.ndarray) -> None:
    """Say so if a layer that has seen no batch doesn't predict with the averages as they are."""
    received = Block.made(check, 2).forward(X, "predict")
    expected = make(X, var=np.zeros(X.shape[1]), eps=EPS).prediction()
    here = replace(check, given={"X": X})
    here.finite("the prediction before the first batch", received, said("corrected: share of 0"))
    if not close(received, expected, 1e-3):
        here.fail(
            "the prediction before the first batch is wrong.",
            expected,
            received,
            said("corrected: before"),
        )


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
        here.fail(
            f"the prediction {after} is wrong.",
            case.prediction(),
            received,
            recorded
            or _of_stored(held, case, batches, received)
            or _cause(block, batches, mode, received, case)
            or _divisor(case, received, t, mean, var)
            or said("corrected: used"),
        )
    for name, right, stored in zip(AVERAGES, (mean, var), held):
        if not close(stored, right):
            here.fail(
                f"{name} {after} isn't what 2.1 stores.",
                right,
                stored,
                _of_stored(held, case, batches, received),
            )


def _cause(block: Block, batches: list, mode: str, received: np.ndarray, case: Case) -> Cause:
    """The mistake that gives this prediction, sought after more batches, where t tells more."""
    t = len(batches)
    found = _later(block, mode)
    if found and not found.label.startswith("share: 1 - 0.9 **"):
        return found
    for other in (*range(t + 1, 8 * t + 9), *range(1, t)) if t < 5 else ():  # 0.9 ** t tells
        by = _share(other) / _share(t)
        if close(received, case.output(case.mean / by, case.var / by), 2e-5):
            return said("t", t=other, batches=_count(t))
    return found


def _count(t: int) -> str:
    return f"{t} batch{'es' * (t > 1)}"


def _later(block: Block, mode: str) -> Cause:
    """The cause in a layer after three batches and as many steps of a trainer."""
    check, shape = block.check, (5, 3)
    layer = Block.made(check, 2)
    batches = [drawn(check, shape, number, 0.02) for number in (505, 506, 509)]  # so eps shows
    for batch in batches:
        layer.step(batch)
    mean, var = (average / _share(len(batches)) for average in _averages(batches))
    instances = []
    for number in (507, 512):
        case = make(drawn(check, shape, number, 0.02), mean=mean, var=var, eps=EPS)
        case = layer.trained(case._replace(axis=block.axis))
        Y = layer.forward(case.X, mode)
        if np.isfinite(Y).all() and not close(Y, case.prediction(), 1e-3):
            instances.append((case, Y))
    if not instances:
        return Cause()
    with np.errstate(all="ignore"):
        pools = [_pools(case, batches) for case, _ in instances]
        found = causes.of_output(instances, False, pools=pools)
    return found if found.named else Cause()


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
    t, averages = len(batches), _averages(batches)
    known = {"p": MOMENTUM, "t": t, "eps": case.eps, "sqrt": np.sqrt, "exp": np.exp}
    right = "1 - p ** t"
    words = dict.fromkeys((right, *grammar.candidates("share")[0], *grammar.altered(right)))
    divisors = {each: grammar.value(each, known) for each in words}
    divisors = {each: value for each, value in divisors.items() if value and value > 0}
    before, names = _averages(batches[:-1]), ("moving_mean", "moving_var")
    moments = np.array([make(batch).moments() for batch in batches]).swapaxes(0, 1)
    taken: list[list[Part]] = [[], []]
    for place, found in enumerate(taken):
        for each, by in divisors.items():
            keys = frozenset({f"share: {_shown(each)}"} - {f"share: {_shown(right)}"})
            over = "" if each == "1" else f" / {grammar.grouped(_shown(each))}"
            for name, average, more in (
                (names[place], averages[place], ()),
                (f"the {names[place]} of one batch before", before[place], ("one batch before",)),
                (names[1 - place], averages[1 - place], ("the other average",)),
            ):
                others = frozenset(f"from: {key}" for key in more)
                found.append(Part(f"{name}{over}", average / by, keys | others, 2 * len(others)))
        for name, value in (
            ("the mean over all batches", moments[place].mean(0)),
            ("that of the last batch", moments[place][-1]),
            ("that of the first batch", moments[place][0]),
            ("that of X itself", case.moments()[place]),
            (str(place), place + 0 * case.mean),
        ):
            found.append(Part(name, value, frozenset({f"from: {name}"}), 1))
    factors, _, _, offsets = slots.output(case, False)
    spreads = slots.spreads(case, taken[1])
    for each, by in divisors.items():
        keys = frozenset({f"factor share: {_shown(each)}"})
        offsets.append(Part(f"beta / {by:.4g}", case.beta / by, keys, 1))
        factors.append(Part(f"gamma / {grammar.grouped(_shown(each))}", case.gamma / by, keys, 1))
        root, what = (
            np.sqrt(averages[1] + case.eps),
            f"sqrt(moving_var + eps) / {grammar.grouped(_shown(each))}",
        )
        spreads.append(Part(f"({what})", root / by, frozenset({f"root share: {_shown(each)}"}), 1))
    root = np.sqrt((averages[1] + case.eps) / _share(t))
    spreads.append(
        Part("sqrt((moving_var + eps) / (1 - 0.9 ** t))", root, frozenset({"spread: eps"}))
    )
    return factors, [p._replace(value=case.X - p.value) for p in taken[0]], spreads, offsets


def _shown(words: str) -> str:
    return words.replace("(1 - p)", "0.1").replace("p", "0.9").replace("ex0.9", "exp")


def _divisor(case: Case, received: np.ndarray, t: int, mean, var) -> Cause:
    """By which number the averages are divided, if the prediction comes of any."""
    found = leftover.used(case, received)
    if found is None:
        return Cause()
    by_mean, by_var = mean / found[0], var / (found[1] - case.eps)
    if not close(np.stack([by_mean, by_var]), np.full((2, *by_mean.shape), by_mean.mean()), 1e-2):
        return Cause()
    by = f"{by_mean.mean():.3g}"
    return said("share: number", batches=_count(t), by=by, share=f"{_share(t):.3g}")


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
