"""A checkpoint is all that a run needs to go on as if it had never stopped, in one file.

The file is NumPy's ``npz`` without pickled objects, so that loading one never executes code.
"""

from __future__ import annotations

import io
import json
import zlib
from dataclasses import asdict
from pathlib import Path

import numpy as np

from d2l_bn.data.dataset import Dataset
from d2l_bn.system.errors import InputError, RunError
from d2l_bn.system.files import replacing
from d2l_bn.training.settings import Settings

from mxnet import gluon, nd

FORMAT = 2
NOT_COMPARED = "address"  # the same data may lie elsewhere now


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
    """Write a checkpoint, whole or not at all.

    Parameters
    ----------
    path : Path
        The file, replaced if it is there.
    net : Block
        Its parameters and statistics are saved.
    trainer : gluon.Trainer
        The momentum of each parameter is saved.
    identity : dict
        What `identity` returned.
    history : list of dict
        The epochs done.
    """
    arrays = {f"parameter/{name}": p.data().asnumpy() for name, p in _values(net).items()}
    states = trainer._updaters[0].states  # with several contexts, all updaters hold the same
    for name, index in _indices(net, trainer).items():
        if states.get(index) is not None:
            arrays[f"momentum/{name}"] = states[index].asnumpy()
    about = json.dumps({"identity": identity, "history": history})
    content = io.BytesIO()  # in memory first: on a full disk, savez hides the reason
    np.savez(content, about=np.array(about), **arrays)
    with replacing(path) as temporary:
        temporary.write_bytes(content.getbuffer())


def load(path: Path, net: gluon.Block, trainer: gluon.Trainer, identity: dict) -> list[dict]:
    """Put a checkpoint back into `net` and `trainer`, and return the history.

    Where it is refused, `net` and `trainer` stay as they are.

    Raises
    ------
    InputError
        If the checkpoint comes from other settings or other data.
    Damaged
        If the file is damaged.
    """
    saved, history, arrays = read(path)
    differences = [
        f"{name} is {identity.get(name)}, there it was {saved.get(name)}"
        for name in {**saved, **identity}
        if saved.get(name) != identity.get(name) and name != NOT_COMPARED
    ]
    if saved.get("format") != FORMAT:
        differences = ["another version of d2l_bn has written it"]
    if differences:
        raise InputError(
            f"{path} belongs to another run: {'; '.join(differences)}. Use the same settings, "
            "another --out, or --overwrite"
        )
    for name, parameter in _values(net).items():
        value = arrays.get(f"parameter/{name}")
        for array in (value, arrays.get(f"momentum/{name}", value)):
            if array is None or array.shape != parameter.shape or array.dtype.kind != "f":
                raise _damaged(path)
    for name, parameter in _values(net).items():
        parameter.set_data(nd.array(arrays[f"parameter/{name}"]))
    _set_momentum(net, trainer, arrays)
    return history


def read(path: Path) -> tuple[dict, list[dict], dict[str, np.ndarray]]:
    """The identity, the history and the arrays of a checkpoint.

    Raises
    ------
    Damaged
        If the file is not a whole checkpoint.
    """
    content = path.read_bytes()
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        about = json.loads(str(arrays.pop("about")))
        saved, history = about["identity"], about["history"]
        if not isinstance(saved, dict) or not all(isinstance(row, dict) for row in history):
            raise _damaged(path)
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
