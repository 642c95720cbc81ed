"""The folder of a run is used by one program at a time, and nothing in it is lost by accident."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

from d2l_bn import runs
from d2l_bn.errors import InputError


def finish(folder, text):
    (folder / runs.CHECKPOINT).write_text(text)
    (folder / runs.SUMMARY).write_text(text)


@pytest.fixture
def out(tmp_path):
    return tmp_path / "runs" / "lenet"


@pytest.fixture
def finished(out):
    with runs.run_folder(out) as folder:
        finish(folder, "old")
    return out


def test_a_new_folder_is_made(out):
    with runs.run_folder(out) as folder:
        assert folder == out and out.is_dir()
        finish(folder, "new")
    assert runs.is_finished(out)


def test_a_folder_that_stays_empty_is_removed_again(out):
    with pytest.raises(KeyboardInterrupt), runs.run_folder(out):
        raise KeyboardInterrupt
    assert not out.exists()


@pytest.mark.parametrize(
    "name, state", [(runs.SUMMARY, "a finished"), (runs.CHECKPOINT, "an inter")]
)
def test_a_run_is_not_overwritten_silently(out, name, state):
    out.mkdir(parents=True)
    (out / name).write_text("old")
    with pytest.raises(InputError, match=f"{state}.*--resume.*--overwrite"), runs.run_folder(out):
        pass
    assert (out / name).read_text() == "old"


def test_resuming_works_in_the_folder_itself(finished):
    with runs.run_folder(finished, resume=True) as folder:
        assert folder == finished


def test_the_old_run_stays_until_the_new_one_ends(finished):
    with runs.run_folder(finished, overwrite=True) as folder:
        assert folder != finished and not any(folder.iterdir())
        finish(folder, "new")
        assert (finished / runs.SUMMARY).read_text() == "old"
    assert (finished / runs.SUMMARY).read_text() == "new"
    assert [path.name for path in finished.parent.iterdir()] == [finished.name]


def test_the_old_run_stays_if_the_new_one_fails(finished):
    with pytest.raises(RuntimeError), runs.run_folder(finished, overwrite=True):
        raise RuntimeError
    assert (finished / runs.SUMMARY).read_text() == "old"
    with runs.run_folder(finished, overwrite=True) as folder:  # what was left is no obstacle
        assert not any(folder.iterdir())


@pytest.mark.parametrize("renames", [1, 2])
def test_a_kill_while_replacing_loses_nothing(finished, monkeypatch, renames):
    done = []

    def rename(path, target):
        done.append(os.rename(path, target))
        if len(done) == renames:
            os._exit(9)

    child = os.fork()
    if child == 0:
        monkeypatch.setattr(runs.Path, "rename", rename)
        with runs.run_folder(finished, overwrite=True) as folder:
            finish(folder, "new")
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    with runs.run_folder(finished, resume=True) as folder:
        assert (folder / runs.SUMMARY).read_text() == "new"
    assert [path.name for path in finished.parent.iterdir()] == [finished.name]


def test_a_folder_in_use_is_refused(finished):
    program = f"""
        from pathlib import Path
        from d2l_bn import runs
        with runs.run_folder(Path({str(finished)!r}), resume=True):
            print("locked", flush=True)
            input()
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "locked\n"
        for options in ({"resume": True}, {"overwrite": True}, {}):
            with pytest.raises(InputError, match="in use"), runs.run_folder(finished, **options):
                pass
        other.kill()
    with runs.run_folder(finished, resume=True):  # the lock ends with its process
        pass


@pytest.mark.parametrize("options", [{}, {"resume": True}, {"overwrite": True}])
def test_other_files_are_never_touched(out, options):
    out.mkdir(parents=True)
    (out / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match=r"thesis\.tex"), runs.run_folder(out, **options):
        pass
    assert (out / "thesis.tex").exists()


def test_a_file_is_no_folder(out):
    out.parent.mkdir()
    out.write_text("")
    with pytest.raises(InputError, match="must be a folder"), runs.run_folder(out):
        pass


def test_what_a_killed_run_was_writing_is_swept_away(out):
    out.mkdir(parents=True)
    (out / f".{runs.CHECKPOINT}.x7s").write_text("half")
    with runs.run_folder(out, resume=True):
        assert not any(out.iterdir())
