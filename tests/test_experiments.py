"""Experiments can be interrupted at no loss, and the README shows their numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import d2l_bn  # noqa: F401  before mxnet
from experiments import tables
from experiments.tables import Experiment


def counting(log):
    def run(name, seed):
        log.append((name, seed))
        yield {"step": 1, "loss": 0.5 + seed}
        yield {"step": 2, "loss": 1 / 3}

    cases = tuple({"name": name, "seed": seed} for seed in range(3) for name in ("a", "b"))
    return Experiment("table", cases, run)


def test_an_interruption_loses_nothing_and_repeats_nothing(tmp_path):
    log = []
    experiment = counting(log)
    for case in tables.fill(experiment, tmp_path):
        if case == {"name": "b", "seed": 1}:
            break
    assert len(tables.missing(experiment, tmp_path)) == 2
    assert len(list(tables.fill(experiment, tmp_path))) == 2
    assert len(log) == len(set(log)) == 6
    assert tables.missing(experiment, tmp_path) == []
    rows = tables.read("table", tmp_path)
    assert [(row["name"], row["seed"]) for row in rows[::2]] == [
        (case["name"], case["seed"]) for case in experiment.cases
    ]
    assert rows[1] == {"name": "a", "seed": 0, "step": 2, "loss": 0.333333}


def test_rows_of_cases_that_are_no_more_are_dropped(tmp_path):
    list(tables.fill(counting([]), tmp_path))
    fewer = Experiment(
        "table", (*counting([]).cases[:2], {"name": "c", "seed": 9}), counting([]).run
    )
    list(tables.fill(fewer, tmp_path))
    assert {row["name"] for row in tables.read("table", tmp_path)} == {"a", "b", "c"}
    assert len(tables.read("table", tmp_path)) == 6


def test_a_failing_case_leaves_the_table(tmp_path):
    experiment = counting([])
    next(tables.fill(experiment, tmp_path))

    def fail(**case):
        raise RuntimeError

    with pytest.raises(RuntimeError):
        next(tables.fill(Experiment("table", experiment.cases, fail), tmp_path))
    assert len(tables.read("table", tmp_path)) == 2


def test_the_table_of_the_readme_is_that_of_the_experiment():
    rows = [row for row in tables.read("cure") if (row["recipe"], row["epoch"]) == ("default", 10)]
    accuracies = [row["test_accuracy"] for row in sorted(rows, key=lambda row: row["seed"])]
    assert len(accuracies) == 5 and min(accuracies) >= 0.895
    assert np.std(accuracies, ddof=1) <= 0.003
    cells = [*accuracies, np.mean(accuracies), np.std(accuracies, ddof=1)]
    line = "| test accuracy | " + " | ".join(f"{cell:.4f}" for cell in cells) + " |"
    assert line in (Path(__file__).parent.parent / "README.md").read_text()


def test_measured_anew_the_first_epoch_is_as_chapter_3_says():
    rows = [row for row in tables.read("cure") if row["recipe"] == "default"]
    first = next(row for row in rows if (row["seed"], row["epoch"]) == (0, 1))
    assert round(first["test_accuracy"], 2) == 0.65
    assert round(first["recalibrated_accuracy"], 2) == 0.84
