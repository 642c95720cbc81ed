"""Translations say what the English says, and where they don't yet, the English is shown."""

# ruff: noqa: RUF001, the marks are Chinese

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat", reason="the extra `notebooks` is not installed")
pytest.importorskip("nbclient", reason="the extra `notebooks` is not installed")
pytest.importorskip("markdown_it", reason="the extra `book` is not installed")
pytest.importorskip("nbgrader", reason="the extra `classroom` is not installed")

CHECKOUT = Path(__file__).parents[2]
sys.path.insert(0, str(CHECKOUT / "scripts"))
import notebooks  # noqa: E402
import translate  # noqa: E402

import chapters  # noqa: E402
from classroom import EXERCISES, translation  # noqa: E402
from classroom.release import release  # noqa: E402
from d2l_bn.figures.explorables import FOLDER, Explorable  # noqa: E402

FIRST = chapters.paths()[0]
each = pytest.mark.parametrize("name", translation.languages())


@each
def test_nothing_is_stale_or_missing_and_numbers_code_formulas_and_links_are_the_same(name):
    found = []
    for english in translate.sources():
        target = translation.translation(english, name)
        if target.exists():
            found += [f"{target.name}, {line}" for line in translate.faults(english, target)]
    assert found == []


@each
def test_every_file_of_a_translation_has_an_english_one(name):
    known = {translation.translation(english, name) for english in translate.sources()}
    assert set((translation.BOOK / name).rglob("*.md")) <= known


@pytest.mark.parametrize(
    "english, other, fault",
    [
        ("after 6,000 steps", "6000步之后", "lacks numbers: '6,000'"),
        ("chapter 2", "第2章，第3节", "has more numbers: '3'"),
        ("on 26 November 2026", "2026年11月26日", ""),
        ("`mean` of $x_i$", "$x_i$的`mean`", ""),
        ("`mean` of $x_i$", "$x_j$的`mean`", "lacks formulas: '$x_i$'"),
        (r"$$x \qquad \text{the mean,}$$", r"$$x \qquad \text{均值,}$$", ""),
        ("`mean` here", "`var`", "lacks code: '`mean`'"),
        ("```sh\nmake  # it\n```", "```sh\nmake  # 做\n```", ""),
        ("```sh\nmake\n```", "```sh\nmade\n```", "lacks code: 'sh"),
        ("[two](2.md), <https://a.b/c>", "[二](3.md)，<https://a.b/c>", "lacks links: '2.md'"),
        ("**Note:** it", "**注意：**它", "a * or ** marks nothing"),
        ("Two lines.", "第一行，\n第二行。", "a line ends inside of a paragraph"),
    ],
)
def test_a_difference_is_found(english, other, fault):
    found = list(translate.differences(english, other))
    assert found[0].startswith(fault) if fault else found == []


@pytest.fixture
def english(tmp_path, monkeypatch):
    """A page of two sections, with a translation of its own."""
    monkeypatch.setattr(translation, "BOOK", tmp_path)
    (tmp_path / "zh").mkdir()
    words = {"page missing": "no page", "piece missing": "no piece", "piece changed": "changed"}
    (tmp_path / "zh" / "words.json").write_text(json.dumps(words))
    page = tmp_path / "page.md"
    page.write_text("# Page\n\nFirst.\n\n## Section\n\nSecond.\n")
    return page


def test_what_is_missing_or_stale_is_shown_in_english_with_a_note(english, capsys):
    target = translation.translation(english, "zh")
    note = '<p class="note-of-translation">{}</p>\n\n'
    missing = translation.page(english, "zh")
    assert missing == english.read_text().replace("First", note.format("no page") + "First")
    translate.renew(english, target)
    assert target.read_text().startswith(translate.UNFINISHED)
    assert translation.page(english, "zh").count("no piece") == 2
    done = target.read_text().replace(", missing", "").replace(translate.UNFINISHED, "")
    target.write_text(done.replace("First", "甲").replace("Second", "乙"))
    assert translation.page(english, "zh") == "# Page\n\n甲.\n\n## Section\n\n乙.\n"
    english.write_text(english.read_text().replace("Second", "Third") + "\n## New\n")
    changed, new = note.format("changed"), note.format("no piece").strip()
    expected = f"甲.\n\n## Section\n\n{changed}Third.\n\n## New\n\n{new}\n"
    assert translation.page(english, "zh").endswith(expected)
    stale, new = translate.faults(english, target)
    assert stale.startswith("cell: section: is stale") and new == "cell: new: is missing"
    translate.renew(english, target)
    assert "乙" in target.read_text() and "cell: new" in target.read_text()


def test_notebooks_hold_the_same_code_and_other_texts(tmp_path, monkeypatch):
    monkeypatch.setattr(notebooks, "OUT", tmp_path)
    assert notebooks.main(["--language", "zh"]) == 0
    made = nbformat.read(tmp_path / "zh" / FIRST.name, as_version=4)
    for ours, theirs in zip(made.cells, nbformat.read(FIRST, as_version=4).cells):
        assert ours.id == theirs.id
        if ours.cell_type == "code":
            assert ours.source.endswith(theirs.source)
            assert (ours.source == theirs.source) == (ours.id != "setup")
        else:
            assert re.search("[\u4e00-\u9fff]", ours.source)
    page = "".join(str(cell.get("outputs", "")) for cell in made.cells)
    assert Explorable("batch", "zh").words["training"] in page


def test_a_release_is_in_the_language_too(tmp_path):
    release(EXERCISES, tmp_path / "out", only=["1"], language="zh")
    (path,) = (tmp_path / "out").glob("*.ipynb")
    setup = next(c for c in nbformat.read(path, as_version=4).cells if c.id == "setup")
    assert 'os.environ["D2L_BN_LANGUAGE"] = "zh"' in setup.source
    assert not re.search("SOLUTION|your solution|YOUR", path.read_text())


def test_explorables_have_all_labels():
    english, other = (json.loads((FOLDER / f"words{x}.json").read_text()) for x in ("", ".zh"))
    assert {name: list(words) for name, words in english.items()} == {
        name: list(words) for name, words in other.items()
    }


def test_the_variable_of_gettext_is_not_taken_for_the_language():
    command = ["make", "-n", "notebooks"]
    ways = ([], {"LANGUAGE": "en_US:en"}), (["LANGUAGE=zh"], {})
    said = [
        subprocess.run(command + more, cwd=CHECKOUT, env={"PATH": "/usr/bin:/bin", **variables},
                       capture_output=True, text=True, check=True).stdout
        for more, variables in ways
    ]  # fmt: skip
    assert "--language" not in said[0] and "scripts/notebooks.py --language zh" in said[1]
