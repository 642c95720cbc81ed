"""Checks a layer whose predictions are right from the first batch: its averages are corrected."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Callable

import numpy as np

from d2l_bn.checks import composition, formulas, inference, mistakes
from d2l_bn.checks.asking import Check, find
from d2l_bn.checks.block import EPS, INPUTS, Layer, check_of, drawn
from d2l_bn.checks.cases import Case, close, make
from d2l_bn.checks.quantities import Quantity, unlike

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
    found = find(mistakes.of_training(case), received, case.training())
    found = found or composition.of_output([(case, received)], True)
    return f"training mode is that of 2.1, with the mean and variance of the batch. {found}".strip()


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
        here.finite(f"the prediction after {t} batch{'es' * (t > 1)}", received, _NEGATIVE)
        here.fail(
            f"the prediction after {t} batch{'es' * (t > 1)} is wrong.",
            expected=case.prediction(),
            received=received,
            cause=_of_stored(block.averages(context), mean, var, t)
            or (_later(block, batches, mode, received) if t == 1 else "")
            or _cause(case, batches, received)
            or (_STORED if all(map(close, block.averages(context), (mean, var))) else _NOT_STORED),
        )


def _cause(case: Case, batches: list[np.ndarray], received: np.ndarray) -> str:
    """Return the mistake that gives this prediction, or ""."""
    with np.errstate(all="ignore"):
        return (
            find(_wrong(case, batches), received, case.prediction())
            or find(mistakes.of_prediction(case), received, case.prediction())
            or composition.composed([(case, received)], False, 7, [_parts(case, batches)])
            or _divisor(case, received, len(batches), *_averages(batches))
        )


def _of_stored(held: list[np.ndarray], mean, var, t: int) -> str:
    """Return a cause if the averages are kept divided."""
    for power in (1, 2, 3):
        by = _share(t) ** power
        if np.any(mean) and all(map(close, held, (mean / by, var / by))):
            return (
                "predicting changes the averages that the layer keeps: the divided ones are "
                "stored. Hand them to batch_norm, and write them nowhere."
            )
    return ""


def _later(block: Layer, batches: list[np.ndarray], mode: str, received: np.ndarray) -> str:
    """Return the mistake that explains a prediction after three batches, where t tells more."""
    X, check = batches[0], block.check
    layer = Layer.made(check, X.ndim)
    more = [X, *(drawn(check, X.shape, number) for number in (505, 506))]
    for batch in more:
        layer.forward(batch, "record", dY=drawn(check, X.shape, 508))
    check.ask("step", key=layer.key, rate=0.3)  # so that gamma isn't 1, nor beta 0
    held, share = layer.state(), _share(len(more))
    mean, var = (average / share for average in _averages(more))
    gamma, beta = (np.asarray(held[name]["array"], np.float64) for name in ("gamma", "beta"))
    case = make(drawn(check, X.shape, 507), gamma.ravel(), beta.ravel(), mean, var, eps=EPS)
    theirs = layer.forward(case.X, mode)
    wrong = np.isfinite(theirs).all() and not close(theirs, case.prediction(), 1e-3)
    cause = _cause(case, more, theirs) if wrong else ""
    return "" if cause.startswith("your t is") else cause  # which is as plain after one


def _wrong(case: Case, batches: list[np.ndarray]) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the predictions of mistaken corrections, each with its cause."""
    t, (mean, var) = len(batches), _averages(batches)
    known = {**formulas.names(case), "moving_mean": mean, "moving_var": var, "t": t}
    yield from formulas.listed(_MISTAKES, _LINES, known)
    for other in (*range(t + 1, 4 * t + 9), *range(1, t)):
        yield (
            f"your t is {other} after {t} batch{'es' * (t > 1)}. It counts the batches in training "
            "mode, each once, for each layer, whatever the context.",
            formulas.value(_LINES, {**known, "t": other}),
        )
    yield (
        "the corrected averages are stored, and the next step goes on from them. Store those of "
        "2.1, and divide when predicting.",
        case.output(*_averages(batches, lambda average, t: average / _share(t))),
    )
    yield from formulas.altered(_LINES, known)


# What may divide in place of the share, by cost; p is the momentum.
_DIVISORS = {
    0: "(1 - p ** t)",
    1: "1; 1 / (1 - p ** t); (1 - p ** (t + 1)); (1 - p ** (t - 1)); p ** t",
    2: "sqrt(1 - p ** t); (1 - p ** t) ** 2; (1 - p * t); (1 - (1 - p) ** t); (1 - p); p; t; "
    "((1 - p) * t); (t + 1); (1 + p ** t); (1 - 0.99 ** t); (1 - 0.999 ** t); (1 - p ** t + eps)",
    3: "(1 - t ** p); (1 - exp(-t))",
}


def _divisors(case: Case, t: int) -> Iterator[tuple[str, float, int]]:
    """Yield what may divide: its name, its value, and how far it is from the share."""
    known = {"p": MOMENTUM, "t": t, "eps": case.eps, "sqrt": np.sqrt, "exp": np.exp}
    for cost, expressions in _DIVISORS.items():
        for words in expressions.split("; "):
            value = eval(words, {"__builtins__": {}}, known)
            if value:
                words = (
                    words.replace("(1 - p)", "0.1").replace("p *", "0.9 *").replace("p)", "0.9)")
                )
                yield "0.9" if words == "p" else words, value, cost


def _parts(case: Case, batches: list[np.ndarray]) -> tuple[dict[str, Quantity], ...]:
    """What may stand for the factor, the mean, the spread and the offset, by name."""
    divisors, averages = list(_divisors(case, len(batches))), _averages(batches)
    before = _averages(batches[:-1]) if len(batches) > 1 else [0 * each for each in averages]
    moments = np.array([make(batch).moments() for batch in batches]).swapaxes(0, 1)
    taken: list[list[Quantity]] = [[], []]
    names = ("moving_mean", "moving_var")
    for place, found in enumerate(taken):
        for divisor, value, cost in divisors:
            over = "" if divisor == "1" else f" / {divisor}"
            for words, average, more in (
                (names[place], averages[place], 0),
                (f"the {names[place]} of one batch before", before[place], 2),
                (names[1 - place], averages[1 - place], 2),
            ):
                found.append(Quantity(f"{words}{over}", average / value, cost + more))
        found.append(Quantity("the mean over all batches", moments[place].mean(0), 2))
        found.append(Quantity("that of the last batch", moments[place][-1], 2))
        found.append(Quantity("that of the first batch", moments[place][0], 2))
        found.append(Quantity("that of X itself", case.moments()[place], 1))
        found.append(Quantity(str(place), place + 0 * case.mean, 2))
    eps, gamma = case.eps, case.gamma
    spreads = [Quantity("sqrt((moving_var + eps) / (1 - 0.9 ** t))",
                        np.sqrt((averages[1] + eps) / _share(len(batches))), 1)]  # fmt: skip
    for words, variance, cost in taken[1]:
        spreads.append(Quantity(f"sqrt({words} + eps)", np.sqrt(variance + eps), cost))
        spreads.append(Quantity(f"sqrt({words})", np.sqrt(variance), cost + 2))
        for divisor, by, more in divisors:
            root = np.sqrt(variance + eps) / by
            spreads.append(Quantity(f"(sqrt({words} + eps) / {divisor})", root, cost + 1 + more))
    factors = [Quantity("gamma", gamma, 0), Quantity("beta", case.beta)]
    factors += [Quantity(f"gamma / {words}", gamma / by, cost or 1) for words, by, cost in divisors]
    offsets = [Quantity("beta", case.beta, 0), Quantity("gamma", gamma)]
    pools = (factors, taken[0], spreads, offsets)
    return tuple({each.words: each for each in unlike(pool)} for pool in pools)


def _divisor(case: Case, received: np.ndarray, t: int, mean, var) -> str:
    """Return by which numbers the averages are divided, if the prediction comes of any."""
    found = inference.used(case, received)
    if found is None:
        return ""
    by_mean, by_var = mean / found[0], var / (found[1] - case.eps)
    if not close(np.stack([by_mean, by_var]), np.full((2, *by_mean.shape), by_mean.mean()), 1e-2):
        return ""
    return (
        f"after {t} batch{'es' * (t > 1)} you divide the averages by {by_mean.mean():.3g}. "
        f"1 - 0.9 ** t is {_share(t):.3g}."
    )


_STORED = (
    "the averages that the layer stores are right, so it is what you predict with: moving_mean and "
    "moving_var, both divided by 1 - 0.9 ** t, and gamma and beta as they are."
)
_NOT_STORED = 'Does BatchNorm pass "statistics"? The averages of 2.1 are what is divided.'
_NEGATIVE = (
    "the averages are divided by 0 or by a negative number. 1 - 0.9 ** t is between 0 and 1 from "
    "the first batch on."
)
_LINES = (
    "share = 1 - momentum ** t",
    "mean = moving_mean / share",
    "var = moving_var / share",
    formulas.OUTPUT,
)
_OTHER_SHARE = (
    "you divide by 0.9 ** t, the share of the start, or by 1 - 0.1 ** t. Divide by 1 - 0.9 ** t."
)
_MISTAKES = {
    "mean = moving_mean; var = moving_var": "the averages are not divided: moving_mean / (1 - 0.9 "
    "** t), and so for moving_var.",
    "var = moving_var": "moving_var is not divided by 1 - 0.9 ** t.",
    "mean = moving_mean": "moving_mean is not divided by 1 - 0.9 ** t.",
    "mean = moving_mean * share; var = moving_var * share": "the averages are multiplied by 1 - "
    "0.9 ** t. Divide them.",
    "share = momentum ** t": _OTHER_SHARE,
    "share = 1 - (1 - momentum) ** t": _OTHER_SHARE,
}


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
