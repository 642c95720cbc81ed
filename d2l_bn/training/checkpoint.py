"""A checkpoint is all that a run needs to go on as if it had never stopped, in one file.

The file is NumPy's ``npz`` without pickled objects, so that loading one never executes code.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from dataclasses import asdict
from pathlib import Path

import numpy as np

from d2l_bn.data.dataset import Dataset
from d2l_bn.system.errors import InputError, RunError
from d2l_bn.system.files import replacing
from d2l_bn.training.settings import Settings

from mxnet import gluon, nd

FORMAT = 1
# What NumPy and json raise for files that are not whole, or not checkpoints at all.
UNREADABLE = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    EOFError,
    zipfile.BadZipFile,
)


def identity(settings: Settings, dataset: Dataset) -> dict:
    """What must be the same when a run goes on: the format, the settings and every image."""
    arrays = dataset.train_images, dataset.train_labels, dataset.test_images, dataset.test_labels
    checks = [zlib.crc32(array.tobytes()) for array in arrays]
    data = f"{dataset.name}, checksums {' '.join(f'{check:08x}' for check in checks)}"
    return {"format": FORMAT, **asdict(settings), "data": data}


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

    Raises
    ------
    InputError
        If the checkpoint comes from other settings or other data.
    RunError
        If the file is damaged.
    """
    saved, history, arrays = _read(path)
    differences = [
        f"{name} is {identity.get(name)}, there it was {saved.get(name)}"
        for name in {**saved, **identity}
        if saved.get(name) != identity.get(name)
    ]
    if differences:
        raise InputError(
            f"{path} belongs to another run: {'; '.join(differences)}. Use the same settings, "
            "another --out, or --overwrite"
        )
    try:
        for name, parameter in _values(net).items():
            parameter.set_data(nd.array(arrays[f"parameter/{name}"]))
        _set_momentum(net, trainer, arrays)
    except KeyError as error:
        raise _damaged(path, error) from error
    return history


def _read(path: Path) -> tuple[dict, list[dict], dict[str, np.ndarray]]:
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        about = json.loads(str(arrays.pop("about")))
        return about["identity"], about["history"], arrays
    except UNREADABLE as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> RunError:
    return RunError(f"{path} is not a whole checkpoint ({error!r}); --overwrite starts anew")


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
