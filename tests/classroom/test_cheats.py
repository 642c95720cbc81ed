"""Nobody wins without the work: what a cheat is not paid for, and what a pasted chapter earns."""

from __future__ import annotations

import cheats
import pytest
from submissions import needs_bubblewrap

pytest.importorskip("nbgrader", reason="nbgrader is not installed: the extra `classroom`")

import nbformat

from classroom import EXERCISES, reach
from classroom.marking import mark
from classroom.release import read
from classroom.submission import merge, plain
from d2l_bn.checks import gradient

pytestmark = [pytest.mark.slow, needs_bubblewrap]


def marked(sandbox, exercise, cells, added=(), seconds=5):
    """Mark an exercise with these cells in it, and others added behind its imports."""
    original = read(EXERCISES / f"{exercise}.ipynb")
    handed_in = read(EXERCISES / f"{exercise}.ipynb")
    for cell in handed_in.cells:
        if cell.metadata.get("nbgrader", {}).get("solution"):
            cell.source = cells.get(cell.metadata.nbgrader.grade_id, "")
    place = 1 + [cell.get("id") for cell in handed_in.cells].index("imports")
    handed_in.cells[place:place] = [nbformat.v4.new_code_cell(source) for source in added]
    mxnet = original.metadata.get("d2l_bn", {}).get("reach") != "numpy"
    limits = dict(seconds=seconds, memory=3000, secret="test", mxnet=mxnet)
    return mark(merge(original, plain(handed_in))[0], sandbox, **limits)


def points(result):
    return sum(cell.points for cell in result.cells)


@pytest.mark.parametrize("cheat", list(cheats.CHEATS.values()), ids=list(cheats.CHEATS))
def test_a_cheat_earns_no_more_than_its_honest_part(sandbox, cheat, monkeypatch):
    monkeypatch.setattr(gradient, "SECONDS", 0.5)  # what takes too long is found sooner
    result = marked(sandbox, cheat.exercise, cheat.cells)
    earned = {cell.id: cell.points for cell in result.cells if cell.points}
    assert points(result) <= cheat.most, (earned, [cell.message for cell in result.cells])


# What chapters answer, under the names that exercises ask for: chapter 2 is the layer.
RENAMED = {
    "1-batch-norm": "channels_last = any_axis = batch_norm\n"
    "def masked(X, mask, *given): return batch_norm(X, *given)",
    "2-the-layer": "Corrected = BatchNorm",
    "6-as-fast-as-you-can": "FastBatchNorm = BatchNorm\nfast_backward = backward",
}
IMPORTS = (
    "import mxnet as mx\nimport numpy as np\nfrom mxnet import autograd, gluon, init, nd\n"
    "from mxnet.gluon import nn"
)
# The chapters that define what an exercise asks for, or RENAMED does, and what each earns.
PASTED = {
    "1-batch-norm": {"1": 0, "4": 0},
    "2-the-layer": {"2": 0},
    "3-the-gradient": {"5": 0, "8": 0},
    "4-six-bugs": {"1": 0, "2": 0, "3": 12, "4": 0},  # chapter 3 has what 1 and 2 end with
    "6-as-fast-as-you-can": {"2": 0, "5": 0, "8": 0},
}
CHAPTERS = {
    path.name.split("-")[0]: path for path in sorted(EXERCISES.parent.glob("[0-9]*-*.ipynb"))
}


def pasted(sandbox, exercise, chapters):
    """The points for what these chapters define, by the cell that gives them."""
    code = [
        cell.source
        for chapter in chapters
        for cell in read(CHAPTERS[chapter]).cells
        if cell.cell_type == "code" and ("def " in cell.source or "class " in cell.source)
    ]
    renamed = RENAMED.get(exercise, "").splitlines()
    result = marked(sandbox, exercise, {}, [IMPORTS, *code, *renamed], seconds=60)
    return {cell.id: cell.points for cell in result.cells if cell.points}


@pytest.mark.parametrize(
    "exercise, chapter",
    [(exercise, chapter) for exercise in PASTED for chapter in PASTED[exercise]],
)
def test_a_pasted_chapter_earns_only_what_it_solves(sandbox, exercise, chapter):
    earned = pasted(sandbox, exercise, [chapter])
    assert sum(earned.values()) == PASTED[exercise][chapter], earned


@pytest.mark.parametrize("exercise", PASTED)
def test_all_other_chapters_together_earn_nothing(sandbox, exercise):
    assert pasted(sandbox, exercise, sorted(CHAPTERS.keys() - PASTED[exercise])) == {}


def test_the_code_of_normalizations_is_gone_and_the_rest_works(tmp_path):
    assert reach.without_normalizations(reach.library(), tmp_path / "libmxnet.so") > 50
    before = {name for name, _, _ in reach.functions(bytearray(reach.library().read_bytes()))}
    after = {
        name for name, _, _ in reach.functions(bytearray((tmp_path / "libmxnet.so").read_bytes()))
    }
    assert before == after
