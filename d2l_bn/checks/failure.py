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
        self.label = getattr(cause, "label", "") or property.splitlines()[0]
        super().__init__(self._message())

    def _message(self) -> str:
        title, *lines = f"{self.part[:1].upper()}{self.part[1:]}: {self.property}".splitlines()
        lines = textwrap.wrap(title, WIDTH, subsequent_indent="  ", break_on_hyphens=False) + lines
        if self.input:
            lines += _join([(f"{name} = ", show(value)) for name, value in self.input.items()])
        outcome = {"  expected ": self.expected, "  received ": self.received}
        digits = next((n for n in (4, 5, 6) if show(self.expected, n) != show(self.received, n)), 7)
        for label, value in outcome.items():
            if value is not None:
                lines.append(label + _indent(show(value, digits), len(label)))
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


def _join(given: list[tuple[str, str]]) -> list[str]:
    """Put "on a = ..., b = ..." into lines that are not too wide."""
    lines, line = [], "  on"
    for name, text in given:
        item = name + _indent(text, 5 + len(name))
        if line != "  on" and ("\n" in line + item or len(line + item) + 2 > WIDTH):
            lines.append(line + ",")
            line = "    "
        line += (" " if line in ("  on", "    ") else ", ") + item
    return [*lines, line]


def _indent(text: str, spaces: int) -> str:
    return text.replace("\n", "\n" + " " * spaces)


def show(value, digits: int = 4) -> str:
    """Words as they are, numbers rounded, small arrays as nested lists."""
    if value is None or isinstance(value, str):
        return value or ""
    value = np.asarray(value.asnumpy() if hasattr(value, "asnumpy") else value)
    if value.size > 36:
        first = ", ".join(_nested(v, digits) for v in value.reshape(-1)[:6])
        return f"an array of shape {tuple(map(int, value.shape))}, first values {first}, ..."
    if value.ndim == 4 and value.shape[0] == value.shape[2] == value.shape[3] == 1:
        return f"{_nested(value.reshape(-1), digits)} in shape {tuple(map(int, value.shape))}"
    return _rows(value, digits)


def _rows(value: np.ndarray, digits: int) -> str:
    """Write an array in one line if that is short, else each of its rows in lines of its own."""
    text = _nested(value, digits)
    if len(text) > 60 and value.ndim > 1:
        text = "[" + ",\n ".join(_indent(_rows(row, digits), 1) for row in value) + "]"
    return text


def _nested(value: np.ndarray, digits: int) -> str:
    if value.ndim:
        return "[" + ", ".join(_nested(v, digits) for v in value) + "]"
    if abs(value) < 1e6 and abs(value - np.round(value)) < 1e-7:
        return str(int(np.round(value)))
    return f"{float(value):.{digits}g}"
