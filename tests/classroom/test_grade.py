"""A class is marked in one run, whatever is handed in, and nothing gets out of the sandbox."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import submissions

pytest.importorskip("nbgrader", reason="nbgrader is not installed: the extra `classroom`")

from classroom import EXERCISES, ClassroomError, grade, isolation, marking, records, runner
from classroom.release import release
from classroom.runner import Worker, WorkerError
from classroom.submission import Cell, for_ipython, runnable
from classroom.suspicion import suspicions

CHECKOUT = Path(__file__).parents[2]
needs_bubblewrap = pytest.mark.skipif(
    shutil.which("bwrap") is None, reason="bubblewrap is not installed"
)


@pytest.fixture
def classroom(tmp_path):
    """The students' notebooks, the first exercise alone, and room for submissions."""
    release(EXERCISES, tmp_path / "release")
    (tmp_path / "source").mkdir()
    shutil.copy(EXERCISES / submissions.NAME, tmp_path / "source")
    (tmp_path / "class").mkdir()
    return tmp_path


def run(folder: Path, **options) -> dict[str, dict[str, str]]:
    """Mark the class; the rows of the table, by student."""
    options = {"seconds": 60, "memory": 3000, **options}
    grade.grade(folder / "class", folder / "out", source=folder / "source", **options)
    with (folder / "out" / "grades.csv").open(newline="") as file:
        return {row["student"]: row for row in csv.DictReader(file)}


def hand_in(folder: Path, student: str, cells: dict[str, str]) -> Path:
    """Write one submission."""
    notebook = json.loads((folder / "release" / submissions.NAME).read_text())
    for cell in notebook["cells"]:
        cell["source"] = cells.get(cell["id"], cell["source"])
    path = folder / "class" / student / submissions.NAME
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(notebook))
    return path


@needs_bubblewrap
@pytest.mark.slow
def test_thirty_submissions_are_marked_in_one_run(classroom):
    students = {**submissions.HONEST, **submissions.HOSTILE}
    assert len(students) == 30
    shutil.rmtree(classroom / "class")
    submissions.make(classroom / "release", classroom / "class")
    rows = run(classroom, seconds=20)
    found = {student: (row["points"], row["status"]) for student, row in rows.items()}
    assert found == {
        student: (str(points), "look at by hand" if student in submissions.BY_HAND else "marked")
        for student, (_, points) in students.items()
    }
    assert all(
        row["possible"] == "15" and row["waiting"] == "2" for row in rows.values() if row["tests"]
    )
    assert all(rows[student]["notes"] for student in submissions.BY_HAND)
    pages = {s: (classroom / f"out/feedback/{s}/1-batch-norm.html").read_text() for s in students}
    assert "your variance divides by n - 1" in pages["unbiased"]
    sources = json.loads((EXERCISES / submissions.NAME).read_text())["cells"]
    hidden = marking.hidden_lines([Cell("", "test", "".join(cell["source"])) for cell in sources])
    assert len(hidden) > 20
    for page in pages.values():
        assert not [line for line in hidden if line in page]
        assert len(page) < 200_000 and "<script" not in page


@needs_bubblewrap
@pytest.mark.slow
def test_the_solution_gets_all_points_and_waits_for_a_person(classroom):
    shutil.copytree(EXERCISES, classroom / "class" / "solution")
    shutil.copytree(classroom / "release", classroom / "class" / "empty")
    grade.grade(classroom / "class", classroom / "out", source=EXERCISES)
    with (classroom / "out" / "grades.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 10
    points = {
        student: [(row["points"], row["possible"]) for row in rows if row["student"] == student]
        for student in ("solution", "empty")
    }
    possible = [row["possible"] for row in rows[:5]]
    assert points["solution"] == [(most, most) for most in possible]
    assert points["empty"] == [("0", most) for most in possible]
    assert sum(map(int, possible)) == 49
    assert [row["waiting"] for row in rows[:5]] == ["2", "2", "3", "3", "20"]
    assert {row["status"] for row in rows} == {"marked"}


@needs_bubblewrap
@pytest.mark.slow
def test_what_is_finished_is_not_run_again(classroom, monkeypatch):
    paths = {s: hand_in(classroom, s, submissions.answer()) for s in ("ann", "bob")}
    before = run(classroom)
    ran = []
    original = grade.mark
    monkeypatch.setattr(grade, "mark", lambda cells, **o: ran.append(1) or original(cells, **o))
    assert run(classroom) == before and not ran
    paths["bob"].write_text(paths["bob"].read_text().replace("nd.sqrt(var", "nd.square(var"))
    after = run(classroom)
    assert len(ran) == 1
    assert after["ann"] == before["ann"] and after["bob"]["points"] != before["bob"]["points"]


@needs_bubblewrap
@pytest.mark.slow
def test_another_program_marks_anew(classroom, monkeypatch):
    hand_in(classroom, "ann", submissions.answer())
    before, ran, original = run(classroom), [], grade.mark
    monkeypatch.setattr(grade, "mark", lambda cells, **o: ran.append(1) or original(cells, **o))
    monkeypatch.setattr(records.Marker, "_program", "another text of the checks")
    assert run(classroom) == before and len(ran) == 1


def test_a_passing_failure_is_not_kept(classroom, monkeypatch):
    hand_in(classroom, "ann", submissions.answer())

    def fail(cells, **options):
        raise BlockingIOError("too many processes for a moment")

    with monkeypatch.context() as patch:
        patch.setattr(grade, "mark", fail)
        row = run(classroom, isolated=False)["ann"]
    assert row["status"] == "look at by hand" and "BlockingIOError" in row["notes"]
    assert not list((classroom / "out" / "records").glob("*/*.json"))
    assert run(classroom, isolated=False)["ann"]["points"] == "15"


STEALS = """
import operator
up, seen = operator.attrgetter("f_" + "back"), []

def look():
    try:
        raise ValueError
    except ValueError as error:
        frame = error.__traceback__.tb_frame
    while frame is not None:
        seen.extend(v for v in frame.f_locals.values() if isinstance(v, str) and len(v) > 99)
        seen.extend(c for c in frame.f_code.co_consts if isinstance(c, str) and len(c) > 20)
        frame = up(frame)
"""


@needs_bubblewrap
@pytest.mark.slow
def test_stolen_tests_are_not_on_the_page(classroom):
    answers = submissions.answer()
    dense = STEALS + answers[submissions.DENSE].replace("):\n", "):\n    look()\n", 1)
    image = answers[submissions.WHOLE] + "\nprint('stolen', ''.join(seen)[::-1])"
    hand_in(classroom, "eve", {**answers, submissions.DENSE: dense, submissions.WHOLE: image})
    row = run(classroom)["eve"]
    assert row["status"] == "look at by hand" and "operator" in row["notes"]
    page = (classroom / "out/feedback/eve/1-batch-norm.html").read_text()
    assert "<pre>stolen" not in page and page.count("Withheld until") >= 1


@needs_bubblewrap
@pytest.mark.slow
def test_what_follows_an_end_is_said_to_be_not_run(classroom):
    hand_in(classroom, "cleo", {submissions.DENSE: "import os\nos.abort()"})
    assert run(classroom)["cleo"]["points"] == "0"
    page = (classroom / "out/feedback/cleo/1-batch-norm.html").read_text()
    assert "This cell ended the process." in page and "Not run: the run ended" in page


@needs_bubblewrap
@pytest.mark.slow
def test_a_killed_run_goes_on(classroom):
    for number in range(4):
        hand_in(classroom, f"student{number}", submissions.answer())
    arguments = ["grade", "class", "--out", "out", "--source", "source", "--jobs", "1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "classroom", *arguments],
        cwd=classroom,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        stderr=subprocess.DEVNULL,
    )
    records = classroom / "out" / "records"
    limit = time.monotonic() + 120
    while not list(records.glob("*/*.json")) and time.monotonic() < limit:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = {path: path.stat().st_mtime_ns for path in records.glob("*/*.json")}
    assert kept and not (classroom / "out" / "grades.csv").exists()
    rows = run(classroom, seconds=120, memory=4000)
    assert [row["points"] for row in rows.values()] == ["15"] * 4
    assert all(path.stat().st_mtime_ns == then for path, then in kept.items())


HOLDS = [  # code of a student, and the error that it ends with
    (f"open({str(EXERCISES / submissions.NAME)!r})", "FileNotFoundError"),
    (f"open({str(CHECKOUT / 'README.md')!r})", "FileNotFoundError"),
    ("open('/usr/new', 'w')", "Error"),
    ("import d2l_bn; open(d2l_bn.__file__, 'a')", "Error"),
    ("import socket; socket.create_connection(('192.0.2.1', 80), 3)", "OSError"),
    ("import os; assert os.getuid() != 0", ""),
    ("import os; os.setuid(0)", "Error"),
    ("x = bytearray(2**33)", "MemoryError"),
    ("open('/tmp/a', 'wb').write(bytes(2**28))", "OSError"),
    ("raise SystemExit", "SystemExit"),
    ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    ("print(In)", "NameError"),
    ("import IPython; IPython.get_ipython().history_manager", "AttributeError"),
    ("x = !true", "SyntaxError"),
]


@needs_bubblewrap
@pytest.mark.parametrize(("code", "error"), [*HOLDS, ("open('/etc/passwd')", "Error")])
def test_the_sandbox_holds(code, error):
    with Worker(isolation.sandbox(), seconds=60, memory=3000) as worker:
        answer = worker.run(code, test=False)
        assert error in answer["error"] and bool(error) == bool(answer["error"])


@needs_bubblewrap
def test_the_first_process_of_the_sandbox_survives():
    code = "import os\ntry:\n    os.kill(1, 9)\nexcept PermissionError:\n    pass"
    with Worker(isolation.sandbox(), seconds=60, memory=3000) as worker:
        assert worker.run(code, test=False)["error"] == ""
        assert worker.run("1", test=False)["error"] == ""


@needs_bubblewrap
def test_a_test_is_not_in_the_process_before_its_turn():
    search = (
        "print([o for o in __import__('gc').get_objects() if isinstance(o, str) and 'NEEDLE' in o])"
    )
    with Worker(isolation.sandbox(), seconds=60, memory=3000) as worker:
        worker.run("x = 1", test=False)
        before = worker.run(search.replace("NEEDLE", "NEE' + 'DLE"), test=False)
        assert before["output"].strip() == "[]"


@needs_bubblewrap
def test_the_text_of_a_test_is_in_no_frame_while_it_runs():
    look = (
        "import sys\n"
        "def look():\n"
        "    frame, found = sys._getframe(), []\n"
        "    while frame is not None:\n"
        "        found += [k for k, v in frame.f_locals.items() if 'NEE' + 'DLE' in str(v)]\n"
        "        frame = frame.f_back\n"
        "    print(found)"
    )
    with Worker(isolation.sandbox(), seconds=60, memory=3000) as worker:
        worker.run(look, test=False)
        assert worker.run("# NEEDLE\nlook()", test=True)["output"] == "[]\n"
        assert "here" in worker.run("here = 'NEEDLE'\nlook()", test=True)["output"]


@needs_bubblewrap
@pytest.mark.parametrize(
    "patch",
    [
        "c.batch_norm = lambda f, *parts, keep=c.batch_norm: f is mine or keep(f, *parts)",
        "c.batch_norm.__code__ = (lambda *candidate, **options: None).__code__",
        "vars(c.function).update(_training=lambda *given: 'right')",
        "numpy.allclose = lambda *given, keep=numpy.allclose, **options: keep(*given, **options)",
    ],
)
def test_what_tests_rely_on_is_compared(patch):
    code = f"import numpy\nimport d2l_bn.checks as c\nmine = print\n{patch}"
    with Worker(isolation.sandbox(), seconds=60, memory=3000) as worker:
        assert worker.run(code, test=False)["error"] == ""
        assert worker.run("1", test=True)["error"] == "Tampering"


@needs_bubblewrap
def test_an_honest_cell_is_not_taken_for_tampering():
    code = "import numpy\nimport d2l_bn.checks as c\nfrom mxnet import nd\nc.own_work('x = 1')"
    with Worker(isolation.sandbox(), seconds=60, memory=3000) as worker:
        assert worker.run(code, test=False)["error"] == ""
        assert worker.run("1", test=True)["error"] == ""


def test_a_quoted_test_is_withheld():
    secret = marking.hidden_lines(
        [Cell("", "test", f"x\n{marking.HIDDEN}\nexpected = gamma * another_value + 1\n")]
    )
    text = marking.withheld("a\n  expected = gamma * another_value + 1\nb", secret)
    assert text == "a\n(withheld)\nb"


@pytest.mark.parametrize(
    "code",
    [
        "import sys",
        "from os import _exit; import os; os._exit(0)",
        "checks.batch_norm = None",
        "setattr(checks, 'batch_norm', None)",
        "nd.array = print",
        "import IPython",
        "getattr(f, '__' + 'globals__')",
        "vars(checks)['batch_norm'] = None",
        "class A:\n    def __array_function__(self, *given): return True",
        "import __main__",
        "import d2l_bn.checks as c\nc.batch_norm = None",
        "exec('1')",
        "f.__globals__['checks'] = None",
    ],
)
def test_manipulations_are_noticed(code):
    assert suspicions([Cell("answer", "student", code)])


def test_plain_answers_are_not_suspicious():
    cells = [Cell(name, "student", code) for name, code in submissions.answer().items()]
    assert suspicions(cells) == []


@needs_bubblewrap
def test_two_runs_at_once_are_refused(classroom):
    hand_in(classroom, "ann", {})
    with grade._alone(classroom / "out"), pytest.raises(ClassroomError, match="another run"):
        run(classroom)


def test_without_bubblewrap_nothing_runs(classroom, monkeypatch):
    hand_in(classroom, "ann", {})
    monkeypatch.setattr(isolation.shutil, "which", lambda name: None)
    with pytest.raises(ClassroomError, match="apt-get install bubblewrap"):
        run(classroom)
    assert not (classroom / "out").exists()


@pytest.mark.slow
def test_without_isolation_when_told(classroom):
    hand_in(classroom, "ann", submissions.answer())
    rows = run(classroom, isolated=False)
    assert rows["ann"]["points"] == "15"


def test_odd_things_are_for_a_person(classroom):
    (classroom / "class" / "link").mkdir()
    (classroom / "class" / "link" / submissions.NAME).symlink_to("/etc/passwd")
    (classroom / "class" / "folder" / submissions.NAME).mkdir(parents=True)
    huge = hand_in(classroom, "huge", {})
    huge.write_bytes(huge.read_bytes() + b" " * 6_000_000)
    twice = hand_in(classroom, "twice", {})
    notebook = json.loads(twice.read_text())
    notebook["cells"] += [dict(notebook["cells"][-1], id="again")]
    twice.write_text(json.dumps(notebook))
    hand_in(classroom, "long", {submissions.DENSE: "x = 1" + " + 1" * 100_000})
    (classroom / "class" / "copy").symlink_to(classroom / "source")  # the solutions
    hand_in(classroom, "windows", {}).write_bytes(b"\xef\xbb\xbf" + twice.read_bytes())
    (classroom / "class" / "=1+1").mkdir()
    (classroom / "class" / "caf\udce9").mkdir()  # a name that isn't UTF-8
    (classroom / "class" / "stranger").mkdir()
    (classroom / "class" / "stranger" / "my notes.ipynb").write_text("{}")
    rows = run(classroom, isolated=False)
    for student in ("link", "copy", "folder", "huge", "twice", "long", "windows"):
        assert rows[student]["status"] == "look at by hand" and rows[student]["notes"], student
    assert "twice" not in rows["windows"]["notes"] and "two cells" in rows["windows"]["notes"]
    assert rows["caf?"]["status"] == "not handed in"
    assert rows["'=1+1"]["status"] == "not handed in"
    assert rows["stranger"]["status"] == "look at by hand"


def starting(*command):
    """No sandbox, and another program in the place of the worker."""
    sandbox = isolation.NoSandbox()
    sandbox.command = lambda name, variables: [*command]
    return sandbox


def test_a_worker_that_dies_or_hangs_is_told():
    ending = starting(sys.executable, "-c", "input()")
    with (
        Worker(ending, seconds=5, memory=3000) as worker,
        pytest.raises(WorkerError, match="ended"),
    ):
        worker.run("1", test=False)
    hanging = starting(sys.executable, "-c", "import time; time.sleep(60)")
    with Worker(hanging, seconds=0.2, memory=3000) as worker:
        worker.first = False
        with pytest.raises(WorkerError, match=r"longer than 0\.2 seconds"):
            worker.run("1", test=False)


def test_lines_of_ipython_do_nothing():
    source = "%matplotlib inline\nif True:\n    !ls\nprint?\nx = 7 % 4"
    assert runnable(source) == "pass\nif True:\n    pass\npass\nx = 7 % 4"
    python = "x = (7\n  % 4)"
    assert runnable(python) == python
    odd = [Cell("answer", "student", "x = %timeit -o 1"), Cell("right", "student", python)]
    assert for_ipython(odd) == ["answer"]
    assert suspicions([Cell("answer", "student", "!rm x\nimport gc")]) == ["answer: imports gc"]


@needs_bubblewrap
def test_a_worker_that_reads_no_more_is_stopped():
    """A student's code puts another pipe in the place of that through which cells come."""
    code = (
        "import os, stat\n"
        "for number in range(3, 30):\n"
        "    try:\n"
        "        if stat.S_ISFIFO(os.fstat(number).st_mode):\n"
        "            keep = os.dup(number)\n"
        "            os.dup2(os.pipe()[0], number)\n"
        "            break\n"
        "    except OSError:\n"
        "        pass\n"
    )
    with Worker(isolation.sandbox(), seconds=2, memory=3000) as worker:
        assert worker.run(code, test=False)["error"] == ""
        with pytest.raises(WorkerError, match="longer than 2 seconds"):
            worker.run("# " + "x" * 1_000_000, test=False)


@needs_bubblewrap
def test_a_submission_has_a_limit_for_all_its_cells(monkeypatch):
    monkeypatch.setattr(runner, "WHOLE", 1)
    monkeypatch.setattr(runner, "STARTING", 20)
    cells = [Cell("", "student", "import time; time.sleep(9)") for _ in range(4)]
    cells.append(Cell("late", "test", "1", 3))
    marked = marking.mark(cells, isolation.sandbox(), seconds=10, memory=3000)
    assert marked.status == "look at by hand" and "10 seconds in all" in marked.notes[0]
    assert sum(cell.points for cell in marked.cells) == 0


@needs_bubblewrap
def test_answers_that_outwit_the_tests_get_nothing_or_a_look(classroom):
    """What a review found: hooks of IPython, arrays that are equal to all, and what hides them."""
    hook = "import IPython\nIPython.get_ipython().input_transformers_post.append(lambda lines: [])"
    equal = (
        "import numpy\n"
        "class Equal(numpy.ndarray):\n"
        "    def __array_function__(self, *given): return True\n"
        "def dense_batch_norm(X, *given):\n"
        "    class Y:\n"
        "        shape = X.shape\n"
        "        def asnumpy(self): return numpy.zeros(X.shape).view(Equal)\n"
        "    return Y(), *given[2:4]\n"
    )
    deep = "if 0:\n    np" + ".a" * 600 + " = 1"
    hand_in(classroom, "hook", {submissions.DENSE: hook, submissions.WHOLE: "0"})
    hand_in(classroom, "bang", {submissions.DENSE: f"x = !true\n{hook}", submissions.WHOLE: "0"})
    hand_in(classroom, "equal", {submissions.DENSE: equal, submissions.WHOLE: "0"})
    hand_in(classroom, "deep", {submissions.DENSE: deep, submissions.WHOLE: "0"})
    (classroom / "class" / "deep" / ("a" * 249 + ".ipynb")).write_text("{}")
    rows = run(classroom)
    for student in ("hook", "bang", "equal", "deep"):
        assert rows[student]["points"] == "0" or rows[student]["status"] != "marked", student


@needs_bubblewrap
def test_a_cell_above_the_first_one_is_run(classroom):
    right = submissions.answer(
        var=submissions.RIGHT["var"].replace("axes,", "AXES if len(X.shape) == 4 else 0,")
    )
    path = hand_in(classroom, "ann", right)
    notebook = json.loads(path.read_text())
    extra = {"cell_type": "code", "id": "mine", "metadata": {}, "outputs": []}
    notebook["cells"].insert(0, dict(extra, source="AXES = (0, 2, 3)", execution_count=None))
    path.write_text(json.dumps(notebook))
    assert run(classroom)["ann"]["points"] == "15"


def test_whatever_fails_in_marking_one_the_others_are_marked(classroom, monkeypatch):
    for student in ("ann", "bob"):
        hand_in(classroom, student, {})

    def fail(cells, **options):
        raise ZeroDivisionError

    monkeypatch.setattr(grade, "mark", fail)
    rows = run(classroom, isolated=False)
    assert {row["notes"] for row in rows.values()} == {"it can't be marked (ZeroDivisionError)"}


IMAGE = os.environ.get("D2L_BN_IMAGE", "")
needs_image = pytest.mark.skipif(
    not IMAGE, reason="D2L_BN_IMAGE doesn't name an image for containers of podman or docker"
)
ENGINE = """#!/bin/sh
# Stands in for podman: writes down what it is asked, and runs the worker without a container.
echo "$@" >> {log}
[ "$1" = run ] || exit 0
exec {python} -s -B {worker}
"""


@pytest.fixture
def engine(tmp_path, monkeypatch):
    """A stand-in for podman; returns the file with what it was asked."""
    log, program = tmp_path / "asked", tmp_path / "bin" / "podman"
    program.parent.mkdir()
    program.write_text(
        ENGINE.format(log=log, python=sys.executable, worker=isolation.WORKER), encoding="utf-8"
    )
    program.chmod(0o755)
    monkeypatch.setattr(
        isolation.shutil, "which", lambda name: str(program) if name == "podman" else None
    )
    return log


def test_containers_see_nothing_and_are_killed(engine):
    with Worker(isolation.sandbox(image="some-image"), seconds=60, memory=3000) as worker:
        assert worker.run("x = 1", test=False)["error"] == ""
        name = worker.name
    trial, started, killed = engine.read_text().splitlines()
    assert killed == f"kill {name}" and f"--name {name} " in started and name not in trial
    for option in (
        "--network none",
        "--read-only",
        "--cap-drop ALL",
        "--security-opt no-new-privileges",
        "--user 65534:65534",
        "--pids-limit 64",
        "--memory 3000m",
        "--env WORKER_MB=3000",
        "--env OMP_NUM_THREADS=1",
    ):
        assert f" {option} " in started
    volumes = [part for part in started.split() if part.endswith(":ro")]
    assert volumes == [
        f"{isolation.PACKAGE}:{isolation.PACKAGE}:ro",
        f"{isolation.WORKER}:/worker.py:ro",
    ]
    assert started.endswith(" some-image python3 -s -B /worker.py")


def test_an_image_needs_an_engine(monkeypatch):
    monkeypatch.setattr(isolation.shutil, "which", lambda name: None)
    with pytest.raises(ClassroomError, match="podman or docker"):
        isolation.sandbox(image="some-image")


def test_an_engine_that_does_not_work_is_quoted(engine):
    program = engine.parent / "bin" / "podman"
    program.write_text("#!/bin/sh\necho no such image >&2\nexit 125\n")
    with pytest.raises(ClassroomError, match="no such image"):
        isolation.sandbox(image="some-image")


@pytest.mark.slow
@needs_image
@pytest.mark.parametrize(("code", "error"), HOLDS)
def test_a_container_holds_as_well(code, error):
    with Worker(isolation.sandbox(image=IMAGE), seconds=60, memory=3000) as worker:
        answer = worker.run(code, test=False)
        assert error in answer["error"] and bool(error) == bool(answer["error"])


@pytest.mark.slow
@needs_image
def test_a_container_is_gone_after_a_loop():
    sandbox = isolation.sandbox(image=IMAGE)
    with Worker(sandbox, seconds=60, memory=3000) as worker:
        worker.run("1", test=False)
        worker.seconds = 1
        with pytest.raises(WorkerError, match="longer than 1 seconds"):
            worker.run("while True: pass", test=False)
    left = subprocess.run(
        [sandbox.engine, "ps", "--quiet", "--filter", f"name={worker.name}"],
        capture_output=True,
        check=True,
    )
    assert left.stdout == b""


@pytest.mark.slow
@needs_image
def test_a_right_answer_gets_its_points_in_a_container(classroom):
    hand_in(classroom, "ann", submissions.answer())
    assert run(classroom, image=IMAGE)["ann"]["points"] == "15"
