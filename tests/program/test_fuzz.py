"""Whatever the arguments and the files are, the answer is a result or one line."""

from __future__ import annotations

import contextlib
import io
import os
from contextlib import redirect_stderr, redirect_stdout

import pytest
from datasets import bars, written
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from d2l_bn.data import load
from d2l_bn.data.dataset import FILES
from d2l_bn.program import run_folder
from d2l_bn.program.command_line import main
from d2l_bn.system.errors import InputError

pytestmark = pytest.mark.slow
TRIES = 500  # of each of the four tests

OPTIONS = {
    "train": "norm data recipe batch-size lr momentum schedule epochs pooling seed context out",
    "predict": "from data count out show json",
    "evaluate": "data out json",
    "compare": "out",
    "data": "data",
    "export": "gluon folded",
    "about": "",
}
ODD = ["", "-1", "0", "1", "2", "7", "1e999", "nan", "-inf", "1" * 401, "0x10", "²", "٣", "auto"]
ODD += ["sample", "bars", "run", "run/lenet.params", "picture.png", "pipe", "/dev/null", "/", "."]
ODD += ["..", "~", "a\0b", "\udce9", "x" * 300, "none", "gluon", "cpu(0)", "cpu(0),cpu(0)", "gpu"]
ODD += ["cpu(1),cpu(0)", "cosine", "max", "source", "--", "-", "--resume", "--overwrite", "\n"]
words = st.sampled_from(ODD) | st.text(max_size=12)


@st.composite
def command_lines(draw):
    """A command with options that it knows, or nearly, and values that suit them, or not."""
    command = draw(st.sampled_from([*OPTIONS, *OPTIONS, "dance"]))
    line = [command]
    for name in draw(
        st.lists(st.sampled_from(OPTIONS.get(command, "").split() or ["x"]), max_size=4)
    ):
        line += [f"--{name}", draw(words)]
    return [*line, *draw(st.lists(words, max_size=2))]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with data, a run, a picture and a pipe."""
    home = tmp_path_factory.mktemp("home")
    dataset = bars()
    written(dataset, home / "bars")
    Image.fromarray(dataset.test_images[0]).save(home / "picture.png")
    os.mkfifo(home / "pipe")
    short = ["--epochs", "1", "--batch-size", "32"]
    train = ["train", "--data", str(home / "bars"), "--out", str(home / "run"), *short]
    assert answer(train)[0] == 0
    return home


def answer(arguments):
    """The exit code and what was printed on stderr; a traceback is an exception here."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            code = main(arguments)
        except SystemExit as stop:
            code = stop.code or 0
    return code, err.getvalue()


def check(arguments):
    code, err = answer(arguments)
    assert code in (0, 1, 2)
    lines = [line for line in err.splitlines() if line]
    assert code == 0 or lines[-1].startswith("d2l-bn"), err
    assert len(lines) <= 3, err
    return code


relaxed = settings(
    max_examples=TRIES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture
def there(home, tmp_path, monkeypatch):
    """Work in a copy of nothing: a folder from where the names in `ODD` lead into `home`."""
    for name in ("bars", "run", "picture.png", "pipe"):
        (tmp_path / name).symlink_to(home / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("D2L_BN_DATA", str(tmp_path / "cache"))
    monkeypatch.setattr("d2l_bn.data.download.HOSTS", ())
    monkeypatch.setattr("d2l_bn.data.places.DEBIAN", tmp_path / "debian")
    return tmp_path


def never(*_, **__):
    raise KeyboardInterrupt  # here the work would begin


@relaxed
@given(command_lines())
def test_any_arguments(there, arguments):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("d2l_bn.program.train.fit", never)
        code, err = answer(arguments)
        assert code in (0, 1, 2, 130), err
        assert code == 0 or err.splitlines()[-1].startswith("d2l-bn"), err


def damaged(data, content):
    """Cut the content, and change some bytes of it."""
    content = bytearray(content[: data.draw(st.integers(0, len(content)))])
    for _ in range(data.draw(st.integers(0, 3))) if content else ():
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    return bytes(content)


@relaxed
@given(st.data(), st.sampled_from(["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"]))
def test_any_picture(home, tmp_path, data, kind):
    path = tmp_path / "any"
    Image.fromarray(bars().test_images[0]).resize((40, 30)).save(path, kind)
    path.write_bytes(damaged(data, path.read_bytes()))
    check(["predict", str(path), "--from", str(home / "run")])


@relaxed
@given(st.data(), st.sampled_from(sorted({*run_folder.TRAINED} - {run_folder.CURVES})))
def test_any_damage_to_a_run(home, tmp_path, data, name):
    run = tmp_path / "run"
    run.mkdir(exist_ok=True)
    for file in run_folder.TRAINED:
        (run / file).write_bytes((home / "run" / file).read_bytes())
    (run / name).write_bytes(damaged(data, (run / name).read_bytes()))
    if name == run_folder.CHECKPOINT:
        (run / run_folder.SUMMARY).unlink()
        check(["train", "--resume", "--out", str(run), "--data", str(home / "bars")])
        return
    if name == run_folder.HISTORY:
        check(["compare", str(run), "--out", str(tmp_path / "curves.png")])
    else:
        check(["predict", str(home / "picture.png"), "--from", str(run)])


@relaxed
@given(st.data(), st.sampled_from(FILES))
def test_any_damage_to_data(home, tmp_path, data, name):
    folder = tmp_path / "bars"
    folder.mkdir(exist_ok=True)
    for file in FILES:
        (folder / f"{file}.gz").write_bytes((home / "bars" / f"{file}.gz").read_bytes())
    path = folder / f"{name}.gz"
    path.write_bytes(damaged(data, path.read_bytes()))
    with contextlib.suppress(InputError):
        load(str(folder))
