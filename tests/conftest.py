"""What all tests share: a seed for every generator, Hypothesis's effort, and what runs first."""

from __future__ import annotations

import fcntl
import os
import random

import hypothesis
import numpy as np
import pytest

# Several tests train at the same time, and two threads that wait by spinning would stop each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")

import d2l_bn  # noqa: F401  before mxnet

import mxnet as mx

# On a busy machine everything may be slow, and no test is about that.
hypothesis.settings.register_profile(
    "d2l_bn",
    deadline=None,
    max_examples=25,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.register_profile(
    "d2l_bn-ci", hypothesis.settings.get_profile("d2l_bn"), derandomize=True, print_blob=True
)
hypothesis.settings.load_profile("d2l_bn-ci" if os.environ.get("CI") else "d2l_bn")


def pytest_collection_modifyitems(items):
    """Let the longest tests start first, whatever the random order of all."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.fixture(scope="session")
def once(tmp_path_factory):
    """Make a folder for all of pytest's processes: ``once("book", make)`` calls make(folder)."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent

    def made(name, make):
        folder, done = shared / name, shared / f"{name}.done"
        with open(shared / f"{name}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not done.exists():
                folder.mkdir(exist_ok=True)
                make(folder)
                done.touch()
        return folder

    return made


@pytest.fixture(autouse=True)
def seed():
    """Start each test from the same random state, whichever tests ran before it."""
    random.seed(0)
    np.random.seed(0)
    mx.random.seed(0)
