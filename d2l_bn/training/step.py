"""One step of training, from the batch to the new parameters; then an epoch of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Callable, Optional

import numpy as np

from d2l_bn.nn.group import Group
from d2l_bn.nn.sync import over_shares
from d2l_bn.system.errors import RunError

from mxnet import autograd, gluon, nd
from mxnet.gluon.utils import split_and_load

Batch = tuple  # (X, y): images (batch, 1, height, width) and labels (batch,)

softmax_cross_entropy = gluon.loss.SoftmaxCrossEntropyLoss()


def train_step(
    net: gluon.Block, X: nd.NDArray, y: nd.NDArray, trainer: gluon.Trainer, learning_rate: float
) -> tuple[nd.NDArray, nd.NDArray, int]:
    """Take one step of gradient descent: forward, loss, backward, step.

    Parameters
    ----------
    net : Block
        The network, initialized; the batch is cut into a part for each of its contexts.
    X : NDArray, shape (batch, 1, height, width)
        The images.
    y : NDArray, shape (batch,)
        Their classes.
    trainer : gluon.Trainer
        The optimizer of the parameters.
    learning_rate : float
        The learning rate of this step.

    Returns
    -------
    loss, hits, size : NDArray, NDArray, int
        The sum of the losses, the number of right answers and the number of images of the batch,
        all before the step. MXNet may still be computing the first two.
    """
    contexts = net.collect_params().list_ctx()
    parts = [split_and_load(array, contexts, even_split=False) for array in (X, y)]

    with autograd.record():
        outputs = over_shares(net, parts[0])
        losses = [softmax_cross_entropy(*pair) for pair in zip(outputs, parts[1])]
    autograd.backward(losses)
    trainer.set_learning_rate(learning_rate)
    trainer.step(len(y))

    hits = [(output.argmax(axis=1) == labels).sum() for output, labels in zip(outputs, parts[1])]
    return _total(loss.sum() for loss in losses), _total(hits), len(y)


def train_epoch(
    net: gluon.Block,
    data: Iterable[Batch],
    trainer: gluon.Trainer,
    rates: Iterable[float],
    on_batch: Optional[Callable[[int, float, float], None]] = None,
    pooled: Optional[Callable[[tuple], tuple]] = None,
) -> tuple[float, float]:
    """Take a step with each batch.

    Parameters
    ----------
    net : Block
        The network, initialized.
    data : iterable of (X, y)
        The batches.
    trainer : gluon.Trainer
        The optimizer of its parameters.
    rates : iterable of float
        The learning rate of each batch. Training ends with the shorter of the two.
    on_batch : callable (batch, loss, accuracy), optional
        Called after each batch with its number, from 1 on, and the averages of the epoch so far.
    pooled : callable ((loss, hits, size)) -> (loss, hits, size), optional
        Where several processes share each batch: from the numbers of one to those of all.

    Returns
    -------
    loss, accuracy : float
        Averages over all images, each measured before the step that its batch made.

    Raises
    ------
    RunError
        If the loss of a batch is not finite.
    ValueError
        If there is no batch.
    """
    loss_sum, hits, seen = 0.0, 0.0, 0
    steps = (train_step(net, X, y, trainer, rate) for (X, y), rate in zip(data, rates))
    for number, (batch_loss, batch_hits, size) in enumerate(_one_behind(steps), 1):
        numbers = float(batch_loss.asscalar()), float(batch_hits.asscalar()), size
        batch_loss, batch_hits, size = numbers if pooled is None else pooled(numbers)
        loss_sum += batch_loss
        hits += batch_hits
        seen += size
        if not math.isfinite(loss_sum):
            raise RunError(
                f"batch {number}: the loss must be finite, and is {loss_sum}. Try a smaller --lr"
            )
        if on_batch is not None:
            on_batch(number, loss_sum / seen, hits / seen)
    if not seen:
        raise ValueError("an epoch needs at least one batch, and a learning rate for each")
    return loss_sum / seen, hits / seen


def evaluate(net: gluon.Block, data: Iterable[Batch], group: Optional[Group] = None) -> float:
    """The fraction of right answers over all images of `data`, in prediction mode.

    Where there are several processes, `data` is the share of this one, and the answer is that for
    all images together.
    """
    context = net.collect_params().list_ctx()[0]
    hits, seen = nd.zeros(1, ctx=context), 0
    for X, y in data:
        X, y = X.as_in_context(context), y.as_in_context(context)
        hits = hits + (net(X).argmax(axis=1) == y).sum()
        seen += len(y)
    total = np.array([hits.asscalar(), seen], np.float64)
    all_hits, all_seen = total if group is None else group.total(total)
    return float(all_hits / all_seen)


def _total(arrays: Iterable[nd.NDArray]) -> nd.NDArray:
    """The sum of one array from each context, in the first context."""
    first, *others = arrays
    return sum((array.as_in_context(first.context) for array in others), first)


def _one_behind(items: Iterable) -> Iterator:
    """Yield each item when the next one is there.

    Reading the loss of a step waits until it is computed. Read one step later, the next step is
    already waiting in the queue of MXNet's engine, which so never stands still.
    """
    iterator = iter(items)
    for waiting in iterator:
        for item in iterator:
            yield waiting
            waiting = item
        yield waiting
