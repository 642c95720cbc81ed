"""A data set small enough to train on in a test: noise, with a bright bar in a place per class."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from d2l_bn.data import Dataset
from d2l_bn.data.dataset import FILES
from d2l_bn.data.idx import write_idx


def bars(train: int = 96, test: int = 32, classes: int = 4, size: int = 16) -> Dataset:
    """Images that a network can tell apart after a few steps."""
    rng = np.random.default_rng(0)

    def images(count: int) -> tuple[np.ndarray, np.ndarray]:
        labels = np.arange(count) % classes
        pixels = rng.integers(0, 60, (count, size, size))
        for image, label in zip(pixels, labels):
            image[:, label * (size // classes) : (label + 1) * (size // classes)] += 150
        return pixels.astype(np.uint8), labels.astype(np.uint8)

    return Dataset(
        "bars", "made for the tests", *images(train), *images(test), tuple("abcd"[:classes])
    )


def untimed(history: list[dict]) -> list[dict]:
    """The rows of a history without what the clock decides."""
    times = "seconds", "examples_per_second"
    return [{name: row[name] for name in row if name not in times} for row in history]


def values(net) -> dict[str, np.ndarray]:
    """The parameters and statistics of a network."""
    return {name: p.data().asnumpy() for name, p in net._collect_params_with_prefix().items()}


def written(dataset: Dataset, folder: Path) -> Path:
    """Write a data set as a user has it, four IDX files in a new folder; return the folder."""
    folder.mkdir()
    arrays = [dataset.train_images, dataset.train_labels, dataset.test_images, dataset.test_labels]
    for name, array in zip(FILES, arrays):
        write_idx(folder / f"{name}.gz", array)
    return folder
