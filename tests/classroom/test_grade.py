"""A class is marked in one run, whatever is handed in, and nothing gets out of the sandbox."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import submissions
from submissions import hand_in, needs_bubblewrap, rows, run

pytest.importorskip("nbgrader", reason="nbgrader is not installed: the extra `classroom`")

from classroom import EXERCISES, ClassroomError, isolation, marking, reach, records, runner
from classroom.marking import Marked
from classroom.reader import examine, runnable
from classroom.release import release
from classroom.runner import Worker, WorkerError
from classroom.submission import Cell
from d2l_bn.checks import language
from d2l_bn.system.files import locked

CHECKOUT = Path(__file__).parents[2]


@needs_bubblewrap
@pytest.mark.slow
def test_a_class_that_works_in_chinese_is_told_in_chinese(classroom, monkeypatch):
    monkeypatch.setenv("D2L_BN_LANGUAGE", "zh")
    monkeypatch.setattr(language, "framework", "numpy")  # as a check before this one leaves it
    (classroom / "release").unlink()
    release(classroom / "source", classroom / "release", language="zh")
    hand_in(classroom, "li", submissions.HONEST["unbiased"][0])
    assert run(classroom, language="zh")["li"]["status"] == "marked"
    (page,) = (classroom / "out" / "feedback").rglob("*.html")
    text = page.read_text()
    assert "你的方差除以n - 1" in text and "通道在最后" in text
    assert "许多程序把图像的通道放在最后一个轴" not in text  # the exercise's own text


@needs_bubblewrap
@pytest.mark.slow
@pytest.mark.long
def test_thirty_submissions_are_marked_in_one_run(classroom):
    students = {**submissions.HONEST, **submissions.HOSTILE}
    assert len(students) >= 30
    shutil.rmtree(classroom / "class")
    submissions.make(classroom / "release", classroom / "class")
    table = run(classroom, seconds=4)
    found = {student: (row["points"], row["status"]) for student, row in table.items()}
    status = dict.fromkeys(submissions.BY_HAND, "look at by hand")
    assert found == {
        student: (str(points), status.get(student, "marked"))
        for student, (_, points) in students.items()
    }
    assert all(
        row["possible"] == "15" and row["waiting"] == "2" for row in table.values() if row["tests"]
    )
    assert all(table[student]["notes"] for student in submissions.BY_HAND)
    assert not any(table[student]["notes"] for student in submissions.HONEST)
    pages = {s: (classroom / f"out/feedback/{s}/1-batch-norm.html").read_text() for s in students}
    assert "your variance divides by n - 1" in pages["unbiased"]
    for page in pages.values():
        assert len(page) < 200_000 and "<script" not in page


@needs_bubblewrap
@pytest.mark.slow
@pytest.mark.long
def test_the_solution_gets_all_points_and_waits_for_a_person(classroom):
    shutil.copytree(EXERCISES, classroom / "class" / "solution")
    shutil.copytree(classroom / "release", classroom / "class" / "empty")
    run(classroom, source=EXERCISES)
    found = rows(classroom / "out" / "grades.csv")
    names = ("student", "status", "points", "possible", "waiting")
    found = [tuple(row[name] for name in names) for row in found]
    listed = [("15", "2"), ("12", "2"), ("10", "3"), ("12", "3"), ("0", "20"), ("10", "0")]
    for student, solved in (("empty", False), ("solution", True)):
        assert [row for row in found if row[0] == student][:6] == [
            (student, "marked", possible if solved else "0", possible, by_hand)
            for possible, by_hand in listed
        ]


@pytest.fixture
def ran(monkeypatch):
    """Lets marking take no time and look for one expression; a line for each that was marked."""
    lines = []

    def mark(cells, sandbox, **options):
        lines.append(options)
        right = any("nd.sqrt(var" in cell.source for cell in cells)
        outcomes = [replace(c, points=c.maximum * right) for c in cells]
        return Marked(cells=outcomes)

    monkeypatch.setattr(records, "mark", mark)
    return lines


def test_what_is_finished_is_not_run_again(classroom, ran, monkeypatch):
    paths = {s: hand_in(classroom, s, submissions.answer()) for s in ("ann", "bob")}
    before = run(classroom, isolated=False)
    assert run(classroom, isolated=False) == before and len(ran) == 2
    paths["bob"].write_text(paths["bob"].read_text().replace("nd.sqrt(var", "nd.square(var"))
    after = run(classroom, isolated=False)
    assert len(ran) == 3
    assert after["ann"] == before["ann"] and after["bob"]["points"] != before["bob"]["points"]
    monkeypatch.setattr(records.Marker, "_program", "another text of the checks")
    assert run(classroom, isolated=False) == after and len(ran) == 5


def test_a_passing_failure_is_not_kept(classroom, monkeypatch):
    for student in ("ann", "bob"):
        hand_in(classroom, student, submissions.answer())

    def fail(*given, **options):
        raise BlockingIOError("too many processes for a moment")

    with monkeypatch.context() as patch:
        patch.setattr(records, "mark", fail)
        table = run(classroom, isolated=False)
    told = "not marked", "", "it can't be marked (BlockingIOError)"
    assert {(r["status"], r["points"], r["notes"]) for r in table.values()} == {told}
    assert not list((classroom / "out" / "records").glob("*.json"))
    assert run(classroom, isolated=False)["ann"]["points"] == "15"


@needs_bubblewrap
@pytest.mark.slow
def test_what_follows_an_end_is_asked_all_the_same(classroom):
    hand_in(classroom, "cleo", {submissions.LAST: "import os\nos.abort()"})
    assert run(classroom)["cleo"]["points"] == "0"
    page = (classroom / "out/feedback/cleo/1-batch-norm.html").read_text()
    assert "This cell ended the process." in page and "NotImplementedError" in page


@needs_bubblewrap
@pytest.mark.slow
def test_a_killed_run_goes_on(classroom):
    for number in range(2):
        hand_in(classroom, f"student{number}", submissions.answer())
    arguments = ["grade", "class", "--out", "out", "--source", "source", "--jobs", "1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "classroom", *arguments],
        cwd=classroom,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        stderr=subprocess.DEVNULL,
    )
    records = classroom / "out" / "records"
    limit = time.monotonic() + 600
    while not list(records.glob("*.json")) and time.monotonic() < limit:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = {path: path.stat().st_mtime_ns for path in records.glob("*.json")}
    assert kept and not (classroom / "out" / "grades.csv").exists()
    table = run(classroom, seconds=120, memory=4000)
    assert [row["points"] for row in table.values()] == ["15"] * 2
    assert all(path.stat().st_mtime_ns == then for path, then in kept.items())


HOLDS = [  # code of a student, and the error that it ends with
    (f"open({str(EXERCISES / submissions.NAME)!r})", "FileNotFoundError"),
    (f"open({str(CHECKOUT / 'README.md')!r})", "FileNotFoundError"),
    (f"open({str(reach.PACKAGE / 'nn' / 'normalization.py')!r})", "FileNotFoundError"),
    *((f"open('/{place}new', 'w')", "Error") for place in ("", "dev/", "usr/", "reach/")),
    ("import d2l_bn; open(d2l_bn.__file__, 'a')", "Error"),
    ("import socket; socket.create_connection(('192.0.2.1', 80), 3)", "PermissionError"),
    ("import os; os.memfd_create('x')", "PermissionError"),  # whose memory no limit counts
    ("import mmap; mmap.mmap(-1, 99)", "PermissionError"),  # shared, and seen in no process
    ("open('/dev/zero', 'rb')", "PermissionError"),  # of which such memory can be made
    ("import signal as s; s.signal(s.SIGCHLD, s.SIG_IGN)", "PermissionError"),  # it hides time
    ("import fcntl; fcntl.fcntl(open('/reach/worker.py'), 1024, 1)", "PermissionError"),  # a lease
    *(
        (f"import ctypes; assert ctypes.CDLL(None).{call} < 0", "")
        for call in (
            "inotify_init()",  # of which a user has few
            "fanotify_init(512, 0)",
            "unshare(0x10000000)",  # a namespace of users
            "shmget(0, 2**20, 0o1600)",
            "vmsplice(1, 0, 0, 0)",  # which keeps memory in a pipe
            "prctl(1, 0, 0, 0, 0)",  # to live on without the parent
        )
    ),
    ("open('/dev/shm/a', 'wb').write(bytes(2**25 - 9))", ""),
    ("[open('/dev/null') for _ in range(300)]", "OSError"),
    ("import multiprocessing; multiprocessing.Lock()", ""),
    ("import os; assert os.getuid() != 0", ""),
    ("import os; os.setuid(0)", "Error"),
    ("x = bytearray(2**33)", "MemoryError"),
    (
        "try:\n    open('/tmp/a', 'wb').write(bytes(2**28))\nfinally:\n    open('/tmp/a', 'w')",
        "OSError",
    ),
    (  # root's first process is of another user, a plain user's is the worker, and doesn't listen
        "import os\nseen = {name for name in os.listdir('/proc') if name.isdigit()}\n"
        "assert not seen - {'1', str(os.getpid())}\nos.kill(1, 9)\nraise PermissionError",
        "PermissionError",
    ),
    ("raise SystemExit", "SystemExit"),
    ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    ("print(In)", "NameError"),
    ("import torch", "ModuleNotFoundError"),
    ("import nbgrader", "ModuleNotFoundError"),
    ("from d2l_bn import BatchNorm\nBatchNorm(3, 2)", "RuntimeError"),
    ("import mxnet\nclass Mine(mxnet.gluon.nn.BatchNorm): pass", ""),
    ("import matplotlib.pyplot", ""),
    ("x = !true", "SyntaxError"),
]


def holds(answer, error):
    """Whether code ended with this error, or with none."""
    found = answer["error"]["kind"] if answer["error"] else ""
    return error in found and bool(error) == bool(found)


@pytest.fixture(scope="module")
def worker(sandbox):
    """What runs the cells of one student."""
    with closing(Worker(sandbox, seconds=60, memory=3000)) as worker:
        yield worker


@needs_bubblewrap
@pytest.mark.parametrize(("code", "error"), [*HOLDS, ("open('/etc/passwd')", "Error")])
def test_the_sandbox_holds(worker, code, error):
    assert holds(worker.run(code), error)


@needs_bubblewrap
@pytest.mark.parametrize("code", ["import mxnet", "from d2l_bn import checks\nimport mxnet.nd"])
def test_without_mxnet_there_is_none(sandbox, code):
    with closing(Worker(sandbox, seconds=60, memory=3000, mxnet=False)) as worker:
        assert holds(worker.run(code), "ImportError")
        assert holds(worker.run("import numpy, d2l_bn\nfrom d2l_bn import checks"), "")


@needs_bubblewrap
def test_a_process_whose_name_is_no_text_disturbs_nobody(worker, sandbox):
    with closing(Worker(sandbox, seconds=60, memory=3000)) as other:
        assert holds(
            other.run("import ctypes; ctypes.CDLL(None).prctl(15, b'\\xff) Z', 0, 0, 0)"), ""
        )
        assert holds(worker.run("import time; time.sleep(0.6)"), "")


@needs_bubblewrap
def test_nothing_is_in_the_process_before_it_is_asked(sandbox):
    """No expected value, no test, and not the seed; of handles nothing but the pipe."""
    look = (
        "import gc, os\n"
        "texts = [o for o in gc.get_objects() if isinstance(o, dict)]\n"
        "print([k for o in texts for k in list(o) if k in ('secret', 'seed_of', 'told')])\n"
        "print([os.readlink(f'/proc/self/fd/{n}') for n in range(99) "
        "if os.path.exists(f'/proc/self/fd/{n}')])\n"
        "import sys; print([m for m in sys.modules if m.startswith(('classroom', 'd2l_bn.'))])\n"
        "print([n for n in os.environ if n.startswith('WORKER')])"
    )
    with closing(Worker(sandbox, seconds=60, memory=3000)) as worker:
        answer = worker.run(look)
        assert holds(answer, "")
        found, handles, modules, limits = answer["output"].splitlines()
    assert found == limits == "[]"
    kinds = {handle.split(":")[0] for handle in eval(handles)}
    assert kinds <= {"pipe", "/dev/null"} and handles.count("pipe") <= 4
    assert set(eval(modules)) == {f"d2l_bn.{n}" for n in ("_compat", "checks")} | {
        f"d2l_bn.checks.{n}" for n in ("answers", "plain")
    }


@needs_bubblewrap
def test_inputs_come_from_the_secret_and_the_submission(sandbox, monkeypatch):
    original, asked = Worker.ask, []

    def ask(self, what, **request):
        asked.append(request["arguments"][0].sum()) if what == "call" else None
        return original(self, what, **request)

    monkeypatch.setattr(Worker, "ask", ask)
    for secret in ("a", "a", "b"):
        cells = [
            Cell("f", "student", "def f(X, *given):\n    print(X.sum().asscalar())\n    return X"),
            Cell("t", "test", "checks.batch_norm(f, 'shapes')", 1),
            Cell("", "student", "print(1)"),
        ]
        marking.mark(cells, sandbox, seconds=60, memory=3000, secret=secret)
    one, again, other = np.array(asked).reshape(3, -1).tolist()
    assert one == again != other


@needs_bubblewrap
def test_two_runs_at_once_are_refused(classroom):
    hand_in(classroom, "ann", {})
    with locked(classroom / "out"), pytest.raises(ClassroomError, match="another run"):
        run(classroom)


def test_without_bubblewrap_nothing_runs(classroom, monkeypatch):
    hand_in(classroom, "ann", {})
    monkeypatch.setattr(isolation.shutil, "which", lambda name: None)
    with pytest.raises(ClassroomError, match="apt-get install bubblewrap"):
        run(classroom)
    assert not (classroom / "out" / "grades.csv").exists()


@pytest.mark.slow
def test_without_isolation_when_told(classroom):
    hand_in(classroom, "ann", submissions.answer())
    table = run(classroom, isolated=False)
    assert table["ann"]["points"] == "15"


def test_odd_things_are_for_a_person(classroom):
    (classroom / "class" / "link").mkdir()
    (classroom / "class" / "link" / submissions.NAME).symlink_to("/etc/passwd")
    (classroom / "class" / "folder" / submissions.NAME).mkdir(parents=True)
    huge = hand_in(classroom, "huge", {})
    huge.write_bytes(huge.read_bytes() + b" " * 10_000_000)
    (classroom / "class" / "copy").symlink_to(classroom / "source")  # the solutions
    windows = hand_in(classroom, "windows", {})
    windows.write_bytes(b"\xef\xbb\xbf" + windows.read_bytes())
    (classroom / "class" / "=1+1").mkdir()
    (classroom / "class" / "caf\udce9").mkdir()  # a name that isn't UTF-8
    (classroom / "class" / "stranger").mkdir()
    (classroom / "class" / "stranger" / "my notes.ipynb").write_text("{}")
    table = run(classroom, isolated=False)
    for student in ("link", "copy", "folder", "huge"):
        assert table[student]["status"] == "look at by hand" and table[student]["notes"], student
    assert table["windows"]["status"] == "marked"
    odd = [label for label in table if label.startswith(("caf? (", "'=1+1 ("))]
    assert len(odd) == 2 and all(table[label]["status"] == "not handed in" for label in odd)
    assert table["stranger"]["status"] == "look at by hand"


def starting(*command):
    """No sandbox, and another program in the place of the worker."""
    sandbox = isolation.Sandbox(Path("/tmp"))
    sandbox.command = lambda mxnet: [*command]
    return sandbox


@pytest.mark.parametrize("code, seconds, words", [
    ("pass", 5, "ended"), ("input()", 5, "ended"),
    ("import time; time.sleep(60)", 0.2, r"longer than 0\.2 seconds"),
])  # fmt: skip
def test_a_worker_that_dies_or_hangs_is_told(code, seconds, words):
    """It may be another one's doing, and is tried again."""
    place = starting(sys.executable, "-c", code)
    with closing(Worker(place, seconds=seconds, memory=3000)) as worker:
        worker.first = False
        if code == "pass":
            os.waitid(os.P_PID, worker.process.pid, os.WEXITED | os.WNOWAIT)
        with pytest.raises(WorkerError, match=words) as told:
            worker.run("1")
        assert told.value.again


def test_lines_of_ipython_do_nothing():
    source = "%matplotlib inline\nif True:\n    !ls\nprint?\nx = 7 % 4"
    assert runnable(source) == "pass\nif True:\n    pass\npass\nx = 7 % 4"
    python = "x = (7\n  % 4)"
    assert runnable(python) == python
    assert examine("x = %timeit -o 1", True)["ipython"] and not examine(python, True)["ipython"]


def test_what_is_said_of_a_text_is_short():
    said = examine("nn.BatchNorm()\n" * 2000, True)
    assert (len(said["bare"]), len(said["aids"])) == (20_000, 20)


@needs_bubblewrap
def test_a_worker_that_reads_no_more_is_stopped(sandbox):
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
    with closing(Worker(sandbox, seconds=2, memory=3000)) as worker:
        assert holds(worker.run(code), "")
        with pytest.raises(WorkerError, match="longer than 2 seconds"):
            worker.run("# " + "x" * 1_000_000)


@needs_bubblewrap
@pytest.mark.parametrize(
    "slow", [["import time; time.sleep(1)"] * 4, ["import time; time.sleep(9)"]]
)
def test_a_submission_has_a_limit_for_all_its_cells(sandbox, monkeypatch, slow):
    monkeypatch.setattr(runner, "WHOLE", 1 / 30)
    monkeypatch.setattr(runner, "STARTING", 2)
    cells = [Cell("", "student", f"import time; {source}") for source in slow]
    cells.append(Cell("late", "test", "checks.batch_norm(f)", 3))
    began = time.monotonic()
    marked = marking.mark(cells, sandbox, seconds=30, memory=3000)
    assert time.monotonic() - began < 8 and "seconds in all" in marked.notes[-1]
    assert marked.status == "look at by hand" and not any(cell.points for cell in marked.cells)


@needs_bubblewrap
def test_a_cell_above_the_first_one_is_run(classroom):
    right = submissions.answer(var=submissions.RIGHT["var"].replace("axes", "AXES(axes)"))
    notebook = submissions.notebook(classroom / "release", right)
    notebook["cells"].insert(0, submissions.added("AXES = tuple"))
    hand_in(classroom, "ann", {}).write_text(json.dumps(notebook))
    assert run(classroom)["ann"]["points"] == "15"
