"""Chapter 6 shows every table, says how it was made, and decides by a criterion."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

import d2l_bn  # noqa: F401  before mxnet
from experiments import (
    deep_linear,
    dense,
    paired,
    plot_deeper,
    plot_signals,
    plots,
    population,
    tables,
)
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
    others = (CHAPTER.with_name(each) for each in ("3-lenet.ipynb", "8-more-than-one-device.ipynb"))
    everything = "\n".join([*cells.values(), *(path.read_text() for path in (APPENDIX, *others))])
    assert re.search(rf"make experiments ARGS=\"?[a-z0-9_ ]*\b{name}\b", everything)


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
    sections = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    assert len([section for section in sections if "**Found" in section]) >= 17
    for section in sections:
        if "**Found" in section:
            found = section.index("**Found")
            assert re.search(r"\*Criteri(on|a)", section[:found]), section[:60]


def test_nothing_is_left_to_be_filled_in(cells):
    assert not re.search(
        r"\b(TODO|PENDING|SUMMARY|[A-Z]+_(CELL|TEXT))\b", "\n".join(cells.values())
    )


def test_the_verdicts_come_first(cells):
    assert list(cells)[:2] == ["title", "verdicts"]


SEEDS = range(3)
DRAWN = {
    "choice": plots.choice,
    "cure": plots.cure,
    "covariate_shift": plots.covariate_shift,
    "noisy": plots.noisy,
    "bands": lambda rows: plot_signals.bands(rows, "vgg"),
    "definition_2_1": plot_signals.definition_2_1,
    "rank": plot_deeper.rank,
    "scale_invariance": plot_deeper.scale_invariance,
    "shifts": plot_deeper.shifts,
    "batch_noise": plot_deeper.batch_noise,
    "ratios": plot_signals.ratios,
    "histograms": lambda rows: plot_signals.histograms(rows, "log10 gradient"),
}


@pytest.mark.slow
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
            {
                k: v + shift.get(row["seed"], 0) if k in MEASURED and v != str(v) else v
                for k, v in row.items()
            }
            for row in rows
        ]
        assert picture(DRAWN[name](moved)) != whole, (one, other)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_percentiles_of_one_unit_are_shown_for_each_seed(seed):
    need_table("covariate_shift")
    figure = plots.unit_input(tables.read("covariate_shift"))
    titles = [axes.get_title() for axes in figure.axes]
    for _, _, label in plots.KINDS:
        axes = figure.axes[titles.index(f"{label}, seed {seed}")]
        (band,) = axes.collections  # from the 15th percentile to the 85th
        median = axes.lines[0].get_ydata()
        heights = band.get_paths()[0].vertices[:, 1]
        assert heights.min() < median.min() and median.max() < heights.max()


MEASURED = (
    "held_out_accuracy",
    "test_accuracy",
    "loss",
    "beta",
    "cosine",
    "log10_update_to_data",
    "bar3",
    "rank",
    "norm",
    "kept",
    "noise",
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


# The conclusions: each section's cells that compute numbers and that check them are run on tables
# that were changed. Errors of the size that another processor makes must leave the conclusions
# standing; an exchange of what is compared must not.


def numbers_and_checks(cells, section):
    """The code of a section that works on its table alone."""
    return "\n".join(cells[f"{section}-{part}"] for part in ("numbers", "checks"))


def stairs():
    """The least loss of each rank, by seed, as the chapter computes it."""
    targets = {seed: deep_linear.task(seed)[1].asnumpy() for seed in SEEDS}
    return {seed: deep_linear.stairs(each)[:-1] for seed, each in targets.items()}


def run_section(cells, section, change):
    """Run a section with `change` applied to the rows of each table that it reads."""
    names = {"np": np, "plots": plots, "plot_signals": plot_signals, "deep_linear": deep_linear}
    names.update(dense=dense, population=population)
    names.update(plot_deeper=plot_deeper, stairs=stairs())
    names.update(interval=paired.interval, sign_flips=paired.sign_flips)
    names.update(by_seed=tables.by_seed, select=tables.select)
    names["read"] = lambda name: change(name, tables.read(name))
    exec(compile(numbers_and_checks(cells, section), section, "exec"), names)


# By section: its table, and for each column the standard deviation of an error that another
# processor could make. Runs at a high constant rate differ most; see `LIVELY` and `FIRST_EPOCH` in
# test_experiments.py for how far single runs were seen to move.
ERRORS = {
    "cure": ("cure", {"test_accuracy": 0.002, "recalibrated_accuracy": 0.002}),
    "choice": ("choice", {"held_out_accuracy": 0.0007}),
    "shift": ("covariate_shift", {"test_accuracy": 0.002, "moves": 0.003}),
    "sweeps": ("rate_and_scale", {"test_accuracy": 0.01}),
    "noisy": ("noisy", {"test_accuracy": 0.005, "train_loss": 0.003}),
    "bands": ("bands", {"beta": 0.1, "change_max": 0.03, "loss_max": 0.01}),
    "definition": ("definition_2_1", {"change": 0.01, "cosine": 0.01}),
    "linear": ("deep_linear", {"loss": 0.003}),
    "histograms": ("histograms", {"spread": 0.02, "bar3": 0.001}),
    "ratios": ("ratios", {"log10_update_to_data": 0.02}),
    "dropout": ("dropout_shift", {"moving_var": 0.002, "predicted_sd": 0.001}),
    "lag": ("lag", {"moving": 0.002, "replayed": 0.002, "recomputed": 0.002}),
    "rank": ("rank", {"rank": 0.001}),
    "scale": ("scale_invariance", {"train_loss": 0.001, "cosine_last": 0.001}),
    "part": ("only_gamma_beta", {"test_accuracy": 0.004}),
    "batch-noise": ("batch_noise", {"noise": 1e-5, "expected": 1e-5}),
    "shifted": ("shifts", {"kept": 0.004}),
}


@pytest.mark.parametrize("draw", range(5))
@pytest.mark.parametrize("section", ERRORS)
def test_conclusions_stand_on_another_processor(cells, section, draw):
    table, errors = ERRORS[section]
    need_table(table)
    rng = np.random.default_rng([draw, len(section)])

    def perturbed(name, rows):
        def moved(column, value):
            return value + errors[column] * rng.standard_normal() if column in errors else value

        return [{column: moved(column, value) for column, value in row.items()} for row in rows]

    run_section(cells, section, perturbed)


def exchanged(column, one, other):
    """Return the change that gives the rows of `one` the name of `other`, and the reverse."""
    names = {one: other, other: one}

    def change(name, rows):
        found = [{**row, column: names.get(row[column], row[column])} for row in rows]
        return sorted(found, key=lambda row: str(row[column]))

    return change


def other_columns(one, other):
    """Return the change that exchanges two columns."""
    return lambda name, rows: [{**row, one: row[other], other: row[one]} for row in rows]


def otherwise(column, function):
    """Return the change that puts something else into a column."""
    return lambda name, rows: [{**row, column: function(row)} for row in rows]


BY_NORM = exchanged("norm", "scratch", "none")
WRONG = {
    "cure: statistics": ("cure", other_columns("test_accuracy", "recalibrated_accuracy")),
    "cure: recipes": ("cure", exchanged("recipe", "source", "source, cosine")),
    "choice": ("choice", exchanged("lr", 0.3, 0.05)),
    "shift: statistics": ("shift", exchanged("statistics", "moving", "anew")),
    "sweeps": ("sweeps", BY_NORM),
    "noisy": ("noisy", exchanged("norm", "noisy", "none")),
    "bands": ("bands", BY_NORM),
    "definition": ("definition", BY_NORM),
    "linear": ("linear", exchanged("kind", "batch norm", "plain")),
    "histograms": ("histograms", BY_NORM),
    "ratios": ("ratios", BY_NORM),
    "dropout": ("dropout", otherwise("moving_var", lambda row: 1.0)),
    "lag": ("lag", other_columns("moving", "replayed")),
    "rank": ("rank", exchanged("norm", "batch norm", "none")),
    "scale": ("scale", exchanged("run", "reference", "no decay")),
    "part": (
        "part",
        otherwise("test_accuracy", lambda r: 0.9 * r["test_accuracy"] * (r["trained"] != "all")),
    ),
    "batch-noise": ("batch-noise", exchanged("values", "dense", "convolution")),
    "shifted": ("shifted", exchanged("shift", "poor light", "noise")),
}


@pytest.mark.parametrize("what", WRONG)
def test_conclusions_fall_when_the_order_is_reversed(cells, what):
    section, change = WRONG[what]
    need_table(ERRORS[section][0])
    with pytest.raises(AssertionError):
        run_section(cells, section, change)
