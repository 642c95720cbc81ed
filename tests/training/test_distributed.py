"""Several processes at one network: what each takes, and what they add. The others are played."""

from __future__ import annotations

import numpy as np
import pytest
from datasets import bars

from d2l_bn.data import Share, batch_sizes, batches
from d2l_bn.nn.group import OneProcess
from d2l_bn.nn.sync import SyncBatchNorm
from d2l_bn.system.errors import InputError
from d2l_bn.training import Settings, build, make_trainer
from d2l_bn.training.distributed import average_statistics, checksum, pooled

from mxnet import autograd


class Twins(OneProcess):
    """Two processes that do the same: the sum is twice our own."""

    size = 2

    def total(self, values):
        return 2 * values


@pytest.mark.parametrize("size, parts", [(10, 1), (10, 2), (10, 3), (10, 4), (7, 7), (64, 5)])
def test_the_parts_of_a_batch_are_all_of_it_and_differ_by_one_image(size, parts):
    batch = np.arange(size)
    found = [Share(number, parts).of(batch) for number in range(parts)]
    assert np.array_equal(np.concatenate(found), batch)
    assert {len(part) for part in found} <= {size // parts, size // parts + 1}


@pytest.mark.parametrize("size, parts, smallest", [(3, 4, 1), (7, 4, 2), (2, 64, 1)])
def test_a_batch_that_is_too_small_goes_whole_to_each(size, parts, smallest):
    batch = np.arange(size)
    for number in range(parts):
        assert np.array_equal(Share(number, parts, smallest).of(batch), batch)


def test_the_shares_of_an_epoch_are_the_batches_of_one_process():
    dataset, size = bars(train=93), 10
    images, labels = dataset.train_images, dataset.train_labels

    def epoch(share=None):
        return list(batches(images, labels, size, rng=np.random.default_rng(0), share=share))

    whole, parts = epoch(), [epoch(Share(number, 3)) for number in range(3)]
    assert [len(y) for _, y in whole] == batch_sizes(93, size) == [10] * 9 + [3]
    for (X, y), *pieces in zip(whole, *parts):
        assert np.array_equal(np.concatenate([p[0].asnumpy() for p in pieces]), X.asnumpy())
        assert np.array_equal(np.concatenate([p[1].asnumpy() for p in pieces]), y.asnumpy())


def test_gradients_and_images_are_added_before_the_step():
    settings, dataset = Settings(batch_size=8, lr=0.1, norm="none", momentum=0.0), bars()
    X, y = next(batches(dataset.train_images, dataset.train_labels, 8))
    found = []
    for group in (None, Twins()):
        net = build(settings, dataset)
        trainer = make_trainer(net, settings, group)
        with autograd.record():
            loss = ((net(X) - 1) ** 2).sum()
        loss.backward()
        trainer.step(len(y))  # twice the gradient, of twice the images
        found.append([p.data().asnumpy() for p in net.collect_params().values()])
    for alone, together in zip(*found):
        np.testing.assert_allclose(together, alone, rtol=1e-6, atol=1e-7)


def test_a_batch_that_all_have_computed_counts_once():
    function = pooled(Twins(), [5, 3])
    assert function((1.0, 2, 3)) == pytest.approx((5 / 3, 10 / 3, 5))
    assert function((6.0, 2, 3)) == (6.0, 2.0, 3)  # both had all three


def test_without_exchange_the_mean_of_all_averages_is_kept():
    class Other(OneProcess):
        size = 2

        def total(self, values):
            return values + 3

    net = build(Settings(), bars())
    kept = [p for p in net.collect_params().values() if p.grad_req == "null"]
    before = [p.data().asnumpy() for p in kept]
    trained = checksum(net)
    average_statistics(net, Other())
    assert len(kept) == 8 and checksum(net) != trained
    for parameter, value in zip(kept, before):
        np.testing.assert_allclose(parameter.data().asnumpy(), (value + 3) / 2)


def test_the_settings_say_who_exchanges():
    def layers(**options):
        net = build(Settings(batch_size=8, **options), bars(), Twins())
        return any(isinstance(layer, SyncBatchNorm) for layer in net)

    assert not layers() and not layers(processes=2, statistics="share")
    assert layers(processes=2) and layers(context="cpu(0),cpu(1)")
    assert not layers(processes=2, norm="none")


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(norm="gluon", processes=2), "statistics must be share for norm gluon"),
        (dict(norm="gluon", context="cpu(0),cpu(1)"), "statistics must be share"),
        (dict(batch_size=3, processes=4), "4 or more in 4 processes, 1 in each"),
        (dict(batch_size=7, processes=4, statistics="share"), "8 or more in 4 processes"),
        (dict(statistics="some"), "one of all, share"),
    ],
)
def test_settings_that_cannot_be_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        Settings(**options)
