"""What a teacher decides goes into the tables and the pages, and is never lost."""

from __future__ import annotations

import csv
import os
import zipfile
from datetime import datetime

import pytest

pytest.importorskip("nbgrader", reason="nbgrader is not installed: the extra `classroom`")

from classroom import EXERCISES, ClassroomError, decisions, feedback, grade, records, tables
from classroom.__main__ import main, parser
from classroom.decisions import Decision
from classroom.feedback import Result
from classroom.marking import Marked, Outcome
from classroom.release import STUB

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
    assert (tmp_path / "decisions.csv").read_text(encoding="utf-8-sig") == (
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
    assert path.read_text().startswith(f"\ufeffstudent{between}exercise")
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
        ("ann,5,,4,,,,good, but short", "line 2 has more columns .* stands in quotes"),
        ('ann,5,,4,,,,"good', "a quote too many, or one too few"),
        ("ann,5,question,4,1,,,\nann,5,question,4,2,,,", "line 3: ann, 5, question is decided"),
        ("ann,5,,4,,,,Gr\xfc\xdfe".encode("cp1252"), "must be text in UTF-8"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path, line, words):
    path = tmp_path / "decisions.csv"
    line = line if isinstance(line, bytes) else line.encode()
    path.write_bytes(",".join(decisions.COLUMNS).encode() + b"\n" + line + b"\n")
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
    assert "<b>3.5 of 4 points</b> by hand." in after and "5 more" in after
    for points, kind in ((4, "full"), (3.5, "own"), (0, "none")):
        page = feedback.page(result({"question": Decision(4, points)}))
        assert f'<section class="{kind}"><h2>question' in page
    assert '<pre class="teacher">say &lt;why&gt;</pre>' in after
    assert '<pre class="teacher">good</pre>' in after
    assert '<pre class="check">too small</pre>' in after
    assert '<pre class="code">Since &lt;b&gt;.</pre>' in after
    assert '<pre class="said">said &lt;i&gt;</pre>' in after
    assert after.count("figure") == 1 and "5 points, by hand" in after


def test_without_tests_no_sum_of_tests_is_shown():
    page = feedback.page(Result("ann", "x", Marked(cells=marked().cells[1:]), {}))
    assert "0 of 0" not in page and "9 points are given by hand" in page


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
    assert text[0] == "\ufeff" and not text.splitlines()[1].startswith("=")
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


def test_what_was_not_handed_in_is_no_zero(tmp_path):
    """An import would give it to everybody, for exercises that wait to be given."""
    absent = Marked("not handed in", [], marked().cells)
    results = [result(), Result("bob", "5-your-experiment", absent, {})]
    results += [Result(student, "6-later", absent, {}) for student in ("ann", "bob")]
    tables.write_all(tmp_path, results)
    _, ann, bob = rows(tmp_path / "canvas.csv")
    assert (ann["5-your-experiment"], bob["5-your-experiment"]) == ("2", "")
    assert "6-later" not in ann and "6-later" not in (tmp_path / "grades.csv").read_text()
    assert [row["5-your-experiment"] for row in rows(tmp_path / "moodle.csv")] == ["2", "-"]
    own = {"": Decision(3, 1, "override", comment="in words")}
    assert Result("bob", "6-later", absent, own).counts


def test_a_test_without_points_is_right_where_it_measured():
    slow, fast = Outcome("league", "test", "x"), Outcome("league", "test", "x", seconds=0.1)
    pages = [feedback.page(Result("a", "6", Marked(cells=[each]), {})) for each in (slow, fast)]
    assert 'class="none"' in pages[0] and 'class="full"' in pages[1] and "0 of 0" not in pages[1]


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


def test_what_is_alike_in_more_answers_comes_first(tmp_path):
    def both(student, name):
        texts = [f"{name} = [{', '.join(str(n * k) for n in range(60))}]" for k in (3, 5)]
        cells = [Outcome(f"c{n}", "student", text) for n, text in enumerate(texts)]
        return Result(student, "1", Marked(cells=cells), {})

    half = both("z", "x")
    half.marked.cells.pop()
    tables.alike(tmp_path / "alike.csv", [half, both("a", "x"), both("b", "x")])
    found = [(row["student"], row["answers alike"]) for row in rows(tmp_path / "alike.csv")]
    assert found == [("a", "2"), ("z", "1"), ("z", "1")]


def test_nobodys_text_is_not_compared(tmp_path):
    given = "\n".join(f"x{n} = nd.ones(({n}, 2)) + {n}" for n in range(20))
    cells = [
        Outcome("a", "given", given),
        Outcome("b", "student", given.replace("x7", "y7")),
        Outcome("c", "student", f"def f({', '.join(f'x{n}' for n in range(20))}):\n    {STUB}"),
    ]
    results = [Result(student, "4", Marked(cells=cells), {}) for student in "ab"]
    tables.alike(tmp_path / "alike.csv", results)
    assert rows(tmp_path / "alike.csv") == []


def test_the_league_has_what_is_right_the_fastest_first(tmp_path):
    def fast(student, seconds, points):
        cell = Outcome("league", "test", "", points=points, maximum=0, seconds=seconds)
        return Result(student, "6", Marked(cells=[cell]), {})

    tables.league(tmp_path / "league.csv", [fast("a", 0.2, 0), fast("b", 0.1, 0)])
    assert [row["student"] for row in rows(tmp_path / "league.csv")] == ["b", "a"]


def test_what_a_teacher_writes_during_a_run_is_kept(tmp_path, monkeypatch):
    """The table is read when the work is done, however long that took."""
    folders = a_class(tmp_path, "ann")
    table = tmp_path / "out" / "decisions.csv"

    def mark(self, student, name):
        decisions.save(table, {("ann", "5-your-experiment", "question"): Decision(4, 3)})
        return marked()

    monkeypatch.setattr(grade.Marker, "__call__", mark)
    grade.grade(**folders)
    assert decisions.read(table)["ann", "5-your-experiment", "question"].points == 3
    assert "3 of 4, by hand" in (tmp_path / "out/feedback/ann/5-your-experiment.html").read_text()
    with zipfile.ZipFile(tmp_path / "out/feedback/ann.zip") as pages:
        assert "5-your-experiment.html" in pages.namelist()
    with pytest.raises(ClassroomError, match="--only must name a folder"):
        grade.grade(**folders, only=["cid"])


def a_class(folder, *students):
    """Empty notebooks of exercise 5, and the arguments that mark them."""
    for student in students:
        (folder / "class" / student).mkdir(parents=True)
        (folder / "class" / student / "5-your-experiment.ipynb").write_text("{}")
    where = {"submissions": folder / "class", "out": folder / "out", "source": EXERCISES}
    return {**where, "isolated": False}


def test_a_decision_holds_under_both_names(tmp_path, monkeypatch):
    """Who marks without knowing whom gives the points back with the names."""
    monkeypatch.setattr(grade.Marker, "__call__", lambda self, student, name: marked())
    folders, table = a_class(tmp_path, "ann", "bob"), tmp_path / "out" / "decisions.csv"
    grade.grade(**folders)
    grade.grade(**folders, anonymous=True)
    names = {row["student"]: row["made up"] for row in rows(tmp_path / "out/names.csv")}
    assert set(names) == {"ann", "bob"} and len(set(names.values())) == 2
    found = {path.stem for path in (tmp_path / "out/feedback").iterdir()}
    assert found == set(names.values()) == {place[0] for place in decisions.read(table)}
    assert "ann" not in (tmp_path / "out" / "grades.csv").read_text()
    given = decisions.read(table)
    place = "5-your-experiment", "question"
    decisions.save(table, {**given, (names["ann"], *place): Decision(4, 3)})
    assert grade.grade(**folders) == []
    assert decisions.read(table)[("ann", *place)] == Decision(4, 3)
    assert {path.stem for path in (tmp_path / "out/feedback").iterdir()} == {"ann", "bob"}
    assert "by hand" in (tmp_path / "out/feedback/ann/5-your-experiment.html").read_text()
    found = [row["by hand"] for row in rows(tmp_path / "out/grades.csv") if row["student"] == "ann"]
    assert "3" in found


def test_points_for_nothing_are_told_and_points_above_all_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(grade.Marker, "__call__", lambda self, student, name: marked())
    folders, table = a_class(tmp_path, "ann"), tmp_path / "out" / "decisions.csv"
    place = "ann", "5-your-experiment"
    misspelled = {("anm", *place[1:], "question"): Decision(4, 3), (*place, "x"): Decision(9, 9)}
    decisions.save(table, misspelled)
    assert sorted(grade.grade(**folders)) == sorted(misspelled)
    assert {row["by hand"] for row in rows(tmp_path / "out/grades.csv")} == {"0"}
    for cell, given in (("question", Decision(9, 8)), ("", Decision(9, 4, "override"))):
        decisions.save(table, {(*place, cell): given})
        with pytest.raises(ClassroomError, match=r"must be a number from 0 to [34], got [48]"):
            grade.grade(**folders)


def test_what_systems_leave_is_no_student(tmp_path, monkeypatch):
    folders = a_class(tmp_path, ".ipynb_checkpoints", "__MACOSX", ".git")
    (tmp_path / "class" / "ann").mkdir()
    with pytest.raises(ClassroomError, match="got 6 exercises and 0 notebooks in 1 folders"):
        grade.grade(**folders)
    (tmp_path / "class" / "ann" / "._5-your-experiment.ipynb").write_text("{}")
    with pytest.raises(ClassroomError, match="0 notebooks"):
        grade.grade(**folders)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "options",
    ["--jobs 0", "--seconds -1", "--seconds nan", "--memory 1.5", "--due 30.11.2026"],
)
def test_numbers_that_mark_nothing_are_refused(options, capsys):
    with pytest.raises(SystemExit):
        main(["grade", *options.split()])
    assert f"argument {options.split()[0]}" in capsys.readouterr().err


def test_a_day_ends_at_midnight():
    due = {text: parser().parse_args(["grade", "--due", text]).due for text in DUE}
    assert due == DUE


DUE = {"2026-11-30": datetime(2026, 12, 1), "2026-11-30T18:00": datetime(2026, 11, 30, 18)}


def test_a_name_that_a_browser_made_is_told_with_the_right_one(tmp_path):
    (tmp_path / "ann").mkdir()
    (tmp_path / "ann" / "1-batch-norm (1).ipynb").write_text("{}")
    originals = {path.name: None for path in EXERCISES.glob("*.ipynb")}
    marker = records.Marker(tmp_path / "records", originals, None, {})
    (note,) = marker(tmp_path / "ann", "1-batch-norm (1).ipynb").notes
    assert "renamed to 1-batch-norm.ipynb" in note
