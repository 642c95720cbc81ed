"""What a network says about images, as figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

import numpy as np

from d2l_bn.figures.style import COLOURS, Figure, new_figure, plain

RIGHT, WRONG = COLOURS[0], COLOURS[1]
ROOM = 32  # classes whose names and counts can be read in a table


def prediction_grid(
    images: np.ndarray,
    probabilities: np.ndarray,
    class_names: Sequence[str],
    labels: Optional[np.ndarray] = None,
    title: str = "",
) -> Figure:
    """Images with the predicted class and its probability, wrong ones with the true class too.

    Parameters
    ----------
    images : ndarray, shape (n, height, width), uint8
        The images.
    probabilities : ndarray, shape (n, classes)
        What the network says.
    class_names : sequence of str
        The name of each class.
    labels : ndarray, shape (n,), optional
        The true classes, where they are known.
    title : str
        Above the grid.

    Returns
    -------
    Figure
        Six images in a row.
    """
    columns = min(6, len(images))
    rows = -(-len(images) // columns)
    figure, grid = new_figure(rows, columns, size=(1.5 * columns, 1.9 * rows), squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for number, (axes, image) in enumerate(zip(grid.flat, images)):
        guess = int(probabilities[number].argmax())
        caption = f"{class_names[guess]} {probabilities[number, guess]:.0%}"
        truth = guess if labels is None else int(labels[number])
        right = guess == truth
        caption += "" if right else f"\n(truth: {class_names[truth]})"
        axes.imshow(image, cmap="gray_r", vmin=0, vmax=255)
        axes.set_title(plain(caption), fontsize=9, color=RIGHT if right else WRONG)
    figure.suptitle(plain(title))
    return figure


def confusions(counts: np.ndarray, class_names: Sequence[str], title: str = "") -> Figure:
    """How often each class was taken for each other.

    Parameters
    ----------
    counts : ndarray, shape (classes, classes), int
        Images, by their class (row) and by the predicted class (column).
    class_names : sequence of str
        The name of each class.
    title : str
        Above the table.

    Returns
    -------
    Figure
        The counts, where there is room; the darker, the larger the fraction of the class.
    """
    figure, axes = new_figure(size=(7, 6))
    fractions = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(fractions, cmap="Blues", vmin=0, vmax=1)
    every = -(-len(counts) // ROOM)
    for row, column in np.argwhere(counts) if every == 1 else ():
        colour, count = "white" if fractions[row, column] > 0.5 else "black", counts[row, column]
        axes.text(column, row, count, ha="center", va="center", color=colour, fontsize=9)
    places, names = range(len(counts))[::every], list(map(plain, class_names))[::every]
    axes.set_xticks(places, names, rotation=45, ha="right")
    axes.set_yticks(places, names)
    axes.set(xlabel="predicted class", ylabel="class", title=plain(title))
    axes.grid(False)
    return figure
