"""Batch normalization of a batch that is cut: equal to that of the whole batch, share by share."""

from __future__ import annotations

import copy
import threading

import numpy as np
import pytest
from cases import Case, arrays, assert_steps_close, both_ranks, make_case, statistics_of

from d2l_bn import BatchNorm, SyncBatchNorm, copy_parameters, lenet
from d2l_bn.nn.group import OneProcess
from d2l_bn.nn.sync import over_shares
from d2l_bn.reference.mathematics import Step, training

import mxnet as mx
from mxnet import autograd, gluon, nd
from mxnet.gluon import nn

CUTS = {"halves": [4, 4], "uneven": [1, 5, 2], "one each": [1] * 8, "whole": [8]}
every_cut = pytest.mark.parametrize("sizes", CUTS.values(), ids=CUTS)


def cut(array, sizes):
    return np.split(array, np.cumsum(sizes)[:-1])


def set_up(layer, case: Case, contexts, dtype="float32"):
    layer.cast(dtype)
    layer.initialize(ctx=contexts)
    for parameter, value in ((layer.gamma, case.gamma), (layer.beta, case.beta)):
        parameter.set_data(nd.array(value, dtype=dtype).reshape(parameter.shape))
    layer.moving_mean, layer.moving_var = arrays(case, dtype).mean, arrays(case, dtype).var
    return layer


def step_over_contexts(layer, case: Case, sizes, dtype="float32") -> Step:
    """One step with a share in each of several contexts, put together again."""
    contexts = [mx.cpu(number) for number in range(len(sizes))]
    set_up(layer, case, contexts, dtype)
    shares = [nd.array(X, ctx=c, dtype=dtype) for X, c in zip(cut(case.X, sizes), contexts)]
    heads = [nd.array(dY, ctx=c, dtype=dtype) for dY, c in zip(cut(case.dY, sizes), contexts)]
    for X in shares:
        X.attach_grad()
    with autograd.record():
        Ys = layer.over(shares)
    autograd.backward(Ys, heads)
    assert [Y.context for Y in Ys] == [X.grad.context for X in shares] == contexts
    assert layer.moving_mean.context == layer.moving_var.context == contexts[-1]
    gradients = (sum(g.asnumpy() for g in p.list_grad()) for p in (layer.gamma, layer.beta))
    whole = (np.concatenate([a.asnumpy() for a in part]) for part in (Ys, [X.grad for X in shares]))
    return Step(*whole, *gradients, *statistics_of(layer))


class Room:
    """Several processes, played by threads that meet at a barrier."""

    def __init__(self, size: int) -> None:
        self.values: list = [None] * size
        self.barrier = threading.Barrier(size, timeout=600)

    def run(self, work):
        """Call work(rank) in a thread for each rank, and return the results."""
        results: list = [None] * len(self.values)

        def one(rank):
            try:
                results[rank] = work(rank)
            except BaseException as error:
                results[rank] = error
                self.barrier.abort()

        threads = [threading.Thread(target=one, args=(r,)) for r in range(len(results))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for result in results:
            if isinstance(result, BaseException) and not isinstance(
                result, threading.BrokenBarrierError
            ):
                raise result
        return results


class Member(OneProcess):
    """One of them."""

    def __init__(self, room: Room, rank: int) -> None:
        self.room, self.rank, self.size = room, rank, len(room.values)

    def total(self, values):
        self.room.values[self.rank] = values
        self.room.barrier.wait()
        total = sum(self.room.values[1:], self.room.values[0])
        self.room.barrier.wait()
        return total

    def channel(self):
        return self


def step_over_processes(case: Case, sizes, *, cuts_inside=1, how="auto", dtype="float32"):
    """The step of each process, with its own part of the batch; gradients summed as they are."""
    room = Room(len(sizes))
    parts = [Case(X, case.gamma, case.beta, dY, case.mean, case.var)
             for X, dY in zip(cut(case.X, sizes), cut(case.dY, sizes))]  # fmt: skip

    def work(rank):
        options = dict(group=Member(room, rank), implementation=how)
        layer = SyncBatchNorm(case.X.shape[1], case.X.ndim, **options)
        inside = [len(a) for a in np.array_split(parts[rank].X, cuts_inside)]
        return step_over_contexts(layer, parts[rank], inside, dtype)

    return room.run(work)


def expected(case: Case) -> Step:
    return training(*case)


@both_ranks
@every_cut
def test_shares_in_contexts_equal_the_whole_batch(shape, sizes):
    case = make_case((8, *shape[1:]))
    received = step_over_contexts(SyncBatchNorm(shape[1], len(shape)), case, sizes)
    assert_steps_close(received, expected(case), 1e-5)


@both_ranks
@every_cut
@pytest.mark.parametrize("how", ["auto", "graph"])
def test_shares_in_processes_equal_the_whole_batch(shape, sizes, how):
    case = make_case((8, *shape[1:]))
    assert_together(step_over_processes(case, sizes, how=how), expected(case))


@both_ranks
def test_processes_with_two_contexts_each_equal_the_whole_batch(shape):
    case = make_case((8, *shape[1:]))
    assert_together(step_over_processes(case, [3, 5], cuts_inside=2), expected(case))


def assert_together(steps, wanted: Step):
    """Compare what the processes have, put together, and that their averages are the same bits."""
    Y, dX, gammas, betas, means, variances = zip(*steps)
    together = Step(np.concatenate(Y), np.concatenate(dX), sum(gammas), sum(betas),
                    means[0], variances[0])  # fmt: skip
    assert_steps_close(together, wanted, 1e-5)
    for mean, var in zip(means, variances):
        assert mean.tobytes() == means[0].tobytes() and var.tobytes() == variances[0].tobytes()


@pytest.mark.parametrize("offset, scale", [(1000, 1), (-3e4, 1), (0, 1e-3)])
def test_digits_survive_a_mean_far_from_zero(offset, scale):
    """The shares' sums of squares are added in float64, around each share's own mean."""
    case = make_case((64, 3), offset=offset, scale=scale)
    case = case._replace(X=case.X.astype(np.float32).astype(np.float64))
    received = step_over_contexts(SyncBatchNorm(3, 2), case, [20, 44])
    assert_steps_close(received, expected(case), 1e-5)
    assert_together(step_over_processes(case, [20, 44]), expected(case))


@pytest.mark.parametrize("how", ["auto", "graph"])
@pytest.mark.parametrize(
    "dtype, offset, tolerance",
    [
        ("float32", 1e6, 1e-5),
        ("float32", 1e7, 1e-5),
        ("float64", 1e6, 1e-9),
        ("float64", 1e8, 1e-7),
    ],
)
def test_digits_survive_any_mean_from_the_first_step(dtype, offset, tolerance, how):
    """The moving mean is still 0: the sums are added a second time, around the mean itself."""
    case = make_case((64, 3), offset=offset, scale=1)
    case = case._replace(X=case.X.astype(dtype).astype(np.float64))
    wanted, steps = expected(case), step_over_processes(case, [20, 44], how=how, dtype=dtype)
    for field, parts in zip(("Y", "dX"), list(zip(*steps))[:2]):
        right = getattr(wanted, field)
        close = dict(rtol=0, atol=tolerance * max(1.0, np.abs(right).max()), err_msg=field)
        np.testing.assert_allclose(np.concatenate(parts), right, **close)


def test_processes_that_exchange_otherwise_are_refused():
    """The two ways exchange other sums in backward; both processes have to take the same."""

    class Asked(Member):
        def compare(self, what, value):
            self.room.values[self.rank] = value
            self.room.barrier.wait()
            if len(set(self.room.values)) > 1:
                raise RuntimeError(f"{what}: {self.room.values}")

    room = Room(2)
    with pytest.raises(RuntimeError, match=r"D2L_BN_OPERATOR=0.*operator's.*MXNet's"):
        room.run(lambda rank: SyncBatchNorm(
            3, 2, group=Asked(room, rank), implementation=["operator", "graph"][rank]
        ))  # fmt: skip


@pytest.mark.parametrize(
    "frozen", ["", "X", "gamma", "beta", "gamma beta", "X gamma", "none: a deep copy"]
)
def test_what_has_no_gradient_leaves_the_others_theirs(frozen):
    """MXNet's `autograd.Function` writes no gradient after the first that isn't wanted."""
    case, found = make_case((8, 3)), []
    for kind in (SyncBatchNorm, BatchNorm):
        layer, X = set_up(kind(3, 2), case, [mx.cpu()]), nd.array(case.X)
        if "deep copy" in frozen:  # Gluon's has no gradients of its own
            layer = copy.deepcopy(layer)
        wanted = {name: getattr(layer, name) for name in ("gamma", "beta") if name not in frozen}
        for name in ("gamma", "beta"):
            getattr(layer, name).grad_req = "write" if name in wanted else "null"
        if "X" not in frozen:
            X.attach_grad()
        with autograd.record():
            Y = layer(X)
        Y.backward(nd.array(case.dY))
        gradients = [p.grad() for p in wanted.values()] + ([] if "X" in frozen else [X.grad])
        found.append(np.concatenate([gradient.asnumpy().ravel() for gradient in gradients]))
    np.testing.assert_allclose(*found, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("asked", ["X", "beta", "gamma", "beta X", "gamma X", "beta gamma"])
def test_gradients_asked_for_alone(asked):
    case, found = make_case((8, 3)), []
    for kind in (SyncBatchNorm, BatchNorm):
        layer, X = set_up(kind(3, 2), case, [mx.cpu()]), nd.array(case.X)
        X.attach_grad()
        arrays = {"X": X, "gamma": layer.gamma.data(), "beta": layer.beta.data()}
        with autograd.record():
            Y = layer(X)
        wanted = [arrays[name] for name in asked.split()]
        gradients = autograd.grad(Y, wanted, head_grads=nd.array(case.dY))
        found.append(np.concatenate([gradient.asnumpy().ravel() for gradient in gradients]))
    np.testing.assert_allclose(*found, rtol=1e-4, atol=1e-5)


def test_without_exchange_the_result_is_another():
    """Each share is a batch of its own then: the test above can fail."""
    case = make_case((8, 3))
    layer, contexts = BatchNorm(3, 2), [mx.cpu(0), mx.cpu(1)]
    set_up(layer, case, contexts)
    with autograd.record():
        Ys = [layer(nd.array(X, ctx=ctx)) for X, ctx in zip(cut(case.X, [4, 4]), contexts)]
    ghost = np.concatenate([Y.asnumpy() for Y in Ys])
    assert np.abs(ghost - expected(case).Y).max() > 0.1


def test_a_constant_channel_and_one_that_is_constant_in_each_share():
    X = np.ones((4, 2), np.float32)
    X[2:, 1] = 3
    case = make_case((4, 2))._replace(X=X.astype(float))
    received = step_over_contexts(SyncBatchNorm(2, 2), case, [2, 2])
    assert np.isfinite(np.concatenate([part.ravel() for part in received])).all()
    assert_steps_close(received, expected(case), 1e-5)


def test_one_value_in_all_is_refused():
    layer = SyncBatchNorm(3, 2)
    layer.initialize()
    with autograd.record(), pytest.raises(ValueError, match="got 1 over all shares"):
        layer(nd.ones((1, 3)))


def test_prediction_and_frozen_averages_exchange_nothing():
    case = make_case((8, 3))

    class Nobody(OneProcess):
        size = 2

        def total(self, values):
            raise AssertionError("nothing is to be exchanged")

        def channel(self):
            return self

    for options, record in (({}, False), ({"use_global_stats": True}, True)):
        layer = set_up(SyncBatchNorm(3, 2, group=Nobody(), **options), case, [mx.cpu()])
        plain = set_up(BatchNorm(3, 2, **options), case, [mx.cpu()])
        with autograd.record() if record else autograd.predict_mode():
            Y, wanted = layer(nd.array(case.X)), plain(nd.array(case.X))
        assert np.array_equal(Y.asnumpy(), wanted.asnumpy())


def test_float16_is_computed_in_float32():
    layer = SyncBatchNorm(3, 4)
    layer.initialize()
    X = nd.array(make_case((8, 3, 30, 30)).X * 100).astype("float16")
    with autograd.record():
        Y = layer.over([X[:3], X[3:]])
    assert Y[0].dtype == np.float16
    assert abs(np.concatenate([y.asnumpy().astype(float) for y in Y]).std() - 1) < 1e-2


def test_a_network_over_contexts_trains_as_on_one():
    """Three steps of LeNet: the same parameters and averages as of one device, to rounding."""
    both, rng = [mx.cpu(0), mx.cpu(1)], np.random.default_rng(0)
    X, y = rng.normal(size=(10, 1, 16, 16)), np.arange(10) % 4
    loss_of = gluon.loss.SoftmaxCrossEntropyLoss()
    mx.random.seed(0)
    whole, net = lenet(classes=4), lenet(SyncBatchNorm, classes=4)
    for one, contexts in ((whole, both[:1]), (net, both)):
        one.initialize(mx.init.Xavier(), ctx=contexts)
        one(nd.array(X[:2]))
    copy_parameters(whole, net)
    trainers = [gluon.Trainer(one.collect_params(), "sgd", {"learning_rate": 0.1, "momentum": 0.9},
                              update_on_kvstore=False) for one in (whole, net)]  # fmt: skip
    for _ in range(3):
        for one, trainer, sizes in ((whole, trainers[0], [10]), (net, trainers[1], [3, 7])):
            with autograd.record():
                outputs = over_shares(
                    one, [nd.array(x, ctx=ctx) for x, ctx in zip(cut(X, sizes), both)]
                )
                losses = [
                    loss_of(output, nd.array(labels, ctx=output.context))
                    for output, labels in zip(outputs, cut(y, sizes))
                ]
            autograd.backward(losses)
            trainer.step(10)
    wanted = whole._collect_params_with_prefix()
    for name, parameter in net._collect_params_with_prefix().items():
        for value in parameter.list_data():
            close = dict(rtol=1e-4, atol=1e-5, err_msg=name)
            np.testing.assert_allclose(value.asnumpy(), wanted[name].data().asnumpy(), **close)


def test_a_layer_that_cannot_be_reached_is_refused():
    class Hidden(nn.Block):
        def __init__(self):
            super().__init__()
            self.layer = SyncBatchNorm(3, 2)

        def forward(self, X):
            return self.layer(X)

    net = nn.Sequential()
    net.add(Hidden())
    net.initialize()
    with pytest.raises(ValueError, match="inside of Hidden"):
        over_shares(net, [nd.ones((2, 3)), nd.ones((2, 3))])
    assert over_shares(net, [nd.ones((2, 3))])[0].shape == (2, 3)  # one share needs nobody


def test_a_file_of_one_kind_is_read_by_the_other(tmp_path):
    case, path = make_case((8, 3)), str(tmp_path / "layer.params")
    step_over_contexts(layer := SyncBatchNorm(3, 2), case, [4, 4])
    layer.save_parameters(path)
    plain = BatchNorm(3, 2)
    plain.load_parameters(path)
    for value, wanted in zip(statistics_of(plain), statistics_of(layer)):
        assert np.array_equal(value, wanted)
