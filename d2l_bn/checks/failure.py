"""What a student reads when a check fails."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping

import numpy as np

from d2l_bn.checks.language import translated

WIDTH, LINES = 80, 10
# Marks of Chinese that begin no line, or end none.
AFTER, BEFORE = "[\u3001\u3002\uff01\uff09\uff0c\uff1a\uff1b\uff1f\u201d]", "[\uff08\u201c]"


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
        """The whole, with as many numbers as ten lines have room for."""
        for most in ((36, 36), (36, 6), (16, 6), (6, 4), (0, 4)):
            lines = self._lines(*most)
            if len(lines) <= LINES:
                break
        return "\n".join(lines)

    def _lines(self, given: int, compared: int) -> list[str]:
        part, cause = translated(self.part), translated(self.cause)
        title = f"{part[:1].upper()}{part[1:]}{translated(': ')}{translated(self.property)}"
        title, *code = title.splitlines()
        lines = _wrap(title, "", "  ")
        lines = lines if len(lines) < 4 else [*lines[:2], f"{lines[2][: WIDTH - 4]} ..."]
        lines += [_cut(line, WIDTH) for line in code]
        values = {name: show(each, 4, given) for name, each in self.input.items()}
        lines += _join([(f"{translated(k)} = ", translated(each)) for k, each in values.items()])
        both = self.expected, self.received
        apart = (n for n in (4, 5, 6) if len({show(each, n, compared) for each in both}) > 1)
        digits = next(apart, 7)
        for label, value in zip((translated("  expected "), translated("  received ")), both):
            if value is not None:
                shown = _indent(translated(show(value, digits, compared)), _columns(label))
                lines += [_cut(line, WIDTH) for line in (label + shown).splitlines()]
        return lines + _wrap(translated("Likely cause: ") + cause, "  ", "    ") * bool(cause)

    def _render_traceback_(self) -> list[str]:
        """Return what IPython prints in place of a traceback."""
        return str(self).splitlines()


class _Chunk(str):
    """A piece of a line, whose length is that in columns: a Chinese character takes two."""

    def __len__(self) -> int:
        return _columns(self)


class _Wrapper(textwrap.TextWrapper):
    """Breaks at blanks, and between Chinese characters."""

    def _split(self, text: str) -> list[str]:
        chunks = f"{BEFORE}*[\u2e80-\uffef]{AFTER}*|\\s+|[!-\u2e7f]+{AFTER}*"
        return list(map(_Chunk, re.findall(chunks, text)))


def _columns(text: str) -> int:
    return sum(1 + (char > "\u2e7f") for char in str(text))


def _wrap(text: str, first: str, then: str) -> list[str]:
    wrapper = _Wrapper(WIDTH, initial_indent=first, subsequent_indent=then)
    wrapper.break_long_words = False
    return wrapper.wrap(text)


def _cut(line: str, width: int) -> str:
    wide = _columns(line) - len(line)
    return line if _columns(line) <= width else f"{line[: width - 3 - wide]}..."


def _join(given: list[tuple[str, str]]) -> list[str]:
    """Put "on a = ..., b = ..." into lines that are not too wide."""
    lines: list[str] = []
    for place, (name, text) in enumerate(given):
        item = name + _indent(text, 5 + len(name)) + "," * (place < len(given) - 1)
        if not lines or "\n" in item or len(lines[-1]) + len(item) >= WIDTH:
            lines += (("     " if lines else translated("  on ")) + item).splitlines()
        else:
            lines[-1] += f" {item}"
    return [_cut(line, WIDTH) for line in lines]


def _indent(text: str, spaces: int) -> str:
    return text.replace("\n", "\n" + " " * spaces)


def show(value, digits: int = 4, most: int = 36) -> str:
    """Words as they are, numbers rounded, arrays of up to so many values as nested lists."""
    if value is None or isinstance(value, str):
        return value or ""
    value = np.asarray(value.asnumpy() if hasattr(value, "asnumpy") else value)
    if value.size > max(most, 4):
        first = ", ".join(_nested(v, digits) for v in value.reshape(-1)[:4])
        return f"[{first}, ...] of shape {tuple(map(int, value.shape))}"
    if value.size == max(value.shape, default=0) and value.ndim > 1:  # one for each channel
        return _nested(value.reshape(-1), digits)
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
