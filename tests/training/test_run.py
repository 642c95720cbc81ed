"""The training loop, held against a plain one, and what it promises about order and resuming."""

from __future__ import annotations

import math

import numpy as np
import pytest
from datasets import bars, values

from d2l_bn.system.errors import InputError
from d2l_bn.training import Settings
from d2l_bn.training import run as train

import mxnet as mx
from mxnet import autograd, gluon, nd

FAST = dict(epochs=2, batch_size=32, lr=0.1)


def run(**changes):
    dataset, settings = bars(), Settings(**{**FAST, **changes})
    net = train.build(settings, dataset)
    return net, train.fit(net, dataset, settings)


def test_fit_equals_a_loop_written_out():
    net, history = run()
    dataset, settings = bars(), Settings(**FAST)
    twin = train.build(settings, dataset)
    trainer = gluon.Trainer(twin.collect_params(), "sgd", {"learning_rate": 1, "momentum": 0.9})
    loss_of, step = gluon.loss.SoftmaxCrossEntropyLoss(), 0
    for epoch in (1, 2):
        order = np.random.default_rng([settings.seed, epoch]).permutation(96)
        losses = hits = 0
        for batch in np.split(order, 3):
            X = nd.array(dataset.train_images[batch][:, None] / np.float32(255))
            y = nd.array(dataset.train_labels[batch])
            with autograd.record():
                output = twin(X)
                loss = loss_of(output, y)
            loss.backward()
            trainer.set_learning_rate(0.1 * (1 + math.cos(math.pi * step / 6)) / 2)
            trainer.step(32)
            step += 1
            losses += loss.sum().asscalar()
            hits += (output.argmax(axis=1) == y).sum().asscalar()
        assert history[epoch - 1]["train_loss"] == pytest.approx(losses / 96, rel=1e-5)
        assert history[epoch - 1]["train_accuracy"] == pytest.approx(hits / 96)
    for name, value in values(twin).items():
        np.testing.assert_allclose(values(net)[name], value, rtol=1e-4, atol=1e-6, err_msg=name)
    X = nd.array(dataset.test_images[:, None] / np.float32(255))
    right = (twin(X).argmax(axis=1).asnumpy() == dataset.test_labels).mean()
    assert history[-1]["test_accuracy"] == pytest.approx(right)


def test_learns():
    assert run(epochs=8)[1][-1]["test_accuracy"] > 0.9


@pytest.mark.parametrize("norm", ["scratch", "gluon", "none"])
def test_same_seed_same_run(norm):
    (one, _), (two, _) = run(norm=norm), run(norm=norm)
    assert all((values(one)[name] == value).all() for name, value in values(two).items())


def test_another_seed_another_run():
    assert run()[1][-1]["train_loss"] != run(seed=1)[1][-1]["train_loss"]


def test_ours_and_gluons_train_alike():
    ours, theirs = (run(norm=norm)[1] for norm in ("scratch", "gluon"))
    for our, their in zip(ours, theirs):
        assert our["train_loss"] == pytest.approx(their["train_loss"], rel=1e-3)


def test_two_contexts_share_each_batch():
    net, history = run(context="cpu(0),cpu(1)")
    assert net.collect_params().list_ctx() == [mx.cpu(0), mx.cpu(1)]
    gamma = net[1].gamma
    assert (gamma.data(mx.cpu(0)).asnumpy() == gamma.data(mx.cpu(1)).asnumpy()).all()
    assert net[1].moving_mean.context == mx.cpu(0)  # evaluated there last
    assert len(history) == 2


def test_a_shard_of_one_is_avoided():
    # 97 images in batches of 32: the last one joins the batch before, on two contexts also 2 or 3.
    for count in (97, 98, 99):
        settings = Settings(**{**FAST, "epochs": 1}, context="cpu(0),cpu(1)")
        dataset = bars(train=count)
        train.fit(train.build(settings, dataset), dataset, settings)


def test_schedule_goes_from_the_rate_to_zero():
    settings = Settings(lr=0.4, schedule="cosine")
    assert settings.learning_rate(0) == 0.4
    assert settings.learning_rate(0.5) == pytest.approx(0.2)
    assert settings.learning_rate(1) == pytest.approx(0)
    assert Settings(lr=0.4, schedule="constant").learning_rate(0.9) == 0.4


def test_history_has_the_documented_columns():
    row = run()[1][0]
    accuracies = "train_accuracy", "test_accuracy"
    speed = "seconds", "examples_per_second"
    assert tuple(row) == ("epoch", "train_loss", *accuracies, "learning_rate", *speed)
    assert row["examples_per_second"] == pytest.approx(96 / row["seconds"])


def test_reports_every_batch_and_epoch():
    dataset, settings, seen = bars(), Settings(**FAST), []
    train.fit(
        train.build(settings, dataset),
        dataset,
        settings,
        on_batch=lambda epoch, batch, loss, accuracy: seen.append((epoch, batch)),
        on_epoch=lambda history: seen.append(len(history)),
    )
    assert seen == [(1, 1), (1, 2), (1, 3), 1, (2, 1), (2, 2), (2, 3), 2]


def test_evaluating_changes_nothing():
    net, _ = run()
    before = values(net)
    train.evaluate(net, train.batches(bars().test_images, bars().test_labels, 32))
    assert all((before[name] == value).all() for name, value in values(net).items())


@pytest.mark.parametrize(
    "wrong",
    [
        dict(norm="layer"),
        dict(epochs=0),
        dict(epochs=2.5),
        dict(batch_size=1),
        dict(batch_size=32.0),
        dict(seed=True),
        dict(batch_size=3, context="cpu(0),cpu(1)"),
        dict(lr=0),
        dict(lr=math.nan),
        dict(lr=math.inf),
        dict(momentum=1),
        dict(momentum=-0.1),
        dict(schedule="step"),
        dict(pooling="min"),
        dict(seed=-1),
        dict(context="tpu(0)"),
        dict(context="gpu(0)"),
        dict(context=""),
        dict(context="cpu,cpu(0)"),
        dict(batch_size=1_000_001),
    ],
    ids=str,
)
def test_refuses(wrong):
    name = next(iter(wrong))
    with pytest.raises(InputError, match=name.replace("_", "-") + r" must be .*got"):
        Settings(**wrong)
