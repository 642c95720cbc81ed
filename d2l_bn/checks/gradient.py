"""Checks a gradient that a student derived by hand, for dense inputs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Callable, NamedTuple

import numpy as np

from d2l_bn.checks import derivations, formula
from d2l_bn.checks.calls import check_finite, guarded, three_values, to_numpy
from d2l_bn.checks.choose import run_parts
from d2l_bn.checks.failure import CheckFailed
from d2l_bn.checks.formula import Case
from d2l_bn.checks.mistakes import find

from mxnet import autograd, nd

AUTOGRAD = {
    autograd.record.__code__: "autograd.record",
    autograd.backward.__code__: "autograd.backward",
    autograd.grad.__code__: "autograd.grad",
    nd.NDArray.backward.__code__: "NDArray.backward",
}
NAMES = ("dX", "dgamma", "dbeta")


class Subject(NamedTuple):
    """A candidate for the gradient and whether it may call ready-made normalizations."""

    candidate: Callable
    allow_library: bool


def backward(candidate: Callable, *parts: str, allow_library: bool = False) -> None:
    """Check a function (dY, X, gamma, eps) -> (dX, dgamma, dbeta) for dense inputs.

    Parameters
    ----------
    candidate : callable
        Called with the gradient dY of the output and the input X, shape (m, d), the scale gamma,
        shape (d,), and eps. The arrays are NumPy's, float64; where the function fails in one of
        MXNet's operations, NDArrays. It may return either.
    *parts : {"beta", "gamma", "input"}
        What to check; without any, everything.
    allow_library : bool, default False
        Accept that `candidate` calls a ready-made normalization, or autograd.

    Raises
    ------
    CheckFailed
        At the first property that does not hold.
    ValueError
        If a part is unknown.
    """
    known: dict[str, Callable[[Subject], str]] = {"beta": _beta, "gamma": _gamma, "input": _input}
    run_parts(known, parts, Subject(candidate, allow_library))


def _beta(subject: Subject) -> str:
    return _compare(subject, "gradient of beta", 2, derivations.of_beta)


def _gamma(subject: Subject) -> str:
    return _compare(subject, "gradient of gamma", 1, derivations.of_gamma)


def _input(subject: Subject) -> str:
    return _compare(subject, "gradient of X", 0, derivations.of_input)


def _cases() -> Iterator[tuple[Case, np.ndarray]]:
    """Yield the inputs: two to read, with and without a scale, then others."""
    X, dY = [[1, 2], [3, 6], [5, 1]], np.array([[1.0, 0], [0, 2], [1, 1]])
    yield formula.make(X), dY
    yield formula.make(X, gamma=[2, -1], eps=0.5), dY
    for seed, shape in enumerate([(3, 2), (5, 3), (4, 4), (8, 1)]):
        case = formula.draw(shape, 200 + seed, eps=0.1)
        yield case, formula.draw(shape, 300 + seed).X


def _compare(subject: Subject, part: str, index: int, causes: Callable) -> str:
    name = NAMES[index]
    for case, dY in _cases():
        shown = {"dY": dY, "X": case.X, "gamma": case.gamma.reshape(-1), "eps": case.eps}
        values = _call(subject, case, dY, part, shown)
        value = values[index]
        expected = formula.gradients(case, dY)[index]
        if index:
            expected = expected.reshape(-1)
        if value.size != expected.size or (index == 0 and value.shape != expected.shape):
            raise CheckFailed(
                part,
                f"the shape of {name} is wrong.",
                input=shown,
                expected=str(expected.shape),
                received=str(value.shape),
                cause=_of_shape(name, value.shape == case.X.shape != values[0].shape),
            )
        received = value.reshape(expected.shape)
        check_finite(name, received, part, shown, "a division by zero. Is eps inside the root?")
        if not formula.close(received, expected):
            raise CheckFailed(
                part,
                f"{name} is wrong.",
                input=shown,
                expected=expected,
                received=received,
                cause=_swapped(values, index, case, dY)
                or find(causes(case, dY), received, expected)
                or _property(name, received, case),
            )
    return part


def _swapped(values: tuple[np.ndarray, ...], index: int, case: Case, dY: np.ndarray) -> str:
    """Return the cause if dgamma and dbeta are each other's."""
    _, *right = formula.gradients(case, dY)
    found = [value.reshape(1, -1) for value in values[1:]]
    if index and all(formula.close(a, b.reshape(1, -1)) for a, b in zip(found, right[::-1])):
        return "dgamma and dbeta are swapped: return dX, dgamma, dbeta."
    return ""


def _of_shape(name: str, other_order: bool) -> str:
    if other_order:
        return "the order is another one: return dX, dgamma, dbeta."
    if name == "dX":
        return "dX has one value for each value of X. The sums over the batch stand inside it."
    return (
        f"{name} has one value for each feature, as {name[1:]} has. A sum over axis 0 is missing "
        "or goes over another axis."
    )


def _property(name: str, dX: np.ndarray, case: Case) -> str:
    """Return a property of dX that does not hold, to say where to look."""
    if name != "dX":
        return ""
    unknown = "not one of the known mistakes."
    mean, var = formula.moments(case)
    sums = dX.sum(0)
    if not formula.close(sums, 0 * sums, 1e-3):
        return (
            f"{unknown} Shifting a feature changes no output, so each column of dX sums to 0; "
            f"yours sum to {np.round(sums, 3).tolist()}. Look at the path through the mean."
        )
    sums = (dX * (case.X - mean) / np.sqrt(var + case.eps)).sum(0)
    if case.eps < 1e-4 and not formula.close(sums, 0 * sums, 1e-3):
        return (
            f"{unknown} Stretching a feature changes no output, but for eps, so each column of "
            f"dX * X_hat sums to 0; yours sum to {np.round(sums, 3).tolist()}. Look at the path "
            "through the variance."
        )
    return f"{unknown} Both paths fit. Look at the factors: gamma, the standard deviation, m."


def _call(subject: Subject, case: Case, dY, part: str, shown) -> tuple[np.ndarray, ...]:
    """Call the candidate with NumPy's arrays, or with NDArrays if MXNet does not take those."""
    arrays = dY, case.X, case.gamma.reshape(-1)

    def call():
        given = [array.copy() for array in arrays]
        try:
            return subject.candidate(*given, case.eps), given
        except Exception as error:
            if not _in_mxnet(error):
                raise
        given = [nd.array(array) for array in arrays]
        return subject.candidate(*given, case.eps), given

    result, given = guarded(
        call, part, allow_library=subject.allow_library, given=shown, forbidden=AUTOGRAD
    )
    for name, before, after in zip(("dY", "X", "gamma"), arrays, given):
        if not formula.close(to_numpy(after), before, 1e-5):
            raise CheckFailed(
                part,
                f"your function changes its argument {name} in place.",
                input={f"{name} before the call": before},
                received=to_numpy(after),
                cause="+=, -=, *=, /= and [:] = write into the caller's array. Make a new one.",
            )
    values = three_values(result, part, NAMES, (np.ndarray, np.generic, nd.NDArray))
    return tuple(to_numpy(value) for value in values)


def _in_mxnet(error: Exception) -> bool:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    module = trace.tb_frame.f_globals.get("__name__", "") if trace is not None else ""
    return module.startswith("mxnet") or "ndarray" in str(error)
