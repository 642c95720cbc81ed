"""The students' folder: nothing in it gives an answer away."""

import sys

import pytest

from classroom import EXERCISES, ClassroomError

pytest.importorskip("nbgrader", reason="nbgrader, the extra `classroom`, is not installed")

import nbformat

from classroom.__main__ import main
from classroom.release import STUB, read, release

NAMES = sorted(path.name for path in EXERCISES.glob("*.ipynb"))


def secrets(source, begin, end):
    """The lines between two marks that are long enough to be recognized."""
    inside, lines = False, set()
    for line in source.splitlines():
        if end in line:
            inside = False
        elif inside and len(line.strip()) > 12:
            lines.add(line.strip())
        inside = inside or begin in line
    return lines


def given(notebook):
    """The lines that the exercise shows on purpose, outside of solutions."""
    cells = (c for c in notebook.cells if not c.metadata.get("nbgrader", {}).get("solution"))
    return {line.strip() for cell in cells for line in cell.source.splitlines()}


def test_the_release_holds_each_exercise_and_a_readme(released):
    assert len(NAMES) == 6
    assert sorted(path.name for path in released.iterdir()) == sorted([*NAMES, "README.md"])


@pytest.mark.parametrize("name", NAMES)
def test_no_line_of_a_solution_is_released(released, name):
    source = read(EXERCISES / name)
    marks = "### BEGIN SOLUTION", "### END SOLUTION"
    hidden = set().union(*(secrets(cell.source, *marks) for cell in source.cells)) - given(source)
    assert hidden
    shown = [
        line.strip() for cell in read(released / name).cells for line in cell.source.split("\n")
    ]
    assert hidden.isdisjoint(shown)
    assert "SOLUTION" not in "".join(shown)


@pytest.mark.parametrize("name", NAMES)
def test_cells_are_without_outputs_locked_and_have_checksums(released, name):
    notebook = read(released / name)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        mark = cell.metadata.get("nbgrader", {})
        if cell.cell_type == "code":
            assert cell.outputs == [] and cell.execution_count is None
            if mark.get("solution"):
                assert STUB in cell.source
        if mark.get("grade") or mark.get("solution"):
            assert mark["checksum"]
        if mark.get("locked"):
            assert cell.metadata["editable"] is False


def test_the_same_sources_make_the_same_release(released, tmp_path):
    release(EXERCISES, tmp_path / "again")
    for path in released.iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()


def test_a_release_takes_the_place_of_an_older_one(tmp_path):
    release(EXERCISES, tmp_path / "out")
    (tmp_path / "out" / "README.md").write_text("old")
    release(EXERCISES, tmp_path / "out")
    assert (tmp_path / "out" / "README.md").read_text() != "old"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_folder_with_other_files_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ClassroomError, match="holds other files"):
        release(EXERCISES, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_broken_source_leaves_no_folder(tmp_path):
    sources = tmp_path / "sources"
    sources.mkdir()
    good = (EXERCISES / NAMES[0]).read_text(encoding="utf-8")
    (sources / "1.ipynb").write_text(good, encoding="utf-8")
    (sources / "2.ipynb").write_text(good.replace("### END SOLUTION", ""), encoding="utf-8")
    with pytest.raises(Exception, match="end solution"):
        release(sources, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["sources"]


def test_without_nbgrader_the_command_names_the_remedy(monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(sys.modules, "nbgrader", None)
    assert main(["release", "--out", str(tmp_path / "out")]) == 2
    assert "needs nbgrader" in (said := capsys.readouterr().err) and "[classroom]" in said
    assert not (tmp_path / "out").exists()


def test_some_exercises_alone(tmp_path):
    release(EXERCISES, tmp_path / "release")
    release(EXERCISES, tmp_path / "release", only=["1", "3-the"])
    there = sorted(path.name for path in (tmp_path / "release").iterdir())
    assert there == [NAMES[0], NAMES[2], "README.md"]
    with pytest.raises(ClassroomError, match="--only"):
        release(EXERCISES, tmp_path / "release", only=["9"])
    assert sorted(path.name for path in (tmp_path / "release").iterdir()) == there


def test_a_full_disk_is_told_in_one_line(monkeypatch, capsys, tmp_path):
    def full(*_, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("classroom.release.release", full)
    assert main(["release", "--out", str(tmp_path / "out")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "No space left on device; make some" in line
