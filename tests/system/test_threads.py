"""The program chooses threads for the machine; the choice of a user stays."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from datasets import bars, written

from d2l_bn.system import threads

REPORT = """
import json, os, sys
from d2l_bn.system import threads
threads.choose()
from mxnet import nd
nd.ones(4).asnumpy()  # MXNet works after the new start
print(json.dumps({name: os.environ.get(name) for name in threads.READ_BY_MXNET}))
"""


def report(**variables):
    """The variables in a new process that has let the program choose."""
    environment = {k: v for k, v in os.environ.items() if k not in threads.READ_BY_MXNET}
    command = [sys.executable, "-c", REPORT]
    done = subprocess.run(
        command, env={**environment, **variables}, capture_output=True, text=True, check=True
    )
    return {name: value for name, value in json.loads(done.stdout).items() if value is not None}


needs_orig_argv = pytest.mark.skipif(
    not hasattr(sys, "orig_argv"), reason="before Python 3.10, only `-m d2l_bn` starts anew"
)


@needs_orig_argv
@pytest.mark.skipif(threads.cores() == 1, reason="one core")
def test_the_program_chooses():
    assert report() == threads.CHOICE


@pytest.mark.parametrize("variable", ["OMP_NUM_THREADS", "MXNET_ENGINE_TYPE"])
def test_what_the_user_chose_stays(variable):
    value = {"OMP_NUM_THREADS": "1", "MXNET_ENGINE_TYPE": "NaiveEngine"}[variable]
    assert report(**{variable: value}) == {variable: value}


def test_it_says_who_has_chosen(monkeypatch):
    for name in threads.READ_BY_MXNET:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(threads, "cores", lambda: 2)
    assert "OMP_NUM_THREADS=2" in threads.describe() and "by the program" in threads.describe()
    monkeypatch.setattr(threads, "cores", lambda: 1)
    assert threads.describe().startswith("1,")
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert threads.describe() == "OMP_NUM_THREADS=7, from the environment"


@pytest.mark.slow
@pytest.mark.parametrize("context", ["cpu(0)", "cpu(0),cpu(1)"])
def test_the_program_starts_and_trains_with_them(tmp_path, context):
    environment = {k: v for k, v in os.environ.items() if k not in threads.READ_BY_MXNET}
    data, out, histories = (
        written(bars(train=1024, size=28), tmp_path / "bars"),
        tmp_path / "run",
        [],
    )
    command = [sys.executable, "-m", "d2l_bn", "train", "--data", str(data), "--epochs", "1"]
    command += ["--context", context, "--out", str(out), "--overwrite"]
    default_engine = {"OMP_NUM_THREADS": threads.CHOICE["OMP_NUM_THREADS"]}
    for variables in ({}, threads.CHOICE, default_engine):
        done = subprocess.run(
            command, env={**environment, **variables}, check=True, capture_output=True, text=True
        )
        assert "engine" not in done.stderr  # MXNet's own line, at every start
        histories.append((out / "history.csv").read_text().split(",")[:11])
    assert threads.cores() == 1 or histories[0] == histories[1]
    assert histories[1] == histories[2]  # the engine changes no bit
