"""Batch normalization: the mathematics, as pure functions.

Equations and symbols are those of Ioffe and Szegedy, "Batch Normalization: Accelerating Deep
Network Training by Reducing Internal Covariate Shift" (2015), https://arxiv.org/abs/1502.03167.
"""

from __future__ import annotations

import functools

import numpy as np

from d2l_bn.nn.validation import check_input, check_training_batch
from d2l_bn.nn.whole_array import Channels

from mxnet import autograd, gluon, nd


def batch_norm(
    X: nd.NDArray,
    gamma: nd.NDArray,
    beta: nd.NDArray,
    moving_mean: nd.NDArray,
    moving_var: nd.NDArray,
    eps: float,
    momentum: float,
) -> tuple[nd.NDArray, nd.NDArray, nd.NDArray]:
    """Normalize each channel of a batch, then scale and shift it.

    In training mode (``autograd.is_training()``) the mean and the variance are those of the batch,
    and the moving averages take a step towards them. In prediction mode they are the moving
    averages, which stay as they are.

    Parameters
    ----------
    X : NDArray, shape (batch, features) or (batch, channels, height, width)
        The input, float16, float32 or float64.
    gamma, beta : NDArray, shape (1, features) or (1, channels, 1, 1)
        The scale and the shift of each channel; dense layers may also give shape (features,).
        Their type is that of `X`, but float32 where `X` is float16; so is that of the next two.
    moving_mean, moving_var : NDArray, same shapes
        The moving averages so far.
    eps : float
        Added to the variance, so that a constant channel does not divide by zero.
    momentum : float
        The weight of the **old** value in the moving average, in [0, 1].

    Returns
    -------
    Y : NDArray, shape and type of `X`
        The output.
    moving_mean, moving_var : NDArray
        The new moving averages, outside of any autograd graph.

    Raises
    ------
    ValueError
        If `X` is neither 2-D nor 4-D, if a value per channel is missing, or if a training batch
        has fewer than two values per channel.
    TypeError
        If the types are mixed.

    Notes
    -----
    The variance is the biased one, a sum divided by the count (Algorithm 1 of the paper).
    """
    check_input(X, gamma=gamma, beta=beta, moving_mean=moving_mean, moving_var=moving_var)
    if not autograd.is_training():
        return predict(X, gamma, beta, moving_mean, moving_var, eps), moving_mean, moving_var
    check_training_batch(X)
    graph = _training_graph(X.shape, gamma.dtype, eps, momentum)
    Y, moving_mean, moving_var = graph(at_least_float32(X), gamma, beta, moving_mean, moving_var)
    # Detached, or each step's record would hold on to that of the step before.
    return Y.astype(X.dtype, copy=False), moving_mean.detach(), moving_var.detach()


class TrainingGraph(gluon.HybridBlock):
    """The mathematics of training mode, for batches of one shape and type.

    As a `HybridBlock` it is planned as a whole: its arrays reuse each other's memory, which makes
    it faster by half than the same operations one by one (`make bench`). It doesn't look at the
    mode, since a hybridized block would never look again.
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
        pivot = along.mean_of_first(X)
        D = F.add_n(X, along.spread(-pivot))  # normalization is blind to a shift
        mean, var = mean_and_variance(F, along, D)
        Y = normalize(F, along, D, mean, var, gamma, beta, self.eps)
        # No gradient goes through the averages, so none need be computed.
        moving_mean = moving_average(F, moving_mean, F.BlockGrad(pivot + mean), self.momentum)
        moving_var = moving_average(F, moving_var, F.BlockGrad(var), self.momentum)
        return Y, moving_mean, moving_var


def mean_and_variance(F, along: Channels, D):
    """Mean and biased variance of each channel, shape (channels,).

    The channels of `D` must have means near zero, such as after subtracting the mean of the first
    example. The variance is then at least a share 1/m of the squared mean, and the difference
    below is exact but for rounding. Around zero itself it would not be: chapter 4, entry 5.
    """
    mean = along.mean(D)  # mu = 1/m sum_i d_i
    var = F.elemwise_sub(along.mean(F.square(D)), F.square(mean))  # 1/m sum_i (d_i - mu)^2
    return mean, var


def normalize(F, along: Channels, D, mean, var, gamma, beta, eps: float):
    """Take each channel of `D` from the given mean and variance to `beta` and `gamma`.

    That is y = gamma (d - mu) / sqrt(sigma^2 + eps) + beta, with all that is constant for a channel
    put together first.
    """
    scale = F.reshape(gamma, shape=(-1,)) / F.sqrt(var + eps)
    return along.scale_and_shift(D, scale, F.reshape(beta, shape=(-1,)) - scale * mean)


def moving_average(F, old, new, momentum: float):
    """One step of an exponential moving average: `momentum` weighs the old value."""
    return momentum * old + (1 - momentum) * F.reshape_like(new, old)


def predict(
    X: nd.NDArray,
    gamma: nd.NDArray,
    beta: nd.NDArray,
    mean: nd.NDArray,
    var: nd.NDArray,
    eps: float,
) -> nd.NDArray:
    """Normalize with given statistics. Shapes and types are those of `batch_norm`."""
    D = at_least_float32(X)
    with X.context:  # where the arrays of ones are made
        along = Channels(nd, D.shape, D.dtype)
        D = nd.elemwise_sub(D, along.spread(mean.reshape(-1)))
        Y = normalize(nd, along, D, 0, var.reshape(-1), gamma, beta, eps)
    return Y.astype(X.dtype, copy=False)


def batch_statistics(X: nd.NDArray) -> tuple[nd.NDArray, nd.NDArray]:
    """Mean and biased variance of each channel of a batch, each of shape (channels,)."""
    X = at_least_float32(X)
    with X.context:
        along = Channels(nd, X.shape, X.dtype)
        pivot = along.mean_of_first(X)
        mean, var = mean_and_variance(nd, along, nd.elemwise_sub(X, along.spread(pivot)))
    return pivot + mean, var


def at_least_float32(X: nd.NDArray) -> nd.NDArray:
    """`X`, in float32 where it is float16: a sum over a batch overflows float16."""
    return X.astype("float32") if X.dtype == np.float16 else X


@functools.lru_cache(maxsize=256)
def _training_graph(shape: tuple[int, ...], dtype, eps: float, momentum: float) -> TrainingGraph:
    graph = TrainingGraph(shape, dtype, eps, momentum)
    graph.hybridize()
    return graph
