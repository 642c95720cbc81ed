"""What the tests of marking share."""

from __future__ import annotations

import shutil

import pytest
import submissions

from classroom import EXERCISES


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


@pytest.fixture(scope="session")
def released(once):
    """The students' folder."""
    from classroom.release import release

    return once("release", lambda folder: release(EXERCISES, folder))


@pytest.fixture
def classroom(tmp_path, released, reached):
    """The students' notebooks, the first exercise alone, and room for submissions."""
    for name in ("source", "class", "out"):
        (tmp_path / name).mkdir()
    (tmp_path / "release").symlink_to(released)
    shutil.copy(EXERCISES / submissions.NAME, tmp_path / "source")
    (tmp_path / "out" / "sandbox").symlink_to(reached)
    return tmp_path
