"""What the tests of marking share."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory):
    """The sandbox that students' code runs in, made once."""
    from classroom import isolation  # which not every environment can import

    return isolation.sandbox(tmp_path_factory.mktemp("sandbox"))
