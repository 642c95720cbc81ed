"""Ghost batches: each share of a batch normalized by itself, and which averages are kept.

LeNet on 5,888 images of the sample, 46 batches of 128, ten epochs with the default recipe. The
batch is cut into shares of 2 to 128 images; only normalization sees the cut. The same network is
then tested, on the 10,000 test images of Fashion-MNIST, with the moving averages of the first
share, with the mean of all shares' averages, and with statistics recomputed over the training
images. With 128 the share is the whole batch.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

import d2l_bn
from d2l_bn import BatchNorm, recalibrate
from d2l_bn.nn import layer
from d2l_bn.training import Settings, fit
from experiments import shared
from experiments.tables import Experiment, grid

from mxnet import autograd, nd

BATCH, BATCHES = 128, 46
SHARES = (2, 4, 8, 16, 32, 64, 128)


class GhostNorm(BatchNorm):
    """Normalizes each share of the batch by itself, with moving averages for each.

    Normalizing G shares of C channels is normalizing one batch of G C channels.

    Parameters
    ----------
    num_features, num_dims : int
        As those of `BatchNorm`.
    share : int
        Images in a share, a divisor of the batch.
    """

    def __init__(self, num_features: int, num_dims: int, share: int) -> None:
        super().__init__(num_features, num_dims)
        self.share = share
        self.averages = [nd.zeros((BATCH // share, num_features)) for _ in range(2)]

    def forward(self, X):
        """Normalize, and let each share's averages take a step."""
        if not autograd.is_training():
            return super().forward(X)
        m, channels, *image = X.shape
        shares = m // self.share
        wide = (1, shares * channels, *([1] * len(image)))
        # (shares, share, channels, ...) -> (share, shares * channels, ...), and back
        X = X.reshape((shares, self.share, channels, *image)).swapaxes(0, 1)
        tiled = [
            nd.tile(p.data(), (1, shares, *([1] * len(image)))) for p in (self.gamma, self.beta)
        ]
        before = [average.reshape(wide) for average in self.averages]
        Y, *after = layer.fastest(
            X.reshape((self.share, -1, *image)), *tiled, *before, self.eps, self.momentum
        )
        self.averages = [average.reshape((shares, channels)) for average in after]
        Y = Y.reshape((self.share, shares, channels, *image)).swapaxes(0, 1)
        return Y.reshape((m, channels, *image))

    def keep(self, which: str) -> None:
        """Take the averages of the "first" share, or the "mean" of all, for predicting."""
        mean, var = (a[0] if which == "first" else a.mean(axis=0) for a in self.averages)
        shape = self.gamma.shape
        self.moving_mean, self.moving_var = mean.reshape(shape), var.reshape(shape)


def run(share: int, seed: int, epochs: int = 10):
    """Train one network, and yield its accuracies with each kind of averages."""
    whole = shared.images("sample")
    count = BATCH * BATCHES
    dataset = replace(
        whole, train_images=whole.train_images[:count], train_labels=whole.train_labels[:count]
    )
    net = d2l_bn.lenet(lambda features, dims: GhostNorm(features, dims, share))
    shared.initialized(net, dataset, seed)
    last = fit(net, dataset, Settings(seed=seed, epochs=epochs, batch_size=BATCH))[-1]
    layers = [layer for layer in net if isinstance(layer, GhostNorm)]
    row = {"train_accuracy": last["train_accuracy"]}
    images = [X for X, _ in shared.batches(dataset.train_images, dataset.train_labels, 1024)]
    for which in ("first", "mean"):
        for one in layers:
            one.keep(which)
        row[f"{which}_accuracy"] = shared.test_accuracy(net, shared.images("fashion-mnist"))
    kept = [one.moving_var.asnumpy().ravel() for one in layers]
    recalibrate(net, images)
    row["measured_accuracy"] = shared.test_accuracy(net, shared.images("fashion-mnist"))
    # The kept variance of each layer, as a share of that of all training images.
    for number, (one, var) in enumerate(zip(layers, kept), 1):
        row[f"kept_variance_{number}"] = float(np.mean(var / one.moving_var.asnumpy().ravel()))
    yield row


EXPERIMENTS = (Experiment("ghost", grid(seed=range(10), share=SHARES), run),)
