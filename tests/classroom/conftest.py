"""What the tests of marking share."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def reached(once):
    """The folder with what a sandbox shows, made once."""
    from classroom import reach  # which not every environment can import

    return once("reach", reach.prepare)


@pytest.fixture(scope="session")
def sandbox(reached):
    """The sandbox that students' code runs in, tried once."""
    from classroom import isolation

    return isolation.sandbox(reached)
