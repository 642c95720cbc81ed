"""The tables of the experiments as figures; chapter 6 shows them."""

from __future__ import annotations

import matplotlib
import numpy as np
from matplotlib import patches

from d2l_bn.figures import COLOURS, MARKERS, new_figure
from experiments.deep_linear import KINDS as LINEAR
from experiments.noise import variance_in_training
from experiments.recipes import FAILS_BELOW
from experiments.tables import by_seed, select

LABELS = {"none": "plain", "scratch": "batch norm", "noisy": "noisy batch norm"}
HATCHES = ("", "////", "....")  # so that bands can be told apart in grey print, too


def mean_and_range(axes, rows: list[dict], x: str, y: str, number: int, label: str, **look) -> None:
    """A line for the mean over the seeds, and a band from the least to the greatest."""
    places, values = by_seed(rows, x, y)
    look = {"markevery": max(1, len(places) // 10), **look}
    span = values.min(axis=0), values.max(axis=0)
    line_and_band(axes, places, values.mean(axis=0), span, number, label, **look)


def line_and_band(axes, places, line, span, number: int, label: str, *, markevery, **shade) -> None:
    """A line with marks, and a band between the two lines of `span`."""
    look = dict(color=COLOURS[number], marker=MARKERS[number], ms=4, label=label)
    axes.plot(places, line, markevery=markevery, **look)
    axes.fill_between(places, *span, **{**band(number), **shade})


def band(number: int) -> dict:
    """Return what makes a band look different from the others."""
    hatch = HATCHES[number % len(HATCHES)]
    return dict(color=COLOURS[number], alpha=0.25, hatch=hatch, lw=0)


def cure(rows: list[dict]):
    """Test accuracy each epoch, with the moving averages and with recomputed statistics."""
    figure, grid = new_figure(1, 3, size=(9, 3.6), sharey=True)
    for axes, recipe in zip(grid, ("source", "source, cosine", "default")):
        chosen = select(rows, recipe=recipe)
        mean_and_range(axes, chosen, "epoch", "test_accuracy", 2, "moving averages")
        mean_and_range(axes, chosen, "epoch", "recalibrated_accuracy", 0, "recomputed")
        axes.set(title=recipe, xlabel="epoch", xticks=(1, 4, 7, 10))
    grid[0].set(ylabel="test accuracy")
    grid[2].legend(loc="lower right")
    return figure


def choice(rows: list[dict]):
    """Accuracy on held-out training images at the end: a line for each setting, a dot a seed."""
    figure, axes = new_figure(size=(7, 3.6))
    ends = held_out(rows)
    for place, accuracies in enumerate(ends.values()):
        axes.plot(accuracies, [place] * len(accuracies), "o", ms=5, alpha=0.6, color=COLOURS[0])
        axes.plot([np.mean(accuracies)] * 2, [place - 0.3, place + 0.3], color="black", lw=2)
    axes.set_yticks(range(len(ends)), [f"rate {lr:g}, momentum {m:g}" for lr, m in ends])
    axes.set(title="Ten epochs, cosine schedule", xlabel="accuracy on held-out training images")
    return figure


def held_out(rows: list[dict]) -> dict[tuple[float, float], list[float]]:
    """The accuracies after the last epoch by (learning rate, momentum), the best mean last."""
    ends: dict[tuple[float, float], list[float]] = {}
    for row in select(rows, epoch=max(row["epoch"] for row in rows)):
        ends.setdefault((row["lr"], row["momentum"]), []).append(row["held_out_accuracy"])
    return dict(sorted(ends.items(), key=lambda item: np.mean(item[1])))


# What is drawn of `covariate_shift`: normalization, statistics, label.
KINDS = (
    ("scratch", "anew", "batch norm, recomputed"),
    ("none", "none", "plain"),
    ("scratch", "moving", "batch norm, moving averages"),
)


def covariate_shift(rows: list[dict]):
    """Test accuracy over the steps, and how far the units' medians move from row to row."""
    figure, (left, right) = new_figure(1, 2, size=(9, 3.8))
    for number, (norm, statistics, label) in enumerate(KINDS):
        chosen = select(rows, norm=norm, statistics=statistics)
        mean_and_range(left, chosen, "step", "test_accuracy", number, label)
        later = [row for row in chosen if not np.isnan(row["moves"])]
        mean_and_range(right, later, "step", "moves", number, label)
    left.set(title="Test accuracy", xlabel="step", ylabel="share of right answers", ylim=(0.8, 0.9))
    right.set(title="Median moves in 1,000 steps", xlabel="step", ylabel="share of the width")
    right.set(yscale="log")
    left.legend(loc="lower right")
    return figure


def unit_input(rows: list[dict]):
    """Percentiles of the input of one sigmoid over the steps, for each seed."""
    figure, grid = new_figure(3, 3, size=(9, 7), sharex=True, sharey=True)
    for number, (norm, statistics, label) in enumerate(KINDS):
        for seed, axes in enumerate(grid[number]):
            chosen = select(rows, norm=norm, statistics=statistics, seed=seed)
            steps, low = by_seed(chosen, "step", "p15")
            (_, middle), (_, high) = (by_seed(chosen, "step", name) for name in ("p50", "p85"))
            axes.fill_between(steps, low[0], high[0], label="15 to 85 %", **band(number))
            axes.plot(steps, middle[0], color=COLOURS[number], label="median")
            axes.set_title(f"{label}, seed {seed}", fontsize=9)
        grid[number, 0].legend(loc="lower left", fontsize=8)
        grid[number, 0].set(ylabel="input of the sigmoid")
    for axes in grid[-1]:
        axes.set(xlabel="step (thousands)", xticks=range(0, 50_001, 10_000))
        axes.set_xticklabels(range(0, 51, 10))
    return figure


def rate_and_scale(rows: list[dict]):
    """Final test accuracy by learning rate and initial scale: the mean, and failures."""
    figure, panels = new_figure(2, 1, size=(9, 6), sharex=True)
    for axes, norm in zip(panels, ("scratch", "none")):
        rates, scales = (sorted({row[name] for row in rows}) for name in ("lr", "scale"))
        for place in np.ndindex(len(scales), len(rates)):
            runs = select(rows, norm=norm, scale=scales[place[0]], lr=rates[place[1]])
            mean, lost = np.nanmean([run["test_accuracy"] for run in runs]), failures(runs)
            axes.add_patch(_square(place, mean))
            text = f"{mean:.2f}" + (f"\n{lost} of {len(runs)} fail" if lost else "")
            colour = "white" if mean > 0.75 else "black"
            axes.text(*place[::-1], text, ha="center", va="center", color=colour, fontsize=9)
        axes.set_xticks(range(len(rates)), [f"{rate:g}" for rate in rates])
        axes.set_yticks(range(len(scales)), [f"{scale:g}" for scale in scales])
        axes.set(xlim=(-0.5, len(rates) - 0.5), ylim=(-0.5, len(scales) - 0.5))
        axes.set(title=LABELS[norm], ylabel="initial scale")
        axes.grid(False)
    panels[1].set(xlabel="learning rate")
    return figure


def _square(place: tuple[int, ...], value: float):
    """A square of a heat map: the darker, the higher."""
    row, column = place
    colour = matplotlib.colormaps["Blues"](value / 1.2)
    return patches.Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor=colour, edgecolor="white")


def failures(runs: list[dict]) -> int:
    """How many runs end at guessing, or with a loss that isn't finite."""
    return sum(not run["test_accuracy"] >= FAILS_BELOW for run in runs)


def noisy(rows: list[dict]):
    """Training loss and test accuracy over the epochs, with noise after the normalization."""
    figure, (left, right) = new_figure(1, 2, size=(9, 3.6))
    for number, norm in enumerate(("scratch", "none", "noisy")):
        chosen = select(rows, norm=norm)
        mean_and_range(left, chosen, "epoch", "train_loss", number, LABELS[norm])
        mean_and_range(right, chosen, "epoch", "test_accuracy", number, LABELS[norm])
    left.set(title="Training loss", xlabel="epoch", ylabel="cross-entropy (nats)", ylim=(0, None))
    right.set(title="Test accuracy", xlabel="epoch", ylabel="share of right answers", ylim=(0, 1))
    left.legend()
    return figure


def deep_linear(rows: list[dict], steps_of: dict[int, np.ndarray]):
    """The loss of the deep linear network for each seed, and the stairs of Eckart and Young."""
    figure, grid = new_figure(1, len(steps_of), size=(9, 4), sharey=True)
    for (seed, stairs), axes in zip(steps_of.items(), grid):
        for rank, height in enumerate(stairs[:-1]):
            axes.axhline(height, color="0.6", lw=0.8)
            if 3 <= rank <= 6:
                axes.text(10_000, height, f"rank {rank}", ha="right", va="bottom", fontsize=8)
        for number, kind in enumerate(LINEAR):
            places, (losses,) = by_seed(select(rows, kind=kind, seed=seed), "step", "loss")
            axes.plot(places, losses, color=COLOURS[number], label=kind, lw=2)
        axes.set(title=f"seed {seed}", xlabel="step", yscale="log", ylim=(0.5, 200))
    grid[0].set(ylabel="squared error")
    return with_legend(figure, grid[0])


def with_legend(figure, *panels):
    """The figure, with the names of the lines of `panels`, each once, below all of them."""
    found = [zip(*axes.get_legend_handles_labels()) for axes in panels]
    named = {label: handle for pairs in found for handle, label in pairs}
    figure.legend(named.values(), named, loc="outside lower center", ncols=min(4, len(named)))
    return figure


def dropout_shift(rows: list[dict]):
    """Spread of the predictions' normalized values over the share that dropout keeps."""
    figure, axes = new_figure(size=(6.5, 4))
    shares = np.linspace(0.5, 0.9, 50).tolist()
    for number, mu in enumerate(sorted({row["mu"] for row in rows})):
        look = dict(color=COLOURS[number], marker=MARKERS[number], ls="")
        keeps, values = by_seed(select(rows, order="dropout first", mu=mu), "keep", "predicted_sd")
        axes.plot(np.tile(keeps, len(values)), values.ravel(), label=f"mean {mu:g}", **look)
        expected = [variance_in_training(mu, share) ** -0.5 for share in shares]
        axes.plot(shares, expected, color=COLOURS[number], lw=1)
    keeps, values = by_seed(select(rows, order="norm first", mu=0), "keep", "predicted_sd")
    axes.plot(keeps, values.mean(axis=0), "x--", color="black", label="norm first")
    axes.set(xlabel="share that dropout keeps", ylabel="standard deviation", ylim=(0, 1.1))
    axes.set(title="Batch norm's output in prediction")
    axes.legend(title="input", loc="lower right")
    return figure


def folding(rows: list[dict]):
    """Time of a prediction with the normalization folded away, as a share of that with it."""
    figure, axes = new_figure(size=(7, 3.4))
    kinds = [(norm, size) for norm in ("gluon", "scratch") for size in (256, 1)]
    for place, (norm, size) in enumerate(kinds):
        shares = time_ratios(select(rows, norm=norm, batch_size=size))
        spread = np.linspace(-0.25, 0.25, len(shares))
        axes.plot(shares, place + spread, "o", ms=4, alpha=0.5, color=COLOURS[0])
        axes.plot([np.median(shares)] * 2, [place - 0.35, place + 0.35], color="black", lw=2)
    axes.axvline(1, color="0.3", ls="--")
    names = {"scratch": "package's", "gluon": "Gluon's"}
    axes.set_yticks(range(4), [f"{names[norm]}, batch of {size}" for norm, size in kinds])
    axes.set(title="Time of a prediction", xlabel="folded : normalized", xlim=(0, None))
    return figure


def time_ratios(rows: list[dict]) -> np.ndarray:
    """For each pair of predictions, the time of the folded network as a share of the other's."""
    return np.array([row["folded_ms"] / row["normalized_ms"] for row in rows])
