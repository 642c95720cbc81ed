"""A trained network: taken from the folder of its run, and asked about images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import numpy as np
from tqdm import tqdm

from d2l_bn.data.framing import Framing
from d2l_bn.nn.networks import lenet
from d2l_bn.program.run_folder import PARAMETERS, SUMMARY
from d2l_bn.program.summary import checksum, read_summary
from d2l_bn.system.errors import InputError
from d2l_bn.training.settings import NORMS

import mxnet as mx
from mxnet import gluon, nd

BATCH = 1000
OLD = (
    "note: {} is of version 0.1.0, which didn't keep how its images are framed, so pictures are "
    "only scaled; train it again, and the object is cut out and centred"
)


@dataclass(frozen=True)
class Trained:
    """The network of a finished run, and what it was trained on.

    Parameters
    ----------
    folder : Path
        The run.
    net : Block
        The network, on the CPU.
    classes : tuple of str
        The name of each class.
    image_shape : (int, int)
        Height and width of an image.
    framing : Framing or None
        How the objects lie in the training images.
    doubt : str
        Warning printed before predicting pictures of the reader's, or "".
    data : str
        The name of the data.
    address : str
        What `load` takes to find them.
    """

    folder: Path
    net: gluon.Block
    classes: tuple[str, ...]
    image_shape: tuple[int, int]
    framing: Optional[Framing]
    doubt: str
    data: str
    address: str


def load_trained(run: Path) -> Trained:
    """Read the network of a finished run.

    Raises
    ------
    InputError
        If there is no finished run in the folder, or a damaged one.
    """
    summary, path = read_summary(run / SUMMARY), run / PARAMETERS
    try:
        settings, data = summary["settings"], summary["data"]
        norm, framing = NORMS[settings["norm"]], data.get("framing")
        classes, (height, width) = tuple(map(str, data["classes"])), data["image_shape"]
        net = lenet(norm, classes=len(classes), pooling=settings["pooling"])
        about: dict[str, Any] = dict(
            classes=classes,
            image_shape=(int(height), int(width)),
            framing=Framing(**framing) if framing else None,
            doubt="" if "framing" in data else OLD.format(run),
            data=str(data["name"]),
            address=str(data.get("address", "auto")),
        )
        expected = summary.get("network", {}).get("sha256")
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{run / SUMMARY} is damaged ({error!r}); train again") from error
    if not path.is_file():
        raise InputError(f"{path} is missing; train again")
    try:
        if expected not in (None, checksum(path)):
            raise ValueError
        net.load_parameters(str(path), ctx=mx.cpu())
    except (AssertionError, ValueError, mx.MXNetError) as error:
        raise InputError(f"{path} is damaged, or of another run; train again") from error
    return Trained(run, net, **about)


def probabilities(net: gluon.Block, images: np.ndarray) -> np.ndarray:
    """What `net` says about images, a part of them at a time, with a bar on a terminal.

    Parameters
    ----------
    net : Block
        A network that returns unnormalized log probabilities.
    images : ndarray, shape (n, height, width), uint8
        The images.

    Returns
    -------
    ndarray, shape (n, classes), float32
        The probability of each class.
    """
    parts = np.array_split(images, -(-len(images) // BATCH))
    bar: Any = tqdm(parts, unit="batch", leave=False, disable=None, delay=1)
    inputs = (nd.array(part[:, None], dtype="float32") / 255 for part in bar)
    return np.concatenate([nd.softmax(net(X)).asnumpy() for X in inputs])
