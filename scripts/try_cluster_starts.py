"""Start small jobs of several processes, kill some, and count how all end.

    python scripts/try_cluster_starts.py [STARTS [KILLS [PROCESSES]]]

Every start has to train and to end with the same network, to the last bit. In every kill, one
process after the other is the victim, by turns killed and stopped, at a random moment; the job has
to end, and the command that its message gives has to lead to the same network.
"""

from __future__ import annotations

import collections
import hashlib
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from d2l_bn.data.dataset import FILES
from d2l_bn.data.idx import write_idx
from d2l_bn.program import run_folder
from d2l_bn.training import checkpoint

ROOT = Path(__file__).parents[1]
MPIEXEC = Path(sys.executable).with_name("mpiexec")
LONGEST = 300  # seconds until a job counts as hanging, on a machine that others use as well
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def main() -> int:
    """Run all, print the counts, and return 1 if any job was lost or hung."""
    given = [int(argument) for argument in sys.argv[1:]]
    starts, kills, processes = [*given, *(200, 20, 2)[len(given) :]]
    counts: collections.Counter[str] = collections.Counter()
    seconds: list[float] = []
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_data(folder / "data")
        expected = ""
        for number in range(starts):
            code, _ = wait(start(folder, f"start{number}", processes))
            found = network(folder / f"start{number}") if code == 0 else ""
            expected = expected or found
            counts["started" if found and found == expected else "FAILED STARTS"] += 1
            if number % 10 == 9:
                print(f"{time.monotonic() - begin:6.0f} s  {dict(counts)}", flush=True)
        for number in range(kills):
            how = signal.SIGKILL if number % 2 == 0 else signal.SIGSTOP
            ended, resumed = kill(folder, f"kill{number}", processes, number % processes, how)
            counts[f"{how.name} ended and resumed" if resumed == expected else "LOST"] += 1
            seconds.append(ended)
            print(f"{time.monotonic() - begin:6.0f} s  {dict(counts)}", flush=True)
    if seconds:
        print(f"from the fault to the end of the job: at most {max(seconds):.0f} s")
    return int(bool(counts["FAILED STARTS"] or counts["LOST"]))


def make_data(folder: Path) -> None:
    """Two classes of tiny images."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for names, count in ((FILES[:2], 40), (FILES[2:], 8)):
        labels = np.arange(count, dtype=np.uint8) % 2
        images = rng.integers(0, 100, (count, 16, 16)).astype(np.uint8)
        images[labels == 1, :8] += 100
        write_idx(folder / f"{names[0]}.gz", images)
        write_idx(folder / f"{names[1]}.gz", labels)


def start(folder: Path, name: str, processes: int, epochs: int = 8) -> subprocess.Popen:
    """Start a job."""
    options = ["--data", folder / "data", "--out", folder / name]
    options += ["--batch-size", "5", "--epochs", str(epochs), "--lr", "0.1"]
    program = [sys.executable, "-m", "d2l_bn", "train", *map(str, options)]
    command = [str(MPIEXEC), "-n", str(processes), *program]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=ENVIRONMENT, stdout=pipe, stderr=pipe, text=True)


def wait(job: subprocess.Popen) -> tuple[int, str]:
    """The exit code and the messages of a job, -1 if it hangs."""
    try:
        _, err = job.communicate(timeout=LONGEST)
    except subprocess.TimeoutExpired:
        job.kill()
        return -1, "hangs"
    return job.returncode, err


def kill(folder: Path, name: str, processes: int, rank: int, how: signal.Signals):
    """Let one process meet its fate after the first epoch; then do as the message says."""
    job, out = start(folder, name, processes), folder / name
    while not (out / run_folder.CHECKPOINT).exists() and job.poll() is None:
        time.sleep(0.02)
    time.sleep(random.random() * 0.3)
    victim = worker(out, rank)
    if victim is None:  # it was faster than we
        wait(job)
        return 0.0, network(out)
    os.kill(victim, how)
    begin = time.monotonic()
    code, err = wait(job)
    ended = time.monotonic() - begin
    advice = re.search(r"run: (\S*mpiexec.*)", err)
    if code != 0 and advice:
        options = dict(env=ENVIRONMENT, timeout=LONGEST, capture_output=True)
        subprocess.run(advice[1], shell=True, **options)  # type: ignore[call-overload]
    elif code != 0:
        print(err)
    return ended, network(out)


def worker(out: Path, rank: int):
    """The process id of the worker of a rank."""
    for entry in Path("/proc").iterdir():
        try:
            command = (entry / "cmdline").read_bytes()
            environment = (entry / "environ").read_bytes().split(b"\0")
        except OSError:  # not a process, or no longer one
            continue
        ours = str(out).encode() + b"\0" in command and b"supervisor.py" not in command
        if ours and f"PMI_RANK={rank}".encode() in environment:
            return int(entry.name)
    return None


def network(out: Path) -> str:
    """A checksum of all numbers of a finished run."""
    if not run_folder.is_finished(out):
        return "unfinished"
    arrays = checkpoint.read(out / run_folder.CHECKPOINT)[2]
    whole = b"".join(arrays[name].tobytes() for name in sorted(arrays))
    return hashlib.sha256(whole).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
