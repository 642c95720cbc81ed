"""The table of conventions: what each framework's batch normalization decides, all measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

from in_tensorflow.frameworks import LAYERS, missing
from in_tensorflow.one_step import Layer
from in_tensorflow.probes import deviations_at, makes_of_one, predicts_with, probe

COLUMNS = (
    "layer", "moving variance, dense", "moving variance, images", "moving variance starts at",
    "moving mean starts at", "momentum weighs", "momentum", "eps", "gamma", "averages move in",
    "mode, if not named", "a batch is normalized with", "variance after one batch of 4",
    "at offset 1,000", "at offset 10,000", "batch of one",
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
    start = "first batch" if found.keep_first == 0 else None
    momentum = found.keep if found.side == "old" else 1 - found.keep
    mean_of_all = (found.keep_first, found.keep) == (0, 0.5)
    cells = {
        "layer": layer.name,
        "moving variance, dense": ESTIMATOR[found.unbiased[2]],
        "moving variance, images": ESTIMATOR[found.unbiased[4]],
        "moving variance starts at": choice(layer, "start", start or f"{found.start_var:g}"),
        "moving mean starts at": choice(layer, "start", start or f"{found.start_mean:g}"),
        "momentum weighs": choice(layer, "momentum", f"the {found.side} value"),
        "momentum": choice(
            layer, "momentum", "none, the mean of all" if mean_of_all else f"{momentum:g}"
        ),
        "eps": choice(layer, "eps", f"{found.eps:.0e}".replace("e-0", "e-")),
        "gamma": found.gamma,
        "averages move in": found.updates,
        "mode, if not named": choice(layer, "training", mode_in_words(found.modes)),
        "a batch is normalized with": "its own" if found.own else "moving averages",
        "variance after one batch of 4": choice(layer, "start", f"{predicts_with(layer):.3g}"),
        "at offset 1,000": span(*deviations_at(layer, 1_000)),
        "at offset 10,000": span(*deviations_at(layer, 10_000)),
        "batch of one": makes_of_one(layer),
    }
    return cells


def choice(layer: Layer, option: str, default: str) -> str:
    """Return the default, or "yours" where the layer has none."""
    return "yours" if option in layer.yours else default


def span(low: float, high: float) -> str:
    """For example "1.00", or "0.88 to 1.19"."""
    return " to ".join(dict.fromkeys(f"{value:.2f}" for value in (low, high)))


def mode_in_words(modes: dict[str, str]) -> str:
    """For example "off, on inside autograd.record()"."""
    named = ", ".join(f"{mode} {place}".strip() for place, mode in modes.items())
    return named or "an error"
