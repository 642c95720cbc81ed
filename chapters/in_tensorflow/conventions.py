"""The table of conventions: what each framework's batch normalization decides, all measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

from in_tensorflow.frameworks import LAYERS, missing
from in_tensorflow.one_step import Layer
from in_tensorflow.probes import probe

COLUMNS = (
    "layer", "moving variance, dense", "moving variance, images", "moving variance starts at",
    "moving mean starts at", "momentum weighs", "momentum", "eps", "gamma", "averages move in",
    "mode, if not named",
)  # fmt: skip
ESTIMATOR = {True: "unbiased", False: "biased"}


def table(layers: Optional[list[Layer]] = None) -> list[dict[str, str]]:
    """One row of measured conventions for each layer, a dict with the keys `COLUMNS`.

    The estimator is that of the *moving* variance: every layer normalizes a training batch with
    the biased one. Where a framework isn't installed, every cell of its row says so.
    """
    return [row(layer) for layer in (LAYERS if layers is None else layers)]


def markdown(rows: Optional[list[dict]] = None, columns: Optional[Sequence[str]] = None) -> str:
    """Return rows of dicts, by default `table()`, as a Markdown table of all or some columns.

    It also serves `parity.differences` and `dropout.defaults`.
    """
    rows = table() if rows is None else rows
    columns = tuple(rows[0]) if columns is None else tuple(columns)
    lines = [columns, ("---",) * len(columns)]
    lines += [tuple(in_a_cell(row[column]) for column in columns) for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def in_a_cell(value: str | float | None) -> str:
    """Text as it is, a number by its size, and a dash where there is none."""
    if value is None:
        return "-"
    return value if isinstance(value, str) else f"{value:.2g}"


def row(layer: Layer) -> dict[str, str]:
    """Measure the conventions of one layer, and put them into words."""
    reason = missing(layer.framework)
    if reason:
        return {"layer": layer.name, **dict.fromkeys(COLUMNS[1:], reason)}
    found = probe(layer)
    momentum = found.keep if found.side == "old" else 1 - found.keep
    cells = {
        "layer": layer.name,
        "moving variance, dense": ESTIMATOR[found.unbiased[2]],
        "moving variance, images": ESTIMATOR[found.unbiased[4]],
        "moving variance starts at": choice(layer, "start", f"{found.start_var:g}"),
        "moving mean starts at": choice(layer, "start", f"{found.start_mean:g}"),
        "momentum weighs": choice(layer, "momentum", f"the {found.side} value"),
        "momentum": choice(layer, "momentum", f"{momentum:g}"),
        "eps": choice(layer, "eps", f"{found.eps:.0e}".replace("e-0", "e-")),
        "gamma": found.gamma,
        "averages move in": found.updates,
        "mode, if not named": choice(layer, "training", mode_in_words(found.modes)),
    }
    return cells


def choice(layer: Layer, option: str, default: str) -> str:
    """Return the default, or "yours" where the layer has none."""
    return "yours" if option in layer.yours else default


def mode_in_words(modes: dict[str, str]) -> str:
    """For example "off, on inside autograd.record()"."""
    return ", ".join(f"{mode} {place}".strip() for place, mode in modes.items())
