"""The program chooses threads for the machine; the choice of a user stays."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from datasets import bars, written

from d2l_bn.system import threads

CHECKOUT = Path(__file__).parents[2]
SCRIPT = Path(sys.executable).with_name("d2l-bn")
MPIEXEC = Path(sys.executable).with_name("mpiexec")
mpi = pytest.mark.skipif(not MPIEXEC.exists(), reason="mpiexec is not installed")
MODULE = [sys.executable, "-m", "d2l_bn"]
AT_ITS_END = """
import atexit, json, os
atexit.register(lambda: print(json.dumps(dict(os.environ))))
"""
one_core = pytest.mark.skipif(threads.cores() == 1, reason="one core")


@pytest.fixture
def chosen(tmp_path):
    """Run a command to its end, and return what its environment says about threads."""
    (tmp_path / "sitecustomize.py").write_text(AT_ITS_END)

    def run(*command, **variables):
        usual = {k: v for k, v in os.environ.items() if k not in threads.READ_BY_MXNET}
        environment = {**usual, "PYTHONPATH": f"{tmp_path}{os.pathsep}{CHECKOUT}", **variables}
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert "engine" not in done.stderr  # MXNet's own line
        left = json.loads(done.stdout.splitlines()[-1])
        return {name: left[name] for name in threads.READ_BY_MXNET if name in left}

    return run


@pytest.mark.slow
@one_core
@pytest.mark.parametrize("command", ["train", "evaluate", "predict"])
def test_the_program_chooses(chosen, command):
    assert chosen(*MODULE, command, "--unknown") == threads.CHOICE


@pytest.mark.slow
@one_core
@pytest.mark.skipif(not SCRIPT.exists(), reason="d2l-bn is not installed")
def test_the_program_chooses_under_its_own_name(chosen):
    assert chosen(str(SCRIPT), "predict", "--unknown") == threads.CHOICE


@pytest.mark.slow
@pytest.mark.parametrize("start", [[], pytest.param([str(MPIEXEC), "-n", "2"], marks=mpi)])
def test_a_program_of_somebody_else_with_a_command_train_is_left_alone(chosen, tmp_path, start):
    course = tmp_path / "course"
    course.mkdir()
    (course / "__init__.py").touch()
    (course / "__main__.py").write_text("import d2l_bn\nassert d2l_bn.BatchNorm(2, 2)\n")
    assert chosen(*start, sys.executable, "-m", "course", "train") == {}


@pytest.mark.slow
def test_about_chooses_nothing(chosen):
    assert chosen(*MODULE, "about", "--help") == {}


@pytest.mark.slow
@pytest.mark.parametrize("variable", ["OMP_NUM_THREADS", "MXNET_ENGINE_TYPE"])
def test_what_the_user_chose_stays(chosen, variable):
    value = {"OMP_NUM_THREADS": "1", "MXNET_ENGINE_TYPE": "NaiveEngine"}[variable]
    assert chosen(*MODULE, "predict", "--unknown", **{variable: value}) == {variable: value}


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
@one_core
@pytest.mark.parametrize("context", ["cpu(0)", "cpu(0),cpu(1)"])
def test_the_program_starts_and_trains_with_them(tmp_path, context):
    environment = {k: v for k, v in os.environ.items() if k not in threads.READ_BY_MXNET}
    data, out, histories = (
        written(bars(train=256, size=28), tmp_path / "bars"),
        tmp_path / "run",
        [],
    )
    command = [sys.executable, "-m", "d2l_bn", "train", "--data", str(data), "--epochs", "1"]
    command += ["--context", context, "--out", str(out), "--overwrite"]
    default_engine = {"OMP_NUM_THREADS": threads.CHOICE["OMP_NUM_THREADS"]}
    for variables in ({}, default_engine):
        done = subprocess.run(
            command, env={**environment, **variables}, check=True, capture_output=True, text=True
        )
        assert "engine" not in done.stderr  # MXNet's own line, at every start
        histories.append((out / "history.csv").read_text().split(",")[:11])
    assert histories[0] == histories[1]  # neither the chosen engine nor the threads change a bit
