"""The teacher's command line: python -m classroom release | grade."""

from __future__ import annotations

import argparse
import errno
import os
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Optional

from classroom import EXERCISES, ClassroomError
from classroom.files import safe
from classroom.translation import languages

FULL = "; make some, or choose another place with --out, and the same command goes on"


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run a command; 0 if it did its work, 2 if it refuses, 130 if it was stopped."""
    options = vars(parser().parse_args(arguments))
    command, run = options.pop("command"), options.pop("run")
    try:
        run(**options)
    except (ClassroomError, OSError) as error:
        remedy = FULL if getattr(error, "errno", None) == errno.ENOSPC else ""
        print(f"classroom {command}: {error}{remedy}", file=sys.stderr)
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
    some: dict[str, Any] = {"nargs": "+", "default": (), "metavar": "NAME"}
    release.add_argument("--only", help="some exercises, such as 1 3", **some)

    grade = commands.add_parser("grade", help="mark a folder of submissions")
    grade.set_defaults(run=_grade)
    holds = "STUDENT/NOTEBOOK.ipynb, or what Moodle, Canvas or nbgrader give (submissions)"
    grade.add_argument("submissions", nargs="?", type=Path, default="submissions", help=holds)
    own = "run students' code as yourself, with your files and your network"
    table: dict[str, dict[str, Any]] = {
        "out": {"type": Path, "default": Path("runs/grade")},
        "seconds": {"type": positive, "default": 120, "help": "for each cell (120)"},
        "memory": {"type": count, "default": 4000, "help": "MB for each submission (4000)"},
        "jobs": {"type": count, "default": 2, "help": "submissions at a time (2)"},
        "only": {**some, "help": "students who are marked again, whatever is kept"},
        "due": {"type": end, "help": "2026-11-30T18:00, or a day, to its end: tells who was late"},
        "anonymous": {"action": "store_true", "help": "made-up names; names.csv has both"},
        "without-isolation": {"action": "store_false", "dest": "isolated", "help": own},
    }
    for name, options in table.items():
        grade.add_argument(f"--{name}", **options)
    for command in (release, grade):
        command.add_argument("--source", type=Path, default=EXERCISES, help="the exercises")
        command.add_argument("--language", choices=languages(), default="", help="a translation")
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
        words = f"must be a time as in 2026-11-30T18:00, or a day as in 2026-11-30, got {text}"
        raise argparse.ArgumentTypeError(words) from error
    return time + timedelta(days=1) if len(text) == len("2026-11-30") else time


def _release(source: Path, out: Path, **options: Any) -> None:
    from classroom.release import release

    release(source, out, **options)
    print(f"for the students: {out}")


def _grade(submissions: Path, out: Path, **options: Any) -> None:
    from classroom.collected import unread
    from classroom.grade import grade

    if options["language"]:
        os.environ["D2L_BN_LANGUAGE"] = options["language"]  # of what the checks say
    idle = grade(submissions, out, **options)
    for path, why in unread(submissions):
        print(f"not marked: {safe(str(path))}, which {why}")
    for student, exercise, cell in idle:
        print(f"counts for nothing in decisions.csv: {student}, {exercise}{cell and ', '}{cell}")
    print(f"marks: {out / 'grades.csv'}; canvas.csv, moodle.csv and gradescope beside it")
    print(f"to fill in: {out / 'decisions.csv'}; then run this again")
    print("what was hard, who is alike, who is fast: statistics.csv, alike.csv, league.csv")
    print(f"pages for the students: {out / 'feedback'}")


if __name__ == "__main__":
    sys.exit(main())
