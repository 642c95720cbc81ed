"""A checkpoint is all that a run needs to go on as if it had never stopped, in one file.

The file is NumPy's ``npz`` without pickled objects, so that loading one never executes code. It
ends with the SHA-256 of all that comes before, as the comment of the zip file that it is.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
import zlib
from dataclasses import asdict
from pathlib import Path

import numpy as np

from d2l_bn.data.dataset import Dataset
from d2l_bn.system.errors import InputError, RunError
from d2l_bn.system.files import read_json, read_regular, replacing
from d2l_bn.training.run import check_history
from d2l_bn.training.settings import Settings

from mxnet import gluon, nd

FORMAT = 3
WITHOUT_HASH = 2  # the format of version 0.2, which is still read
NOT_COMPARED = ("address", "format")  # the same data may lie elsewhere now
HASH = 64  # hexadecimal digits


class Damaged(RunError):
    """A checkpoint can't be used, whatever the settings are."""


def identity(settings: Settings, dataset: Dataset) -> dict:
    """What must be the same when a run goes on: the format, the settings and every image.

    Besides, under "address", where the data can be asked for again.
    """
    arrays = dataset.train_images, dataset.train_labels, dataset.test_images, dataset.test_labels
    checks = [zlib.crc32(array.tobytes()) for array in arrays]
    data = f"{dataset.name}, checksums {' '.join(f'{check:08x}' for check in checks)}"
    return {"format": FORMAT, **asdict(settings), "data": data, "address": dataset.address}


def save(
    path: Path, net: gluon.Block, trainer: gluon.Trainer, identity: dict, history: list[dict]
) -> None:
    """Write parameters, statistics, momentum and the epochs done, whole or not at all."""
    arrays = {f"parameter/{name}": p.data().asnumpy() for name, p in _values(net).items()}
    states = trainer._updaters[0].states  # with several contexts, all updaters hold the same
    for name, index in _indices(net, trainer).items():
        if states.get(index) is not None:
            arrays[f"momentum/{name}"] = states[index].asnumpy()
    about = json.dumps({"identity": identity, "history": history})
    content = io.BytesIO()  # in memory first: on a full disk, savez hides the reason
    np.savez(content, about=np.array(about), **arrays)
    with replacing(path) as temporary:
        temporary.write_bytes(sealed(content))


def sealed(content: io.BytesIO) -> bytes:
    """The bytes of an ``npz`` file with their hash as its comment."""
    with zipfile.ZipFile(content, "a") as file:
        file.comment = bytes(HASH)
    rest = content.getvalue()[:-HASH]
    return rest + hashlib.sha256(rest).hexdigest().encode()


def load(path: Path, net: gluon.Block, trainer: gluon.Trainer, identity: dict) -> list[dict]:
    """Put a checkpoint back into `net` and `trainer`, and return the history.

    InputError if it comes from other settings or data, Damaged if the file is damaged: `net` and
    `trainer` then stay as they are.
    """
    saved, history, arrays = read(path)
    require_same(path, saved, identity)
    shapes = {f"parameter/{name}": parameter.shape for name, parameter in _values(net).items()}
    if history and identity["momentum"]:  # without it the next step would be another
        trained = {name for name, p in _values(net).items() if p.grad_req != "null"}
        shapes.update({f"momentum/{name}": shapes[f"parameter/{name}"] for name in trained})
    found = {name: array.shape for name, array in arrays.items() if array.dtype == np.float32}
    if found != shapes or arrays.keys() != shapes.keys() or len(history) > identity["epochs"]:
        raise _damaged(path)
    for name, parameter in _values(net).items():
        parameter.set_data(nd.array(arrays[f"parameter/{name}"]))
    _set_momentum(net, trainer, arrays)
    return history


def require_same(path: Path, saved: dict, identity: dict) -> None:
    """Raise InputError, with the differences, where settings or data are those of another run."""
    differences = [
        f"{name} is {identity[name]}, there it was {saved.get(name)}"
        for name in identity
        if saved.get(name) != identity[name] and name not in NOT_COMPARED
    ]
    if differences:
        raise InputError(
            f"{path} belongs to another run: {'; '.join(differences)}. Use the same settings, "
            "another --out, or --overwrite"
        )


def read(path: Path) -> tuple[dict, list[dict], dict[str, np.ndarray]]:
    """The identity, the history and the arrays of a checkpoint; Damaged if it isn't a whole one."""
    content = read_regular(path)
    whole = hashlib.sha256(content[:-HASH]).hexdigest().encode() == content[-HASH:]
    try:
        if not whole and content[-22:-18] != b"PK\5\6":  # a zip file without a comment
            raise ValueError("its hash is another")
        with zipfile.ZipFile(io.BytesIO(content)) as file:
            parts = file.infolist()
        if any(p.compress_type for p in parts) or sum(p.file_size for p in parts) > len(content):
            raise ValueError("a small file would fill memory")
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        about = read_json(str(arrays.pop("about")))
        saved, history = about["identity"], list(about["history"])
        if saved["format"] != (FORMAT if whole else WITHOUT_HASH):
            raise ValueError("it is of another version")
        check_history(history)
    except Exception as error:  # NumPy, zipfile and json raise of every kind for damaged files
        raise _damaged(path) from error
    return saved, history, arrays


def _damaged(path: Path) -> Damaged:
    return Damaged(f"{path} is damaged, not a whole checkpoint; --overwrite starts anew")


def _values(net: gluon.Block) -> dict[str, gluon.Parameter]:
    return net._collect_params_with_prefix()


def _indices(net: gluon.Block, trainer: gluon.Trainer) -> dict[str, int]:
    # The trainer sorts by full name, and "batchnorm10" comes before "batchnorm9": the order, and
    # with it the index, is another for the second network of a program.
    index = {parameter: number for number, parameter in enumerate(trainer._params)}
    return {name: index[parameter] for name, parameter in _values(net).items()}


def _set_momentum(net: gluon.Block, trainer: gluon.Trainer, arrays: dict[str, np.ndarray]) -> None:
    # Not with Trainer.load_states: that would unpickle.
    for name, index in _indices(net, trainer).items():
        for updater, context in zip(trainer._updaters, trainer._contexts):
            if f"momentum/{name}" in arrays:
                updater.states[index] = nd.array(arrays[f"momentum/{name}"], ctx=context)
                updater.states_synced[index] = True
