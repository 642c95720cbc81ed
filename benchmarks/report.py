"""The results as tables on the terminal and as figures."""

from __future__ import annotations

import statistics
from pathlib import Path

from benchmarks.lenet import NAMES, Key, ratio
from benchmarks.worker import DEFAULT, NAIVE, SETTINGS, TORCH, TORCH_2
from d2l_bn.figures import COLOURS, MARKERS, new_figure

MISSING = "not measured: PyTorch is not installed (pip install -c constraints.txt -e .[torch])"


def lenet_table(speeds: dict[Key, list[float]]) -> list[list[str]]:
    """Examples a second, and how much that is of Gluon's in the same setting."""
    source = (DEFAULT.name, "source")
    rows = [["setting", "normalization", "examples/s", "of Gluon's", "times the source's"]]
    for setting in SETTINGS:
        for name in NAMES[setting.side]:
            key, gluon = (setting.name, name), (setting.name, "Gluon")
            if key not in speeds:
                rows.append([setting.name, name, MISSING, "", ""])
                continue
            share = f"{ratio(speeds, key, gluon):.2f}" if gluon in speeds else ""
            times = f"{ratio(speeds, key, source):.1f}"
            rows.append([*key, f"{statistics.median(speeds[key]):,.0f}", share, times])
    return rows


def goals(speeds: dict[Key, list[float]], costs: dict[str, dict]) -> list[list[str]]:
    """What was to be reached, and what was."""
    ours, ours2 = (DEFAULT.name, "ours"), (NAIVE.name, "ours")
    rows = [["goal", "wanted", "measured"]]

    def compare(text: str, wanted: str, one: Key, other: Key) -> None:
        there = one in speeds and other in speeds
        rows.append([text, wanted, f"{ratio(speeds, one, other):.2f}" if there else MISSING])

    compare("1. ours / Gluon's", ">= 0.9", ours, (DEFAULT.name, "Gluon"))
    compare("   the same, NaiveEngine, 2 threads", "", ours2, (NAIVE.name, "Gluon"))
    compare("2. ours / the source's", ">= 8", ours, (DEFAULT.name, "source"))
    for number, key, torch in ((1, ours, TORCH), (2, ours2, TORCH_2)):
        scratch, built_in = NAMES["torch"]
        compare(
            f"3. ours / PyTorch from scratch, {number} thread(s)", "> 1", key, (torch.name, scratch)
        )
        compare(f"   ours / PyTorch built in, {number} thread(s)", "", key, (torch.name, built_in))
    compare("   ours / no normalization", "", ours, (DEFAULT.name, "none"))
    for text, wanted, name, field in (
        ("4. share of data, metrics and progress", "<= 0.05", "overhead", "share"),
        ("5. import d2l_bn / import mxnet", "<= 1.1", "import", "ratio"),
        ("   peak memory / the source's", "<= 1.3", "memory", "ratio"),
        ("training with memory kept / without", "", "kept", "ratio"),
    ):
        value = costs.get(name, {}).get(field)
        rows.append([text, wanted, "not measured" if value is None else f"{value:.3f}"])
    return rows


def operations_table(rows: list[dict]) -> list[list[str]]:
    """Milliseconds: one line for each shape, one column for each setting and layer."""
    keys = list(dict.fromkeys((row["setting"], row["layer"]) for row in rows))
    table = [["ms, forward and backward", *(f"{name} ({setting})" for setting, name in keys)]]
    for shape in dict.fromkeys(row["shape"] for row in rows):
        ms = {(r["setting"], r["layer"]): r["ms"] for r in rows if r["shape"] == shape}
        table.append([shape, *(f"{ms[key]:.2f}" if key in ms else "-" for key in keys)])
    return table


def roofline_table(rows: list[dict]) -> list[list[str]]:
    """One line for each layer of LeNet."""
    table = [["layer", "input", "MB", "Mflop", "memory ms", "arithmetic ms", "measured ms", "ours"]]
    for row in rows:
        numbers = [row[name] for name in ("mb", "mflop", "memory_ms", "arithmetic_ms")]
        least = row.get("ours_memory_ms")
        ours = "" if least is None else f"memory {least:.2f}, measured {row['ours_ms']:.2f}"
        texts = [f"{number:.2f}" for number in (*numbers, row["measured_ms"])]
        table.append([row["layer"], row["input"], *texts, ours])
    return table


def aligned(table: list[list[str]]) -> str:
    """A table as text, its columns below each other."""
    short = [row for row in table if MISSING not in row]
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
