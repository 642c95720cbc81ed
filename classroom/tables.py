"""The tables that a teacher gets: points, exports, statistics, copied work, the league."""

from __future__ import annotations

import ast
import csv
import difflib
import io
import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from classroom.feedback import Result
from classroom.files import safe, write
from classroom.release import STUB
from classroom.submission import runnable

ALIKE = 0.95  # the share of equal text from which two answers are listed
OWN = 0.75  # and that with code of the exercise from which an answer is no text of one's own
SHORTEST = 150  # characters of an answer that can be alike by more than chance


def save(path: Path, header: Sequence[str], rows: Iterable[Sequence]) -> None:
    """Write a table as CSV, with nothing in it that a spreadsheet would compute."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([safe(_text(value)) for value in row] for row in rows)
    write(path, text.getvalue())


def _text(value) -> str:
    return f"{value:g}" if isinstance(value, (int, float)) else str(value)


def write_all(out: Path, results: list[Result]) -> None:
    """Write every table, about the exercises of which anything was handed in."""
    asked = {result.exercise for result in results if result.counts}
    results = [result for result in results if result.exercise in asked]
    grades(out / "grades.csv", results)
    canvas(out / "canvas.csv", results)
    moodle(out / "moodle.csv", results)
    statistics(out / "statistics.csv", results)
    alike(out / "alike.csv", results)
    league(out / "league.csv", results)


def by_student(results: list[Result]) -> dict[str, list[Result]]:
    """The results of each student."""
    found: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        found[result.student].append(result)
    return found


def grades(path: Path, results: list[Result]) -> None:
    """A line for each submission, and one for each student's sum, under the exercise "all"."""
    header = "student exercise status points possible hand waiting total most late tests notes read"
    rows: list[list] = []
    for student, own in by_student(results).items():
        for r in own:
            tests = " ".join(f"{c.id}={c.points:g}/{c.maximum:g}" for c in r.tests)
            notes = "; ".join(dict.fromkeys(r.marked.notes))
            sums = [r.points, r.possible, r.by_hand, r.waiting, r.total, r.most, r.days_late]
            aids = "; ".join(r.marked.reading)
            rows.append([student, r.exercise, r.status, *sums, tests, notes, aids])
        sums = [
            sum(getattr(r, name) for r in own)
            for name in ("points", "possible", "by_hand", "waiting", "total", "most", "days_late")
        ]
        rows.append([student, "all", "", *sums, "", "", ""])
    names = {"hand": "by hand", "late": "days late", "read": "worth reading"}
    save(path, [names.get(name, name) for name in header.split()], rows)


def exercises(results: list[Result]) -> dict[str, float]:
    """The exercises with points, and how many these are."""
    found: dict[str, float] = {}
    for result in results:
        found[result.exercise] = max(result.most, found.get(result.exercise, 0))
    return {name: most for name, most in found.items() if most}


def canvas(path: Path, results: list[Result]) -> None:
    """What Canvas imports: a column for each exercise; folders are named by the login."""
    names = exercises(results)
    header = ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", *names]
    rows: list[list] = [["    Points Possible", "", "", "", "", *names.values()]]
    for student, own in by_student(results).items():
        points = {result.exercise: result.total for result in own if result.counts}
        rows.append([student, "", "", student, "", *(points.get(name, "") for name in names)])
    save(path, header, rows)


def moodle(path: Path, results: list[Result]) -> None:
    """What Moodle imports: points and feedback of each exercise; folders are named by the user.

    Its word for no points is a dash.
    """
    names = exercises(results)
    header = ["Username", *itertools.chain(*((name, f"{name} feedback") for name in names))]
    rows: list[list] = []
    for student, own in by_student(results).items():
        found = {r.exercise: (r.total, r.whole.comment) for r in own if r.counts}
        rows.append([student, *itertools.chain(*(found.get(name, ("-", "")) for name in names))])
    save(path, header, rows)


def statistics(path: Path, results: list[Result]) -> None:
    """For each test: solved by how many, and the five messages that were seen most often."""
    tried: Counter = Counter()
    solved: Counter = Counter()
    messages: dict[tuple, Counter] = defaultdict(Counter)
    for result in results:
        if result.marked.status == "not handed in":
            continue
        for cell in filter(lambda cell: cell.maximum, result.tests):
            key = result.exercise, cell.id
            tried[key] += 1
            solved[key] += cell.passed
            if not cell.passed and cell.message:
                messages[key][_gist(cell.message)] += 1
    header = ["exercise", "test", "handed in", "solved", *(f"message {n}" for n in range(1, 6))]
    rows = []
    for key, count in tried.items():
        often = [f"{times} x {text}" for text, times in messages[key].most_common(5)]
        rows.append([*key, count, solved[key], *often, *[""] * (5 - len(often))])
    save(path, header, rows)


def _gist(message: str) -> str:
    """A check's message without its numbers: the cause, or else what it says first."""
    words = " ".join(message.split())
    return words.split("Likely cause: ", 1)[-1][:200]


def alike(path: Path, results: list[Result]) -> None:
    """Pairs of students whose answers are nearly the same text, comments and spaces aside.

    Who has more answers in common comes first. What is nearly the text that the exercise itself
    shows, to be mended, is nobody's own and isn't compared.
    """
    answers: dict[tuple, list[tuple[str, str]]] = defaultdict(list)
    for result in results:
        shown = [_bare(cell.source) for cell in result.marked.cells if cell.kind == "given"]
        for cell in result.marked.cells:
            if cell.kind == "student" and cell.id:
                text = _bare(cell.source.replace(STUB, "pass"))
                if len(text) >= SHORTEST and not any(_share(text, each, OWN) for each in shown):
                    answers[result.exercise, cell.id].append((result.student, text))
    pairs: dict[tuple, list[tuple[float, str]]] = defaultdict(list)
    for (exercise, cell), texts in answers.items():
        for (one, first), (other, second) in itertools.combinations(texts, 2):
            share = _share(first, second, ALIKE)
            if share:
                pairs[exercise, one, other].append((share, cell))
    ordered = sorted(pairs.items(), key=lambda pair: -sum(share for share, _ in pair[1]))
    rows = [[*pair, len(s), ", ".join(f"{c} {share:.0%}" for share, c in s)] for pair, s in ordered]
    words = "equal text, without comments, docstrings and spacing"
    save(path, ["exercise", "student", "other student", "answers alike", words], rows)


def _share(first: str, second: str, least: float) -> float:
    """The share of equal words and signs in the same order; 0 where it is less than `least`."""
    # Of words rather than letters: 20 times as fast.
    one, other = (re.findall(r"\w+|\S", text) for text in (first, second))
    matcher = difflib.SequenceMatcher(None, one, other, autojunk=False)
    if matcher.real_quick_ratio() <= least or matcher.quick_ratio() <= least:
        return 0
    share = matcher.ratio()
    return share if share > least else 0


def _bare(source: str) -> str:
    """Code without comments, docstrings and spacing; "" where it isn't Python."""
    try:
        tree = ast.parse(runnable(source))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ""
    kinds = ast.Module, ast.FunctionDef, ast.ClassDef
    for node in ast.walk(tree):
        if isinstance(node, kinds) and len(node.body) > 1 and ast.get_docstring(node) is not None:
            del node.body[0]
    return ast.unparse(tree)


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
