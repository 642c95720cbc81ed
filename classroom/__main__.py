"""The teacher's command line: python -m classroom release | grade."""

from __future__ import annotations

import argparse
import errno
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Optional

from classroom import EXERCISES, ClassroomError

FULL = "; make some, or choose another place with --out, and the same command goes on"


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run a command; 0 if it did its work, 2 if it refuses, 130 if it was stopped."""
    options = parser().parse_args(arguments)
    try:
        options.run(options)
    except (ClassroomError, OSError) as error:
        remedy = FULL if getattr(error, "errno", None) == errno.ENOSPC else ""
        print(f"classroom {options.command}: {error}{remedy}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on", file=sys.stderr)
        return 130
    return 0


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    top = argparse.ArgumentParser(prog="classroom", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True)

    release = commands.add_parser("release", help="make the students' folder")
    release.set_defaults(run=_release)
    release.add_argument("--out", type=Path, default=Path("runs/release"))
    release.add_argument(
        "--only", nargs="+", default=(), metavar="NAME", help="some exercises, such as 1 3"
    )

    grade = commands.add_parser("grade", help="mark a folder of submissions")
    grade.set_defaults(run=_grade)
    grade.add_argument(
        "submissions",
        nargs="?",
        type=Path,
        default=Path("submissions"),
        help="holds STUDENT/NOTEBOOK.ipynb (default: submissions)",
    )
    grade.add_argument("--out", type=Path, default=Path("runs/grade"))
    grade.add_argument("--seconds", type=positive, default=120, help="for each cell (120)")
    grade.add_argument(
        "--memory",
        type=count,
        default=4000,
        help="MB for each submission, all its processes together (4000)",
    )
    grade.add_argument("--jobs", type=count, default=2, help="submissions at a time (2)")
    grade.add_argument(
        "--only",
        nargs="+",
        default=(),
        metavar="STUDENT",
        help="mark these again, whatever is kept",
    )
    grade.add_argument(
        "--due", type=end, help="2026-11-30T18:00, say, or a day, to its end: tells who was late"
    )
    grade.add_argument("--anonymous", action="store_true", help="made-up names; names.csv has both")
    how = grade.add_mutually_exclusive_group()
    how.add_argument("--image", default="", help="use containers of this image, not bubblewrap")
    how.add_argument(
        "--without-isolation",
        action="store_true",
        help="run the students' code as yourself, with your files and your network",
    )
    for command in (release, grade):
        command.add_argument("--source", type=Path, default=EXERCISES, help="the exercises")
    return top


def positive(text: str) -> float:
    """Read a number above 0."""
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number above 0, got {text}")
    return number


def count(text: str) -> int:
    """Read a whole number from 1 on."""
    number = int(text)
    positive(text)
    return number


def end(text: str) -> datetime:
    """Read a time, or a day, which ends at midnight."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"must be a time as in 2026-11-30T18:00, or a day as in 2026-11-30, got {text}"
        ) from error
    return time + timedelta(days=1) if len(text) == len("2026-11-30") else time


def _release(options: argparse.Namespace) -> None:
    from classroom.release import release

    release(options.source, options.out, options.only)
    print(f"for the students: {options.out}")


def _grade(options: argparse.Namespace) -> None:
    from classroom.grade import grade

    idle = grade(
        options.submissions,
        options.out,
        source=options.source,
        seconds=options.seconds,
        memory=options.memory,
        jobs=options.jobs,
        isolated=not options.without_isolation,
        image=options.image,
        only=options.only,
        due=options.due,
        anonymous=options.anonymous,
    )
    for path in sorted(options.submissions.glob("*.ipynb")):
        print(f"not marked: {path}, which is in no student's folder")
    for student, exercise, cell in idle:
        print(f"counts for nothing in decisions.csv: {student}, {exercise}{cell and ', '}{cell}")
    print(f"marks: {options.out / 'grades.csv'}, and canvas.csv and moodle.csv beside it")
    print(f"to fill in: {options.out / 'decisions.csv'}; then run this again")
    print("what was hard, who is alike, who is fast: statistics.csv, alike.csv, league.csv")
    print(f"pages for the students: {options.out / 'feedback'}")


if __name__ == "__main__":
    sys.exit(main())
