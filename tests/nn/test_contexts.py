"""The layer on two contexts: where its statistics are, and training over both at once.

On a CPU MXNet computes with arrays of different contexts without a word, so every test here asks
where each array is.
"""

from __future__ import annotations

import numpy as np
import pytest
from cases import arrays, make_case, statistics_of

from d2l_bn import BatchNorm, copy_parameters, lenet
from d2l_bn.reference.mathematics import training

import mxnet as mx
from mxnet import autograd, gluon, nd
from mxnet.gluon import nn

pytestmark = pytest.mark.usefixtures("each_implementation")

CPU0, CPU1 = BOTH = [mx.cpu(0), mx.cpu(1)]
both_modes = pytest.mark.parametrize("train_mode", [True, False])


def contexts_of(layer):
    return layer.moving_mean.context, layer.moving_var.context


@both_modes
def test_statistics_follow_the_input(train_mode):
    case = make_case()
    layer = BatchNorm(3, 2)
    layer.initialize(ctx=BOTH)
    layer.moving_mean, layer.moving_var = arrays(case).mean, arrays(case).var
    expected = case.mean, case.var
    for ctx in (CPU0, CPU1, CPU1, CPU0, CPU1):
        given = arrays(case, ctx=ctx)
        given.X.attach_grad()
        with autograd.record(train_mode=train_mode):
            Y = layer(given.X)
        Y.backward(given.dY)
        assert Y.context == given.X.grad.context == ctx
        assert contexts_of(layer) == (ctx, ctx)
        assert layer.gamma.grad(ctx).context == layer.beta.grad(ctx).context == ctx
        if train_mode:
            expected = training(case.X, 1, 0, case.dY, *expected)[-2:]
        for received, wanted in zip(statistics_of(layer), expected):
            np.testing.assert_allclose(received, wanted, rtol=1e-5)


def test_moving_the_statistics_changes_no_bit():
    case = make_case()
    layer = BatchNorm(3, 2)
    layer.initialize(ctx=BOTH)
    layer.moving_mean, layer.moving_var = arrays(case).mean, arrays(case).var
    before = [value.tobytes() for value in statistics_of(layer)]
    outputs = [layer(arrays(case, ctx=ctx).X).asnumpy() for ctx in (CPU0, CPU1, CPU0)]
    assert [value.tobytes() for value in statistics_of(layer)] == before
    assert np.array_equal(outputs[0], outputs[1]) and np.array_equal(outputs[0], outputs[2])


@both_modes
@pytest.mark.parametrize("name", ["moving_mean", "moving_var"])
def test_each_statistic_follows_by_itself(name, train_mode):
    """Once, the variance moved only where the mean had to."""
    layer = BatchNorm(3, 2)
    layer.initialize()
    setattr(layer, name, nd.ones((1, 3), ctx=CPU1))
    with autograd.record(train_mode=train_mode):
        layer(arrays(make_case()).X)
    assert contexts_of(layer) == (CPU0, CPU0)


@pytest.mark.parametrize("options", [{}, {"use_global_stats": True}])
def test_a_network_that_lives_elsewhere(options):
    net = nn.Sequential()
    net.add(nn.Dense(3), BatchNorm(3, 2, **options))
    net.initialize(ctx=CPU1)
    assert contexts_of(net[1]) == (CPU1, CPU1)
    with autograd.record():
        Y = net(nd.ones((4, 2), ctx=CPU1))
    assert Y.context == CPU1 and contexts_of(net[1]) == (CPU1, CPU1)


def test_an_input_elsewhere_than_the_parameters_is_refused():
    layer = BatchNorm(3, 2)
    layer.initialize(ctx=CPU0)
    with pytest.raises(RuntimeError, match="not initialized on context cpu\\(1\\)"):
        layer(nd.ones((4, 3), ctx=CPU1))


# --- Data-parallel training -------------------------------------------------------------------


def train_over(net, trainer, X, y, contexts):
    """One step of data-parallel training, and the loss."""
    loss_of = gluon.loss.SoftmaxCrossEntropyLoss()
    shards = [gluon.utils.split_and_load(array, contexts) for array in (X, y)]
    with autograd.record():
        losses = [loss_of(net(X_shard), y_shard) for X_shard, y_shard in zip(*shards)]
    for loss in losses:
        loss.backward()
    trainer.step(len(X))
    return sum(loss.sum().asscalar() for loss in losses) / len(X)


def problem(size=24):
    y = np.arange(size) % 4
    X = np.random.normal(size=(size, 1, 16, 16)) * 0.3
    X[np.arange(size), 0, 4 * y] += 1
    return nd.array(X), nd.array(y)


def layers_of(net):
    return [layer for layer in net if isinstance(layer, BatchNorm)]


@pytest.mark.parametrize("update_on_kvstore", [True, False])
def test_each_shard_is_one_update(update_on_kvstore):
    net, (X, y) = lenet(classes=4), problem()
    net.initialize(mx.init.Xavier(), ctx=BOTH)
    twin = lenet(classes=4)
    twin.initialize(ctx=CPU0)
    for one in (net, twin):
        one(X)  # so that all shapes are known
    settings = {"learning_rate": 0.5, "momentum": 0.9, "wd": 0.1}
    trainer = gluon.Trainer(
        net.collect_params(), "sgd", settings, update_on_kvstore=update_on_kvstore
    )
    for _ in range(3):
        copy_parameters(net, twin)
        train_over(net, trainer, X, y, BOTH)
        with autograd.train_mode():  # the shards one after the other, on one context
            twin(X[:12]), twin(X[12:])
        for ours, expected in zip(layers_of(net), layers_of(twin)):
            assert contexts_of(ours) == (CPU1, CPU1)
            for value, wanted in zip(statistics_of(ours), statistics_of(expected)):
                assert wanted.any()
                np.testing.assert_allclose(value, wanted, rtol=1e-5, atol=1e-6)
    for parameter in net.collect_params().values():
        first, *others = (value.asnumpy() for value in parameter.list_data())
        assert all(np.array_equal(first, other) for other in others), parameter.name


@pytest.mark.slow
def test_training_over_both_contexts_learns_and_predicts_on_either():
    net, (X, y) = lenet(classes=4), problem(48)
    net.initialize(mx.init.Xavier(), ctx=BOTH)
    trainer = gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": 0.2, "momentum": 0.9})
    losses = [train_over(net, trainer, X, y, BOTH) for _ in range(25)]
    assert losses[-1] < losses[0] / 4
    outputs = [net(X.as_in_context(ctx)) for ctx in BOTH]
    assert [output.context for output in outputs] == BOTH
    assert (outputs[0].argmax(axis=1) == y).mean().asscalar() > 0.9
    assert np.array_equal(*(output.asnumpy() for output in outputs))
