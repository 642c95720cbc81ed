"""Training over the processes of MPI, as it would be started by hand, with all that can go wrong.

Where mpi4py or mpiexec is missing (the extra `cluster`), these tests are skipped.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from datasets import bars, untimed, written

from d2l_bn.program import run_folder
from d2l_bn.program.history import read_history
from d2l_bn.training import checkpoint

ROOT = Path(__file__).parents[2]
MPIEXEC, GFORKER = map(Path(sys.executable).with_name, ("mpiexec", "mpiexec.gforker"))
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
PATIENCE = 600  # seconds until a fault has ended the job: 20 where the machine does nothing else

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("mpi4py") is None or not MPIEXEC.exists(),
        reason="mpi4py or mpiexec is not installed: the extra `cluster`",
    ),
]


@pytest.fixture
def folder(tmp_path):
    """93 images: with batches of 10 the last one has 3, fewer than four processes."""
    return written(bars(train=93), tmp_path / "bars")


@pytest.fixture
def out(tmp_path):
    return tmp_path / "run"


def program(folder, out, *more, epochs=3):
    options = ["--data", folder, "--out", out, "--batch-size", 10, "--lr", 0.1, "--epochs", epochs]
    return list(map(str, [sys.executable, "-m", "d2l_bn", "train", *options, *more]))


def start(*programs, environment=(), launcher=MPIEXEC):
    """Start one process of each program, together."""
    command = [str(launcher)]
    for number, one in enumerate(programs):
        command += [*([":"] if number else []), "-n", "1", *one]
    env, home = {**ENVIRONMENT, **dict(environment)}, programs[0][programs[0].index("--data") + 1]
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return subprocess.Popen(command, env=env, cwd=Path(home).parent, **pipes)


def finish(*programs, seconds=PATIENCE, **options):
    """Run to the end; the exit code is mpiexec's, and after a failure any but zero."""
    with start(*programs, **options) as job:
        try:
            printed, err = job.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            job.kill()
            raise
    return job.returncode, printed, err


def rows(out):
    return untimed(read_history(out / run_folder.HISTORY))


def arrays(out):
    return checkpoint.read(out / run_folder.CHECKPOINT)[2]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The run of a single process on the same data."""
    place = tmp_path_factory.mktemp("whole")
    alone = program(written(bars(train=93), place / "bars"), place / "run")
    subprocess.run(alone, env=ENVIRONMENT, check=True, capture_output=True)
    return place / "run"


def test_several_processes_train_as_one(folder, out, whole):
    """Shares that differ by one image, and a last batch of three: the same run, to rounding."""
    code, printed, err = finish(*[program(folder, out)] * 4)
    assert code == 0, err
    assert "4 processes, normalizing with the statistics of all of them" in printed
    assert len(re.findall(r"^epoch \d/3   loss", printed, re.M)) == 3  # rank 0 alone speaks
    assert {path.name for path in out.iterdir()} == {*run_folder.TRAINED}  # and writes
    wanted = arrays(whole)
    for name, value in arrays(out).items():
        np.testing.assert_allclose(value, wanted[name], rtol=0, atol=1e-4, err_msg=name)
    for row, expected in zip(rows(out), rows(whole)):
        assert row == pytest.approx(expected, abs=1e-4)
    summary = json.loads((out / run_folder.SUMMARY).read_text())
    assert summary["settings"]["processes"] == 4


def test_without_exchange_it_is_another_run(folder, out, whole):
    """Each share is normalized by itself; the averages in the file are the mean of all."""
    code, printed, err = finish(*[program(folder, out, "--statistics", "share")] * 2)
    assert code == 0, err
    assert "statistics of each share by itself" in printed
    wanted = arrays(whole)  # with exchange they are equal up to a tenth of this
    assert max(abs(value - wanted[name]).max() for name, value in arrays(out).items()) > 1e-3


def test_gluons_layer_needs_statistics_of_each_share(folder, out):
    gluon = program(folder, out, "--norm", "gluon")
    code, _, err = finish(*[gluon] * 2)
    assert code and err.count("statistics must be share for norm gluon") == 1
    code, _, err = finish(*[[*gluon, "--statistics", "share"]] * 2)
    assert code == 0, err


TRIES = int(os.environ.get("D2L_BN_FAULTS", "1"))  # by turns killed and stopped; more to be sure


@pytest.mark.long
def test_resuming_gives_the_same_bits_and_only_with_as_many_processes(folder, tmp_path):
    whole, longest = tmp_path / "whole", 0.0
    assert finish(*[program(folder, whole, epochs=20)] * 2)[0] == 0
    for number in range(TRIES):
        out, rank, how = tmp_path / str(number), 1 - number % 2, (signal.SIGKILL, signal.SIGSTOP)
        with start(*[program(folder, out, epochs=20)] * 2) as job:  # ended before its last epoch
            wait_until((out / run_folder.HISTORY).exists)
            time.sleep(0.3 * number / TRIES)
            os.kill(workers(out)[rank], how[number % 2])
            begin = time.monotonic()
            err = job.communicate(timeout=PATIENCE)[1]
        longest = max(longest, time.monotonic() - begin)
        advice = re.search(rf"rank {rank} \(process.*To go on.*run: (.*)", err)
        assert advice and "--resume" in advice[1], err
        if number == 0:
            code, _, err = finish(*[program(folder, out, "--resume")] * 3)
            assert code and "processes is 3, there it was 2" in err
        options = dict(env=ENVIRONMENT, timeout=PATIENCE, capture_output=True)
        subprocess.run(advice[1], shell=True, check=True, **options)
        assert rows(out) == rows(whole)
        assert arrays(out).keys() == arrays(whole).keys()
        for name, value in arrays(out).items():
            assert np.array_equal(value, arrays(whole)[name]), name
    print(f"from the fault to the end of the job: {longest:.0f} s at most")


FAULTS = {  # the signal, to which rank, of how many, started by what, and what is said
    "killed": (signal.SIGKILL, 2, 3, GFORKER, r"rank 2 \(process \d+ on .*SIGKILL"),
    "rank 0 killed": (signal.SIGKILL, 0, 2, MPIEXEC, r"rank 0 \(process \d+ on .*SIGKILL"),
    "crashed": (signal.SIGSEGV, 1, 2, MPIEXEC, r"rank 1 \(process \d+ on .*SIG(SEGV|ABRT)"),
    "stopped": (signal.SIGSTOP, 1, 3, MPIEXEC, r"rank 1 \(process .* has not answered for"),
    "rank 0 stopped": (signal.SIGSTOP, 0, 2, GFORKER, r"rank 0 \(process .* has not answered for"),
    "supervisor stopped": (signal.SIGSTOP, 0, 2, GFORKER, r"rank 0 \(process .* has not answered"),
    "asked to end": (signal.SIGTERM, 1, 2, GFORKER, r"rank 1: stopped"),
}


# Those that are stopped, at once: each job waits for 18 seconds for a sign of life.
GROUPS = (
    *([name] for name in FAULTS if "stopped" not in name),
    [n for n in FAULTS if "stopped" in n],
)


@pytest.mark.parametrize("names", GROUPS, ids=", ".join)
def test_a_fault_ends_the_job_and_says_how_to_go_on(tmp_path, names):
    with contextlib.ExitStack() as stack:
        running = []
        for name in names:
            number, rank, size, launcher, message = FAULTS[name]
            place = tmp_path / name.replace(" ", "-")
            place.mkdir()
            folder, out = written(bars(train=93), place / "bars"), place / "run"
            programs = [program(folder, out, epochs=1000)] * size
            job = stack.enter_context(start(*programs, launcher=launcher))
            stack.callback(job.kill)
            wait_until((out / run_folder.HISTORY).exists)
            wait_until(lambda out=out: len(rows(out)) > 1)
            processes = workers(out)
            assert leaves_nothing(processes[rank])
            assert listens(job.pid) == (launcher == MPIEXEC)
            if "supervisor" in name:  # which mpiexec.gforker has started itself
                os.kill(int(Path(f"/proc/{processes[rank]}/stat").read_text().split()[3]), number)
            os.kill(processes[rank], number)
            running.append((job, processes, message))
        for job, processes, message in running:
            err = job.communicate(timeout=PATIENCE)[1]
            assert job.returncode != 0
            assert re.search(message, err) and "train --resume --out" in err, err
            wait_until(lambda ranks=processes: not any(map(lives, ranks.values())))


def leaves_nothing(pid):
    """Whether the memory that a process shares has no name any more, and it has opened no port."""
    maps = Path(f"/proc/{pid}/maps").read_text().splitlines()
    shared = [line for line in maps if "/dev/shm/" in line]
    alone = b"UCX_TLS=self,sm" in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return alone and shared and all(line.endswith("(deleted)") for line in shared)


def listens(pid):
    """Whether a process has a port open."""
    tables = [Path(f"/proc/net/{name}").read_text() for name in ("tcp", "tcp6")]
    lines = [line.split() for table in tables for line in table.splitlines()[1:]]
    ports = {f"socket:[{line[9]}]" for line in lines if line[3] == "0A"}
    return any(os.readlink(path) in ports for path in Path(f"/proc/{pid}/fd").iterdir())


def test_one_that_computes_otherwise_is_refused(folder, out):
    code, _, err = finish(program(folder, out), ["env", "D2L_BN_OPERATOR=0", *program(folder, out)])
    assert code and "the way SyncBatchNorm exchanges (D2L_BN_OPERATOR=0 takes" in err
    assert "rank 1 has MXNet's" in err and not out.exists()


def test_processes_that_differ_are_refused(folder, out):
    code, _, err = finish(program(folder, out), program(folder, out, "--seed", "1"))
    assert code
    assert "seed must be the same in all processes: rank 1 has 1, rank 0 0" in err
    assert not out.exists()


def test_other_data_are_refused(folder, out, tmp_path):
    changed = bars(train=93)
    changed.train_images[5, 3, 3] ^= 1
    other = tmp_path / "other" / folder.name
    other.parent.mkdir()
    code, _, err = finish(program(folder, out), program(written(changed, other), out))
    assert code and "data must be the same in all processes: rank 1 has" in err


def test_one_that_lacks_its_data_says_so(folder, out):
    code, _, err = finish(program(folder, out), program(folder / "nowhere", out))
    assert code and re.search("d2l-bn train: rank 1: .*nowhere", err)


def test_one_that_does_not_come_is_not_waited_for(folder, out):
    environment = {"D2L_BN_MEETING": "5"}
    both = program(folder, out), ["sleep", f"{2 * PATIENCE}"]
    code, _, err = finish(*both, environment=environment)
    assert code != 0
    assert "rank 0 (process" in err and "waited 5 s for the other processes" in err
    assert "set D2L_BN_MEETING to more seconds" in err


def test_a_launcher_of_another_mpi_is_noticed(folder, out):
    env = {**ENVIRONMENT, "PMI_RANK": "0", "PMI_SIZE": "2"}
    done = subprocess.run(program(folder, out), env=env, capture_output=True, text=True)
    assert done.returncode == 2
    assert "the launcher has started 2 processes, and MPI sees 1" in done.stderr


def lives(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until(true, seconds=PATIENCE):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)


def workers(out):
    """The workers of a job, by rank: not their supervisors."""
    found = {}
    for entry in Path("/proc").iterdir():
        try:
            command = (entry / "cmdline").read_bytes().split(b"\0")
            if str(out).encode() not in command or b"mpiexec" in command[0]:
                continue
            if any(part.endswith(b"supervisor.py") for part in command):
                continue
            names = dict(
                part.split(b"=", 1)
                for part in (entry / "environ").read_bytes().split(b"\0")
                if b"=" in part
            )
        except OSError:  # not a process, or no longer one
            continue
        if b"PMI_RANK" in names:
            found[int(names[b"PMI_RANK"])] = int(entry.name)
    return found
