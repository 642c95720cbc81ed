"""Marks a class: every submission in a sandbox of its own, into a table and pages of feedback."""

from __future__ import annotations

import contextlib
import csv
import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TextIO

from nbformat import NotebookNode
from tqdm import tqdm

from classroom import ClassroomError, feedback, isolation, submission, suspicion
from classroom import release as exercises
from classroom.marking import Marked, Outcome, mark
from d2l_bn.files import replacing

COLUMNS = ("student", "exercise", "status", "points", "possible", "by hand", "tests", "notes")


def grade(
    submissions: Path,
    out: Path,
    *,
    source: Path,
    seconds: float = 120,
    memory: int = 4000,
    jobs: int = 2,
    isolated: bool = True,
    image: str = "",
) -> None:
    """Mark ``submissions/STUDENT/NOTEBOOK.ipynb``; write grades.csv and feedback to `out`.

    What is finished is kept in ``out/records``, so that an interrupted run goes on where it was;
    a submission that has changed since, or whose exercise has, is marked again.

    Parameters
    ----------
    submissions, out, source : Path
        The class, the folder of the results, and the exercises with solutions.
    seconds : float
        The longest that a cell may take.
    memory : int
        MB of address space of a submission's process.
    jobs : int
        How many submissions are run at a time.
    isolated : bool
        Whether students' code runs in a sandbox.
    image : str
        Of the containers to use as sandboxes; bubblewrap by default.

    Raises
    ------
    ClassroomError
        If there is nothing to mark, no sandbox, or another run works on `out`.
    """
    originals = {path.name: exercises.read(path) for path in sorted(source.glob("*.ipynb"))}
    students = sorted(path for path in _listed(submissions) if path.is_dir())
    if not originals or not students:
        raise ClassroomError(
            f"needs exercises in {source} and folders STUDENT/ in {submissions}, got "
            f"{len(originals)} and {len(students)}"
        )
    limits = {"seconds": seconds, "memory": memory}
    sandbox = isolation.sandbox(isolated=isolated, image=image)
    run = partial(mark, sandbox=sandbox, seconds=seconds, memory=memory)
    with _alone(out), ThreadPoolExecutor(jobs) as pool:
        tasks = [(s, n) for s in students for n in _names(s, originals)]
        todo = partial(_recorded, out=out, originals=originals, run=run, limits=limits)
        try:
            done = list(tqdm(pool.map(todo, tasks), total=len(tasks), desc="submissions"))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
        for (student, name), marked in zip(tasks, done):
            if name not in originals:
                continue  # nobody can say what it is
            page = feedback.page(f"{student.name}: {Path(name).stem}", marked)
            _write(out / "feedback" / student.name / f"{Path(name).stem}.html", page)
        with replacing(out / "grades.csv") as temporary, _table(temporary) as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(COLUMNS)
            for (student, name), marked in zip(tasks, done):
                writer.writerow(map(_safe, _row(student.name, name, marked)))


def _listed(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def _names(student: Path, originals: dict[str, NotebookNode]) -> list[str]:
    """The exercises, and whatever else a student handed in as a notebook."""
    others: set[str] = set()
    with contextlib.suppress(OSError):  # a folder that can't be read holds nothing for us
        others = {path.name for path in student.iterdir() if path.suffix == ".ipynb"}
    return [*originals, *sorted(others - originals.keys())]


def _recorded(
    task: tuple[Path, str], *, out: Path, originals: dict[str, NotebookNode], run, limits: dict
) -> Marked:
    """The outcome of one submission, from its record where nothing has changed since."""
    student, name = task
    path = student / name
    short = hashlib.sha256(os.fsencode(name)).hexdigest()  # a name may be as long as is allowed
    record = out / "records" / student.name / f"{short[:16]}.json"
    key = _fingerprint(path, originals.get(name), limits)
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        saved = json.loads(record.read_text())
        if saved.pop("key") == key:
            cells = [Outcome(**cell) for cell in saved.pop("cells")]
            return Marked(cells=cells, **saved)
    try:
        marked = _marked(path, originals.get(name), run)
    except Exception as error:  # whatever it is, the others get their marks
        marked = Marked("look at by hand", [f"it can't be marked ({type(error).__name__})"])
    _write(record, json.dumps({"key": key, **marked.as_dict()}))
    return marked


def _fingerprint(path: Path, exercise: object, limits: dict) -> str:
    content, kind = b"", ""
    with contextlib.suppress(OSError):  # what can't be read is looked at by hand
        kind = f"{path.is_symlink()} {path.is_file()}"
        if kind == "False True" and path.stat().st_size <= submission.LARGEST:
            content = path.read_bytes()
    rest = json.dumps([exercise, limits, kind], sort_keys=True)
    return hashlib.sha256(content + rest.encode()).hexdigest()


def _marked(path: Path, exercise: NotebookNode | None, run) -> Marked:
    """Mark one file, whatever it is."""
    if exercise is None:
        return Marked("look at by hand", ["it has the name of no exercise"])
    if not os.path.lexists(path):
        cells = submission.merge(exercise, exercise)
        nothing = [Outcome(c.id, c.kind, "", maximum=c.points) for c in cells]
        return Marked("not handed in", [], [o for o in nothing if o.kind in ("test", "written")])
    try:
        cells = submission.merge(exercise, submission.read(path))
    except submission.ByHandError as error:
        return Marked("look at by hand", [str(error)])
    marked = run(cells)
    if any(cell.kind == "test" for cell in cells):
        for note in suspicion.suspicions(cells):
            marked.by_hand(note)
        for what in suspicion.ready_answers(cells):
            marked.by_hand(f"it uses {what}, which is a ready-made answer")
    return marked


def _row(student: str, name: str, marked: Marked) -> list[str]:
    earned, possible, waiting = feedback.totals(marked)
    tests = " ".join(f"{c.id}={c.points:g}/{c.maximum:g}" for c in marked.cells if c.kind == "test")
    numbers = [f"{number:g}" for number in (earned, possible, waiting)]
    notes = "; ".join(dict.fromkeys(marked.notes))
    return [student, Path(name).stem, marked.status, *numbers, tests, notes]


def _safe(text: str) -> str:
    """`text` as a spreadsheet shows it, and doesn't compute it."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _table(path: Path) -> TextIO:
    return path.open("w", newline="", encoding="utf-8", errors="replace")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="replace")


@contextlib.contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Let no other run work on the same folder at the same time."""
    out.mkdir(parents=True, exist_ok=True)
    with (out / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ClassroomError(f"another run marks into {out}: wait, or use --out") from error
        yield
