"""Means, copies and products along channels, in the forms that MXNet computes fast on a CPU.

``X.mean(axis=(0, 2, 3))`` and products that broadcast are slow there, above all their gradients.
Matrix products with ones, and a convolution with a window of one pixel, give the same numbers.
"""

from __future__ import annotations

import math

DENSE_CONVOLUTION = 8  # channels; with more of them, one convolution for each is faster (measured)


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

    def mean_of_first(self, X):
        """The mean of each channel over the first example, shape (channels,); no gradient."""
        shape = (1, *self.shape[1:])
        X = self.F.slice(X, begin=(0,) * len(shape), end=shape)
        # Blocked here: blocking X would copy it, and blocking the result spread a gradient of 0.
        return Channels(self.F, shape, self.dtype).mean(self.F.BlockGrad(X))

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
        if self.channels <= DENSE_CONVOLUTION:
            weight, groups = self.F.diag(scale), 1  # (channels, channels)
        else:
            weight, groups = scale, self.channels
        weight = self.F.reshape(weight, shape=(self.channels, -1, 1, 1))
        options = {"kernel": (1, 1), "num_filter": self.channels, "num_group": groups}
        return self.F.Convolution(X, weight, shift, **options)

    def _rows(self, X):
        """(m, channels, p, q) as (m, channels, p*q), with a gradient that copies nothing."""
        line = self.ones(self.pixels)
        return self.F.reshape_like(X, line, lhs_begin=2, lhs_end=4, rhs_begin=0, rhs_end=1)
