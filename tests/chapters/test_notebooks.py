"""`make notebooks` works in copies: yours are kept, the others follow the repository."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat", reason="the extra `notebooks` is not installed")
pytest.importorskip("nbclient", reason="the extra `notebooks` is not installed")

CHECKOUT = Path(__file__).parents[2]
sys.path.insert(0, str(CHECKOUT / "scripts"))
import notebooks  # noqa: E402

import chapters  # noqa: E402


def test_a_copy_that_was_changed_is_left_alone(tmp_path):
    assert notebooks.place({"a": "1", "b/c": "1"}, tmp_path) == []
    (tmp_path / "a").write_text("mine")
    assert notebooks.place({"a": "2", "b/c": "2"}, tmp_path) == ["a"]
    assert (tmp_path / "a").read_text() == "mine"
    assert (tmp_path / "b" / "c").read_text() == "2"
    (tmp_path / "a").unlink()
    assert notebooks.place({"a": "2", "b/c": "2"}, tmp_path) == []
    assert (tmp_path / "a").read_text() == "2"


def test_the_copies_hold_no_solutions_and_git_ignores_them(tmp_path, monkeypatch, capsys):
    pytest.importorskip("nbgrader", reason="the extra `classroom` is not installed")
    monkeypatch.setattr(notebooks, "OUT", tmp_path)
    assert notebooks.main([]) == 0
    made = sorted(path.name for path in tmp_path.glob("*.ipynb"))
    assert made == [path.name for path in chapters.paths()]
    exercises = sorted(tmp_path.glob("exercises/*.ipynb"))
    assert [path.name for path in exercises] == [path.name for path in chapters.exercises()]
    for path in exercises:
        assert not {"BEGIN SOLUTION", "HIDDEN TESTS"} & set(path.read_text().split("###"))
        assert "### BEGIN" not in path.read_text()
    for path in [*tmp_path.glob("*.ipynb"), *exercises]:
        for cell in nbformat.read(path, as_version=4).cells:
            back = cell.id == "setup" or notebooks.FOLDED & set(cell.metadata.get("tags", ()))
            assert cell.metadata.get("jupyter", {}).get("source_hidden", False) == bool(back)
    assert list(tmp_path.glob("in_tensorflow/*.py"))
    ignored = ["git", "check-ignore", "-q", "runs/notebooks/1.ipynb"]
    done = subprocess.run(ignored, cwd=CHECKOUT)
    assert done.returncode in (0, 128)  # 128: not a git checkout
