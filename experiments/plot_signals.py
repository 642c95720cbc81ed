"""What happens inside of a network in training, as figures; chapter 6 shows them."""

from __future__ import annotations

from d2l_bn.figures import COLOURS, new_figure
from experiments.plots import LABELS, line_and_band, mean_and_range
from experiments.tables import by_seed, select


def bands(rows: list[dict], scale: float):
    """What lies along the gradient: the range of the loss, and of the change of the gradient."""
    rows = select(rows, scale=scale)
    seeds = sorted({row["seed"] for row in rows})
    figure, grid = new_figure(2, len(seeds), size=(9, 5.6), sharex=True, sharey="row")
    for line, name in zip(grid, ("loss", "change")):
        for seed, axes in zip(seeds, line):
            for number, norm in enumerate(("scratch", "none")):
                chosen = select(rows, norm=norm, seed=seed)
                steps, (least,) = by_seed(chosen, "step", f"{name}_min")
                _, (greatest,) = by_seed(chosen, "step", f"{name}_max")
                span = least, greatest
                line_and_band(axes, steps, greatest, span, number, LABELS[norm], markevery=4)
            axes.set(yscale="log")
    for seed, above, below in zip(seeds, *grid):
        above.set_title(f"seed {seed}", fontsize=10)
        below.set(xlabel="step")
    grid[0, 0].set(ylabel="loss (nats)")
    grid[1, 0].set(ylabel="change of the gradient")
    grid[0, 0].legend()
    return figure


AXES: dict[str, dict] = {
    "output": dict(xticks=(0, 0.5, 1), yscale="log", ylim=(1e-4, 1.5)),
    "log10 gradient": dict(xticks=(-8, -6, -4, -2), ylim=(0, 0.35)),
}


def histograms(rows: list[dict], signal: str):
    """A signal at each layer of sigmoids before and after training: mean and range of the seeds."""
    figure, grid = new_figure(2, 4, size=(9, 4.8), sharex=True, sharey=True)
    last = max(row["step"] for row in rows)
    moments = ((0, "0.55", "before training"), (last, COLOURS[0], "after"))
    for line, norm in zip(grid, ("scratch", "none")):
        for layer, axes in enumerate(line, 1):
            for step, colour, label in moments:
                chosen = select(rows, norm=norm, layer=layer, step=step, signal=signal)
                left, shares = by_seed(chosen, "left", "share")
                edges = [*left, 2 * left[-1] - left[-2]]
                axes.stairs(shares.mean(axis=0), edges, color=colour, label=label, lw=1.5)
                span = shares.max(axis=0), edges
                axes.stairs(*span, baseline=shares.min(axis=0), color=colour, fill=True, alpha=0.3)
            axes.set_title(f"{LABELS[norm]}, layer {layer}", fontsize=10)
            axes.set(**AXES[signal])
    for axes in grid[1]:
        axes.set(xlabel=signal)
    for axes in grid[:, 0]:
        axes.set(ylabel="share of values")
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return figure


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
