"""The appendix decides by its tables, and on another processor it would decide alike."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path

import numpy as np
import pytest

import d2l_bn  # noqa: F401  before mxnet
from experiments import paired, plot_comparisons, tables
from experiments.__main__ import EXPERIMENTS

APPENDIX = Path(__file__).parents[2] / "chapters" / "9-questions-that-readers-ask.ipynb"
# By section: its table, and for each column the standard deviation of an error that another
# processor could make.
SECTIONS = {
    "noise": (
        "regularization",
        {"train_loss": 0.0005, "test_loss": 0.004, "test_accuracy": 0.002, "noise": 0.003},
    ),
    "four": ("normalizations", {"test_accuracy": 0.004, "recalibrated_accuracy": 0.004}),
    "place": ("placement", {"test_accuracy": 0.002}),
    "blocks": ("residual", {"test_accuracy": 0.004, "growth": 0.01, "branch": 0.002}),
}


@pytest.fixture(scope="module")
def cells():
    notebook = json.loads(APPENDIX.read_text())
    return {cell["id"]: "".join(cell["source"]) for cell in notebook["cells"]}


@pytest.mark.parametrize("section", SECTIONS)
def test_a_section_asks_decides_and_says_what_it_cannot(cells, section):
    ids = [name for name in cells if name.split("-")[0] == section]
    text = "\n".join(cells[name] for name in ids)
    order = ["*Question.*", "*Criteri", "**Found", "**Not shown"]
    places = [text.index(words) for words in order]
    assert places == sorted(places)
    assert {f"{section}-{part}" for part in ("core", "draw", "numbers", "checks")} <= set(ids)


@pytest.mark.parametrize("section", SECTIONS)
def test_a_caption_states_seeds_data_steps_and_command(cells, section):
    caption = cells[f"{section}-caption"]
    assert caption.startswith("*") and caption.endswith("*")
    for word in (
        "seeds 0 to",
        "sample",
        "steps",
        f"make experiments ARGS={SECTIONS[section][0]}",
    ):
        assert word in caption, word


def test_what_is_cited_stands_in_the_references(cells):
    cited = set(re.findall(r"abs/(\d{4}\.\d{5})", "\n".join(cells.values())))
    assert len(cited) >= 8
    for number in cited:
        assert f"[arXiv:{number}]" in cells["next"], number


def run_section(cells, section, change):
    """Run what computes and what checks, with `change` applied to the rows of the table."""
    names = {"np": np, "itertools": itertools, "select": tables.select}
    names.update(interval=paired.interval, sign_flips=paired.sign_flips)
    names["read"] = lambda name: change(tables.read(name))
    for part in ("helpers", f"{section}-numbers", f"{section}-checks"):
        exec(compile(cells[part], part, "exec"), names)


@pytest.mark.parametrize("draw", range(5))
@pytest.mark.parametrize("section", SECTIONS)
def test_conclusions_stand_on_another_processor(cells, section, draw):
    _, errors = SECTIONS[section]
    rng = np.random.default_rng([draw, len(section)])

    def moved(row):
        return {
            k: v + errors.get(k, 0) * rng.normal() if k in errors else v for k, v in row.items()
        }

    run_section(cells, section, lambda rows: [moved(row) for row in rows])


EXCHANGES = {
    "noise": ("statistics", "ghost", "batch"),
    "four": ("norm", "batch, dense too", "group"),
    "place": ("place", "before", "none"),
    "blocks": ("kind", "gamma 0", "batch norm"),
}


@pytest.mark.parametrize("section", SECTIONS)
def test_conclusions_fall_when_names_are_exchanged(cells, section):
    column, one, other = EXCHANGES[section]
    names = {one: other, other: one}

    def change(rows):
        return [{**row, column: names.get(row[column], row[column])} for row in rows]

    with pytest.raises(AssertionError):
        run_section(cells, section, change)


@pytest.mark.slow
@pytest.mark.parametrize("section", SECTIONS)
def test_a_figure_shows_every_run(section):
    name, _ = SECTIONS[section]
    rows = tables.read(name)
    whole = picture(getattr(plot_comparisons, name)(rows))
    drawn = "test_accuracy"
    for number, row in enumerate(rows):
        changed = [*rows[:number], {**row, drawn: row[drawn] + 0.05}, *rows[number + 1 :]]
        assert picture(getattr(plot_comparisons, name)(changed)) != whole, row


def picture(figure):
    """Where the marks and the bars of a figure are."""
    shapes = [line.get_xydata() for axes in figure.axes for line in axes.lines]
    shapes += [
        path.vertices for axes in figure.axes for c in axes.collections for path in c.get_paths()
    ]
    return [shape.round(6).tolist() for shape in shapes]


@pytest.mark.parametrize("name", [table for table, _ in SECTIONS.values()])
def test_a_table_has_three_seeds_or_ten_of_each_case(name):
    seeds = [case["seed"] for case in EXPERIMENTS[name].cases]
    assert set(seeds) in (set(range(3)), set(range(10)))
    assert tables.missing(EXPERIMENTS[name]) == []


# Chapter 8 decides by one table.


def run_chapter_8(change):
    """Run the cells of chapter 8 that compute with `ghost` and that check what it says."""
    notebook = json.loads(APPENDIX.with_name("8-more-than-one-device.ipynb").read_text())
    cells = {cell["id"]: "".join(cell["source"]) for cell in notebook["cells"]}
    names = {"np": np, "by_seed": tables.by_seed, "interval": paired.interval}
    names["read"] = lambda name: change(tables.read(name))
    for part in ("measured-table", "measured-checks"):
        exec(compile(cells[part], part, "exec"), names)


@pytest.mark.parametrize("draw", range(5))
def test_the_conclusions_of_chapter_8_stand_on_another_processor(draw):
    rng = np.random.default_rng(draw)

    def moved(row):
        return {k: v + 0.002 * rng.normal() if "accuracy" in k else v for k, v in row.items()}

    run_chapter_8(lambda rows: [moved(row) for row in rows])


def test_the_conclusions_of_chapter_8_fall_when_shares_are_exchanged():
    others = {4: 128, 128: 4}

    def change(rows):
        return [{**row, "share": others.get(row["share"], row["share"])} for row in rows]

    with pytest.raises(AssertionError):
        run_chapter_8(change)
