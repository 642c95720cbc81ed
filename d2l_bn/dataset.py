"""A data set: images and labels, read from four IDX files and checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import numpy as np

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


def find(folder: Path, name: str) -> Optional[Path]:
    """The file of that name in `folder`, compressed or not, or None."""
    spellings = (name, name.replace("-idx", ".idx"))
    paths = (folder / (spelling + suffix) for spelling in spellings for suffix in ("", ".gz"))
    return next((path for path in paths if path.exists()), None)


def read_folder(
    folder: Path,
    name: str,
    source: str,
    class_names: tuple[str, ...] = (),
    sha256: tuple[str, ...] = (),
) -> Dataset:
    """Read and check the four files in `folder`.

    Parameters
    ----------
    folder : Path
        Where all four are.
    name, source : str
        As in `Dataset`.
    class_names : tuple of str
        By default those of Fashion-MNIST where the files are Fashion-MNIST's, else "0", "1" ...
    sha256 : tuple of str
        What the decompressed files must have, where that is known.

    Raises
    ------
    InputError
        If a file is damaged or another than expected, or if the four don't belong together.
    """
    paths = [find(folder, file) or folder / file for file in FILES]
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
