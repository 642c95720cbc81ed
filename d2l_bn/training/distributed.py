"""Several processes at one network: each takes its share of every batch, and sums are added."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Callable

import numpy as np

from d2l_bn.nn.group import Group

from mxnet import gluon, nd

Numbers = tuple  # (loss, hits, size) of a batch


class DistributedTrainer(gluon.Trainer):
    """A trainer that adds the gradients of all processes before it takes the step."""

    def __init__(self, group: Group, *args, **options) -> None:
        super().__init__(*args, update_on_kvstore=False, **options)
        self.group = group.channel()

    def step(self, batch_size: int, ignore_stale_grad: bool = False) -> None:
        """Take a step with the gradient of the whole batch; `batch_size` is that of our share."""
        self.allreduce_grads()  # over the contexts of this process; now all hold the same
        trained = [p for p in self._params if p.grad_req != "null"]
        # One exchange for all of them, since a message costs more than the numbers in it.
        gradients = [p.list_grad()[0].asnumpy().ravel() for p in trained]
        total = self.group.total(np.concatenate([[np.float32(batch_size)], *gradients]))
        images, start = int(total[0]), 1
        for parameter in trained:
            first, *_ = gradients = parameter.list_grad()
            value = total[start : start + first.size].reshape(first.shape)
            start += first.size
            for gradient in gradients:
                gradient[:] = nd.array(value, ctx=gradient.context, dtype=gradient.dtype)
        self.update(images, ignore_stale_grad)


def pooled(group: Group, sizes: Iterable[int]) -> Callable[[Numbers], Numbers]:
    """Make a function from what one process has seen of a batch to what all have.

    `sizes` has the number of images of each batch: one that was too small to be cut has been
    computed by each process whole, and counts once.
    """
    channel, left = group.channel(), iter(sizes)

    def function(numbers: Numbers) -> Numbers:
        loss, hits, seen = channel.total(np.array(numbers, np.float64))
        size = next(left)
        return loss * size / seen, hits * size / seen, size

    return function


def average_statistics(net: gluon.Block, group: Group) -> None:
    """Let every process keep the mean of all processes' moving averages.

    Where each share is normalized by itself, each process has averages of its own. The mean of all
    is what one process would keep that saw the shares one by one with the same weight.
    """
    for parameter in net.collect_params().values():
        if parameter.grad_req == "null":
            value = parameter.list_data()[0]
            mean = group.total(value.asnumpy()) / group.size
            parameter.set_data(nd.array(mean, ctx=value.context, dtype=value.dtype))


def checksum(net: gluon.Block) -> str:
    """A checksum of all values of a network, statistics included."""
    check = 0
    for parameter in net._collect_params_with_prefix().values():
        check = zlib.crc32(parameter.list_data()[0].asnumpy().tobytes(), check)
    return f"{check:08x}"
