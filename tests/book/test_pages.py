"""What the book is collected from: pages, chapters, exercises, solutions, and pictures."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat", reason="the extra `notebooks` is not installed")
pytest.importorskip("nbclient", reason="the extra `notebooks` is not installed")
pytest.importorskip("nbgrader", reason="the extra `classroom` is not installed")

CHECKOUT = Path(__file__).parents[2]
sys.path.insert(0, str(CHECKOUT / "scripts"))
import pictures  # noqa: E402

import book  # noqa: E402
import chapters  # noqa: E402
from d2l_bn.figures.explorables import SCRIPTS, explore  # noqa: E402


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("book") / "source"
    book.collect(folder)
    return folder


def cells(path):
    return nbformat.read(path, as_version=4).cells


def test_the_picture_of_the_first_page_is_that_of_its_table():
    committed = (CHECKOUT / "book" / "with-and-without.svg").read_text()
    assert pictures.front().svg() + "\n" == committed


@pytest.mark.parametrize("language", ["", "zh"])
def test_the_poster_is_that_of_the_code_and_so_is_its_pdf(language):
    svg = pictures.poster(language).svg()
    assert (CHECKOUT / "book" / language / "poster.svg").read_text() == svg + "\n"
    pdf = (CHECKOUT / "book" / language / "poster.pdf").read_bytes()
    assert pictures.title(svg).encode() in pdf and len(re.findall(rb"/Type /Page\b", pdf)) == 1


def test_the_images_of_the_race_are_those_of_the_sample():
    assert (pictures.FOLDER / "images.js").read_text() == pictures.small_images()


def test_exercises_stand_behind_their_chapters_and_solutions_apart(source):
    toctree = (source / "index.md").read_text()
    order = re.findall(r"^((?:chapters|exercises)/\S+)$", toctree, re.MULTILINE)
    exercises = {path.name[0]: f"exercises/{path.stem}" for path in chapters.exercises()}
    expected = []
    deeper = ("5b", "7", "8", "9")
    for chapter in sorted(chapters.paths(), key=lambda path: chapters.number(path) in deeper):
        expected.append(f"chapters/{chapter.stem}")
        for number in chapters.EXERCISES_OF.get(chapters.number(chapter), ""):
            expected.append(exercises[number])
            assert exercises[number] in cells(source / "chapters" / chapter.name)[-1].source
    assert order == expected and len(order) == len(chapters.paths()) + len(exercises)
    assert toctree.index("solutions/index") > toctree.index("7-the-same")


def test_exercises_hold_no_solution_and_solutions_no_hidden_test(source):
    for path in chapters.exercises():
        exercise = "\n".join(cell.source for cell in cells(source / "exercises" / path.name))
        solved = "\n".join(cell.source for cell in cells(source / "solutions" / path.name))
        assert "###" not in exercise.replace("####", "") or "BEGIN" not in exercise
        assert "BEGIN SOLUTION" not in solved and "HIDDEN TESTS" not in solved
        assert solved.startswith("# Solution of exercise")


def test_the_set_up_cell_is_folded_on_every_page(source):
    for folder in ("chapters", "exercises", "solutions"):
        paths = sorted((source / folder).glob("*.ipynb"))
        assert paths
        for path in paths:
            setup = next(cell for cell in cells(path) if cell.id == "setup")
            assert setup.metadata.tags == ["hide-input"], path.name
            assert setup.metadata.mystnb.code_prompt_show == f"Show: {book.SETUP}"


def test_every_picture_has_words_in_its_place(source):
    for path in sorted((source / "chapters").glob("*.ipynb")):
        for cell in cells(path):
            for output in cell.get("outputs", ()):
                assert "image/svg+xml" not in output.get("data", {})
                if "image/png" in output.get("data", {}):
                    alt = cell.metadata.mystnb.image.alt
                    assert len(alt.split()) >= 2 and ".png" not in alt, cell.id


def test_chapters_hold_the_explorables_of_today():
    held = {}
    for path in chapters.paths():
        for cell in cells(path):
            for name in re.findall(r'^explore\("(\w+)"\)$', cell.source, re.MULTILINE):
                held[name] = cell.outputs[0].data["text/html"]
    assert held.keys() == SCRIPTS.keys()
    for name, html in held.items():
        assert html == explore(name)._repr_html_(), "make chapters-update"


def test_captions_become_words():
    assert book.in_words("*A $x$ of `y`,\nlong.*\n\nText") == "A x of y, long."
    assert book.in_words("Text with *emphasis*") == ""


@pytest.mark.parametrize("address", ["", "https://git.example.org/a/b", "https://github.com/a/b"])
def test_a_page_links_to_what_exists(monkeypatch, address):
    monkeypatch.setattr(chapters, "repository", lambda: address)
    line = book.links("chapters/1-batch-normalization-from-scratch.ipynb", {})
    names = re.findall(r">([^<]+)</a>", line)
    hosted = ["edit", "report a mistake", "Colab", "Binder"]
    assert names == ["repository"] * bool(address) + hosted * ("github" in address)
    assert "Colab" not in book.links("chapters/exercises/1-batch-norm.ipynb", {})


def test_the_readme_is_short_and_its_links_lead_somewhere():
    text = (CHECKOUT / "README.md").read_text()
    assert len(text.splitlines()) <= 120
    for link in re.findall(r"\]\(([^)#]+)", text):
        assert link.startswith("https://") or (CHECKOUT / link).exists(), link
    assert text.index("make test") < text.index("book/with-and-without.svg") < 1400


def test_what_the_pages_say_of_the_picture_is_what_it_shows():
    rows = (CHECKOUT / "book" / "with-and-without.csv").read_text().splitlines()
    names, first, *_, last = (row.split(",") for row in rows)
    found = []
    for kind in ("with", "without"):
        seeds = [i for i, name in enumerate(names) if name.split()[0] == kind]
        starts, ends = ([float(row[i]) for i in seeds] for row in (first, last))
        assert all(abs(end - sum(ends) / len(ends)) < 0.005 for end in ends)
        found += [f"{min(starts):.2f} to {max(starts):.2f}", f"{sum(ends) / len(ends):.2f}"]
    assert found == ["0.70 to 0.85", "0.90", "0.10 to 0.53", "0.86"]
    for name in ("README.md", "book/index.md", "book/experiments.md"):
        text = " ".join((CHECKOUT / name).read_text().split())
        assert all(number in text for number in found), name
