"""The layer `BatchNorm`: what it keeps, when it changes it, and what it refuses."""

from __future__ import annotations

import os

import numpy as np
import pytest
from cases import (
    arrays,
    assert_steps_close,
    both_ranks,
    every_mode,
    in_graph,
    make_case,
    prepare,
    statistics_of,
    step,
    within,
)

from d2l_bn import BatchNorm, GluonBatchNorm
from d2l_bn.reference.mathematics import prediction, training
from d2l_bn.reference.source import SourceBatchNorm

import mxnet as mx
from mxnet import autograd, gluon, nd
from mxnet.gluon import nn

pytestmark = pytest.mark.usefixtures("each_implementation")


def layer_for(case, dtype="float64", **options):
    return prepare(BatchNorm(case.X.shape[1], case.X.ndim, **options), case, dtype)


# --- Modes ------------------------------------------------------------------------------------


@every_mode
@both_ranks
def test_mode(shape, wrappers, trains, records):
    case = make_case(shape)
    layer, given = layer_for(case), arrays(case, "float64")
    given.X.attach_grad()
    with within(wrappers):
        Y = layer(given.X)
        assert in_graph(Y) == records
    expected = (training if trains else prediction)(*case)
    np.testing.assert_allclose(Y.asnumpy(), expected.Y, atol=1e-10)
    np.testing.assert_allclose(layer.moving_mean.asnumpy(), expected.mean, atol=1e-12)
    np.testing.assert_allclose(layer.moving_var.asnumpy(), expected.var, atol=1e-12)
    if records:
        Y.backward(given.dY)
        for name, parameter in [("dgamma", layer.gamma), ("dbeta", layer.beta)]:
            wanted = getattr(expected, name)
            np.testing.assert_allclose(parameter.grad().asnumpy(), wanted, atol=1e-10)
        np.testing.assert_allclose(given.X.grad.asnumpy(), expected.dX, atol=1e-10)


@every_mode
def test_only_training_changes_the_statistics(wrappers, trains, records):
    case = make_case()
    layer, X = layer_for(case), arrays(case, "float64").X
    before = statistics_of(layer)
    for _ in range(3):
        with within(wrappers):
            layer(X)
    for old, new in zip(before, statistics_of(layer)):
        assert (old.tobytes() == new.tobytes()) != trains


def test_mode_is_read_at_each_call():
    case = make_case()
    layer, X = layer_for(case), arrays(case, "float64").X
    first = layer(X).asnumpy()
    assert np.array_equal(layer(X).asnumpy(), first)
    with autograd.record():
        trained = layer(X).asnumpy()
    np.testing.assert_allclose(trained, training(*case).Y, atol=1e-10)
    after = training(*case)
    expected = prediction(*case[:4], after.mean, after.var).Y
    np.testing.assert_allclose(layer(X).asnumpy(), expected, atol=1e-10)


def test_mode_is_read_in_a_hybridized_network():
    net, X = nn.Sequential(), nd.random.normal(shape=(8, 4))
    net.add(nn.Dense(3), BatchNorm(3, 2))
    net.initialize()
    net.hybridize()
    with autograd.record():
        trained = net(X)
    assert abs(trained.mean(axis=0)).max().asscalar() < 1e-5
    assert abs(net(X).mean(axis=0)).max().asscalar() > 1e-3
    with autograd.record():
        assert abs(net(X).mean(axis=0)).max().asscalar() < 1e-5


# --- The graph --------------------------------------------------------------------------------


def network(norm):
    """A network in which the input of the normalization is part of the graph."""
    net = nn.Sequential()
    net.add(nn.Dense(16, in_units=16), norm(16, 2))
    net.initialize()
    return net


@every_mode
def test_statistics_are_outside_of_the_graph(wrappers, trains, records):
    net = network(BatchNorm)
    with within(wrappers):
        Y = net(nd.ones((4, 16)))
        assert in_graph(Y) == records
    assert not in_graph(net[1].moving_mean) and not in_graph(net[1].moving_var)


def test_the_source_kept_its_statistics_in_the_graph():
    """What the test above guards against: it can fail."""
    net = network(SourceBatchNorm)
    with autograd.record():
        net(nd.ones((4, 16)))
    assert in_graph(net[1].moving_mean) and in_graph(net[1].moving_var)


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs Linux's /proc")
def test_memory_does_not_grow():
    """Steps that are recorded, but not gone back through: the source's text keeps 4 MB of each."""
    net, X = network(BatchNorm), nd.random.normal(shape=(20000, 16))

    def megabytes_after(steps):
        for _ in range(steps):
            with autograd.record():
                net(X)
            nd.waitall()
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

    start = megabytes_after(3)
    assert megabytes_after(20) - start < 30


def test_backward_works_at_every_step():
    case = make_case()
    layer = layer_for(case)
    first, second = step(layer, case, "float64"), step(layer, case, "float64")
    for name in ("Y", "dX", "dgamma", "dbeta"):
        assert np.array_equal(getattr(first, name), getattr(second, name)), name
    assert_steps_close(second, training(*case[:4], first.mean, first.var), 1e-10)


def test_prediction_can_be_differentiated_after_training():
    """The source's text fails here: its statistics lead into a graph that is gone."""
    net, X = network(BatchNorm), nd.random.normal(shape=(4, 16))
    for train_mode in (True, False):
        X.attach_grad()
        with autograd.record(train_mode=train_mode):
            Y = net(X)
        Y.backward()
    assert abs(X.grad).max().asscalar() > 0


# --- Moving statistics ------------------------------------------------------------------------


@pytest.mark.parametrize("num_dims, shape", [(2, (1, 3)), (4, (1, 3, 1, 1))])
def test_statistics_exist_from_construction(num_dims, shape):
    with mx.cpu(1):
        layer = BatchNorm(3, num_dims)
    for value in (layer.moving_mean, layer.moving_var):
        assert isinstance(value, nd.NDArray)
        assert (value.shape, value.dtype, value.context) == (shape, np.float32, mx.cpu(0))
        assert not value.asnumpy().any()
    assert layer.gamma.shape == layer.beta.shape == shape


def test_statistics_can_be_assigned():
    layer = BatchNorm(2, 2, eps=1e-9)
    layer.moving_mean, layer.moving_var = nd.array([[1, 2]]), nd.array([[4, 9]])
    layer.initialize()
    received = layer(nd.array([[3, 5], [1, 2]])).asnumpy()
    np.testing.assert_allclose(received, [[1, 1], [0, 0]], atol=1e-6)


def test_an_assigned_value_leaves_its_graph_behind():
    layer, x = BatchNorm(2, 2), nd.ones((1, 2))
    x.attach_grad()
    with autograd.record():
        layer.moving_mean = x * 2
    assert not in_graph(layer.moving_mean)
    assert layer.moving_mean.asnumpy().tolist() == [[2, 2]]


@pytest.mark.parametrize("name", ["moving_mean", "moving_var"])
@pytest.mark.parametrize(
    "value, part",
    [
        (nd.zeros((1, 2)), r"\(1, 2\)"),
        (nd.zeros(3), r"\(3,\)"),
        (nd.zeros((1, 3), dtype="float64"), "float64"),
        (np.zeros((1, 3), "float32"), "ndarray.*mx.nd.array"),
        (0, "int"),
        (None, "NoneType"),
    ],
)
def test_a_wrong_assignment_is_refused(name, value, part):
    layer = BatchNorm(3, 2)
    with pytest.raises(ValueError, match=f"^{name} must .*{part}"):
        setattr(layer, name, value)
    assert getattr(layer, name).asnumpy().tolist() == [[0, 0, 0]]


def test_global_statistics_are_used_and_left_alone():
    case = make_case((4, 3, 2, 5))
    layer = layer_for(case, use_global_stats=True)
    before = statistics_of(layer)
    received = step(layer, case, "float64")
    assert_steps_close(received, prediction(*case), 1e-10)
    assert all(np.array_equal(*pair) for pair in zip(before, statistics_of(layer)))


def test_global_statistics_train_gamma_and_beta_from_a_single_value():
    case = make_case((2, 3))
    layer, given = layer_for(case, use_global_stats=True), arrays(case, "float64")
    trainer = gluon.Trainer(layer.collect_params(), "sgd", {"learning_rate": 0.1})
    with autograd.record():
        Y = layer(given.X[:1])
    Y.backward(given.dY[:1])
    trainer.step(1)
    expected = prediction(case.X[:1], case.gamma, case.beta, case.dY[:1], case.mean, case.var)
    for parameter, old, gradient in [
        (layer.gamma, case.gamma, expected.dgamma),
        (layer.beta, case.beta, expected.dbeta),
    ]:
        np.testing.assert_allclose(parameter.data().asnumpy(), old - 0.1 * gradient, atol=1e-10)


# --- Types ------------------------------------------------------------------------------------


@both_ranks
def test_float16_keeps_parameters_and_statistics_in_float32(shape):
    case = make_case(shape)
    layers = [BatchNorm(3, len(shape)), GluonBatchNorm(3, len(shape))]
    outputs = []
    for layer in layers:
        prepare(layer, case)
        layer.cast("float16")
        X = arrays(case, "float16").X
        with autograd.record():
            Y = layer(X)
        Y.backward()
        assert Y.dtype == np.float16
        for parameter in layer.collect_params().values():
            assert parameter.data().dtype == np.float32, parameter.name
        outputs += [Y.asnumpy(), *statistics_of(layer)]
    for ours, gluons in zip(outputs[:3], outputs[3:]):
        np.testing.assert_allclose(ours.ravel(), gluons.ravel(), atol=1e-2)


@pytest.mark.parametrize("dtype", ["float32", "float64", np.float64, np.dtype("float32")])
def test_cast(dtype):
    layer = layer_for(make_case(), "float32")
    before = statistics_of(layer)
    layer.cast(dtype)
    values = [p.data() for p in layer.collect_params().values()]
    assert {value.dtype for value in values} == {np.dtype(dtype).type}
    assert all(np.array_equal(*pair) for pair in zip(before, statistics_of(layer)))
    with autograd.record():
        assert layer(nd.ones((5, 3), dtype=dtype)).dtype == np.dtype(dtype).type


@pytest.mark.parametrize("of_layer, of_X", [("float32", "float64"), ("float64", "float32")])
@pytest.mark.parametrize("options", [{}, {"use_global_stats": True}])
@pytest.mark.parametrize("train_mode", [True, False])
def test_mixed_types_are_refused(of_layer, of_X, options, train_mode):
    layer = layer_for(make_case(), of_layer, **options)
    refused = pytest.raises(TypeError, match=rf"{of_layer}.*net.cast\(\)")
    with autograd.record(train_mode=train_mode), refused:
        layer(nd.ones((5, 3), dtype=of_X))


# --- Arguments --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments, parts",
    [
        ((3, 3), "num_dims must be 2 .* or 4 .*got 3"),
        ((3, 0), "num_dims .*got 0"),
        ((3, "4"), "num_dims .*got '4'"),
        ((3, None), "num_dims .*got None"),
        ((0, 2), "num_features .*1 or larger, got 0"),
        ((-1, 4), "num_features .*got -1"),
        ((True, 2), "num_features must be a whole number.*got True"),
        ((2.5, 2), "num_features must be a whole number.*got 2.5.*X.shape"),
        (((3,), 2), r"num_features .*got \(3,\)"),
    ],
)
def test_arguments_are_checked(arguments, parts):
    with pytest.raises(ValueError, match=parts):
        BatchNorm(*arguments)


@pytest.mark.parametrize(
    "options, parts",
    [
        ({"eps": 0}, "eps must be positive and finite in float32, too, got 0: .*1e-5"),
        ({"eps": 1e-46}, "eps .*got 1e-46"),
        ({"eps": float("inf")}, "eps .*got inf"),
        ({"eps": float("nan")}, "eps .*got nan"),
        ({"momentum": 1.1}, r"momentum must be in \[0, 1\], got 1.1: it weighs the old value"),
        ({"momentum": -0.1}, "momentum .*got -0.1"),
    ],
)
def test_options_are_checked(options, parts):
    with pytest.raises(ValueError, match=parts):
        BatchNorm(3, 2, **options)


def test_options_are_keyword_only():
    with pytest.raises(TypeError, match="positional"):
        BatchNorm(3, 2, 1e-5)


@pytest.mark.parametrize("train_mode", [True, False])
@pytest.mark.parametrize("options", [{}, {"use_global_stats": True}])
@pytest.mark.parametrize(
    "num_dims, shape, parts",
    [
        (2, (5, 4), r"\(1, 4\).*got \(1, 3\).*BatchNorm\(4, 2\)"),
        (4, (5, 4, 2, 2), r"\(1, 4, 1, 1\).*got \(1, 3, 1, 1\).*BatchNorm\(4, 4\)"),
        (4, (5, 3), r"got \(1, 3, 1, 1\).*BatchNorm\(3, 2\)"),
        (2, (5, 3, 2, 2), r"got \(1, 3\).*BatchNorm\(3, 4\)"),
        (2, (3, 3, 3), r"got 3 dimensions: \(3, 3, 3\). Reshape"),
        (4, (3,), r"got 1 dimensions: \(3,\). Reshape"),
    ],
)
def test_wrong_shapes_are_refused(num_dims, shape, parts, options, train_mode):
    layer = BatchNorm(3, num_dims, **options)
    layer.initialize()
    with autograd.record(train_mode=train_mode), pytest.raises(ValueError, match=parts):
        layer(nd.ones(shape))
    assert not any(value.any() for value in statistics_of(layer))


@pytest.mark.parametrize("shape", [(1, 3), (1, 3, 1, 1)])
def test_one_value_per_channel_is_refused_in_training_alone(shape):
    layer = BatchNorm(3, len(shape))
    layer.initialize()
    assert layer(nd.ones(shape)).shape == shape
    with autograd.record(), pytest.raises(ValueError, match=r"at least 2 values.*got 1.*larger"):
        layer(nd.ones(shape))
    assert not any(value.any() for value in statistics_of(layer))


def test_prefix_and_params_are_passed_on():
    first = BatchNorm(3, 2, prefix="first_")
    second = BatchNorm(3, 2, prefix="second_", params=first.params)
    assert sorted(first.params) == [
        f"first_{name}" for name in ("beta", "gamma", "running_mean", "running_var")
    ]
    first.initialize()
    with autograd.train_mode():
        first(nd.random.normal(shape=(4, 3)))
    assert np.array_equal(second.moving_mean.asnumpy(), first.moving_mean.asnumpy())
    assert second.running_mean is first.running_mean and second.gamma is first.gamma


def test_repr_tells_the_arguments():
    layer = BatchNorm(6, 4, eps=1e-3, momentum=0.5, use_global_stats=True)
    assert repr(layer) == "BatchNorm(6, 4, eps=0.001, momentum=0.5, use_global_stats=True)"
    assert repr(BatchNorm(3, 2)).startswith("BatchNorm(3, 2, eps=1e-05, momentum=0.9")


@pytest.mark.parametrize("name", ["fastest", "", None])
def test_an_unknown_implementation_is_refused(name):
    names = "auto, operator, graph, definition"
    with pytest.raises(ValueError, match=f"implementation must be one of {names}, got {name!r}"):
        BatchNorm(3, 2, implementation=name)
