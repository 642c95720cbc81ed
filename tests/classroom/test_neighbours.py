"""Nobody's work touches another's: a class with an attacker of each resource gives exact marks."""

from __future__ import annotations

import csv
import json
import shutil

import pytest
import submissions

pytest.importorskip("nbgrader", reason="nbgrader is not installed: the extra `classroom`")

import nbformat

from classroom import EXERCISES, grade, runner
from classroom.release import read, release
from classroom.runner import Worker
from classroom.submission import grade_id

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed"),
]
THREADS = "import threading, time\nfor _ in range(500):\n    threading.Thread(target={}).start()"
BUSY = "def spin():\n    while True: pass\n" + THREADS.format("spin, daemon=True")
FORKED = (
    "import mmap, os, time\nfor _ in range(6):\n    if os.fork() == 0:\n        {}\n"
    "        time.sleep(600)\ntime.sleep(600)"
)
ATTACKS = {
    "threads": THREADS.format("time.sleep, args=(600,)"),
    "processors": BUSY,
    "processes": "import os\nwhile True:\n    os.fork()",
    "memory": FORKED.format("hold = b'x' * (900 * 2**20)"),
    "shared memory": FORKED.format(
        "hold = mmap.mmap(-1, 900 * 2**20)\n        hold.write(b'x' * len(hold))"
    ),
    "memory of one": "hold = []\nwhile True:\n    hold.append(b'x' * 2**26)",
    "memfd": "import os\nwhile True:\n    os.write(os.memfd_create('a'), b'x' * 2**26)",
    "folders in memory": "n = 0\nwhile True:\n    n += 1\n    for d in ('tmp', 'dev/shm'):\n"
    "        open(f'/{d}/{n}', 'wb').write(b'x' * 2**24)",
    "parser": "x = (1" + "+1" * 1_200_000 + ")",
    "loop": "while True: pass",
    "swallowed": "import threading\ntry:\n    [threading.Thread(target=input).start() "
    "for _ in range(99)]\nexcept RuntimeError: pass",
}
HARMLESS = ("memfd", "folders in memory", "swallowed", "parser")  # which end with an exception
PERFECT = submissions.answer()
LOOPS = {**PERFECT, submissions.ANY: "def any_axis(*given):\n    while True: pass"}
HONEST = {  # with the points that the first function gets where nobody else is
    "perfect": (PERFECT, "5"),
    "perfect, too": (PERFECT, "5"),
    "detached": (submissions.HONEST["detached"][0], "4"),
    "reversed": (submissions.HONEST["momentum-reversed"][0], "3"),
}


def hand_in(released, folder, student, cells):
    notebook = json.loads((released / submissions.NAME).read_text())
    for cell in notebook["cells"]:
        cell["source"] = cells.get(cell["id"], cell["source"])
    (folder / student).mkdir(parents=True)
    (folder / student / submissions.NAME).write_text(json.dumps(notebook))


def marked(folder, **options):
    """Mark what is in the folder; the rows of the table."""
    grade.grade(folder / "class", folder / "out", source=folder / "source", **options)
    with (folder / "out" / "grades.csv").open(newline="") as file:
        return {row["student"]: row for row in csv.DictReader(file) if row["exercise"] != "all"}


@pytest.fixture
def room(tmp_path, once, reached):
    """A class, the first exercise alone, and the students' notebooks."""
    (tmp_path / "source").mkdir()
    shutil.copy(EXERCISES / submissions.NAME, tmp_path / "source")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "sandbox").symlink_to(reached)
    released = once("release", lambda folder: release(EXERCISES, folder))
    return tmp_path, lambda *given: hand_in(released, tmp_path / "class", *given)


@pytest.mark.long
@pytest.mark.parametrize("jobs", [1, 4, 12])
def test_attackers_change_nobody_elses_marks(room, jobs, monkeypatch):
    monkeypatch.setattr(runner, "WHOLE", 2)  # an attacker loses its whole time in the first cell
    folder, hand_in = room
    exercise = read(EXERCISES / submissions.NAME)  # its first function alone
    later = ("axis", "mask")
    exercise.cells = [cell for cell in exercise.cells if not grade_id(cell).startswith(later)]
    nbformat.write(exercise, folder / "source" / submissions.NAME)
    attacks = dict(list(ATTACKS.items())[:: {1: 4, 4: 2, 12: 1}[jobs]])  # fewer take turns
    for number, (name, code) in enumerate(attacks.items()):
        hand_in(f"{number:02} {name}", {**PERFECT, submissions.LAST: code})
    for number, (name, (cells, _)) in enumerate(HONEST.items()):
        hand_in(f"{4 * number:02} and {name}", cells)
    rows = marked(folder, seconds=5, memory=2000, jobs=jobs)
    for name, (_, points) in HONEST.items():
        (row,) = (row for student, row in rows.items() if student.endswith(f"and {name}"))
        assert (row["points"], row["status"], row["notes"]) == (points, "marked", ""), row
    for name in attacks:
        (row,) = (row for student, row in rows.items() if student[3:] == name)
        assert row["points"] in ("", "0"), (name, row)
        assert row["status"] != "marked" or name in HARMLESS


def test_a_loop_costs_its_own_points(room):
    folder, hand_in = room
    hand_in("ann", LOOPS)
    (row,) = marked(folder, seconds=4, memory=3000).values()
    assert row["points"] == "10" and row["status"] == "look at by hand"
    assert row["tests"].count("=0/") == 3 and row["notes"].count("took longer than 4 seconds") == 3


@pytest.mark.parametrize(
    "first, count",  # with one that reads the notebook; after what was wrong there is a new one
    [(PERFECT[submissions.LAST], 2), ("", 3), ("import os\nos._exit(0)", 4)],
)
def test_workers_are_started_where_they_are_needed(room, monkeypatch, first, count):
    folder, hand_in = room
    hand_in("ann", {**PERFECT, submissions.LAST: first})
    original, started = Worker.__init__, []
    monkeypatch.setattr(
        Worker, "__init__", lambda *given, **more: started.append(original(*given, **more))
    )
    (row,) = marked(folder, seconds=60, memory=3000).values()
    assert (row["points"], len(started)) == ("15" if count == 2 else "10", count)


def test_what_the_machine_refuses_is_tried_again_alone(room, monkeypatch):
    folder, hand_in = room
    for student in ("ann", "bob"):
        hand_in(student, PERFECT)
    original, refused = Worker.run, []

    def run(self, source):
        answer = original(self, source)
        if "def any_axis" in source and len(refused) < limit:
            refused.append(source)
            words = "[Errno 11] Resource temporarily unavailable"
            answer["error"] = {"kind": "OSError", "words": words, "where": ""}
        return answer

    monkeypatch.setattr(Worker, "run", run)
    limit = 1
    rows = marked(folder, seconds=60, memory=3000)
    assert [(row["points"], row["status"]) for row in rows.values()] == [("15", "marked")] * 2
    limit = 10**6  # whenever it is tried
    rows = marked(folder, seconds=60, memory=3000, only=["ann"])
    assert (rows["ann"]["points"], rows["ann"]["status"]) == ("", "not marked")
    assert "temporarily unavailable" in rows["ann"]["notes"] and rows["bob"]["points"] == "15"
