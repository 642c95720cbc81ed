"""Marks a class: every submission in a sandbox of its own, into tables and pages of feedback."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import shutil
import tempfile
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Optional

from tqdm import tqdm

from classroom import ClassroomError, collected, decisions, feedback, isolation, records, tables
from classroom import release as exercises
from classroom.collected import Student
from classroom.decisions import Decision
from classroom.feedback import Result
from classroom.files import write
from classroom.marking import Marked
from classroom.records import Marker
from classroom.translation import translated
from d2l_bn.system.files import locked

DAY = 24 * 60 * 60


def grade(
    submissions: Path,
    out: Path,
    *,
    source: Path,
    seconds: float = 120,
    memory: int = 4000,
    jobs: int = 2,
    isolated: bool = True,
    only: Collection[str] = (),
    due: Optional[datetime] = None,
    anonymous: bool = False,
    language: str = "",
) -> list[decisions.Place]:
    """Mark ``submissions/STUDENT/NOTEBOOK.ipynb``; write tables and feedback to `out`.

    What is finished is kept in ``out/records``, so that an interrupted run goes on where it was; a
    submission is marked again if it, its exercise or this program has changed since. What a teacher
    fills in in ``out/decisions.csv`` stays there, and goes into the tables and the pages.

    The options are those of the command line. Returned are the places (student, exercise, cell) of
    lines in ``decisions.csv`` that belong to nothing that can be handed in. ClassroomError if there
    is nothing to mark, no sandbox, a mistake in ``decisions.csv``, or another run works on `out`.
    """
    out = out.absolute()  # workers start elsewhere
    originals = {
        path.name: translated(exercises.read(path), path, language)
        for path in sorted(source.glob("*.ipynb"))
    }
    students = {each.label: each for each in collected.students(submissions, originals)}
    handed_in = sum(len(student.files) for student in students.values())
    if not originals or not handed_in:
        raise ClassroomError(
            f"needs exercises in {source} and STUDENT/NOTEBOOK.ipynb in {submissions}, got "
            f"{len(originals)} exercises and {handed_in} notebooks of {len(students)} students"
        )
    strangers = sorted(set(only) - students.keys())
    if strangers:
        raise ClassroomError(f"--only must name a student in {submissions}, got {strangers[0]}")
    out.mkdir(parents=True, exist_ok=True)
    in_use = ClassroomError(f"another run marks into {out}: wait, or use --out")
    with locked(out, otherwise=in_use):
        decisions.read(out / "decisions.csv")  # a mistake in it is told before the work
        sandbox = isolation.sandbox(out / "sandbox", isolated=isolated)
        secret, limits = records.secret(out), {"seconds": seconds, "memory": memory}
        marker = Marker(out / "records", submissions, originals, sandbox, limits, secret, only)
        tasks = [
            (student, name)
            for student in students.values()
            for name in [*originals, *sorted(student.files.keys() - originals.keys())]
        ]
        marked = _all(marker, tasks, jobs)
        made_up = {label: _made_up(label, secret) for label in students}
        names = {label: made_up[label] if anonymous else label for label in students}
        now = {
            (names[student.label], exercise(name), cell): decision
            for (student, name), each in zip(tasks, marked)
            for cell, decision in _to_decide(each).items()
            if each.status != "not handed in"
        }
        same = {name: names[real] for real in names for name in (real, made_up[real])}
        given = decisions.merged(now, decisions.named(decisions.read(out / "decisions.csv"), same))
        results = [
            _result(names[student.label], name, each, given, due, student)
            for (student, name), each in zip(tasks, marked)
        ]
        decisions.save(out / "decisions.csv", given)
        given_out = [r for r in results if r.counts and f"{r.exercise}.ipynb" in originals]
        _write_pages(out / "feedback", given_out, {*names, *made_up.values()})
        tables.write_all(out, results, originals)
        if anonymous:
            tables.save(out / "names.csv", ["student", "made up"], names.items())
    return _idle(given, results)


def _all(marker: Marker, tasks: list[tuple[Student, str]], jobs: int) -> list[Marked]:
    """Mark several at a time; then once more, alone, what another one may have disturbed."""

    def one(task: tuple[Student, str], alone: bool = False) -> Marked:
        student, name = task
        path = student.last(name) if name in student.files else None
        marked = marker(student.label, name, path, alone)
        count = len(student.files.get(name, ()))
        if path and count > 1:
            marked.notes.append(f"{count} files have this name; {path.name}, the newest, is marked")
        return marked

    with ThreadPoolExecutor(jobs) as pool:
        try:
            words = "notebooks, handed in or not"
            found = list(tqdm(pool.map(one, tasks), total=len(tasks), desc=words))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    again = [place for place, each in enumerate(found) if each.again]
    for place in tqdm(again, desc="once more, alone", disable=not again):
        found[place] = one(tasks[place], alone=True)
    return found


def _made_up(student: str, secret: str) -> str:
    """A name that says nothing of the student, the same in each run."""
    digest = hmac.new(secret.encode(), os.fsencode(student), hashlib.sha256).hexdigest()
    return f"student-{digest[:8]}"


def exercise(name: str) -> str:
    """What tables call a notebook of this name."""
    return collected.label(Path(name).stem)


def _to_decide(marked: Marked) -> dict[str, Decision]:
    """What a teacher can decide about each written answer, and, under "", about the whole."""
    written = {c.id: Decision(c.maximum) for c in marked.cells if c.kind == "written"}
    tests = Decision(sum(cell.maximum for cell in marked.cells if cell.kind == "test"))
    return {"": tests, **written}


def _result(
    label: str, name: str, marked: Marked, given: dict, due: Optional[datetime], student: Student
) -> Result:
    place = label, exercise(name)
    own = {c: given[(*place, c)] for c in _to_decide(marked) if (*place, c) in given}
    late = 0.0
    if due is not None and name in student.files:
        with contextlib.suppress(OSError):
            time = student.last(name).lstat().st_mtime
            late = max(0.0, -(-(time - due.timestamp()) // DAY))
    return Result(*place, marked, own, late, student)


def _idle(given: dict, results: list[Result]) -> list[decisions.Place]:
    """The places of what was filled in for nothing: a name is misspelled, or a folder is gone."""
    known = {(r.student, r.exercise, cell) for r in results for cell in _to_decide(r.marked)}
    return [place for place in given if place not in known]


def _write_pages(folder: Path, results: list[Result], students: Collection[str]) -> None:
    """Write a folder of pages for each of `students`, in place of earlier ones, and a zip file."""
    folder.mkdir(parents=True, exist_ok=True)
    pages = tables.by_student(results)
    for student in students:
        own = folder / collected.file_name(student)
        for page in own.glob("*.html"):
            page.unlink()
        for result in pages.get(student, ()):
            write(own / f"{result.exercise}.html", feedback.page(result))
        if student in pages:
            with tempfile.TemporaryDirectory(dir=folder) as temporary:
                made = shutil.make_archive(str(Path(temporary, "pages")), "zip", own)
                os.replace(made, own.with_name(f"{own.name}.zip"))
        else:
            own.with_name(f"{own.name}.zip").unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # it isn't there, or holds what isn't ours
                own.rmdir()
