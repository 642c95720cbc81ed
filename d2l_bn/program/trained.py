"""A trained network: taken from the folder of its run, and asked about images."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import numpy as np
from tqdm import tqdm

from d2l_bn.data.dataset import SMALLEST_IMAGE, Dataset, checked_names
from d2l_bn.data.framing import Framing
from d2l_bn.data.places import load
from d2l_bn.nn.networks import features, lenet
from d2l_bn.program.parameters import read_parameters
from d2l_bn.program.pictures import read_pictures
from d2l_bn.program.run_folder import PARAMETERS, SUMMARY
from d2l_bn.program.summary import checksum, read_summary
from d2l_bn.system.errors import InputError
from d2l_bn.training.settings import NORMS

from mxnet import gluon, nd

BATCH = 1000
OLD = (
    "note: {} is of version 0.1.0, which didn't keep how its images are framed, so pictures are "
    "only scaled; train it again, and the object is cut out and centred"
)


@dataclass(frozen=True)
class Trained:
    """The network of a finished run, and what it was trained on."""

    folder: Path
    net: gluon.Block
    classes: tuple[str, ...]  # their names
    image_shape: tuple[int, int]  # height and width
    framing: Optional[Framing]
    doubt: str  # what is said before pictures of the reader's are read, or ""
    data: str  # the name of the data
    address: str  # what `load` takes to find them

    def test_data(self, data: Optional[str]) -> Dataset:
        """The data set that the network was trained on, or another, `data`, that fits it."""
        dataset = load(data or self.address)
        if (dataset.class_names, dataset.image_shape) != (self.classes, self.image_shape):
            raise InputError(
                f"{self.folder} was trained on {self.data}, with other classes or another image "
                f"size than {dataset.name}; name its data with --data"
            )
        return dataset

    def read(self, paths: Iterable[Path]) -> np.ndarray:
        """Pictures as the network expects them, with a bar on a terminal."""
        if self.doubt:
            print(self.doubt, file=sys.stderr)
        return read_pictures(paths, self.image_shape, self.framing)


def load_trained(run: Path) -> Trained:
    """Read the network of a run; InputError if it is damaged, or not finished."""
    summary, path = read_summary(run / SUMMARY), run / PARAMETERS
    try:
        settings, data = summary["settings"], summary["data"]
        norm, framing = NORMS[settings["norm"]], data.get("framing")
        classes, (height, width) = checked_names(data["classes"], run), data["image_shape"]
        if {type(height), type(width)} != {int} or min(height, width) < SMALLEST_IMAGE:
            raise ValueError("an image has no such shape")
        if len(classes) > 256:  # a label is a byte
            raise ValueError("it has too many classes")
        net = lenet(norm, classes=len(classes), pooling=settings["pooling"])
        about: dict[str, Any] = dict(
            classes=classes,
            image_shape=(height, width),
            framing=Framing(**framing) if framing else None,
            doubt="" if "framing" in data else OLD.format(run),
            data=str(data["name"]),
            address=str(data.get("address", "auto")),
        )
        expected = summary.get("network", {}).get("sha256")
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{run / SUMMARY} is damaged ({error!r}); train again") from error
    try:
        if expected not in (None, checksum(path)):
            raise ValueError
        _fill(net, read_parameters(path), height, width)
    except FileNotFoundError:
        raise InputError(f"{path} is missing; train again") from None
    except ValueError as error:
        raise InputError(f"{path} is damaged, or of another run; train again") from error
    return Trained(run, net, **about)


def _fill(net: gluon.Block, arrays: dict[str, np.ndarray], height: int, width: int) -> None:
    """Give a LeNet its parameters; ValueError unless it has these, for images of that size."""
    inputs = [a.shape[1] for a in arrays.values() if a.ndim == 2 and len(a) == 120][:1]
    if inputs != [features(height, width)]:  # asked ahead of making an image: it could be huge
        raise ValueError
    net.initialize()
    net(nd.zeros((1, 1, height, width)))  # now all shapes are known
    parameters = net._collect_params_with_prefix()
    sizes = {name: parameter.shape for name, parameter in parameters.items()}
    finite = all(np.isfinite(array).all() for array in arrays.values())
    if not finite or sizes != {name: array.shape for name, array in arrays.items()}:
        raise ValueError
    for name, parameter in parameters.items():
        parameter.set_data(nd.array(arrays[name]))


def probabilities(net: gluon.Block, images: np.ndarray) -> np.ndarray:
    """The probability (n, classes) of each class for images (n, height, width), uint8.

    They are computed a part of them at a time, with a bar on a terminal.
    """
    parts = np.array_split(images, -(-len(images) // BATCH))
    bar: Any = tqdm(parts, unit="batch", leave=False, disable=None, delay=1)
    inputs = (nd.array(part[:, None], dtype="float32") / 255 for part in bar)
    answers = np.concatenate([nd.softmax(net(X)).asnumpy() for X in inputs])
    if not np.isfinite(answers).all():
        raise InputError("the network answers NaN: its parameters are no numbers; train again")
    return answers
