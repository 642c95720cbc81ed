"""A trained network: taken from the folder of its run, and asked about images."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from d2l_bn.nn.networks import lenet
from d2l_bn.program.outcome import read_summary
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
