"""Chapter 6 shows every table, says how it was made, and decides by a criterion."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

import d2l_bn  # noqa: F401  before mxnet
from experiments import plot_signals, plots, tables
from experiments.__main__ import EXPERIMENTS

CHAPTER = Path(__file__).parents[2] / "chapters" / "6-what-does-it-really-do.ipynb"
APPENDIX = CHAPTER.with_name("9-questions-that-readers-ask.ipynb")


@pytest.fixture(scope="module")
def cells():
    notebook = json.loads(CHAPTER.read_text())
    return {cell["id"]: "".join(cell["source"]) for cell in notebook["cells"]}


def need_table(name):
    if not tables.read(name):
        pytest.skip(f"still to be run: make experiments ARGS={name}")


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_each_table_is_read_and_can_be_made_again(cells, name):
    need_table(name)
    everything = "\n".join([*cells.values(), APPENDIX.read_text()])
    assert re.search(rf"make experiments ARGS=\"?[a-z_ ]*\b{name}\b", everything)


def test_each_caption_states_seeds_data_and_steps(cells):
    captions = [text for name, text in cells.items() if name.endswith("-caption")]
    assert len(captions) >= 9
    for text in captions:
        assert text.startswith("*") and text.endswith("*")
        assert "seed" in text
        assert re.search(r"Fashion-MNIST|sample|random", text)
        assert re.search(r"steps|epochs|batches of", text)
        assert "make experiments" in text


def test_a_criterion_stands_before_each_conclusion(cells):
    text = "\n".join(cells.values())
    sections = re.split(r"^##+ (?=\d|Why|Noise|The loss|A deep)", text, flags=re.MULTILINE)[1:]
    assert len([section for section in sections if "**Found" in section]) >= 8
    for section in sections:
        if "**Found" in section:
            found = section.index("**Found")
            assert re.search(r"\*Criteri(on|a)", section[:found]), section[:60]


def test_nothing_is_left_to_be_filled_in(cells):
    assert not re.search(r"\b(TODO|SUMMARY|[A-Z]+_(CELL|TEXT))\b", "\n".join(cells.values()))


DRAWN = {
    "choice": plots.choice,
    "cure": plots.cure,
    "covariate_shift": plots.covariate_shift,
    "noisy": plots.noisy,
    "bands": lambda rows: plot_signals.bands(rows, 3),
    "deep_linear": plots.deep_linear,
    "ratios": plot_signals.ratios,
    "histograms": lambda rows: plot_signals.histograms(rows, "log10 gradient"),
}


@pytest.mark.parametrize("name", DRAWN)
def test_a_figure_shows_every_seed(name):
    need_table(name)
    rows = tables.read(name)
    assert {row["seed"] for row in rows} == {case["seed"] for case in EXPERIMENTS[name].cases}
    seeds = sorted({row["seed"] for row in rows})
    whole = picture(DRAWN[name](rows))
    for one, other in zip(seeds, seeds[1:]):  # moved apart, so that their mean stays
        shift = {one: 0.01, other: -0.01}
        moved = [
            {k: v + shift.get(row["seed"], 0) if k in MEASURED else v for k, v in row.items()}
            for row in rows
        ]
        assert picture(DRAWN[name](moved)) != whole, (one, other)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_percentiles_of_one_unit_are_shown_for_each_seed(seed):
    need_table("covariate_shift")
    figure = plots.unit_input(tables.read("covariate_shift"))
    titles = [axes.get_title() for axes in figure.axes]
    for norm in ("batch norm", "plain"):
        axes = figure.axes[titles.index(f"{norm}, seed {seed}")]
        (band,) = axes.collections  # from the 15th percentile to the 85th
        median = axes.lines[0].get_ydata()
        heights = band.get_paths()[0].vertices[:, 1]
        assert heights.min() < median.min() and median.max() < heights.max()


MEASURED = (
    "held_out_accuracy",
    "test_accuracy",
    "loss",
    "loss_max",
    "log10_update_to_data",
    "share",
)


def picture(figure):
    """What lines and bands of a figure show, as text."""
    shapes = []
    for axes in figure.axes:
        shapes += [line.get_xydata() for line in axes.lines]
        shapes += [path.vertices for band in axes.collections for path in band.get_paths()]
        shapes += [patch.get_path().vertices for patch in axes.patches]
    return "".join(np.array2string(shape, threshold=10**6, precision=5) for shape in shapes)


def test_values_are_put_in_line_by_seed_and_place():
    rows = [dict(seed=s, step=x, loss=10 * s + x) for x in (3, 1, 2) for s in (1, 0)]
    steps, losses = tables.by_seed(rows, "step", "loss")
    assert steps.tolist() == [1, 2, 3]
    assert losses.tolist() == [[1, 2, 3], [11, 12, 13]]
    assert tables.select(rows, seed=1, step=2) == [dict(seed=1, step=2, loss=12)]


def test_a_missing_value_is_an_error_and_not_a_shift():
    rows = [dict(seed=0, step=1, loss=1), dict(seed=1, step=2, loss=2)]
    with pytest.raises(KeyError):
        tables.by_seed(rows, "step", "loss")


def test_the_band_reaches_from_the_lowest_seed_to_the_highest():
    rows = [dict(seed=s, step=x, y=s * x) for x in (1, 2) for s in (1, 2, 6)]
    _, axes = plots.new_figure()
    plots.mean_and_range(axes, rows, "step", "y", 0, "")
    assert axes.lines[0].get_ydata().tolist() == [3, 6]
    heights = axes.collections[0].get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == (1, 12)
    assert plots.time_ratios([dict(folded_ms=1, normalized_ms=4)]) == np.array([0.25])
