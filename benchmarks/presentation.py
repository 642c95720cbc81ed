"""The results as tables on the terminal."""

from __future__ import annotations

import numpy as np

from benchmarks.processes import (
    DEFAULT,
    NAIVE,
    PINNED,
    SETTINGS,
    TORCH,
    TORCH_2,
    TORCH_PINNED,
    Setting,
)
from benchmarks.training_speed import NAMES, Key, ratio

MISSING = {
    "mxnet": "not measured",
    "torch": "not measured: PyTorch is not installed (pip install -c constraints.txt -e .[torch])",
}


def lenet_table(speeds: dict[Key, list[float]]) -> list[list[str]]:
    """Examples a second, and how much that is of Gluon's in the same setting."""
    source = (DEFAULT.name, "source")
    head = ["setting", "normalization", "examples/s", "half of the rounds"]
    rows = [[*head, "of Gluon's", "times the source's"]]
    for setting in SETTINGS:
        for name in NAMES[setting.side]:
            key, gluon = (setting.name, name), (setting.name, "Gluon")
            if key not in speeds:
                rows.append([setting.name, name, MISSING[setting.side], "", "", ""])
                continue
            low, middle, high = np.percentile(speeds[key], (25, 50, 75))
            share = f"{ratio(speeds, key, gluon):.2f}" if gluon in speeds else ""
            times = f"{ratio(speeds, key, source):.1f}"
            rows.append([*key, f"{middle:,.0f}", f"{low:,.0f} to {high:,.0f}", share, times])
    return rows


def goals(
    speeds: dict[Key, list[float]], growth: dict[str, float], layers: list[dict]
) -> list[list[str]]:
    """What was to be reached, at the least and as the aim, and what was."""
    rows = [["goal", "at least", "aim", "measured"]]

    def compare(text: str, least: str, aim: str, ours: Setting, other: Setting, name: str) -> None:
        one, two = (ours.name, "ours"), (other.name, name)
        there = one in speeds and two in speeds
        measured = f"{ratio(speeds, one, two):.2f}" if there else MISSING[other.side]
        rows.append([text, least, aim, measured])

    compare("LeNet, of Gluon's operator", "1.15", "1.25", DEFAULT, DEFAULT, "Gluon")
    compare("   NaiveEngine, 2 threads", "1.10", "1.25", NAIVE, NAIVE, "Gluon")
    compare("   pinned to one core", "", "", PINNED, PINNED, "Gluon")
    compare("   of no normalization", "", "", DEFAULT, DEFAULT, "none")
    compare("   times the source's text", "9", "10", DEFAULT, DEFAULT, "source")
    scratch, built_in = NAMES["torch"]
    for where, ours, torch in (
        ("1 thread", DEFAULT, TORCH),
        ("2 threads", NAIVE, TORCH_2),
        ("pinned to one core", PINNED, TORCH_PINNED),
    ):
        compare(f"   of PyTorch from scratch, {where}", "1.2", "1.5", ours, torch, scratch)
        compare(f"   of PyTorch built in, {where}", "0.95", "1.05", ours, torch, built_in)
    ms = {(row["setting"], row["layer"], row["shape"]): row["ms"] for row in layers}
    shapes = dict.fromkeys(row["shape"] for row in layers if row["part"] == "shape")
    images = [shape for shape in shapes if shape.count("x") == 3]
    dense = [shape for shape in shapes if shape.count("x") == 1]
    for text, least, aim, chosen, setting, name in (
        ("image layer, of Gluon's operator", "2", "4", images, DEFAULT, "Gluon"),
        ("   of PyTorch's built-in layer", "1", "2", images, TORCH, built_in),
        ("dense layer, of Gluon's operator", "0.8", "1.2", dense, DEFAULT, "Gluon"),
    ):
        found = [
            ms[setting.name, name, shape] / ms[DEFAULT.name, "ours", shape]
            for shape in chosen
            if (setting.name, name, shape) in ms
        ]
        measured = f"{min(found):.2f} to {max(found):.2f}" if found else "not measured"
        rows.append([text, least, aim, measured])
    value = f"{growth['ours']:.2f}" if growth else "not measured"
    return [*rows, ["time for 822 MB / for 206 MB", "at most 4.4", "", value]]


def layer_table(rows: list[dict]) -> list[list[str]]:
    """Milliseconds: one line for each layer in each setting, one column for each shape."""
    shapes = list(dict.fromkeys(row["shape"] for row in rows))
    ms = {(row["setting"], row["layer"], row["shape"]): row["ms"] for row in rows}
    table = [["ms, forward and backward", "setting", *shapes]]
    for setting, name in dict.fromkeys((row["setting"], row["layer"]) for row in rows):
        cells = [ms.get((setting, name, shape)) for shape in shapes]
        table.append([name, setting, *("-" if c is None else f"{c:.2f}" for c in cells)])
    return table


def aligned(table: list[list[str]]) -> str:
    """A table as text, its columns below each other."""
    short = [row for row in table if MISSING["torch"] not in row]
    widths = [max(map(len, column)) for column in zip(*short)]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip() for row in table
    )
