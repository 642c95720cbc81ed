"""The tables of what readers ask, as figures; the appendix shows them."""

from __future__ import annotations

import numpy as np

from d2l_bn.figures import COLOURS, MARKERS, new_figure
from experiments.comparisons import ACTIVATIONS, NORMS
from experiments.plots import with_legend
from experiments.tables import by_seed, select

KINDS = ("batch norm", "none", "gamma 0", "factor 0")
SOURCES = {"batch": "the batch", "ghost": "a ghost batch", "all": "all training images"}
ORDERS = {"before": "before it", "none": "none", "after": "after it"}


def regularization(rows: list[dict]):
    """Test loss and accuracy over the training loss, by the statistics that were used."""
    figure, grid = new_figure(1, 2, size=(9, 3.8))
    for axes, column in zip(grid, ("test_loss", "test_accuracy")):
        for number, kind in enumerate(("batch", "all", "ghost")):
            chosen = select(rows, statistics=kind)
            at = by_seed(chosen, "steps", "train_loss")[1].mean(axis=0)
            values = by_seed(chosen, "steps", column)[1]
            look = dict(color=COLOURS[number], marker=MARKERS[number], ms=5, lw=1)
            axes.plot(at, values.mean(axis=0), label=SOURCES[kind], **look)
            axes.vlines(at, values.min(axis=0), values.max(axis=0), color=COLOURS[number], lw=2.5)
        axes.set(title=title(column), xlabel="training loss", xscale="log")
        axes.invert_xaxis()  # training goes to the right
    grid[0].set(ylabel="cross-entropy (nats)")
    return with_legend(figure, grid[0])


def normalizations(rows: list[dict]):
    """Test accuracy over the batch size, in prediction as usual and with recomputed statistics."""
    figure, grid = new_figure(1, 2, size=(9, 3.8), sharey=True)
    columns = {"test_accuracy": "As trained", "recalibrated_accuracy": "Recomputed statistics"}
    for axes, (column, title) in zip(grid, columns.items()):
        lines(axes, rows, "batch_size", column, "norm", {norm: norm for norm in NORMS})
        axes.set(title=title, xlabel="batch size", ylim=(0, 1))
    grid[0].set(ylabel="test accuracy")
    return with_legend(figure, grid[0])


def placement(rows: list[dict]):
    """Test accuracy over the learning rate: normalized before, after the activation, or not."""
    figure, grid = new_figure(1, 2, size=(9, 3.8), sharey=True)
    for axes, activation in zip(grid, ACTIVATIONS):
        chosen = select(rows, activation=activation)
        lines(axes, chosen, "lr", "test_accuracy", "place", ORDERS)
        name = {"sigmoid": "Sigmoid", "relu": "ReLU"}[activation]
        axes.set(title=name, xlabel="learning rate", ylim=(0.76, 0.88))
    grid[0].set(ylabel="test accuracy")
    return with_legend(figure, grid[0])


def residual(rows: list[dict]):
    """Test accuracy and training loss of the residual networks over the learning rate."""
    figure, grid = new_figure(1, 2, size=(9, 3.8))
    for axes, column in zip(grid, ("test_accuracy", "train_loss")):
        lines(axes, rows, "lr", column, "kind", {kind: kind for kind in KINDS})
        axes.set(title=title(column), xlabel="learning rate")
    grid[0].set(ylim=(0, 1))
    grid[1].set(ylabel="cross-entropy (nats)", ylim=(0, 2.5))
    return with_legend(figure, grid[0])


def lines(axes, rows: list[dict], x: str, y: str, by: str, labels: dict) -> None:
    """A line of means for each kind, and from the lowest seed to the highest a bar.

    Places are equally far apart, whatever their values, and the kinds stand side by side there.
    """
    for number, (kind, label) in enumerate(labels.items()):
        chosen = select(rows, **{by: kind})
        places = sorted({row[x] for row in chosen})
        values = [[row[y] for row in select(chosen, **{x: place})] for place in places]
        at = [place + 0.09 * (number - (len(labels) - 1) / 2) for place in range(len(places))]
        look = dict(color=COLOURS[number], marker=MARKERS[number], ms=5, lw=1)
        axes.plot(at, [np.mean(each) for each in values], label=label, **look)
        axes.vlines(at, *zip(*((min(v), max(v)) for v in values)), color=COLOURS[number], lw=2.5)
    axes.set_xticks(range(len(places)), [f"{place:g}" for place in places])


def title(column: str) -> str:
    """What a reader calls a column: "Training loss"."""
    return column.replace("_", " ").replace("train ", "training ").capitalize()
