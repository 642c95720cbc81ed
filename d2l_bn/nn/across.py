"""Batch normalization of a batch that is cut into shares, as if it were whole.

The shares lie on several devices of one process, or in several processes, or both. Each device sums
its own values, the sums are added over all shares, and everybody normalizes with the same mean and
variance. Autograd goes back through the sums: they are operations like any others, and the gradient
of a sum over processes is a sum over processes. Where a process has a single share, the compiled
operator is faster, and what backward exchanges is written out (`_Exchange`).
"""

from __future__ import annotations

import atexit
from collections.abc import Sequence
from typing import Optional

import numpy as np

from d2l_bn.nn import operator
from d2l_bn.nn.layer import BatchNorm
from d2l_bn.nn.validation import at_least_float32, check_input
from d2l_bn.nn.whole_array import Channels, normalize

from mxnet import autograd, gluon, nd
from mxnet.gluon import nn

# At its end MXNet drops the backward functions that still wait, and then waits for them for ever.
atexit.register(nd.waitall)


class Alone:
    """What processes do together, for one process: nothing.

    `d2l_bn.cluster` has the same for several; any object with these members will do.

    Attributes
    ----------
    rank : int
        The number of this process, from 0 on.
    size : int
        How many processes there are.
    machines : list of str
        The name of each one's machine, by rank; for one process it isn't asked for.
    """

    rank = 0
    size = 1
    machines: Sequence[str] = ()

    def total(self, values: np.ndarray) -> np.ndarray:
        """The sum of `values` over all processes, the same to the last bit in each of them."""
        return values

    def total_in_backward(self, values: np.ndarray) -> np.ndarray:
        """The same where MXNet calls. It would print an error, and raise one of its own instead.

        So an error is kept, and raised by the next sum of any channel.
        """
        return self.total(values)

    def channel(self) -> Alone:
        """The same processes, with sums that can't be mixed up with those of others."""
        return self

    def compare(self, what: str, value: str) -> None:
        """Refuse to go on where a process has another value than process 0."""

    def broadcast(self, content: Optional[bytes]) -> Optional[bytes]:
        """The bytes that process 0 has, in all of them."""
        return content

    def advise(self, advice: str) -> None:
        """Keep what is to be said if a process ends early."""


class _Total(autograd.Function):
    """The sum of an array over all processes.

    With t = sum_r v_r in every process, and L = sum_s L_s(t) as the loss of all of them together,
    dL/dv_r = sum_s dL_s/dt: backward is the same as forward.
    """

    def __init__(self, across: Alone) -> None:
        super().__init__()
        self.across = across

    def forward(self, values):
        total = self.across.total(values.asnumpy())
        return nd.array(total, ctx=values.context, dtype=values.dtype)

    def backward(self, gradient):
        total = self.across.total_in_backward(gradient.asnumpy())
        return nd.array(total, ctx=gradient.context, dtype=gradient.dtype)


class SyncBatchNorm(BatchNorm):
    """Batch normalization with the mean and the variance of the whole batch, however it is cut.

    Parameters
    ----------
    num_features, num_dims, **options
        As those of `BatchNorm`.
    across : Alone, optional
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
    is one exchange forward, of 2 C + 1 numbers for C channels, and one backward, of 2 C with the
    compiled operator and of 2 C + 1 without.
    A gradient of a gradient does not go through the exchange between processes.
    """

    def __init__(
        self, num_features: int, num_dims: int, *, across: Optional[Alone] = None, **options
    ) -> None:
        super().__init__(num_features, num_dims, **options)
        self.across = (across or Alone()).channel()

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
        for X in shares:
            check_input(X, gamma=self.gamma.data(X.context), beta=self.beta.data(X.context))
        if self._compiled(shares):
            return [self._exchanged(shares[0])]
        parts = [_Share(at_least_float32(X)) for X in shares]
        first = shares[0].context

        # n, sum x and sum x^2 of each channel, over all shares of all processes
        sums = nd.add_n(*(part.sums().as_in_context(first) for part in parts))
        if self.across.size > 1:
            sums = _Total(self.across)(sums)
        n = float(sums[0].detach().asscalar())
        self._check_count(n)
        mean, mean_of_squares = (sums[1:] / n).reshape((2, -1))
        var = nd.relu(mean_of_squares - mean.square())  # rounding can take it below 0

        self._update(mean.asnumpy(), var.asnumpy(), shares[-1].context)
        outputs = []
        for X, part in zip(shares, parts):
            values = self.gamma.data(X.context), self.beta.data(X.context), self.eps
            Y = part.normalized(
                mean.as_in_context(X.context), var.as_in_context(X.context), *values
            )
            outputs.append(Y.astype(X.dtype, copy=False))
        return outputs

    def _compiled(self, shares: Sequence[nd.NDArray]) -> bool:
        """Whether to take the compiled operator: for a single share, on a CPU that has one."""
        if len(shares) > 1 or shares[0].context.device_type != "cpu":
            return False
        wanted = self.implementation == "auto" and operator.available()
        return wanted or self.implementation == "operator"

    def _exchanged(self, share: nd.NDArray) -> nd.NDArray:
        """Normalize the one share of this process with the compiled operator."""
        X = at_least_float32(share)
        if autograd.is_recording() and X.grad is not None:
            X = X.reshape(X.shape)  # operator.batch_norm says why
        Z, statistics = operator.standardize(X, self.eps)
        exchange = _Exchange(self.across, Z.detach(), statistics, self.eps)
        a, b = exchange(_with_gradient(self.gamma, X), _with_gradient(self.beta, X), X)
        self._check_count(exchange.n)
        self._update(exchange.mean, exchange.var, X.context)
        return operator.scale_and_shift(Z, a, b).astype(share.dtype, copy=False)

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


def _with_gradient(parameter: gluon.Parameter, X: nd.NDArray) -> nd.NDArray:
    """The values of a parameter beside `X`, as an array that has a gradient, also if it is frozen.

    MXNet's `autograd.Function` stops at the first input without one, and the gradients of those
    after it are never written. Where `X` has none, it comes last and so does no harm.
    """
    values = parameter.data(X.context).reshape(-1)
    if parameter.grad_req == "null":
        values.attach_grad()
    return values


class _Share:
    """One part of the batch: what it adds to the sums, and its output when they are known.

    The short formula of the variance, E[x^2] - E[x]^2, would lose all digits of float32 where the
    mean is large. So the values are shifted by their own mean first, and shifted back in float64,
    which has digits enough.
    """

    def __init__(self, X: nd.NDArray) -> None:
        with X.context:
            self.along = Channels(nd, X.shape, X.dtype)
            self.pivot = self.along.mean(X.detach())
            self.D = nd.elemwise_sub(X, self.along.spread(self.pivot))  # d = x - pivot
            self.exact_pivot = self.pivot.astype("float64")

    def sums(self) -> nd.NDArray:
        """n, then sum x of each channel, then sum x^2 of each: shape (1 + 2 C,), float64."""
        m, p = float(self.along.m * self.along.pixels), self.exact_pivot
        with self.D.context:
            mean = self.along.mean(self.D).astype("float64")  # of d
            squares = self.along.mean(self.D.square()).astype("float64")  # of d^2
            n = nd.full((1,), m, dtype="float64")
            return nd.concat(n, m * (mean + p), m * (squares + p * (2 * mean + p)), dim=0)

    def normalized(self, mean, var, gamma, beta, eps: float) -> nd.NDArray:
        """The output, in the context of the input."""
        dtype = self.D.dtype
        mean, var = (mean - self.exact_pivot).astype(dtype), var.astype(dtype)
        with self.D.context:
            return normalize(nd, self.along, self.D, mean, var, gamma, beta, eps)


class _Exchange(autograd.Function):
    """From a share to the scale a and the shift b that take x^_r to the output: y = a x^_r + b.

    The compiled operator has normalized the share by itself, x^_r = (x - mu_r) / s_r. With mu and s
    of all shares, gamma (x - mu) / s + beta is

        a x^_r + b,  a = gamma s_r / s,  b = gamma (mu_r - mu) / s + beta.

    Backward gets sum_r dy x^_r as da and sum_r dy as db, and makes of them what is to be added over
    all n values, S1 = sum dy and S2 = sum dy x^. Wanted is

        dx = gamma / s (dy - S1 / n - x^ S2 / n);

    through x^_r comes gamma / s (dy - db / m - x^_r da / m). The difference is for each channel a
    scale and a shift of x^_r. With a few numbers for each channel, NumPy is faster than MXNet.

    Parameters
    ----------
    across : Alone
        The processes.
    normalized : NDArray
        x^_r.
    statistics : ndarray, shape (2, channels), float64
        mu_r and s_r.
    eps : float
        That of the layer.
    """

    def __init__(self, across: Alone, normalized, statistics: np.ndarray, eps: float) -> None:
        super().__init__()
        self.across, self.Z, self.statistics, self.eps = across, normalized, statistics, eps
        self.m = normalized.size // normalized.shape[1]

    def forward(self, gamma, beta, X):
        mean, s = self.statistics
        squares = np.maximum(np.square(s) - self.eps, 0) + np.square(mean)
        total = self.across.total(np.concatenate([[self.m], self.m * mean, self.m * squares]))
        self.n, (self.mean, squares) = total[0], total[1:].reshape(2, -1) / total[0]
        self.var = np.maximum(squares - np.square(self.mean), 0)
        self.s = np.sqrt(self.var + self.eps)
        self.ratio, self.offset = s / self.s, (mean - self.mean) / self.s
        self.gamma = gamma.asnumpy().ravel()
        a, b = self.gamma * self.ratio, self.gamma * self.offset + beta.asnumpy().ravel()
        return self._array(a), self._array(b)

    def backward(self, da, db):
        da, db = da.asnumpy(), db.asnumpy()
        dgamma = self.ratio * da + self.offset * db  # sum_r dy x^
        sums = self.across.total_in_backward(np.concatenate([db, dgamma]))
        S1, S2 = sums.reshape(2, -1) / self.n
        scale = self.gamma / self.s * (da / self.m - self.ratio * S2)
        shift = self.gamma / self.s * (db / self.m - S1 - self.offset * S2)
        dX = operator.scale_and_shift(self.Z, self._array(scale), self._array(shift))
        return self._array(dgamma), self._array(db), dX

    def _array(self, values: np.ndarray) -> nd.NDArray:
        return nd.array(values, ctx=self.Z.context, dtype=self.Z.dtype)


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
