"""Scale, rank, shifts, gamma and beta, and noise, as figures; chapter 6c shows them."""

from __future__ import annotations

import numpy as np

from d2l_bn.figures import COLOURS, MARKERS, new_figure
from experiments.deep_linear import UNITS
from experiments.dense import RUNS, TRAINED
from experiments.plots import mean_and_range, with_legend
from experiments.population import SHIFTS
from experiments.tables import select


def scale_invariance(rows: list[dict]):
    """The norm of the first weights and their effective rate over the steps."""
    figure, grid = new_figure(1, 2, size=(9, 3.8))
    for number, run in enumerate(RUNS):
        chosen = with_effective_rate(select(rows, run=run))
        for axes, column in zip(grid, ("norm", "effective_rate")):
            look = dict(hatch=None, markevery=1)
            mean_and_range(axes, chosen, "step", column, number, run, **look)
    for axes, title in zip(grid, ("Norm of the weights", "Effective rate: rate / norm²")):
        axes.set(title=title, xlabel="step", yscale="log")
    return with_legend(figure, grid[0])


def with_effective_rate(rows: list[dict]) -> list[dict]:
    """The rows, with the rate of the hidden weights over their squared norm."""
    return [{**row, "effective_rate": RUNS[row["run"]][0] / row["norm"] ** 2} for row in rows]


def rank(rows: list[dict]):
    """The effective rank of a batch over the depth, with and without."""
    figure, grid = new_figure(1, 2, size=(9, 3.6), sharey=True)
    names = {"identity": "Linear layers", "relu": "ReLU"}
    for axes, (activation, title) in zip(grid, names.items()):
        for number, (norm, label) in enumerate(
            {"batch norm": "batch norm", "none": "plain"}.items()
        ):
            chosen = select(rows, activation=activation, norm=norm)
            mean_and_range(axes, chosen, "depth", "rank", number, label, markevery=1)
        axes.axhline(UNITS**0.5, color="0.4", ls="--", label="square root of the width")
        axes.set(title=title, xlabel="layers passed", ylim=(0, 8))
    grid[0].set(ylabel="effective rank")
    grid[1].legend(fontsize=8)
    return figure


def dots(rows_of: dict[str, list[dict]], columns: dict[str, str], size: tuple[float, float]):
    """For each name a line of dots, one a seed, and a bar at their mean; a colour a column."""
    figure, axes = new_figure(size=size)
    for place, rows in enumerate(rows_of.values()):
        for number, (column, label) in enumerate(columns.items()):
            values = [row[column] for row in rows]
            at = place + 0.3 * (number - (len(columns) - 1) / 2)
            look = dict(color=COLOURS[number], ls="", ms=4, alpha=0.6)
            axes.plot(
                values, [at] * len(values), MARKERS[number], label=None if place else label, **look
            )
            axes.plot([np.mean(values)] * 2, [at - 0.12, at + 0.12], color="black", lw=2)
    axes.set_yticks(range(len(rows_of)), list(rows_of))
    axes.invert_yaxis()
    axes.set(xlabel="test accuracy")
    return figure, axes


def shifts(rows: list[dict]):
    """Test accuracy on shifted images, with the statistics of training and with recomputed ones."""
    columns = {"kept": "statistics of training", "recomputed": "recomputed on 500 shifted images"}
    figure, axes = dots({name: select(rows, shift=name) for name in SHIFTS}, columns, (7, 4))
    axes.set(xlim=(0, 1))
    axes.legend(fontsize=8)
    return figure


def gamma_beta(rows: list[dict]):
    """Test accuracy by what is trained, each at the rate chosen for it."""
    chosen = {name: chosen_rate(rows, name) for name in TRAINED}
    figure, axes = dots(chosen, {"test_accuracy": "test accuracy"}, (7, 2.8))
    axes.axvline(0.1, color="0.4", ls="--")
    axes.set(xlim=(0, 1))
    return figure


def chosen_rate(rows: list[dict], name: str) -> list[dict]:
    """The rows of one kind of training at its rate, without the seeds that chose it."""
    return [row for row in select(rows, trained=name, lr=TRAINED[name]) if row["seed"] < 100]


def batch_noise(rows: list[dict]):
    """Measured noise over the size of the batch, and the formula for independent values."""
    figure, axes = new_figure(size=(7, 3.8))
    names = {
        "random": "random values",
        "dense": "LeNet's first dense layer",
        "convolution": "LeNet's first convolution",
    }
    for number, (values, label) in enumerate(names.items()):
        chosen = select(rows, values=values)
        mean_and_range(axes, chosen, "batch_size", "noise", number, label, markevery=1)
    sizes = np.unique([row["batch_size"] for row in rows])
    axes.plot(sizes, 1.5 / sizes, color="black", ls="--", label="3 / (2 n)")
    axes.set(xscale="log", yscale="log", xlabel="batch size n", ylabel="mean of (x̂ - z)²")
    axes.set_xticks(sizes, sizes)
    axes.legend(fontsize=8)
    return figure
