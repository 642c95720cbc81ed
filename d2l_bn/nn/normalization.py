"""Batch normalization: the definition, in four equations.

Equations and symbols are those of Ioffe and Szegedy, "Batch Normalization: Accelerating Deep
Network Training by Reducing Internal Covariate Shift" (2015), https://arxiv.org/abs/1502.03167,
Algorithm 1. Nothing here is there for speed: `graph.py` and `operator.py` compute the same
faster, and the tests hold them to this.
"""

from __future__ import annotations

from d2l_bn.nn.validation import validated

from mxnet import autograd, nd


@validated
def batch_norm(X, gamma, beta, moving_mean, moving_var, eps, momentum):
    """Normalize each channel of a batch, then scale and shift it.

    In training mode (``autograd.is_training()``) the mean and the variance are those of the batch,
    and the moving averages take a step towards them. In prediction mode they are the moving
    averages, which stay as they are.

    Parameters
    ----------
    X : NDArray, shape (batch, features) or (batch, channels, height, width)
        The input, float16, float32 or float64. Where m values of a channel lie up to d from their
        mean, m d^2 must stay below 3.4e38 (float64: 1.8e308), or their variance is infinite.
    gamma, beta : NDArray, shape (1, features) or (1, channels, 1, 1)
        The scale and the shift of each channel; dense layers may also give shape (features,).
        Their type is that of `X`, but float32 where `X` is float16; so is that of the next two.
    moving_mean, moving_var : NDArray, same shapes
        The moving averages so far.
    eps : float
        Positive; added to the variance, so that a constant channel does not divide by zero.
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
        If `X` is neither 2-D nor 4-D, if a value per channel is missing, if a training batch has
        fewer than two values per channel, or if `eps` or `momentum` is out of its range.
    TypeError
        If `X` is not an NDArray, or if the types are mixed.
    """
    if autograd.is_training():
        mean, var = mean_and_variance(X)
        with autograd.pause():  # outside of the record, or each step would hold on to the last
            moving_mean = momentum * moving_mean + (1 - momentum) * mean
            moving_var = momentum * moving_var + (1 - momentum) * var
    else:
        mean, var = moving_mean, moving_var
    X_hat = (X - mean) / nd.sqrt(var + eps)
    Y = gamma * X_hat + beta
    return Y, moving_mean, moving_var


def mean_and_variance(X):
    """The mean and the biased variance of each channel, over all axes but the channels'."""
    axes = (0,) if X.ndim == 2 else (0, 2, 3)
    mean = X.mean(axis=axes, keepdims=True)  # mu = 1/m sum_i x_i
    var = ((X - mean) ** 2).mean(axis=axes, keepdims=True)  # sigma^2 = 1/m sum_i (x_i - mu)^2
    return mean, var
