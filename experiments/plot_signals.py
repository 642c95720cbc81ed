"""What happens inside of a network in training, as figures; chapter 6 shows them."""

from __future__ import annotations

import numpy as np
from matplotlib import ticker

from d2l_bn.figures import COLOURS, new_figure
from experiments.plots import LABELS, mean_and_range, with_legend
from experiments.signals import EDGES
from experiments.tables import select

NETS = {"lenet x3": "LeNet, weights x 3", "vgg": "small VGG, ReLU"}
ALL_NETS = {**NETS, "linear": "25 linear layers"}
SHIFTS = {"change": "|G - G'|", "relative": "|G - G'| : |G|", "cosine": "cosine of G and G'"}
MEASURES = {  # of the walk along the step, after figure 4 of Santurkar and others
    "variation": "variation of the loss",
    "change_max": "change of the gradient",
    "beta": "change : distance",
}


def bands(rows: list[dict], net: str):
    """What lies along the step, over the steps: mean and range of the seeds."""
    rows = [{**row, "variation": row["loss_max"] - row["loss_min"]} for row in rows]
    figure, grid = new_figure(1, 3, size=(9, 3.6), sharex=True)
    for axes, (name, title) in zip(grid, MEASURES.items()):
        for number, norm in enumerate(("scratch", "none")):
            chosen = select(rows, net=net, norm=norm)
            mean_and_range(axes, chosen, "step", name, number, LABELS[norm])
        axes.set(title=title, xlabel="step", yscale="log")
        axes.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(ticker.FormatStrFormatter("%g"))
        axes.yaxis.set_minor_formatter(ticker.NullFormatter())
    grid[0].legend(fontsize=8)
    figure.suptitle(NETS[net])
    return figure


def definition_2_1(rows: list[dict]):
    """Internal covariate shift layer by layer: mean over a run, mean and range of the seeds."""
    figure, grid = new_figure(3, 3, size=(9, 7.4), sharex="col")
    for column, (net, title) in enumerate(ALL_NETS.items()):
        for axes, (name, label) in zip(grid[:, column], SHIFTS.items()):
            for number, norm in enumerate(("scratch", "none")):
                chosen = mean_over_run(select(rows, net=net, norm=norm), name)
                look = dict(markevery=1)
                mean_and_range(axes, chosen, "layer", name, number, LABELS[norm], **look)
            axes.set_xticks(sorted({row["layer"] for row in chosen}))
            if name == "change":
                axes.set(title=title, yscale="log")
            if column == 0:
                axes.set(ylabel=label)
        axes.set(xlabel="layer")
    grid[0, 0].legend(fontsize=8)
    return figure


def mean_over_run(rows: list[dict], name: str) -> list[dict]:
    """A row for each seed and layer: the mean over the steps. `relative` is change : gradient."""
    found = []
    for seed, layer in sorted({(row["seed"], row["layer"]) for row in rows}):
        values = [
            row["change"] / row["gradient"] if name == "relative" else row[name]
            for row in select(rows, seed=seed, layer=layer)
        ]
        found.append({"seed": seed, "layer": layer, name: float(np.mean(values))})
    return found


AXES: dict[str, dict] = {
    "output": dict(xticks=(0, 0.5, 1), yscale="log", ylim=(1e-4, 1.5)),
    "log10 gradient": dict(xticks=(-8, -6, -4, -2), ylim=(0, 0.35)),
}


def histograms(rows: list[dict], signal: str):
    """A signal at each layer of sigmoids before and after training: mean and range of the seeds."""
    figure, grid = new_figure(2, 4, size=(9, 4.8), sharex=True, sharey=True)
    last = max(row["step"] for row in rows)
    for line, norm, own in zip(grid, ("scratch", "none"), COLOURS):
        moments = ((0, "0.55", "before training"), (last, own, f"after, {LABELS[norm]}"))
        for layer, axes in enumerate(line, 1):
            for step, colour, label in moments:
                chosen = select(rows, norm=norm, layer=layer, step=step, signal=signal)
                shares, edges = bars(chosen), EDGES[signal]
                axes.stairs(shares.mean(axis=0), edges, color=colour, label=label, lw=1.5)
                span = shares.max(axis=0), edges
                axes.stairs(*span, baseline=shares.min(axis=0), color=colour, fill=True, alpha=0.3)
            axes.set_title(f"{LABELS[norm]}, layer {layer}", fontsize=10)
            axes.set(**AXES[signal])
    for axes in grid[1]:
        axes.set(xlabel=signal)
    for axes in grid[:, 0]:
        axes.set(ylabel="share of values")
    return with_legend(figure, *grid[:, 0])


def bars(rows: list[dict]) -> np.ndarray:
    """The bars of histograms: a line for each row, a column for each bar."""
    names = [name for name in rows[0] if name.startswith("bar")]
    return np.array([[row[name] for name in names] for row in rows])


def ratios(rows: list[dict]):
    """The size of the updates beside that of the weights, for each weight."""
    figure, grid = new_figure(1, 2, size=(9, 4), sharey=True)
    names = ("convolution 1", "convolution 2", "dense 1", "dense 2", "dense 3")
    for axes, norm in zip(grid, ("scratch", "none")):
        for number, name in enumerate(names):
            chosen = select(rows, norm=norm, layer=number + 1)
            look = dict(markevery=(number, 5), alpha=0.15, hatch=None)
            mean_and_range(axes, chosen, "step", "log10_update_to_data", number, name, **look)
        axes.axhline(-3, color="black", ls="--", lw=1)
        axes.set(title=LABELS[norm], xlabel="step")
    grid[0].set(ylabel="log10 of update : weight")
    grid[0].legend(loc="lower left", ncols=2)
    return figure
