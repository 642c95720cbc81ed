"""LeNet with any normalization in it, and the way from one kind to another and back."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cases import statistics_of

from d2l_bn import BatchNorm, GluonBatchNorm, batch_norm, copy_parameters, lenet
from d2l_bn.reference.source import SourceBatchNorm

import mxnet as mx
from mxnet import autograd, gluon, init, nd
from mxnet.gluon import nn

CPU0, CPU1 = BOTH = [mx.cpu(0), mx.cpu(1)]
BOTH_WAYS = (BatchNorm, GluonBatchNorm), (GluonBatchNorm, BatchNorm)


class StudentsNorm(nn.Block):
    """The smallest layer that somebody could write around the function."""

    def __init__(self, num_features, num_dims):
        super().__init__()
        shape = (1, num_features) + (1,) * (num_dims - 2)
        self.gamma = self.params.get("gamma", shape=shape, init=init.One())
        self.beta = self.params.get("beta", shape=shape, init=init.Zero())
        self.statistics = nd.zeros(shape), nd.zeros(shape)

    def forward(self, X):
        gamma, beta = self.gamma.data(), self.beta.data()
        Y, *self.statistics = batch_norm(X, gamma, beta, *self.statistics, 1e-5, 0.9)
        return Y


def images(count=6, size=28, ctx=None):
    rng = np.random.default_rng(3)
    return nd.array(rng.uniform(size=(count, 1, size, size)), ctx=ctx)


def initialized(norm, ctx=None, **options):
    net = lenet(norm, **options)
    net.initialize(init.Xavier(), ctx=ctx)
    net(images(2, ctx=ctx[0] if isinstance(ctx, list) else ctx))
    return net


def train(net, steps=3, ctx=CPU0):
    trainer = gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": 0.3})
    loss_of, X, y = gluon.loss.SoftmaxCrossEntropyLoss(), images(ctx=ctx), nd.arange(6, ctx=ctx)
    for _ in range(steps):
        with autograd.record():
            loss = loss_of(net(X), y)
        loss.backward()
        trainer.step(len(X))
    return net


# --- LeNet ------------------------------------------------------------------------------------


def test_layers():
    net = lenet()
    kinds = [type(layer).__name__ for layer in net]
    block = ["BatchNorm", "Activation"]
    conv, dense = ["Conv2D", *block, "MaxPool2D"], ["Dense", *block]
    assert kinds == [*conv, *conv, *dense, *dense, "Dense"]
    assert all(isinstance(layer, BatchNorm) for layer in net if "BatchNorm" in str(type(layer)))
    net.initialize()
    net(images())
    shapes = [layer.weight.shape for layer in net if hasattr(layer, "weight")]
    assert shapes == [(6, 1, 5, 5), (16, 6, 5, 5), (120, 256), (84, 120), (10, 84)]
    assert {layer._act_type for layer in net if isinstance(layer, nn.Activation)} == {"sigmoid"}


def test_norm_is_called_for_each_layer():
    calls = []

    def norm(num_features, num_dims):
        calls.append((num_features, num_dims))
        return BatchNorm(num_features, num_dims)

    lenet(norm)
    assert calls == [(6, 4), (16, 4), (120, 2), (84, 2)]


def test_none_means_no_normalization():
    kinds = [type(layer).__name__ for layer in lenet(None)]
    assert kinds == ["Conv2D", "Activation", "MaxPool2D"] * 2 + ["Dense", "Activation"] * 2 + [
        "Dense"
    ]


@pytest.mark.parametrize("norm", [BatchNorm, GluonBatchNorm, None, SourceBatchNorm, StudentsNorm])
def test_every_norm_trains(norm):
    net = initialized(norm)
    before = [p.data().asnumpy() for p in net.collect_params().values() if p.grad_req != "null"]
    output = train(net)(images())
    after = [p.data().asnumpy() for p in net.collect_params().values() if p.grad_req != "null"]
    assert output.shape == (6, 10) and np.isfinite(output.asnumpy()).all()
    assert all(np.abs(old - new).max() > 0 for old, new in zip(before, after))


def test_a_students_norm_computes_what_ours_does():
    ours, students = initialized(BatchNorm), initialized(StudentsNorm)
    for source, target in zip(ours, students):
        for name, parameter in target.params.items():
            value = source.params.get(name[len(target.prefix) :]).data()
            parameter.set_data(value)
    for net in (ours, students):
        train(net)
    outputs = [net(images()).asnumpy() for net in (ours, students)]
    np.testing.assert_allclose(outputs[0], outputs[1], rtol=1e-4, atol=1e-5)


def test_options_are_keyword_only():
    with pytest.raises(TypeError, match="positional"):
        lenet(BatchNorm, 10)


@pytest.mark.parametrize("size, classes", [((16, 16), 2), ((28, 28), 62), ((20, 33), 10)])
@pytest.mark.parametrize("pooling", ["max", "average"])
def test_other_images_and_classes(size, classes, pooling):
    net = lenet(classes=classes, pooling=pooling)
    net.initialize()
    X = nd.random.normal(shape=(3, 1, *size))
    with autograd.record():
        Y = net(X)
    Y.backward()
    assert Y.shape == net(X).shape == (3, classes)


def test_average_pooling_averages():
    nets = [initialized(None, pooling=pooling) for pooling in ("max", "average")]
    copy_parameters(*nets)
    X, (largest, average) = images(), nets
    features = largest[1](largest[0](X))
    received = average[2](features).asnumpy()
    np.testing.assert_allclose(
        received, features.asnumpy().reshape(6, 6, 12, 2, 12, 2).mean((3, 5)), rtol=1e-5
    )
    assert not np.allclose(largest(X).asnumpy(), average(X).asnumpy(), atol=1e-6)


@pytest.mark.parametrize(
    "options, parts",
    [
        ({"classes": 1}, "at least 2 classes, got classes=1"),
        ({"classes": 0}, "at least 2 classes, got classes=0"),
        ({"pooling": "mean"}, "pooling must be one of max, average, got 'mean'"),
        ({"pooling": None}, "pooling must be .* got None"),
    ],
)
def test_arguments_are_checked(options, parts):
    with pytest.raises(ValueError, match=parts):
        lenet(**options)


# --- From ours to Gluon's and back ------------------------------------------------------------


@pytest.mark.parametrize(
    "first, second", [(BatchNorm, GluonBatchNorm), (GluonBatchNorm, BatchNorm)]
)
@pytest.mark.filterwarnings("ignore:Cannot decide type:UserWarning")  # MXNet's own imports
def test_a_trained_network_can_be_handed_over_and_back(first, second):
    net, other, back = train(initialized(first)), initialized(second), initialized(first)
    expected = net(images()).asnumpy()
    copy_parameters(net, other)
    np.testing.assert_allclose(other(images()).asnumpy(), expected, rtol=1e-4, atol=1e-5)
    copy_parameters(other, back)
    assert np.array_equal(back(images()).asnumpy(), expected)


@pytest.mark.parametrize("ready", [True, False])
def test_a_file_of_gluons_network_is_loaded(tmp_path, ready):
    file, net = str(tmp_path / "gluon.params"), train(initialized(GluonBatchNorm))
    net.save_parameters(file)
    ours = initialized(BatchNorm) if ready else lenet(BatchNorm)
    ours.load_parameters(file)
    expected = net(images()).asnumpy()
    np.testing.assert_allclose(ours(images()).asnumpy(), expected, rtol=1e-4, atol=1e-5)
    assert ours[1].gamma.shape == ours[1].moving_var.shape == (1, 6, 1, 1)


def test_a_file_of_gluons_layer_with_other_channels_is_refused(tmp_path):
    file = str(tmp_path / "gluon.params")
    for channels, other in [(3, 4), (3, 1), (1, 3)]:
        net = GluonBatchNorm(channels, 2)
        net.initialize()
        net.save_parameters(file)
        with pytest.raises(AssertionError, match="incompatible"):
            BatchNorm(other, 2).load_parameters(file)


@pytest.mark.parametrize(
    "first, second", [(BatchNorm, GluonBatchNorm), (GluonBatchNorm, BatchNorm)]
)
def test_training_goes_on_alike_after_handing_over(first, second):
    net, other = train(initialized(first)), initialized(second)
    copy_parameters(net, other)
    outputs = [train(one)(images()).asnumpy() for one in (net, other)]
    np.testing.assert_allclose(*outputs, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("options", [{"eps": 0.1}, {"momentum": 0.5}])
@pytest.mark.parametrize("first", [BatchNorm, GluonBatchNorm])
@pytest.mark.parametrize("second", [BatchNorm, GluonBatchNorm])
def test_a_copy_that_would_compute_otherwise_is_refused(first, second, options):
    def make(norm, options):
        gluons = {"epsilon" if name == "eps" else name: value for name, value in options.items()}
        return norm(3, 2, **(gluons if norm is GluonBatchNorm else options))

    one, other, same = make(first, options), make(second, {}), make(second, options)
    for layer in (one, other, same):
        layer.initialize()
    with pytest.raises(ValueError, match="the same options of normalization"):
        copy_parameters(one, other)
    copy_parameters(one, same)


def test_a_gamma_that_would_be_ignored_is_not_copied():
    one, other = BatchNorm(3, 2), GluonBatchNorm(3, 2, scale=False)
    for layer in (one, other):
        layer.initialize()
    with pytest.raises(ValueError, match="the same options of normalization"):
        copy_parameters(one, other)


@pytest.mark.parametrize("first", [BatchNorm, GluonBatchNorm])
@pytest.mark.parametrize("second", [BatchNorm, GluonBatchNorm])
def test_a_copy_shares_no_memory(first, second):
    """Gluon's layer updates its statistics in place, and once ours saw that after a copy."""
    net, other = train(initialized(first)), initialized(second)
    copy_parameters(net, other)
    expected = other(images()).asnumpy()
    train(net)
    assert np.array_equal(other(images()).asnumpy(), expected)
    expected = net(images()).asnumpy()
    train(other)
    assert np.array_equal(net(images()).asnumpy(), expected)


@pytest.mark.parametrize("to", [CPU1, BOTH])
def test_a_copy_to_other_contexts(to):
    net = train(initialized(BatchNorm, CPU1), ctx=CPU1)
    for norm in (BatchNorm, GluonBatchNorm):
        other = initialized(norm, to)
        copy_parameters(net, other)
        for ctx in to if isinstance(to, list) else [to]:
            output = other(images(ctx=ctx))
            assert output.context == ctx
            expected = net(images(ctx=CPU1)).asnumpy()
            np.testing.assert_allclose(output.asnumpy(), expected, rtol=1e-4, atol=1e-5)


def test_a_copy_takes_the_type_of_its_target():
    net, other = train(initialized(BatchNorm)), lenet()
    other.cast("float64")
    other.initialize()
    other(images().astype("float64"))
    copy_parameters(net, other)
    received = other(images().astype("float64")).asnumpy()
    np.testing.assert_allclose(received, net(images()).asnumpy(), rtol=1e-4, atol=1e-5)


def test_networks_that_differ_are_refused_untouched():
    net, plain, wide = initialized(BatchNorm), initialized(None), initialized(BatchNorm, classes=11)
    before = wide(images()).asnumpy()
    with pytest.raises(ValueError, match=r"same parameters; only one has .*running_mean"):
        copy_parameters(net, plain)
    with pytest.raises(ValueError, match=r"14.weight .* same size .*\(10, 84\) and \(11, 84\)"):
        copy_parameters(train(net), wide)
    assert np.array_equal(wide(images()).asnumpy(), before)


def test_gluons_norm_has_the_options_of_ours():
    ours, gluons = BatchNorm(6, 4), GluonBatchNorm(6, 4)
    assert gluons._kwargs["eps"] == ours.eps and gluons._kwargs["momentum"] == ours.momentum
    assert not gluons._kwargs["fix_gamma"] and not gluons._kwargs["use_global_stats"]
    gluons.initialize()  # at once: its shapes are known
    assert statistics_of(gluons)[1].tolist() == [1] * 6


# --- The engine -------------------------------------------------------------------------------

MANY_STEPS = """
import d2l_bn
from mxnet import autograd, gluon, init, nd
net = gluon.nn.Sequential()
net.add(d2l_bn.lenet())
for _ in range(20):
    net.add(gluon.nn.Dense(10), d2l_bn.BatchNorm(10, 2))
net.initialize(init.Xavier())
trainer = gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": 0.01})
X, y = nd.random.normal(shape=(8, 1, 16, 16)), nd.arange(8)
loss_of = gluon.loss.SoftmaxCrossEntropyLoss()
for _ in range(30):  # nothing waits for the engine in here
    with autograd.record():
        loss = loss_of(net(X), y)
    loss.backward()
    trainer.step(8)
assert (loss.asnumpy() < 100).all()
"""


@pytest.mark.slow
def test_many_layers_do_not_hang_the_threaded_engine():
    """A hand-written backward (`autograd.Function`) did, with four layers."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MXNET_", "OMP_"))}
    checkout = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", MANY_STEPS],
        env={**environment, "PYTHONPATH": checkout},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr


# --- Deployment -------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:Cannot decide type:UserWarning")  # MXNet's own imports
def test_a_trained_network_can_be_exported_through_gluons_layer(tmp_path):
    """As the docstring of `copy_parameters` tells: the exported graph needs no d2l_bn."""
    net, target = train(initialized(BatchNorm)), initialized(GluonBatchNorm)
    copy_parameters(net, target)
    target.hybridize()
    target(images())
    target.export(str(tmp_path / "lenet"))
    files = [str(tmp_path / name) for name in ("lenet-symbol.json", "lenet-0000.params")]
    loaded = gluon.SymbolBlock.imports(files[0], ["data"], files[1])
    np.testing.assert_allclose(loaded(images()).asnumpy(), net(images()).asnumpy(), atol=1e-5)


@pytest.mark.parametrize("norm, hybrid", [(BatchNorm, False), (GluonBatchNorm, True), (None, True)])
def test_a_network_is_hybrid_where_all_its_layers_are(norm, hybrid):
    assert isinstance(lenet(norm), nn.HybridSequential) == hybrid
