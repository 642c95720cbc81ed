"""Build chapters, exercises and reference as a web site that needs no network."""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import address  # noqa: E402

import chapters  # noqa: E402
from classroom.release import student_version  # noqa: E402
from classroom.translation import (  # noqa: E402
    BOOK,
    languages,
    page,
    translated,
    translation,
    words,
)
from d2l_bn.figures.explorables import SCRIPTS, Explorable  # noqa: E402

TEACHER = ROOT / "classroom" / "teacher.md"
PROMPTS = {"hide-input": "how it is drawn", "hide-cell": "checks of this section"}
SETUP = "the set-up cell, which comes before all others"
SOLUTION = re.compile(r"^ *### (BEGIN|END) SOLUTION\n?", re.MULTILINE)
HIDDEN = re.compile(
    r"^ *### BEGIN HIDDEN TESTS.*?### END HIDDEN TESTS\n?", re.MULTILINE | re.DOTALL
)


def main() -> int:
    """Build; 1 on a failed cell or any warning, such as a broken link or an unreadable docstring.

    The outputs are the committed ones: what failed there fails here, and the tests run the cells.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "runs" / "book")
    parser.add_argument("--language", choices=languages(), help="this one alone (all)")
    options = parser.parse_args()
    errors = [error for path in chapters.paths() for error in failed_cells(path)]
    if errors:
        print(*errors, "Mend them, then: make chapters-update", sep="\n", file=sys.stderr)
        return 1
    html = options.folder / "html"
    alone = options.language and (html / "index.html").exists()  # the pages that it leads to
    if not alone:
        shutil.rmtree(html, ignore_errors=True)
    for language in [options.language] if alone else ["", *languages()]:
        if build(options.folder / "source" / (language or "en"), html / language, language):
            return 1
    print(f"open {os.path.relpath(html / (options.language or ''))}/index.html")
    return 0


def build(source: Path, html: Path, language: str) -> int:
    """Build the book in one language; 0 where there is no warning."""
    for made in (source, html):
        shutil.rmtree(made, ignore_errors=True)
    collect(source, language)
    command = [sys.executable, "-m", "sphinx", "-b", "html", "-W", "--keep-going", "-q"]
    repository = chapters.repository()
    if repository:
        options = {"repository_url": repository, "use_repository_button": "1"}
        command += [f"-Dhtml_theme_options.{name}={value}" for name, value in options.items()]
    others = [other for other in ["", *languages()] if other != language]
    twins = [f"{other and other + '/'}={words(other).get('name', 'English')}" for other in others]
    command.append(f"-Atwins={';'.join(('../' if language else '') + twin for twin in twins)}")
    return subprocess.call([*command, *in_sphinx(language), str(source), str(html)])


def in_sphinx(language: str) -> list[str]:
    """The options by which Sphinx and the theme speak a language."""
    say = words(language)
    options = {"Dlanguage": "sphinx", "Dhtml_title": "title", "Acopy": "copy", "Acopied": "copied"}
    return [f"-{option}={say[word]}" for option, word in options.items() if language]


def collect(source: Path, language: str = "") -> None:
    """Write what Sphinx reads to the folder `source`."""
    say = words(language)
    shutil.copytree(BOOK, source, ignore=shutil.ignore_patterns(*languages()))
    for drawn in (BOOK / language).glob("poster.*"):
        shutil.copy(drawn, source)
    for name in SCRIPTS:
        (source / f"{name}.html").write_text(Explorable(name, language)._repr_html_())
    for english in [*BOOK.glob("*.md"), *BOOK.glob("solutions/*.md"), TEACHER]:
        path = source / (english.name if english == TEACHER else english.relative_to(BOOK))
        line = links(origin(english, language), say)
        path.write_text(page(english, language) + f"\n{line}\n" * bool(line))
    for path in chapters.paths():
        notebook = for_readers(chapter(path, language), origin(path, language), say)
        chapters.lead_on(notebook, path, "../exercises", say)
        write(notebook, source / "chapters" / path.name)
    for path in chapters.exercises():
        exercise = student_version(chapter(path, language), say)
        write(for_readers(exercise, origin(path, language), say), source / "exercises" / path.name)
        solved = solution(chapter(path, language), say)
        write(for_readers(solved, origin(path, language), say), source / "solutions" / path.name)


def chapter(path: Path, language: str) -> NotebookNode:
    """A chapter or an exercise in a language."""
    return translated(nbformat.read(path, as_version=4), path, language)


def origin(english: Path, language: str) -> str:
    """The file of the repository in which one would mend a text."""
    path = translation(english, language) if language else english
    return (path if path.exists() else english).relative_to(ROOT).as_posix()


def for_readers(notebook: NotebookNode, origin: str, say: dict[str, str]) -> NotebookNode:
    """The notebook with folded cells named, drawings in its pages, and words for each picture."""
    for cell, after in zip(notebook.cells, [*notebook.cells[1:], None]):
        if cell.cell_type != "code":
            continue
        shown = cell.metadata.setdefault("mystnb", {})
        prompts = PROMPTS
        if cell.id == "setup":  # a page doesn't run: its reader wants the text first
            cell.metadata["tags"], prompts = ["hide-input"], {"hide-input": SETUP}
        for tag in set(cell.metadata.get("tags", ())) & set(prompts):
            what = say.get(prompts[tag], prompts[tag])
            shown["code_prompt_show"] = f"{say.get('Show', 'Show: ')}{what}"
            shown["code_prompt_hide"] = f"{say.get('Hide', 'Hide: ')}{what}"
        image = shown.setdefault("image", {})
        image.setdefault(
            "alt", in_words(after.source if after else "") or cell.id.replace("-", " ")
        )
        if image["alt"].startswith(("Two panels", say.get("Two panels", "Two panels"))):
            image["classes"] = "two-panels"
        for output in cell.outputs:
            svg = output.get("data", {}).pop("image/svg+xml", None)
            if svg:  # in the page itself it takes the colours of the page
                output.data["text/html"] = svg
    if links(origin, say):
        notebook.cells[0].source += f"\n\n{links(origin, say)}"
    return notebook


def in_words(caption: str) -> str:
    """The caption at the head of a text, without Markdown, or an empty text."""
    found = re.match(r"(?:<p .*\n\n)?\*(.+?)\*(\n\n|$)", caption, re.DOTALL)
    return " ".join(re.sub(r"[`*$\\]", "", found[1]).split()) if found else ""


def links(origin: str, say: dict[str, str]) -> str:
    """Where else a page is to be found, as a line of Markdown; empty while no address is set."""
    repository = chapters.repository()
    if not repository:
        return ""
    places = {"repository": repository}
    if repository.startswith("https://github.com/"):
        places["edit"] = f"{repository}/edit/HEAD/{origin}"
        places["report a mistake"] = f"{repository}/issues/new"
        if origin.endswith(".ipynb") and "exercises" not in origin:  # those hold their solutions
            places.update(address.hosts(repository, origin))
    named = [f'<a href="{url}">{say.get(name, name)}</a>' for name, url in places.items()]
    return f'<p class="page-links">{" · ".join(named)}</p>'


def solution(notebook: NotebookNode, say: dict[str, str]) -> NotebookNode:
    """The exercise with one solution, without the marks and the hidden tests."""
    for cell in notebook.cells:
        cell.source = SOLUTION.sub("", HIDDEN.sub("", cell.source))
    notebook.cells = [cell for cell in notebook.cells if cell.source.strip()]
    title = notebook.cells[0].source.replace("# Exercise", "# Solution of exercise", 1)
    if say:
        title = title.replace(say["# Exercise"], say["# Solution of exercise"], 1)
    notebook.cells[0].source = title
    return notebook


def write(notebook: NotebookNode, path: Path) -> None:
    """Write a notebook into a folder that may be missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)


def failed_cells(path: Path) -> list[str]:
    """One line for each cell that has failed, and for a chapter that was never run."""
    code = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
    if not any(cell["outputs"] for cell in code):
        return [f"{path.name} is kept without outputs"]
    return [
        f"{path.name}, cell {cell['id']}: {output['ename']}: {output['evalue']}"
        for cell in code
        for output in cell["outputs"]
        if output["output_type"] == "error"
    ]


if __name__ == "__main__":
    sys.exit(main())
