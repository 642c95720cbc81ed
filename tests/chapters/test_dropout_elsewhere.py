"""Dropout elsewhere: inverted everywhere, on here and off there; and its shift of the variance."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import d2l_bn  # noqa: F401  before mxnet

sys.path.insert(0, str(Path(__file__).parents[2] / "chapters"))
from in_tensorflow import dropout, elsewhere, optimizers
from in_tensorflow.frameworks import missing

from experiments.noise import ORDERS, variance_shift

RECORDED = "off, on inside autograd.record()"
DROPPING, KEEPING = "the chance of dropping", "the chance of keeping"
EXPECTED = {
    "d2l_bn.dropout": (DROPPING, RECORDED, "zeros"),
    "nd.Dropout": (DROPPING, RECORDED, "NaN"),
    "tf.nn.dropout": (DROPPING, "always on", "ValueError"),
    "tf.compat.v1.nn.dropout": (KEEPING, "always on", "ValueError"),
    "tf.compat.v1.layers.dropout": (DROPPING, "off", "ValueError"),
    "slim.dropout": (KEEPING, "on", "ValueError"),
    "tf.keras.layers.Dropout": (DROPPING, "off", "ValueError"),
    "torch.nn.Dropout": (DROPPING, "on", "zeros"),
}
each_dropper = pytest.mark.parametrize(
    "dropper", dropout.DROPPERS, ids=lambda dropper: dropper.name
)


def skip_if_missing(dropper) -> None:
    if missing(dropper.framework):
        pytest.skip(missing(dropper.framework))


@each_dropper
@pytest.mark.parametrize("rate", [0.25, 0.8])
def test_inverted_everywhere(dropper, rate):
    skip_if_missing(dropper)
    row = dropout.describe(dropper, rate)
    assert float(row["dropped"]) == pytest.approx(rate, abs=0.02)
    assert row["the rest becomes"] == f"{1 / (1 - rate):.3f}"
    assert float(row["mean"]) == pytest.approx(1, abs=0.05)


@each_dropper
def test_every_other_cell(dropper):
    skip_if_missing(dropper)
    row = dropout.describe(dropper)
    assert (row["number"], row["mode, if not named"], row["rate 1"]) == EXPECTED[dropper.name]


@pytest.mark.parametrize("dropper", dropout.ELSEWHERE, ids=lambda dropper: dropper.name)
def test_what_was_measured_elsewhere_comes_out_again(dropper):
    skip_if_missing(dropper)
    (kept,) = (row for row in elsewhere.read("dropout") if row["dropout"] == dropper.name)
    again = dropout.describe(dropper)
    assert again == {name: kept[name] for name in again}


@pytest.mark.parametrize(
    "name, expected",
    [
        ("gluon.Trainer, sgd", "steps"),
        ("v1.train.MomentumOptimizer", "gradients"),
        ("tf.keras.optimizers.SGD", "steps"),
        ("torch.optim.SGD", "gradients"),
    ],
)
def test_what_momentum_carries_on(name, expected):
    """At the rates 1 and 0.1, a sum of steps goes 1 and then 1; a sum of gradients 1, then 0.19."""
    framework, steps = optimizers.OPTIMIZERS[name]
    if missing(framework):
        pytest.skip(missing(framework))
    assert steps() == pytest.approx([1, {"steps": 1, "gradients": 0.19}[expected]], abs=1e-6)
    (row,) = (row for row in optimizers.second_steps() if row["optimizer"] == name)
    assert row["it keeps a sum of"] == expected


def test_the_table_is_whole(monkeypatch):
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: None if name != "mxnet" else object()
    )
    rows = dropout.defaults()
    assert [row["dropout"] for row in rows] == list(EXPECTED)
    assert set(list(rows[2].values())[1:]) == {"TensorFlow is not installed"}


def test_what_is_measured_is_seen():
    """A dropout that isn't inverted, ignores its rate and is on from the start shows as such."""

    def halve(X, rate, training):
        return X * (np.arange(X.size).reshape(X.shape) % 2)

    odd = dropout.Dropper("odd", "MXNet", "dropping", halve)
    modes = "on, on inside autograd.record()"
    expected = ["odd", DROPPING, "0.50", "1.000", "0.50", modes, "something else"]
    assert list(dropout.describe(odd).values()) == expected


@pytest.mark.slow
@pytest.mark.parametrize("mu, keep", [(0, 0.5), (1, 0.5), (2, 0.8), (0, 1)])
def test_dropout_first_shifts_the_variance(mu, keep):
    found = variance_shift(mu, keep)
    expected = (1 + mu**2) / keep - mu**2
    assert found["expected_var"] == pytest.approx(expected)
    assert found["moving_var"] == pytest.approx(expected, rel=0.02)
    assert found["training_sd"] == pytest.approx(1, abs=0.01)
    assert found["predicted_sd"] == pytest.approx(expected**-0.5, rel=0.02)


def test_the_numbers_of_the_text():
    first, behind = (variance_shift(order=order) for order in ORDERS)
    assert round(first["moving_var"], 1) == 2.0
    assert first["predicted_sd"] == pytest.approx(0.5**0.5, abs=0.02)
    assert behind["predicted_sd"] == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("mu, keep", [(0, 0.5), (2, 0.8)])
def test_batch_norm_first_keeps_the_variance(mu, keep):
    found = variance_shift(mu, keep, "norm first")
    assert found["moving_var"] == pytest.approx(1, abs=0.02) == found["expected_var"]
    assert found["training_sd"] == pytest.approx(keep**-0.5, rel=0.02)
    assert found["predicted_sd"] == pytest.approx(1, abs=0.02)


def test_an_order_that_is_none_is_refused():
    with pytest.raises(ValueError, match=r"order must be one of .*, got 'both'"):
        variance_shift(order="both")
