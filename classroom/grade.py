"""Marks a class: every submission in a sandbox of its own, into tables and pages of feedback."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import hmac
import os
import shutil
import tempfile
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Optional

from nbformat import NotebookNode
from tqdm import tqdm

from classroom import ClassroomError, decisions, feedback, isolation, records, tables
from classroom import release as exercises
from classroom.decisions import Decision
from classroom.feedback import Result
from classroom.files import safe, write
from classroom.marking import Marked, mark
from classroom.records import Marker
from d2l_bn.system.files import locked

DAY = 24 * 60 * 60
UNREADABLE = 4, 0  # prctl's PR_SET_DUMPABLE


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
    only: Collection[str] = (),
    due: Optional[datetime] = None,
    anonymous: bool = False,
) -> None:
    """Mark ``submissions/STUDENT/NOTEBOOK.ipynb``; write tables and feedback to `out`.

    What is finished is kept in ``out/records``, so that an interrupted run goes on where it was; a
    submission is marked again if it, its exercise or this program has changed since. What a teacher
    fills in in ``out/decisions.csv`` stays there, and goes into the tables and the pages.

    Parameters
    ----------
    submissions, out, source : Path
        The class, the folder of the results, and the exercises with solutions.
    seconds : float
        The longest that a cell may take.
    memory : int
        MB for all processes of a submission together.
    jobs : int
        How many submissions are run at a time.
    isolated : bool
        Whether students' code runs in a sandbox.
    image : str
        Of the containers to use as sandboxes; bubblewrap by default.
    only : collection of str
        Students who are marked again, whatever has been kept.
    due : datetime, optional
        When submissions were due; the times of the files tell who was late.
    anonymous : bool
        Whether pages and tables name students by made-up names; ``out/names.csv`` has both.

    Raises
    ------
    ClassroomError
        If there is nothing to mark, no sandbox, a mistake in ``decisions.csv``, or another run
        works on `out`.
    """
    out = out.absolute()  # workers start elsewhere
    originals = {path.name: exercises.read(path) for path in sorted(source.glob("*.ipynb"))}
    students = sorted(path for path in _listed(submissions) if path.is_dir())
    if not originals or not students:
        raise ClassroomError(
            f"needs exercises in {source} and folders STUDENT/ in {submissions}, got "
            f"{len(originals)} and {len(students)}"
        )
    strangers = sorted(set(only) - {student.name for student in students})
    if strangers:
        raise ClassroomError(f"--only must name a folder in {submissions}, got {strangers[0]}")
    with _alone(out):
        given = decisions.read(out / "decisions.csv")  # a mistake in it is told before the work
        sandbox = isolation.sandbox(out / "sandbox", isolated=isolated, image=image)
        limits = {"seconds": seconds, "memory": memory, "isolated": isolated, "image": image}
        run = partial(mark, sandbox=sandbox, seconds=seconds, memory=memory)
        secret = records.secret(out)
        marker = Marker(out / "records", originals, run, limits, secret, only)
        _unreadable()
        tasks = [(s, n) for s in students for n in _names(s, originals)]
        marked = _all(marker, tasks, jobs)
        names = {s.name: _made_up(s.name, secret) if anonymous else s.name for s in students}
        now = {
            place: decision
            for (student, name), each in zip(tasks, marked)
            for place, decision in _to_decide(names[student.name], name, each).items()
        }
        given = decisions.merged(now, decisions.read(out / "decisions.csv"))
        decisions.save(out / "decisions.csv", given)
        results = [
            _result(names[student.name], student / name, each, given, due)
            for (student, name), each in zip(tasks, marked)
        ]
        _write_pages(out / "feedback", [r for r in results if f"{r.exercise}.ipynb" in originals])
        tables.write_all(out, results)
        if anonymous:
            tables.save(out / "names.csv", ["student", "made up"], names.items())


def _listed(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def _names(student: Path, originals: dict[str, NotebookNode]) -> list[str]:
    """The exercises, and whatever else a student handed in as a notebook."""
    others: set[str] = set()
    with contextlib.suppress(OSError):  # a folder that can't be read holds nothing for us
        others = {path.name for path in student.iterdir() if path.suffix == ".ipynb"}
    return [*originals, *sorted(others - originals.keys())]


def _all(marker: Marker, tasks: list[tuple[Path, str]], jobs: int) -> list[Marked]:
    with ThreadPoolExecutor(jobs) as pool:
        try:
            found = pool.map(lambda task: marker(*task), tasks)
            return list(tqdm(found, total=len(tasks), desc="notebooks, handed in or not"))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _unreadable() -> None:
    """Keep other processes of the same user from reading this one's memory, as far as one can."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(*UNREADABLE, 0, 0, 0)


def _made_up(student: str, secret: str) -> str:
    """A name that says nothing of the student, the same in each run."""
    digest = hmac.new(secret.encode(), os.fsencode(student), hashlib.sha256).hexdigest()
    return f"student-{digest[:8]}"


def _to_decide(student: str, name: str, marked: Marked) -> dict[decisions.Place, Decision]:
    """A line for a submission, and one for each written answer in it."""
    if marked.status == "not handed in":
        return {}
    place, tests = (safe(student), Path(name).stem), [c for c in marked.cells if c.kind == "test"]
    lines = {(*place, ""): Decision(sum(cell.maximum for cell in tests))}
    for cell in marked.cells:
        if cell.kind == "written":
            lines[(*place, cell.id)] = Decision(cell.maximum)
    return lines


def _result(
    student: str, path: Path, marked: Marked, given: dict, due: Optional[datetime]
) -> Result:
    place = safe(student), path.stem
    own = {cell: decision for (*where, cell), decision in given.items() if tuple(where) == place}
    late = 0.0
    if due is not None and marked.status != "not handed in":
        with contextlib.suppress(OSError):
            late = max(0.0, -(-(path.lstat().st_mtime - due.timestamp()) // DAY))
    return Result(student, path.stem, marked, own, late)


def _write_pages(folder: Path, results: list[Result]) -> None:
    """Write a folder of pages for each student, and a zip file of it to send."""
    for student, own in tables.by_student(results).items():
        for result in own:
            write(folder / student / f"{result.exercise}.html", feedback.page(result))
        with tempfile.TemporaryDirectory(dir=folder) as temporary:
            made = shutil.make_archive(str(Path(temporary, "pages")), "zip", folder / student)
            os.replace(made, folder / f"{student}.zip")


@contextlib.contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Let no other run work on the same folder at the same time."""
    out.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(locked(out))
        except BlockingIOError as error:
            raise ClassroomError(f"another run marks into {out}: wait, or use --out") from error
        yield
