"""Checks a layer whose predictions are right from the first batch: its averages are corrected."""

from __future__ import annotations

from dataclasses import replace
from typing import Callable

import numpy as np

from d2l_bn.checks import causes, grammar, leftover, slots
from d2l_bn.checks.asking import Check
from d2l_bn.checks.block import EPS, INPUTS, Layer, check_of, drawn
from d2l_bn.checks.cases import Case, close, make
from d2l_bn.checks.phrases import Cause, said
from d2l_bn.checks.slots import Part, Pools

MOMENTUM = 0.9


def corrected(candidate: Callable, *parts: str, allow_library: bool = False, axis: int = 1) -> None:
    """Check a layer that divides its moving averages by 1 - 0.9 ** t when it predicts.

    t is the number of batches that it was trained on. Before the first it predicts anything finite.

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
    for num_dims, shape in INPUTS.items():
        block = Layer.made(check.at(part), num_dims)
        X = drawn(check, shape, 500)
        first = block.forward(X, "predict")
        replace(block.check, given={"X": X}).finite(
            "the prediction before the first batch",
            first,
            "1 - 0.9 ** 0 is 0, and nothing can be divided by it. Leave the averages as they are "
            "while t is 0.",
        )
        batches = []
        for number, mode in ((501, "record"), (502, "train"), (503, "record")):
            batches.append(drawn(check, shape, number))
            received = block.forward(batches[-1], mode)
            expected = make(batches[-1], eps=EPS).training()
            if not close(received, expected, 1e-3):
                replace(block.check, given={"X": batches[-1]}).fail(
                    "the output in training mode is wrong.",
                    expected=expected,
                    received=received,
                    cause=_in_training(batches, received),
                )
            for mode in ("predict", "record without training"):
                _predicts(block, batches, X, mode)
    return part


def _in_training(batches: list[np.ndarray], received: np.ndarray) -> str:
    mean, var = _averages(batches[:-1]) if len(batches) > 1 else (None, None)
    case = make(batches[-1], eps=EPS, mean=mean, var=var)
    found = causes.of_output([(case, received)], True)
    return Cause(
        f"training mode is that of 2.1, with the mean and variance of the batch. {found}",
        found.label,
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


def _predicts(block: Layer, batches: list, X: np.ndarray, mode="predict", context=0) -> None:
    """Say so if a prediction isn't that of the corrected averages of these batches."""
    t, (mean, var) = len(batches), _averages(batches)
    case = make(X, eps=EPS, mean=mean / _share(t), var=var / _share(t))
    received = block.forward(X, mode, context=context)
    if not close(received, case.prediction(), 1e-3):
        given = {"X": X, "t": t, "moving_mean": mean, "moving_var": var}
        here = replace(block.check, given=given)
        here.finite(f"the prediction after {_count(t)}", received, said("corrected: negative"))
        here.fail(
            f"the prediction after {_count(t)} is wrong.",
            expected=case.prediction(),
            received=received,
            cause=_of_stored(block.averages(context), case, batches, received)
            or _cause(block, batches, mode, received, case)
            or _divisor(case, received, t, mean, var)
            or said("corrected: used"),
        )


def _cause(block: Layer, batches: list, mode: str, received: np.ndarray, case: Case) -> Cause:
    """The mistake that gives this prediction, sought after more batches, where t tells more."""
    t = len(batches)
    found = _later(block, mode)
    if found and not found.label.startswith("share: 1 - 0.9 **"):
        return found
    for other in (*range(t + 1, 8 * t + 9), *range(1, t)):
        by = _share(other) / _share(t)
        if close(received, case.output(case.mean / by, case.var / by), 2e-5):
            return said("t", t=other, batches=_count(t))
    return found


def _count(t: int) -> str:
    return f"{t} batch{'es' * (t > 1)}"


def _later(block: Layer, mode: str) -> Cause:
    """The cause in a layer after three batches and a step of a trainer, which moves gamma."""
    check, shape = block.check, (5, 3)
    layer = Layer.made(check, 2)
    batches = [drawn(check, shape, number) for number in (505, 506, 509)]
    for batch in batches:
        layer.forward(batch, "record", dY=drawn(check, shape, 508))
    check.ask("step", key=layer.key, rate=0.3)
    held, share = layer.state(), _share(len(batches))
    mean, var = (average / share for average in _averages(batches))
    gamma, beta = (np.asarray(held[name]["array"], np.float64) for name in ("gamma", "beta"))
    instances = []
    for number in (507, 512):
        X = drawn(check, shape, number)
        case = make(X, gamma.ravel(), beta.ravel(), mean, var, eps=EPS)
        Y = layer.forward(X, mode)
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
    if close(received, case.output(*divided), 1e-3):
        return said("share: stored")
    if all(map(close, held, (mean, var))):
        return Cause()
    powers = [_share(t) ** power for power in range(1, 12)]
    stored = any(all(map(close, held, (mean / by, var / by))) for by in powers)
    return said("corrected: divided stored" if stored else "corrected: not stored")


# What may divide in place of the share, beside what a slip makes of it; p is the momentum.
_DIVISORS = (
    "1; 1 / (1 - p ** t); sqrt(1 - p ** t); (1 - p ** t) ** 2; (1 - p); (1 - p) * t; t; p; t + 1; "
    "1 - p ** t + eps; 1 - t ** p; 1 - exp(-t); 1 - p ** (t / 2)"
)


def _pools(case: Case, batches: list[np.ndarray]) -> Pools:
    """What may stand for the factor, X - mean, the spread and the offset."""
    t, averages = len(batches), _averages(batches)
    known = {"p": MOMENTUM, "t": t, "eps": case.eps, "sqrt": np.sqrt, "exp": np.exp}
    right = "1 - p ** t"
    words = dict.fromkeys((right, *_DIVISORS.split("; "), *grammar.altered(right)))
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
    return said("left: divisor", batches=_count(t), by=by, share=f"{_share(t):.3g}")


def _contexts(check: Check) -> str:
    """Check that shards on two contexts count as two batches."""
    part = "contexts"
    block = Layer.made(check.at(part), 2, contexts=(0, 1)).at(part)
    batches = [drawn(check, INPUTS[2], number) for number in (510, 511, 512)]
    for batch, context in zip(batches, (0, 1, 1)):
        block.forward(batch, "record", context=context)
    for context in (1, 0):
        _predicts(block, batches, drawn(check, INPUTS[2], 513), context=context)
    return part


def _saving(check: Check) -> str:
    """Check that a loaded layer predicts, and goes on counting, as the saved one does."""
    part = "saving and loading"
    block = Layer.made(check.at(part), 2).at(part)
    batches = [drawn(check, INPUTS[2], number) for number in (520, 521)]
    X = drawn(check, INPUTS[2], 522)
    for batch in batches:
        block.forward(batch, "record")
    _predicts(block, batches, X)
    loaded = block.loaded(check, 2)
    loaded.predicts_like(
        block,
        X,
        'the number of batches isn\'t saved. Keep it as one more parameter with grad_req="null", '
        "as the averages are.",
    )
    batches.append(drawn(check, INPUTS[2], 523))
    loaded.forward(batches[-1], "record")
    _predicts(loaded.at(f"{part}, one batch later"), batches, X)
    return part
