"""The table of conventions is measured; a layer that decides otherwise changes it."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import d2l_bn
from d2l_bn.reference.source import SourceBatchNorm

sys.path.insert(0, str(Path(__file__).parents[2] / "chapters"))
from in_tensorflow import conventions, elsewhere, parity, probes, run_mxnet
from in_tensorflow.frameworks import ELSEWHERE, LAYERS, missing
from in_tensorflow.one_step import Layer, make_case

from mxnet import autograd, nd

KEYS = conventions.COLUMNS[1:]
RECORDED = "off, on inside autograd.record()"
OLD, NEW, YOURS = "the old value", "the new value", "yours"
B, U = "biased", "unbiased"
OWN, ONE, REFUSED = "its own", "1.00", "ValueError"
# The fused operator of either differs in the estimate of the variance alone.
V1_LAYERS = (
    "1", "0", OLD, "0.99", "1e-3", "trained", "UPDATE_OPS", "off", OWN, "1.03", ONE, ONE, "zeros",
)  # fmt: skip
SLIM = (
    "1", "0", OLD, "0.999", "1e-3", "none", "UPDATE_OPS", "on", OWN, "1", ONE, ONE, "zeros",
)  # fmt: skip
# Column by column, from facts that were measured once by hand, with other code.
EXPECTED = {
    "the source": (
        B, B, "0", "0", OLD, "0.9", "1e-5", "trained", "forward", RECORDED,
        OWN, "0.4", ONE, ONE, "zeros",
    ),
    "d2l_bn.BatchNorm": (
        B, B, "0", "0", OLD, "0.9", "1e-5", "trained", "forward", RECORDED,
        OWN, "0.4", ONE, ONE, REFUSED,
    ),
    "Gluon nn.BatchNorm": (
        B, B, "1", "0", OLD, "0.9", "1e-5", "trained", "backward", RECORDED,
        OWN, "1.3", ONE, ONE, "zeros",
    ),
    "nd.BatchNorm": (
        B, B, YOURS, YOURS, OLD, "0.9", "1e-3", "fixed at 1", "backward", RECORDED,
        OWN, YOURS, ONE, ONE, "zeros",
    ),
    "tf.nn.moments, averages by hand": (
        B, B, YOURS, YOURS, YOURS, YOURS, YOURS, "trained", "an operation of yours", YOURS,
        OWN, YOURS, ONE, ONE, "zeros",
    ),
    "tf.compat.v1.layers": (B, U, *V1_LAYERS),
    "tf.compat.v1.layers, fused=False": (B, B, *V1_LAYERS),
    "slim": (U, U, *SLIM),
    "slim, fused=False": (B, B, *SLIM),
    "tf.keras": (
        B, U, "1", "0", OLD, "0.99", "1e-3", "trained", "forward", "off",
        OWN, "1.03", ONE, ONE, "zeros",
    ),
    "torch.nn.BatchNorm1d / 2d": (
        U, U, "1", "0", NEW, "0.1", "1e-5", "trained", "forward", "on",
        OWN, "1.3", ONE, ONE, REFUSED,
    ),
    "torch, momentum=None": (
        U, U, "first batch", "first batch", NEW, "none, the mean of all", "1e-5", "trained",
        "forward", "on", OWN, "4", ONE, ONE, REFUSED,
    ),
}  # fmt: skip
COMPARED = ["layer", "input", *parity.FIELDS, "why", "unexplained"]
each_layer = pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)


def skip_if_missing(layer: Layer) -> None:
    if missing(layer.framework):
        pytest.skip(missing(layer.framework))


@each_layer
def test_every_cell(layer):
    skip_if_missing(layer)
    assert conventions.row(layer) == {"layer": layer.name, **dict(zip(KEYS, EXPECTED[layer.name]))}


def test_the_table_is_whole():
    assert [layer.name for layer in LAYERS] == list(EXPECTED)
    assert [row["layer"] for row in elsewhere.read("conventions")] == [
        layer.name for layer in ELSEWHERE
    ]


@pytest.mark.slow
@pytest.mark.parametrize("layer", ELSEWHERE, ids=lambda layer: layer.name)
def test_what_was_measured_elsewhere_comes_out_again(layer):
    """Where the packages are: `make elsewhere`, with the extra `test` beside it."""
    skip_if_missing(layer)
    (kept,) = (row for row in elsewhere.read("conventions") if row["layer"] == layer.name)
    again = conventions.row(layer)
    if kept["at offset 1,000"] != ONE:  # noise of rounding, which another processor draws anew
        low, high = map(float, again["at offset 1,000"].split(" to "))
        assert low < 0.97 and high > 1.03
        rough = ("at offset 1,000", "at offset 10,000")
        again.update({name: kept[name] for name in rough})
    assert again == {name: kept[name] for name in conventions.COLUMNS}


@pytest.mark.slow
@pytest.mark.parametrize("kind", list(parity.SHAPES))
@pytest.mark.parametrize("layer", ELSEWHERE, ids=lambda layer: layer.name)
def test_their_differences_are_explained_too(layer, kind):
    """Equinox's `mode="batch"` excepted: it predicts with another variance than it keeps."""
    skip_if_missing(layer)
    found = parity.compare(layer, kind)
    if layer.name == 'equinox, mode="batch"':
        assert found["unexplained"] > 0.1  # where it no longer is, the chapter has to say so
    else:
        assert found["unexplained"] < 1e-4


def test_each_row_from_elsewhere_says_when_and_with_what():
    for name in ("conventions", "dropout"):
        for row in elsewhere.read(name):
            assert row["measured"].startswith("20")
            assert "jax " in row["with"] and "numpy " in row["with"]


def test_without_the_packages_nothing_is_written(monkeypatch, tmp_path):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr(elsewhere, "FOLDER", tmp_path / "tables")
    with pytest.raises(SystemExit, match=r"Keras 3 is not installed.*make elsewhere"):
        elsewhere.main()
    assert not (tmp_path / "tables").exists()


def test_a_plain_mean_and_a_first_batch_are_told_apart():
    """A layer may start with its first batch and still forget it."""

    class First(run_mxnet.Source):
        started = False

        def forward(self, X):
            kept = self.momentum
            if autograd.is_training() and not self.started:
                self.momentum, self.started = 0, True
            Y = super().forward(X)
            self.momentum = kept
            return Y

    layer = Layer("odd", "MXNet", partial(run_mxnet.run_block, First, run_mxnet._moving))
    source = dict(zip(KEYS, EXPECTED["the source"]))
    started = dict.fromkeys(("moving variance starts at", "moving mean starts at"), "first batch")
    changed = {**started, "variance after one batch of 4": "4"}
    assert conventions.row(layer) == {"layer": "odd", **source, **changed}


def test_a_layer_that_trains_on_its_averages_shows():
    class Lazy(run_mxnet.Source):
        def forward(self, X):
            Y = super().forward(X)
            if not autograd.is_training():
                return Y
            with autograd.predict_mode():
                return super().forward(X)

    case = make_case(probes.DENSE)
    for make, own in ((Lazy, False), (run_mxnet.Source, True)):
        run = run_mxnet.run_block(make, run_mxnet._moving, case)
        assert probes.uses_its_own(case, run, "trained") is own


def test_markdown_has_every_row_and_cell():
    rows = conventions.table(run_mxnet.LAYERS)
    lines = conventions.markdown(rows).splitlines()
    assert len(lines) == 2 + len(rows)
    assert {line.count("|") for line in lines} == {len(conventions.COLUMNS) + 1}
    assert lines[2] == "| the source | " + " | ".join(EXPECTED["the source"]) + " |"


def test_markdown_of_some_columns_and_of_numbers():
    rows = [{"layer": "one", "Y": 0.00123, "why": "eps"}, {"layer": "two", "Y": None, "why": ""}]
    assert conventions.markdown(rows, ["layer", "Y"]).splitlines() == [
        "| layer | Y |", "| --- | --- |", "| one | 0.0012 |", "| two | - |",
    ]  # fmt: skip


def test_differences_has_a_row_for_each_layer_and_input(monkeypatch):
    """The comparisons themselves are tested one by one."""
    monkeypatch.setattr(parity, "compare", lambda layer, kind, aligned: (layer.name, kind))
    expected = [
        (layer.name, kind)
        for layer in LAYERS
        for kind in (["dense, images"] if missing(layer.framework) else ["dense", "images"])
    ]
    assert parity.differences() == expected


def test_without_the_framework_the_row_says_so(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    layer = LAYERS[-1]
    assert set(list(conventions.row(layer).values())[1:]) == {"PyTorch is not installed"}
    row = parity.compare(layer, "dense")
    assert row["why"] == "PyTorch is not installed" and row["Y"] is None
    assert list(row) == COMPARED


class Odd(run_mxnet.Source):
    """Wrong on purpose, in one thing at a time."""

    def __init__(self, *shape, unbiased=False, start=(0, 0), new=False, fixed=False, **options):
        if new and "momentum" in options:
            options["momentum"] = 1 - options["momentum"]
        super().__init__(*shape, **options)
        self.moving_mean += start[0]
        self.moving_var += start[1]
        self.unbiased, self.fixed = unbiased, fixed

    def forward(self, X):
        if self.fixed:
            self.gamma.grad_req = "null"
            self.gamma.set_data(nd.ones_like(self.gamma.data()))
            self.gamma.grad = lambda: nd.zeros(self.gamma.shape)
        old = self.moving_var
        Y = super().forward(X)
        n = X.size // X.shape[1]
        if self.unbiased and self.moving_var is not old:
            batch = self.moving_var - self.momentum * old
            self.moving_var = self.momentum * old + batch * n / max(n - 1, 1)
        return Y


@pytest.mark.parametrize(
    "fault, changed",
    [
        ({}, {}),
        ({"unbiased": True}, {"moving variance, dense": U, "moving variance, images": U}),
        (
            {"start": (0, 2)},
            {"moving variance starts at": "2", "variance after one batch of 4": "2.2"},
        ),
        ({"start": (7, 0)}, {"moving mean starts at": "7"}),
        ({"new": True}, {"momentum weighs": NEW, "momentum": "0.1"}),
        ({"momentum": 0.95}, {"momentum": "0.95", "variance after one batch of 4": "0.2"}),
        ({"eps": 1e-4}, {"eps": "1e-4"}),
        ({"fixed": True}, {"gamma": "fixed at 1"}),
    ],
    ids=str,
)
def test_a_layer_that_decides_otherwise_changes_its_cell_alone(fault, changed):
    def make(channels, rank, **options):
        return Odd(channels, rank, **{**fault, **options})

    layer = Layer("odd", "MXNet", partial(run_mxnet.run_block, make, run_mxnet._moving))
    source = dict(zip(KEYS, EXPECTED["the source"]))
    assert conventions.row(layer) == {"layer": "odd", **source, **changed}


@pytest.mark.parametrize(
    "fault, cell, value",
    [
        (lambda run: {"updates": "nowhere"}, "averages move in", "nowhere"),
        (lambda run: {"Y_default": {"": run.Y_next}}, "mode, if not named", "on"),
    ],
)
def test_so_does_what_the_run_reports(fault, cell, value):
    def run(case, **options):
        result = run_mxnet.LAYERS[0].run(case, **options)
        return result._replace(**fault(result))

    layer = Layer("odd", "MXNet", run)
    assert conventions.row(layer)[cell] == value


def test_a_gradient_that_is_missing_means_no_gamma():
    run = run_mxnet.LAYERS[0].run(make_case(probes.DENSE))
    assert probes.find_gamma(run._replace(dgamma=None)) == "none"


def test_a_variance_that_is_neither_estimator_is_refused():
    case = make_case(probes.DENSE)
    run = run_mxnet.LAYERS[0].run(case)
    with pytest.raises(ValueError, match=r"must average the biased or the unbiased .* got 1\.5"):
        probes.is_unbiased(case.X, run._replace(var=run.var * 1.5))


@pytest.mark.parametrize("shape", list(parity.SHAPES.values()))
def test_the_source_of_the_table_is_the_source(shape):
    case = make_case(shape)

    def make(channels, rank, **options):
        return SourceBatchNorm(channels, rank)

    received = run_mxnet.LAYERS[0].run(case)
    expected = run_mxnet.run_block(make, run_mxnet._moving, case)
    for one, two in zip(received[:9], expected[:9]):
        np.testing.assert_array_equal(one, two)


@each_layer
@pytest.mark.parametrize("kind", list(parity.SHAPES))
@pytest.mark.parametrize("aligned", [False, True], ids=["defaults", "aligned"])
def test_every_difference_is_explained(layer, kind, aligned):
    skip_if_missing(layer)
    row = parity.compare(layer, kind, aligned)
    assert list(row) == COMPARED and (row["layer"], row["input"]) == (layer.name, kind)
    assert row["unexplained"] < 1e-5
    if row["why"] == "the same":
        assert max(row[field] for field in parity.FIELDS) < 1e-5
    if aligned:
        assert max(row[field] for field in ("Y", "dX", "dgamma", "dbeta", "mean")) < 1e-5
        assert row["why"] == "the same" or row["why"].startswith("unbiased: ")
        assert (row["var"] > 1e-3) == row["why"].startswith("unbiased: ")


@pytest.mark.parametrize(
    "name, why",
    [
        ("Gluon nn.BatchNorm", "variance starts at 1"),
        ("nd.BatchNorm", "eps 1e-3, gamma fixed at 1"),
        ("tf.compat.v1.layers",
         "unbiased: 48/47, variance starts at 1, keeps 0.99 of the old, eps 1e-3"),
        ("slim",
         "unbiased: 48/47, variance starts at 1, keeps 0.999 of the old, eps 1e-3, no gamma"),
        ("torch.nn.BatchNorm1d / 2d", "unbiased: 48/47, variance starts at 1"),
        ("torch, momentum=None", "unbiased: 48/47, takes the first batch as it is"),
    ],
)  # fmt: skip
def test_reasons(name, why):
    (layer,) = (layer for layer in LAYERS if layer.name == name)
    skip_if_missing(layer)
    assert parity.compare(layer, "images")["why"] == why


@pytest.mark.parametrize("shape", list(parity.SHAPES.values()))
def test_an_unexplained_difference_shows(shape):
    case = make_case(shape, mean=1, std=1)
    run = run_mxnet.LAYERS[1].run(case)
    for field in parity.FIELDS:
        expected = parity.by_hand(case, parity.OURS)
        off = {**expected, field: expected[field] + 1e-3}
        found = parity.distances(run, off)
        assert {name for name, value in found.items() if value > 1e-5} == {field}


@pytest.mark.slow
def test_the_library_imports_no_other_framework():
    import subprocess

    code = (
        "import sys, d2l_bn; print(*{'tensorflow', 'tf_slim', 'torch', 'keras'} & {*sys.modules})"
    )
    root = Path(d2l_bn.__file__).parent.parent
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""
