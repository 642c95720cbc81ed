"""What happens inside a network, layer by layer, as figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from d2l_bn.figures.style import COLOURS, MARKERS, Figure, new_figure


def layer_histograms(
    stages: Mapping[str, Mapping[str, Sequence[np.ndarray]]],
    layers: Sequence[str],
    xlabel: str,
    title: str = "",
) -> Figure:
    """What goes through the layers of one or several networks, at one or several stages.

    Parameters
    ----------
    stages : mapping of str to mapping of str to list of ndarray, each of shape (images, ...)
        For each stage, such as "before training", and each network, the values at each layer.
    layers : sequence of str
        The name of each layer.
    xlabel : str
        What the values are.
    title : str
        Above the figure.

    Returns
    -------
    Figure
        A row for each stage and a column for each layer; one value in a thousand, the farthest
        out, is left out. The titles give the deviation over images of each network: the standard
        deviation of one unit from image to image, averaged over the units.
    """
    size = (9, 0.5 + 2.2 * len(stages))
    figure, grid = new_figure(len(stages), len(layers), size=size, squeeze=False)
    for row, (stage, networks) in zip(grid, stages.items()):
        for column, (axes, layer) in enumerate(zip(row, layers)):
            arrays = [values[column] for values in networks.values()]
            _histograms(axes, arrays, list(networks))
            deviations = " and ".join(f"{array.std(axis=0).mean():.2g}" for array in arrays)
            axes.set_title(f"{layer}, {stage}\ndeviation {deviations}", fontsize=10)
            axes.set_xlabel(xlabel)
        row[0].set_ylabel("share of the values")
        row[0].legend(fontsize=9, loc="upper right", handlelength=1)
    figure.suptitle(title)
    return figure


def _histograms(axes, arrays: Sequence[np.ndarray], names: Sequence[str]) -> None:
    """The first one filled, the others as lines over it, all with the same bins."""
    low, high = np.transpose([np.percentile(array, [0.05, 99.95]) for array in arrays])
    bins = np.linspace(low.min(), high.max(), 61)
    for number, (name, array) in enumerate(zip(names, arrays)):
        fractions = np.histogram(array, bins)[0] / array.size
        fill = {"fill": number == 0, "alpha": 0.5 if number == 0 else 1}
        axes.stairs(fractions, bins, color=COLOURS[number], label=name, lw=1.5, **fill)


def scales_and_shifts(
    networks: Mapping[str, Sequence[tuple[np.ndarray, np.ndarray]]],
    layers: Sequence[str],
    title: str = "",
) -> Figure:
    """What the normalization layers of one or several networks have learned.

    Parameters
    ----------
    networks : mapping of str to list of (ndarray, ndarray)
        For each network, gamma and beta of each of its layers.
    layers : sequence of str
        The name of each layer.
    title : str
        Above the figure.

    Returns
    -------
    Figure
        For each layer one mark per channel, beta to the right and gamma upwards.
    """
    figure, row = new_figure(1, len(layers), size=(9, 2.9), squeeze=False, sharex=True, sharey=True)
    for column, (axes, layer) in enumerate(zip(row[0], layers)):
        for number, (name, pairs) in enumerate(networks.items()):
            gamma, beta = pairs[column]
            look = {"color": COLOURS[number], "ls": "none", "marker": MARKERS[number], "ms": 4}
            axes.plot(beta.ravel(), gamma.ravel(), label=name, alpha=0.7, **look)
        axes.plot([0], [1], "k+", ms=12, label="start")
        axes.set(title=layer, xlabel="shift beta")
    row[0, 0].set_ylabel("scale gamma")
    row[0, 0].legend(fontsize=9)
    figure.suptitle(title)
    return figure
