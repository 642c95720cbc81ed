"""Ours keeps up with Gluon's layer, and the benchmark runs and writes what it promises."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import __main__ as main
from benchmarks import layer_speed, mxnet_side, presentation, training_speed
from benchmarks.measuring import Measuring
from benchmarks.mxnet_side import COPY, LAYERS
from benchmarks.processes import (
    DEFAULT,
    PINNED,
    SETTINGS,
    TORCH,
    Setting,
    Worker,
    WorkerError,
    available,
)
from d2l_bn import BatchNorm

CHECKOUT = Path(__file__).parent.parent
LEAST = 0.7  # of the speed with Gluon's layer
OURS, GLUON = (DEFAULT.name, "ours"), (DEFAULT.name, "Gluon")


@pytest.mark.slow
def test_ours_keeps_up_with_gluon():
    """A ratio within one run, each round paired; a busy machine gets further tries."""
    found = []
    for _ in range(4):
        speeds = training_speed.measure([DEFAULT], rounds=7, names=("Gluon", "ours"), steps=6)
        found.append(training_speed.ratio(speeds, OURS, GLUON))
        if found[-1] >= LEAST:
            return
    pytest.fail(f"ours must reach {LEAST} of the examples a second of Gluon's, got {found}")


@pytest.mark.slow
@pytest.mark.long
def test_everything_is_measured_and_written(tmp_path):
    command = [sys.executable, "-m", "benchmarks", "--quick", "--out", tmp_path]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=3600)
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "bench.json").read_text())
    assert {"machine", "lenet", "busy", "goals", "layers"} <= set(results)
    assert results["machine"]["versions"]["mxnet"] == "1.9.1" and results["machine"]["processor"]
    measured = {(row["setting"], row["normalization"]) for row in results["lenet"]}
    assert measured == {
        (setting.name, name)
        for setting in available()
        for name in training_speed.NAMES[setting.side]
    }
    assert all(row["examples_per_second"] > 0 for row in results["lenet"])
    for name in ("busy.csv", "layers.csv"):
        with (tmp_path / name).open(newline="") as file:
            assert list(csv.DictReader(file))
    assert "LeNet, of Gluon's operator" in done.stdout


def test_rows_say_that_pytorch_is_missing():
    speeds = {
        (setting.name, name): [100.0, 120.0]
        for setting in SETTINGS
        if setting.side == "mxnet"
        for name in training_speed.NAMES["mxnet"]
    }
    text = presentation.aligned(presentation.lenet_table(speeds)) + presentation.aligned(
        presentation.goals(speeds, {}, [])
    )
    assert text.count("PyTorch is not installed") == 3 * 2 + 3 * 2  # in either table


def test_ratios_are_taken_round_by_round():
    speeds = {OURS: [90.0, 9.0, 900.0], GLUON: [100.0, 10.0, 1000.0]}
    assert training_speed.ratio(speeds, OURS, GLUON) == 0.9


@pytest.mark.parametrize("threads, others, disturbed", [(1, 0.0, 0), (2, 0.1, 0), (2, 0.5, 1)])
def test_a_disturbed_measurement_is_told(monkeypatch, threads, others, disturbed):
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    found = {"speed": 1.0, "others": others}
    assert training_speed.disturbed(Setting("one", "mxnet", threads), found) == disturbed


def test_a_worker_that_ends_is_reported():
    with Worker(Setting("broken", "no_such", 1)) as worker:
        worker.process.wait(600)
        with pytest.raises(WorkerError, match="broken"):
            worker.ask("names")


@pytest.fixture(scope="module")
def values():
    with contextlib.ExitStack() as stack:
        yield training_speed.initial_values(stack)


@pytest.mark.slow
def test_all_frameworks_start_from_the_same_values(values):
    """The first loss tells: it depends on weights, images and labels, and on every layer."""
    losses = {}
    for setting in available():
        if setting in (DEFAULT, TORCH):
            with Worker(setting) as worker:
                for name in training_speed.NAMES[setting.side]:
                    losses[name] = worker.ask("loss", name=name, values=values)
    plain = losses.pop("none")
    assert list(losses.values()) == pytest.approx([losses["ours"]] * len(losses), rel=1e-4)
    assert plain != pytest.approx(losses["ours"], rel=1e-3)


@pytest.mark.slow
def test_a_worker_can_be_pinned_to_one_core():
    if PINNED not in available():
        pytest.skip("this system doesn't pin programs to cores")
    with Worker(PINNED) as worker:
        worker.ask("names")
        assert len(os.sched_getaffinity(worker.process.pid)) == 1


def test_every_way_that_our_layer_offers_is_measured_beside_a_copy(monkeypatch):
    assert {"Gluon", "ours", "source"} <= set(LAYERS)
    measuring = Measuring(mxnet_side)
    for name in mxnet_side.names():
        assert measuring.layer(name, [4, 3, 2, 2], 1) > 0
    assert mxnet_side.names()[-1] == COPY

    def broken(channels, rank):
        raise OSError("no compiler")

    for name, make in {"ours, as before": BatchNorm, "ours, compiled": broken}.items():
        monkeypatch.setitem(mxnet_side.WAYS, name, make)
        monkeypatch.setitem(mxnet_side.LAYERS, name, make)
    assert "ours, as before" in mxnet_side.names()
    assert "ours, compiled" not in mxnet_side.names()


@pytest.mark.slow
def test_each_time_has_its_quartiles():
    rows = layer_speed.measure([DEFAULT], [("shape", (8, 3))], rounds=4, names=("ours", COPY))
    assert [row["layer"] for row in rows] == ["ours", COPY]
    for row in rows:
        assert 0 < row["ms_quarter"] <= row["ms"] <= row["ms_three_quarters"]
    speeds = {OURS: [1.0, 2.0, 3.0, 4.0, 5.0]}
    (row,) = main.lenet_results(speeds)
    assert row["examples_per_second"] == 3 and row["quartiles"] == [2, 4]


def test_growth_is_the_time_for_the_large_array_over_that_for_the_small_one():
    rows = [{"layer": "ours", "ms": 2.0}, {"layer": "Gluon", "ms": 1.0}, {"layer": "ours", "ms": 7}]
    assert layer_speed.growth(rows, "ours") == 3.5
    small, large = (np.prod(shape) * 4 / 1e6 for shape in layer_speed.LARGE)
    assert large == 4 * small and round(large) == 822
