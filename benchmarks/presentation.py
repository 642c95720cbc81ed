"""The results as tables on the terminal and as figures."""

from __future__ import annotations

import statistics
from pathlib import Path

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
from d2l_bn.figures import COLOURS, MARKERS, new_figure

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
    speeds: dict[Key, list[float]], costs: dict[str, dict], layers: list[dict]
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
    for text, most, name, field in (
        ("time for 822 MB / for 206 MB", "at most 4.4", "growth", "ours"),
        ("share of data, metrics and progress", "at most 0.05", "overhead", "share"),
        ("from d2l_bn import BatchNorm / import mxnet", "at most 1.1", "import", "ratio"),
        ("peak memory / the source's", "at most 1.3", "memory", "ratio"),
        ("training with memory kept / without", "", "kept", "ratio"),
    ):
        value = costs.get(name, {}).get(field)
        rows.append([text, most, "", "not measured" if value is None else f"{value:.3f}"])
    return rows


def layer_table(rows: list[dict]) -> list[list[str]]:
    """Milliseconds: one line for each layer in each setting, one column for each shape."""
    shapes = list(dict.fromkeys(row["shape"] for row in rows))
    ms = {(row["setting"], row["layer"], row["shape"]): row["ms"] for row in rows}
    table = [["ms, forward and backward", "setting", *shapes]]
    for setting, name in dict.fromkeys((row["setting"], row["layer"]) for row in rows):
        cells = [ms.get((setting, name, shape)) for shape in shapes]
        table.append([name, setting, *("-" if c is None else f"{c:.2f}" for c in cells)])
    return table


def roofline_table(rows: list[dict]) -> list[list[str]]:
    """One line for each layer of LeNet."""
    table = [["layer", "input", "MB", "Mflop", "memory ms", "arithmetic ms", "Gluon's ms", "ours"]]
    for row in rows:
        names = ("mb", "mflop", "memory_ms", "arithmetic_ms", "measured_ms")
        texts = [f"{row[name]:.2f}" for name in names]
        ours = f"{row['ours_ms']:.2f}" if "ours_ms" in row else ""
        table.append([row["layer"], row["input"], *texts, ours])
    return table


def aligned(table: list[list[str]]) -> str:
    """A table as text, its columns below each other."""
    short = [row for row in table if MISSING["torch"] not in row]
    widths = [max(map(len, column)) for column in zip(*short)]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip() for row in table
    )


def draw_lenet(speeds: dict[Key, list[float]], path: Path) -> None:
    """A bar for each normalization in each setting."""
    keys = list(speeds)[::-1]
    figure, axes = new_figure(size=(9, 0.6 + 0.35 * len(keys)))
    values = [statistics.median(speeds[key]) for key in keys]
    colours = [COLOURS[1] if name == "ours" else COLOURS[0] for _, name in keys]
    bars = axes.barh(range(len(keys)), values, color=colours)
    for bar, (_, name) in zip(bars, keys):
        bar.set(hatch="//" if name == "ours" else "", edgecolor="white")
    axes.bar_label(bars, [f"{value:,.0f}" for value in values], padding=3)
    axes.set_yticks(range(len(keys)), [f"{name}  ({setting})" for setting, name in keys])
    axes.set(title="Training LeNet, batch 256, data in memory", xlabel="examples a second")
    axes.margins(x=0.15)
    figure.savefig(path)


def draw_growth(rows: list[dict], path: Path) -> None:
    """How the milliseconds grow with batch, channels and image size."""
    parts = list(dict.fromkeys(row["part"] for row in rows))
    places = {"batch": 0, "channels": 1, "image size": 2}
    figure, grid = new_figure(1, len(parts), size=(9, 3.8), sharey=True, squeeze=False)
    for part, axes in zip(parts, grid[0]):
        keys = list(dict.fromkeys((r["setting"], r["layer"]) for r in rows))
        for number, (setting, layer) in enumerate(keys):
            here = [
                r for r in rows if (r["part"], r["setting"], r["layer"]) == (part, setting, layer)
            ]
            sizes = [int(row["shape"].split(" x ")[places[part]]) for row in here]
            label = layer if layer.startswith("PyTorch") else f"MXNet, {layer}"
            options = dict(marker=MARKERS[number], color=COLOURS[number], label=label)
            axes.loglog(sizes, [row["ms"] for row in here], **options)
        axes.set(title=f"Growing {part}", xlabel=part)
        axes.set_xticks(sizes, [str(size) for size in sizes])
        axes.minorticks_off()
    grid[0][0].set_ylabel("ms, forward and backward")
    handles = grid[0][0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=3, fontsize=9)
    figure.savefig(path)
