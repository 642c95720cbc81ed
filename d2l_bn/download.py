"""Fashion-MNIST from the network: the first host that has it, and nothing but checked files."""

from __future__ import annotations

from pathlib import Path
from typing import Callable

import pooch
import requests

from d2l_bn.dataset import FASHION_MNIST, FILES
from d2l_bn.errors import InputError
from d2l_bn.files import replacing
from d2l_bn.idx import read_idx

HOSTS = (
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    "https://apache-mxnet.s3-accelerate.dualstack.amazonaws.com/gluon/dataset/fashion-mnist/",
)
PATIENCE = 3.0  # seconds without a byte from a host


def fetch(folder: Path, log: Callable[[str], None] = print) -> bool:
    """Put the four files into `folder`, where they are missing or damaged.

    Parameters
    ----------
    folder : Path
        The cache.
    log : callable
        Told in one line what failed.

    Returns
    -------
    bool
        Whether all four are there and check out.

    Raises
    ------
    OSError
        If the folder can't be written.
    """
    for name, sha256 in zip(FILES, FASHION_MNIST):
        path = folder / f"{name}.gz"
        if not _is(path, sha256) and not any(_try(host, path, sha256, log) for host in HOSTS):
            return False
    return True


def _try(host: str, path: Path, sha256: str, log: Callable[[str], None]) -> bool:
    """Download a file from one host; whether that worked."""
    path.parent.mkdir(parents=True, exist_ok=True)
    downloader = pooch.HTTPDownloader(progressbar=True, timeout=PATIENCE)
    try:
        with replacing(path) as temporary:
            downloader(host + path.name, str(temporary), None)
            _require(temporary, sha256)
    except (requests.RequestException, InputError) as error:
        log(f"{host}: {path.name} could not be had ({type(error).__name__})")
        return False
    return True


def _is(path: Path, sha256: str) -> bool:
    try:
        _require(path, sha256)
    except InputError:
        return False
    return True


def _require(path: Path, sha256: str) -> None:
    """Refuse a file whose decompressed bytes are not the expected ones."""
    found = read_idx(path)[1]
    if found != sha256:
        raise InputError(f"{path} is not Fashion-MNIST's: its SHA-256 is {found}")
