"""Statistics: kept, saved, loaded, cast and moved with the network, and never trained."""

from __future__ import annotations

import numpy as np
import pytest
from cases import in_graph, statistics_of

from d2l_bn import BatchNorm
from d2l_bn.nn.statistic import Statistic

import mxnet as mx
from mxnet import autograd, gluon, nd
from mxnet.gluon import nn

CPU0, CPU1 = BOTH = [mx.cpu(0), mx.cpu(1)]


def network(ctx=None, dtype="float32"):
    """A network with dense and convolutional layers; initialized if `ctx` is given."""
    net = nn.Sequential()
    net.add(nn.Conv2D(3, 2, in_channels=1), BatchNorm(3, 4), nn.Activation("sigmoid"))
    net.add(nn.Dense(5, in_units=27), BatchNorm(5, 2))
    net.cast(dtype)
    if ctx is not None:
        net.initialize(ctx=ctx)
    return net


def images(ctx=CPU0, dtype="float32"):
    return nd.array(np.random.default_rng(7).normal(size=(6, 1, 4, 4)), ctx=ctx, dtype=dtype)


def trained(ctx=CPU0, dtype="float32"):
    net, X = network(ctx, dtype), images(ctx, dtype)
    for parameter in net.collect_params(".*gamma|.*beta").values():
        parameter.set_data(nd.random.normal(shape=parameter.shape, dtype=dtype))
    for _ in range(5):
        with autograd.train_mode():
            net(X)
    return net


def layers_of(net):
    return [layer for layer in net if isinstance(layer, BatchNorm)]


def bits(net):
    return [value.tobytes() for layer in layers_of(net) for value in statistics_of(layer)]


def contexts(net):
    return {v.context for layer in layers_of(net) for v in (layer.moving_mean, layer.moving_var)}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A file of a trained network, that network's statistics, and what it predicts."""
    file, net = str(tmp_path_factory.mktemp("saved") / "net.params"), trained()
    net.save_parameters(file)
    return file, bits(net), net(images()).asnumpy()


# --- The parameter by itself ------------------------------------------------------------------


def test_value_is_there_at_once():
    with mx.cpu(1):
        statistic = Statistic("mean", (1, 3))
    value = statistic.data()
    assert (value.shape, value.dtype, value.context) == ((1, 3), np.float32, CPU0)
    assert not value.asnumpy().any()
    assert statistic.data(CPU1) is statistic.data() is statistic.list_data()[0]


def test_new_value_is_taken_where_it_is_without_its_graph():
    statistic, x = Statistic("mean", (1, 3)), nd.ones((1, 3), ctx=CPU1)
    x.attach_grad()
    with autograd.record():
        statistic.set_data(x * 2)
    assert statistic.data().context == CPU1
    assert not in_graph(statistic.data())
    assert statistic.data().asnumpy().tolist() == [[2, 2, 2]]


def test_initialize_moves_the_value_and_force_reinit_clears_it():
    statistic = Statistic("mean", (1, 3))
    statistic.set_data(nd.ones((1, 3)))
    statistic.initialize(ctx=CPU1)
    assert (statistic.data().context, statistic.list_ctx()) == (CPU1, [CPU1])
    assert statistic.data().asnumpy().all()
    with pytest.warns(UserWarning, match="already initialized, ignoring"):
        statistic.initialize(ctx=CPU0)
    assert statistic.data().context == CPU1
    statistic.initialize(ctx=BOTH, force_reinit=True)
    assert (statistic.data().context, statistic.list_ctx()) == (CPU0, BOTH)
    assert not statistic.data().asnumpy().any()


@pytest.mark.parametrize("init", ["ones", mx.init.Uniform(), mx.init.Normal(1)])
def test_initializers_of_the_network_do_not_apply(init):
    for force_reinit in (False, True):
        net = network()
        net.initialize(init, force_reinit=force_reinit)
        assert not any(any(value) for value in bits(net))


# --- Training ---------------------------------------------------------------------------------


@pytest.mark.parametrize("update_on_kvstore", [True, False])
@pytest.mark.parametrize("contexts", [[CPU0], [CPU1], BOTH])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_no_trainer_changes_it(update_on_kvstore, contexts, optimizer):
    net = trained(contexts[0])
    net.collect_params().reset_ctx(contexts)
    params = net.collect_params()
    trainer = gluon.Trainer(
        params,
        optimizer,
        {"learning_rate": 0.5, "wd": 0.5},
        kvstore=mx.kv.create("local"),
        update_on_kvstore=update_on_kvstore,
    )
    weights = net[0].weight.data(contexts[0]).asnumpy()
    for _ in range(2):
        with autograd.record():
            outputs = [net(images(ctx)) for ctx in contexts]
        autograd.backward(outputs)
        before = bits(net)
        trainer.step(6)
        assert bits(net) == before
    assert not np.array_equal(net[0].weight.data(contexts[0]).asnumpy(), weights)


def test_it_has_no_gradient_whatever_is_asked():
    net = trained()
    params = net.collect_params(".*running.*")
    net.collect_params().setattr("grad_req", "write")
    assert len(params.keys()) == 4
    assert {parameter.grad_req for parameter in params.values()} == {"null"}
    with autograd.record():
        Y = net(images())
    Y.backward()
    before = bits(net)
    net.collect_params().zero_grad()
    assert bits(net) == before
    with pytest.raises(RuntimeError, match="grad_req='null'"):
        layers_of(net)[0].running_mean.grad()


# --- With the network -------------------------------------------------------------------------


def test_it_is_in_the_file(saved):
    names = nd.load(saved[0])
    assert {name for name in names if "running" in name} == {
        f"{layer}.running_{which}" for layer in (1, 4) for which in ("mean", "var")
    }
    assert all(names[name].asnumpy().any() for name in names if "running" in name)


@pytest.mark.parametrize("initialized_on", [None, CPU0, CPU1, BOTH])
def test_loading(saved, initialized_on):
    file, expected, prediction = saved
    net = network(initialized_on)
    net.load_parameters(file)
    ctx = CPU1 if initialized_on is CPU1 else CPU0
    assert bits(net) == expected
    assert contexts(net) == {ctx}
    assert np.array_equal(net(images(ctx)).asnumpy(), prediction)


@pytest.mark.parametrize("ctx", [CPU0, CPU1, BOTH])
@pytest.mark.parametrize("initialized", [True, False])
def test_loading_into_given_contexts(saved, ctx, initialized):
    file, expected, prediction = saved
    net = network(ctx if initialized else None)
    net.load_parameters(file, ctx=ctx)
    first = ctx[0] if ctx is BOTH else ctx
    assert bits(net) == expected
    assert contexts(net) == {first}
    for each in BOTH if ctx is BOTH else [ctx]:
        assert np.array_equal(net(images(each)).asnumpy(), prediction)
    trainer = gluon.Trainer(net.collect_params(), "sgd")  # asks that all contexts agree
    with autograd.record():
        outputs = [net(images(each)) for each in (BOTH if ctx is BOTH else [ctx])]
    autograd.backward(outputs)
    trainer.step(6)


def test_loading_replaces_what_was_there(saved):
    file, expected, prediction = saved
    net = trained(CPU1)
    net(images(CPU1))
    net.load_parameters(file)
    assert bits(net) == expected
    assert np.array_equal(net(images(CPU1)).asnumpy(), prediction)


def test_loading_where_the_statistics_have_moved(saved):
    """Trained last on cpu(1), loaded, then predicting on cpu(0)."""
    file, expected, prediction = saved
    net = network(BOTH)
    with autograd.train_mode():
        net(images(CPU1))
    net.load_parameters(file)
    assert bits(net) == expected
    for ctx in BOTH:
        assert np.array_equal(net(images(ctx)).asnumpy(), prediction)


def test_saving_from_another_context(saved, tmp_path):
    file, net = str(tmp_path / "net.params"), trained(CPU1)
    net.save_parameters(file)
    copy = network()
    copy.load_parameters(file, ctx=CPU0)
    assert bits(copy) == bits(net)
    assert contexts(copy) == {CPU0}
    assert np.array_equal(copy(images()).asnumpy(), net(images(CPU1)).asnumpy())


def test_a_layer_by_itself_is_saved_and_loaded(tmp_path):
    file, layer = str(tmp_path / "layer.params"), layers_of(trained())[0]
    layer.save_parameters(file)
    copy = BatchNorm(3, 4)
    copy.load_parameters(file)
    for received, expected in zip(statistics_of(copy), statistics_of(layer)):
        assert np.array_equal(received, expected)


@pytest.mark.parametrize("initialized", [True, False])
def test_a_file_without_statistics_is_refused(saved, tmp_path, initialized):
    file = str(tmp_path / "source.params")
    values = nd.load(saved[0])
    nd.save(file, {name: value for name, value in values.items() if "running" not in name})
    net = network(CPU0 if initialized else None)
    with pytest.raises(AssertionError, match="running_mean' is missing"):
        net.load_parameters(file)
    net.load_parameters(file, allow_missing=True)
    assert not any(any(value) for value in bits(net))


def test_a_file_of_other_shapes_is_refused(saved):
    net = nn.Sequential()
    net.add(nn.Conv2D(3, 2, in_channels=1), BatchNorm(4, 4), nn.Activation("sigmoid"))
    net.add(nn.Dense(5, in_units=27), BatchNorm(5, 2))
    with pytest.raises(AssertionError, match="shape incompatible"):
        net.load_parameters(saved[0])


@pytest.mark.parametrize("initialized", [True, False])
def test_a_file_of_another_type(saved, initialized):
    net = network(CPU0 if initialized else None, "float64")
    with pytest.raises(AssertionError, match="dtype incompatible"):
        net.load_parameters(saved[0])
    net.load_parameters(saved[0], cast_dtype=True)
    assert layers_of(net)[0].moving_var.dtype == np.float64
    np.testing.assert_allclose(net(images(dtype="float64")).asnumpy(), saved[2], atol=1e-5)
    net.load_parameters(saved[0], cast_dtype=True, dtype_source="saved")
    assert layers_of(net)[0].moving_var.dtype == np.float32
    assert bits(net) == saved[1]
    assert np.array_equal(net(images()).asnumpy(), saved[2])


@pytest.mark.parametrize("ctx", [CPU1, BOTH, [CPU1, CPU0]])
def test_reset_ctx(ctx):
    net = trained()
    before, prediction = bits(net), net(images()).asnumpy()
    net.collect_params().reset_ctx(ctx)
    first, *others = ctx if isinstance(ctx, list) else [ctx]
    assert bits(net) == before
    assert contexts(net) == {first}
    for each in (first, *others):
        assert np.array_equal(net(images(each)).asnumpy(), prediction)


def test_reset_ctx_after_the_statistics_moved():
    net = network(BOTH)
    with autograd.train_mode():
        net(images(CPU1))
    before = bits(net)
    net.collect_params().reset_ctx(CPU0)
    assert (contexts(net), bits(net)) == ({CPU0}, before)


@pytest.mark.parametrize("dtype, kept", [("float64", np.float64), ("float32", np.float32)])
def test_cast_before_and_after(dtype, kept):
    for net in (trained(dtype=dtype), trained()):
        net.cast(dtype)
        assert {layer.moving_mean.dtype for layer in layers_of(net)} == {kept}
        with autograd.record():
            assert net(images(dtype=dtype)).dtype == kept
        net.initialize(force_reinit=True)
        assert {layer.moving_var.dtype for layer in layers_of(net)} == {kept}


def test_initialize_keeps_what_was_assigned():
    layer = BatchNorm(3, 2)
    layer.moving_mean = nd.array([[1, 2, 3]])
    layer.initialize(ctx=CPU1)
    assert layer.moving_mean.asnumpy().tolist() == [[1, 2, 3]]
    assert layer.moving_mean.context == layer.moving_var.context == CPU1


def test_force_reinit_starts_from_zeros():
    net = trained(CPU1)
    net.initialize(ctx=CPU0, force_reinit=True)
    assert not any(any(value) for value in bits(net))
    assert contexts(net) == {CPU0}
    with autograd.train_mode():
        net(images())
    assert all(any(value) for value in bits(net))
