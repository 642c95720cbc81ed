"""The folder of a run is used by one program at a time, and nothing in it is lost by accident."""

from __future__ import annotations

import os

import pytest

from d2l_bn.program import run_folder
from d2l_bn.system.errors import InputError


def finish(folder, text):
    (folder / run_folder.CHECKPOINT).write_text(text)
    (folder / run_folder.SUMMARY).write_text(text)


@pytest.fixture
def out(tmp_path):
    return tmp_path / "runs" / "lenet"


@pytest.fixture
def finished(out):
    with run_folder.open_run(out) as folder:
        finish(folder, "old")
    return out


def test_a_folder_that_stays_empty_is_removed_again(out):
    with pytest.raises(KeyboardInterrupt), run_folder.open_run(out):
        raise KeyboardInterrupt
    assert not out.exists()


@pytest.mark.parametrize(
    "name, state", [(run_folder.SUMMARY, "a finished"), (run_folder.HISTORY, "an inter")]
)
def test_a_run_is_not_overwritten_silently(out, name, state):
    out.mkdir(parents=True)
    (out / name).write_text("old")
    with (
        pytest.raises(InputError, match=f"{state}.*--resume.*--overwrite"),
        run_folder.open_run(out),
    ):
        pass
    assert (out / name).read_text() == "old"


def test_a_run_without_an_epoch_is_no_obstacle(out):
    with run_folder.open_run(out) as folder:
        (folder / run_folder.CHECKPOINT).write_text("of epoch 0")
    for options in ({"resume": True}, {}, {"overwrite": True}):
        with run_folder.open_run(out, **options) as folder:
            assert folder == out and (out / run_folder.CHECKPOINT).exists() == bool(
                options.get("resume")
            )


LINKS = {
    "the folder": lambda out, there: (out.rename(there), out.symlink_to(there)),
    "a file": lambda out, there: (out / run_folder.HISTORY).symlink_to(there),
    "a pipe": lambda out, there: os.mkfifo(out / run_folder.HISTORY),
    "the replacement": lambda out, there: (out / run_folder.SUCCESSOR).symlink_to(there),
    "in the replacement": lambda out, there: (
        (out / run_folder.SUCCESSOR).mkdir(),
        (out / run_folder.SUCCESSOR / run_folder.CHECKPOINT).symlink_to(there),
    ),
}


@pytest.mark.parametrize("make", LINKS.values(), ids=LINKS)
@pytest.mark.parametrize("options", [{"resume": True}, {"overwrite": True}])
def test_links_lead_nowhere(finished, tmp_path, make, options):
    make(finished, tmp_path / "there")
    if (tmp_path / "there").exists() is False:
        (tmp_path / "there").mkdir()
        finish(tmp_path / "there", "of somebody else")
    before = {path: path.read_text() for path in (tmp_path / "there").iterdir()}
    with pytest.raises(InputError, match="must be a"), run_folder.open_run(finished, **options):
        pass
    assert {path: path.read_text() for path in (tmp_path / "there").iterdir()} == before


def test_the_old_run_stays_until_the_new_one_ends(finished):
    with run_folder.open_run(finished, overwrite=True) as folder:
        assert folder != finished and not any(folder.iterdir())
        finish(folder, "new")
        assert (finished / run_folder.SUMMARY).read_text() == "old"
    assert (finished / run_folder.SUMMARY).read_text() == "new"
    assert [path.name for path in finished.parent.iterdir()] == [finished.name]


def test_the_old_run_stays_if_the_new_one_fails(finished):
    with pytest.raises(RuntimeError), run_folder.open_run(finished, overwrite=True):
        raise RuntimeError
    assert (finished / run_folder.SUMMARY).read_text() == "old"
    with run_folder.open_run(finished, overwrite=True) as folder:  # what was left is no obstacle
        assert not any(folder.iterdir())


@pytest.mark.parametrize("step", [1, 2, 3, 4])
def test_a_kill_while_replacing_loses_nothing(finished, monkeypatch, step):
    """The steps: drop the old summary and its pictures, move two files, delete what is left."""
    (finished / run_folder.PREDICTIONS).write_text("of the old run")
    done = []

    def counted(change):
        def call(*arguments, **options):
            done.append(change(*arguments, **options))
            if len(done) == step:
                os._exit(9)

        return call

    child = os.fork()
    if child == 0:
        with run_folder.open_run(finished, overwrite=True) as folder:
            finish(folder, "new")
            for name in ("unlink", "replace"):
                monkeypatch.setattr(run_folder.Path, name, counted(getattr(run_folder.Path, name)))
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert not run_folder.is_finished(finished) or step == 4  # never old and new as one run
    with run_folder.open_run(finished, resume=True) as folder:
        assert (folder / run_folder.SUMMARY).read_text() == "new"
    names = {run_folder.CHECKPOINT, run_folder.SUMMARY}
    assert {path.name for path in finished.iterdir()} == names


def test_a_replacement_without_a_checkpoint_is_forgotten(finished):
    (finished / run_folder.SUCCESSOR).mkdir()
    with run_folder.open_run(finished, resume=True) as folder:
        assert folder == finished
    assert not (finished / run_folder.SUCCESSOR).exists()


def test_a_run_cant_have_the_name_of_a_successor(finished):
    """Or else the next start would take it for what replaces the run above it."""
    with (
        pytest.raises(InputError, match="can't be called"),
        run_folder.open_run(finished / run_folder.SUCCESSOR),
    ):
        pass
    assert run_folder.is_finished(finished)


@pytest.mark.parametrize("options", [{}, {"resume": True}, {"overwrite": True}])
def test_a_folder_in_use_is_refused(finished, options):
    with (
        run_folder.open_run(finished, resume=True),
        pytest.raises(InputError, match="in use"),
        run_folder.open_run(finished, **options),
    ):
        pass


@pytest.mark.parametrize("options", [{}, {"resume": True}, {"overwrite": True}])
def test_other_files_are_never_touched(out, options):
    out.mkdir(parents=True)
    (out / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match=r"thesis\.tex"), run_folder.open_run(out, **options):
        pass
    assert (out / "thesis.tex").exists()


def test_what_a_killed_run_was_writing_is_swept_away(out):
    out.mkdir(parents=True)
    (out / f".{run_folder.CHECKPOINT}.x7s").write_text("half")
    with run_folder.open_run(out, resume=True):
        assert not any(out.iterdir())
