"""Make the sample that the package carries, from the full Fashion-MNIST."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from d2l_bn.data.dataset import FILES
from d2l_bn.data.idx import write_idx
from d2l_bn.data.places import SAMPLE, load

SEED = 2015  # the year of the paper on batch normalization
TRAIN_PER_CLASS, TEST_PER_CLASS = 600, 100


def choose(labels: np.ndarray, per_class: int, rng: np.random.Generator) -> np.ndarray:
    """Pick as many images of each class, in a shuffled order."""
    of_each = [rng.permutation(np.flatnonzero(labels == c))[:per_class] for c in np.unique(labels)]
    return rng.permutation(np.concatenate(of_each))


def main(arguments: list[str] | None = None) -> None:
    """Write the four files of the sample."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=SAMPLE)
    folder = parser.parse_args(arguments).folder
    full = load("fashion-mnist")
    rng = np.random.default_rng(SEED)
    train = choose(full.train_labels, TRAIN_PER_CLASS, rng)
    test = choose(full.test_labels, TEST_PER_CLASS, rng)
    arrays = (
        full.train_images[train],
        full.train_labels[train],
        full.test_images[test],
        full.test_labels[test],
    )
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in zip(FILES, arrays):
        write_idx(folder / f"{name}.gz", array)


if __name__ == "__main__":
    main()
