"""Histories and predictions as figures; the only module that imports matplotlib."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Optional

import numpy as np
from cycler import cycler
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from PIL import Image

from d2l_bn.files import replacing

# Okabe and Ito's palette: told apart by colour-blind readers, and by their lightness in print.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
STYLE = {
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.prop_cycle": cycler(color=COLOURS),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "0.9",
    "legend.frameon": False,
    "savefig.dpi": 150,
}
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
RIGHT, WRONG = COLOURS[0], COLOURS[1]
SCREEN_DPI = 100


class NotebookFigure(Figure):
    """A figure that a notebook shows as it is, without pyplot and its global state."""

    def _repr_png_(self) -> bytes:
        drawn, picture = BytesIO(), BytesIO()
        with rc_context(STYLE):
            self.savefig(drawn, format="png", dpi=SCREEN_DPI)
        with Image.open(drawn) as image:  # 256 colours take a third of the bytes
            image.convert("RGB").quantize(256).save(picture, "png", optimize=True)
        return picture.getvalue()


def new_figure(rows: int = 1, columns: int = 1, *, size: tuple[float, float] = (9, 3.6), **options):
    """A figure in the style of the book, and its axes.

    Parameters
    ----------
    rows, columns : int
        The grid of axes.
    size : (float, float)
        Width and height in inches.
    **options
        Passed to `matplotlib.figure.Figure.subplots`.

    Returns
    -------
    figure, axes
        As `matplotlib.pyplot.subplots` returns them, but kept by nobody else.
    """
    with rc_context(STYLE):
        figure = NotebookFigure(figsize=size, layout="constrained")
        FigureCanvasAgg(figure)
        return figure, figure.subplots(rows, columns, **options)


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, whole or not at all."""
    with rc_context(STYLE), replacing(path) as temporary:
        figure.savefig(temporary, format="png")


def curves(histories: Mapping[str, Sequence[dict]], title: str = "") -> Figure:
    """Loss and accuracy over the epochs of one or several runs.

    Parameters
    ----------
    histories : mapping of str to list of dict
        The label of each run, and what `fit` returned.
    title : str
        Above both panels.

    Returns
    -------
    Figure
        Training loss on the left, training and test accuracy on the right.
    """
    figure, (left, right) = new_figure(1, 2)
    for number, (label, history) in enumerate(histories.items()):
        look = {
            "color": COLOURS[number % len(COLOURS)],
            "marker": MARKERS[number % len(MARKERS)],
            # Thinner and thinner, so that a run shows below one that covers it.
            "lw": max(3.0 - number, 1.0) if len(histories) > 1 else 1.8,
        }
        epochs, loss, train, test = (
            [row[name] for row in history]
            for name in ("epoch", "train_loss", "train_accuracy", "test_accuracy")
        )
        left.plot(epochs, loss, "--", ms=3, label=label, **look)
        right.plot(epochs, train, "--", ms=3, **look)
        right.plot(epochs, test, "-", ms=5, **look)
    left.set(title="Training loss", xlabel="epoch", ylabel="cross-entropy (nats)")
    right.set(title="Accuracy", xlabel="epoch", ylabel="share of right answers")
    left.set_ylim(bottom=0)
    for axes in (left, right):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if any(histories):  # one run without a label needs no legend for its loss
        left.legend()
    kinds = [("--", "training images"), ("-", "test images")]
    right.legend(handles=[Line2D([], [], color="0.3", ls=ls, label=kind) for ls, kind in kinds])
    figure.suptitle(title)
    return figure


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
        caption += "" if right else f"\nis {class_names[truth]}"
        axes.imshow(image, cmap="gray_r", vmin=0, vmax=255)
        axes.set_title(caption, fontsize=9, color=RIGHT if right else WRONG)
    figure.suptitle(title)
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
        The counts; the darker, the larger the share of the class.
    """
    figure, axes = new_figure(size=(7, 6))
    shares = counts / counts.sum(axis=1, keepdims=True)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        colour = "white" if shares[row, column] > 0.5 else "black"
        axes.text(column, row, count or "", ha="center", va="center", color=colour, fontsize=9)
    axes.set_xticks(range(len(class_names)), class_names, rotation=45, ha="right")
    axes.set_yticks(range(len(class_names)), class_names)
    axes.set(xlabel="predicted class", ylabel="class", title=title)
    axes.grid(False)
    return figure
