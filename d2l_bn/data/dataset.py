"""A data set: images and labels, read from four IDX files and checked."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, Optional

import numpy as np

from d2l_bn.data.idx import read_idx
from d2l_bn.system.errors import InputError
from d2l_bn.system.files import read_regular

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
# And of the sample of it in this package.
FASHION_SAMPLE = (
    "99f2b891c3897c74aaaf03dc49d17d0632c2351e9e9fd5e7131316579ae52b6a",
    "809ca5a68e32eadffaf7214a931c8782369ea4e54ae4f7321ff13b6b0456e9ff",
    "1c6697ae8b44b9ba754a7ba9383c7ebae42ff9acac824d21f435a4d61c7a5889",
    "9e5097999cb6cd05438e025c1ae6806b730564c088767b0bcdd0511dbefd3f4a",
)
FASHION_NAMES = (
    "T-shirt/top", "trouser", "pullover", "dress", "coat",
    "sandal", "shirt", "sneaker", "bag", "ankle boot",
)  # fmt: skip
NAMES = "classes.txt"
LONGEST_NAME = 100  # characters
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
    def address(self) -> str:
        """What `load` and ``--data`` take to find these data again."""
        if self.source == "this package":
            return "sample"
        return "fashion-mnist" if self.name == "Fashion-MNIST" else self.source

    @property
    def image_shape(self) -> tuple[int, int]:
        """Height and width of an image."""
        _, height, width = self.train_images.shape
        return height, width


def find(folder: Path, name: str) -> Optional[Path]:
    """The file of that name in `folder`, compressed or not, or None."""
    spellings = (name, name.replace("-idx", ".idx"))
    # The first spelling is that of our own downloads: they then replace a damaged file.
    paths = (folder / (spelling + suffix) for spelling in spellings for suffix in (".gz", ""))
    # Some archives of MNIST unpack to folders of these names beside the files.
    return next((path for path in paths if os.path.isfile(path)), None)


def missing(folder: Path) -> list[str]:
    """The names of the four files that `folder` lacks."""
    return [name for name in FILES if find(folder, name) is None]


def read_folder(folder: Path, name: str, source: str, sha256: tuple[str, ...] = ()) -> Dataset:
    """Read and check the four files in `folder`.

    The classes of Fashion-MNIST and its sample have their names, others those in `NAMES`, a file
    with a name on each line, or "0", "1" and so on. InputError if a file is damaged or another than
    expected, by the `sha256` of its content where that is known, or if they don't belong together.
    """
    paths = [find(folder, file) or folder / file for file in FILES]
    (images, labels, test_images, test_labels), digests = zip(*map(read_idx, paths))
    for path, digest, expected in zip(paths, digests, sha256):
        if digest != expected:
            raise InputError(f"{path} is not the file of {name}: its SHA-256 is {digest}")
    _check_part(paths[0], images, paths[1], labels)
    _check_part(paths[2], test_images, paths[3], test_labels)
    _check_whole(paths, images, labels, test_images, test_labels)
    fashion = digests in (FASHION_MNIST, FASHION_SAMPLE)
    class_names = FASHION_NAMES if fashion else _class_names(folder, int(labels.max()) + 1)
    return Dataset(name, source, images, labels, test_images, test_labels, class_names)


def _class_names(folder: Path, count: int) -> tuple[str, ...]:
    path = folder / NAMES
    try:
        content = read_regular(path, 2**20)
        names = content.decode("utf-8-sig").splitlines()  # Windows puts a mark at the start
    except FileNotFoundError:
        return tuple(map(str, range(count)))
    except (OSError, UnicodeError) as error:
        raise InputError(f"{path} can't be read ({error})") from error
    if len(names) != count:
        _refuse(path, f"each of the {count} classes needs a line", len(names), "mend the file")
    return checked_names(names, path)


def checked_names(names: Iterable[str], where: Path) -> tuple[str, ...]:
    """Refuse names of classes, found at `where`, that a figure or a terminal couldn't show."""
    names = tuple(names)
    shown = all(n.strip() and n.isprintable() and len(n) <= LONGEST_NAME for n in names)
    if len(set(names)) < len(names) or not shown:
        rule = f"each class needs a printable name of its own, of up to {LONGEST_NAME} characters"
        _refuse(where, rule, ascii(names)[:200], "mend or rename it")
    return names


def _check_part(images_path: Path, images: Any, labels_path: Path, labels: Any) -> None:
    """Refuse images and labels that don't belong together; MXNet would not notice."""
    exchanged = "are images and labels exchanged?"
    if images.ndim != 3:
        _refuse(images_path, "images need 3 dimensions", f"shape {images.shape}", exchanged)
    if labels.ndim != 1:
        _refuse(labels_path, "labels need 1 dimension", f"shape {labels.shape}", exchanged)
    if len(images) != len(labels):
        counts = f"{len(images)} images and {len(labels)} labels"
        rule = f"each image needs one label in {labels_path.name}"
        _refuse(images_path, rule, counts, "take both from one data set")
    if len(images) < 2:
        _refuse(images_path, "at least 2 images are needed", len(images), "take a larger set")


def _check_whole(paths: list[Path], images: Any, labels: Any, test_images: Any, test_labels: Any):
    """Refuse test images or labels that a network for the training set can't take."""
    shape, test_shape = images.shape[1:], test_images.shape[1:]
    if min(shape) < SMALLEST_IMAGE:
        rule = f"LeNet needs images of at least {SMALLEST_IMAGE} by {SMALLEST_IMAGE}"
        _refuse(paths[0], rule, shape, "enlarge them, or pad them with zeros")
    if shape != test_shape:
        rule = f"test images need the size of the training images, {shape}"
        _refuse(paths[2], rule, test_shape, "take both from one data set")
    classes = np.unique(labels)
    if len(classes) < 2:
        _refuse(paths[1], "at least 2 classes are needed", len(classes), "add images of another")
    unknown = np.setdiff1d(test_labels, classes).tolist()
    if unknown:
        rule = f"every test label must be among the training labels, in {paths[1].name}"
        _refuse(paths[3], rule, unknown, "leave out the test images of other classes")


def _refuse(path: Path, rule: str, received: object, remedy: str) -> NoReturn:
    raise InputError(f"{path}: {rule}, got {received}; {remedy}")
