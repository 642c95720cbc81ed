"""Each wrong solution is told its cause; right ones pass, whatever their style."""

from __future__ import annotations

import contextlib
import io
import warnings

import corpus
import numpy as np
import pytest
import right

from d2l_bn import BatchNorm, batch_norm, checks
from d2l_bn.checks import phrases

import mxnet as mx

STYLES = [(name, each) for name, group in right.RIGHT.items() for each in group]
STYLES += [("batch_norm", each) for each in right.FUNCTIONS]
STYLES += [("BatchNorm", each) for each in right.LAYERS]
STYLES += [("backward", each) for each in right.BACKWARD]


@pytest.mark.slow
@pytest.mark.parametrize("wrong", corpus.WRONG, ids=lambda wrong: f"{wrong.base}, {wrong.mistake}")
def test_a_wrong_solution_is_told_its_cause(wrong):
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore", UserWarning)  # Gluon's, on a parameter made once for all
        with pytest.raises(checks.CheckFailed) as caught:
            wrong.check()
    failed = caught.value
    assert failed.label == wrong.label, str(failed)
    lines = str(failed).splitlines()
    assert len(lines) <= 10 and max(map(len, lines)) <= 80, str(failed)


def test_the_corpus_is_large_and_most_of_its_labels_are_causes():
    labels = [wrong.label for wrong in corpus.WRONG]
    assert len(labels) > 370 and sum(label.startswith("left") for label in labels) < 10


def test_every_label_of_a_single_cause_has_a_sentence():
    for name in ("output", "average", "gradient", "alone", "said", "wrong", "raised"):
        table = phrases.table(name)
        assert table and all(table.values()), name
    assert phrases.table("wrong").keys() <= phrases.table("said").keys()


@pytest.mark.slow
@pytest.mark.parametrize("name, solution", STYLES, ids=lambda value: getattr(value, "__name__", ""))
def test_no_right_solution_is_refused(name, solution):
    corpus.CHECKS[name](solution)


@pytest.mark.parametrize("base", corpus.PLACES)
def test_the_unchanged_solutions_are_right(base):
    parts = ("parameters", "modes", "statistics", "independence", "contexts")  # it isn't saved
    check = corpus.CHECKS[corpus.PLACES[base][0]]
    check(corpus.solution(base), *(parts if base == "plain layer" else ()))


def test_the_library_passes_where_it_is_allowed():
    checks.batch_norm(batch_norm, allow_library=True)
    checks.layer(BatchNorm, allow_library=True)


def test_the_chapters_function_is_no_answer_to_its_siblings():
    plain = corpus.solution("batch_norm")
    for check, given in (
        (checks.channels_last, plain),
        (checks.any_axis, lambda *rest: plain(*rest[:-1])),
        (checks.masked, lambda X, mask, *rest: plain(X, *rest)),
    ):
        for part in ("training", "statistics", "prediction", "gradient"):
            with pytest.raises(checks.CheckFailed):
                check(given, part)


def test_a_part_is_checked_alone(capsys):
    checks.batch_norm(corpus.made("batch_norm", "keepdims missing"), "dense")
    assert capsys.readouterr().out == "dense input, training mode: right\n"


@pytest.mark.parametrize("check", [checks.batch_norm, checks.layer, checks.backward])
def test_unknown_part(check):
    with pytest.raises(ValueError, match=r"A part is one of .*; got 'dence'"):
        check(None, "dence")


def test_random_states_are_left_alone():
    def draw():
        return np.random.rand(), mx.nd.random.uniform().asscalar()

    def after(action):
        np.random.seed(3)
        mx.random.seed(3)
        action()
        return draw()

    def check_all():
        checks.batch_norm(right.with_moments)
        checks.layer(right.KeptAsParameters)
        checks.backward(right.in_one_line)

    assert after(check_all) == after(lambda: None)
