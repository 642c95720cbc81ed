"""The texts of another language in place of the English: code, outputs and figures stay.

A translation is a file of Markdown in pieces, each below a line that names what it translates:

    <!-- cell: why, of: 1a2b3c4d -->

A piece of a notebook is a text cell, or (`alt`) the words in the place of a picture; one of a page
is a section. The last word is the hash of the English text, or "missing" follows it where English
stands below, still to be translated.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from d2l_bn.figures.explorables import Explorable
from d2l_bn.figures.sheet import poster

ROOT = Path(__file__).resolve().parent.parent
BOOK = ROOT / "book"
FOLDERS = {"book": "", "classroom": "", "solutions": "solutions", "chapters": "chapters"}
MARKER = re.compile(r"^<!-- ((?:cell|alt): \S+), of: (\w+)(, missing)? -->\n", re.MULTILINE)
ADDRESS = re.compile(r"<!-- address -->.*?<!-- /address -->", re.DOTALL)  # see scripts/address.py
SETUP = 'import os\n\nos.environ["D2L_BN_LANGUAGE"] = "{}"\n'
EXPLORE = re.compile(r'^explore\("(\w+)"\)$', re.MULTILINE)


def languages() -> list[str]:
    """Those that have a translation; elsewhere, "" is English."""
    return sorted(path.parent.name for path in BOOK.glob("*/words.json"))


def words(language: str) -> dict[str, str]:
    """What programs say in a book of this language, by the English; empty for English itself."""
    path = BOOK / language / "words.json"
    return json.loads(path.read_text(encoding="utf-8")) if language else {}


def translation(english: Path, language: str) -> Path:
    """Where the translation of a notebook or a page is kept, whether it is there or not."""
    if english == ROOT / "README.md":
        return ROOT / f"README.{words(language)['tag']}.md"
    folder = FOLDERS.get(english.parent.name, "exercises")  # which a teacher may keep elsewhere
    return BOOK / language / folder / english.with_suffix(".md").name


def pieces(english: Path) -> dict[str, str]:
    """The English texts of a notebook or a page, by their names, such as "cell: why"."""
    if english.suffix == ".md":
        parts = re.split(r"^(?=## )", english.read_text(encoding="utf-8"), flags=re.MULTILINE)
        return {f"cell: {_slug(part)}": part.strip() for part in parts}
    found = {}
    for cell in nbformat.read(english, as_version=4).cells:
        if cell.cell_type == "markdown":
            found[f"cell: {cell.id}"] = cell.source.strip()
        elif alt := cell.metadata.get("mystnb", {}).get("image", {}).get("alt"):
            found[f"alt: {cell.id}"] = alt
    return found


def _slug(section: str) -> str:
    """The heading of a section in small letters, or "top" for what stands before the first one."""
    heading = re.match(r"## (.*)", section)
    return re.sub(r"\W+", "-", heading[1].lower()).strip("-") if heading else "top"


def digest(text: str) -> str:
    """The hash of a text: where its lines end, and the repository's address, don't change it."""
    return hashlib.sha256(" ".join(ADDRESS.sub("", text).split()).encode()).hexdigest()[:8]


def kept(path: Path) -> dict[str, tuple[str, str]]:
    """The pieces of a translation: a hash, with "missing" in it where there is none, and a text."""
    if not path.exists():
        return {}
    _, *parts = MARKER.split(path.read_text(encoding="utf-8"))
    rows = zip(parts[0::4], parts[1::4], parts[2::4], parts[3::4])
    return {name: (of + (missing or ""), text.strip()) for name, of, missing, text in rows}


def translated(notebook: NotebookNode, english: Path, language: str) -> NotebookNode:
    """The notebook of the path `english` with the texts of a language; "" leaves it as it is."""
    own = kept(translation(english, language)) if language else {}
    if language and not own:
        first = notebook.cells[0]
        first.source = _below_heading(words(language)["page missing"], first.source)
    for cell in notebook.cells if language else ():
        image = cell.metadata.get("mystnb", {}).get("image", {})
        if cell.cell_type == "markdown":
            cell.source = _text(own, f"cell: {cell.id}", cell.source, language)
        elif "alt" in image:
            image["alt"] = _text(own, f"alt: {cell.id}", image["alt"], language)
        if cell.id == "setup":  # before d2l_bn is imported, for what a check or an explorable says
            cell.source = SETUP.format(language) + cell.source
        for name in EXPLORE.findall(cell.source) if cell.get("outputs") else ():
            cell.outputs[0].data["text/html"] = Explorable(name, language)._repr_html_()
        if cell.source.endswith("\nposter()") and cell.outputs:
            cell.outputs[0].data["image/svg+xml"] = poster(language).svg()
    return notebook


def page(english: Path, language: str) -> str:
    """A page in a language, put together from its sections."""
    own = kept(translation(english, language)) if language else {}
    if not own:
        text = english.read_text(encoding="utf-8")
        return _below_heading(words(language)["page missing"], text) + "\n" if language else text
    parts = [_text(own, name, text, language) for name, text in pieces(english).items()]
    return "\n\n".join(parts) + "\n"


def _text(own: dict[str, tuple[str, str]], name: str, english: str, language: str) -> str:
    """A piece of a translation, or the English, below a note that says why."""
    of, text = own.get(name, ("missing", ""))
    if of == digest(english):
        return text
    if not own or name.startswith("alt"):
        return english
    why = "piece missing" if "missing" in of else "piece changed"
    return _below_heading(words(language)[why], english)


def _below_heading(note: str, text: str) -> str:
    heading, _, rest = text.partition("\n") if text.startswith("#") else ("", "", text)
    parts = heading, f'<p class="note-of-translation">{note}</p>', rest.strip()
    return "\n\n".join(part for part in parts if part)
