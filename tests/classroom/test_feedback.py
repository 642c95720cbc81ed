"""Points that a teacher gives by hand go into the table and the pages, and are never lost."""

from __future__ import annotations

import csv

import pytest

pytest.importorskip("nbgrader", reason="nbgrader is not installed: the extra `classroom`")

from classroom import EXERCISES, ClassroomError, feedback, grade, hand_marks
from classroom.hand_marks import HandMark
from classroom.marking import Marked, Outcome

PLACE = "ann", "5-your-experiment", "question"


def marked():
    """One test, one written answer, and code that is marked by hand."""
    return Marked(
        cells=[
            Outcome("dense-output", "test", "check", points=2, maximum=3, message="too small"),
            Outcome("question", "written", "Since <b>.", maximum=4),
            Outcome("figure", "student", "draw()"),
            Outcome("figure", "written", "", maximum=5),
        ]
    )


def test_what_waits_is_a_table_to_fill_in(tmp_path):
    waiting = grade._waiting([("ann", "5-your-experiment.ipynb", marked())])
    hand_marks.save(tmp_path / "by_hand.csv", waiting)
    assert (tmp_path / "by_hand.csv").read_text() == (
        "student,exercise,cell,maximum,points,comment\n"
        "ann,5-your-experiment,figure,5,,\n"
        "ann,5-your-experiment,question,4,,\n"
    )
    assert hand_marks.read(tmp_path / "by_hand.csv") == waiting


def test_nothing_waits_where_nothing_was_handed_in():
    assert grade._waiting([("ann", "x.ipynb", Marked("not handed in", [], marked().cells))]) == {}


def test_points_and_comments_come_back(tmp_path):
    marks = {PLACE: HandMark(4, 3.5, 'say "why",\nthen')}
    hand_marks.save(tmp_path / "by_hand.csv", marks)
    assert hand_marks.read(tmp_path / "by_hand.csv") == marks


@pytest.mark.parametrize("points", ["5", "-1", "nan", "3,5", "x"])
def test_wrong_points_are_named(tmp_path, points):
    path = tmp_path / "by_hand.csv"
    path.write_text(f'{",".join(hand_marks.COLUMNS)}\nann,5,question,4,"{points}",\n')
    with pytest.raises(ClassroomError, match=r"line 2: points must be a number from 0 to 4"):
        hand_marks.read(path)


def test_a_table_with_other_columns_is_refused(tmp_path):
    (tmp_path / "by_hand.csv").write_text("student;exercise;cell;maximum;points;comment\n")
    with pytest.raises(ClassroomError, match="with commas between them"):
        hand_marks.read(tmp_path / "by_hand.csv")


def test_a_table_that_a_spreadsheet_saved_is_read(tmp_path):
    path = tmp_path / "by_hand.csv"
    path.write_bytes(
        b"\xef\xbb\xbfstudent,exercise,cell,maximum,points,comment\r\nann,5,question,4,2,\r\n"
    )
    assert hand_marks.read(path) == {("ann", "5", "question"): HandMark(4, 2)}


def test_the_page_tells_what_was_given_and_what_waits():
    before = feedback.page("ann", marked(), {})
    assert "<b>2 of 3 points</b> for what is tested." in before and "9 more" in before
    after = feedback.page("ann", marked(), {"question": HandMark(4, 3.5, "say <why>")})
    assert "<b>3.5 points</b> by hand." in after and "5 more" in after
    assert "3.5 of 4, by hand" in after and "say &lt;why&gt;" in after and "<b>.</b>" not in after


def test_code_that_is_marked_by_hand_is_shown_once():
    page = feedback.page("ann", marked(), {})
    assert page.count("figure") == 1 and "draw()" in page and "5 points, by hand" in page


def test_without_tests_no_sum_of_tests_is_shown():
    page = feedback.page("ann", Marked(cells=marked().cells[1:]), {})
    assert "0 of 0" not in page and "9 more are given by hand" in page


def test_the_table_has_both_kinds_of_points(tmp_path):
    rows = [("ann", "5-your-experiment.ipynb", marked())]
    grade._write_table(tmp_path / "grades.csv", rows, {PLACE: HandMark(4, 3.5)})
    with (tmp_path / "grades.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    numbers = [row[name] for name in ("points", "possible", "by hand", "waiting")]
    assert numbers == ["2", "3", "3.5", "5"]


def test_what_is_filled_in_stays_and_what_waits_is_renewed():
    gone, waits, done = ("bob", "5", "old"), ("ann", "5", "figure"), PLACE
    given = {gone: HandMark(2, None, "see me"), waits: HandMark(4), done: HandMark(4, 3)}
    now = {waits: HandMark(5), done: HandMark(5)}
    assert hand_marks.merged(now, given) == {
        gone: HandMark(2, None, "see me"),
        waits: HandMark(5),
        done: HandMark(5, 3),
    }
    assert hand_marks.merged({}, {waits: HandMark(4)}) == {}


@pytest.mark.parametrize("student", ["=1+1", "caf\udce9", "a,b"])
def test_odd_names_find_their_marks_again(tmp_path, student):
    result = student, "5-your-experiment.ipynb", marked()
    hand_marks.save(tmp_path / "by_hand.csv", grade._waiting([result]))
    text = (tmp_path / "by_hand.csv").read_text().replace("question,4,,", "question,4,3,")
    assert not text.splitlines()[1].startswith("=")
    (tmp_path / "by_hand.csv").write_text(text)
    own = grade._own(*result[:2], hand_marks.read(tmp_path / "by_hand.csv"))
    assert own["question"] == HandMark(4, 3)


def test_what_a_teacher_writes_during_a_run_is_kept(tmp_path, monkeypatch):
    """The table is read when the work is done, however long that took."""
    (tmp_path / "class" / "ann").mkdir(parents=True)
    table = tmp_path / "out" / "by_hand.csv"

    def mark(self, student, name):
        hand_marks.save(table, {("ann", "5-your-experiment", "question"): HandMark(4, 3)})
        return marked()

    monkeypatch.setattr(grade.Marker, "__call__", mark)
    folders = {"out": tmp_path / "out", "source": EXERCISES}
    grade.grade(tmp_path / "class", isolated=False, **folders)
    assert hand_marks.read(table)["ann", "5-your-experiment", "question"].points == 3
    assert "3 of 4, by hand" in (tmp_path / "out/feedback/ann/5-your-experiment.html").read_text()
