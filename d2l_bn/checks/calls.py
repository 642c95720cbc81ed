"""Calls a student's code, and says in words what is wrong with how it ends."""

from __future__ import annotations

import linecache
import re
import traceback
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import numpy as np

from d2l_bn.checks.failure import CheckFailed, kind
from d2l_bn.checks.hints import hint
from d2l_bn.checks.watch import Watch

import mxnet as mx
from mxnet import nd

_LIBRARIES = (Path(mx.__file__).parent, Path(np.__file__).parent, Path(__file__).parents[1])


def guarded(
    call: Callable, part: str, *, allow_library: bool, given=None, explain=None, forbidden=None
):
    """Return ``call()``, where an exception or a ready-made normalization becomes a failed check.

    `given` is the input to show; `explain` returns a cause that is found only now, or "";
    `forbidden` maps the code of further functions that must not be called to their names.
    """
    raised: BaseException | None = None
    with nullcontext(None) if allow_library else Watch(forbidden or {}) as watch:
        try:
            result = call()
            nd.waitall()  # errors of MXNet's engine come late otherwise
        except CheckFailed:
            raise
        except (Exception, SystemExit) as error:
            raised = error
    if watch is not None and watch.calls:
        others = set((forbidden or {}).values())
        normalizations = [name for name in watch.calls if name not in others]
        first = (normalizations or watch.calls)[0]
        raise CheckFailed(
            part,
            f"your code calls {first}, which does what this exercise asks you to write.",
            cause="a ready-made answer did the work. Write it with sums, means or moments.",
        )
    if raised is not None:
        cause = (explain() if explain else "") or hint(_words(raised), _where(raised))
        words = f"your code raised {type(raised).__name__}: {_words(raised)}{_where(raised)}"
        raise CheckFailed(part, words, input=given, cause=cause) from None
    return result


def _words(error: BaseException) -> str:
    """Return the one line that says what happened; MXNet's messages have many."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    text = next((line for line in lines if "Error: " in line), lines[0] if lines else "")
    return re.sub(r"Check failed: .*?: ", "", text.split("Error: ", 1)[-1]).strip()


def _where(error: BaseException) -> str:
    """Return the last line of the student's own code that the error went through."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        if any(library in path.parents for library in _LIBRARIES) or frame.filename == "<string>":
            continue
        code = (frame.line or linecache.getline(frame.filename, frame.lineno or 0)).strip()
        if code:
            code = code if len(code) < 60 else f"{code[:60]}..."
            return f"\n  in {frame.name}, line {frame.lineno}: {code}"
    return ""


def three_values(result, part: str, names: tuple[str, str, str], arrays=nd.NDArray) -> tuple:
    """Return the three arrays in `result`, or say what it is in their place."""
    values = ", ".join(names)
    if result is None:
        raise CheckFailed(
            part,
            "your function returns nothing (None).",
            cause=f"the return statement is missing. End with: return {values}.",
        )
    if not isinstance(result, (tuple, list)) or len(result) != 3:
        count = f"{len(result)} values" if isinstance(result, (tuple, list)) else "one value"
        raise CheckFailed(
            part,
            "your function must return three values.",
            expected=f"({values})",
            received=f"{count}, {kind(result)}",
            cause=f"not all results are returned. End with: return {values}.",
        )
    for name, value in zip(names, result):
        if not isinstance(value, arrays):
            raise CheckFailed(
                part,
                f"{name} is {kind(value)}, but must be an NDArray.",
                cause=f"{name} was made outside of MXNet's operations. Compute it from X with "
                "nd functions, so that autograd can follow.",
            )
    return tuple(result)


def to_numpy(value) -> np.ndarray:
    """Return an NDArray, an array or a number as float64."""
    return np.asarray(value.asnumpy() if hasattr(value, "asnumpy") else value, np.float64)


def check_shape(name: str, value, shape: tuple[int, ...], part: str, given, cause="") -> None:
    """Say so if `value` does not have this shape."""
    if tuple(value.shape) != tuple(shape):
        raise CheckFailed(
            part,
            f"the shape of {name} is wrong.",
            input=given,
            expected=str(tuple(shape)),
            received=str(tuple(value.shape)),
            cause=cause
            or f"{name} was averaged, summed or broadcast along the wrong axis, or its "
            "shape was not restored.",
        )


def check_finite(name: str, value: np.ndarray, part: str, given, cause: str) -> None:
    """Say so if `value` is not a number somewhere."""
    if not np.isfinite(value).all():
        raise CheckFailed(
            part,
            f"{name} contains NaN or infinity.",
            input=given,
            received=value,
            cause=cause,
        )
