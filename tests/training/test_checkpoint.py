"""A run that goes on from a checkpoint is the run that never stopped."""

from __future__ import annotations

import json
import os
import pickle

import numpy as np
import pytest
from datasets import bars, untimed, values

from d2l_bn.system.errors import InputError, RunError
from d2l_bn.training import Settings, checkpoint
from d2l_bn.training import run as train

SETTINGS = Settings(epochs=3, batch_size=32, lr=0.1)


def start(settings=None, dataset=None):
    settings, dataset = settings or SETTINGS, dataset or bars()
    net = train.build(settings, dataset)
    trainer = train.make_trainer(net, settings)
    return net, trainer, checkpoint.identity(settings, dataset)


class Interrupted(Exception):
    pass


def run_until(path, epoch):
    """Train with a checkpoint after each epoch, up to a sudden end after `epoch`."""
    net, trainer, identity = start()

    def on_epoch(history):
        checkpoint.save(path, net, trainer, identity, history)
        if len(history) == epoch:
            raise Interrupted

    with pytest.raises(Interrupted):
        train.fit(net, bars(), SETTINGS, trainer=trainer, on_epoch=on_epoch)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "checkpoint.npz"


@pytest.mark.slow
@pytest.mark.parametrize("epoch", [1, 2])
@pytest.mark.parametrize("context", ["cpu(0)", "cpu(0),cpu(1)"])
def test_a_resumed_run_is_bit_identical(path, epoch, context, monkeypatch):
    settings = Settings(epochs=3, batch_size=32, lr=0.1, context=context)
    monkeypatch.setitem(globals(), "SETTINGS", settings)
    whole, trainer, _ = start(settings)
    history = train.fit(whole, bars(), settings, trainer=trainer)

    run_until(path, epoch)
    net, trainer, identity = start(settings)
    resumed = checkpoint.load(path, net, trainer, identity)
    assert len(resumed) == epoch
    resumed = train.fit(net, bars(), settings, trainer=trainer, history=resumed)
    assert untimed(resumed) == untimed(history)
    for name, value in values(whole).items():
        assert (values(net)[name] == value).all(), name


@pytest.mark.parametrize(
    "change, name",
    [
        (dict(lr=0.2), "lr is 0.2, there it was 0.1"),
        (dict(seed=7), "seed"),
        (dict(norm="gluon"), "norm"),
        (dict(epochs=4), "epochs"),
        (dict(pooling="average"), "pooling"),
    ],
)
def test_another_run_is_refused_with_the_difference(path, change, name):
    run_until(path, 1)
    net, trainer, identity = start(Settings(**{"epochs": 3, "batch_size": 32, "lr": 0.1, **change}))
    before = values(net)
    with pytest.raises(InputError, match=name):
        checkpoint.load(path, net, trainer, identity)
    assert all((before[key] == value).all() for key, value in values(net).items())


def test_other_images_are_refused(path):
    run_until(path, 1)
    net, trainer, identity = start(dataset=bars(train=97))
    with pytest.raises(InputError, match="data is bars"):
        checkpoint.load(path, net, trainer, identity)


@pytest.mark.parametrize("flips", [200, pytest.param(20_000, marks=pytest.mark.slow)])
def test_no_changed_bit_passes(path, flips):
    """Every other one is in the directory of the zip file, at its end."""
    run_until(path, 1)
    content, rng = path.read_bytes(), np.random.default_rng(0)
    directory = content.index(b"PK\1\2")
    with path.open("r+b", buffering=0) as file:
        for number in range(flips):
            place = int(rng.integers(directory if number % 2 else 0, len(content)))
            os.pwrite(file.fileno(), bytes([content[place] ^ 1 << rng.integers(8)]), place)
            with pytest.raises(checkpoint.Damaged, match="not a whole checkpoint"):
                checkpoint.read(path)
            os.pwrite(file.fileno(), content[place : place + 1], place)
    assert len(checkpoint.read(path)[1]) == 1
    for other in (content + b"\0", *(content[: int(len(content) * part)] for part in (0.3, 0.999))):
        path.write_bytes(other)
        with pytest.raises(checkpoint.Damaged):
            checkpoint.read(path)


def test_a_file_of_the_last_version_is_read(path):
    """It had no hash, and the number of its format was 2."""
    run_until(path, 1)
    _, history, arrays = checkpoint.read(path)
    net, trainer, identity = start()
    about = json.dumps({"identity": {**identity, "format": 2}, "history": history})
    with path.open("wb") as file:
        np.savez(file, about=np.array(about), **arrays)
    assert checkpoint.load(path, net, trainer, identity) == history
    assert np.array_equal(values(net)["0.weight"], arrays["parameter/0.weight"])


def test_a_small_file_does_not_fill_memory(path):
    np.savez_compressed(path, about=np.array("{}"), big=np.zeros(10**7))
    with pytest.raises(checkpoint.Damaged) as raised:
        checkpoint.read(path)
    assert "would fill memory" in str(raised.value.__cause__)


class Harmful:
    def __reduce__(self):
        return os.mkdir, (os.environ["HARM"],)


@pytest.mark.parametrize("inside", [True, False])
def test_loading_never_executes_code(path, tmp_path, monkeypatch, inside):
    monkeypatch.setenv("HARM", str(tmp_path / "harm"))
    if inside:
        np.savez(path, about=np.array([Harmful()], dtype=object))
    else:
        path.write_bytes(pickle.dumps(Harmful()))
    with pytest.raises(RunError):
        checkpoint.load(path, *start())
    assert not (tmp_path / "harm").exists()
