"""What a teacher decides goes into the tables and the pages, and is never lost."""

from __future__ import annotations

import csv
import os
import zipfile
from datetime import datetime

import pytest

pytest.importorskip("nbgrader", reason="nbgrader is not installed: the extra `classroom`")

from classroom import EXERCISES, ClassroomError, decisions, feedback, grade, tables
from classroom.decisions import Decision
from classroom.feedback import Result
from classroom.marking import Marked, Outcome

PLACE = "ann", "5-your-experiment", "question"


def marked():
    """One test, one written answer, and code that is marked by hand."""
    return Marked(
        cells=[
            Outcome("dense-output", "test", "check", points=2, maximum=3, message="too small"),
            Outcome("question", "written", "Since <b>.", maximum=4),
            Outcome("figure", "student", "draw()", output="said <i>"),
            Outcome("figure", "written", "", maximum=5),
        ]
    )


def result(own=None, student="ann", **options):
    return Result(student, "5-your-experiment", marked(), own or {}, **options)


def rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_submission_and_written_answer_has_a_line(tmp_path):
    now = grade._to_decide("ann", "5-your-experiment.ipynb", marked())
    decisions.save(tmp_path / "decisions.csv", now)
    assert (tmp_path / "decisions.csv").read_text() == (
        "student,exercise,cell,maximum,points,decision,late,comment\n"
        "ann,5-your-experiment,,3,,,,\n"
        "ann,5-your-experiment,figure,5,,,,\n"
        "ann,5-your-experiment,question,4,,,,\n"
    )
    assert decisions.read(tmp_path / "decisions.csv") == now
    unreadable = grade._to_decide("bob", "x.ipynb", Marked("look at by hand", ["no notebook"]))
    assert list(unreadable) == [("bob", "x", "")]
    assert grade._to_decide("cid", "x.ipynb", Marked("not handed in", [], marked().cells)) == {}


@pytest.mark.parametrize("between", [",", ";"])
def test_what_is_filled_in_comes_back(tmp_path, between):
    path = tmp_path / "decisions.csv"
    path.write_text(between.join(decisions.COLUMNS) + "\n")
    filled = {
        PLACE: Decision(4, 3.5, comment='say "why",\nthen; or not'),
        (*PLACE[:2], ""): Decision(3, 1.5, "override", 2, "as we said"),
    }
    decisions.save(path, filled)
    assert path.read_text().startswith(f"student{between}exercise")
    assert decisions.read(path) == filled


def test_a_table_that_a_spreadsheet_saved_is_read(tmp_path):
    path = tmp_path / "decisions.csv"
    header = ";".join(decisions.COLUMNS)
    path.write_bytes(
        f"\ufeff{header}\r\nann;5;question;4;2,5;;;\r\nann;5;;3;;Revoke;0;\r\n".encode()
    )
    assert decisions.read(path) == {
        ("ann", "5", "question"): Decision(4, 2.5),
        ("ann", "5", ""): Decision(3, None, "revoke", 0),
    }


@pytest.mark.parametrize(
    "line, words",
    [
        ("ann,5,question,4,5,,,", "line 2: points must be a number from 0 to 4"),
        ("ann,5,question,4,-1,,,", "points must be"),
        ("ann,5,question,4,nan,,,", "points must be"),
        ("ann,5,question,4,x,,,", "points must be"),
        ("ann,5,question,4,,clear,,", "stand in a line without a cell"),
        ("ann,5,,4,,forgive,,", "must be clear, override, revoke"),
        ("ann,5,,4,2,,,", "go with the decision override"),
        ("ann,5,,4,,override,,", "go with the decision override"),
        ("ann,5,,4,,,-1,", "late must be"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path, line, words):
    path = tmp_path / "decisions.csv"
    path.write_text(f"{','.join(decisions.COLUMNS)}\n{line}\n")
    with pytest.raises(ClassroomError, match=words):
        decisions.read(path)


def test_a_table_with_other_columns_is_refused(tmp_path):
    (tmp_path / "decisions.csv").write_text("student\texercise\n")
    with pytest.raises(ClassroomError, match="commas or semicolons"):
        decisions.read(tmp_path / "decisions.csv")


@pytest.mark.parametrize(
    "decision, status, points",
    [
        (Decision(3), "marked", 2),
        (Decision(3, decision="clear"), "cleared", 2),
        (Decision(3, 1, "override"), "overridden", 1),
        (Decision(3, decision="revoke"), "revoked", 0),
    ],
)
def test_a_decision_counts(tmp_path, decision, status, points):
    one = result({"": decision, "question": Decision(4, 3.5)})
    tables.grades(tmp_path / "grades.csv", [one])
    row, total = rows(tmp_path / "grades.csv")
    names = ("status", "points", "possible", "by hand", "waiting", "total", "most")
    sums = [f"{points:g}", "3", "3.5", "5", f"{points + 3.5:g}", "12"]
    assert [row[name] for name in names] == [status, *sums]
    assert total["exercise"] == "all" and total["total"] == sums[-2]
    assert status == "marked" or status in feedback.page(one)


def test_nothing_waits_where_nothing_was_handed_in():
    absent = Marked("not handed in", [], marked().cells)
    assert result().waiting > 0 == Result("ann", "5-your-experiment", absent, {}).waiting


def test_the_page_tells_whose_words_are_whose():
    before = feedback.page(result())
    assert "<b>2 of 3 points</b> for what is tested." in before and "9 more" in before
    own = {"question": Decision(4, 3.5, comment="say <why>"), "": Decision(3, comment="good")}
    after = feedback.page(result(own))
    assert "<b>3.5 points</b> by hand." in after and "5 more" in after
    assert '<pre class="teacher">say &lt;why&gt;</pre>' in after
    assert '<pre class="teacher">good</pre>' in after
    assert '<pre class="check">too small</pre>' in after
    assert '<pre class="code">Since &lt;b&gt;.</pre>' in after
    assert '<pre class="said">said &lt;i&gt;</pre>' in after
    assert after.count("figure") == 1 and "5 points, by hand" in after


def test_without_tests_no_sum_of_tests_is_shown():
    page = feedback.page(Result("ann", "x", Marked(cells=marked().cells[1:]), {}))
    assert "0 of 0" not in page and "9 more are given by hand" in page


def test_what_is_filled_in_stays_and_what_waits_is_renewed():
    gone, waits, done = ("bob", "5", "old"), ("ann", "5", "figure"), PLACE
    given = {gone: Decision(2, comment="see me"), waits: Decision(4), done: Decision(4, 3)}
    now = {waits: Decision(5), done: Decision(5)}
    assert decisions.merged(now, given) == {
        gone: Decision(2, comment="see me"),
        waits: Decision(5),
        done: Decision(5, 3),
    }
    assert decisions.merged({}, {waits: Decision(4)}) == {}


@pytest.mark.parametrize("student", ["=1+1", "caf\udce9", "a,b"])
def test_odd_names_find_their_decisions_again(tmp_path, student):
    path = tmp_path / "decisions.csv"
    decisions.save(path, grade._to_decide(student, "5-your-experiment.ipynb", marked()))
    text = path.read_text().replace("question,4,,", "question,4,3,")
    assert not text.splitlines()[1].startswith("=")
    path.write_text(text)
    file = tmp_path / "5-your-experiment.ipynb"
    found = grade._result(student, file, marked(), decisions.read(path), None)
    assert found.decisions["question"] == Decision(4, 3)


def test_who_is_late_is_told_by_the_file_or_by_the_teacher(tmp_path):
    file = tmp_path / "5-your-experiment.ipynb"
    file.write_text("")
    due = datetime(2026, 11, 30, 18)
    for hours, days in ((-1, 0), (0, 0), (1, 1), (25, 2)):
        os.utime(file, (0, due.timestamp() + 3600 * hours))
        assert grade._result("ann", file, marked(), {}, due).days_late == days
    own = {("ann", "5-your-experiment", ""): Decision(3, late=0)}
    assert grade._result("ann", file, marked(), own, due).days_late == 0


def test_canvas_and_moodle_get_their_columns(tmp_path):
    results = [result({"": Decision(3, comment="well done")}), result(student="bob")]
    tables.canvas(tmp_path / "canvas.csv", results)
    first, ann, bob = rows(tmp_path / "canvas.csv")
    assert first["Student"].strip() == "Points Possible" and first["5-your-experiment"] == "12"
    assert (ann["SIS Login ID"], bob["5-your-experiment"]) == ("ann", "2")
    tables.moodle(tmp_path / "moodle.csv", results)
    ann, _ = rows(tmp_path / "moodle.csv")
    assert ann["Username"] == "ann" and ann["5-your-experiment feedback"] == "well done"


def test_statistics_count_the_messages(tmp_path):
    several = [result(student=f"s{n}") for n in range(3)]
    several[0].marked.cells[0].message = "A: wrong.\n  Likely cause: eps\n    is missing."
    several[1].marked.cells[0].message = "B: wrong.\n  Likely cause: eps is missing."
    tables.statistics(tmp_path / "statistics.csv", several)
    (row,) = rows(tmp_path / "statistics.csv")
    assert (row["handed in"], row["solved"]) == ("3", "0")
    assert row["message 1"] == "2 x eps is missing." and row["message 2"] == "1 x too small"


def answering(student, source):
    return Result(student, "1", Marked(cells=[Outcome("a", "student", source)]), {})


def test_copied_work_is_listed(tmp_path):
    lines = "\n".join(f"    step{n} = X.mean() + {n} * gamma" for n in range(9))
    one = f"def f(X, gamma):\n{lines}\n    return step1"
    other = f'def f(X, gamma):\n    "Mine."\n{lines}  # my own\n    return  step1'
    third = one.replace("gamma", "scale").replace("step", "value")
    results = [answering("a", one), answering("b", other), answering("c", third)]
    results += [answering("d", "x = 1"), answering("e", "x = 1")]
    tables.alike(tmp_path / "alike.csv", results)
    found = [(row["student"], row["other student"]) for row in rows(tmp_path / "alike.csv")]
    assert found == [("a", "b")]


def test_the_league_has_what_is_right_the_fastest_first(tmp_path):
    def fast(student, seconds, points):
        cell = Outcome("league", "test", "", points=points, maximum=0, seconds=seconds)
        return Result(student, "6", Marked(cells=[cell]), {})

    tables.league(tmp_path / "league.csv", [fast("a", 0.2, 0), fast("b", 0.1, 0)])
    assert [row["student"] for row in rows(tmp_path / "league.csv")] == ["b", "a"]


def test_what_a_teacher_writes_during_a_run_is_kept(tmp_path, monkeypatch):
    """The table is read when the work is done, however long that took."""
    (tmp_path / "class" / "ann").mkdir(parents=True)
    (tmp_path / "class" / "bob").mkdir(parents=True)
    table = tmp_path / "out" / "decisions.csv"

    def mark(self, student, name):
        decisions.save(table, {("ann", "5-your-experiment", "question"): Decision(4, 3)})
        return marked()

    monkeypatch.setattr(grade.Marker, "__call__", mark)
    folders = {"out": tmp_path / "out", "source": EXERCISES}
    grade.grade(tmp_path / "class", isolated=False, **folders)
    assert decisions.read(table)["ann", "5-your-experiment", "question"].points == 3
    assert "3 of 4, by hand" in (tmp_path / "out/feedback/ann/5-your-experiment.html").read_text()
    with zipfile.ZipFile(tmp_path / "out/feedback/ann.zip") as pages:
        assert "5-your-experiment.html" in pages.namelist()
    grade.grade(tmp_path / "class", isolated=False, anonymous=True, **folders)
    names = {row["student"]: row["made up"] for row in rows(tmp_path / "out/names.csv")}
    assert set(names) == {"ann", "bob"} and len(set(names.values())) == 2
    assert "ann" not in (tmp_path / "out" / "grades.csv").read_text()
    with pytest.raises(ClassroomError, match="--only must name a folder"):
        grade.grade(tmp_path / "class", isolated=False, only=["cid"], **folders)
