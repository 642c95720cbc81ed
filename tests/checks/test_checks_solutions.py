"""Right solutions pass, whatever their style; each wrong one is caught with its own words."""

from __future__ import annotations

import contextlib
import io
import warnings

import correct
import numpy as np
import pytest
import wrong

from d2l_bn import BatchNorm, batch_norm, checks

import mxnet as mx

ALL = {
    (group, name): solution
    for group in ("OF_FUNCTION", "OF_LAYER", "OF_BACKWARD")
    for name, solution in getattr(wrong, group).items()
}


OF_BATCH_NORM = "dense", "images", "statistics", "prediction", "gradient", "precision", "shapes"
PARTS = {
    wrong.FUNCTION: OF_BATCH_NORM,
    wrong.LAYER: ("parameters", "modes", "statistics", "independence", "contexts", "saving"),
    wrong.BACKWARD: ("beta", "gamma", "input"),
}
PARTS[wrong.PLAIN] = PARTS[wrong.LAYER]


@pytest.mark.slow
@pytest.mark.parametrize("solution", list(ALL.values()), ids=["/".join(k) for k in ALL])
def test_wrong_solution_is_caught_and_told_its_cause(solution):
    printed = io.StringIO()
    with warnings.catch_warnings(), contextlib.redirect_stdout(printed):
        warnings.simplefilter("ignore", UserWarning)  # Gluon's, on a parameter made once for all
        with pytest.raises(checks.CheckFailed) as caught:
            solution.check()
    failed = caught.value
    assert solution.cause in failed.cause, str(failed)
    # What is checked before is right, so the student is told of this mistake and of no other.
    assert len(printed.getvalue().splitlines()) == PARTS[solution.right].index(solution.part)
    words = " ".join(str(failed).split())
    assert words.lower().startswith(f"{failed.part}: ".lower())
    assert " ".join(failed.property.split()) in words
    assert f"Likely cause: {failed.cause}" in words
    assert max(map(len, str(failed).splitlines())) <= 100, str(failed)


@pytest.mark.parametrize(
    "group, least", [("OF_FUNCTION", 40), ("OF_LAYER", 15), ("OF_BACKWARD", 20)]
)
def test_each_mistake_has_its_own_message(group, least):
    """That a check gives each of these words is held above."""
    causes = [solution.cause for solution in getattr(wrong, group).values()]
    assert len({*causes}) == len(causes) >= least


def test_the_changed_solutions_are_right_unchanged():
    checks.batch_norm(wrong.run(wrong.FUNCTION, "batch_norm"))
    checks.layer(wrong.run(wrong.LAYER, "BatchNorm"))
    checks.backward(wrong.run(wrong.BACKWARD, "backward"))
    every_part_but_saving = PARTS[wrong.PLAIN][:-1]
    checks.layer(wrong.run(wrong.PLAIN, "BatchNorm"), *every_part_but_saving)


def test_the_library_passes_where_it_is_allowed():
    checks.batch_norm(batch_norm, allow_library=True)
    checks.layer(BatchNorm, allow_library=True)


@pytest.mark.parametrize("function", correct.FUNCTIONS, ids=lambda f: f.__name__)
def test_right_function(function, capsys):
    assert checks.batch_norm(function) is None
    lines = [line for line in capsys.readouterr().out.splitlines() if line.endswith(": right")]
    assert len(lines) == 7 and lines[0] == "dense input, training mode: right"


@pytest.mark.parametrize("layer", correct.LAYERS, ids=lambda c: c.__name__)
def test_right_layer(layer):
    checks.layer(layer)


@pytest.mark.parametrize("function", correct.BACKWARD, ids=lambda f: f.__name__)
def test_right_gradient(function):
    checks.backward(function)


def test_a_part_is_checked_alone(capsys):
    only_dense = ALL["OF_FUNCTION", "keepdims missing"].candidate()
    checks.batch_norm(only_dense, "dense")
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
        checks.batch_norm(correct.with_moments)
        checks.layer(correct.KeptAsParameters)
        checks.backward(correct.in_one_line)

    assert after(check_all) == after(lambda: None)
