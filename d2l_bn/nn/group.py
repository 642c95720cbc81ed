"""A group of processes that share each batch: what they exchange, and what of it autograd sees.

`d2l_bn.cluster` has the group of several processes; any object with the members of `Group` will do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Callable, Optional, Protocol

import numpy as np

from d2l_bn.nn import operator

from mxnet import autograd, nd

FAR = 1e3  # how much of float64 may be lost in a variance: three digits of sixteen


class Group(Protocol):
    """The processes that share each batch, as each of them sees the others.

    The methods here are those of a group of one process, in which there is nothing to exchange.

    Attributes
    ----------
    rank : int
        The number of this process, from 0 on.
    size : int
        How many processes there are.
    machines : list of str
        The name of each one's machine, by rank; for one process it isn't asked for.
    """

    rank: int = 0
    size: int = 1
    machines: Sequence[str] = ()

    def total(self, values: np.ndarray) -> np.ndarray:
        """The sum of `values` over all processes, the same to the last bit in each of them."""
        return values

    def total_in_backward(self, values: np.ndarray) -> np.ndarray:
        """Like `total`, for backward callbacks; errors are kept for the next `total`.

        MXNet would print an error that is raised there, and raise one of its own instead.
        """
        return self.total(values)

    def channel(self) -> Group:
        """The same processes, with sums that can't be mixed up with those of others."""
        return self

    def compare(self, what: str, value: str) -> None:
        """Raise unless all processes have the value of process 0."""
        return None

    def broadcast(self, content: Optional[bytes]) -> Optional[bytes]:
        """The bytes that process 0 has, in all of them."""
        return content

    def advise(self, advice: str) -> None:
        """Keep what is to be said if a process ends early."""
        return None


class OneProcess(Group):
    """The group of a process that was started by itself."""


class Total(autograd.Function):
    """The sum of an array over all processes.

    With t = sum_r v_r in every process, and L = sum_s L_s(t) as the loss of all of them together,
    dL/dv_r = sum_s dL_s/dt: backward is the same as forward.
    """

    def __init__(self, group: Group) -> None:
        super().__init__()
        self.group = group

    def forward(self, values):
        """The total of the values."""
        total = self.group.total(values.asnumpy())
        return nd.array(total, ctx=values.context, dtype=values.dtype)

    def backward(self, gradient):
        """The total of the gradients."""
        total = self.group.total_in_backward(gradient.asnumpy())
        return nd.array(total, ctx=gradient.context, dtype=gradient.dtype)


def moments(total: Callable, centre: np.ndarray, eps: float) -> tuple:
    """The mean and the variance of all shares, from sums that several processes add.

    E[d^2] - E[d]^2 of d = x - centre loses digits where the mean is far from the centre, measured
    in standard deviations. Then the sums are added once more, around the mean that came out. All
    processes see the same sums and so decide alike.

    `total` takes a centre for each channel, the same in all processes, and returns n, the sum of
    all d, and that of all d^2, in float64. What comes back is n, the mean of d, the variance, and
    the last centre.
    """
    for last in (False, True):
        sums = total(centre)
        n, *_ = map(float, _values(sums[:1]))
        mean, squares = (sums[1:] / n).reshape((2, -1))
        var = squares - mean * mean
        far = np.square(_values(mean)) > FAR * (np.maximum(_values(var), 0) + eps)
        if last or not far.any():
            break
        centre = centre + _values(mean)
    return n, mean, (var + abs(var)) / 2, centre  # rounding can take var below 0


def _values(array) -> np.ndarray:
    return array if isinstance(array, np.ndarray) else array.detach().asnumpy()


class Exchange(autograd.Function):
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
    group : Group
        The processes.
    normalized : NDArray
        x^_r.
    statistics : ndarray, shape (2, channels), float64
        mu_r and 1 / s_r.
    centre : ndarray, shape (channels,), float64
        As `moments` takes it.
    eps : float
        That of the layer.
    """

    def __init__(
        self, group: Group, normalized, statistics: np.ndarray, centre: np.ndarray, eps: float
    ) -> None:
        super().__init__()
        self.group, self.Z, self.statistics, self.eps = group, normalized, statistics, eps
        self.centre = centre
        self.m = normalized.size // normalized.shape[1]

    def forward(self, values, X):
        """The scale and the shift of each channel, from gamma, beta and the statistics in a row.

        MXNet writes no gradient after the first that isn't asked for. The statistics ask for that
        of `values` where only that of `X` is wanted.
        """
        mean, s = self.statistics[0], 1 / self.statistics[1]
        var = np.maximum(np.square(s) - self.eps, 0)

        def total(centre: np.ndarray) -> np.ndarray:
            d = mean - centre
            sums = [self.m], self.m * d, self.m * (var + np.square(d))
            return self.group.total(np.concatenate(sums))

        self.n, d, self.var, centre = moments(total, self.centre, self.eps)
        self.mean = d + centre
        self.s = np.sqrt(self.var + self.eps)
        self.ratio, self.offset = s / self.s, (mean - centre - d) / self.s
        self.gamma, beta, *_ = values.asnumpy().reshape(4, -1)
        a, b = self.gamma * self.ratio, self.gamma * self.offset + beta
        return self._array(a), self._array(b)

    def backward(self, da, db):
        """The gradients of `values` and the share; that by way of x^_r is added by MXNet."""
        da, db = da.asnumpy(), db.asnumpy()
        dgamma = self.ratio * da + self.offset * db  # sum_r dy x^
        sums = self.group.total_in_backward(np.concatenate([db, dgamma]))
        S1, S2 = sums.reshape(2, -1) / self.n
        scale = self.gamma / self.s * (da / self.m - self.ratio * S2)
        shift = self.gamma / self.s * (db / self.m - S1 - self.offset * S2)
        dX = operator.scale_and_shift(self.Z, self._array(scale), self._array(shift))
        return self._array(np.concatenate([dgamma, db, 0 * db, 0 * db])), dX

    def _array(self, values: np.ndarray) -> nd.NDArray:
        return nd.array(values, ctx=self.Z.context, dtype=self.Z.dtype)
