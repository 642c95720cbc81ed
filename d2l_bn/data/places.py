"""Images to learn from: found on this machine, downloaded, or taken from the sample inside."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Callable, Optional

import numpy as np

from d2l_bn.data.dataset import FASHION_MNIST, FASHION_SAMPLE, FILES, Dataset, missing, read_folder
from d2l_bn.system.errors import InputError

DEBIAN = Path("/usr/share/datasets/fashion-mnist")
SAMPLE = Path(__file__).parent / "sample"


def cache() -> Path:
    """The folder for downloads: ``$D2L_BN_DATA``, or the usual place for caches."""
    with warnings.catch_warnings():  # pooch imports tqdm, which asks for widgets in a notebook
        warnings.simplefilter("ignore")
        import pooch

    return Path(os.environ.get("D2L_BN_DATA") or pooch.os_cache("d2l_bn"))


DATA_SETS = ("auto", "fashion-mnist", "sample")  # what is no folder, also beside one of that name


def load(
    data: str = "auto", *, download: bool = True, log: Callable[[str], None] = print
) -> Dataset:
    """Find a data set.

    Parameters
    ----------
    data : str
        "fashion-mnist": the cache, Debian's package ``dataset-fashion-mnist``, or a download.
        "auto": the same, and the sample where none of these is to be had.
        "sample": the 6,000 training and 1,000 test images of Fashion-MNIST in this package.
        Anything else is a folder with four IDX files, such as those of MNIST.
    download : bool
        Whether a download may be tried.
    log : callable
        Told in one line what was passed over, and why.

    Returns
    -------
    Dataset

    Raises
    ------
    InputError
        If the data are not there, or are not what they should be.
    """
    if data == "sample":
        return read_folder(SAMPLE, "Fashion-MNIST sample", "this package", FASHION_SAMPLE)
    if data not in DATA_SETS:
        return _read_user_folder(Path(data))
    dataset = _installed(log)
    if dataset is not None:
        return dataset
    problem = "Fashion-MNIST is not on this machine"
    if download:
        try:
            from d2l_bn.data import download as hosts  # it takes longer to import than to read data

            hosts.fetch(cache())
            return _fashion_mnist(cache())
        except (InputError, OSError) as error:  # OSError: the cache can't be written
            problem += f" and could not be downloaded ({error})"
    if data == "fashion-mnist":
        raise InputError(
            f"{problem}; install Debian's package dataset-fashion-mnist, name a folder with "
            "--data, or take --data sample"
        )
    log(f"{problem}: using the sample of 7,000 images")
    return load("sample")


def survey() -> list[str]:
    """One line on each place where data may be: whether they are there and check out."""
    places = [
        ("cache", cache(), FASHION_MNIST),
        ("Debian", DEBIAN, FASHION_MNIST),
        ("sample", SAMPLE, FASHION_SAMPLE),
    ]
    return [f"{name:7} {folder}: {_state(folder, sha256)}" for name, folder, sha256 in places]


def split(dataset: Dataset, held_out: int, seed: int = 0) -> Dataset:
    """Hold out some training images as test images, to choose settings without the test set.

    Raises
    ------
    InputError
        If `held_out` leaves nothing on one side.
    """
    count = len(dataset.train_images)
    if not 0 < held_out < count:
        raise InputError(f"held_out must be from 1 to {count - 1}, got {held_out}")
    order = np.random.default_rng(seed).permutation(count)
    test, train = order[:held_out], order[held_out:]
    return Dataset(
        f"{dataset.name}, {held_out} training images held out",
        dataset.source,
        dataset.train_images[train],
        dataset.train_labels[train],
        dataset.train_images[test],
        dataset.train_labels[test],
        dataset.class_names,
    )


def _state(folder: Path, sha256: tuple[str, ...]) -> str:
    lacking = missing(folder)
    if len(lacking) == len(FILES):
        return "not there"
    if lacking:
        return f"incomplete, without {', '.join(lacking)}"
    try:
        dataset = read_folder(folder, "Fashion-MNIST", str(folder), sha256)
    except InputError as error:
        return f"damaged: {error}"
    return f"whole, {len(dataset.train_images):,} + {len(dataset.test_images):,} images"


def _installed(log: Callable[[str], None]) -> Optional[Dataset]:
    for folder in (cache(), DEBIAN):
        if missing(folder):
            continue
        try:
            return _fashion_mnist(folder)
        except InputError as error:
            log(f"passed over: {error}")
    return None


def _fashion_mnist(folder: Path) -> Dataset:
    return read_folder(folder, "Fashion-MNIST", str(folder), FASHION_MNIST)


def _read_user_folder(folder: Path) -> Dataset:
    if not os.path.isdir(folder):  # Path.is_dir fails on a name that is too long
        raise InputError(
            f"data must be auto, fashion-mnist, sample or a folder, and {folder} is none of these"
        )
    lacking = missing(folder)
    if lacking:
        raise InputError(f"{folder} lacks {', '.join(lacking)} (with or without .gz)")
    folder = folder.resolve()
    if not str(folder).isprintable():  # it stands in files and figures
        raise InputError(f"data must be in a folder with a printable name, got {str(folder)!a}")
    return read_folder(folder, folder.name, str(folder))
