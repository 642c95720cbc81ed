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
) -> list[decisions.Place]:
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
        Whether pages and tables name students by made-up names; ``out/names.csv`` has both. What
        was decided under the one name holds under the other.

    Returns
    -------
    list of (student, exercise, cell)
        Filled-in lines of ``decisions.csv`` that belong to nothing that can be handed in.

    Raises
    ------
    ClassroomError
        If there is nothing to mark, no sandbox, a mistake in ``decisions.csv``, or another run
        works on `out`.
    """
    out = out.absolute()  # workers start elsewhere
    originals = {path.name: exercises.read(path) for path in sorted(source.glob("*.ipynb"))}
    students = sorted(path for path in _listed(submissions) if path.is_dir())
    handed_in = sum(len(_notebooks(student)) for student in students)
    if not originals or not handed_in:
        raise ClassroomError(
            f"needs exercises in {source} and STUDENT/NOTEBOOK.ipynb in {submissions}, got "
            f"{len(originals)} exercises and {handed_in} notebooks in {len(students)} folders"
        )
    strangers = sorted(set(only) - {student.name for student in students})
    if strangers:
        raise ClassroomError(f"--only must name a folder in {submissions}, got {strangers[0]}")
    with _alone(out):
        decisions.read(out / "decisions.csv")  # a mistake in it is told before the work
        sandbox = isolation.sandbox(out / "sandbox", isolated=isolated, image=image)
        limits = {"seconds": seconds, "memory": memory, "isolated": isolated, "image": image}
        run = partial(mark, sandbox=sandbox, seconds=seconds, memory=memory)
        secret = records.secret(out)
        marker = Marker(out / "records", originals, run, limits, secret, only)
        _unreadable()
        tasks = [(s, n) for s in students for n in _names(s, originals)]
        marked = _all(marker, tasks, jobs)
        made_up = {s.name: _made_up(s.name, secret) for s in students}
        names = {name: made_up[name] if anonymous else name for name in made_up}
        now = {
            place: decision
            for (student, name), each in zip(tasks, marked)
            for place, decision in _to_decide(names[student.name], name, each).items()
        }
        same = {safe(n): safe(names[real]) for real in names for n in (real, made_up[real])}
        given = decisions.merged(now, decisions.named(decisions.read(out / "decisions.csv"), same))
        results = [
            _result(names[student.name], student / name, each, given, due)
            for (student, name), each in zip(tasks, marked)
        ]
        _hold(results, out / "decisions.csv")
        decisions.save(out / "decisions.csv", given)
        given_out = [r for r in results if r.counts and f"{r.exercise}.ipynb" in originals]
        _write_pages(out / "feedback", given_out, {*names, *made_up.values()})
        tables.write_all(out, results)
        if anonymous:
            tables.save(out / "names.csv", ["student", "made up"], names.items())
    return _idle(given, results)


def _listed(folder: Path) -> list[Path]:
    """What is in a folder, without what systems and editors leave there."""
    if not folder.is_dir():
        return []
    return [path for path in folder.iterdir() if not path.name.startswith((".", "__MACOSX"))]


def _notebooks(student: Path) -> set[str]:
    with contextlib.suppress(OSError):  # a folder that can't be read holds nothing for us
        return {path.name for path in _listed(student) if path.suffix == ".ipynb"}
    return set()


def _names(student: Path, originals: dict[str, NotebookNode]) -> list[str]:
    """The exercises, and whatever else a student handed in as a notebook."""
    return [*originals, *sorted(_notebooks(student) - originals.keys())]


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
    own = {cell: given[(*place, cell)] for cell in _places(marked) if (*place, cell) in given}
    late = 0.0
    if due is not None and marked.status != "not handed in":
        with contextlib.suppress(OSError):
            late = max(0.0, -(-(path.lstat().st_mtime - due.timestamp()) // DAY))
    return Result(student, path.stem, marked, own, late)


def _places(marked: Marked) -> list[str]:
    """The cells about which something can be decided, and "" for the whole."""
    return ["", *(cell.id for cell in marked.cells if cell.kind == "written")]


def _hold(results: list[Result], path: Path) -> None:
    """Refuse points above what there is, whatever the table says of the maximum."""
    for r in results:
        most = {cell.id: cell.maximum for cell in r.marked.cells if cell.kind == "written"}
        for cell, decision in r.decisions.items():
            limit = most.get(cell) if cell else r.possible
            if decision.points is not None and limit is not None and decision.points > limit:
                raise ClassroomError(
                    f"{path}: points of {r.student}, {r.exercise}, {cell or 'as a whole'} must be "
                    f"a number from 0 to {limit:g}, got {decision.points:g}"
                )


def _idle(given: dict, results: list[Result]) -> list[decisions.Place]:
    """The places of what was filled in for nothing: a name is misspelled, or a folder is gone."""
    known = {(safe(r.student), r.exercise, cell) for r in results for cell in _places(r.marked)}
    return [place for place in given if place not in known]


def _write_pages(folder: Path, results: list[Result], students: Collection[str]) -> None:
    """Write a folder of pages for each student, and a zip file of it to send.

    Pages of an earlier run that belong to one of these `students` go.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pages = tables.by_student(results)
    for student in students:
        for page in (folder / student).glob("*.html"):
            page.unlink()
        if student not in pages:
            (folder / f"{student}.zip").unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # it isn't there, or holds what isn't ours
                (folder / student).rmdir()
    for student, own in pages.items():
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
