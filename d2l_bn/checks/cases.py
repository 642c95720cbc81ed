"""The inputs on which the checks compare, with the right answer to each."""

from __future__ import annotations

from typing import NamedTuple, Optional

import numpy as np

from d2l_bn.reference import mathematics
from d2l_bn.reference.mathematics import per_channel


class Case(NamedTuple):
    """One input in float64, the channels at axis 1.

    What is given for each channel has the shape (1, C) or (1, C, 1, 1). `mask` is None, or tells by
    1 and 0 which values count; the output is 0 where they don't. `axis` is where the student has
    the channels.
    """

    X: np.ndarray
    gamma: np.ndarray
    beta: np.ndarray
    mean: np.ndarray
    var: np.ndarray
    eps: float = 1e-5
    momentum: float = 0.9
    mask: Optional[np.ndarray] = None
    axis: int = 1

    @property
    def axes(self) -> tuple[int, ...]:
        """All axes but the channels'."""
        return mathematics.axes_of(self.X)

    @property
    def order(self) -> list[int]:
        """Which of our axes each of the student's is."""
        ours = list(range(self.X.ndim))
        ours.insert(self.axis % self.X.ndim, ours.pop(1))
        return ours

    @property
    def size(self) -> int:
        """The number of values of a channel that count."""
        return mathematics.count(self.X, self.mask)

    @property
    def counted(self) -> np.ndarray:
        """Which places count, in the shape of X."""
        return np.broadcast_to(1 if self.mask is None else self.mask, self.X.shape) == 1

    def average(self, values) -> np.ndarray:
        """The mean of each channel of `values`, which have the shape of X."""
        return mathematics.mean_of(np.broadcast_to(values, self.X.shape), self.mask)

    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance of the batch."""
        return mathematics.moments(self.X, self.mask)

    def output(self, mean, var) -> np.ndarray:
        """Normalize with these statistics, then scale and shift."""
        return self.shown(mathematics.output(self.X, self.gamma, self.beta, mean, var, self.eps))

    def shown(self, Y: np.ndarray) -> np.ndarray:
        """`Y`, with zeros where nothing counts."""
        return Y if self.mask is None else Y * self.mask

    def training(self) -> np.ndarray:
        """The output in training mode."""
        return self.output(*self.moments())

    def prediction(self) -> np.ndarray:
        """The output in prediction mode."""
        return self.output(self.mean, self.var)

    def right(self, training: bool) -> np.ndarray:
        """The output in training mode or in prediction mode."""
        return self.training() if training else self.prediction()

    def moving(self, old, new) -> np.ndarray:
        """One step of a moving average."""
        return mathematics.moving(old, new, self.momentum)

    def step(self) -> list[np.ndarray]:
        """Both averages after one step of training."""
        return [self.moving(*pair) for pair in zip((self.mean, self.var), self.moments())]

    def gradients(self, dY, training: bool = True) -> tuple[np.ndarray, ...]:
        """The gradients of X, gamma and beta."""
        if training:
            return mathematics.gradients(self.X, self.gamma, dY, self.eps, self.mask)
        return mathematics.prediction_gradients(
            self.X, self.gamma, self.shown(dY), self.mean, self.var, self.eps
        )


def make(X, gamma=None, beta=None, mean=None, var=None, eps=1e-5, momentum=0.9, mask=None) -> Case:
    """Return a case from lists; gamma and var are ones and beta and mean zeros if not given."""
    X = np.asarray(X, np.float64)
    ones, zeros = np.ones(X.shape[1]), np.zeros(X.shape[1])
    gamma, beta, mean, var = (
        per_channel(default if value is None else value, X.ndim)
        for value, default in ((gamma, ones), (beta, zeros), (mean, zeros), (var, ones))
    )
    return Case(X, gamma, beta, mean, var, eps, momentum, mask)


def draw(shape: tuple[int, ...], seed, eps=1e-5, momentum=0.9, offset=0.5) -> Case:
    """Draw a case whose channels have spread-out values, from a random state of its own."""
    rng = np.random.RandomState(seed)
    X = offset + rng.permutation(np.linspace(-2, 2, int(np.prod(shape)))).reshape(shape)
    X = X + 0.3 * rng.normal(size=shape)
    gamma, beta, mean = rng.uniform(0.5, 2, (3, shape[1])) * rng.choice([-1, 1], (3, shape[1]))
    return make(X, gamma, beta, mean, rng.uniform(0.5, 2, shape[1]), eps, momentum)


def close(received, expected, tolerance: float = 1e-4) -> bool:
    """Compare every element; `tolerance` is relative to the largest. False for NaN."""
    if np.shape(received) != np.shape(expected):
        return False
    return bool(np.abs(received - expected).max() <= tolerance * max(1, np.abs(expected).max()))
