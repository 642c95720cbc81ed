"""Images to learn from: found on this machine, downloaded, or taken from the sample inside."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Optional

import numpy as np
import pooch

from d2l_bn.errors import InputError
from d2l_bn.idx import read_idx

FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
# SHA-256 of the decompressed files: Debian and Zalando compress the same bytes differently.
FASHION_MNIST = (
    "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
)
FASHION_NAMES = (
    "T-shirt/top",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)
DEBIAN = Path("/usr/share/datasets/fashion-mnist")
SAMPLE = Path(__file__).parent / "sample"
SMALLEST_IMAGE = 16  # what LeNet's two convolutions of 5 by 5 and two poolings of 2 by 2 need


@dataclass(frozen=True)
class Dataset:
    """Training and test images with their classes.

    Parameters
    ----------
    name : str
        What the data are called.
    source : str
        Where they were found.
    train_images, test_images : ndarray, shape (n, height, width), uint8
        The images, dark 0 to bright 255.
    train_labels, test_labels : ndarray, shape (n,), uint8
        The class of each image.
    class_names : tuple of str
        The name of each class.
    """

    name: str
    source: str
    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    class_names: tuple[str, ...]

    @property
    def classes(self) -> int:
        """The number of classes."""
        return len(self.class_names)

    @property
    def image_shape(self) -> tuple[int, int]:
        """Height and width of an image."""
        _, height, width = self.train_images.shape
        return height, width


def cache() -> Path:
    """The folder for downloads: ``$D2L_BN_DATA``, or the usual place for caches."""
    return Path(os.environ.get("D2L_BN_DATA") or pooch.os_cache("d2l_bn"))


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
        return _read_folder(SAMPLE, "Fashion-MNIST sample", "this package", FASHION_NAMES)
    if data not in ("auto", "fashion-mnist"):
        return _read_user_folder(Path(data))
    found = _installed(log) or (_downloaded(log) if download else None)
    if found is not None:
        return found
    if data == "fashion-mnist":
        raise InputError(
            "Fashion-MNIST was not found and could not be downloaded; install Debian's package "
            "dataset-fashion-mnist, name a folder with --data, or take --data sample"
        )
    log("Fashion-MNIST was not found and could not be downloaded: using the sample of 7,000 images")
    return load("sample")


def survey() -> list[str]:
    """One line on each place where data may be: whether they are there and check out."""
    lines = []
    for name, folder in [("cache", cache()), ("Debian", DEBIAN)]:
        try:
            state = "whole" if _fashion_mnist(folder) else "not there"
        except InputError as error:
            state = f"damaged: {error}"
        lines.append(f"{name:7} {folder}: {state}")
    sample = load("sample")
    images = f"{len(sample.train_images):,} + {len(sample.test_images):,} images"
    return [*lines, f"sample  {SAMPLE}: whole, {images}"]


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


def _installed(log: Callable[[str], None]) -> Optional[Dataset]:
    for folder in (cache(), DEBIAN):
        try:
            dataset = _fashion_mnist(folder)
        except InputError as error:
            log(f"passed over: {error}")
            continue
        if dataset is not None:
            return dataset
    return None


def _downloaded(log: Callable[[str], None]) -> Optional[Dataset]:
    from d2l_bn import download  # here, since it takes longer to import than to read the data

    return _fashion_mnist(cache()) if download.fetch(cache(), log) else None


def _fashion_mnist(folder: Path) -> Optional[Dataset]:
    """Fashion-MNIST in `folder`, None if a file is missing, an error if a file is another."""
    if any(_find(folder, name) is None for name in FILES):
        return None
    return _read_folder(folder, "Fashion-MNIST", str(folder), FASHION_NAMES, FASHION_MNIST)


def _read_user_folder(folder: Path) -> Dataset:
    if not folder.is_dir():
        raise InputError(
            f"data must be auto, fashion-mnist, sample or a folder, and {folder} is none of these"
        )
    missing = [name for name in FILES if _find(folder, name) is None]
    if missing:
        raise InputError(f"{folder} lacks {', '.join(missing)} (with or without .gz)")
    return _read_folder(folder, folder.resolve().name, str(folder))


def _find(folder: Path, name: str) -> Optional[Path]:
    spellings = (name, name.replace("-idx", ".idx"))
    paths = (folder / (spelling + suffix) for spelling in spellings for suffix in ("", ".gz"))
    return next((path for path in paths if path.exists()), None)


def _read_folder(
    folder: Path,
    name: str,
    source: str,
    class_names: tuple[str, ...] = (),
    sha256: tuple[str, ...] = (),
) -> Dataset:
    paths = [_find(folder, file) or folder / file for file in FILES]
    (images, labels, test_images, test_labels), digests = zip(*map(read_idx, paths))
    for path, digest, expected in zip(paths, digests, sha256):
        if digest != expected:
            raise InputError(f"{path} is not Fashion-MNIST's: its SHA-256 is {digest}")
    _check(folder, images, labels, test_images, test_labels)
    if digests == FASHION_MNIST:
        class_names = FASHION_NAMES
    names = class_names or tuple(str(label) for label in range(int(labels.max()) + 1))
    return Dataset(name, source, images, labels, test_images, test_labels, names)


def _check(folder: Path, train_images, train_labels, test_images, test_labels) -> None:
    """Refuse arrays that don't belong together; MXNet would not notice."""

    def require(rule: str, holds: bool, received: object) -> None:
        if not holds:
            raise InputError(f"{folder}: {rule}, got {received}")

    for part, images, labels in [
        ("training", train_images, train_labels),
        ("test", test_images, test_labels),
    ]:
        require(f"{part} images need 3 dimensions", images.ndim == 3, images.shape)
        require(f"{part} labels need 1 dimension", labels.ndim == 1, labels.shape)
        counts = f"{len(images)} images and {len(labels)} labels"
        require(f"each {part} image needs one label", len(images) == len(labels), counts)
        require(f"{part} images are too few", len(images) >= 2, len(images))
    train, test = train_images.shape[1:], test_images.shape[1:]
    require("training and test images need one size", train == test, f"{train} and {test}")
    large = min(train) >= SMALLEST_IMAGE
    require(f"LeNet needs images of at least {SMALLEST_IMAGE} by {SMALLEST_IMAGE}", large, train)
    classes = np.unique(train_labels)
    require("at least 2 classes are needed", len(classes) >= 2, len(classes))
    unknown = np.setdiff1d(test_labels, classes).tolist()
    require("every test label must be among the training labels", not unknown, unknown)
