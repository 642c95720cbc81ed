"""Mistakes that the checks had not met: most are named now, and no right solution is refused."""

from __future__ import annotations

import pytest
import unseen

from d2l_bn import checks

CHECKS = {
    "channels_last": checks.channels_last,
    "any_axis": checks.any_axis,
    "masked": checks.masked,
    "BatchNorm": checks.layer,
    "Corrected": checks.corrected,
    "backward": checks.backward,
}
RIGHT = [(name, each) for name, group in unseen.RIGHT.items() for each in group]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Parameter .* is already initialized")
@pytest.mark.parametrize(
    "wrong", [*unseen.WRONG, *unseen.MET], ids=lambda wrong: f"{wrong.name}, {wrong.mistake}"
)
def test_the_cause_of_a_mistake_is_named(wrong):
    with pytest.raises(checks.CheckFailed) as failed:
        CHECKS[wrong.name](unseen.solution(wrong.name, *wrong.edits))
    assert failed.value.cause.startswith(wrong.cause), str(failed.value)


def test_every_cause_is_named():
    assert all(wrong.cause for wrong in unseen.WRONG) and len(unseen.WRONG) > 320


@pytest.mark.slow
@pytest.mark.parametrize("name, right", RIGHT, ids=lambda value: getattr(value, "__name__", ""))
def test_no_right_solution_is_refused(name, right):
    CHECKS[name](right)
