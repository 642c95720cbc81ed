"""Checks a student's function: `batch_norm`, and its siblings that chapters leave to the reader."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from itertools import chain, product
from typing import Callable

import numpy as np

from d2l_bn.checks import derivation, forms, leftover
from d2l_bn.checks.asking import Check
from d2l_bn.checks.cases import close, per_channel
from d2l_bn.checks.forms import PLAIN, Kind, padded
from d2l_bn.checks.phrases import said
from d2l_bn.checks.question import NAMES, STATISTICS, Question

TRAINING = ("X", "mask", "gamma", "beta", "eps", "axis")
PREDICTION = ("X", "mask", "gamma", "beta", "mean", "var", "eps", "axis")

Part = Callable[[Question], str]


def batch_norm(
    candidate: Callable,
    *parts: str,
    allow_library: bool = False,
    dense_only: bool = False,
    framework: str = "mxnet",
    momentum_weighs: str = "old",
) -> None:
    """Check a function with the arguments and results of `d2l_bn.batch_norm`.

    Parameters
    ----------
    candidate : callable
        Called with (X, gamma, beta, moving_mean, moving_var, eps, momentum), in any mode.
    *parts : {"dense", "images", "statistics", "prediction", "gradient", "precision", "shapes"}
        What to check; without any, everything.
    allow_library : bool, default False
        Accept that `candidate` calls a ready-made normalization.
    dense_only : bool, default False
        Check dense inputs alone, of a function that does not know images.
    framework : {"mxnet", "torch", "numpy"}, default "mxnet"
        Whose arrays `candidate` takes. In PyTorch `torch.is_grad_enabled()` tells the mode. NumPy's
        functions get it as a keyword, training=True or False, and are asked for no gradient.
    momentum_weighs : {"old", "new"}, default "old"
        Which value momentum multiplies: the old average, or that of the batch, as torch.nn has it.

    Raises
    ------
    CheckFailed
        At the first property that does not hold.
    ValueError
        If a part is unknown.
    """
    kinds = (forms.DENSE,) if dense_only else (forms.DENSE, forms.IMAGES)
    known: dict[str, Part] = {
        "dense": partial(_training, kind=forms.DENSE),
        "images": partial(_training, kind=forms.IMAGES),
    }
    known.update(_common(kinds), shapes=partial(_shapes, dense_only=dense_only))
    if dense_only:
        del known["images"]
    _run(candidate, known, parts, allow_library, framework, momentum_weighs)


def channels_last(
    candidate: Callable, *parts: str, allow_library: bool = False, **written: str
) -> None:
    """Check a `batch_norm` whose channels are the last axis of X, however many axes that has.

    It is called like `batch_norm`, with gamma, beta and the averages in shape (channels,).

    Parameters
    ----------
    candidate, allow_library, framework, momentum_weighs
        As in `batch_norm`.
    *parts : {"training", "statistics", "prediction", "gradient", "precision"}
        What to check; without any, everything.
    """
    _sibling(forms.CHANNELS_LAST, candidate, parts, allow_library, **written)


def any_axis(candidate: Callable, *parts: str, allow_library: bool = False, **written: str) -> None:
    """Check a `batch_norm` that gets the axis of the channels as its last argument.

    Parameters
    ----------
    candidate, allow_library, framework, momentum_weighs, *parts
        As in `channels_last`.
    """
    _sibling(forms.ANY_AXIS, candidate, parts, allow_library, **written)


def masked(candidate: Callable, *parts: str, allow_library: bool = False, **written: str) -> None:
    """Check a `batch_norm` of padded sequences, (batch, length, channels).

    It is called with (X, mask, gamma, beta, moving_mean, moving_var, eps, momentum); the mask, of
    shape (batch, length), is 1 where X counts and 0 where it is padding.

    Parameters
    ----------
    candidate, allow_library, framework, momentum_weighs, *parts
        As in `channels_last`.
    """
    _sibling(forms.PADDED, candidate, parts, allow_library, **written)


def _run(
    candidate, known, parts, allow_library: bool, framework="mxnet", momentum_weighs="old"
) -> None:
    check = Check.of(candidate, allow_library, framework, momentum_weighs)
    if check.respondent.framework.name == "numpy":
        del known["gradient"]
    Question(check.respondent, ready_made=allow_library).run(known, parts)


def _sibling(kind: Kind, candidate, parts, allow_library: bool, **written: str) -> None:
    known: dict[str, Part] = {"training": partial(_training, kind=kind)}
    _run(candidate, {**known, **_common((kind,))}, parts, allow_library, **written)


def _common(kinds: tuple[Kind, ...]) -> dict[str, Part]:
    """The parts that all of these functions have."""
    return {
        "statistics": partial(_statistics, kinds=kinds),
        "prediction": partial(_prediction, kinds=kinds),
        "gradient": partial(_gradient, kinds=kinds),
        "precision": partial(_precision, kinds=kinds),
    }


def _training(check: Question, kind: Kind) -> str:
    part = f"{kind.label}, training mode"
    for form, case in kind.visible:
        _output(check.on(form, case, part))
    form, constant = kind.visible[0]
    _output(check.on(form, constant._replace(X=np.full_like(constant.X, 3)), part))
    for form, case in kind.cases(check, 0, eps=0.01):
        _output(check.on(form, case, part))
    return part


def _output(check: Question) -> None:
    case, form = check.case, check.form
    values = check.result("train")
    causes: Iterable[tuple] = _examples()
    if close(values[0], form.array(case.prediction())):
        recorded = check.result("record")[0]
        if close(recorded, form.array(case.training())):
            causes = [(said("mode: recording asked"), case.prediction())]
        elif len(case.X) == 1:
            causes = [(said("mode: one image"), case.prediction())]
    check.compare("the output", "train", values, TRAINING, causes)


def _examples() -> Iterator[tuple[str, np.ndarray]]:
    """Yield the numbers of the examples that are shown: they may have been written down."""
    for kind in (forms.DENSE, forms.IMAGES, forms.CHANNELS_LAST, forms.ANY_AXIS, forms.PADDED):
        for _, example in kind.visible:
            yield said("hard-coded"), example.training()


def _statistics(check: Question, kinds: tuple[Kind, ...]) -> str:
    part = "moving averages"
    for kind in kinds:
        form, visible = kind.visible[0]
        channels = np.arange(visible.X.shape[1])
        visible = visible._replace(
            mean=per_channel(10 + 10 * channels, visible.X.ndim),
            var=per_channel(4 + 5 * channels, visible.X.ndim),
        )
        cases = [(form, visible), (form, visible._replace(momentum=0.6, eps=0.5))]
        for form, case in chain(cases, kind.cases(check, 20, momentum=0.7)):
            here = check.on(form, case, f"{part}, {kind.label}")
            values = here.result("train")
            for name in NAMES[1:]:
                here.compare(name, "train", values, STATISTICS)
    return part


def _prediction(check: Question, kinds: tuple[Kind, ...]) -> str:
    """Check prediction mode, and that nothing else decides for it."""
    part = "prediction mode"
    for kind in kinds:
        visible = [
            (
                form,
                case._replace(
                    mean=per_channel(1 + np.arange(case.X.shape[1]), case.X.ndim),
                    var=per_channel((2 + np.arange(case.X.shape[1])) ** 2, case.X.ndim),
                ),
            )
            for form, case in kind.visible[:2]
        ]
        for form, case in chain(visible, kind.cases(check, 40, eps=0.05)):
            here = check.on(form, case, f"{part}, {kind.label}")
            values = here.result("predict")
            here.compare("the output", "predict", values, PREDICTION)
            here.unmoved(values)
    _modes(check, kinds[0])
    return part


def _modes(check: Question, kind: Kind) -> None:
    """Check that training mode decides, not whether autograd records."""
    form, case = list(kind.cases(check, 60))[1]

    here = check.on(form, case, "training mode without recording")
    recorded = here.result("record")[0]  # like with it; a wrong formula is told elsewhere
    values = here.result("train")
    if not close(values[0], recorded):
        here.compare(
            "the output", "train", values, PREDICTION, [(said("mode: recorded"), case.prediction())]
        )

    here = check.on(form, case, "recording without training mode")
    values = here.result("record without training")
    causes = [(said("mode: recorded"), case.training())]
    here.compare("the output", "record without training", values, PREDICTION, causes)


def _gradient(check: Question, kinds: tuple[Kind, ...]) -> str:
    """Check the gradients of X, gamma and beta in both modes."""
    part, modes = "gradient", [("record", "training"), ("record without training", "prediction")]
    if check.respondent.framework.name == "torch":
        del modes[1]  # it records in training mode alone
    for kind in kinds:
        drawn = list(kind.cases(check, 80, eps=0.1))[1:3]
        for number, (form, case) in enumerate([kind.visible[1], *drawn]):
            dY = check.draw(case.X.shape, 90 + number).X
            dY = np.round(dY, 1) if number == 0 else dY
            for mode, words in modes:
                here = check.on(form, case, f"{part}, {kind.label}, {words} mode")
                _gradient_of(here, dY, mode)
    return part


def _gradient_of(check: Question, dY: np.ndarray, mode: str) -> None:
    case, form, training = check.case, check.form, mode == "record"
    names = [name for name in ("X", "mask", "gamma", "beta") if name in form.arguments(case)]
    given = form.shown(case, TRAINING)
    check = replace(check, given={**given, "dY": form.array(dY)})
    answer = check.ask(
        "call",
        lambda words: "" if "computational graph" in words else check.explained(mode, words),
        arguments=list(check.respondent.framework.arguments(form.arguments(case)).values()),
        mode=mode,
        variables=len(names),
        dY=form.array(dY),
    )
    Y = check.three_values(answer["result"], NAMES)[0]
    check._shape("Y", Y, case.X)
    gradients = dict(zip(names, answer["gradients"]))
    output = form.array(check.right(mode))
    for name, ours in zip(("X", "gamma", "beta"), case.gradients(dY, training)):
        expected = form.array(ours) if name == "X" else form.value(ours)
        received = np.asarray(gradients[name], np.float64)
        check.finite(f"the gradient of {name}", received, "a division by zero.")
        if close(received, expected, 1e-3):
            continue
        if not close(Y, output, 1e-3):
            trained = check.attempt("train") is not None and mode == "record"
            part = check.first_part if trained else "prediction"
            check.blame("first: gradient", output, Y, given, name=name, part=part)
        theirs = np.moveaxis(received, form.axis, 1) if name == "X" else received
        theirs = theirs.reshape(ours.shape)
        times = leftover.share(theirs, ours)
        if times:
            check.blame("gradient: times", expected, received, times=f"{times:.4g}", what=name)
        cause = derivation.of_autograd(case, name, dY, theirs, ours, training)
        wrong = f"the gradient of {name} is wrong, though the output is right."
        check.fail(wrong, expected, received, cause)


def _precision(check: Question, kinds: tuple[Kind, ...]) -> str:
    """Check inputs that are far from zero, where E[x^2] - E[x]^2 has no digits left."""
    for kind in kinds:
        form, shape = kind.hidden[-1]
        drawn = check.draw((64, 2, *((3,) * (len(shape) - 2))), 95)
        drawn = padded(drawn, check, 95) if form.label else drawn
        pairs = product((kind.visible[0], (form, drawn)), ("", ": padding")[: 1 + bool(form.label)])
        for (where, case), padding in pairs:
            offset = 1e7 * (1 - case.mask) if padding else 10000
            far = case._replace(X=(case.X + offset).astype(np.float32).astype(np.float64))
            here = check.on(where, far, f"precision{padding}, {kind.label} far from zero")
            expected, received = where.array(far.training()), here.result("train")[0]
            if not np.abs(received - expected).max() <= 0.05:  # not true of NaN
                near = check.on(where, case, here.part).result("train")[0]
                right = close(near, where.array(case.training()), 1e-3)
                label = f"precision{padding}" if right else "first: offset"
                given = where.shown(far, TRAINING)
                here.blame(label, expected, received, given, part=here.first_part)
    return "precision"


def _shapes(check: Question, dense_only: bool) -> str:
    part = "shapes"
    images = (3, 3, 3, 3), (2, 4, 1, 4), (4, 2, 4, 4), (2, 1, 3, 2)
    for shape in ((3, 3), (4, 4), (2, 5), *(() if dense_only else images)):
        case = check.draw(shape, 100, eps=0.1)
        _output(check.on(PLAIN, case, f"{part}, X is {shape}"))
    check.on(PLAIN, check.draw((5, 3), 101), f"{part}, float64").result("train", dtype="float64")
    return part
