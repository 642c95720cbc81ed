"""Training a network: the step, the epoch and the run, with forward and backward in the open."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Iterable, Iterator
from typing import Callable, Optional

import numpy as np

from d2l_bn.batches import batch_count, batches
from d2l_bn.data import Dataset
from d2l_bn.errors import RunError
from d2l_bn.networks import lenet
from d2l_bn.settings import NORMS, Settings

import mxnet as mx
from mxnet import autograd, gluon, init, nd
from mxnet.gluon.utils import split_and_load

Batch = tuple  # (X, y): images (batch, 1, height, width) and labels (batch,)
EVALUATION_BATCH = 1000

softmax_cross_entropy = gluon.loss.SoftmaxCrossEntropyLoss()


def build(settings: Settings, dataset: Dataset) -> gluon.Block:
    """The LeNet that `settings` ask for, with initial parameters that depend on the seed alone."""
    contexts = settings.contexts
    mx.random.seed(settings.seed)
    net = lenet(NORMS[settings.norm], classes=dataset.classes, pooling=settings.pooling)
    net.initialize(init.Xavier(), ctx=contexts)
    net(nd.zeros((1, 1, *dataset.image_shape), ctx=contexts[0]))  # now all shapes are known
    return net


def make_trainer(net: gluon.Block, settings: Settings) -> gluon.Trainer:
    """Stochastic gradient descent with momentum on all parameters of `net`."""
    options = {"learning_rate": settings.lr, "momentum": settings.momentum}
    # With the update outside of the key-value store, its state can be saved (see checkpoint.py).
    return gluon.Trainer(net.collect_params(), "sgd", options, update_on_kvstore=False)


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


def fit(
    net: gluon.Block,
    dataset: Dataset,
    settings: Settings,
    *,
    trainer: Optional[gluon.Trainer] = None,
    history: Iterable[dict] = (),
    on_batch: Optional[Callable[[int, int, float, float], None]] = None,
    on_epoch: Optional[Callable[[list], None]] = None,
) -> list[dict]:
    """Train `net` for the epochs that are missing, and evaluate it on the test images after each.

    Parameters
    ----------
    net : Block
        The network, as `build` makes it.
    dataset : Dataset
        The images.
    settings : Settings
        What to do. The order of the images depends on the seed and the epoch alone.
    trainer : gluon.Trainer, optional
        The optimizer, as `make_trainer` makes it; a new one by default.
    history : iterable of dict
        The epochs done before, of a run to go on with.
    on_batch : callable (epoch, batch, loss, accuracy), optional
        Called after each batch with the averages of the epoch so far.
    on_epoch : callable (history), optional
        Called after each epoch with the history so far.

    Returns
    -------
    list of dict
        For each epoch: epoch (from 1 on), train_loss, train_accuracy, test_accuracy,
        learning_rate (of its first batch), seconds and examples_per_second (of training alone).

    Raises
    ------
    RunError
        If the loss becomes NaN or infinite.
    """
    trainer = trainer or make_trainer(net, settings)
    history = list(history)
    for epoch in range(len(history) + 1, settings.epochs + 1):
        history.append(_run_epoch(net, dataset, settings, trainer, epoch, on_batch))
        if on_epoch is not None:
            on_epoch(history)
    return history


def _run_epoch(net, dataset, settings, trainer, epoch, on_batch) -> dict:
    """Train and evaluate; the row of `epoch` in the history."""
    count, size, least = len(dataset.train_images), settings.batch_size, settings.smallest_batch
    order = np.random.default_rng([settings.seed, epoch])
    data = batches(dataset.train_images, dataset.train_labels, size, rng=order, at_least=least)
    steps = batch_count(count, size, at_least=least)
    done = [(epoch - 1 + step / steps) / settings.epochs for step in range(steps)]
    rates = [settings.learning_rate(progress) for progress in done]
    start = time.perf_counter()
    try:
        report = functools.partial(on_batch, epoch) if on_batch is not None else None
        loss, accuracy = train_epoch(net, data, trainer, rates, report)
    except RunError as error:
        raise RunError(f"epoch {epoch}, {error}") from error
    nd.waitall()
    seconds = time.perf_counter() - start
    test = batches(dataset.test_images, dataset.test_labels, EVALUATION_BATCH)
    return {
        "epoch": epoch,
        "train_loss": loss,
        "train_accuracy": accuracy,
        "test_accuracy": evaluate(net, test),
        "learning_rate": rates[0],
        "seconds": seconds,
        "examples_per_second": count / seconds,
    }


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
