"""What a student reads when a check fails."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

import numpy as np

WIDTH = 96


class CheckFailed(AssertionError):
    """A property that does not hold, in words.

    A notebook shows the words alone, without the library's traceback.

    Parameters
    ----------
    part : str
        What was checked, such as "dense input, training mode".
    property : str
        What does not hold, as a sentence.
    input : mapping of str to array or number, optional
        The input on which it does not hold.
    expected, received : object, optional
        Arrays, or words that say what was expected and what came.
    cause : str, optional
        The likely cause and its remedy; empty if the check knows none.
    """

    def __init__(
        self,
        part: str,
        property: str,
        *,
        input: Mapping | None = None,
        expected=None,
        received=None,
        cause: str = "",
    ) -> None:
        self.part = part
        self.property = property
        self.input = dict(input or {})
        self.expected = expected
        self.received = received
        self.cause = cause
        super().__init__(self._message())

    def _message(self) -> str:
        lines = [f"{self.part[:1].upper()}{self.part[1:]}: {self.property}"]
        if self.input:
            given = [f"{name} = {show(value)}" for name, value in self.input.items()]
            lines += _join(given)
        for label in ("expected", "received"):
            value = getattr(self, label)
            if value is not None:
                lines.append(f"  {label} {show(value)}".replace("\n", "\n" + " " * 11))
        if self.cause:
            lines += textwrap.wrap(
                f"Likely cause: {self.cause}",
                WIDTH,
                initial_indent="  ",
                subsequent_indent="    ",
                break_long_words=False,
                break_on_hyphens=False,
            )
        return "\n".join(lines)

    def _render_traceback_(self) -> list[str]:
        """Return what IPython prints in place of a traceback."""
        return str(self).splitlines()


def _join(given: list[str]) -> list[str]:
    """Put "on a = ..., b = ..." into lines that are not too wide."""
    lines, line = [], "  on " + given[0]
    for text in given[1:]:
        if "\n" in line or "\n" in text or len(line) + len(text) + 2 > WIDTH:
            lines.append(line + ",")
            line = "     " + text
        else:
            line += ", " + text
    return [*lines, line]


def show(value) -> str:
    """Words as they are, numbers with at most five digits, arrays as nested lists if small."""
    if isinstance(value, str):
        return value
    if hasattr(value, "asnumpy"):
        value = value.asnumpy()
    value = np.asarray(value)
    if value.ndim == 0:
        return _number(value)
    if value.size > 36:
        first = ", ".join(_number(v) for v in value.reshape(-1)[:6])
        return f"an array of shape {tuple(map(int, value.shape))}, first values {first}, ..."
    return _nested(value)


def _number(value) -> str:
    value = float(value)
    if value and abs(value) < 1e-12:
        value = 0.0
    return f"{value:.5g}".replace("-0", "0") if value == 0 else f"{value:.5g}"


def _nested(value: np.ndarray) -> str:
    if value.ndim == 0:
        return _number(value)
    return "[" + ", ".join(_nested(v) for v in value) + "]"
