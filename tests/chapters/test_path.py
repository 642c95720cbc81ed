"""The path through the book is short, and each letter of a formula is in the table of symbols."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat", reason="the extra `notebooks` is not installed")
pytest.importorskip("nbclient", reason="the extra `notebooks` is not installed")

CHECKOUT = Path(__file__).parents[2]
sys.path.insert(0, str(CHECKOUT / "scripts"))
import chapters  # noqa: E402

PATHS = {chapters.number(path): path for path in chapters.paths()}
LIMIT, OF_CHAPTER_6 = 12_000, 1_500  # words
FORMULA = re.compile(r"\$\$(.+?)\$\$|\$([^$]+)\$", re.DOTALL)
NOT_PROSE = re.compile(r"`[^`]*`|\]\([^)]*\)|<[^>]+>|^\|[ |:-]+\|$", re.MULTILINE)
IN_WORDS = re.compile(r"\\(?:text|mathrm|operatorname|mathcal)\{[^}]*\}")
LETTER = re.compile(
    r"\\(alpha|beta|gamma|epsilon|eta|lambda|mu|pi|rho|sigma|ell)(?![a-z])"
    r"|(?<![\\A-Za-z])([A-Za-z])(?![A-Za-z])"
)


def prose(path):
    cells = nbformat.read(path, as_version=4).cells
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def on_the_path(text):
    """The text without what is deeper: from such a heading to the next that isn't below it."""
    kept, depth = [], 0
    for part in re.split(r"^(?=#)", text, flags=re.MULTILINE):
        marks, title = re.match(r"(#*) *(.*)", part).groups()
        if not depth or 0 < len(marks) <= depth:
            depth = len(marks) if re.match(r"(\d+b?\. )?Deeper", title) else 0
        kept += [] if depth else [part]
    return "".join(kept)


def words(text):
    """How many words, without formulas, code, and where a link leads."""
    text = NOT_PROSE.sub(" ", FORMULA.sub(" ", text))
    return sum(bool(re.search(r"\w", word)) for word in text.split())


def test_the_path_is_short():
    count = {number: words(on_the_path(prose(PATHS[number]))) for number in "123456"}
    assert sum(count.values()) <= LIMIT and count["6"] <= OF_CHAPTER_6, count


def test_what_is_deeper_is_told_from_the_path():
    text = "# A\none\n## Deeper: B\ntwo\n### C\nthree\n## D\nfour\n# Deeper\n## E\nfive"
    assert on_the_path(text) == "# A\none\n## D\nfour\n"
    assert on_the_path("# 5b. Deeper: fast\n## F\nsix") == ""
    assert words("Two $x$ words,\n$$y$$ `code` and [a link](there).\n| --- |") == 5


def letters(text):
    formulas = (IN_WORDS.sub(" ", a or b) for a, b in FORMULA.findall(text))
    return {a or b for formula in formulas for a, b in LETTER.findall(formula)}


@pytest.mark.parametrize("number", [name for name in PATHS if name not in ("6", "8")])
def test_each_letter_is_in_the_table_of_symbols(number):
    table = letters((CHECKOUT / "book" / "symbols.md").read_text().split("Two chapters")[0])
    assert letters(prose(PATHS[number])) <= table
