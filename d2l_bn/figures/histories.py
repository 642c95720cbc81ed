"""Histories of training runs as curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from d2l_bn.figures.style import COLOURS, MARKERS, Figure, new_figure


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
