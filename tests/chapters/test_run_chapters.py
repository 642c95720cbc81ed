"""scripts/chapters.py: what it writes, what it leaves alone, and what it says of a failing cell."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat", reason="the extra `notebooks` is not installed")
pytest.importorskip("nbclient", reason="the extra `notebooks` is not installed")

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))
import chapters  # noqa: E402

GOOD = {
    "setup": "import nowhere",  # replaced by the present setup cell
    "python": "import sys; print(sys.executable)",
    "parts": "for i in range(3):\n    print(i, flush=True)",
    "counted": "1 + 1",
}
BAD = {"first": "print('so far')", "broken": "assert 1 == 2, 'one is not two'", "last": "3"}


@pytest.fixture
def book(tmp_path, monkeypatch):
    """Two chapters in a folder, the second of them broken."""
    monkeypatch.setattr(chapters, "CHAPTERS", tmp_path / "chapters")
    monkeypatch.setattr(chapters, "RUNS", tmp_path / "runs")
    chapters.CHAPTERS.mkdir()
    for name, cells in ("1-good", GOOD), ("2-bad", BAD):
        notebook = nbformat.v4.new_notebook()
        notebook.metadata = {"kernelspec": {"name": "other", "display_name": "Another kernel"}}
        for cell_id, source in cells.items():
            notebook.cells.append(nbformat.v4.new_code_cell(source, id=cell_id))
        nbformat.write(notebook, chapters.CHAPTERS / f"{name}.ipynb")
    return tmp_path


def outputs(path):
    cells = nbformat.read(path, as_version=4).cells
    return {cell.id: [o.get("text") or o.get("evalue") for o in cell.outputs] for cell in cells}


def test_a_run_leaves_the_chapter_as_it_is(book, capsys):
    source = book / "chapters" / "1-good.ipynb"
    before = source.read_text()
    assert chapters.main(["1"]) == 0
    assert "1-good.ipynb" in capsys.readouterr().out
    assert source.read_text() == before
    found = outputs(book / "runs" / "1-good.ipynb")
    assert found["python"] == [f"{sys.executable}\n"]  # and not the kernel that it names
    assert found["parts"] == ["0\n1\n2\n"]  # one output, however the kernel sends it


def test_an_update_renews_the_chapter_and_then_changes_nothing(book):
    source = book / "chapters" / "1-good.ipynb"
    assert chapters.main(["--update", "1"]) == 0
    notebook, first = nbformat.read(source, as_version=4), source.read_text()
    assert notebook.cells[0].source == chapters.setup_cell()
    assert notebook.cells[3].outputs[0].data == {"text/plain": "2"}
    assert {cell.execution_count for cell in notebook.cells} == {None}
    assert notebook.metadata.kernelspec.name == "python3"
    assert chapters.main(["--update", "1"]) == 0
    assert source.read_text() == first


def test_a_failing_cell_is_named_and_the_others_run(book, capsys):
    before = (book / "chapters" / "2-bad.ipynb").read_text()
    assert chapters.main(["--update"]) == 1
    said = capsys.readouterr()
    assert "1-good.ipynb" in said.out
    assert "2-bad.ipynb, cell broken" in said.err and "one is not two" in said.err
    assert (book / "chapters" / "2-bad.ipynb").read_text() == before
    assert outputs(book / "runs" / "2-bad.ipynb") == {
        "first": ["so far\n"],
        "broken": ["one is not two"],
        "last": [],
    }


def test_a_chapter_without_its_package_is_skipped_unless_asked_for(book, monkeypatch, capsys):
    monkeypatch.setattr(chapters, "NEEDS", {"2": "no_such_package"})
    assert chapters.main([]) == 0
    said = capsys.readouterr().out
    assert "2-bad.ipynb: skipped, no_such_package is not installed" in said
    assert "1-good.ipynb" in said
    assert chapters.main(["2"]) == 1


def test_a_chapter_imports_what_lies_beside_it(book):
    (chapters.CHAPTERS / "beside.py").write_text("value = 7")
    path = chapters.CHAPTERS / "1-good.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[1].source = "import beside; print(beside.value)"
    nbformat.write(notebook, path)
    assert chapters.main(["1"]) == 0
    assert outputs(book / "runs" / "1-good.ipynb")["python"] == ["7\n"]


def test_a_chapter_that_is_not_there_is_refused(book, capsys):
    with pytest.raises(SystemExit):
        chapters.main(["1", "7"])
    assert "no chapter 7; there are 1, 2" in capsys.readouterr().err


def test_a_quick_run_is_not_for_keeping(book, capsys):
    with pytest.raises(SystemExit):
        chapters.main(["--update", "--quick"])
    assert "--quick: not allowed with argument --update" in capsys.readouterr().err


def test_what_a_quick_run_changes_is_there():
    for path in (path for path in chapters.paths() if chapters.number(path) in chapters.QUICK):
        notebook = nbformat.read(path, as_version=4)
        chapters.shorten(notebook, chapters.QUICK[chapters.number(path)])
    for name in (notebook.cells[0].id, "no-such-cell"):
        with pytest.raises(ValueError, match=f"cell {name} must hold 'gone', and no longer does"):
            chapters.shorten(notebook, {name: ("gone", "")})
