"""The style of every figure: colours, markers, and figures that a notebook shows without pyplot."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
from cycler import cycler
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from d2l_bn.system.files import replacing

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
SCREEN_DPI = 100


class NotebookFigure(Figure):
    """A figure that a notebook shows as it is, without pyplot and its global state."""

    def _repr_png_(self) -> bytes:
        picture = BytesIO()
        with rc_context(STYLE):
            self.canvas.draw()  # `savefig` draws twice, which live curves would wait for
        pixels = np.asarray(self.canvas.buffer_rgba())  # type: ignore[attr-defined]
        # 256 colours take a third of the bytes.
        image = Image.fromarray(pixels).convert("RGB").quantize(256)
        image.save(picture, "png", optimize=True)
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
        figure = NotebookFigure(figsize=size, dpi=SCREEN_DPI, layout="constrained")
        FigureCanvasAgg(figure)
        return figure, figure.subplots(rows, columns, **options)


def plain(text: str) -> str:
    """The text as it is: between dollar signs, Matplotlib would read mathematics."""
    return text.replace("$", r"\$")


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, whole or not at all."""
    with rc_context(STYLE), replacing(path) as temporary:
        figure.savefig(temporary, format="png")
