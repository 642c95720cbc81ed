"""Figures that a reader moves: pages of plain JavaScript that need neither a kernel nor a network.

In `javascript/`, what computes stands apart from what draws, and `words.json` holds all labels.
"""

from __future__ import annotations

import json
import os
from html import escape
from pathlib import Path
from urllib.parse import quote

from d2l_bn.figures.drawings import style

FOLDER = Path(__file__).with_name("javascript")
SCRIPTS = {  # each needs those before it
    "batch": ("normalization", "frame", "batch"),
    "averages": ("normalization", "random", "frame", "averages"),
    "race": ("normalization", "random", "network", "images", "frame", "race"),
}
# The frame covers the picture as soon as its scripts run. Where none run, the picture stays.
FRAME = """\
<div class="explorable" style="display: grid">
<img alt="{alt}" src="data:image/svg+xml,{picture}" style="grid-area: 1 / 1; width: 100%">
<iframe class="explorable" title="{title}" srcdoc="{page}" \
style="grid-area: 1 / 1; position: relative; width: 100%; height: 100%; border: 0"></iframe>
</div>"""
PAGE = """\
<!doctype html>
<html lang="{language}">
<meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>{style}</style>
<body class="drawing">
<p id="first">{first}</p>
<svg xmlns="http://www.w3.org/2000/svg" role="group" aria-label="{alt}"><g></g><g></g></svg>
<form></form>
<p id="note" aria-live="polite"></p>
<script>{script}</script>
</html>"""


class Explorable:
    """A page in a frame, which a notebook shows as it is, over a picture of how it begins.

    Attributes
    ----------
    name : str
        By which `explore` knows it.
    language : str
        The one of its labels: "en" where there are none in the language that was asked for.
    words : dict of str to str
        Its labels; ``"alt"`` puts it into words.
    """

    def __init__(self, name: str, language: str = "") -> None:
        self.name = name
        self.language = language if (FOLDER / f"words.{language}.json").exists() else "en"
        labels = "words.json" if self.language == "en" else f"words.{language}.json"
        self.words: dict[str, str] = json.loads(_read(labels))[name]

    def page(self) -> str:
        """The page by itself, with all that it needs in it."""
        parts = {key: escape(self.words[key]) for key in ("title", "first", "alt")}
        scripts = [f"const WORDS = {json.dumps(self.words, ensure_ascii=False)};"]
        for script in SCRIPTS[self.name]:
            lines = [line.strip() for line in _read(f"{script}.js").splitlines()]
            scripts += [line for line in lines if not line.startswith("//")]
        look = style() + _read("style.css")
        return PAGE.format(style=look, script="\n".join(scripts), language=self.language, **parts)

    def _repr_html_(self) -> str:
        picture = quote(_read(f"{self.name}.svg"), safe=" =:;,.-()'{}@!")
        page = self.page().replace("&", "&amp;").replace('"', "&quot;")
        words = {key: escape(self.words[key]) for key in ("title", "alt")}
        return FRAME.format(picture=picture, page=page, **words)

    def __repr__(self) -> str:
        return self.words["alt"]


def explore(name: str) -> Explorable:
    """A figure that a reader moves, in a notebook or a page of the book, without a kernel.

    Its labels are in the language of the variable ``D2L_BN_LANGUAGE``, if that has some.

    Parameters
    ----------
    name : str
        ``"batch"``, ``"averages"`` or ``"race"``.

    Raises
    ------
    ValueError
        If there is none of that name.
    """
    if name not in SCRIPTS:
        raise ValueError(f"an explorable is one of {', '.join(SCRIPTS)}, got {name!r}")
    return Explorable(name, os.environ.get("D2L_BN_LANGUAGE", ""))


def _read(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")
