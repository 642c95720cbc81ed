"""Why batch normalization regularizes: the noise of its statistics, taken away and put back.

Three hidden layers of 100 rectified units, 1,000 training images of the sample. Only the examples
differ that mean and variance are taken of: those of the batch, of a ghost batch (the batch is cut
into parts of fixed size, after Hoffer, Hubara and Soudry, "Train longer, generalize better", 2017,
arXiv:1705.08741), or all training images. With all of them an image is normalized alike in
whichever batch it comes, and the statistics have no noise. In prediction every network uses the
statistics of all training images, so moving averages have no part in this. Each kind is trained for
several numbers of steps, since noise also slows the fitting down: what tells a regularizer from
slower fitting is the test loss at equal training loss.
"""

from __future__ import annotations

import itertools

import numpy as np

from d2l_bn.data import Dataset
from d2l_bn.training import set_seed, softmax_cross_entropy
from experiments import shared
from experiments.tables import Experiment

import mxnet as mx
from mxnet import autograd, nd
from mxnet.gluon import nn

STATISTICS = ("batch", "ghost", "all")
BATCH, GHOST, TRAINING_IMAGES = 64, 8, 1000
LR, UNITS, EPS = 0.1, 100, 1e-5
# The ghost batch fits more slowly: it gets more steps to reach the others' training losses.
FEW = (50, 75, 100, 150, 300)
STEPS = {"all": FEW, "batch": FEW, "ghost": (75, 150, 300, 600, 1200)}


class Network(nn.Block):
    """Three hidden layers, normalized with statistics that the caller chooses.

    Parameters
    ----------
    everything : NDArray, shape (images, pixels)
        All training images.
    """

    def __init__(self, everything: nd.NDArray) -> None:
        super().__init__()
        self.everything = everything
        self.hidden, self.scales, self.shifts = nn.Sequential(), [], []
        for number in range(3):
            self.hidden.add(nn.Dense(UNITS, use_bias=False))
            self.scales.append(self.params.get(f"gamma{number}", shape=UNITS, init="ones"))
            self.shifts.append(self.params.get(f"beta{number}", shape=UNITS, init="zeros"))
        self.output = nn.Dense(10)

    def forward(self, X: nd.NDArray, statistics: str) -> nd.NDArray:
        """The unnormalized log probabilities of the images `X`, shape (batch, 10)."""
        return self.output(self.features(X, statistics)[1])

    def features(self, X: nd.NDArray, statistics: str) -> tuple[nd.NDArray, nd.NDArray]:
        """What the last normalization makes of `X`, and the activations after it."""
        batch = len(X)
        if statistics == "all":  # they go through the network, too, and the gradient through them
            X = nd.concat(X, self.everything, dim=0)
        for dense, gamma, beta in zip(self.hidden, self.scales, self.shifts):
            X_hat = standardized(dense(X), statistics, len(self.everything))
            X = nd.relu(nd.broadcast_add(nd.broadcast_mul(X_hat, gamma.data()), beta.data()))
        return X_hat[:batch], X[:batch]


def standardized(X: nd.NDArray, statistics: str, everything: int) -> nd.NDArray:
    """Give each feature of `X` mean 0 and variance 1 over some of the examples.

    Parameters
    ----------
    X : NDArray, shape (examples, features)
        Where `statistics` is "ghost", `GHOST` must divide the number of examples.
    statistics : {"batch", "ghost", "all"}
        All examples, each part of `GHOST` examples for itself, or the last `everything` examples.
    everything : int
        How many examples at the end are all training images.
    """
    parts = X.reshape((-1, GHOST if statistics == "ghost" else len(X), X.shape[1]))
    sample = parts[:, -everything:] if statistics == "all" else parts
    mean = sample.mean(axis=1, keepdims=True)  # (parts, 1, features)
    var = nd.broadcast_sub(sample, mean).square().mean(axis=1, keepdims=True)
    return nd.broadcast_div(nd.broadcast_sub(parts, mean), (var + EPS).sqrt()).reshape(X.shape)


def run(statistics: str, steps: int, seed: int, batch_size: int = BATCH):
    """Train one network, and yield a row at the end."""
    train, test = divided(shared.images("sample"), seed)
    net = trained(train, statistics, batch_size, seed, steps)
    yield {
        **{f"train_{name}": value for name, value in measured(net, *train).items()},
        **{f"test_{name}": value for name, value in measured(net, *test).items()},
        "noise": noise(net, train[0], statistics, batch_size, seed),
    }


def divided(dataset: Dataset, seed: int) -> tuple[tuple[nd.NDArray, nd.NDArray], ...]:
    """Choose training images, other ones for each seed; the rest of the sample is for the test."""
    images = np.concatenate([dataset.train_images, dataset.test_images])
    labels = np.concatenate([dataset.train_labels, dataset.test_labels])
    X = nd.array(images.reshape(len(images), -1) / 255, dtype=np.float32)
    y = nd.array(labels, dtype=np.float32)
    order = nd.array(np.random.default_rng([seed, 0]).permutation(len(images)))
    parts = order[:TRAINING_IMAGES], order[TRAINING_IMAGES:]
    return tuple((X.take(chosen), y.take(chosen)) for chosen in parts)


def trained(train, statistics: str, batch_size: int, seed: int, steps: int) -> Network:
    """Train a network for some steps, with a rate that falls to 0."""
    X, y = train
    set_seed(seed)
    net = Network(X)
    net.initialize(mx.init.Xavier())
    net(X[:batch_size], "batch")  # now all shapes are known
    optimizer = shared.trainer(net, LR, momentum=0.9)
    for chosen, rate in zip(draws(len(X), batch_size, seed), shared.rates(LR, steps)):
        with autograd.record():
            loss = softmax_cross_entropy(net(X.take(chosen), statistics), y.take(chosen))
        loss.backward()
        optimizer.set_learning_rate(rate)
        optimizer.step(batch_size)
    return net


def draws(count: int, batch_size: int, seed: int):
    """Batches of different images without end, each as numbers from 0 to `count` - 1."""
    rng = np.random.default_rng([seed, 1])
    while True:
        order = rng.permutation(count)
        for start in range(0, count - batch_size + 1, batch_size):  # whole batches only
            yield nd.array(order[start : start + batch_size])


def measured(net: Network, X: nd.NDArray, y: nd.NDArray) -> dict[str, float]:
    """Mean loss and share of right answers, with the statistics of all training images."""
    output = net(X, "all")
    loss, right = softmax_cross_entropy(output, y), output.argmax(axis=1) == y
    return {"loss": float(loss.mean().asscalar()), "accuracy": float(right.mean().asscalar())}


def noise(net: Network, X: nd.NDArray, statistics: str, batch_size: int, seed: int) -> float:
    """By how much the batch that an image comes in moves it after the last normalization.

    Root mean square over units and images, where the values themselves have a mean square of 1.
    """
    true, _ = net.features(X, "all")
    squares = [
        (net.features(X.take(chosen), statistics)[0] - true.take(chosen)).square().mean()
        for chosen in itertools.islice(draws(len(X), batch_size, seed), 1024 // batch_size)
    ]
    return float(nd.stack(*squares).mean().sqrt().asscalar())


CASES = tuple(
    {"statistics": statistics, "steps": steps, "seed": seed}
    for seed in range(10)
    for statistics in STATISTICS
    for steps in STEPS[statistics]
)
EXPERIMENTS = (Experiment("regularization", CASES, run),)
