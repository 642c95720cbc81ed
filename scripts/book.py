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
from d2l_bn.figures.explorables import SCRIPTS, explore  # noqa: E402

BOOK = ROOT / "book"
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
    folder = parser.parse_args().folder
    errors = [error for path in chapters.paths() for error in failed_cells(path)]
    if errors:
        print(*errors, "Mend them, then: make chapters-update", sep="\n", file=sys.stderr)
        return 1
    source, html = folder / "source", folder / "html"
    for made in (source, html):
        shutil.rmtree(made, ignore_errors=True)
    collect(source)
    command = [sys.executable, "-m", "sphinx", "-b", "html", "-W", "--keep-going", "-q"]
    repository = chapters.repository()
    if repository:
        options = {"repository_url": repository, "use_repository_button": "1"}
        command += [f"-Dhtml_theme_options.{name}={value}" for name, value in options.items()]
    if subprocess.call([*command, str(source), str(html)]):
        return 1
    print(f"open {os.path.relpath(html)}/index.html")
    return 0


def collect(source: Path) -> None:
    """Write what Sphinx reads to the folder `source`."""
    shutil.copytree(BOOK, source)
    shutil.copy(TEACHER, source)
    for name in SCRIPTS:
        (source / f"{name}.html").write_text(explore(name)._repr_html_(), encoding="utf-8")
    for page in source.glob("*.md"):
        origin = "classroom/teacher.md" if page.name == TEACHER.name else f"book/{page.name}"
        page.write_text(page.read_text() + f"\n{links(origin)}\n" * bool(links(origin)))
    for path in chapters.paths():
        notebook = for_readers(nbformat.read(path, as_version=4), f"chapters/{path.name}")
        chapters.lead_on(notebook, path, "../exercises")
        write(notebook, source / "chapters" / path.name)
    for path in chapters.exercises():
        origin = f"chapters/exercises/{path.name}"
        exercise = student_version(nbformat.read(path, as_version=4))
        write(for_readers(exercise, origin), source / "exercises" / path.name)
        solved = solution(nbformat.read(path, as_version=4))
        write(for_readers(solved, origin), source / "solutions" / path.name)


def for_readers(notebook: NotebookNode, origin: str) -> NotebookNode:
    """The notebook with folded cells named, drawings in its pages, and words for each picture."""
    for cell, after in zip(notebook.cells, [*notebook.cells[1:], None]):
        if cell.cell_type != "code":
            continue
        shown = cell.metadata.setdefault("mystnb", {})
        prompts = PROMPTS
        if cell.id == "setup":  # a page doesn't run: its reader wants the text first
            cell.metadata["tags"], prompts = ["hide-input"], {"hide-input": SETUP}
        for tag in set(cell.metadata.get("tags", ())) & set(prompts):
            shown["code_prompt_show"] = f"Show: {prompts[tag]}"
            shown["code_prompt_hide"] = f"Hide: {prompts[tag]}"
        image = shown.setdefault("image", {})
        image.setdefault(
            "alt", in_words(after.source if after else "") or cell.id.replace("-", " ")
        )
        if image["alt"].startswith("Two panels"):
            image["classes"] = "two-panels"
        for output in cell.outputs:
            svg = output.get("data", {}).pop("image/svg+xml", None)
            if svg:  # in the page itself it takes the colours of the page
                output.data["text/html"] = svg
    if links(origin):
        notebook.cells[0].source += f"\n\n{links(origin)}"
    return notebook


def in_words(caption: str) -> str:
    """The caption at the head of a text, without Markdown, or an empty text."""
    found = re.match(r"\*(.+?)\*(\n\n|$)", caption, re.DOTALL)
    return " ".join(re.sub(r"[`*$\\]", "", found[1]).split()) if found else ""


def links(origin: str) -> str:
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
    words = " · ".join(f'<a href="{url}">{name}</a>' for name, url in places.items())
    return f'<p class="page-links">{words}</p>'


def solution(notebook: NotebookNode) -> NotebookNode:
    """The exercise with one solution, without the marks and the hidden tests."""
    for cell in notebook.cells:
        cell.source = SOLUTION.sub("", HIDDEN.sub("", cell.source))
    notebook.cells = [cell for cell in notebook.cells if cell.source.strip()]
    notebook.cells[0].source = notebook.cells[0].source.replace(
        "# Exercise", "# Solution of exercise", 1
    )
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
