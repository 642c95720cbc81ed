"""The experiments of the appendix: each normalization is what it says, each comparison is fair."""

from __future__ import annotations

import numpy as np
import pytest

import d2l_bn
from experiments import comparisons, deep_linear, regularization, residual, shared

import mxnet as mx
from mxnet import autograd, nd
from mxnet.gluon import nn

GROUPS = comparisons.GROUPS
SHAPES = [(4, 6, 5, 7), (2, 16, 3, 3), (3, 4, 1, 2)]
# The axes of one group each, and the same layer of Gluon and of PyTorch for (channels, shape).
# Gluon's group norm has one scale a group, not a channel, so only its fresh layer is comparable.
OTHERS = {
    "layer": (
        comparisons.layer_norm,
        lambda c: nn.GroupNorm(1, epsilon=1e-5),
        lambda torch, c: torch.nn.GroupNorm(1, c),
    ),
    "instance": (
        comparisons.instance_norm,
        lambda c: nn.InstanceNorm(epsilon=1e-5),
        lambda torch, c: torch.nn.InstanceNorm2d(c, affine=True),
    ),
    "group": (
        comparisons.group_norm,
        lambda c: nn.GroupNorm(GROUPS, epsilon=1e-5),
        lambda torch, c: torch.nn.GroupNorm(GROUPS, c),
    ),
    "batch": (
        comparisons.batch_norm,
        lambda c: nn.BatchNorm(),
        lambda torch, c: torch.nn.BatchNorm2d(c),
    ),
}


def layers(name, channels):
    """Ours and Gluon's, fresh."""
    function, gluon_layer, _ = OTHERS[name]
    ours, theirs = comparisons.Normalization(function, channels, 4), gluon_layer(channels)
    for layer in (ours, theirs):
        layer.initialize()
    return ours, theirs


def with_gradient(layer, X, direction):
    """What a layer makes of `X` in training mode, and the gradient for `direction`."""
    X = nd.array(X)
    X.attach_grad()
    with autograd.record():
        Y = layer(X)
    Y.backward(nd.array(direction))
    return Y.asnumpy(), X.grad.asnumpy()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", OTHERS)
def test_a_normalization_is_that_of_gluon(name, shape):
    rng = np.random.default_rng([1, *shape])
    X, direction = rng.normal(3, 2, shape), rng.normal(size=shape)
    ours, theirs = layers(name, shape[1])
    for one, other in zip(*(with_gradient(layer, X, direction) for layer in (ours, theirs))):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", OTHERS)
def test_a_normalization_is_that_of_pytorch_with_scale_and_shift(name, shape):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    rng = np.random.default_rng([2, *shape])
    X, direction = rng.normal(-1, 3, shape), rng.normal(size=shape)
    gamma, beta = rng.normal(size=(2, shape[1]))
    ours, _ = layers(name, shape[1])
    ours.gamma.set_data(nd.array(gamma).reshape(ours.gamma.shape))
    ours.beta.set_data(nd.array(beta).reshape(ours.beta.shape))
    theirs = OTHERS[name][2](torch, shape[1])
    theirs.load_state_dict(
        {"weight": torch.tensor(gamma), "bias": torch.tensor(beta)}, strict=False
    )
    Y, gradient = with_gradient(ours, X, direction)
    given = torch.tensor(X, dtype=torch.float32, requires_grad=True)
    expected = theirs(given)
    expected.backward(torch.tensor(direction, dtype=torch.float32))
    np.testing.assert_allclose(Y, expected.detach().numpy(), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(gradient, given.grad.numpy(), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(
        ours.gamma.grad().asnumpy().ravel(), theirs.weight.grad.numpy(), rtol=1e-3, atol=1e-4
    )


@pytest.mark.parametrize("name", OTHERS)
def test_one_scale_for_all_is_the_same_in_gluon(name):
    """Gluon's group norm has a scale for each group: with equal ones, nothing else differs."""
    ours, theirs = layers(name, 4)
    X, direction = np.random.default_rng(3).normal(size=(2, 3, 4, 5, 5))[:, :, :4]
    theirs(nd.array(X))
    for layer in (ours, theirs):
        layer.gamma.set_data(nd.full(layer.gamma.shape, 1.5))
        layer.beta.set_data(nd.full(layer.beta.shape, -0.5))
    for one, other in zip(*(with_gradient(layer, X, direction) for layer in (ours, theirs))):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


def test_dense_layers_are_normalized_too_where_that_means_anything():
    X = nd.array(np.random.default_rng(4).normal(2, 3, (64, 10)))
    moving = nd.zeros((1, 10))
    with autograd.train_mode():
        library, *_ = d2l_bn.batch_norm(X, nd.ones((1, 10)), moving, moving, moving, 1e-5, 0.9)
    np.testing.assert_allclose(comparisons.batch_norm(X).asnumpy(), library.asnumpy(), atol=1e-4)
    layer = nn.LayerNorm()
    layer.initialize()
    np.testing.assert_allclose(comparisons.layer_norm(X).asnumpy(), layer(X).asnumpy(), atol=1e-4)


def test_between_layer_and_instance_there_are_groups():
    X = nd.array(np.random.default_rng(5).normal(size=(3, 6, 4, 4)))
    ends = {1: comparisons.layer_norm, 6: comparisons.instance_norm}
    for groups, function in ends.items():
        Y = comparisons.group_norm(X, groups)
        np.testing.assert_allclose(Y.asnumpy(), function(X).asnumpy(), atol=1e-5)


@pytest.mark.parametrize("name", ["layer", "instance", "group"])
def test_an_image_is_normalized_alike_in_every_batch(name):
    X = nd.array(np.random.default_rng(6).normal(size=(8, 6, 4, 4)))
    function = OTHERS[name][0]
    np.testing.assert_allclose(function(X)[:1].asnumpy(), function(X[:1]).asnumpy(), atol=1e-5)
    batch = comparisons.batch_norm
    assert abs(batch(X)[:2].asnumpy() - batch(X[:2]).asnumpy()).max() > 0.1


def test_of_a_dense_batch_of_two_only_signs_are_left():
    X = 100 * nd.array(np.random.default_rng(7).normal(size=(2, 100)))
    Y = comparisons.batch_norm(X).asnumpy()
    np.testing.assert_allclose(abs(Y), 1, atol=0.02)
    np.testing.assert_allclose(Y[0], -Y[1], atol=1e-4)


def test_the_gradient_of_a_dense_batch_of_two_is_that_of_the_appendix():
    rng = np.random.default_rng(11)
    X, G = nd.array(0.1 * rng.normal(size=(2, 200))), nd.array(rng.normal(size=(2, 200)))
    X.attach_grad()
    with autograd.record():
        Y = comparisons.batch_norm(X)
    Y.backward(G)
    d, g = ((A[0] - A[1]).asnumpy().astype(float) for A in (X, G))
    expected = comparisons.EPS / (2 * ((d / 2) ** 2 + comparisons.EPS) ** 1.5) * g
    np.testing.assert_allclose(X.grad[0].asnumpy(), expected, rtol=0.02, atol=2e-3)
    np.testing.assert_allclose(X.grad[1].asnumpy(), -expected, rtol=0.02, atol=2e-3)


def test_the_rate_falls_along_half_a_cosine():
    rates = list(shared.rates(0.2, 4))
    np.testing.assert_allclose(rates, 0.1 * (1 + np.cos(np.pi * np.arange(4) / 4)))


# What an experiment compares.


def test_statistics_of_all_images_look_at_no_batch_mate():
    rng = np.random.default_rng(8)
    everything = nd.array(rng.normal(size=(40, 12)))
    X = nd.array(rng.normal(size=(32, 12)))
    net = regularization.Network(everything)
    net.initialize(mx.init.Xavier())
    apart = {
        statistics: abs(net(X, statistics)[:16] - net(X[:16], statistics)).max().asscalar()
        for statistics in regularization.STATISTICS
    }
    assert apart["batch"] > 0.01  # other mates, other outputs
    assert apart["ghost"] < 1e-5 and apart["all"] < 1e-5
    others = nd.concat(X[16:20], X[:4], dim=0)  # the first 4 images with other mates
    moved = abs(net(others, "ghost")[4:] - net(X, "ghost")[:4]).max().asscalar()
    still = abs(net(others, "all")[4:] - net(X, "all")[:4]).max().asscalar()
    assert moved > 0.01 and still < 1e-5


@pytest.mark.parametrize("statistics", regularization.STATISTICS)
def test_standardized_is_what_numpy_says(statistics):
    X = np.random.default_rng(9).normal(2, 3, (48, 5)).astype(np.float32)
    parts = X.reshape(-1, regularization.GHOST, 5) if statistics == "ghost" else X[None]
    sample = X[None, -20:] if statistics == "all" else parts
    expected = (parts - sample.mean(axis=1, keepdims=True)) / sample.std(axis=1, keepdims=True)
    found = regularization.standardized(nd.array(X), statistics, 20).asnumpy()
    np.testing.assert_allclose(found, expected.reshape(X.shape), atol=1e-4)


def test_training_and_test_images_are_the_sample_divided():
    dataset = shared.images("sample")
    (X, y), (others, labels) = regularization.divided(dataset, 0)
    assert len(X) == len(y) == 1000 and len(others) == len(labels) == 6000
    rows = np.concatenate([X.asnumpy(), others.asnumpy()])
    given = np.concatenate([dataset.train_images, dataset.test_images]).reshape(7000, -1) / 255
    np.testing.assert_allclose(np.sort(rows.sum(axis=1)), np.sort(given.sum(axis=1)), rtol=1e-4)
    other, _ = regularization.divided(dataset, 1)
    assert (other[0] != X).sum().asscalar() > 1000


def test_a_batch_has_no_image_twice():
    numbers = np.concatenate(
        [b.asnumpy() for b, _ in zip(regularization.draws(64, 16, 0), range(4))]
    )
    assert sorted(numbers) == list(range(64))


@pytest.mark.parametrize("activation", comparisons.ACTIVATIONS)
def test_the_places_are_right_before_and_right_after(activation):
    kinds = {
        place: [type(layer).__name__ for layer in net]
        for place in ("before", "after")
        for net in [comparisons.lenet(d2l_bn.BatchNorm, d2l_bn.BatchNorm, activation, place)]
    }
    pair = ["BatchNorm", "Activation"]
    for place, order in [("before", pair), ("after", pair[::-1])]:
        convolution = ["Conv2D", *order, "MaxPool2D"]
        assert kinds[place] == [*convolution * 2, *["Dense", *order] * 2, "Dense"]
    plain = [type(layer).__name__ for layer in comparisons.lenet(None, None, activation)]
    assert plain == [kind for kind in kinds["before"] if kind != "BatchNorm"]


def test_the_variant_of_lenet_is_lenet():
    dataset = shared.images("sample")
    X = nd.array(dataset.test_images[:8, None] / 255)
    ours = shared.initialized(
        comparisons.lenet(d2l_bn.BatchNorm, d2l_bn.BatchNorm, "sigmoid"), dataset, 0
    )
    theirs = shared.lenet("scratch", dataset, 0)
    assert abs(ours(X) - theirs(X)).max().asscalar() == 0


@pytest.mark.parametrize("kind", residual.KINDS)
def test_a_block_starts_as_the_identity_where_it_says_so(kind):
    X = nd.array(np.random.default_rng(10).uniform(size=(4, residual.CHANNELS, 7, 7)))
    block = residual.Block(kind)
    block.initialize()
    with autograd.train_mode():
        moved = abs(block(X) - X).max().asscalar()
    assert (moved == 0) == (kind in ("factor 0", "gamma 0"))


def test_the_residual_networks_differ_in_nothing_but_their_blocks():
    dataset = shared.images("sample")
    nets = {k: shared.initialized(residual.network(k), dataset, 0) for k in residual.KINDS}
    weights = {
        kind: [
            parameter.data().asnumpy()
            for name, parameter in net.collect_params().items()
            if name.endswith("weight")
        ]
        for kind, net in nets.items()
    }
    for kind in residual.KINDS:
        assert len(weights[kind]) == 2 + 2 * residual.BLOCKS
        for one, other in zip(weights[kind], weights["none"]):
            np.testing.assert_array_equal(one, other)


def test_what_is_measured_at_the_start_changes_nothing():
    dataset = shared.images("sample")
    net = shared.initialized(residual.network("batch norm"), dataset, 0)
    X = nd.array(dataset.test_images[:64, None] / 255)
    before = net(X).asnumpy()
    sizes = residual.at_the_start(net, X)
    np.testing.assert_array_equal(net(X).asnumpy(), before)
    assert sizes["growth"] > 1 and sizes["branch"] > 0


TINY = {
    "regularization": (
        regularization.EXPERIMENTS[0],
        dict(statistics="ghost", steps=75, seed=0),
        dict(batch_size=64),
        {"train_loss", "train_accuracy", "test_loss", "test_accuracy", "noise"},
    ),
    "normalizations": (
        comparisons.EXPERIMENTS[0],
        dict(norm="group", batch_size=256, seed=0),
        dict(examples=512),
        {"train_loss", "test_accuracy", "recalibrated_accuracy"},
    ),
    "placement": (
        comparisons.EXPERIMENTS[1],
        dict(activation="relu", place="after", lr=0.3, seed=0),
        dict(steps=2),
        {"train_loss", "test_accuracy"},
    ),
    "residual": (
        residual.EXPERIMENTS[0],
        dict(kind="gamma 0", lr=0.1, seed=0),
        dict(steps=2),
        {"growth", "branch", "train_loss", "test_accuracy"},
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", TINY)
def test_an_experiment_gives_one_row_of_numbers_the_same_each_time(name):
    experiment, case, shorter, columns = TINY[name]
    assert experiment.name == name and case in experiment.cases
    (row,), (again,) = (list(experiment.run(**case, **shorter)) for _ in range(2))
    assert set(row) == columns
    assert all(np.isfinite(value) for value in row.values())
    assert row == again


def test_with_a_batch_the_size_of_a_ghost_both_are_the_same():
    rows = [
        list(regularization.run(statistics, 3, 0, regularization.GHOST))
        for statistics in ("batch", "ghost")
    ]
    assert rows[0] == rows[1]


def test_of_statistics_of_all_images_there_is_no_noise():
    noise = {
        statistics: next(iter(regularization.run(statistics, 3, 0)))["noise"]
        for statistics in regularization.STATISTICS
    }
    assert noise["all"] < 1e-3 < 0.05 < noise["batch"] < noise["ghost"]


def test_where_no_statistics_are_kept_nothing_is_measured_anew():
    (row,) = comparisons.run_normalization("layer", 256, 0, examples=512)
    assert row["recalibrated_accuracy"] == row["test_accuracy"]


@pytest.mark.parametrize("kind", deep_linear.KINDS)
def test_the_maps_and_gradients_of_the_deep_linear_network_are_those_of_its_layers(kind):
    rng = np.random.default_rng(12)
    X, width, depth = rng.normal(size=(1000, 10)), deep_linear.WIDTH, deep_linear.DEPTH
    bound = 0.55 / (1 if kind == "batch norm" else 0.9)
    weights = rng.uniform(-bound, bound, (depth, width, width))
    biases = rng.normal(size=(depth, width)) * (kind == "plain, biases")
    scales = rng.uniform(0.5, 1.5, (depth, width)) ** (kind == "batch norm")
    inputs = np.hstack([X, np.ones((1000, 1))])
    if kind == "batch norm":
        inputs = X - X.mean(axis=0)
    second = inputs.T @ inputs / 1000
    h = X
    for W, b, gamma in zip(weights, biases, scales):
        h = h @ W + b
        if kind == "batch norm":
            h = (h - h.mean(axis=0)) / np.sqrt(h.var(axis=0) + deep_linear.EPS) * gamma
    maps, spreads = deep_linear.forward(weights, biases, scales, second, kind)
    np.testing.assert_allclose(inputs @ maps[-1], h, atol=1e-9)

    def loss():
        end = deep_linear.forward(weights, biases, scales, second, kind)[0][-1]
        return np.trace(end.T @ second @ end) / 2

    gradients = deep_linear.backward(maps[-1], maps, spreads, weights, scales, second)
    trained = {"batch norm": (0, 2), "plain": (0,), "plain, biases": (0, 1)}[kind]
    for number, place in [(n, (layer, 3)) for n in trained for layer in (0, 12, 24)]:
        array, there = (weights, biases, scales)[number], place if number else (*place, 4)
        value, ends = array[there], []
        for step in (1e-6, -1e-6):
            array[there] = value + step
            ends.append(loss())
        array[there] = value
        assert gradients[number][there] == pytest.approx(
            (ends[0] - ends[1]) / 2e-6, rel=1e-3, abs=1e-7
        )
