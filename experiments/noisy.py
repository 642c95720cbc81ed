"""Experiment 3a: noise after the normalization, after Santurkar and others (2018), figure 2.

Batch normalization, and after it noise whose distribution is another in each step, so that the
inputs of the next layer are anything but stable. The noise is that of the paper's Algorithm 1.
"""

from __future__ import annotations

import d2l_bn
from d2l_bn.training import NORMS, Settings, fit
from experiments import shared
from experiments.tables import Experiment

from mxnet import autograd, nd
from mxnet.gluon import nn

# Algorithm 1's constants: in each step a unit's mean is from -0.5 to 0.5 and its scale from 1 to
# 1.25; the single values scatter around them by 0.1.
MEAN, SCALE, SPREAD = 0.5, 1.25, 0.1
SEEDS = range(10)


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


def run(norm: str, seed: int, epochs: int = 10):
    """Train LeNet on the sample, and yield a row after each epoch."""
    dataset = shared.images("sample")
    kind = NoisyBatchNorm if norm == "noisy" else NORMS[norm]
    net = shared.initialized(d2l_bn.lenet(kind), dataset, seed)
    settings = Settings(lr=0.3, momentum=0.0, batch_size=64, epochs=epochs, seed=seed)
    for row in fit(net, dataset, settings):
        yield {name: row[name] for name in ("epoch", "train_loss", "test_accuracy")}


EXPERIMENT = Experiment("noisy", shared.cases("none", "scratch", "noisy", seeds=SEEDS), run)
