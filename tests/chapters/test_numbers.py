"""Each number of a chapter's text is printed by its section, or stands below with its reason."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

CHAPTERS = Path(__file__).parents[2] / "chapters"
NO_PROSE = re.compile(r"\$\$.*?\$\$|\$[^$]+\$|`[^`]*`|\]\([^)]*\)|<[^>]+>|arXiv:\S+", re.DOTALL)
IN_TEXT = re.compile(r"(?<![\w.,/])(\d[\d,]*\.\d+)(?!\d)( %)?")
PRINTED = re.compile(r"\d[\d,]*\.\d+(?:e-?\d+)?|\d+e-?\d+")
WHOLE = {"verdicts", "summary", "file", "measured-read"}  # what tells of other sections, too
MADE_UP, MOMENTUM, VERSION, NAME = "a made-up run", "a momentum", "a version", "a name"
GIVEN = {  # of a chapter and a cell: numbers that nothing prints, and what they are
    "1 equations": {"0.4": 100 / 256},
    "1 flow-caption": {"0.9": MOMENTUM},
    "1 questions": {"0.99": MOMENTUM},
    "2 bias": {"2.95": 4 - 3 * 0.9**10, "2.61": 4 * (1 - 0.9**10)},
    "2 bias-caption": {"0.995": 1 - 0.9**50},
    "2 averages-follow-caption": {"0.99": MOMENTUM},
    "3 loop-plain-read": {"0.018": np.exp(4) / (1 + np.exp(4)) ** 2},
    "3 table-read": {"0.011": (0.87 * 0.13 / 1000) ** 0.5},
    "3 escape": dict.fromkeys(["0.89", "0.50"], "see test_chapters.py")
    | dict.fromkeys(["0.86", "0.90"], "see test_pages.py"),
    "3 questions": dict.fromkeys(["0.03", "0.3", "0.90", "0.89"], MADE_UP)
    | {"0.01": (0.9 * 0.1 / 1000) ** 0.5},
    "4 no-help": dict.fromkeys(["0.86", "0.90"], "see test_pages.py"),
    "4 questions": dict.fromkeys(["0.99", "0.10"], MADE_UP),
    "5b where": {"3.5": 256 * 6 * 24 * 24 * 4 / 1e6},
    "5b operator-text": {"1.9": VERSION},
    "6 bands-vgg-caption": {"0.05": "a rate"},
    "6 lag": {"1.0": "a rate"},
    "6 definition": {"2.1": NAME},
    "6 next": {"2.1": NAME},
    "6 questions": {"0.6": 0.6},
    "7 title": {"3.9": VERSION, "3.11": VERSION},
    "7 momentum-text": {"0.1": "a rate", "0.9": MOMENTUM},
    "7 ask-read": {"2.15": VERSION},
    "7 extremes-read": {"0.58": 0.99**100 / (1 - 0.99**100)},
    "8 title": {"0.90": MADE_UP},
    "8 cost": {"3.6": 16 * (6 + 16 + 120 + 84) / 1e3},
    "8 cost-measured-read": {"25.6": "of He and others, 2016"},
    "9 rules": {"0.9": MOMENTUM},
}


def text_of(cell):
    return "".join(cell["source"])


def said(cell):
    """What a cell prints or shows as text or as a table, and the numbers in its code."""
    if cell["cell_type"] == "markdown":
        return ""
    words = text_of(cell)
    for output in cell["outputs"]:
        data = output.get("data", {})
        table = "".join(data.get("text/html", ""))
        if "<iframe" not in table and not {"image/png", "image/svg+xml"} & set(data):
            words += "".join(output.get("text", "")) + re.sub("<[^>]+>", " ", table)
            words += "".join(
                "".join(data.get(f"text/{kind}", "")) for kind in ("plain", "markdown")
            )
    return words


def numbers(words):
    """By the number of decimals, since none is printed with fewer than the text has."""
    found = [number.replace(",", "") for number in PRINTED.findall(words)]
    return [(float(n), 9 if "e" in n else len(n.split(".")[1])) for n in found]


def unfounded(path):
    """The numbers with a decimal point that neither their section nor `GIVEN` has."""
    cells, chapter, section = json.loads(path.read_text())["cells"], path.name.split("-")[0], []
    everything = numbers(" ".join(map(said, cells)))
    sections = "".join("\n" * text_of(cell).startswith("## ") + "." for cell in cells).split("\n")
    for length in map(len, sections):
        section, cells = cells[:length], cells[length:]
        own = numbers(" ".join(map(said, section)))
        for cell in section:
            known = everything if cell["id"] in WHOLE else own
            given = GIVEN.get(f"{chapter} {cell['id']}", {})
            text = NO_PROSE.sub(" ", text_of(cell)) if cell["cell_type"] == "markdown" else ""
            for found, percent in IN_TEXT.findall(text):
                value, decimals = float(found.replace(",", "")), len(found.split(".")[1])
                near = (
                    abs(factor * number - value) <= 0.5001 / 10**decimals
                    for number, more in known
                    for factor, moved in ((1, 0), (100, 2))[: 1 + bool(percent)]
                    if more - moved >= decimals
                )
                if found not in given and not any(near):
                    yield chapter, cell["id"], found


@pytest.mark.parametrize("path", sorted(CHAPTERS.glob("[1-9]*.ipynb")), ids=lambda path: path.name)
def test_each_number_of_the_text_is_printed(path):
    assert not list(unfounded(path))


@pytest.mark.parametrize("given", GIVEN.values(), ids=GIVEN)
def test_what_nothing_prints_is_as_it_is_computed(given):
    for text, value in given.items():
        assert isinstance(value, str) or f"{value:.{len(text.split('.')[1])}f}" == text
