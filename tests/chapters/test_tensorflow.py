"""TensorFlow's batch normalization: its ways train like ours; and where averages come from."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import d2l_bn
from d2l_bn.data import load
from d2l_bn.training import Settings, build, fit

from mxnet import autograd, nd

for name in ("tensorflow", "tf_slim"):
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed: the extra `tensorflow`", allow_module_level=True)

CHAPTERS = Path(__file__).parents[2] / "chapters"
sys.path.insert(0, str(CHAPTERS))
from in_tensorflow import lenet_graph, traps, ways  # noqa: E402
from in_tensorflow.run_tensorflow import one_step  # noqa: E402

WAYS = pytest.mark.parametrize("way", ways.WAYS.values(), ids=list(ways.WAYS))
SHAPES = [(16, 3), (4, 3, 5, 6)]
# Where the moving variance starts, and whether it is the unbiased one: dense, images.
CONVENTIONS = {
    ways.WAYS["tf.nn, averages by hand"]: (0, (False, False)),
    ways.WAYS["tf.compat.v1.layers"]: (1, (False, True)),
    ways.WAYS["slim"]: (1, (True, True)),
    ways.WAYS["tf.keras in a graph"]: (1, (False, True)),
}
PLAIN = Settings(lr=1.0, momentum=0.0, batch_size=100)


@pytest.fixture(scope="module")
def images():
    """A part of the sample: chapter 7's own test trains on all of it."""
    sample = load("sample")
    return replace(
        sample,
        train_images=sample.train_images[:500],
        train_labels=sample.train_labels[:500],
        test_images=sample.test_images[:100],
        test_labels=sample.test_labels[:100],
    )


def random_input(shape):
    rng = np.random.default_rng(0)
    return rng.normal(3, 2, shape).astype(np.float32)


@WAYS
@pytest.mark.parametrize("shape", SHAPES)
def test_training_output_is_ours(way, shape):
    X = random_input(shape)
    layer = d2l_bn.BatchNorm(shape[1], len(shape))
    layer.initialize()
    with autograd.train_mode():
        expected = layer(nd.array(X)).asnumpy()
    np.testing.assert_allclose(one_step(way, X)["training"], expected, atol=1e-5)


@WAYS
@pytest.mark.parametrize("shape", SHAPES)
def test_averages_and_prediction(way, shape):
    X = random_input(shape)
    axes = tuple(axis for axis in range(X.ndim) if axis != 1)
    start, unbiased = CONVENTIONS[way]
    mean = 0.1 * X.mean(axes)
    var = 0.9 * start + 0.1 * X.var(axes, ddof=int(unbiased[X.ndim == 4]))
    found = one_step(way, X)
    np.testing.assert_allclose(found["mean"], mean, rtol=1e-5)
    np.testing.assert_allclose(found["var"], var, rtol=1e-5)
    along = (1, -1) + (1,) * (X.ndim - 2)
    predicted = (X - mean.reshape(along)) / np.sqrt(var.reshape(along) + 1e-5)
    np.testing.assert_allclose(found["prediction"], predicted, rtol=1e-4, atol=1e-5)


@WAYS
def test_first_steps_are_ours(way, images):
    """Weights, flattening, batches and rates: a slip in any of them changes the loss."""
    settings = replace(PLAIN, epochs=1)
    ours = fit(build(settings, images), images, settings)[0]
    theirs = lenet_graph.fit(way, images, settings)[0]
    assert theirs["train_loss"] == pytest.approx(ours["train_loss"], abs=2e-4)


def test_momentum_is_refused(images):
    with pytest.raises(ValueError, match=r"momentum must be 0, got 0\.9"):
        lenet_graph.fit(ways.by_hand, images, Settings(epochs=1))


def test_flattening_keeps_each_pixel():
    rng = np.random.default_rng(0)
    image, weight = rng.normal(size=(16, 4, 4)), rng.normal(size=(7, 256))
    expected = weight @ image.reshape(-1)
    found = image.transpose(1, 2, 0).reshape(-1) @ lenet_graph.channels_last(weight, 16)
    np.testing.assert_allclose(found, expected)


def test_wired():  # what the traps cost, chapter 7 measures and asserts
    wired = traps.wired()
    assert wired["batch statistics"] > 0.98
    assert wired["prediction"] == pytest.approx(wired["batch statistics"], abs=0.01)


@pytest.mark.slow
def test_slim_needs_the_names_put_back():
    """When it runs as it is, in_tensorflow/slim.py can go."""
    program = (
        "import tensorflow as tf, tf_slim\n"
        "with tf.Graph().as_default():\n"
        "    tf_slim.batch_norm(tf.zeros((2, 3)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode != 0
    assert "AttributeError" in done.stderr or "ImportError" in done.stderr, done.stderr[-500:]


def test_names_are_put_back_in_one_place():
    sources = {path.name: path.read_text() for path in (CHAPTERS / "in_tensorflow").glob("*.py")}
    for changed in ("ops.Tensor =", "control_flow_ops.cond =", "normalization.normalization ="):
        assert [name for name, text in sources.items() if changed in text] == ["slim.py"]


@pytest.mark.parametrize(
    "norm, count",
    [
        (traps.layers_norm, 6),
        (traps.slim_norm, 6),
        (traps.keras_norm, 0),
        (traps.in_place_norm, 0),
    ],
)
def test_who_fills_the_collection(norm, count):
    """Two averages in each of three layers; Keras's layer in a graph tells nobody."""
    with traps.tf.Graph().as_default():
        traps.make_net(norm)
        assert len(traps.v1.get_collection(traps.UPDATE_OPS)) == count


def test_two_towers_move_the_averages_twice():
    """And the order in which they do it is open, so the limit lies on either side of the mean 5."""
    found = traps.towers(slice(None), steps=50)
    assert found["operations"] == 4
    one_update_a_step = 5 * (1 - 0.9 ** np.arange(1, 51))
    assert (found["mean"][1:10] > 1.2 * one_update_a_step[1:10]).all()
    assert 4.5 < found["mean"][-1] < 5.5
    np.testing.assert_allclose(found["var"], 1, atol=1e-3)  # never that of the batch, 26
    assert found["batch"].var() == 26


def test_one_tower_alone_never_hears_of_the_other():
    found = traps.towers(slice(2))
    np.testing.assert_allclose(found["mean"], 0, atol=1e-6)
