"""Batch normalization as a layer: what is trained, what is kept, and where it is."""

from __future__ import annotations

import contextlib

import numpy as np

from d2l_bn.nn import graph, normalization, operator
from d2l_bn.nn.statistic import ChannelParameter, Statistic
from d2l_bn.nn.validation import (
    check_array,
    check_implementation,
    check_options,
    in_main_memory,
    with_own_gradient,
)

from mxnet import autograd, init, nd
from mxnet.gluon import nn


def fastest(X, *values):
    """Compute with the compiled operator on a CPU that has one, else with MXNet's operations."""
    compiled = X.context.device_type == "cpu" and operator.available()
    return (operator.of_layer if compiled else graph.batch_norm)(X, *values)


IMPLEMENTATIONS = {
    "auto": fastest,
    "operator": operator.of_layer,
    "graph": graph.batch_norm,
    "definition": normalization.batch_norm,
}


class BatchNorm(nn.Block):
    """Batch normalization as a layer: parameters that are trained, statistics that are kept.

    The layer stands after the convolution, or the affine map, and before the activation. Its
    mathematics is that of `d2l_bn.batch_norm`; the layer computes it in the fastest way that fits.

    Parameters
    ----------
    num_features : int
        The number of features of a dense layer, or of channels of a convolution.
    num_dims : {2, 4}
        The rank of the input: (batch, features) or (batch, channels, height, width).
    eps : float, default 1e-5
        Added to the variance.
    momentum : float, default 0.9
        The weight of the old value in the moving averages, in [0, 1].
    use_global_stats : bool, default False
        Normalize with the moving averages in training mode too and leave them as they are, as
        one does when fine-tuning.
    implementation : {"auto", "operator", "graph", "definition"}
        How to compute it: the fastest way that fits, or one of them by name.
    **kwargs
        ``prefix`` and ``params`` of `mxnet.gluon.nn.Block`.

    Attributes
    ----------
    gamma, beta : Parameter, shape (1, num_features) or (1, num_features, 1, 1)
        Scale (ones) and shift (zeros) of each channel. Trained.
    running_mean, running_var : Statistic, same shape
        What is saved and loaded with the network. Kept, never trained.
    moving_mean, moving_var : NDArray, same shape
        The arrays in `running_mean` and `running_var`: zeros in main memory at first, afterwards
        in the context of the last input. A copy is kept of what is assigned to them.

    Raises
    ------
    ValueError
        If an argument is out of its range.

    Notes
    -----
    As in the source, `moving_var` starts at 0. A layer that predicts before it was trained thus
    divides by the root of `eps` alone: with 1e-5 it multiplies its input by 316.
    """

    def __init__(
        self,
        num_features: int,
        num_dims: int,
        *,
        eps: float = 1e-5,
        momentum: float = 0.9,
        use_global_stats: bool = False,
        implementation: str = "auto",
        **kwargs,
    ) -> None:
        check_options(num_features, num_dims, eps, momentum)
        check_implementation(implementation, IMPLEMENTATIONS)
        super().__init__(**kwargs)
        shape = (1, num_features) if num_dims == 2 else (1, num_features, 1, 1)
        self.gamma = ChannelParameter.of(self.params, "gamma", shape, init=init.One())
        self.beta = ChannelParameter.of(self.params, "beta", shape, init=init.Zero())
        self.running_mean = Statistic.of(self.params, "running_mean", shape, called="moving_mean")
        self.running_var = Statistic.of(self.params, "running_var", shape, called="moving_var")
        self.eps = eps
        self.momentum = momentum
        self.use_global_stats = use_global_stats
        self.implementation = implementation

    def forward(self, X: nd.NDArray) -> nd.NDArray:
        """Normalize `X` and, in training mode, update the moving averages."""
        check_array(X)
        X = in_main_memory(X)
        for statistic in (self.running_mean, self.running_var):
            if statistic.data().context != X.context:
                statistic.keep(statistic.data().copyto(X.context))
        gamma, beta = self.gamma.data(X.context), self.beta.data(X.context)
        if "add" in (self.gamma.grad_req, self.beta.grad_req):
            gamma, beta = with_own_gradient(gamma), with_own_gradient(beta)
        averages = self.running_mean.data(), self.running_var.data()

        batch_norm = IMPLEMENTATIONS[self.implementation]
        with autograd.predict_mode() if self.use_global_stats else contextlib.nullcontext():
            Y, mean, var = batch_norm(X, gamma, beta, *averages, self.eps, self.momentum)
        self.running_mean.keep(mean)
        self.running_var.keep(var)
        return Y

    @property
    def moving_mean(self) -> nd.NDArray:
        """The moving average of the batch means."""
        return self.running_mean.data()

    @moving_mean.setter
    def moving_mean(self, value: nd.NDArray) -> None:
        self.running_mean.set_data(value)

    @property
    def moving_var(self) -> nd.NDArray:
        """The moving average of the batch variances."""
        return self.running_var.data()

    @moving_var.setter
    def moving_var(self, value: nd.NDArray) -> None:
        self.running_var.set_data(value)

    def cast(self, dtype) -> None:
        """Cast parameters and statistics, but keep them in float32 where `dtype` is float16."""
        super().cast("float32" if np.dtype(dtype) == np.float16 else dtype)

    def __repr__(self) -> str:
        _, num_features, *image = self.gamma.shape
        return (
            f"{type(self).__name__}({num_features}, {2 + len(image)}, eps={self.eps}, "
            f"momentum={self.momentum}, use_global_stats={self.use_global_stats})"
        )
