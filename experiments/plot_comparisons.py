"""The tables of what readers ask, as figures; the appendix shows them."""

from __future__ import annotations

from d2l_bn.figures import COLOURS, MARKERS, new_figure
from experiments.normalizations import NORMS
from experiments.placement import ACTIVATIONS, PLACES
from experiments.regularization import STATISTICS
from experiments.residual import KINDS
from experiments.tables import by_seed, select

SOURCES = {"batch": "the batch", "ghost": "a ghost batch", "all": "all training images"}
ORDERS = {"before": "before it", "after": "after it"}


def regularization(rows: list[dict]):
    """Loss on training and test images, and test accuracy, by the statistics that were used."""
    figure, grid = new_figure(1, 3, size=(9, 3.6))
    for axes, column in zip(grid, ("train_loss", "test_loss", "test_accuracy")):
        lines(
            axes,
            rows,
            "batch_size",
            column,
            "statistics",
            {kind: SOURCES[kind] for kind in STATISTICS},
        )
        axes.set(title=title(column), xlabel="batch size")
    grid[0].set(ylabel="cross-entropy (nats)", yscale="log")
    grid[1].set(ylim=(0, None))
    grid[2].set(ylim=(0.76, 0.83))
    return with_legend(figure, grid[0])


def normalizations(rows: list[dict]):
    """Test accuracy over the batch size, in prediction as usual and with statistics anew."""
    figure, grid = new_figure(1, 2, size=(9, 3.8), sharey=True)
    columns = {"test_accuracy": "As trained", "recalibrated_accuracy": "Statistics measured anew"}
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
        lines(
            axes,
            chosen,
            "lr",
            "test_accuracy",
            "place",
            {place: ORDERS.get(place, place) for place in PLACES},
        )
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
        places, values = by_seed(select(rows, **{by: kind}), x, y)
        at = [place + 0.09 * (number - (len(labels) - 1) / 2) for place in range(len(places))]
        look = dict(color=COLOURS[number], marker=MARKERS[number], ms=5, lw=1)
        axes.plot(at, values.mean(axis=0), label=label, **look)
        axes.vlines(at, values.min(axis=0), values.max(axis=0), color=COLOURS[number], lw=2.5)
    axes.set_xticks(range(len(places)), [f"{place:g}" for place in places])


def title(column: str) -> str:
    """What a reader calls a column: "Training loss"."""
    return column.replace("_", " ").replace("train ", "training ").capitalize()


def with_legend(figure, axes):
    """The figure, with the names of the lines of `axes` below all panels."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return figure
