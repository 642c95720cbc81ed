"""Predictions of a trained network, for test images or for a picture of one's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from d2l_bn.nn.networks import lenet
from d2l_bn.program.report import read_summary
from d2l_bn.program.run_folder import PARAMETERS, SUMMARY
from d2l_bn.system.errors import InputError
from d2l_bn.training.settings import NORMS

import mxnet as mx
from mxnet import gluon, nd

BATCH = 1000


def load_network(run: Path) -> tuple[gluon.Block, dict]:
    """The network of a finished run, on the CPU, and the summary of the run.

    Raises
    ------
    InputError
        If there is no finished run in the folder, or a damaged one.
    """
    summary = read_summary(run / SUMMARY)
    try:
        settings, data = summary["settings"], summary["data"]
        norm = NORMS[settings["norm"]]
        net = lenet(norm, classes=len(data["classes"]), pooling=settings["pooling"])
        net.load_parameters(str(run / PARAMETERS), ctx=mx.cpu())
    except (KeyError, TypeError, AssertionError, ValueError, mx.MXNetError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"{run} is not a whole run ({reason}); train it again") from error
    return net, summary


def probabilities(net: gluon.Block, images: np.ndarray) -> np.ndarray:
    """What `net` says about images.

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
    parts = np.array_split(images, -(-len(images) // BATCH))  # all at once would take much memory
    inputs = (nd.array(part[:, None], dtype="float32") / 255 for part in parts)
    return np.concatenate([nd.softmax(net(X)).asnumpy() for X in inputs])


def read_picture(path: Path, image_shape: tuple[int, int]) -> np.ndarray:
    """A picture as the network expects it: grey, bright on black, of the right size.

    Parameters
    ----------
    path : Path
        A PNG file. Transparent pixels count as white. A bright picture is inverted, since the
        training images are bright things on black and photographs are mostly the other way round.
    image_shape : (int, int)
        Height and width of the training images.

    Returns
    -------
    ndarray, shape (height, width), uint8

    Raises
    ------
    InputError
        If the file can't be read as a picture.
    """
    from PIL import Image, UnidentifiedImageError

    height, width = image_shape
    try:
        with Image.open(path) as file:
            picture = file.convert("RGBA")
            white = Image.new("RGBA", picture.size, "white")
            grey = Image.alpha_composite(white, picture).convert("L")
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError, ValueError) as error:
        raise InputError(f"{path} can't be read as a picture: {error}") from error
    grey.thumbnail((width, height))
    edge = np.asarray(grey)
    edge = np.concatenate([edge[0], edge[-1], edge[:, 0], edge[:, -1]])
    background = int(np.median(edge))
    image = Image.new("L", (width, height), background)
    image.paste(grey, ((width - grey.width) // 2, (height - grey.height) // 2))
    array = np.asarray(image)
    return 255 - array if background > 127 else array
