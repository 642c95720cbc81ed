"""The tables that a teacher gets: points, exports, statistics, copied work, the league."""

from __future__ import annotations

import csv
import io
import itertools
import json
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from nbformat import NotebookNode

from classroom.collected import file_name
from classroom.feedback import Result
from classroom.files import safe, write
from classroom.reader import bare
from classroom.release import STUB

CANVAS = ("Student", "ID", "SIS User ID", "SIS Login ID", "Section")
SHEET = ("Identifier", "Full name", "Grade", "Last modified (grade)", "Feedback comments")  # Moodle
GRAM = 10  # words and signs in a row, of which an answer is compared
ALIKE, LEAST = 0.75, 20  # the share, and the number, of an answer's own from which it is listed
MANY = 10  # who have the same, or a quarter of the class, from which it is nobody's own


def save(path: Path, header: Sequence[str], rows: Iterable[Sequence]) -> None:
    """Write a table as CSV, with nothing in it that a spreadsheet would compute."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    for row in rows:
        numbers = (f"{each:g}" if isinstance(each, (int, float)) else str(each) for each in row)
        writer.writerow(map(safe, numbers))
    write(path, text.getvalue())


def write_all(out: Path, results: list[Result], originals: dict[str, NotebookNode]) -> None:
    """Write every table, about the exercises of which anything was handed in."""
    asked = {result.exercise for result in results if result.counts}
    results = [result for result in results if result.exercise in asked]
    grades(out / "grades.csv", results)
    exports(out, results)
    statistics(out / "statistics.csv", results)
    alike(out / "alike.csv", results, originals)
    league(out / "league.csv", results)


def by_student(results: list[Result]) -> dict[str, list[Result]]:
    """The results of each student."""
    found: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        found[result.student].append(result)
    return found


def grades(path: Path, results: list[Result]) -> None:
    """A line for each submission, and one for each student's sum, under the exercise "all"."""
    names = ("points", "possible", "by_hand", "waiting", "total", "most", "days_late")
    rows: list[list] = []
    for student, own in by_student(results).items():
        for r in own:
            sums = [getattr(r, name) for name in names]
            if r.status == "not marked":
                sums[0] = ""
            tests = " ".join(f"{c.id}={c.points:g}/{c.maximum:g}" for c in r.tests)
            notes, aids = "; ".join(dict.fromkeys(r.marked.notes)), "; ".join(r.marked.reading)
            rows.append([student, r.exercise, r.status, *sums, tests, notes, aids])
        sums = [sum(getattr(r, name) for r in own) for name in names]
        rows.append([student, "all", "", *sums, "", "", ""])
    header = ["student", "exercise", "status", *(name.replace("_", " ") for name in names)]
    save(path, [*header, "tests", "notes", "worth reading"], rows)


def exports(out: Path, results: list[Result]) -> None:
    """What Canvas, Moodle and Gradescope import; no points where some wait to be given.

    They know students by the numbers in what Canvas and Moodle delivered, or by the login, which a
    folder is named by. Moodle's word for no points is a dash.
    """
    shutil.rmtree(out / "gradescope", ignore_errors=True)
    most: dict[str, float] = {}
    for r in results:
        most[r.exercise] = max(r.most, most.get(r.exercise, 0))
    names = {name: points for name, points in most.items() if points}
    canvas: list[list] = [["    Points Possible", "", "", "", "", *map(str, names.values())]]
    moodle: list[list] = []
    sheets: dict[str, list] = defaultdict(list)
    for student, own in by_student(results).items():
        found = {r.exercise: (r.total, r.whole.comment) for r in own if r.final}
        points = [found.get(name, ("", ""))[0] for name in names]
        number, participant = own[0].origin.canvas, own[0].origin.moodle
        canvas.append([student, number, "", "" if number else student, "", *points])
        moodle.append([student, *itertools.chain(*(found.get(n, ("-", "")) for n in names))])
        for name in names if participant else ():
            total, comment = found.get(name, ("", ""))
            sheets[name].append([f"Participant {participant}", student, total, "-", comment])
        counted = [r for r in own if r.counts]
        if counted and all(r.decided for r in counted):  # no tests would be no points there
            write(out / "gradescope" / file_name(student) / "results.json", gradescope(counted))
    save(out / "canvas.csv", [*CANVAS, *names], canvas)
    both = itertools.chain(*((name, f"{name} feedback") for name in names))
    save(out / "moodle.csv", ["Username", *both], moodle)
    for name, lines in sheets.items():
        save(out / f"moodle-{name}.csv", SHEET, lines)


def gradescope(results: list[Result]) -> str:
    """A student's results.json, as an autograder of Gradescope's leaves it."""
    tests: list[tuple] = []
    for r in results:
        if r.whole.decision in ("override", "revoke"):  # the points are the teacher's
            tests.append((f"{r.exercise} ({r.status})", r.points, r.possible, r.whole.comment))
        else:
            own = (c for c in r.tests if c.maximum)
            tests += ((f"{r.exercise}: {c.id}", c.points, c.maximum, c.message) for c in own)
    timed = [cell for r in results for cell in r.tests if cell.seconds]
    found: dict = {
        "output": "\n".join(f"{r.exercise}: {note}" for r in results for note in r.marked.notes),
        "tests": [dict(zip(("name", "score", "max_score", "output"), test)) for test in tests],
        "leaderboard": [{"name": c.id, "value": c.seconds, "order": "asc"} for c in timed],
    }
    if all(r.final for r in results):
        found["score"] = sum(r.total for r in results)
    return json.dumps(found, indent=1)


def statistics(path: Path, results: list[Result]) -> None:
    """For each test: solved by how many, and the five messages that were seen most often."""
    tried: dict[tuple, list] = defaultdict(list)
    for result in results:
        for cell in result.tests if result.marked.status != "not handed in" else ():
            if cell.maximum:
                tried[result.exercise, cell.id].append(cell)
    rows = []
    for key, cells in tried.items():
        said = (" ".join(cell.message.split()) for cell in cells if not cell.passed)
        causes = Counter(words.split("Likely cause: ", 1)[-1][:200] for words in said if words)
        often = [f"{times} x {text}" for text, times in causes.most_common(5)]
        solved = sum(cell.passed for cell in cells)
        rows.append([*key, len(cells), solved, *often, *[""] * (5 - len(often))])
    messages = (f"message {n}" for n in range(1, 6))
    save(path, ["exercise", "test", "handed in", "solved", *messages], rows)


def alike(path: Path, results: list[Result], originals: dict[str, NotebookNode]) -> None:
    """Pairs of students whose answers have in common what few others have, names aside.

    Compared are runs of words and signs, without those of the exercise and its solution, and those
    that many have: short answers are alike by nature. Who has more answers in common comes first.
    """
    answers: dict[tuple, dict[str, set]] = defaultdict(dict)
    for r in results:
        for cell in r.marked.cells:
            if cell.kind == "student" and cell.id and STUB not in cell.source:
                answers[r.exercise, cell.id][r.student] = _grams(cell.more.get("bare", ""))
    known: dict[str, set] = {}
    for name, notebook in originals.items():
        code = (bare(cell.source) for cell in notebook.cells if cell.cell_type == "code")
        known[Path(name).stem] = set().union(*map(_grams, code))
    pairs: dict[tuple, list[tuple[float, str]]] = defaultdict(list)
    for (exercise, cell_id), grams in answers.items():
        count = Counter(itertools.chain(*grams.values()))
        many, ours = min(MANY, max(2, len(grams) // 4)), known.get(exercise, set())
        own = {s: {g for g in had if count[g] <= many} - ours for s, had in grams.items()}
        for one, other in itertools.combinations(own, 2):
            shared = len(own[one] & own[other])
            share = shared / max(1, min(len(own[one]), len(own[other])))
            if shared >= LEAST and share >= ALIKE:
                pairs[exercise, one, other].append((share, cell_id))
    ordered = sorted(pairs.items(), key=lambda pair: -sum(share for share, _ in pair[1]))
    rows = [[*pair, len(s), ", ".join(f"{c} {share:.0%}" for share, c in s)] for pair, s in ordered]
    words = "what both have of what few have, whatever names and comments"
    save(path, ["exercise", "student", "other student", "answers alike", words], rows)


def _grams(text: str) -> set[tuple[str, ...]]:
    words = text.split()
    return {tuple(words[place : place + GRAM]) for place in range(len(words) - GRAM + 1)}


def league(path: Path, results: list[Result]) -> None:
    """Who is fast: the times of what is right, the fastest first."""
    rows = [
        [result.exercise, cell.id, result.student, f"{1000 * cell.seconds:.2f}"]
        for result in results
        for cell in result.tests
        if cell.seconds is not None and cell.passed and result.whole.decision != "revoke"
    ]
    rows.sort(key=lambda row: (row[0], row[1], float(row[3])))
    save(path, ["exercise", "test", "student", "milliseconds"], rows)
