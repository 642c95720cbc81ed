"""How the images of a data set are framed, so that photographs can be framed alike.

MNIST's digits are scaled to 20 of 28 pixels and put with their centre of mass in the middle;
Fashion-MNIST's clothes touch the edges, and their box is in the middle. That can be measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

import numpy as np

INK = 0.1  # fraction of the brightest pixel from which on a pixel belongs to the object


@dataclass(frozen=True)
class Framing:
    """How an object lies in its image, on a black background."""

    longest: float  # the longer side of the object's box, as a fraction of the image's
    centre: str  # what lies in the middle of the image: the object's "mass", or its "box"
    strokes: bool  # whether it is drawn with strokes: most of its box is then background
    brightness: tuple[float, float]  # the mean of the darkest and of the brightest images

    def __post_init__(self) -> None:
        darkest, brightest = self.brightness
        known = self.centre in ("mass", "box") and self.strokes in (True, False)
        if not (known and 0 < self.longest <= 1 and 0 <= darkest <= brightest <= 255):
            raise ValueError(f"there is no such {self}")


def measure(images: np.ndarray) -> Optional[Framing]:
    """The framing of images of shape (n, height, width), or None where they have none in common.

    They have none if their background isn't black, or if the objects lie here and there.
    """
    X = images[:: max(1, len(images) // 5000)].astype(np.float32)  # about 5,000 are enough
    border = np.concatenate([X[:, 0], X[:, -1], X[:, :, 0], X[:, :, -1]], axis=1)
    X = X[X.max(axis=(1, 2)) > 0]
    if len(X) == 0 or np.median(border) > 10:
        return None
    boxes = np.array([box(image) for image in X])  # (n, 4): top, bottom, left, right
    sides = np.array([X.shape[1], X.shape[1], X.shape[2], X.shape[2]])
    top, bottom, left, right = (boxes / sides).T
    centres = {
        "mass": np.array([centre_of_mass(image) for image in X]) / sides[[0, 2]],
        "box": np.stack([top + bottom, left + right], axis=1) / 2,
    }
    centre = min(centres, key=lambda name: centres[name].std(axis=0).max())
    if centres[centre].std(axis=0).max() > 0.03:
        return None
    longest = np.median(np.maximum(bottom - top, right - left))
    ink = X / X.max(axis=(1, 2), keepdims=True) > INK
    covered = np.median(ink.mean(axis=(1, 2)))
    darkest, brightest = np.percentile(X.mean(axis=(1, 2)), [0.1, 99.9])
    return Framing(
        round(float(longest), 3),
        centre,
        bool(covered < 0.3),
        (round(float(darkest), 1), round(float(brightest), 1)),
    )


def box(image: np.ndarray) -> tuple[int, int, int, int]:
    """Where the object is: its first row and the one after its last, and the same of columns."""
    ink = image > INK * image.max()
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


def centre_of_mass(image: np.ndarray) -> tuple[float, float]:
    """The row and the column around which the object's brightness is balanced."""
    total = image.sum()
    row = (image.sum(axis=1) * (np.arange(image.shape[0]) + 0.5)).sum() / total
    column = (image.sum(axis=0) * (np.arange(image.shape[1]) + 0.5)).sum() / total
    return float(row), float(column)
