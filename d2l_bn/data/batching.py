"""Batches of images: shuffled, gathered and scaled whole, not image by image."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple, Optional

import numpy as np

from d2l_bn.system.errors import InputError

if TYPE_CHECKING:
    import mxnet as mx
    from mxnet import nd


class Share(NamedTuple):
    """One of several parts of a batch, as equal as its size allows.

    Parameters
    ----------
    number : int
        Which part, from 0 on.
    parts : int
        How many there are.
    smallest : int
        The fewest images in a part. A batch that has not enough for all is not cut: each part is
        the whole of it, which has the same mean, the same variance and the same gradient.
    """

    number: int
    parts: int
    smallest: int = 1

    def of(self, batch: np.ndarray) -> np.ndarray:
        """The images of this part."""
        if len(batch) < self.parts * self.smallest:
            return batch
        start, stop = (len(batch) * part // self.parts for part in (self.number, self.number + 1))
        return batch[start:stop]


def batch_count(count: int, batch_size: int, *, at_least: int = 2) -> int:
    """How many batches `batches` makes of `count` images."""
    return len(batch_sizes(count, batch_size, at_least=at_least))


def batch_sizes(count: int, batch_size: int, *, at_least: int = 2) -> list[int]:
    """How many images each batch has that `batches` makes of `count` images."""
    return np.diff(_bounds(count, batch_size, at_least)).tolist()


def batches(
    images: np.ndarray,
    labels: np.ndarray,
    batch_size: int,
    *,
    rng: Optional[np.random.Generator] = None,
    ctx: Optional[mx.Context] = None,
    at_least: int = 2,
    share: Optional[Share] = None,
) -> Iterator[tuple[nd.NDArray, nd.NDArray]]:
    """Go through images and labels once.

    Parameters
    ----------
    images : ndarray, shape (n, height, width), uint8
        The images.
    labels : ndarray, shape (n,)
        Their classes.
    batch_size : int
        Images in a batch. A last batch of fewer than `at_least` joins the one before it.
    rng : numpy.random.Generator, optional
        Shuffles the images; by default they come in order.
    ctx : Context, optional
        Where the batches are put; main memory by default.
    at_least : int, default 2
        The fewest images in a batch: batch normalization needs two values per channel.
    share : Share, optional
        Which part of each batch is wanted; by default all of it.

    Yields
    ------
    X : NDArray, shape (batch, 1, height, width), float32
        Images, scaled from 0...255 to 0...1.
    y : NDArray, shape (batch,), float32
        Classes.

    Raises
    ------
    InputError
        If `batch_size`, or the number of images, is smaller than `at_least`.
    """
    from mxnet import nd  # here, since all else about images does without MXNet

    bounds = _bounds(len(images), batch_size, at_least)
    order = np.arange(len(images)) if rng is None else rng.permutation(len(images))
    for start, stop in zip(bounds, bounds[1:]):
        chosen = order[start:stop] if share is None else share.of(order[start:stop])
        # NumPy scales before MXNet copies: a batch takes about half the time of scaling after.
        X = np.divide(images[chosen][:, None], 255, dtype=np.float32)  # (batch, 1, height, width)
        y = labels[chosen]  # (batch,)
        yield nd.array(X, ctx=ctx, dtype=np.float32), nd.array(y, ctx=ctx, dtype=np.float32)


def _bounds(count: int, batch_size: int, at_least: int) -> list[int]:
    """Where each batch begins, and where the last one ends."""
    for name, number in [("batch_size", batch_size), ("the number of images", count)]:
        if number < at_least:
            raise InputError(
                f"{name} must be {at_least} or more, got {number}: batch normalization has no "
                "statistics of a single image"
            )
    starts = list(range(0, count, batch_size))
    if count - starts[-1] < at_least:
        starts.pop()
    return [*starts, count]
