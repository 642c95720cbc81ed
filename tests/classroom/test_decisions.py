"""What a teacher decides goes into the tables and the pages, and is never lost."""

from __future__ import annotations

import json
import os
import zipfile
from datetime import datetime

import pytest
from submissions import rows

pytest.importorskip("nbgrader", reason="nbgrader is not installed: the extra `classroom`")

from classroom import EXERCISES, ClassroomError, collected, decisions, feedback, grade, tables
from classroom.__main__ import main, parser
from classroom.collected import Student
from classroom.decisions import Decision
from classroom.feedback import Result
from classroom.marking import Marked
from classroom.reader import bare, typeset
from classroom.release import STUB
from classroom.submission import Cell

PLACE = "ann", "5-your-experiment", "question"


def marked():
    """One test, one written answer, and code that is marked by hand."""
    return Marked(
        cells=[
            Cell("dense-output", "test", "check", points=2, maximum=3, message="too small"),
            Cell("question", "written", "Since <b>.", maximum=4),
            Cell("figure", "student", "draw()", output="said <i>"),
            Cell("figure", "written", "", maximum=5),
        ]
    )


def result(own=None, student="ann", **options):
    return Result(student, "5-your-experiment", marked(), own or {}, **options)


def lines(student):
    """The lines of a table for what `marked` gives."""
    own = grade._to_decide(marked()).items()
    return {(student, "5-your-experiment", cell): decision for cell, decision in own}


def test_every_submission_and_written_answer_has_a_line(tmp_path):
    now = lines("ann")
    decisions.save(tmp_path / "decisions.csv", now)
    assert (tmp_path / "decisions.csv").read_text(encoding="utf-8-sig") == (
        "student,exercise,cell,maximum,points,decision,late,comment\n"
        "ann,5-your-experiment,,3,,,,\n"
        "ann,5-your-experiment,figure,5,,,,\n"
        "ann,5-your-experiment,question,4,,,,\n"
    )
    assert decisions.read(tmp_path / "decisions.csv") == now
    assert list(grade._to_decide(Marked("look at by hand", ["no notebook"]))) == [""]


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
    path, label = tmp_path / "decisions.csv", collected.label(student)
    decisions.save(path, lines(label))
    text = path.read_text().replace("question,4,,", "question,4,3,")
    assert text[0] == "\ufeff" and not text.splitlines()[1].startswith("=")
    path.write_text(text)
    name, given = "5-your-experiment.ipynb", decisions.read(path)
    found = grade._result(label, name, marked(), given, None, Student(label))
    assert found.decisions["question"] == Decision(4, 3)


def test_two_students_never_share_a_line(tmp_path):
    names = ["=x", "'=x", "caf\udce9", "caf\udcea", "caf?", "ann", "ann ", "a" * 255, "b" * 255]
    names += [collected.label("=x"), "ann.zip", "a\x1bn", "a?n"]  # as if somebody knew it
    assert grade.exercise("=x.ipynb") == names[-4]  # which a spreadsheet doesn't compute
    for name in names:
        (tmp_path / name).mkdir()
        (tmp_path / name / "5.ipynb").touch()
    found = collected.students(tmp_path, {"5.ipynb"})
    labels = {student.label for student in found}
    assert len(labels) == len({label.strip() for label in labels}) == len(names)
    assert {len(student.files) for student in found} == {1} and "ann" in labels
    places = {collected.file_name(label) for label in labels}
    assert places.isdisjoint(f"{place}.zip" for place in places) and "\x1b" not in "".join(labels)
    assert len(places) == len(names) and max(len(os.fsencode(place)) for place in places) < 240


LAYOUTS = {  # a file, whose it is, and the number by which a system knows the student
    "ann/5.ipynb": ("ann", "", ""),
    "ann2/5 (1).ipynb": ("ann2", "", ""),
    "submitted-by/week 5/5.ipynb": ("submitted-by", "", ""),  # nbgrader
    "Ann Lee_123_assignsubmission_file_/5.ipynb": ("Ann Lee_123", "", "123"),
    "Bob Lee_124_assignsubmission_file/5.ipynb": ("Bob Lee_124", "", "124"),
    "Cy Lee_125_assignsubmission_file_5.ipynb": ("Cy Lee_125", "", "125"),
    "van_lee_79_903_5.ipynb": ("van_lee_79", "79", ""),
    "leeann_77_901_5.ipynb": ("leeann_77", "77", ""),
    "leebob_LATE_78_902_5-2.ipynb": ("leebob_78", "78", ""),
}


def test_folders_are_read_as_systems_deliver_them(tmp_path):
    beside = "Ann Lee_123_assignsubmission_onlinetext/onlinetext.html"  # no student of its own
    twice = "Cy Lee_125_assignsubmission_file_x_124_assignsubmission_file_5.ipynb"  # whose is it?
    for path in (*LAYOUTS, "notes.ipynb", ".hidden/5.ipynb", beside, twice):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    found = {s.label: (s.canvas, s.moodle) for s in collected.students(tmp_path, {"5.ipynb"})}
    assert found == {label: tuple(numbers) for label, *numbers in LAYOUTS.values()}
    for student in collected.students(tmp_path, {"5.ipynb"}):
        (path,) = student.files["5.ipynb"]
        assert LAYOUTS[path.relative_to(tmp_path).as_posix()][0] == student.label
    assert {path.name for path, _ in collected.unread(tmp_path)} == {"notes.ipynb", twice}
    os.utime(tmp_path / "ann" / "5.ipynb", (0, 0))
    (tmp_path / "ann" / "5-1.ipynb").touch()
    ann = next(s for s in collected.students(tmp_path, {"5.ipynb"}) if s.label == "ann")
    assert ann.last("5.ipynb").name == "5-1.ipynb"


def test_who_is_late_is_told_by_the_file_or_by_the_teacher(tmp_path):
    file = tmp_path / "5-your-experiment.ipynb"
    file.write_text("")
    student, due = Student("ann", {file.name: [file]}), datetime(2026, 11, 30, 18)
    for hours, days in ((-1, 0), (0, 0), (1, 1), (25, 2)):
        os.utime(file, (0, due.timestamp() + 3600 * hours))
        assert grade._result("ann", file.name, marked(), {}, due, student).days_late == days
    own = {("ann", "5-your-experiment", ""): Decision(3, late=0)}
    assert grade._result("ann", file.name, marked(), own, due, student).days_late == 0


DONE = {"question": Decision(4, 4), "figure": Decision(5, 0)}


def test_what_waits_stays_empty_in_every_export(tmp_path):
    """An early import would publish zeros."""
    absent = Marked("not handed in", [], marked().cells)
    looked_at = Marked("look at by hand", ["it ended the process"], marked().cells[:1])
    own = {**DONE, "": Decision(3, comment="well done")}
    results = [
        result(own, origin=Student("ann", canvas="7", moodle="8")),
        result({"question": Decision(4, 4)}, student="bob"),  # the figure waits
        Result("cid", "5-your-experiment", absent, {}),
        Result("dan", "5-your-experiment", looked_at, {}),
        Result("eve", "5-your-experiment", looked_at, {"": Decision(3, decision="clear")}),
        result({"": Decision(3, 1, "override")}, student="fay"),  # her answers wait
    ]
    results += [Result(student, "6-later", absent, {}) for student in ("ann", "bob")]
    tables.write_all(tmp_path, results, {})
    most, *found = rows(tmp_path / "canvas.csv")
    assert [row["5-your-experiment"] for row in found] == ["6", "", "", "", "2", ""]
    assert most["Student"].strip() == "Points Possible" and most["5-your-experiment"] == "12"
    assert [(row["ID"], row["SIS Login ID"]) for row in found][:2] == [("7", ""), ("", "bob")]
    assert "6-later" not in most and "6-later" not in (tmp_path / "grades.csv").read_text()
    found = rows(tmp_path / "moodle.csv")
    assert [row["5-your-experiment"] for row in found] == ["6", "-", "-", "-", "2", "-"]
    assert found[0]["5-your-experiment feedback"] == "well done"
    (sheet,) = rows(tmp_path / "moodle-5-your-experiment.csv")
    assert (sheet["Identifier"], sheet["Grade"]) == ("Participant 8", "6")
    scope = {p.parent.name: json.loads(p.read_text()) for p in tmp_path.glob("gradescope/*/*.json")}
    scores = {student: each.get("score") for student, each in scope.items()}
    assert scores == {"ann": 6, "bob": None, "eve": 2, "fay": None}  # bob's tests have theirs
    assert [(test["score"], test["max_score"]) for test in scope["fay"]["tests"]] == [(1, 3)]
    words = {"name": "5-your-experiment: dense-output", "output": "too small"}
    assert scope["ann"]["tests"] == [{**words, "score": 2, "max_score": 3}]
    assert "ended the process" in scope["eve"]["output"]
    own = {"": Decision(3, 1, "override", comment="in words")}
    assert Result("bob", "6-later", absent, own).counts


def test_the_page_shows_what_the_notebook_shows():
    """Figures as pictures, in which nothing can run, and formulas typeset without a network."""
    pytest.importorskip("latex2mathml", reason="latex2mathml is not installed: the extra classroom")
    words = r"Since $\bar x < \text{<script>}$ and $\href{javascript:x}{y}$, $$\begin{aligned}"
    words += r"a &= b \\ c &= d\end{aligned}$$ it costs 5$, <b>no</b> more."
    shown = [["", "0.93 <i>"], ["image/png", "aGVsbG8="]]
    cells = [
        Cell("", "text", words, more={"parts": typeset(words), "shown": []}),
        Cell("figure", "student", "draw()", more={"shown": shown}),
        Cell("figure", "written", "", maximum=5),
    ]
    page = feedback.page(Result("ann", "5-your-experiment", Marked(cells=cells), {}))
    assert '<img alt="an output of your cell" src="data:image/png;base64,aGVsbG8=">' in page
    assert "0.93 &lt;i&gt;" in page and "&lt;b&gt;no&lt;/b&gt;" in page
    assert page.count("<math") == 3 and page.count("<mtr>") == 2 and "a text that you added" in page
    assert "<script" not in page and "javascript:" not in page
    tested = [*cells, Cell("t", "test", "checks.f(g)", maximum=1)]
    assert "<img" not in feedback.page(Result("ann", "1", Marked(cells=tested), {}))


def test_a_test_without_points_is_right_where_it_measured():
    slow, fast = Cell("league", "test", "x"), Cell("league", "test", "x", seconds=0.1)
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


def answering(student, *sources):
    cells = [Cell(f"c{n}", "student", s, more={"bare": bare(s)}) for n, s in enumerate(sources)]
    return Result(student, "1", Marked(cells=cells), {})


def odd(name, by):
    """Code as nobody else writes it."""
    steps = "\n".join(f"    {name}{n} = X[{n % by}:].mean() + {n * by} * gamma" for n in range(9))
    return f"def f(X, gamma):\n{steps}\n    return {name}1"


def alike(tmp_path, results, originals=None):
    tables.alike(tmp_path / "alike.csv", results, originals or {})
    found = rows(tmp_path / "alike.csv")
    return [(row["student"], row["other student"], row["answers alike"]) for row in found]


def test_copied_work_is_listed_whatever_its_names(tmp_path):
    other = odd("step", 3).replace("gamma", "scale").replace("step", "value").replace("(X", "(Z")
    other = other.replace("X[", "Z[").replace("):\n", '):\n    "Mine."  # my own\n', 1)
    results = [answering("a", odd("step", 3)), answering("b", other), answering("c", odd("x", 5))]
    results += [answering("d", "x = 1"), answering("e", "x = 1")]
    assert alike(tmp_path, results) == [("a", "b", "1")]


def test_what_is_alike_in_more_answers_comes_first(tmp_path):
    results = [answering("z", odd("x", 3)), *(answering(s, odd("x", 3), odd("y", 4)) for s in "ab")]
    results += [answering(f"more{n}", odd("x", 6 + n)) for n in range(9)]
    assert alike(tmp_path, results) == [("a", "b", "2"), ("z", "a", "1"), ("z", "b", "1")]


def test_what_is_alike_by_nature_is_not_listed(tmp_path):
    """Nor what the exercise shows, its solution, an untouched cell, or what many have."""
    import nbformat

    original = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(odd("given", 7))])
    shown = [answering(s, odd("given", 7), f"{odd('mine', 5)}\n{STUB}") for s in "ab"]
    assert alike(tmp_path, shown, {"1.ipynb": original}) == []
    many = [answering(f"s{n}", odd("x", 3)) for n in range(12)]
    assert alike(tmp_path, many) == []


def test_the_league_has_what_is_right_the_fastest_first(tmp_path):
    def fast(student, seconds, points):
        cell = Cell("league", "test", "", points=points, maximum=0, seconds=seconds)
        return Result(student, "6", Marked(cells=[cell]), {})

    tables.league(tmp_path / "league.csv", [fast("a", 0.2, 0), fast("b", 0.1, 0)])
    assert [row["student"] for row in rows(tmp_path / "league.csv")] == ["b", "a"]


def test_what_a_teacher_writes_during_a_run_is_kept(tmp_path, monkeypatch):
    """The table is read when the work is done, however long that took."""
    folders = a_class(tmp_path, "ann")
    table = tmp_path / "out" / "decisions.csv"

    def mark(self, student, name, path, alone):
        decisions.save(table, {("ann", "5-your-experiment", "question"): Decision(4, 3)})
        return marked()

    monkeypatch.setattr(grade.Marker, "__call__", mark)
    grade.grade(**folders)
    assert decisions.read(table)["ann", "5-your-experiment", "question"].points == 3
    assert "3 of 4, by hand" in (tmp_path / "out/feedback/ann/5-your-experiment.html").read_text()
    with zipfile.ZipFile(tmp_path / "out/feedback/ann.zip") as pages:
        assert "5-your-experiment.html" in pages.namelist()
    with pytest.raises(ClassroomError, match="--only must name a student"):
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
    monkeypatch.setattr(grade.Marker, "__call__", lambda self, *given: marked())
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
    monkeypatch.setattr(grade.Marker, "__call__", lambda self, *given: marked())
    folders, table = a_class(tmp_path, "ann"), tmp_path / "out" / "decisions.csv"
    place = "ann", "5-your-experiment"
    misspelled = {("anm", *place[1:], "question"): Decision(4, 3), (*place, "x"): Decision(9, 9)}
    decisions.save(table, misspelled)
    assert sorted(grade.grade(**folders)) == sorted(misspelled)
    assert {row["by hand"] for row in rows(tmp_path / "out/grades.csv")} == {"0"}
    for cell, given in (("question", Decision(9, 8)), ("", Decision(9, 4, "override"))):
        decisions.save(table, {(*place, cell): given})
        with pytest.raises(ClassroomError, match=r"must be from 0 to [34], got [48]"):
            grade.grade(**folders)


def test_what_systems_leave_is_no_student(tmp_path, monkeypatch):
    folders = a_class(tmp_path, ".ipynb_checkpoints", "__MACOSX", ".git")
    (tmp_path / "class" / "ann").mkdir()
    with pytest.raises(ClassroomError, match="got 6 exercises and 0 notebooks of 1 students"):
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
    due = [parser().parse_args(["grade", "--due", f"2026-11-30{at}"]).due for at in ("", "T18:00")]
    assert due == [datetime(2026, 12, 1), datetime(2026, 11, 30, 18)]
