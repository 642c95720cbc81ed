"""What a launcher says is read, and what became of a process is told; without MPI."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from d2l_bn.cluster import meeting, supervisor
from d2l_bn.cluster.launched import OF_MPIEXEC, Launched, launched, launcher
from d2l_bn.cluster.processes import Processes
from d2l_bn.nn.sync import SyncBatchNorm
from d2l_bn.system.errors import InputError, RunError

from mxnet import autograd, nd

SUPERVISOR = supervisor.__file__


@pytest.mark.parametrize(
    "environment, expected",
    [
        ({}, None),
        ({"PMI_RANK": "0", "PMI_SIZE": "1"}, None),
        ({"PMI_RANK": "2", "PMI_SIZE": "4"}, Launched(2, 4)),
        ({"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2"}, Launched(1, 2)),
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "8"}, None),  # in a batch script, without srun
        ({"SLURM_PROCID": "3", "SLURM_STEP_NUM_TASKS": "8"}, Launched(3, 8)),
    ],
)
def test_what_a_launcher_says_is_understood(environment, expected):
    assert launched(environment) == expected


@pytest.mark.parametrize(
    "environment, machines, expected",
    [
        ({"MPI_LOCALNRANKS": "2", "PMI_FD": "7"}, "aa", "mpiexec -n 2"),
        ({"PMI_FD": "7"}, "aa", "mpiexec.gforker -n 2"),
        ({"MPI_LOCALNRANKS": "2"}, "aab", "mpiexec --host a:2,b:1 -n 3"),
        ({"SLURM_PROCID": "0"}, "aab", "srun --mpi=pmi2 --nodes=2 --ntasks=3"),
        # An mpiexec in a script of Slurm's asks Slurm for the machines.
        ({"SLURM_PROCID": "0", "SLURM_JOB_ID": "7", "MPI_LOCALNRANKS": "1"}, "ab", "mpiexec -n 2"),
    ],
)
def test_the_same_processes_are_launched_again(monkeypatch, environment, machines, expected):
    for name in ("SLURM_PROCID", "SLURM_JOB_ID", "PMI_FD", *OF_MPIEXEC):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    program, *rest = launcher(list(machines))
    assert " ".join([Path(program).name, *rest]) == expected


def supervised(program, rank="2"):
    """Start a program under its supervisor."""
    head = "import json, os, sys, time\nfd = int(os.environ['D2L_BN_SUPERVISOR'])\n"
    head += "tell = lambda **m: os.write(fd, (json.dumps(m) + '\\n').encode())\n"
    return subprocess.Popen(
        [sys.executable, SUPERVISOR, sys.executable, "-c", head + program],
        env={**os.environ, "PMI_RANK": rank},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


ENDS = {  # what a rank does, its exit code, and what is said
    "it has done its work": (2, "tell(advice='Go on')", 0, ""),
    "it has said why": (2, "tell(advice='Go on'); sys.exit(2)", 2, ""),
    "rank 0 fails": (0, "tell(advice='Go on'); sys.exit(1)", 1, ""),
    "another one fails": (1, "tell(advice='Go on'); sys.exit(1)", 1, "d2l-bn: Go on\n"),
    "killed": (
        2,
        "tell(advice='Old'); tell(advice='Go on'); os.kill(os.getpid(), 9)",
        137,
        r"d2l-bn: rank 2 \(process .*SIGKILL.*Go on\n",
    ),
    "it takes too long": (
        2,
        "tell(within=0.5, doing='waited for nothing', advice='Again'); time.sleep(60)",
        1,
        r"d2l-bn: rank 2 .*waited for nothing\. Again\n",
    ),
    "in time": (2, "tell(within=5, doing='waited'); tell(within=None); time.sleep(1)", 0, ""),
}


@pytest.mark.parametrize("rank, program, code, said", ENDS.values(), ids=ENDS)
def test_what_is_said_of_an_end(rank, program, code, said):
    with supervised(program, str(rank)) as process:
        assert re.fullmatch(said, process.communicate()[1]) and process.returncode == code


def test_signals_are_passed_on():
    program = (
        "import signal\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\n"
        "print('ready', flush=True)\n"
        # A signal that comes just before a long sleep waits for its end.
        "for _ in range(600): time.sleep(0.1)"
    )
    with supervised(program, "0") as process:
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        process.communicate()
    assert process.returncode == 7


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the launcher is sought in /proc")
def test_an_mpiexec_that_waits_for_a_lost_machine_is_ended_and_nothing_else(tmp_path):
    """Two programs wait on, as mpiexec would; one of them has its name."""
    lost = "import json, os; fd = int(os.environ['D2L_BN_SUPERVISOR']); "
    lost += "os.write(fd, (json.dumps({'lost': True}) + chr(10)).encode()); os._exit(1)"
    command = [sys.executable, SUPERVISOR, sys.executable, "-c", lost]
    helper = [sys.executable, "-c", f"import subprocess; subprocess.call({command})"]
    waits = f"import subprocess, time; subprocess.call({helper}); "
    waits += f"time.sleep(2 * {supervisor.GRACE})"
    started = []
    for name in ("mpiexec", "another"):
        (tmp_path / name).symlink_to(sys.executable)
        started.append(subprocess.Popen([str(tmp_path / name), "-c", waits]))
    assert [process.wait(60) for process in started] == [-signal.SIGKILL, 0]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="PR_SET_PDEATHSIG is Linux's")
def test_a_worker_ends_with_its_supervisor():
    with supervised("print(os.getpid(), flush=True); time.sleep(60)") as process:
        worker = int(process.stdout.readline())
        process.kill()
    for _ in range(1000):
        if not Path(f"/proc/{worker}").exists():
            return
        if "Z" in Path(f"/proc/{worker}/stat").read_text().split()[2]:
            return
        time.sleep(0.05)
    pytest.fail("the worker lives on")


def test_both_end_with_the_launcher():
    program = "import os, sys, time; print(os.getpid(), flush=True); time.sleep(60)"
    launcher = (
        "import subprocess, sys, time\n"
        f"subprocess.Popen([sys.executable, {SUPERVISOR!r}, sys.executable, '-c', {program!r}])\n"
        "time.sleep(60)"
    )
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with subprocess.Popen([sys.executable, "-c", launcher], **pipes) as process:
        process.stdout.readline()
        process.kill()
        # The pipe is closed when the supervisor and its worker are gone.
        assert "since the launcher on this machine has ended" in process.stderr.read()


class Request:
    def Test(self):
        return True


class Pretended:
    """A communicator of two, of which the other one hands in what `answer` makes of our values."""

    rank, size = 0, 2

    def __init__(self, answer):
        self.answer = answer

    def Dup(self):
        return self

    def Iallreduce(self, sent, received):
        received[:] = sent + self.answer(sent)
        return Request()

    def Iallgather(self, sent, received):  # texts, which both have alike
        received[:] = sent
        return Request()


def test_a_sum_of_two_different_exchanges_is_refused():
    right = Processes(Pretended(lambda sent: sent))
    assert right.total(np.array([1.0, 2.0])).tolist() == [2, 4]
    wrong = Processes(Pretended(lambda sent: sent + np.array([0, 1, 0, 0])))
    with pytest.raises(RunError, match="at the same exchange: 2 of them should add up to 2 and 2"):
        wrong.total(np.array([1.0, 2.0]))
    alone = Processes(Pretended(np.zeros_like))
    with pytest.raises(RunError, match="got 1 and 1"):
        alone.total(np.array([1.0, 2.0]))


@pytest.mark.parametrize("implementation", ["auto", "graph"])
def test_what_fails_in_backward_is_raised_by_the_next_sum(implementation, capfd):
    """MXNet calls backward: it would print a traceback, and raise an error of its own."""
    calls = iter([0, 1])  # the second exchange, which is the first of backward, is another one
    group = Processes(Pretended(lambda sent: sent + next(calls) * (np.arange(len(sent)) == 1)))
    layer = SyncBatchNorm(2, 2, group=group, implementation=implementation)
    layer.initialize()
    X = nd.array([[1, 2], [3, 5]])
    X.attach_grad()
    with autograd.record():
        Y = layer(X)
    Y.backward()
    nd.waitall()
    with pytest.raises(RunError, match="at the same exchange"):
        group.total(np.ones(3))
    assert capfd.readouterr() == ("", "")


def test_the_numbers_of_exchanges_start_again_and_stay_exact():
    processes = Processes(Pretended(lambda sent: sent))
    for _ in range(3000):
        assert processes.total(np.ones(1, np.float32))[0] == 2


def test_a_wrong_sum_of_known_numbers_is_refused():
    """The other process hands in twice what we do, as rank 1 of two should, once not quite."""

    def twice(sent):
        return np.concatenate([sent[:2], 2 * sent[2:]])

    def almost(sent):
        values = twice(sent)
        if len(values) > 10_000:
            values[5000] += 1
        return values

    meeting.check_sums(Processes(Pretended(twice)))
    with pytest.raises(RunError, match="must be exact, and 1 of 45000 numbers are wrong"):
        meeting.check_sums(Processes(Pretended(almost)))


@pytest.mark.parametrize("text", ["soon", "-1", "nan", "inf", ""])
def test_seconds_to_wait_that_are_none_are_refused(monkeypatch, text):
    for name, value in {"PMI_RANK": "0", "PMI_SIZE": "2", meeting.MEETING: text}.items():
        monkeypatch.setenv(name, value)
    words = f"D2L_BN_MEETING must be a number of seconds above 0, got {text!r}"
    with pytest.raises(InputError, match=words), meeting.joined():
        pytest.fail("it has met nobody")


def test_a_difference_names_the_rank_and_both_values():
    processes = Processes(Pretended(np.zeros_like))
    processes.gather = lambda text: [text, text]
    processes.compare("numpy", "1.26.4")
    processes.gather = lambda text: [text, "1.23.5"]
    with pytest.raises(RunError, match=r"numpy .* rank 1 has 1\.23\.5, rank 0 1\.26\.4"):
        processes.compare("numpy", "1.26.4")


def test_shared_memory_that_none_may_write_in_is_refused(monkeypatch):
    monkeypatch.setattr(meeting, "SHARED", "/")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(InputError, match="and / has 0 MB to write in: docker run --shm-size"):
        meeting._require_shared_memory()


def test_what_killed_starts_have_left_is_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(meeting, "SHARED", str(tmp_path))
    for name in ("mpich_shm_old", "mpich_shm_new", "other"):
        (tmp_path / name).touch()
        if name != "mpich_shm_new":
            os.utime(tmp_path / name, (0, 0))
    meeting._sweep_shared_memory()
    assert sorted(os.listdir(tmp_path)) == ["mpich_shm_new", "other"]
