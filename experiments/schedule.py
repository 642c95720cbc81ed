"""Training for a number of steps with a learning rate that falls to 0."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from d2l_bn.training.settings import SCHEDULES
from experiments import shared

from mxnet import gluon, nd


def rates(lr: float, steps: int) -> Iterator[float]:
    """The learning rate of each step, from `lr` along half a cosine to 0."""
    return (lr * SCHEDULES["cosine"](step / steps) for step in range(steps))


def train(
    net: gluon.Block, batches: Iterable, steps: int, lr: float, momentum: float = 0.9
) -> nd.NDArray:
    """Take steps with momentum; return the mean loss of each step, shape (steps,)."""
    optimizer, losses = shared.trainer(net, lr, momentum), []
    for (X, y), rate in zip(batches, rates(lr, steps)):
        optimizer.set_learning_rate(rate)
        losses.append(shared.step(net, optimizer, X, y).mean())
    return nd.concat(*losses, dim=0)
