"""A run of training: the network, the optimizer, and one epoch after the other."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterable
from typing import Callable, Optional

import numpy as np

from d2l_bn.data.batching import Share, batch_sizes, batches
from d2l_bn.data.dataset import Dataset
from d2l_bn.nn.group import Group, OneProcess
from d2l_bn.nn.networks import lenet
from d2l_bn.nn.sync import SyncBatchNorm
from d2l_bn.system.errors import RunError
from d2l_bn.training.distributed import DistributedTrainer, average_statistics, checksum, pooled
from d2l_bn.training.seeds import set_seed
from d2l_bn.training.settings import NORMS, Settings
from d2l_bn.training.step import evaluate, train_epoch

from mxnet import gluon, init, nd

EVALUATION_BATCH = 1000
COLUMNS = {  # what is known of each epoch
    "epoch": int,
    "train_loss": float,
    "train_accuracy": float,
    "test_accuracy": float,
    "learning_rate": float,
    "seconds": float,
    "examples_per_second": float,
}


def check_history(rows: list) -> None:
    """Raise ValueError unless the rows can be those of a run, with numbers that there can be."""
    for number, row in enumerate(rows, 1):
        kinds = {name: type(value) for name, value in row.items()}
        if kinds != COLUMNS or row["epoch"] != number or not row["seconds"]:
            raise ValueError(f"epoch {number} is not what it should be")
        if not all(0 <= value < 1e38 for value in row.values()):
            raise ValueError(f"epoch {number} has a number that can't be")


def build(settings: Settings, dataset: Dataset, group: Optional[Group] = None) -> gluon.Block:
    """The LeNet that `settings` ask for, with initial parameters that depend on the seed alone.

    Where several contexts or processes share each batch, its batch normalization exchanges their
    sums, unless the settings want statistics of each share.
    """
    contexts = settings.contexts
    set_seed(settings.seed)
    norm = NORMS[settings.norm]
    if settings.exchanges:
        norm = functools.partial(SyncBatchNorm, group=group)
    net = lenet(norm, classes=dataset.classes, pooling=settings.pooling)
    net.initialize(init.Xavier(), ctx=contexts)
    net(nd.zeros((1, 1, *dataset.image_shape), ctx=contexts[0]))  # now all shapes are known
    return net


def make_trainer(
    net: gluon.Block, settings: Settings, group: Optional[Group] = None
) -> gluon.Trainer:
    """Stochastic gradient descent with momentum on all parameters of `net`."""
    options = {"learning_rate": settings.lr, "momentum": settings.momentum}
    if group is not None and group.size > 1:
        return DistributedTrainer(group, net.collect_params(), "sgd", options)
    # With the update outside of the key-value store, its state can be saved (see checkpoint.py).
    return gluon.Trainer(net.collect_params(), "sgd", options, update_on_kvstore=False)


def fit(
    net: gluon.Block,
    dataset: Dataset,
    settings: Settings,
    *,
    trainer: Optional[gluon.Trainer] = None,
    history: Iterable[dict] = (),
    on_batch: Optional[Callable[[int, int, float, float], None]] = None,
    on_epoch: Optional[Callable[[list], None]] = None,
    group: Optional[Group] = None,
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
    group : Group, optional
        The processes that share each batch, if there are several. They all call this function, with
        the same arguments, and get the same history.

    Returns
    -------
    list of dict
        For each epoch: epoch (from 1 on), train_loss, train_accuracy, test_accuracy,
        learning_rate (of its first batch), seconds and examples_per_second (of training alone).

    Raises
    ------
    RunError
        If the loss becomes NaN or infinite, or if processes come to different parameters.
    """
    group = group or OneProcess()
    trainer = trainer or make_trainer(net, settings, group)
    history = list(history)
    images, labels = dataset.train_images, dataset.train_labels
    size, at_least = settings.batch_size, settings.smallest_batch
    sizes = batch_sizes(len(images), size, at_least=at_least)
    steps, several = len(sizes), group.size > 1
    share = Share(group.rank, group.size, settings.smallest_share) if several else None
    test_images, test_labels = (
        array[group.rank :: group.size] for array in (dataset.test_images, dataset.test_labels)
    )
    for epoch in range(len(history) + 1, settings.epochs + 1):
        order = np.random.default_rng([settings.seed, epoch])
        data = batches(images, labels, size, rng=order, at_least=at_least, share=share)
        done = [(epoch - 1 + step / steps) / settings.epochs for step in range(steps)]
        rates = [settings.learning_rate(progress) for progress in done]
        report = functools.partial(on_batch, epoch) if on_batch is not None else None
        start = time.perf_counter()
        try:
            together = pooled(group, sizes) if several else None
            loss, accuracy = train_epoch(net, data, trainer, rates, report, together)
        except RunError as error:
            raise RunError(f"epoch {epoch}, {error}") from error
        nd.waitall()
        seconds = time.perf_counter() - start
        if several:
            if not settings.exchanges:
                average_statistics(net, group)
            group.compare(f"the parameters after epoch {epoch}", checksum(net))
        test = batches(test_images, test_labels, EVALUATION_BATCH, at_least=1)
        history.append(
            {
                "epoch": epoch,
                "train_loss": loss,
                "train_accuracy": accuracy,
                "test_accuracy": evaluate(net, test, group),
                "learning_rate": rates[0],
                "seconds": seconds,
                "examples_per_second": len(images) / seconds,
            }
        )
        if on_epoch is not None:
            on_epoch(history)
    return history
