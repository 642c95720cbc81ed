"""Statistics measured anew are exact, and folding changes no prediction."""

from __future__ import annotations

import numpy as np
import pytest

import d2l_bn
from d2l_bn import BatchNorm

import mxnet as mx
from mxnet import autograd, nd
from mxnet.gluon import nn

NORMS = [d2l_bn.BatchNorm, d2l_bn.GluonBatchNorm]


def trained(norm):
    """A LeNet with statistics that are not those of its inputs, and some inputs."""
    net = d2l_bn.lenet(norm)
    net.initialize(mx.init.Xavier())
    X = nd.random.uniform(shape=(24, 1, 20, 20))
    trainer = mx.gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": 0.3})
    for _ in range(3):
        with autograd.record():
            loss = (net(X) ** 2).mean()
        loss.backward()
        trainer.step(1)
    return net, X


def values(net):
    return {name: p.data().asnumpy() for name, p in net._collect_params_with_prefix().items()}


@pytest.mark.parametrize("norm", NORMS)
def test_recalibrated_statistics_are_those_of_the_inputs(norm):
    net, X = trained(norm)
    d2l_bn.recalibrate(net, [X[:10], X[10:]])
    for index, layer in enumerate(net):
        if hasattr(layer, "running_mean"):
            inputs = X
            for below in list(net)[:index]:
                inputs = below(inputs)
            inputs = inputs.asnumpy().astype(np.float64)
            axes = (0, 2, 3)[: inputs.ndim - 1]
            mean, var = layer.running_mean.data().asnumpy(), layer.running_var.data().asnumpy()
            np.testing.assert_allclose(mean.ravel(), inputs.mean(axes), rtol=1e-5, atol=1e-6)
            np.testing.assert_allclose(var.ravel(), inputs.var(axes), rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("norm", NORMS)
def test_the_cut_into_batches_does_not_matter(norm):
    net, X = trained(norm)
    found = []
    for size in (24, 12, 7, 2):
        d2l_bn.recalibrate(net, [X[start : start + size] for start in range(0, 24, size)])
        found.append(values(net))
    for other in found[1:]:
        for name, value in other.items():
            np.testing.assert_allclose(value, found[0][name], rtol=2e-5, atol=1e-6, err_msg=name)


def test_only_statistics_change():
    net, X = trained(d2l_bn.BatchNorm)
    before = values(net)
    d2l_bn.recalibrate(net, [X])
    changed = {name for name, value in values(net).items() if (value != before[name]).any()}
    assert changed == {name for name in before if "running" in name}


def test_a_large_offset_costs_no_accuracy():
    layer = d2l_bn.BatchNorm(3, 2)
    layer.initialize()
    X = nd.random.normal(shape=(1000, 3), loc=1000)
    d2l_bn.recalibrate(layer, [X[:300], X[300:]])
    np.testing.assert_allclose(
        layer.moving_var.asnumpy()[0], X.asnumpy().astype(np.float64).var(0), rtol=1e-4
    )


def test_an_iterator_is_refused():
    net, X = trained(d2l_bn.BatchNorm)
    with pytest.raises(TypeError, match="pass a list"):
        d2l_bn.recalibrate(net, iter([X]))


@pytest.mark.parametrize("batches", [[], [nd.zeros((2, 3))]])
def test_nothing_to_measure_is_refused(batches):
    net = nn.Sequential()
    net.add(nn.Dense(2))
    net.initialize()
    with pytest.raises(ValueError, match="at least one batch"):
        d2l_bn.recalibrate(net, batches)


@pytest.mark.parametrize("norm", NORMS)
def test_folded_predictions_are_equal_and_the_network_stays(norm):
    net, X = trained(norm)
    before, expected = values(net), net(X).asnumpy()
    plain = d2l_bn.fold(net)
    np.testing.assert_allclose(plain(X).asnumpy(), expected, rtol=1e-5, atol=1e-5)
    assert not any("gamma" in name for name in values(plain))
    assert isinstance(plain, nn.HybridSequential)
    for name, value in values(net).items():
        assert np.array_equal(value, before[name]), name


def dense(units, **options):
    return nn.Dense(units, in_units=4, **options)


def images_last():
    return nn.BatchNorm(axis=3, in_channels=4)


@pytest.mark.parametrize(
    "layers, parts",
    [
        ([BatchNorm(1, 4)], "after None"),
        ([dense(4), nn.Activation("relu"), BatchNorm(4, 2)], "right after"),
        ([dense(4, activation="relu"), BatchNorm(4, 2)], "right after"),
        ([dense(4, flatten=False), nn.BatchNorm(in_channels=4)], "second axis"),
        ([nn.Conv2DTranspose(4, 3, in_channels=4), BatchNorm(4, 4)], "Conv2DTranspose"),
        ([nn.Conv2D(4, 3, layout="NHWC", in_channels=4), BatchNorm(4, 4)], "second axis"),
        ([nn.Conv2D(4, 3, in_channels=4), images_last()], "axis=3"),
    ],
)
def test_what_cannot_be_folded_is_refused(layers, parts):
    net = nn.Sequential()
    net.add(*layers)
    net.initialize()
    with pytest.raises(ValueError, match=parts):
        d2l_bn.fold(net)


def test_channels_on_another_axis_are_not_recalibrated():
    net = images_last()
    net.initialize()
    with pytest.raises(ValueError, match="second axis"):
        d2l_bn.recalibrate(net, [nd.ones((2, 3, 3, 4))])


def test_a_nested_network_is_not_folded_in_silence():
    net, inner = nn.Sequential(), nn.Sequential()
    inner.add(dense(4), BatchNorm(4, 2))
    net.add(inner)
    net.initialize()
    with pytest.raises(ValueError, match="one flat Sequential"):
        d2l_bn.fold(net)


@pytest.mark.parametrize(
    "affine, num_dims",
    [(dense(4, use_bias=False), 2), (nn.Conv2D(4, 2, in_channels=1, use_bias=False), 4)],
)
def test_a_layer_without_a_bias_is_folded_into_one_that_has_it(affine, num_dims):
    net = nn.Sequential()
    net.add(affine, BatchNorm(4, num_dims))
    X = nd.random.normal(shape=(16, 4) if num_dims == 2 else (16, 1, 5, 5))
    net.initialize()
    with autograd.record():
        net(X)
    expected = net(X).asnumpy()
    np.testing.assert_allclose(d2l_bn.fold(net)(X).asnumpy(), expected, atol=1e-5)
    np.testing.assert_array_equal(net(X).asnumpy(), expected)


def test_a_hybridized_network_is_not_recalibrated_in_silence():
    net = d2l_bn.lenet(d2l_bn.GluonBatchNorm)
    net.initialize()
    net.hybridize()
    with pytest.raises(ValueError, match=r"net.hybridize\(False\)"):
        d2l_bn.recalibrate(net, [nd.ones((2, 1, 28, 28))])


def test_statistics_are_measured_in_prediction_mode_whatever_the_callers_is():
    X = nd.random.normal(3, 2, shape=(64, 4))
    nets = [nn.Sequential(), nn.Sequential()]
    for net in nets:
        net.add(BatchNorm(4, 2), BatchNorm(4, 2))
        net.initialize()
    d2l_bn.recalibrate(nets[0], [X])
    with autograd.train_mode():
        d2l_bn.recalibrate(nets[1], [X])
    for one, other in zip(*nets):
        assert np.array_equal(one.moving_var.asnumpy(), other.moving_var.asnumpy())


def test_a_layer_that_is_used_twice_is_measured_over_all_that_it_gets():
    layer = BatchNorm(2, 2)
    net = nn.Sequential()
    net.add(layer, nn.HybridLambda(lambda F, x: x * 0 + 7), layer)
    net.initialize()
    d2l_bn.recalibrate(net, [nd.array([[1, 3], [3, 5]])])
    np.testing.assert_allclose(layer.moving_mean.asnumpy(), [[4.5, 5.5]])


def test_a_failing_batch_leaves_no_hook_behind():
    net = nn.Sequential()
    net.add(BatchNorm(4, 2))
    net.initialize()
    with pytest.raises(ValueError, match="BatchNorm"):
        d2l_bn.recalibrate(net, [nd.ones((2, 5))])
    assert not net[0]._forward_pre_hooks
