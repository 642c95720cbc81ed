"""Dropout: the mathematics as a function, then the layer, in the style of batch normalization."""

from __future__ import annotations

from mxnet import autograd, nd
from mxnet.gluon import nn


def dropout(X: nd.NDArray, p: float) -> nd.NDArray:
    """Drop each value of `X` with the chance `p` in training mode, and scale up the others.

    Inverted dropout, after Srivastava and others, "Dropout: a simple way to prevent neural networks
    from overfitting" (2014), section 10: what is kept is divided by 1 - p, so that the expected
    value stays, and prediction needs no change.

    Parameters
    ----------
    X : NDArray, any shape
        The input.
    p : float
        The chance of **dropping** a value, in [0, 1].

    Returns
    -------
    NDArray, shape and type of `X`
        In prediction mode, or where `p` is 0, `X` itself. Where `p` is 1, zeros.

    Raises
    ------
    ValueError
        If `p` is outside of [0, 1].
    """
    _check(p)
    if not autograd.is_training() or p == 0:
        return X
    if p == 1:
        return nd.zeros_like(X)  # no value is kept, so there is none to divide by 1 - p = 0
    mask = nd.random.uniform(shape=X.shape, ctx=X.context) >= p  # 1 with the chance 1 - p
    return X * mask.astype(X.dtype) / (1 - p)


class Dropout(nn.Block):
    """Dropout as a layer.

    Parameters
    ----------
    p : float
        The chance of dropping a value, in [0, 1].
    **kwargs
        ``prefix`` and ``params`` of `mxnet.gluon.nn.Block`.

    Raises
    ------
    ValueError
        If `p` is outside of [0, 1].
    """

    def __init__(self, p: float, **kwargs) -> None:
        _check(p)
        super().__init__(**kwargs)
        self.p = p

    def forward(self, X: nd.NDArray) -> nd.NDArray:
        """Drop values of `X` in training mode."""
        return dropout(X, self.p)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.p})"


def _check(p: float) -> None:
    if not 0 <= p <= 1:
        raise ValueError(f"p must be in [0, 1], got {p!r}: it is the chance of dropping a value")
