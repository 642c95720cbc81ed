"""What a teacher decides: a table to fill in, which keeps what is in it from run to run.

Each submission has a line for the whole of it, and each written answer one of its own.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Optional

from classroom import ClassroomError
from classroom.files import write

COLUMNS = ("student", "exercise", "cell", "maximum", "points", "decision", "late", "comment")
DECISIONS = ("", "clear", "override", "revoke")
Place = tuple[str, str, str]  # student, exercise, cell; no cell for the whole submission


@dataclass(frozen=True)
class Decision:
    """A line of the table."""

    maximum: float  # the points that can be given here
    points: Optional[float] = None  # to a written answer, or in place of the tests': "override"
    decision: str = ""  # what was looked at is fine, gets other points, or none: see DECISIONS
    late: Optional[float] = None  # days, in place of those that the file's time tells
    comment: str = ""  # which the student reads

    @property
    def empty(self) -> bool:
        """Whether nothing has been filled in."""
        return replace(self, maximum=0) == Decision(0)


def read(path: Path) -> dict[Place, Decision]:
    """What a teacher has filled in so far; with commas or semicolons, as the spreadsheet likes.

    ClassroomError if the table lacks a column, or a line says what can't be.
    """
    if not path.exists():
        return {}
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        what = f"{path} must be text in UTF-8, got other bytes at place {error.start:,}"
        raise ClassroomError(f"{what}: save it as what spreadsheets call CSV UTF-8") from error
    lines = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator(text), strict=True)
    try:
        return _decisions(lines)
    except csv.Error as error:
        words = f" or before has a quote too many, or one too few ({error}): mend it"
    except ValueError as error:
        words = str(error)
    raise ClassroomError(f"{path}, line {lines.line_num}{words}")


def _decisions(lines: csv.DictReader) -> dict[Place, Decision]:
    """What the lines say; ValueError with what is wrong in the last that was read."""
    if not set(COLUMNS) <= set(lines.fieldnames or ()):
        raise ValueError(
            f": there must be the columns {', '.join(COLUMNS)}, with commas or semicolons between "
            f"them, got {', '.join(lines.fieldnames or ()) or 'none'}"
        )
    found: dict[Place, Decision] = {}
    for row in lines:
        if any(row.get(None, ())):
            mark = lines.reader.dialect.delimiter
            words = f" has more columns than the first. A text with {mark!r} in it stands in quotes"
            raise ValueError(words)
        row = {name: (row[name] or "").strip() for name in COLUMNS}
        maximum = _number(row, "maximum") or 0.0
        points = _number(row, "points", maximum)
        decision = row["decision"].lower()
        if decision not in DECISIONS or (decision and row["cell"]):
            raise ValueError(
                ": the decision must be clear, override, revoke or nothing, and stand in a line "
                f"without a cell, got {row['decision']!r}"
            )
        if not row["cell"] and (decision == "override") != (points is not None):
            raise ValueError(
                ": points for a whole submission go with the decision override, got "
                f"{row['points']!r} with {row['decision']!r}"
            )
        place = row["student"], row["exercise"], row["cell"]
        decided = Decision(maximum, points, decision, _number(row, "late"), row["comment"])
        if found.setdefault(place, decided) != decided:
            name = ", ".join(filter(None, place))
            raise ValueError(f": {name} is decided otherwise in an earlier line: leave one of both")
    return found


def separator(text: str) -> str:
    """The character between the columns of a table."""
    first = text.partition("\n")[0]
    return ";" if first.count(";") > first.count(",") else ","


def _number(row: dict[str, str], name: str, most: float = float("inf")) -> Optional[float]:
    text = row[name]
    if not text:
        return None
    try:
        number = float(text.replace(",", "."))  # a decimal comma, where columns have semicolons
    except ValueError:
        number = -1
    if not 0 <= number <= most:
        upper = "up" if most == float("inf") else f"{most:g}"
        raise ValueError(f": {name} must be a number from 0 to {upper}, or nothing, got {text!r}")
    return number


def named(given: dict[Place, Decision], names: Mapping[str, str]) -> dict[Place, Decision]:
    """The decisions under the students' names of this run, where `names` has them."""
    found: dict[Place, Decision] = {}
    for (student, exercise, cell), decision in given.items():
        place = names.get(student, student), exercise, cell
        if place not in found or not decision.empty:
            found[place] = decision
    return found


def merged(now: dict[Place, Decision], given: dict[Place, Decision]) -> dict[Place, Decision]:
    """What there is to decide, with what has been decided, also where nothing waits any more."""
    filled = {place: decision for place, decision in given.items() if not decision.empty}
    for place in now.keys() & filled.keys():
        most, points = now[place].maximum, filled[place].points or 0
        if points > most:  # whatever the table says of the maximum
            name = ", ".join(filter(None, place))
            raise ClassroomError(f"points of {name} must be from 0 to {most:g}, got {points:g}")
        filled[place] = replace(filled[place], maximum=most)
    return {**now, **filled}


def save(path: Path, decisions: dict[Place, Decision]) -> None:
    """Write the table, with the separator that it had."""
    between = separator(path.read_text(encoding="utf-8")) if path.exists() else ","
    text = io.StringIO()
    writer = csv.writer(text, delimiter=between, lineterminator="\n")
    writer.writerow(COLUMNS)
    for place, each in sorted(decisions.items()):
        numbers = ["" if number is None else f"{number:g}" for number in (each.points, each.late)]
        if between == ";":
            numbers = [number.replace(".", ",") for number in numbers]
        maximum = f"{each.maximum:g}"
        writer.writerow([*place, maximum, numbers[0], each.decision, numbers[1], each.comment])
    write(path, "\ufeff" + text.getvalue())  # a mark without which spreadsheets spoil names
