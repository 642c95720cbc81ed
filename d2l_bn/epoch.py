"""One pass over the data: the step, with forward and backward in the open, training, evaluation."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Callable, Optional

from d2l_bn.errors import RunError

from mxnet import autograd, gluon, nd
from mxnet.gluon.utils import split_and_load

Batch = tuple  # (X, y): images (batch, 1, height, width) and labels (batch,)

softmax_cross_entropy = gluon.loss.SoftmaxCrossEntropyLoss()


def train_steps(
    net: gluon.Block, data: Iterable[Batch], trainer: gluon.Trainer, rates: Iterable[float]
) -> Iterator[tuple[nd.NDArray, nd.NDArray, int]]:
    """Take one step of gradient descent for each batch.

    Yields
    ------
    loss, hits, size : NDArray, NDArray, int
        The sum of the losses, the number of right answers and the number of images of a batch.
        MXNet may still be computing the first two.
    """
    contexts = net.collect_params().list_ctx()
    for (X, y), rate in zip(data, rates):
        shards = list(zip(*(split_and_load(array, contexts, even_split=False) for array in (X, y))))
        with autograd.record():
            outputs = [net(shard) for shard, _ in shards]
            losses = [softmax_cross_entropy(o, labels) for o, (_, labels) in zip(outputs, shards)]
        autograd.backward(losses)
        trainer.set_learning_rate(rate)
        trainer.step(len(y))
        hits = [(o.argmax(axis=1) == labels).sum() for o, (_, labels) in zip(outputs, shards)]
        yield _total(loss.sum() for loss in losses), _total(hits), len(y)


def train_epoch(
    net: gluon.Block,
    data: Iterable[Batch],
    trainer: gluon.Trainer,
    rates: Iterable[float],
    on_batch: Optional[Callable[[int, float, float], None]] = None,
) -> tuple[float, float]:
    """Train on each batch once.

    Parameters
    ----------
    net : Block
        The network, initialized.
    data : iterable of (X, y)
        The batches.
    trainer : gluon.Trainer
        The optimizer of its parameters.
    rates : iterable of float
        The learning rate of each batch.
    on_batch : callable (batch, loss, accuracy), optional
        Called after each batch with its number, from 1 on, and the averages of the epoch so far.

    Returns
    -------
    loss, accuracy : float
        Averages over all images, each measured before the step that its batch made.

    Raises
    ------
    RunError
        If the loss of a batch is not finite.
    """
    loss_sum = hits = seen = 0
    steps = train_steps(net, data, trainer, rates)
    for number, (batch_loss, batch_hits, size) in enumerate(_one_behind(steps), 1):
        loss_sum += batch_loss.asscalar()
        hits += batch_hits.asscalar()
        seen += size
        if not math.isfinite(loss_sum):
            raise RunError(
                f"batch {number}: the loss must be finite, and is {loss_sum}. Try a smaller --lr"
            )
        if on_batch is not None:
            on_batch(number, loss_sum / seen, hits / seen)
    return float(loss_sum / seen), float(hits / seen)


def evaluate(net: gluon.Block, data: Iterable[Batch]) -> float:
    """The share of right answers over all images of `data`, in prediction mode."""
    context = net.collect_params().list_ctx()[0]
    hits, seen = nd.zeros(1, ctx=context), 0
    for X, y in data:
        X, y = X.as_in_context(context), y.as_in_context(context)
        hits = hits + (net(X).argmax(axis=1) == y).sum()
        seen += len(y)
    return float(hits.asscalar() / seen)


def _total(arrays: Iterable[nd.NDArray]) -> nd.NDArray:
    first, *others = arrays
    return sum((array.as_in_context(first.context) for array in others), first)


def _one_behind(items: Iterable) -> Iterator:
    """Yield each item when the next one is there, so that reading it doesn't stop the engine."""
    iterator = iter(items)
    for waiting in iterator:
        for item in iterator:
            yield waiting
            waiting = item
        yield waiting
