"""Histories of training runs as curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Optional

from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from d2l_bn.figures.style import COLOURS, MARKERS, Figure, new_figure, plain


def curves(
    histories: Mapping[str, Sequence[dict]],
    title: str = "",
    *,
    epochs: Optional[int] = None,
    now: Optional[Mapping[str, tuple[float, float, float]]] = None,
    words: str = "",
) -> Figure:
    """Loss and accuracy over the epochs of one or several runs.

    Parameters
    ----------
    histories : mapping of str to list of dict
        The label of each run, and what `fit` returned.
    title : str
        Above the left panel.
    epochs : int, optional
        The number of epochs that the axes make room for; as many as there are by default.
    now : mapping of str to (float, float, float)
        For a run in the middle of an epoch: where it is, in epochs, and the averages of loss and
        accuracy of that epoch so far.
    words : str
        Below the panels.

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
        x, loss, train, test = (
            [row[name] for row in history]
            for name in ("epoch", "train_loss", "train_accuracy", "test_accuracy")
        )
        done = list(x)
        if now and label in now:
            place, loss_now, train_now = now[label]
            x, loss, train = [*x, place], [*loss, loss_now], [*train, train_now]
        left.plot(x, loss, "--", ms=3, label=plain(label), **look)
        right.plot(x, train, "--", ms=3, **look)
        right.plot(done, test, "-", ms=5, **look)
    left.set(title="Training loss", xlabel="epoch", ylabel="cross-entropy (nats)")
    right.set(title="Accuracy", xlabel="epoch", ylabel="share of right answers")
    last = epochs or max((len(history) for history in histories.values()), default=1)
    for axes in (left, right):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlim(0, last + 0.3)
    if epochs:
        right.set_ylim(0, 1)
        left.set_ylim(top=max(2.5, left.get_ylim()[1]))
    left.set_ylim(bottom=0)
    if any(histories):  # one run without a label needs no legend for its loss
        left.legend()
    kinds = [("--", "training images"), ("-", "test images")]
    right.legend(handles=[Line2D([], [], color="0.3", ls=ls, label=kind) for ls, kind in kinds])
    figure.suptitle(plain(title), x=0.01, ha="left")
    figure.supxlabel(words or " ", x=0.01, ha="left", fontsize=9)
    return figure
