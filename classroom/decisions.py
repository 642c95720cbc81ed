"""What a teacher decides: a table to fill in, which keeps what is in it from run to run.

Each submission has a line for the whole of it, and each written answer one of its own.
"""

from __future__ import annotations

import csv
import io
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
    """A line of the table.

    Parameters
    ----------
    maximum : float
        The points that can be given here.
    points : float, optional
        Those that are given: to a written answer, or in place of the tests' where `decision` is
        "override".
    decision : {"", "clear", "override", "revoke"}
        For a whole submission: what was looked at is fine, gets other points, or gets none.
    late : float, optional
        Days, in place of those that the file's time tells.
    comment : str
        What the student reads.
    """

    maximum: float
    points: Optional[float] = None
    decision: str = ""
    late: Optional[float] = None
    comment: str = ""

    @property
    def empty(self) -> bool:
        """Whether nothing has been filled in."""
        return replace(self, maximum=0) == Decision(0)


def read(path: Path) -> dict[Place, Decision]:
    """What a teacher has filled in so far; with commas or semicolons, as the spreadsheet likes.

    Raises
    ------
    ClassroomError
        If the table lacks a column, or a line says what can't be.
    """
    if not path.exists():
        return {}
    text = path.read_text(encoding="utf-8-sig")
    lines = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator(text))
    if not set(COLUMNS) <= set(lines.fieldnames or ()):
        raise ClassroomError(
            f"{path} must have the columns {', '.join(COLUMNS)}, with commas or semicolons between "
            f"them, got {', '.join(lines.fieldnames or ()) or 'none'}"
        )
    found: dict[Place, Decision] = {}
    for row in lines:
        row = {name: (row[name] or "").strip() for name in COLUMNS}
        where = f"{path}, line {lines.line_num}"
        maximum = _number(row["maximum"], where, "maximum") or 0.0
        points = _number(row["points"], where, "points", maximum)
        decision = row["decision"].lower()
        if decision not in DECISIONS or (decision and row["cell"]):
            raise ClassroomError(
                f"{where}: the decision must be clear, override, revoke or nothing, and stand in a "
                f"line without a cell, got {row['decision']!r}"
            )
        if not row["cell"] and (decision == "override") != (points is not None):
            raise ClassroomError(
                f"{where}: points for a whole submission go with the decision override, got "
                f"{row['points']!r} with {row['decision']!r}"
            )
        late = _number(row["late"], where, "late")
        place = row["student"], row["exercise"], row["cell"]
        found[place] = Decision(maximum, points, decision, late, row["comment"])
    return found


def separator(text: str) -> str:
    """The character between the columns of a table."""
    first = text.partition("\n")[0]
    return ";" if first.count(";") > first.count(",") else ","


def _number(text: str, where: str, name: str, most: float = float("inf")) -> Optional[float]:
    if not text:
        return None
    try:
        number = float(text.replace(",", "."))  # a decimal comma, where columns have semicolons
    except ValueError:
        number = -1
    if not 0 <= number <= most:
        upper = "up" if most == float("inf") else f"{most:g}"
        raise ClassroomError(
            f"{where}: {name} must be a number from 0 to {upper}, or nothing, got {text!r}"
        )
    return number


def merged(now: dict[Place, Decision], given: dict[Place, Decision]) -> dict[Place, Decision]:
    """What there is to decide, with what has been decided.

    Lines that wait for nothing any more stay if they hold something.
    """
    filled = {place: decision for place, decision in given.items() if not decision.empty}
    for place in now.keys() & filled.keys():
        filled[place] = replace(filled[place], maximum=now[place].maximum)
    return {**now, **filled}


def save(path: Path, decisions: dict[Place, Decision]) -> None:
    """Write the table, with the separator that it had."""
    between = separator(path.read_text(encoding="utf-8-sig")) if path.exists() else ","
    text = io.StringIO()
    writer = csv.writer(text, delimiter=between, lineterminator="\n")
    writer.writerow(COLUMNS)
    for place, each in sorted(decisions.items()):
        numbers = ["" if number is None else f"{number:g}" for number in (each.points, each.late)]
        if between == ";":
            numbers = [number.replace(".", ",") for number in numbers]
        maximum = f"{each.maximum:g}"
        writer.writerow([*place, maximum, numbers[0], each.decision, numbers[1], each.comment])
    write(path, text.getvalue())
