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
from d2l_bn.system.errors import InputError

CHECKOUT = Path(__file__).parents[2]
SCRIPT = Path(sys.executable).with_name("d2l-bn")
MPIEXEC = Path(sys.executable).with_name("mpiexec")
mpi = pytest.mark.skipif(not MPIEXEC.exists(), reason="mpiexec is not installed")
MODULE = [sys.executable, "-m", "d2l_bn"]
AT_ITS_END = """
import atexit, json, os
atexit.register(lambda: print(json.dumps(dict(os.environ))))
"""
PROGRAM = {"MXNET_ENGINE_TYPE": "NaiveEngine", "OMP_NUM_THREADS": "2", **threads.WAITING}
one_core = pytest.mark.skipif(threads.cores() == 1, reason="one core")


@pytest.fixture
def chosen(tmp_path):
    """Run a command to its end, and return what its environment says about threads."""
    (tmp_path / "sitecustomize.py").write_text(AT_ITS_END)

    def run(*command, read=threads.READ_BY_MXNET, **variables):
        usual = {k: v for k, v in os.environ.items() if k not in threads.READ_BY_MXNET}
        environment = {**usual, "PYTHONPATH": f"{tmp_path}{os.pathsep}{CHECKOUT}", **variables}
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert "engine" not in done.stderr  # MXNet's own line
        left = json.loads(done.stdout.splitlines()[-1])
        return {name: left[name] for name in read if name in left}

    return run


@pytest.mark.slow
@one_core
@pytest.mark.parametrize("command", ["train", "evaluate", "predict"])
def test_the_program_chooses(chosen, command):
    assert chosen(*MODULE, command, "--unknown") == PROGRAM


@pytest.mark.slow
@one_core
@pytest.mark.skipif(not SCRIPT.exists(), reason="d2l-bn is not installed")
def test_the_program_chooses_under_its_own_name(chosen):
    assert chosen(str(SCRIPT), "predict", "--unknown") == PROGRAM


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
def test_what_mxnet_reads_besides_is_left_out(chosen):
    """With the first three MXNet computes NaN; two end in tracebacks, one aborts, one waits."""
    names = "OMP_DYNAMIC OMP_THREAD_LIMIT OMP_MAX_ACTIVE_LEVELS"
    names += " MXNET_UPDATE_ON_KVSTORE TQDM_FILE OPENCV_TRACE DMLC_ROLE"
    others = dict.fromkeys(names.split(), "abc")
    assert chosen(*MODULE, "train", "--help", read=others, **others) == {}


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A machine of 64 processors on which no variable is set, and its control group."""
    for name in threads.READ_BY_MXNET:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(threads, "GROUP", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(64)), raising=False)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OMP_NUM_THREADS", "3"),
        ("MXNET_ENGINE_TYPE", "ThreadedEngine"),
        ("GOMP_SPINCOUNT", "7"),
        ("OMP_WAIT_POLICY", "passive"),
    ],
)
def test_a_users_variable_changes_that_one_thing(machine, monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    one_thing = threads.WAITING if name in threads.WAITING else {name}
    assert threads.choice() == {key: v for key, v in PROGRAM.items() if key not in one_thing}
    ours, users = threads.describe().split("; ")
    assert users == f"{name}={value}, from the environment"
    assert ours.endswith("chosen by the program") and name not in ours


BAD = "abc", "2,1", "0", "", "٣", "100000"


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        *(("OMP_NUM_THREADS", value, "one whole number") for value in BAD),
        ("MXNET_OMP_MAX_THREADS", "abc", "one whole number"),
        ("MXNET_ENGINE_TYPE", "abc", "one of NaiveEngine"),
    ],
)
def test_what_mxnet_would_abort_on_is_refused(machine, monkeypatch, name, value, rule):
    monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match=f"{name} must be {rule}.*got '{value}'.*unset it"):
        threads.choice()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "variables", "code"),
    [
        ("about", {"OMP_NUM_THREADS": "2,1"}, 2),
        ("train", {"OMP_NUM_THREADS": "2,1"}, 2),
        ("train", {"PMI_RANK": "²", "PMI_SIZE": "2"}, 1),
    ],
)
def test_the_program_refuses_it_in_one_line(command, variables, code):
    environment = {**os.environ, **variables}
    done = subprocess.run([*MODULE, command], env=environment, capture_output=True, text=True)
    value = repr(next(iter(variables.values())))
    assert done.returncode == code and done.stderr.count("\n") == 1 and value in done.stderr


@pytest.mark.parametrize(
    ("file", "quota", "cores"),
    [
        ("cpu.max", "max 100000", 64),
        ("cpu.max", "50000 100000", 1),
        ("cpu.max", "250000 100000", 2),
        ("cpu/cpu.cfs_quota_us", "150000", 1),
        ("cpu/cpu.cfs_quota_us", "-1", 64),
    ],
)
def test_a_quota_counts_as_so_many_cores(machine, file, quota, cores):
    (machine / "cpu").mkdir()
    (machine / file).write_text(f"{quota}\n")
    (machine / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert threads.cores() == cores
    assert threads.choice()["OMP_NUM_THREADS"] == str(min(cores, 2))
    assert threads.choice(1)["OMP_NUM_THREADS"] == "1"


@pytest.mark.slow
@one_core
@pytest.mark.parametrize("context", ["cpu(0)", "cpu(0),cpu(1)"])
def test_the_program_starts_and_trains_with_them(tmp_path, context):
    environment = {k: v for k, v in os.environ.items() if k not in threads.READ_BY_MXNET}
    data, out = written(bars(train=256, size=28), tmp_path / "bars"), tmp_path / "run"
    histories = []
    command = [sys.executable, "-m", "d2l_bn", "train", "--data", str(data), "--epochs", "1"]
    command += ["--context", context, "--out", str(out), "--overwrite"]
    otherwise = {"MXNET_ENGINE_TYPE": "ThreadedEnginePerDevice", "GOMP_SPINCOUNT": "0"}
    for variables in ({}, otherwise):
        done = subprocess.run(
            command, env={**environment, **variables}, check=True, capture_output=True, text=True
        )
        assert "engine" not in done.stderr  # MXNet's own line, at every start
        histories.append((out / "history.csv").read_text().split(",")[:11])
    assert histories[0] == histories[1]  # neither engine nor spinning changes a bit
