"""Nobody's work touches another's: a class with an attacker of each resource gives exact marks."""

from __future__ import annotations

import pytest
import submissions
from submissions import hand_in, needs_bubblewrap, run

pytest.importorskip("nbgrader", reason="nbgrader is not installed: the extra `classroom`")

import nbformat

from classroom import EXERCISES, runner
from classroom.release import read
from classroom.runner import Worker
from classroom.submission import grade_id

pytestmark = [pytest.mark.slow, needs_bubblewrap]
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
    "memory that the first thread leaves": "import ctypes, threading\ndef hold():\n"
    "    time.sleep(1)\n    held = b'x' * (900 * 2**20)\n    time.sleep(600)\n"
    + FORKED.format(
        "threading.Thread(target=hold).start()\n        ctypes.CDLL(None).pthread_exit(0)"
    ),
    "memory of one": "hold = []\nwhile True:\n    hold.append(b'x' * 2**26)",
    "memfd": "import os\nwhile True:\n    os.write(os.memfd_create('a'), b'x' * 2**26)",
    "folders in memory": "n = 0\nwhile True:\n    n += 1\n    for d in ('tmp', 'dev/shm'):\n"
    "        open(f'/{d}/{n}', 'wb').write(b'x' * 2**24)",
    "parser": "x = (1" + "+1" * 1_200_000 + ")",
    "loop": "while True: pass",
    "name that is no text": "import ctypes, time\n"
    "ctypes.CDLL(None).prctl(15, b'\\xff) Z', 0, 0, 0)\ntime.sleep(600)",
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


@pytest.mark.long
@pytest.mark.parametrize("jobs", [1, 4, 12])
def test_attackers_change_nobody_elses_marks(classroom, jobs, monkeypatch):
    monkeypatch.setattr(runner, "WHOLE", 2)  # an attacker loses its whole time in the first cell
    exercise = read(EXERCISES / submissions.NAME)  # its first function alone
    later = ("axis", "mask")
    exercise.cells = [cell for cell in exercise.cells if not grade_id(cell).startswith(later)]
    nbformat.write(exercise, classroom / "source" / submissions.NAME)
    attacks = dict(list(ATTACKS.items())[:: {1: 4, 4: 2, 12: 1}[jobs]])  # fewer take turns
    for number, (name, code) in enumerate(attacks.items()):
        hand_in(classroom, f"{number:02} {name}", {**PERFECT, submissions.LAST: code})
    for number, (name, (cells, _)) in enumerate(HONEST.items()):
        hand_in(classroom, f"{4 * number:02} and {name}", cells)
    rows = run(classroom, seconds=5, memory=2000, jobs=jobs)
    for name, (_, points) in HONEST.items():
        (row,) = (row for student, row in rows.items() if student.endswith(f"and {name}"))
        assert (row["points"], row["status"], row["notes"]) == (points, "marked", ""), row
    for name in attacks:
        (row,) = (row for student, row in rows.items() if student[3:] == name)
        assert row["points"] in ("", "0"), (name, row)
        assert row["status"] != "marked" or name in HARMLESS


def test_a_loop_costs_its_own_points(classroom):
    hand_in(classroom, "ann", LOOPS)
    (row,) = run(classroom, seconds=4, memory=3000).values()
    assert row["points"] == "10" and row["status"] == "look at by hand"
    assert row["tests"].count("=0/") == 3 and row["notes"].count("took longer than 4 seconds") == 3


@pytest.mark.parametrize(
    "first, count",  # with one that reads the notebook; after what was wrong there is a new one
    [(PERFECT[submissions.LAST], 2), ("", 3), ("import os\nos._exit(0)", 4)],
)
def test_workers_are_started_where_they_are_needed(classroom, monkeypatch, first, count):
    hand_in(classroom, "ann", {**PERFECT, submissions.LAST: first})
    original, started = Worker.__init__, []
    monkeypatch.setattr(
        Worker, "__init__", lambda *given, **more: started.append(original(*given, **more))
    )
    (row,) = run(classroom).values()
    assert (row["points"], len(started)) == ("15" if count == 2 else "10", count)


def test_what_the_machine_refuses_is_tried_again_alone(classroom, monkeypatch):
    for student in ("ann", "bob"):
        hand_in(classroom, student, PERFECT)
    original, refused = Worker.run, []

    def refusing(self, source):
        answer = original(self, source)
        if "def any_axis" in source and len(refused) < limit:
            refused.append(source)
            words = "[Errno 11] Resource temporarily unavailable"
            answer["error"] = {"kind": "OSError", "words": words, "where": ""}
        return answer

    monkeypatch.setattr(Worker, "run", refusing)
    limit = 1
    rows = run(classroom)
    assert [(row["points"], row["status"]) for row in rows.values()] == [("15", "marked")] * 2
    limit = 10**6  # whenever it is tried
    rows = run(classroom, only=["ann"])
    assert (rows["ann"]["points"], rows["ann"]["status"]) == ("", "not marked")
    assert "temporarily unavailable" in rows["ann"]["notes"] and rows["bob"]["points"] == "15"
