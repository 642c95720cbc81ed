"""The command line, used as a person would and as a person would not."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest
from datasets import bars
from PIL import Image

from d2l_bn.__main__ import main
from d2l_bn.data.dataset import FILES
from d2l_bn.data.idx import write_idx
from d2l_bn.program import run_folder
from d2l_bn.program.outcome import read_history
from d2l_bn.training import checkpoint

TIMES = ("seconds", "examples_per_second")


@pytest.fixture
def folder(tmp_path):
    """A user's data set as four IDX files."""
    folder, dataset = tmp_path / "bars", bars()
    folder.mkdir()
    arrays = (
        dataset.train_images,
        dataset.train_labels,
        dataset.test_images,
        dataset.test_labels,
    )
    for name, array in zip(FILES, arrays):
        write_idx(folder / f"{name}.gz", array)
    return folder


@pytest.fixture
def out(tmp_path):
    return tmp_path / "runs" / "lenet"


@pytest.fixture
def train(folder, out):
    """A function that runs a small `train` in this process and returns its exit code."""

    def run(*more: str) -> int:
        arguments = f"train --data {folder} --batch-size 32 --epochs 2 --lr 0.1 --out {out}"
        return main([*arguments.split(), *more])

    return run


def untimed(out):
    rows = read_history(out / run_folder.HISTORY)
    return [{name: row[name] for name in row if name not in TIMES} for row in rows]


def test_train_leaves_everything(train, out, capsys):
    assert train() == 0
    printed = capsys.readouterr()
    assert len(re.findall(r"^epoch \d/2   loss", printed.out, re.M)) == 2
    assert str(out / run_folder.CURVES) in printed.out and "test accuracy" in printed.out
    assert {path.name for path in out.iterdir()} == {*run_folder.TRAINED}
    summary = json.loads((out / run_folder.SUMMARY).read_text())
    assert summary["settings"]["lr"] == 0.1 and summary["settings"]["momentum"] == 0.9
    assert summary["data"]["name"] == "bars" and summary["data"]["train_images"] == 96
    assert (
        summary["final"]["test_accuracy"]
        == read_history(out / run_folder.HISTORY)[-1]["test_accuracy"]
    )
    assert summary["versions"]["mxnet"] == "1.9.1"
    with Image.open(out / run_folder.CURVES) as picture:
        assert picture.width > 1000


@pytest.mark.parametrize("norm", ["gluon", "none"])
def test_train_with_another_normalization(train, out, norm):
    assert train("--norm", norm) == 0
    assert json.loads((out / run_folder.SUMMARY).read_text())["settings"]["norm"] == norm


def test_the_recipe_of_the_source(train, out):
    assert train("--recipe", "source") == 0
    settings = json.loads((out / run_folder.SUMMARY).read_text())["settings"]
    assert (settings["momentum"], settings["schedule"]) == (0.0, "constant")
    assert settings["lr"] == 0.1  # an option that is given wins over the recipe


def test_a_finished_run_is_kept(train, out, capsys):
    train()
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    assert train() == 2
    assert "--overwrite" in capsys.readouterr().err
    assert train("--resume") == 0
    assert "finished already" in capsys.readouterr().out
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert train("--overwrite", "--seed", "1") == 0
    assert (out / run_folder.HISTORY).read_bytes() != before[run_folder.HISTORY]
    assert len(list(out.parent.iterdir())) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        "",
        "dance",
        "train --norm layer",
        "train --epochs 0",
        "train --epochs many",
        "train --batch-size 1",
        "train --lr -1",
        "train --lr nan",
        "train --momentum 1",
        "train --schedule step",
        "train --recipe soup",
        "train --pooling min",
        "train --seed -1",
        "train --context tpu(0)",
        "train --data nowhere",
        "train --resume --overwrite",
        "train --speed 9",
        "plot",
        "plot nowhere",
        "predict --from nowhere",
        "predict --count 0",
    ],
)
def test_a_bad_argument_gets_one_line_and_writes_nothing(arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    try:
        code = main(arguments.split())
    except SystemExit as stop:
        code = stop.code
    printed = capsys.readouterr()
    assert code == 2
    assert re.fullmatch(r"d2l-bn[^\n]*\n", printed.err), printed.err
    assert printed.out == ""
    assert not any(tmp_path.iterdir())


def test_divergence_ends_with_one_line(train, out, capsys):
    assert train("--lr", "1e38", "--norm", "none", "--epochs", "4") == 1
    assert re.search(r"epoch \d, batch \d+: .*Try a smaller --lr", capsys.readouterr().err)
    assert not run_folder.is_finished(out)


def test_resume_without_a_checkpoint_starts_afresh(train, out, capsys):
    assert train("--resume") == 0
    assert "starting afresh" in capsys.readouterr().out
    assert run_folder.is_finished(out)


def test_resume_with_other_settings_is_refused(train, out, capsys, monkeypatch):
    monkeypatch.setattr(checkpoint, "save", stopping_after(1, checkpoint.save))
    assert train() == 130
    assert train("--resume", "--seed", "3") == 2
    assert "seed is 3, there it was 0" in capsys.readouterr().err


def stopping_after(epochs, save):
    def stop(path, net, trainer, identity, history):
        save(path, net, trainer, identity, history)
        if len(history) == epochs:
            raise KeyboardInterrupt

    return stop


def test_an_interrupted_run_says_how_to_go_on(train, out, capsys, monkeypatch):
    whole = out.with_name("whole")
    assert train("--out", str(whole)) == 0
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save", stopping_after(1, checkpoint.save))
        assert train() == 130
    assert "--resume" in capsys.readouterr().err
    assert train("--resume") == 0
    assert untimed(out) == untimed(whole)
    assert (out / run_folder.PARAMETERS).read_bytes() == (
        whole / run_folder.PARAMETERS
    ).read_bytes()


def test_plot_draws_several_runs(train, out, tmp_path, capsys):
    train()
    train("--norm", "none", "--out", str(out.with_name("plain")))
    picture = tmp_path / "both.png"
    assert main(["plot", str(out), str(out.with_name("plain")), "--out", str(picture)]) == 0
    with Image.open(picture) as image:
        assert image.format == "PNG"


def test_predict_draws_test_images(train, out, folder, capsys):
    train("--epochs", "8")
    capsys.readouterr()
    assert main(["predict", "--from", str(out), "--data", str(folder), "--count", "10"]) == 0
    right = int(re.match(r"(\d+) of 10 right", capsys.readouterr().out)[1])
    assert right >= 8
    assert (out / run_folder.PREDICTIONS).exists()


@pytest.mark.parametrize("inverted", [False, True])
def test_predict_labels_a_picture(train, out, folder, tmp_path, capsys, inverted):
    train("--epochs", "8")
    image = bars().test_images[2]
    path = tmp_path / "mine.png"
    Image.fromarray(255 - image if inverted else image).resize((64, 64)).save(path)
    capsys.readouterr()
    assert main(["predict", str(path), "--from", str(out)]) == 0
    first = capsys.readouterr().out.splitlines()[0]
    assert first.endswith(str(bars().test_labels[2])), first


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"\x89PNG\r\n\x1a\n" + bytes(40)])
def test_predict_refuses_what_is_no_picture(train, out, tmp_path, capsys, content):
    train()
    path = tmp_path / "mine.png"
    path.write_bytes(content)
    assert main(["predict", str(path), "--from", str(out)]) == 2
    assert "can't be read as a picture" in capsys.readouterr().err


def test_predict_refuses_other_data(train, out, capsys):
    train()
    assert main(["predict", "--from", str(out), "--data", "sample"]) == 2
    assert "trained on bars" in capsys.readouterr().err


@pytest.mark.parametrize("name", [run_folder.PARAMETERS, run_folder.SUMMARY])
def test_predict_refuses_a_damaged_run(train, out, folder, capsys, name):
    train()
    (out / name).write_bytes((out / name).read_bytes()[:-100])
    assert main(["predict", "--from", str(out), "--data", str(folder)]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_data_lists_the_places(folder, capsys):
    assert main(["data", "--data", str(folder)]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"^sample .*6,000 \+ 1,000 images", printed, re.M)
    assert f"bars in {folder}: 96 + 32 images of 16 by 16, 4 classes" in printed


def child(folder, out, *more, **options):
    command = [sys.executable, "-m", "d2l_bn", "train", "--data", str(folder), "--out", str(out)]
    command += ["--batch-size", "4", "--epochs", "6", "--lr", "0.1", *more]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


def wait_for(path, seconds=60):
    end = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < end, f"{path} never came"
        time.sleep(0.01)


@pytest.mark.slow
@pytest.mark.parametrize("pause", [0.0, 0.15, 0.4])
def test_kill_9_loses_nothing(folder, out, pause):
    whole = out.with_name("whole")
    with child(folder, whole) as run:
        assert run.wait() == 0
    with child(folder, out) as run:
        wait_for(out / run_folder.CHECKPOINT)
        time.sleep(pause)
        run.kill()
    with child(folder, out, "--resume") as run:
        assert run.wait() == 0, run.stderr.read()
    assert untimed(out) == untimed(whole)
    assert (out / run_folder.PARAMETERS).read_bytes() == (
        whole / run_folder.PARAMETERS
    ).read_bytes()
    assert {path.name for path in out.iterdir()} == {*run_folder.TRAINED}


@pytest.mark.parametrize("number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_with_a_message(folder, out, number, code):
    with child(folder, out, "--epochs", "1000") as run:
        wait_for(out / run_folder.CHECKPOINT)
        run.send_signal(number)
        _, err = run.communicate()
    assert run.returncode == code
    assert "--resume" in err and "Traceback" not in err


@pytest.mark.slow
def test_two_at_once(folder, out):
    with child(folder, out, "--epochs", "1000") as first:
        wait_for(out / run_folder.CHECKPOINT)
        with child(folder, out, "--resume") as second:
            _, err = second.communicate()
        first.kill()
    assert second.returncode == 2 and "in use by another run" in err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder(train, out, capsys):
    out.parent.mkdir()
    out.parent.chmod(0o500)
    assert train() == 1
    assert "Permission denied" in capsys.readouterr().err


def test_a_full_disk_keeps_the_last_checkpoint(train, out, capsys, monkeypatch):
    real, calls = os.fsync, []

    def fsync(descriptor):
        calls.append(1)
        if len(calls) == 5:  # the second checkpoint: each file before takes two, with its folder
            raise OSError(28, "No space left on device")
        real(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        assert train() == 1
    err = capsys.readouterr().err
    assert f"{out / run_folder.CHECKPOINT}: No space left on device" in err and "--resume" in err
    assert {path.name for path in out.iterdir()} == {run_folder.CHECKPOINT, run_folder.HISTORY}
    assert train("--resume") == 0


@pytest.mark.parametrize("damage", [lambda path: None, lambda path: os.truncate(path, 1000)])
def test_a_network_that_found_no_room_is_noticed(train, out, capsys, monkeypatch, damage):
    from mxnet import MXNetError, gluon

    real = gluon.Block.save_parameters

    def save(net, path):
        real(net, path)
        damage(path)
        if os.path.getsize(path) > 1000:
            raise MXNetError("FileStream.Write incomplete")

    with monkeypatch.context() as patch:
        patch.setattr(gluon.Block, "save_parameters", save)
        assert train() == 1
    assert "is the disk full?" in capsys.readouterr().err
    assert not run_folder.is_finished(out) and not (out / run_folder.PARAMETERS).exists()
    assert train("--resume") == 0
