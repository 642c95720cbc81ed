"""Batch normalization in MXNet's own operations, each in the form that is fast on a CPU.

It gives the numbers of the definition in `normalization.py` up to rounding, several times as fast,
on every context. Two things make the difference. ``X.mean(axis=(0, 2, 3))`` and products that
broadcast are slow, above all their gradients; matrix products with ones, and a convolution with a
window of one pixel, give the same numbers. And the whole is planned as one graph, whose arrays
reuse each other's memory. Chapter 5b goes there step by step, and measures each.
"""

from __future__ import annotations

import functools
import math

from d2l_bn.nn.validation import validated

from mxnet import autograd, gluon, nd


@validated
def batch_norm(X, gamma, beta, moving_mean, moving_var, eps, momentum):
    """Compute what the definition does: see `d2l_bn.batch_norm`."""
    if autograd.is_training():
        graph = _training_graph(X.shape, X.dtype, eps, momentum)
        Y, moving_mean, moving_var = graph(X, gamma, beta, moving_mean, moving_var)
        # Detached, or each step's record would hold on to that of the step before.
        return Y, moving_mean.detach(), moving_var.detach()
    with X.context:  # where the arrays of ones are made
        along = Channels(nd, X.shape, X.dtype)
        D = nd.elemwise_sub(X, along.spread(moving_mean.reshape(-1)))
        Y = normalize(nd, along, D, 0, moving_var.reshape(-1), gamma, beta, eps)
    return Y, moving_mean, moving_var


class TrainingGraph(gluon.HybridBlock):
    """The mathematics of training mode, for batches of one shape and type.

    As a `HybridBlock` it is planned as a whole, which makes it faster by half than the same
    operations one by one (`make bench`). It doesn't look at the mode, since a hybridized block
    would never look again.
    """

    def __init__(self, shape: tuple[int, ...], dtype, eps: float, momentum: float) -> None:
        super().__init__()
        self.shape = shape
        self.dtype = dtype
        self.eps = eps
        self.momentum = momentum

    def hybrid_forward(self, F, X, gamma, beta, moving_mean, moving_var):
        """Return the output and the new moving averages."""
        along = Channels(F, self.shape, self.dtype)
        # Normalization is blind to a shift. Around the pivot, which is the mean but for rounding,
        # the mean is next to nothing, and the short formula of the variance loses no digits.
        pivot = along.mean(F.BlockGrad(X))
        D = F.add_n(X, along.spread(-pivot))
        mean = along.mean(D)  # mu = 1/m sum_i d_i
        # sigma^2 = 1/m sum_i d_i^2 - mu^2; rounding can take that of a constant channel below 0
        var = F.relu(F.elemwise_sub(along.mean(F.square(D)), F.square(mean)))
        Y = normalize(F, along, D, mean, var, gamma, beta, self.eps)
        # No gradient goes through the averages, so none need be computed.
        moving_mean = _moving_average(F, moving_mean, F.BlockGrad(pivot + mean), self.momentum)
        moving_var = _moving_average(F, moving_var, F.BlockGrad(var), self.momentum)
        return Y, moving_mean, moving_var


def normalize(F, along: Channels, D, mean, var, gamma, beta, eps: float):
    """Normalize each channel of `D` with the mean and variance, then scale and shift it.

    That is y = gamma (d - mu) / sqrt(sigma^2 + eps) + beta, with all that is constant for a channel
    put together first.
    """
    scale = F.reshape(gamma, shape=(-1,)) / F.sqrt(var + eps)
    return along.scale_and_shift(D, scale, F.reshape(beta, shape=(-1,)) - scale * mean)


def _moving_average(F, old, new, momentum: float):
    return momentum * old + (1 - momentum) * F.reshape_like(new, old)


@functools.lru_cache(maxsize=256)
def _training_graph(shape: tuple[int, ...], dtype, eps: float, momentum: float) -> TrainingGraph:
    graph = TrainingGraph(shape, dtype, eps, momentum)
    graph.hybridize()
    return graph


class Channels:
    """Operations along the channels of batches of one shape.

    Parameters
    ----------
    F : module
        `mxnet.nd` for arrays, or `mxnet.sym` for a graph, as in Gluon's ``hybrid_forward``.
    shape : tuple of int
        (m, channels) of a dense batch, or (m, channels, p, q) of images.
    dtype : type
        The type of the values.
    """

    def __init__(self, F, shape: tuple[int, ...], dtype) -> None:
        self.F = F
        self.shape = shape
        self.dtype = dtype
        self.m, self.channels, *self.image = shape
        self.pixels = math.prod(self.image)  # 1 where there is no image

    def ones(self, *shape: int):
        """An array of ones."""
        return self.F.ones(shape, dtype=self.dtype)

    def mean(self, X):
        """The mean of each channel, shape (channels,): of m values, or of m*p*q."""
        if self.image:  # first the sum over the pixels of each image
            X = self._rows(X)
            ones = self.ones(1, self.pixels)
            X = self.F.FullyConnected(X, ones, num_hidden=1, no_bias=True, flatten=False)
            X = self.F.reshape(X, shape=(self.m, self.channels))
        weights = self.ones(1, self.m) / (self.m * self.pixels)
        return self.F.reshape(self.F.dot(weights, X), shape=(self.channels,))

    def spread(self, v):
        """Copy one value for each channel, shape (channels,), to the shape of the batch."""
        V = self.F.dot(self.ones(self.m, 1), self.F.reshape(v, shape=(1, self.channels)))
        if self.image:
            V = self.F.reshape(V, shape=(self.m, self.channels, 1))
            ones = self.ones(self.pixels, 1)
            V = self.F.FullyConnected(V, ones, num_hidden=self.pixels, no_bias=True, flatten=False)
            pixels = self.ones(*self.image)
            V = self.F.reshape_like(V, pixels, lhs_begin=2, lhs_end=3, rhs_begin=0, rhs_end=2)
        return V

    def scale_and_shift(self, X, scale, shift):
        """Multiply each channel by its scale and add its shift, both of shape (channels,)."""
        if not self.image:
            X = self.F.elemwise_mul(X, self.spread(scale))
            return self.F.elemwise_add(X, self.spread(shift))
        # One window for each channel. With a matrix for all of them, which is faster for a few
        # channels, 0 * NaN would carry a NaN from one channel to the others.
        weight = self.F.reshape(scale, shape=(self.channels, 1, 1, 1))
        options = {"kernel": (1, 1), "num_filter": self.channels, "num_group": self.channels}
        return self.F.Convolution(X, weight, shift, **options)

    def _rows(self, X):
        """(m, channels, p, q) as (m, channels, p*q), with a gradient that copies nothing."""
        line = self.ones(self.pixels)
        return self.F.reshape_like(X, line, lhs_begin=2, lhs_end=4, rhs_begin=0, rhs_end=1)
