"""Batch normalization of a batch that is cut into shares, as if it were whole.

The shares lie on several devices of one process, or in several processes, or both. Each device sums
its own values, the sums are added over all shares, and everybody normalizes with the same mean and
variance. Autograd goes back through the sums: they are operations like any others, and the gradient
of a sum over processes is a sum over processes. Where a process has a single share, the compiled
operator is faster, and what backward exchanges is written out (`group.Exchange`).
"""

from __future__ import annotations

import atexit
from collections.abc import Sequence
from typing import Optional

import numpy as np

from d2l_bn.nn import operator
from d2l_bn.nn.graph import Channels, normalize
from d2l_bn.nn.group import Exchange, Group, OneProcess, Total, moments
from d2l_bn.nn.layer import BatchNorm
from d2l_bn.nn.validation import at_least_float32, check_input, in_main_memory, with_own_gradient

from mxnet import autograd, gluon, nd
from mxnet.gluon import nn

# At its end MXNet drops the backward functions that still wait, and then waits for them for ever.
atexit.register(nd.waitall)


class SyncBatchNorm(BatchNorm):
    """Batch normalization with the mean and the variance of the whole batch, however it is cut.

    Parameters
    ----------
    num_features, num_dims, **options
        As those of `BatchNorm`.
    group : Group, optional
        The processes that hold the other shares; by default there is this one only. Each of them
        has to run the same layers on its share, forward and backward.

    Raises
    ------
    ValueError
        If an argument is out of its range, or if the whole training batch has fewer than two values
        per channel.

    Notes
    -----
    One share is computed with the compiled operator where there is one, several contexts of one
    process with MXNet's operations.

    In prediction mode there is nothing to exchange, and it is `BatchNorm`. In training mode there
    is one exchange forward, of 2 C + 1 numbers for C channels (two where the moving mean is still
    far away), and one backward, of 2 C with the compiled operator and of 2 C + 1 without; all
    processes have to compute in the same way.
    A gradient of a gradient does not go through the exchange between processes.
    """

    def __init__(
        self, num_features: int, num_dims: int, *, group: Optional[Group] = None, **options
    ) -> None:
        super().__init__(num_features, num_dims, **options)
        self.group = (group or OneProcess()).channel()
        if self.group.size > 1:  # the two ways exchange other sums in backward
            what = "the way SyncBatchNorm exchanges (D2L_BN_OPERATOR=0 takes MXNet's operations)"
            self.group.compare(what, "the operator's" if self._wants_operator() else "MXNet's")

    def forward(self, X: nd.NDArray) -> nd.NDArray:
        """Normalize the one share of this process."""
        return self.over([X])[0]

    def over(self, shares: Sequence[nd.NDArray]) -> list[nd.NDArray]:
        """Normalize the shares of this process, each in its own context.

        Parameters
        ----------
        shares : sequence of NDArray, shape (any, features) or (any, channels, height, width)
            The parts of the batch. They may be of different lengths.

        Returns
        -------
        list of NDArray
            The output for each, where its input is.
        """
        if self.use_global_stats or not autograd.is_training():
            return [super(SyncBatchNorm, self).forward(X) for X in shares]
        if self.group.size > 1:  # a backward that still exchanges would meet this one's forward
            nd.waitall()
        shares = [in_main_memory(X) for X in shares]
        for X in shares:
            check_input(X, gamma=self.gamma.data(X.context), beta=self.beta.data(X.context))
        if self._compiled(shares):
            return [self._exchanged(shares[0])]
        parts = [_Share(at_least_float32(X)) for X in shares]
        first = shares[0].context

        def total(centre: np.ndarray) -> nd.NDArray:
            sums = nd.add_n(*(part.sums(centre).as_in_context(first) for part in parts))
            return Total(self.group)(sums) if self.group.size > 1 else sums

        n, mean, var, centre = moments(total, self._centre(), self.eps)
        self._check_count(n)
        self._update(mean.asnumpy() + centre, var.asnumpy(), shares[-1].context)
        outputs = []
        for X, part in zip(shares, parts):
            values = self.gamma.data(X.context), self.beta.data(X.context), self.eps
            Y = part.normalized(
                mean.as_in_context(X.context), var.as_in_context(X.context), centre, *values
            )
            outputs.append(Y.astype(X.dtype, copy=False))
        return outputs

    def _compiled(self, shares: Sequence[nd.NDArray]) -> bool:
        """Whether to take the compiled operator: for a single share, on a CPU that has one."""
        return (
            len(shares) == 1 and shares[0].context.device_type == "cpu" and self._wants_operator()
        )

    def _wants_operator(self) -> bool:
        wanted = self.implementation == "auto" and operator.available()
        return wanted or self.implementation == "operator"

    def _exchanged(self, share: nd.NDArray) -> nd.NDArray:
        """Normalize the one share of this process with the compiled operator."""
        X = with_own_gradient(at_least_float32(share))
        Z, statistics = operator.standardize(X, self.eps)
        numbers = statistics.asnumpy(), self._centre(), self.eps
        exchange = Exchange(self.group, Z.detach(), *numbers)
        own = (p.data(X.context).reshape(-1) for p in (self.gamma, self.beta))
        a, b = exchange(nd.concat(*own, statistics.astype(X.dtype).reshape(-1), dim=0), X)
        self._check_count(exchange.n)
        self._update(exchange.mean, exchange.var, X.context)
        return operator.scale_and_shift(Z, a, b).astype(share.dtype, copy=False)

    def _centre(self) -> np.ndarray:
        """The moving mean: the same in all processes, and mostly not far from the values."""
        return self.moving_mean.asnumpy().ravel().astype(np.float64)

    def _check_count(self, n: float) -> None:
        if n < 2:
            raise ValueError(
                f"training needs at least 2 values per channel, got {n:.0f} over all shares. "
                "Use a larger batch, or predict (outside of autograd.record)."
            )

    def _update(self, mean: np.ndarray, var: np.ndarray, context) -> None:
        """Let the moving averages take a step towards the statistics of the whole batch."""
        for statistic, new in ((self.running_mean, mean), (self.running_var, var)):
            old = statistic.data().asnumpy()
            new = self.momentum * old + (1 - self.momentum) * new.reshape(old.shape)
            statistic.set_data(nd.array(new, ctx=context, dtype=old.dtype))


class _Share:
    """One part of the batch: what it adds to the sums, and its output when they are known.

    The short formula of the variance, E[x^2] - E[x]^2, would lose all digits of float32 where the
    mean is large. So the values are shifted by their own mean first, and shifted back in float64
    to a centre that all shares have in common (`group.moments`).
    """

    def __init__(self, X: nd.NDArray) -> None:
        with X.context:
            self.along = Channels(nd, X.shape, X.dtype)
            pivot = self.along.mean(X.detach())
            rest = nd.elemwise_sub(X.detach(), self.along.spread(pivot))
            pivot = pivot + self.along.mean(rest)  # a sum of large values has lost digits
            self.D = nd.elemwise_sub(X, self.along.spread(pivot))  # d = x - pivot
            self.pivot = pivot.asnumpy().astype(np.float64)

    def _to(self, centre: np.ndarray) -> nd.NDArray:
        return nd.array(self.pivot - centre, ctx=self.D.context, dtype="float64")

    def sums(self, centre: np.ndarray) -> nd.NDArray:
        """n, then sum x - centre of each channel, then that of squares: (1 + 2 C,), float64."""
        m, p = float(self.along.m * self.along.pixels), self._to(centre)
        with self.D.context:
            mean = self.along.mean(self.D).astype("float64")  # of d
            squares = self.along.mean(self.D.square()).astype("float64")  # of d^2
            n = nd.full((1,), m, dtype="float64")
            return nd.concat(n, m * (mean + p), m * (squares + p * (2 * mean + p)), dim=0)

    def normalized(self, mean, var, centre, gamma, beta, eps: float) -> nd.NDArray:
        """The output, in the context of the input; `mean` is that of x - centre."""
        dtype = self.D.dtype
        mean, var = (mean - self._to(centre)).astype(dtype), var.astype(dtype)
        with self.D.context:
            return normalize(nd, self.along, self.D, mean, var, gamma, beta, eps)


def over_shares(net: gluon.Block, shares: Sequence[nd.NDArray]) -> list[nd.NDArray]:
    """Run a network over the shares of a batch, each in its own context.

    Called with one share after the other, a layer that needs the sums of all would wait for those
    of a share whose turn has not come. So the network is run layer by layer, and a layer that
    exchanges gets all shares at once: nobody waits.

    Parameters
    ----------
    net : Block
        The network. Around its `SyncBatchNorm` layers only ``Sequential`` may stand.
    shares : sequence of NDArray
        The parts of the batch.

    Returns
    -------
    list of NDArray
        The output for each.

    Raises
    ------
    ValueError
        If a `SyncBatchNorm` is inside of another kind of block, where it can't be reached.
    """
    if isinstance(net, SyncBatchNorm):
        return net.over(shares)
    if len(shares) == 1 or not _exchanges(net):
        return [net(X) for X in shares]
    if not isinstance(net, nn.Sequential):
        raise ValueError(
            f"SyncBatchNorm can take several shares in a Sequential only, got it inside of "
            f"{type(net).__name__}. Use one context, or pass the shares to its `over` yourself."
        )
    for layer in net:
        shares = over_shares(layer, shares)
    return list(shares)


def _exchanges(net: gluon.Block) -> bool:
    found: list[gluon.Block] = []
    net.apply(lambda block: found.append(block) if isinstance(block, SyncBatchNorm) else None)
    return bool(found)
