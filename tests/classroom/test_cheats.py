"""Nobody wins without the work: what a cheat is not paid for, and what a pasted chapter earns."""

from __future__ import annotations

import shutil
import subprocess
import sys

import cheats
import pytest

pytest.importorskip("nbgrader", reason="nbgrader is not installed: the extra `classroom`")

import nbformat

from classroom import EXERCISES, reach
from classroom.marking import mark
from classroom.release import read
from classroom.submission import merge

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed"),
]


def marked(sandbox, exercise, cells, added=(), seconds=20):
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
    return mark(merge(original, handed_in), sandbox, **limits)


def points(result):
    return sum(cell.points for cell in result.cells)


@pytest.mark.parametrize("cheat", list(cheats.CHEATS.values()), ids=list(cheats.CHEATS))
def test_a_cheat_earns_no_more_than_its_honest_part(sandbox, cheat):
    result = marked(sandbox, cheat.exercise, cheat.cells)
    earned = {cell.id: cell.points for cell in result.cells if cell.points}
    assert points(result) <= cheat.most, (earned, [cell.message for cell in result.cells])


def solution(exercise):
    cells = read(EXERCISES / f"{exercise}.ipynb").cells
    marks = [cell.metadata.get("nbgrader", {}) for cell in cells]
    return {m["grade_id"]: c.source for c, m in zip(cells, marks) if m.get("solution")}


@pytest.mark.parametrize(
    "exercise",
    ["1-batch-norm", "2-the-layer", "3-the-gradient", "4-six-bugs", "6-as-fast-as-you-can"],
)
def test_the_solution_earns_everything(sandbox, exercise):
    result = marked(sandbox, exercise, solution(exercise), seconds=120)
    assert points(result) == sum(c.maximum for c in result.cells if c.kind == "test"), [
        (cell.id, cell.message) for cell in result.cells if cell.points < cell.maximum
    ]
    assert result.status == "marked"


# What chapters answer, under the names that exercises ask for: chapter 2 is the layer.
RENAMED = {
    "1-batch-norm": "channels_last = any_axis = batch_norm\n"
    "def masked(X, mask, *given): return batch_norm(X, *given)",
    "2-the-layer": "Corrected = BatchNorm",
    "6-as-fast-as-you-can": "FastBatchNorm = BatchNorm\nfast_backward = backward",
}
PASTED = {
    ("2-the-layer", "2"): 8,
    ("4-six-bugs", "1"): 8,
    ("4-six-bugs", "2"): 12,
    ("4-six-bugs", "4"): 8,
}
CHAPTERS = sorted(EXERCISES.parent.glob("[0-9]-*.ipynb"))


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.name[0])
@pytest.mark.parametrize(
    "exercise",
    ["1-batch-norm", "2-the-layer", "3-the-gradient", "4-six-bugs", "6-as-fast-as-you-can"],
)
def test_a_pasted_chapter_earns_only_what_it_solves(sandbox, exercise, chapter):
    code = [cell.source for cell in read(chapter).cells if cell.cell_type == "code"]
    own = [source for source in code if "def " in source or "class " in source]
    renamed = RENAMED.get(exercise, "").splitlines()
    result = marked(sandbox, exercise, {}, [*own, *renamed], seconds=60)
    earned = {cell.id: cell.points for cell in result.cells if cell.points}
    print(exercise, chapter.name, earned)
    assert points(result) <= PASTED.get((exercise, chapter.name[0]), 0), earned


def test_the_code_of_normalizations_is_gone_and_the_rest_works(tmp_path):
    assert reach.without_normalizations(reach.library(), tmp_path / "libmxnet.so") > 50
    before = {name for name, _, _ in reach.functions(bytearray(reach.library().read_bytes()))}
    after = {
        name for name, _, _ in reach.functions(bytearray((tmp_path / "libmxnet.so").read_bytes()))
    }
    assert before == after


def test_another_process_of_the_same_user_reads_no_memory():
    code = (
        "import os, sys, time\nfrom classroom.grade import _unreadable\n_unreadable()\n"
        "print(os.getpid(), flush=True)\ntime.sleep(600)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        pid = holder.stdout.readline().strip()
        read_it = f"import os; os.setgid(65534); os.setuid(65534); open('/proc/{pid}/mem', 'rb')"
        done = subprocess.run([sys.executable, "-c", read_it], capture_output=True, text=True)
        assert done.returncode and "PermissionError" in done.stderr
    finally:
        holder.kill()
        holder.communicate()
