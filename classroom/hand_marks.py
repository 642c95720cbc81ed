"""The points that a teacher gives by hand: a table to fill in, which keeps what is in it."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, replace
from pathlib import Path

from classroom import ClassroomError
from classroom.files import write

COLUMNS = ("student", "exercise", "cell", "maximum", "points", "comment")
Place = tuple[str, str, str]  # student, exercise, cell


@dataclass(frozen=True)
class HandMark:
    """A line of the table; without points as long as the answer waits."""

    maximum: float
    points: float | None = None
    comment: str = ""


def read(path: Path) -> dict[Place, HandMark]:
    """What a teacher has filled in so far.

    Raises
    ------
    ClassroomError
        If the table lacks a column, or points are no number from 0 to the maximum.
    """
    if not path.exists():
        return {}
    marks: dict[Place, HandMark] = {}
    with path.open(newline="", encoding="utf-8-sig") as file:
        lines = csv.DictReader(file)
        if not set(COLUMNS) <= set(lines.fieldnames or ()):
            raise ClassroomError(
                f"{path} must have the columns {', '.join(COLUMNS)}, with commas between them, "
                f"got {', '.join(lines.fieldnames or ()) or 'none'}"
            )
        for row in lines:
            points = row["points"].strip() if row["points"] else ""
            try:
                mark = HandMark(
                    float(row["maximum"]), float(points) if points else None, row["comment"] or ""
                )
            except ValueError:
                mark = HandMark(0, -1)
            if mark.points is not None and not 0 <= mark.points <= mark.maximum:
                raise ClassroomError(
                    f"{path}, line {lines.line_num}: points must be a number from 0 to "
                    f"{row['maximum']}, or nothing, got {points!r}"
                )
            marks[row["student"], row["exercise"], row["cell"]] = mark
    return marks


def merged(waiting: dict[Place, HandMark], given: dict[Place, HandMark]) -> dict[Place, HandMark]:
    """What there is to mark, with the points and comments that have been given.

    Lines that wait for nothing any more stay if they hold something.
    """
    filled = {p: mark for p, mark in given.items() if mark.points is not None or mark.comment}
    for place in waiting.keys() & filled.keys():
        filled[place] = replace(filled[place], maximum=waiting[place].maximum)
    return {**waiting, **filled}


def save(path: Path, marks: dict[Place, HandMark]) -> None:
    """Write the table."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for place, mark in sorted(marks.items()):
        points = "" if mark.points is None else f"{mark.points:g}"
        writer.writerow([*place, f"{mark.maximum:g}", points, mark.comment])
    write(path, text.getvalue())
