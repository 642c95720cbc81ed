"""The command line, used as a person would and as a person would not."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from datasets import bars, written
from PIL import Image

import d2l_bn
from d2l_bn.data import load
from d2l_bn.program import run_folder
from d2l_bn.program.command_line import main
from d2l_bn.program.history import read_history
from d2l_bn.training import checkpoint

from mxnet import nd

TIMES = ("seconds", "examples_per_second")


@pytest.fixture
def folder(tmp_path):
    """A user's data set as four IDX files."""
    return written(bars(), tmp_path / "bars")


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
    assert f"compare {out} {out}-plain" in printed.out.splitlines()[-1]
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
    assert "finished already, and no other run was replacing it" in capsys.readouterr().out
    assert train("--resume", "--seed", "7") == 2
    assert "belongs to another run: seed is 7, there it was 0" in capsys.readouterr().err
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
        "compare",
        "predict --from nowhere",
        "predict --count 0",
        "predict nowhere.png --from nowhere",
        "train --context cpu(0),cpu(0)",
        "train --context cpu,cpu(0)",
        "train --batch-size 1000001",
        f"train --epochs 1{'0' * 400}",
        "train --out caf\udce9",
        "evaluate nowhere",
        "compare nowhere",
        "data convert nowhere",
        "data convert . --size 9",
        "data convert . --test 1",
        "export nowhere model.onnx",
        "export nowhere model.txt",
        "export nowhere . --folded",
        "data convert . --out /dev/null",
        "train --resume",
        "train --resume --data sample",
        "train --out /dev/null",
        'train --data ""',
        "compare nowhere --out /dev/null",
        "predict --out /dev/null",
        "evaluate --out /dev/null",
    ],
)
def test_a_bad_argument_gets_one_line_and_writes_nothing(arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    try:
        code = main(shlex.split(arguments))
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


def test_resume_without_a_run_starts_what_the_command_describes(train, out, capsys):
    assert train("--resume") == 0
    assert f"no run in {out} yet: starting it" in capsys.readouterr().out
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
    advice = re.search(r"Epochs kept: 1 of 2. To go on, run: (.+)", capsys.readouterr().err)[1]
    assert shlex.split(advice)[1:3] == ["-m", "d2l_bn"]
    assert main(shlex.split(advice)[3:]) == 0  # word for word: the settings are those of the run
    assert untimed(out) == untimed(whole)
    assert (out / run_folder.PARAMETERS).read_bytes() == (
        whole / run_folder.PARAMETERS
    ).read_bytes()


def test_make_says_make_resume(train, out, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(checkpoint, "save", stopping_after(1, checkpoint.save))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MAKELEVEL", "1")
    monkeypatch.setattr(sys, "prefix", "/home/reader/d2l_bn/.venv")
    assert train("--out", "runs/lenet") == 130
    assert "To go on, run: make resume\n" in capsys.readouterr().err
    assert train("--out", "runs/other") == 130
    assert "--resume --out runs/other\n" in capsys.readouterr().err


def test_a_replacement_that_is_interrupted_goes_on(train, out, capsys, monkeypatch):
    assert train() == 0
    before = untimed(out)
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save", stopping_after(1, checkpoint.save))
        assert train("--overwrite", "--seed", "5") == 130
    assert "The earlier run" in capsys.readouterr().err and untimed(out) == before
    assert main(["train", "--resume", "--out", str(out)]) == 0
    assert json.loads((out / run_folder.SUMMARY).read_text())["settings"]["seed"] == 5


def test_a_run_that_starts_anew_offers_to_go_on(train, out, capsys, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save", stopping_after(1, checkpoint.save))
        assert train() == 130
    assert train("--overwrite") == 0
    assert "To go on with it instead" in capsys.readouterr().out


DAMAGES = {
    "truncated": (lambda path: os.truncate(path, 5000), "is damaged, not a whole checkpoint"),
    "empty": (lambda path: path.write_bytes(b""), "is damaged, not a whole checkpoint"),
    "flipped": (lambda path: flip(path), "is damaged, not a whole checkpoint"),
    "other shape": (
        lambda path: edit(path, **{"parameter/0.weight": np.zeros((3, 3), np.float32)}),
        "is damaged, not a whole checkpoint",
    ),
    "a parameter missing": (
        lambda path: edit(path, **{"parameter/0.weight": None}),
        "is damaged, not a whole checkpoint",
    ),
    "other momentum": (
        lambda path: edit(path, **{"momentum/0.weight": np.zeros((3, 3), np.float32)}),
        "is damaged, not a whole checkpoint",
    ),
    "words": (
        lambda path: edit(path, **{"parameter/0.weight": np.array("words")}),
        "is damaged, not a whole checkpoint",
    ),
    "no JSON": (lambda path: edit(path, about=np.array("{")), "is damaged, not a whole checkpoint"),
    "momentum missing": (
        lambda path: edit(path, **{"momentum/0.weight": None}),
        "is damaged, not a whole checkpoint",
    ),
    "other version": (lambda path: tell(path, format=0), "is damaged, not a whole checkpoint"),
    "other epochs": (lambda path: tell(path, epochs="2"), "epochs must be a whole number"),
    "words to print": (lambda path: tell(path, norm="\x1b[31m"), "is damaged"),
    "a history that isn't": (lambda path: retell(path, history=[{}]), "is damaged, not a whole"),
    "other data": (lambda path: tell(path, data="MNIST"), "data is bars, .* there it was MNIST"),
    "other settings": (lambda path: tell(path, norm="none"), "is damaged, not a whole checkpoint"),
    "unknown settings": (lambda path: tell(path, lr=-1), "lr must be a positive number"),
    "words for settings": (lambda path: tell(path, lr="fast"), "settings of a wrong kind"),
    "a folder": (lambda path: (path.unlink(), path.mkdir()), "holds 'checkpoint.npz'"),
    "a pipe": (lambda path: (path.unlink(), os.mkfifo(path)), "holds 'checkpoint.npz'"),
    "missing": (lambda path: path.unlink(), "holds no run to go on with"),
}


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def edit(path, **changes):
    with np.load(path) as file:
        arrays = {**{name: file[name] for name in file.files}, **changes}
    content = io.BytesIO()
    np.savez(content, **{name: array for name, array in arrays.items() if array is not None})
    path.write_bytes(checkpoint.sealed(content))


def retell(path, **changes):
    with np.load(path) as file:
        about = json.loads(str(file["about"]))
    edit(path, about=np.array(json.dumps({**about, **changes})))


def tell(path, **changes):
    retell(path, identity={**checkpoint.read(path)[0], **changes})


@pytest.mark.slow
@pytest.mark.parametrize("damage, message", DAMAGES.values(), ids=DAMAGES)
def test_what_is_said_of_a_checkpoint_is_true(train, out, capsys, monkeypatch, damage, message):
    """The table of damages: what is said, that its advice works."""
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save", stopping_after(1, checkpoint.save))
        assert train() == 130
    damage(out / run_folder.CHECKPOINT)
    capsys.readouterr()
    code = main(["train", "--resume", "--out", str(out), "--data", str(out.parents[1] / "bars")])
    printed = capsys.readouterr()
    assert code in (1, 2) and re.fullmatch(f"d2l-bn train: .*{message}.*\n", printed.err)
    assert "whole:" not in printed.err and not run_folder.is_finished(out)
    if "--overwrite" in printed.err:
        assert train("--overwrite") == 0 and run_folder.is_finished(out)


def test_an_unusable_matplotlib_is_told_before_training(train, out, capsys, monkeypatch):
    monkeypatch.delattr(d2l_bn, "figures", raising=False)
    monkeypatch.setitem(sys.modules, "d2l_bn.figures", None)
    assert train() == 1
    assert "matplotlib doesn't import" in capsys.readouterr().err
    assert not out.exists()


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


def test_predict_labels_several_pictures(train, out, folder, tmp_path, capsys):
    train("--epochs", "8")
    paths = [tmp_path / f"{label}.png" for label in range(4)]
    for path, image in zip(paths, bars().test_images):
        Image.fromarray(image).save(path)
    capsys.readouterr()
    arguments = ["predict", *map(str, paths), str(tmp_path), "--from", str(out), "--json", "--show"]
    assert main(arguments) == 2  # the folder is no picture, the others are answered
    printed = capsys.readouterr()
    answers = json.loads(printed.out)
    best = [next(iter(answer["probabilities"])) for answer in answers[:4]]
    assert best == ["0", "1", "2", "3"] and "it is a folder" in answers[4]["error"]
    assert "it is a folder" in printed.err and (out / run_folder.PREDICTIONS).exists()


def test_predict_says_when_an_answer_means_little(train, out, folder, tmp_path, capsys):
    train()
    summary = json.loads((out / run_folder.SUMMARY).read_text())
    summary["data"]["framing"] = dict(longest=1, centre="box", strokes=False, brightness=[60, 70])
    (out / run_folder.SUMMARY).write_text(json.dumps(summary))
    page = np.zeros((64, 64), np.uint8)
    page[20:30] = 200
    Image.fromarray(page).save(tmp_path / "bar.png")
    capsys.readouterr()
    assert main(["predict", str(tmp_path / "bar.png"), "--from", str(out)]) == 0
    assert re.search("unlike every image of bars|unsure", capsys.readouterr().out)


def test_pictures_for_a_run_of_the_first_version(train, out, folder, tmp_path, capsys):
    """It didn't keep the framing; a data set without one, such as this, needs no words."""
    train()
    for name in ("0", "1"):
        (tmp_path / "mine" / name).mkdir(parents=True)
        Image.fromarray(bars().test_images[0]).save(tmp_path / "mine" / name / "a.png")
    picture = str(tmp_path / "mine" / "0" / "a.png")
    asked = (
        ["predict", picture, "--from", str(out), "--json"],
        ["evaluate", str(out), "--data", str(tmp_path / "mine"), "--json"],
    )
    capsys.readouterr()
    for arguments in asked:
        assert main(arguments) == 0 and capsys.readouterr().err == ""
    summary = json.loads((out / run_folder.SUMMARY).read_text())
    del summary["data"]["framing"]
    (out / run_folder.SUMMARY).write_text(json.dumps(summary))
    for arguments in asked:
        assert main(arguments) == 0
        printed = capsys.readouterr()
        assert printed.err.count("\n") == 1 and "train it again" in printed.err
        json.loads(printed.out)


def test_predict_counts_many_and_draws_some(train, out, monkeypatch, capsys):
    train()
    monkeypatch.setattr("d2l_bn.program.predict.DRAWN", 5)
    capsys.readouterr()
    assert main(["predict", "--from", str(out), "--count", "10000"]) == 0
    assert re.search(r"^\d+ of 32 right; the first 5 are in", capsys.readouterr().out)


def test_a_figure_goes_into_a_new_folder_and_over_no_folder(train, out, tmp_path, capsys):
    train()
    assert main(["predict", "--from", str(out), "--out", str(tmp_path / "new" / "a.png")]) == 0
    assert (tmp_path / "new" / "a.png").exists()
    (tmp_path / "link.png").symlink_to(tmp_path / "new" / "a.png")
    os.mkfifo(tmp_path / "pipe")
    for name, kind in (("new", "a folder"), ("link.png", "a link"), ("pipe", "no file")):
        assert main(["predict", "--from", str(out), "--out", str(tmp_path / name)]) == 2
        assert f"{tmp_path / name} is {kind}, and only a file" in capsys.readouterr().err


def test_evaluate_tells_accuracy_and_draws_confusions(train, out, capsys):
    train("--epochs", "8")
    capsys.readouterr()
    assert main(["evaluate", str(out)]) == 0
    text = capsys.readouterr().out
    assert re.search(r"bars, test images: \d+ of 32 right\naccuracy [\d.]+, with 95 %", text)
    assert len(re.findall(r"^[0-3] +8  ", text, re.M)) == 4
    assert main(["evaluate", str(out), "--json", "--out", str(out.with_name("figures"))]) == 0
    numbers = json.loads(capsys.readouterr().out)
    final = json.loads((out / run_folder.SUMMARY).read_text())["final"]
    assert numbers["accuracy"] == pytest.approx(final["test_accuracy"])
    assert numbers["interval"][0] < numbers["accuracy"] <= numbers["interval"][1]
    assert np.sum(numbers["confusions"]) == 32
    with Image.open(out.with_name("figures") / run_folder.CONFUSIONS) as picture:
        assert picture.width > 500


def test_evaluate_on_pictures_of_ones_own(train, out, tmp_path, capsys):
    train("--epochs", "8")
    for number, (image, label) in enumerate(zip(bars().test_images[:8], bars().test_labels)):
        path = tmp_path / "mine" / str(label) / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    capsys.readouterr()
    assert main(["evaluate", str(out), "--data", str(tmp_path / "mine"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["images"] == 8
    (tmp_path / "mine" / "3").rename(tmp_path / "mine" / "dog")
    assert main(["evaluate", str(out), "--data", str(tmp_path / "mine")]) == 2
    assert "must have the name of a class, got dog" in capsys.readouterr().err


def test_compare_prints_a_table(train, out, tmp_path, capsys):
    train()
    train("--norm", "none", "--out", str(out.with_name("plain")))
    capsys.readouterr()
    runs = [str(out), str(out.with_name("plain"))]
    assert main(["compare", *runs, "--out", str(tmp_path / "both.png")]) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split()[:3] == ["run", "norm", "data"] and [row.split()[1] for row in rows[:2]] == [
        "scratch",
        "none",
    ]
    assert (tmp_path / "both.png").exists()


def test_about_and_version(capsys):
    assert main(["about"]) == 0
    text = capsys.readouterr().out
    assert "mxnet 1.9.1" in text and re.search(r"^threads ", text, re.M)
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"d2l-bn {d2l_bn.__version__}\n"


def test_pictures_become_a_data_set(tmp_path, capsys):
    dataset, folder = bars(), tmp_path / "mine"
    for number, (image, label) in enumerate(zip(dataset.train_images, dataset.train_labels)):
        path = folder / ("north", "east", "south", "west")[label] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    assert main(["data", "convert", str(folder), "--size", "16"]) == 0
    assert "76 + 20 images of 16 by 16, 4 classes" in capsys.readouterr().out
    made = load(str(tmp_path / "mine-idx"))
    assert made.class_names == ("east", "north", "south", "west")
    together = np.concatenate([made.train_images, made.test_images])
    assert sorted(i.tobytes() for i in together) == sorted(
        i.tobytes() for i in dataset.train_images
    )
    assert main(["data", "convert", str(folder)]) == 2
    assert "must be a new or an empty folder" in capsys.readouterr().err
    (folder / "west" / "broken.png").write_bytes(b"?")
    assert main(["data", "convert", str(folder), "--out", str(tmp_path / "other")]) == 2
    assert "broken.png can't be read" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()


def test_predict_refuses_other_data(train, out, capsys):
    train()
    assert main(["predict", "--from", str(out), "--data", "sample"]) == 2
    assert "trained on bars" in capsys.readouterr().err


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def piped(path):
    path.unlink()
    os.mkfifo(path)


def saved(out, **changes):
    """Change arrays in the file of parameters, and the hash of it in the summary, as one can."""
    path = out / run_folder.PARAMETERS
    arrays = {**nd.load(str(path)), **changes}
    nd.save(str(path), arrays)
    said(out, lambda summary: summary.update(network={}))


def said(out, change):
    summary = json.loads((out / run_folder.SUMMARY).read_text())
    change(summary)
    (out / run_folder.SUMMARY).write_text(json.dumps(summary))


def of_data(**changes):
    return lambda out: said(out, lambda summary: summary["data"].update(changes))


FRAMING = dict(longest=1, centre="box", strokes=False, brightness=[60, 70])
STRANGERS = {  # what is done to a run, and what is said of it
    "cut parameters": (lambda out: cut(out / run_folder.PARAMETERS), "of another run"),
    "cut summary": (lambda out: cut(out / run_folder.SUMMARY), "is damaged"),
    "parameters in a pipe": (lambda out: piped(out / run_folder.PARAMETERS), "a regular file"),
    "a summary in a pipe": (lambda out: piped(out / run_folder.SUMMARY), "a regular file"),
    "sparse": (
        lambda out: saved(out, **{"0.weight": nd.ones((6, 1, 5, 5)).tostype("row_sparse")}),
        "of another run",
    ),
    "float64": (
        lambda out: saved(out, **{"0.bias": nd.zeros((6,), dtype="float64")}),
        "of another run",
    ),
    "other shape": (lambda out: saved(out, **{"0.bias": nd.zeros((7,))}), "of another run"),
    "one more": (lambda out: saved(out, more=nd.zeros((7,))), "of another run"),
    "no numbers": (lambda out: saved(out, **{"0.bias": nd.full((6,), np.nan)}), "of another run"),
    "too large": (lambda out: saved(out, **{"14.weight": nd.full((4, 84), 3e38)}), "answers NaN"),
    "a huge image": (of_data(image_shape=[100_000, 100_000]), "of another run"),
    "an image of words": (of_data(image_shape=["a", "b"]), "is damaged"),
    "control characters": (of_data(name="\x1b[31mred"), "can't be printed"),
    "the same class": (of_data(classes=["a"] * 4), "a printable name of its own"),
    "NaN": (of_data(train_images=np.nan), "is damaged"),
    "framing of words": (of_data(framing={**FRAMING, "longest": "long"}), "is damaged"),
    "framing of nothing": (of_data(framing={**FRAMING, "longest": -1}), "is damaged"),
}


@pytest.mark.parametrize("change, message", STRANGERS.values(), ids=STRANGERS)
def test_a_run_of_a_stranger_is_refused_in_one_line(train, out, folder, capsys, change, message):
    train()
    change(out)
    capsys.readouterr()
    assert main(["predict", "--from", str(out), "--data", str(folder)]) in (1, 2)
    printed = capsys.readouterr()
    line = printed.err.rstrip("\n")
    assert message in line and line.isprintable() and printed.out == ""
    assert not (out / run_folder.PREDICTIONS).exists()


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


def wait_for(path, seconds=600):
    end = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < end, f"{path} never came"
        time.sleep(0.01)


KILLS = int(os.environ.get("D2L_BN_KILLS", "5"))  # of each kind, more to be sure
OWN = [
    "--norm",
    "none",
    "--seed",
    "5",
    "--pooling",
    "average",
    "--momentum",
    "0.5",
    "--schedule",
    "constant",
]


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("replaced", [False, True])
def test_kill_9_loses_nothing(folder, tmp_path, replaced):
    """From the start of the process to its end, in a new folder or in that of a finished run."""
    whole, other, begun = tmp_path / "whole", tmp_path / "other", 0
    start = time.monotonic()
    with child(folder, whole, *OWN) as run:
        assert run.wait() == 0
    seconds = time.monotonic() - start
    with child(folder, other, "--epochs", "1") as run:
        assert run.wait() == 0
    for number in range(KILLS):
        out = tmp_path / str(number)
        if replaced:
            shutil.copytree(other, out)
        settings = [*OWN, "--overwrite"] if replaced else OWN
        with child(folder, out, *settings) as run:
            with contextlib.suppress(subprocess.TimeoutExpired):
                run.wait(seconds * (number + 0.5) / KILLS)
            run.kill()
        resume = [sys.executable, "-m", "d2l_bn", "train", "--resume", "--out", str(out)]
        done = subprocess.run(resume, capture_output=True, text=True)
        if not run_folder.is_finished(out) or untimed(out) == untimed(other):  # it hadn't begun
            said = "no other run was replacing it" if replaced else "holds no run to go on with"
            assert said in done.stdout + done.stderr
            with child(folder, out, *settings) as run:
                assert run.wait() == 0, run.stderr.read()
        else:
            assert done.returncode == 0
            begun += 1
        assert untimed(out) == untimed(whole)
        parameters = [(run / run_folder.PARAMETERS).read_bytes() for run in (out, whole)]
        assert parameters[0] == parameters[1]
        assert {path.name for path in out.iterdir()} == {*run_folder.TRAINED}
    print(f"{begun} of {KILLS} had begun")
    assert begun


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_a_closed_stream_is_no_reason_to_fail(closed):
    command = f"{shlex.quote(sys.executable)} -m d2l_bn about {closed}"
    done = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert done.returncode == 0 and "Traceback" not in done.stderr
