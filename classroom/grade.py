"""Marks a class: every submission in a sandbox of its own, into a table and pages of feedback."""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TextIO

from nbformat import NotebookNode
from tqdm import tqdm

from classroom import ClassroomError, feedback, hand_marks, isolation
from classroom import release as exercises
from classroom.files import safe, write
from classroom.hand_marks import HandMark
from classroom.marking import Marked, mark
from classroom.records import Marker
from d2l_bn.system.files import locked, replacing

COLUMNS = (
    "student",
    "exercise",
    "status",
    "points",
    "possible",
    "by hand",
    "waiting",
    "tests",
    "notes",
)


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

    What is finished is kept in ``out/records``, so that an interrupted run goes on where it was; a
    submission is marked again if it, its exercise or this program has changed since. The points
    that a teacher fills in in ``out/by_hand.csv`` stay there, and go into the table and the pages.

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
        If there is nothing to mark, no sandbox, a mistake in ``by_hand.csv``, or another run works
        on `out`.
    """
    originals = {path.name: exercises.read(path) for path in sorted(source.glob("*.ipynb"))}
    students = sorted(path for path in _listed(submissions) if path.is_dir())
    if not originals or not students:
        raise ClassroomError(
            f"needs exercises in {source} and folders STUDENT/ in {submissions}, got "
            f"{len(originals)} and {len(students)}"
        )
    sandbox = isolation.sandbox(isolated=isolated, image=image)
    run = partial(mark, sandbox=sandbox, seconds=seconds, memory=memory)
    limits = {"seconds": seconds, "memory": memory, "isolated": isolated, "image": image}
    marker = Marker(out / "records", originals, run, limits)
    with _alone(out), ThreadPoolExecutor(jobs) as pool:
        hand_marks.read(out / "by_hand.csv")  # a mistake in it is told before the work
        tasks = [(s, n) for s in students for n in _names(s, originals)]
        try:
            found = pool.map(lambda task: marker(*task), tasks)
            done = list(tqdm(found, total=len(tasks), desc="submissions"))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
        marked = [(student.name, name, result) for (student, name), result in zip(tasks, done)]
        given = hand_marks.merged(_waiting(marked), hand_marks.read(out / "by_hand.csv"))
        hand_marks.save(out / "by_hand.csv", given)
        _write_pages(out / "feedback", [each for each in marked if each[1] in originals], given)
        _write_table(out / "grades.csv", marked, given)


def _listed(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def _names(student: Path, originals: dict[str, NotebookNode]) -> list[str]:
    """The exercises, and whatever else a student handed in as a notebook."""
    others: set[str] = set()
    with contextlib.suppress(OSError):  # a folder that can't be read holds nothing for us
        others = {path.name for path in student.iterdir() if path.suffix == ".ipynb"}
    return [*originals, *sorted(others - originals.keys())]


def _waiting(marked: list[tuple[str, str, Marked]]) -> dict[hand_marks.Place, HandMark]:
    """A mark to fill in for each written answer that was handed in."""
    return {
        (safe(student), Path(name).stem, cell.id): HandMark(cell.maximum)
        for student, name, result in marked
        if result.status != "not handed in"
        for cell in result.cells
        if cell.kind == "written"
    }


def _own(student: str, name: str, given: dict[hand_marks.Place, HandMark]) -> dict[str, HandMark]:
    """The marks by hand of one notebook, by cell."""
    place = safe(student), Path(name).stem
    return {cell: mark for (*where, cell), mark in given.items() if tuple(where) == place}


def _write_pages(folder: Path, marked: list, given: dict[hand_marks.Place, HandMark]) -> None:
    for student, name, result in marked:
        title = f"{student}: {Path(name).stem}"
        page = feedback.page(title, result, _own(student, name, given))
        write(folder / student / f"{Path(name).stem}.html", page)


def _write_table(path: Path, marked: list, given: dict[hand_marks.Place, HandMark]) -> None:
    with replacing(path) as temporary, _table(temporary) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for student, name, result in marked:
            row = _row(student, name, result, _own(student, name, given))
            writer.writerow(map(safe, row))


def _row(student: str, name: str, marked: Marked, given: dict[str, HandMark]) -> list[str]:
    numbers = [f"{number:g}" for number in feedback.totals(marked, given)]
    tests = " ".join(f"{c.id}={c.points:g}/{c.maximum:g}" for c in marked.cells if c.kind == "test")
    notes = "; ".join(dict.fromkeys(marked.notes))
    return [student, Path(name).stem, marked.status, *numbers, tests, notes]


def _table(path: Path) -> TextIO:
    return path.open("w", newline="", encoding="utf-8", errors="replace")


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
