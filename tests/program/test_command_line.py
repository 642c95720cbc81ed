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

import matplotlib
import numpy as np
import pytest
from datasets import bars, untimed, written
from PIL import Image

import d2l_bn
from d2l_bn.data import load
from d2l_bn.program import run_folder
from d2l_bn.program.command_line import main
from d2l_bn.program.history import read_history
from d2l_bn.training import checkpoint

from mxnet import nd


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


@pytest.fixture
def stopped(train, monkeypatch):
    """The same, but it is interrupted after the first of its epochs."""
    real = checkpoint.save

    def save(path, net, trainer, identity, history):
        real(path, net, trainer, identity, history)
        if len(history) == 1:
            raise KeyboardInterrupt

    def run(*more: str) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(checkpoint, "save", save)
            assert train(*more) == 130

    return run


def rows(out):
    return untimed(read_history(out / run_folder.HISTORY))


def summary_of(out):
    return json.loads((out / run_folder.SUMMARY).read_text())


def test_train_leaves_everything(train, out, capsys):
    assert train() == 0
    printed = capsys.readouterr()
    assert len(re.findall(r"^epoch \d/2   loss", printed.out, re.M)) == 2
    assert str(out / run_folder.CURVES) in printed.out and "test accuracy" in printed.out
    assert f"compare {out} {out}-plain" in printed.out.splitlines()[-1]
    assert {path.name for path in out.iterdir()} == {*run_folder.TRAINED}
    summary = summary_of(out)
    assert summary["settings"]["lr"] == 0.1 and summary["settings"]["momentum"] == 0.9
    assert summary["data"]["name"] == "bars" and summary["data"]["train_images"] == 96
    assert summary["final"]["test_accuracy"] == rows(out)[-1]["test_accuracy"]
    assert summary["versions"]["mxnet"] == "1.9.1"
    with Image.open(out / run_folder.CURVES) as picture:
        assert picture.width > 1000


def test_the_recipe_of_the_source(train, out):
    assert train("--recipe", "source") == 0
    settings = summary_of(out)["settings"]
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
        "train --epochs many",
        "train --lr nan",
        "train --recipe soup",
        "train --data nowhere",
        "train --resume --overwrite",
        "train --speed 9",
        "compare",
        "predict --from nowhere",
        "predict --count 0",
        "predict nowhere.png --from nowhere",
        f"train --epochs 1{'0' * 400}",
        f"train --out {'a/' * 2000}a",
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


def test_an_interrupted_run_says_how_to_go_on(train, stopped, out, capsys):
    whole = out.with_name("whole")
    assert train("--out", str(whole)) == 0
    stopped()
    advice = re.search(r"Epochs kept: 1 of 2. To go on, run: (.+)", capsys.readouterr().err)[1]
    assert shlex.split(advice)[1:3] == ["-m", "d2l_bn"]
    assert train("--resume", "--seed", "3") == 2
    assert "seed is 3, there it was 0" in capsys.readouterr().err
    assert main(shlex.split(advice)[3:]) == 0  # word for word: the settings are those of the run
    assert rows(out) == rows(whole)
    parameters = [(run / run_folder.PARAMETERS).read_bytes() for run in (out, whole)]
    assert parameters[0] == parameters[1]


def test_make_says_make_resume(stopped, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MAKELEVEL", "1")
    monkeypatch.setattr(sys, "prefix", "/home/reader/d2l_bn/.venv")
    stopped("--out", "runs/lenet")
    assert "To go on, run: make resume\n" in capsys.readouterr().err
    stopped("--out", "runs/other")
    assert "--resume --out runs/other\n" in capsys.readouterr().err


def test_a_replacement_that_is_interrupted_goes_on(train, stopped, out, capsys):
    assert train() == 0
    before = rows(out)
    stopped("--overwrite", "--seed", "5")
    assert "The earlier run" in capsys.readouterr().err and rows(out) == before
    assert main(["train", "--resume", "--out", str(out)]) == 0
    assert summary_of(out)["settings"]["seed"] == 5


def test_a_run_that_starts_anew_offers_to_go_on(train, stopped, capsys):
    stopped()
    assert train("--overwrite") == 0
    assert "To go on with it instead" in capsys.readouterr().out


PART, SMALL = "is damaged, not a whole checkpoint", np.zeros((3, 3), np.float32)
DAMAGES = {
    "truncated": (lambda path: os.truncate(path, 5000), PART),
    "empty": (lambda path: path.write_bytes(b""), PART),
    "flipped": (lambda path: flip(path), PART),
    "other shape": (lambda path: edit(path, **{"parameter/0.weight": SMALL}), PART),
    "a parameter missing": (lambda path: edit(path, **{"parameter/0.weight": None}), PART),
    "other momentum": (lambda path: edit(path, **{"momentum/0.weight": SMALL}), PART),
    "words": (lambda path: edit(path, **{"parameter/0.weight": np.array("words")}), PART),
    "no JSON": (lambda path: edit(path, about=np.array("{")), PART),
    "momentum missing": (lambda path: edit(path, **{"momentum/0.weight": None}), PART),
    "other version": (lambda path: tell(path, format=0), PART),
    "other epochs": (lambda path: tell(path, epochs="2"), "epochs must be a whole number"),
    "words to print": (lambda path: tell(path, norm="\x1b[31m"), PART),
    "a history that isn't": (lambda path: retell(path, history=[{}]), PART),
    "other data": (lambda path: tell(path, data="MNIST"), "data is bars, .* there it was MNIST"),
    "other settings": (lambda path: tell(path, norm="none"), PART),
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
def test_what_is_said_of_a_checkpoint_is_true(train, stopped, out, capsys, damage, message):
    """The table of damages: what is said, that its advice works."""
    stopped()
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
    of_data(framing=FRAMING)(out)
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
    said(out, lambda summary: summary["data"].pop("framing"))
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
    assert main(["predict", "--from", str(out), "--out", str(tmp_path / "new")]) == 2
    assert f"{tmp_path / 'new'} is a folder, and only a file" in capsys.readouterr().err
    for command in (["predict", "--from"], ["compare"]):
        assert main([*command, str(out), "--out", str(out / run_folder.PARAMETERS)]) == 2
        assert "is a file, and no .png to be replaced" in capsys.readouterr().err


COMMANDS = "compare RUN --out", "predict --from RUN --out", "evaluate RUN --out", "export RUN"


@pytest.mark.parametrize("command", [*COMMANDS, "export --gluon RUN", "data convert . --out"])
def test_what_has_no_place_is_refused_before_any_work(train, out, capsys, command):
    train()
    capsys.readouterr()
    place, words = out / run_folder.PARAMETERS, command.replace("RUN", str(out)).split()
    assert main([*words, str(place / "new" / "a.onnx")]) == 2
    printed = capsys.readouterr()
    assert f"{place} is no folder" in printed.err and printed.out == ""
    assert main([*words, str(out / ("x" * 300 + ".onnx"))]) == 1
    assert "File name too long" in capsys.readouterr().err


def test_evaluate_tells_accuracy_and_draws_confusions(train, out, capsys):
    train("--epochs", "8")
    capsys.readouterr()
    assert main(["evaluate", str(out)]) == 0
    text = capsys.readouterr().out
    assert re.search(r"bars, test images: \d+ of 32 right\naccuracy [\d.]+, with 95 %", text)
    assert len(re.findall(r"^[0-3] +8  ", text, re.M)) == 4
    assert main(["evaluate", str(out), "--json", "--out", str(out.with_name("figures"))]) == 0
    numbers = json.loads(capsys.readouterr().out)
    assert numbers["accuracy"] == pytest.approx(summary_of(out)["final"]["test_accuracy"])
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
    words = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert words[0][:3] == ["run", "norm", "data"]
    assert [words[1][1], words[2][1]] == ["scratch", "none"]
    assert (tmp_path / "both.png").exists()


def test_settings_of_a_matplotlibrc_change_no_figure(train, out, monkeypatch):
    train()
    pictures = []
    for value in (False, True):  # LaTeX may be missing, or run what a stranger has written
        monkeypatch.setitem(matplotlib.rcParams, "text.usetex", value)
        assert main(["compare", str(out), "--out", str(out.with_name("c.png"))]) == 0
        pictures.append(out.with_name("c.png").read_bytes())
    assert pictures[0] == pictures[1]
    monkeypatch.chdir(out)
    os.mkfifo("matplotlibrc")
    assert main(["compare", str(out), "--out", str(out.with_name("c.png"))]) == 1


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


def saved(**changes):
    """Change arrays in the file of parameters, and the hash of it in the summary, as one can."""

    def change(out):
        path = str(out / run_folder.PARAMETERS)
        nd.save(path, {**nd.load(path), **changes})
        said(out, lambda summary: summary.update(network={}))

    return change


def said(out, change):
    summary = summary_of(out)
    change(summary)
    (out / run_folder.SUMMARY).write_text(json.dumps(summary))


def of_data(**changes):
    return lambda out: said(out, lambda summary: summary["data"].update(changes))


FRAMING = dict(longest=1, centre="box", strokes=False, brightness=[60, 70])
OTHER = "of another run"
STRANGERS = {  # what is done to a run, and what is said of it
    "cut parameters": (lambda out: cut(out / run_folder.PARAMETERS), OTHER),
    "cut summary": (lambda out: cut(out / run_folder.SUMMARY), "is damaged"),
    "parameters in a pipe": (lambda out: piped(out / run_folder.PARAMETERS), "a regular file"),
    "a summary in a pipe": (lambda out: piped(out / run_folder.SUMMARY), "a regular file"),
    "sparse": (saved(**{"0.weight": nd.ones((6, 1, 5, 5)).tostype("row_sparse")}), OTHER),
    "float64": (saved(**{"0.bias": nd.zeros((6,), dtype="float64")}), OTHER),
    "other shape": (saved(**{"0.bias": nd.zeros((7,))}), OTHER),
    "one more": (saved(more=nd.zeros((7,))), OTHER),
    "no numbers": (saved(**{"0.bias": nd.full((6,), np.nan)}), OTHER),
    "too large": (saved(**{"14.weight": nd.full((4, 84), 3e38)}), "answers NaN"),
    "a huge image": (of_data(image_shape=[100_000, 100_000]), OTHER),
    "an image of words": (of_data(image_shape=["a", "b"]), "is damaged"),
    "a long text": (of_data(framing={"a" * 10**5: 1}), "train again"),
    "control characters": (of_data(name="\x1b[31mred"), "can't be printed"),
    "257 classes": (of_data(classes=[*map(str, range(257))]), "too many classes"),
    "the same class": (of_data(classes=["a"] * 4), "a printable name of its own"),
    "NaN": (of_data(train_images=np.nan), "is damaged"),
    "a part of words": (lambda out: said(out, lambda s: s.update(settings="a")), "is damaged"),
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
    assert message in line and line.isprintable() and len(line) < 5000 and printed.out == ""
    assert not (out / run_folder.PREDICTIONS).exists()
    main(["train", "--resume", "--out", str(out)])
    assert capsys.readouterr().err.count("\n") <= 1


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
OWN = shlex.split("--norm none --seed 5 --pooling average --momentum 0.5 --schedule constant")


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
        if not run_folder.is_finished(out) or rows(out) == rows(other):  # it hadn't begun
            answer = "no other run was replacing it" if replaced else "holds no run to go on with"
            assert answer in done.stdout + done.stderr
            with child(folder, out, *settings) as run:
                assert run.wait() == 0, run.stderr.read()
        else:
            assert done.returncode == 0
            begun += 1
        assert rows(out) == rows(whole)
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
