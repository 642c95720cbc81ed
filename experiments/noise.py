"""Noise beside batch normalization: after it, and before it by dropout.

`noisy`, after Santurkar and others (2018), figure 2: noise after the normalization whose
distribution is another in each step, so that the inputs of the next layer are anything but stable.
`dropout_shift`, after Li, Chen, Hu and Yang (2019), arXiv:1801.05134: dropout before batch
normalization widens what the layer sees in training, and only in training, so that the moving
variance is too large for prediction.
"""

from __future__ import annotations

import d2l_bn
from d2l_bn.training import NORMS, Settings, fit, set_seed
from experiments import shared
from experiments.tables import Experiment, grid

from mxnet import autograd, nd
from mxnet.gluon import nn

# Algorithm 1's constants: in each step a unit's mean is from -0.5 to 0.5 and its scale from 1 to
# 1.25; the single values scatter around them by 0.1.
MEAN, SCALE, SPREAD = 0.5, 1.25, 0.1


class NoisyBatchNorm(nn.Block):
    """Batch normalization, and in training its values scaled and shifted at random: s a + m.

    For each step and channel mu ~ U(-0.5, 0.5) and sigma ~ U(1, 1.25); for each value then
    m ~ U(mu - 0.1, mu + 0.1) and s ~ N(sigma, 0.1^2).
    """

    def __init__(self, num_features: int, num_dims: int) -> None:
        super().__init__()
        self.norm = d2l_bn.BatchNorm(num_features, num_dims)

    def forward(self, X: nd.NDArray) -> nd.NDArray:
        """Normalize `X`, and in training mode scale and shift each value."""
        a = self.norm(X)
        if not autograd.is_training():
            return a
        shape = self.norm.gamma.shape
        mu = nd.random.uniform(-MEAN, MEAN, shape)
        sigma = nd.random.uniform(1, SCALE, shape)
        m = nd.broadcast_add(mu, nd.random.uniform(-SPREAD, SPREAD, a.shape))
        s = nd.broadcast_add(sigma, nd.random.normal(0, SPREAD, a.shape))
        return s * a + m


def run_noisy(norm: str, seed: int, epochs: int = 10):
    """Train LeNet on the sample, and yield a row after each epoch."""
    dataset = shared.images("sample")
    kind = NoisyBatchNorm if norm == "noisy" else NORMS[norm]
    net = shared.initialized(d2l_bn.lenet(kind), dataset, seed)
    settings = Settings(lr=0.3, momentum=0.0, batch_size=64, epochs=epochs, seed=seed)
    for row in fit(net, dataset, settings):
        yield {name: row[name] for name in ("epoch", "train_loss", "test_accuracy")}


MEANS, KEEPS, ORDERS = (0.0, 1.0, 2.0), (0.9, 0.7, 0.5), ("dropout first", "norm first")
BATCH, FEATURES = 1000, 32
COLUMNS = ("moving_var", "expected_var", "predicted_sd")


def variance_shift(
    mu: float = 0.0, keep: float = 0.5, order: str = ORDERS[0], *, seed: int = 0, steps: int = 200
) -> dict[str, float]:
    """Train batch normalization next to dropout on inputs from N(mu, 1), and then predict.

    `mu` is the mean of the inputs, `keep` the chance of keeping a value, in (0, 1], and `order` one
    of `ORDERS`; any other raises a ValueError.

    Returns
    -------
    dict
        ``moving_var``, the moving variance after `steps` batches, and ``expected_var``, what it
        should be; ``training_sd`` and ``predicted_sd``, the standard deviation of the pair's
        output in either mode. All are means over the features.

    Notes
    -----
    Batch normalization in front of dropout keeps the right variance, but what comes after the pair
    sees a standard deviation of 1 / sqrt(keep) in training and of 1 in prediction.
    """
    if order not in ORDERS:
        raise ValueError(f"order must be one of {ORDERS}, got {order!r}")
    set_seed(seed)
    norm, drop = d2l_bn.BatchNorm(FEATURES, 2), d2l_bn.Dropout(1 - keep)
    pair = nn.Sequential()
    pair.add(*((drop, norm) if order == "dropout first" else (norm, drop)))
    pair.initialize()
    with autograd.record():  # in training mode, but without a step: gamma stays 1 and beta 0
        for _ in range(steps):
            trained = pair(_inputs(mu))
    return {
        "moving_var": float(norm.running_var.data().mean().asscalar()),
        "expected_var": variance_in_training(mu, keep) if order == "dropout first" else 1.0,
        "training_sd": float(trained.asnumpy().std(axis=0).mean()),
        "predicted_sd": float(pair(_inputs(mu)).asnumpy().std(axis=0).mean()),
    }


def variance_in_training(mu: float, keep: float) -> float:
    """The variance of what inverted dropout makes of N(mu, 1).

    The mean stays, and the mean square becomes (1 + mu^2) / keep. In prediction, without dropout,
    the variance is 1 again.
    """
    return (1 + mu**2) / keep - mu**2


def run_shift(order: str, mu: float, keep: float, seed: int):
    """Measure one pair, and yield its row."""
    found = variance_shift(mu, keep, order, seed=seed)
    yield {column: found[column] for column in COLUMNS}


def _inputs(mu: float) -> nd.NDArray:
    return nd.random.normal(mu, 1, (BATCH, FEATURES))


EXPERIMENTS = (
    Experiment("noisy", grid(seed=range(10), norm=("none", "scratch", "noisy")), run_noisy),
    Experiment("dropout_shift", grid(order=ORDERS, mu=MEANS, keep=KEEPS, seed=range(3)), run_shift),
)
