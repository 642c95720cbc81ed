"""The chapters run, and the committed ones can be read where they lie."""

from __future__ import annotations

import ast
import base64
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat", reason="the extra `notebooks` is not installed")
pytest.importorskip("nbclient", reason="the extra `notebooks` is not installed")

CHECKOUT = Path(__file__).parents[2]
sys.path.insert(0, str(CHECKOUT / "scripts"))
import chapters  # noqa: E402
from experiments import tables  # noqa: E402

ALL = [pytest.param(path, id=chapters.number(path)) for path in chapters.paths()]
BUT_6 = [param for param in ALL if param.id != "6"]
# What a text of a chapter may point to, besides the repository itself.
LINKS = ("https://arxiv.org/abs/", "https://doi.org/")
NAMESPACES = ("http://www.w3.org/2000/svg",)


def read(path):
    return nbformat.read(path, as_version=4)


def code(path):
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def text(path):
    return [cell.source for cell in read(path).cells if cell.cell_type == "markdown"]


def outputs(path):
    return [output for cell in code(path) for output in cell.outputs]


def offline():
    """An environment in which Python has no network."""
    path = os.pathsep.join([str(CHECKOUT / "tests" / "offline"), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": path.rstrip(os.pathsep)}


def test_there_are_chapters():
    numbers = [chapters.number(path) for path in chapters.paths()]
    assert numbers == sorted(set(numbers)) and numbers[:7] == ["1", "2", "3", "4", "5", "5b", "6"]
    assert numbers[-1] == "9"  # the appendix, behind all that is read in order
    assert len(ALL) >= 4


def functions(source):
    """The text of each function at the top of `source`, without decorators and docstring."""
    lines, found = source.splitlines(), {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef):
            body = node.body[ast.get_docstring(node) is not None :]
            head, rest = lines[node.lineno - 1], lines[body[0].lineno - 1 : node.end_lineno]
            found[node.name] = [head, *rest]
    return found


def test_chapter_1_writes_the_library_word_for_word():
    library = functions((CHECKOUT / "d2l_bn" / "nn" / "normalization.py").read_text())
    cells = [functions(cell.source) for cell in code(chapters.paths()[0]) if "%" not in cell.source]
    written = {name: text for cell in cells for name, text in cell.items()}
    assert library.keys() == {"batch_norm", "mean_and_variance"}
    assert {name: written.get(name) for name in library} == library


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("path", ALL)
def test_runs_on_the_sample_without_a_network(path):
    if chapters.missing(path):
        pytest.skip(chapters.missing(path))
    before = path.read_bytes()
    command = [sys.executable, "scripts/chapters.py", "--quick", chapters.number(path)]
    options = dict(capture_output=True, text=True, timeout=3600)
    run = subprocess.run(command, cwd=CHECKOUT, env=offline(), **options)
    assert run.returncode == 0, run.stderr[-4000:]
    for output in outputs(chapters.RUNS / path.name):
        assert output.get("name") != "stderr", output.text
    assert path.read_bytes() == before


@pytest.mark.parametrize("address", ["192.0.2.1", "example.org", "127.0.0.1"])
def test_offline_means_this_machine_alone(address):
    program = f"import socket; socket.create_connection(({address!r}, 9), timeout=5)"
    options = dict(env=offline(), capture_output=True, text=True)
    run = subprocess.run([sys.executable, "-c", program], **options)
    reason = "Connection refused" if address == "127.0.0.1" else "this test has no network"
    assert reason in run.stderr


@pytest.mark.parametrize("path", ALL)
def test_is_a_valid_notebook(path):
    nbformat.validate(read(path))
    assert path.stat().st_size < 1e6
    ids = [cell.id for cell in read(path).cells]
    assert all(re.fullmatch(r"[a-z][a-z0-9-]*", cell_id) for cell_id in ids), ids
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("path", ALL)
def test_is_committed_executed_and_stripped(path):
    assert read(path) == chapters.strip(read(path))
    assert read(path).metadata.kernelspec.name == "python3"
    assert any(
        {"image/png", "image/svg+xml"} & output.get("data", {}).keys() for output in outputs(path)
    )
    for output in outputs(path):
        assert output.output_type != "error"
        assert output.get("name") != "stderr", output.text


@pytest.mark.parametrize("path", ALL)
def test_pictures_hold_pixels_and_nothing_else(path):
    """No date and no version: the same figure is the same text."""
    for output in outputs(path):
        png = base64.b64decode(output.get("data", {}).get("image/png", ""))
        assert set(chunks(png)) <= {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}


def chunks(png):
    """The kinds of the parts of a PNG file."""
    place, kinds = 8, []
    while place < len(png):
        kinds.append(png[place + 4 : place + 8])
        place += 12 + int.from_bytes(png[place : place + 4], "big")
    return kinds


@pytest.mark.parametrize("path", ALL)
def test_begins_with_the_setup_cell(path):
    assert code(path)[0].source == chapters.setup_cell()


def test_exercises_begin_with_the_setup_cell():
    assert len(chapters.exercises()) == 6
    for path in chapters.exercises():
        assert code(path)[0].source == chapters.setup_cell()


@pytest.mark.parametrize("path", ALL)
def test_shows_no_path_of_a_machine(path):
    everything = path.read_text()
    assert not re.search(r"/(root|home|work|Users|tmp)/", everything)
    assert not re.search(r"site-packages", everything)


@pytest.mark.parametrize("path", ALL)
def test_links_lead_somewhere(path):
    for source in text(path):
        for link in re.findall(r"\]\(([^)#\s]+)", source):
            if not link.startswith(("https://", "attachment:")):
                assert (path.parent / link).exists(), link
                assert "/" not in link, f"{link} leads out of the book: name the file, in quotes"


@pytest.mark.parametrize("path", ALL)
def test_asks_no_other_place_for_anything(path):
    allowed = (*LINKS, *NAMESPACES, *filter(None, [chapters.repository()]))
    for found in re.findall(r"https?://[^\s\"'\\)>]*", path.read_text()):
        assert found.startswith(allowed), found


@pytest.mark.parametrize("path", BUT_6)
def test_what_is_drawn_has_words_in_its_place(path):
    for cell in code(path):
        if any("image/png" in output.get("data", {}) for output in cell.outputs):
            assert cell.metadata.get("mystnb", {}).get("image", {}).get("alt"), cell.id


@pytest.mark.parametrize("path", BUT_6)
def test_checks_are_folded(path):
    """What only asserts stands back; at most two assertions stand beside an idea."""
    for cell in code(path):
        asserts = re.findall(r"^ *assert ", cell.source, re.MULTILINE)
        if len(asserts) > 2 and "def test_" not in cell.source:
            assert "hide-cell" in cell.metadata.get("tags", []) or cell.id.startswith("check")


def test_chapter_3_says_what_the_table_of_the_escape_says():
    rows, lines, flat = tables.read("escape"), [], {}
    for data, name in (("sample", "the sample"), ("fashion-mnist", "all 60,000 images")):
        found = []
        for size in (64, 256):
            runs = [tables.select(rows, data=data, batch_size=size, seed=seed) for seed in range(3)]
            starts = [[r["step"] for r in run if r["test_accuracy"] > 0.2] for run in runs]
            found.append(", ".join(f"{steps[0]:,}" if steps else "never" for steps in starts))
            flat.setdefault(size, []).extend(r["flat"] for run in runs for r in run[7:8])
        lines.append(f"| {name} | {found[0]} | {found[1]} |")
    third = "\n".join(text(chapters.paths()[2]))
    assert all(line in third for line in lines), lines
    assert min(flat[64]) > 0.89 and max(flat[256]) == 0.5


def test_chapter_3_has_the_function_and_the_layer_of_chapters_1_and_2():
    first, second, third = ({cell.id: cell for cell in code(chapters.paths()[i])} for i in range(3))
    own = third["own-layer"].source
    assert own == f"{first['batch-norm'].source}\n\n\n{second['layer'].source}"


@pytest.mark.parametrize("path", ALL)
def test_has_the_parts_of_a_chapter(path):
    everything = "\n".join(text(path))
    for part in (r"^# ", r"you can", r"^## Summary", r"^## Questions", r"^## Where to go next"):
        assert re.search(part, everything, re.MULTILINE), part
    assert any("assert" in cell.source for cell in code(path))


@pytest.mark.skipif(os.environ.get("CI") is None, reason="looks at the state of the checkout in CI")
def test_running_leaves_the_checkout_clean():
    status = ["git", "status", "--porcelain"]
    assert subprocess.run(status, cwd=CHECKOUT, capture_output=True, text=True).stdout == ""
