"""A small residual network, with and without batch normalization, and blocks that start at 0.

Each block adds what two convolutions make of its input to the input itself (He and others, "Deep
residual learning", 2015, arXiv:1512.03385). With gamma at 0 in its last normalization a block
starts as the identity (Goyal and others, "Accurate, large minibatch SGD", 2017, arXiv:1706.02677).
Without normalization the same start comes from one trained factor, at first 0, on each branch
(De and Smith, "Batch normalization biases residual blocks towards the identity function", 2020,
arXiv:2002.10444, who call it SkipInit).
"""

from __future__ import annotations

import d2l_bn
from experiments import shared
from experiments.tables import Experiment, grid

from mxnet import autograd, init, nd
from mxnet.gluon import nn

KINDS, NORMALIZED = ("none", "factor 0", "batch norm", "gamma 0"), ("batch norm", "gamma 0")
RATES, BLOCKS, CHANNELS, BATCH, STEPS = (0.01, 0.1, 0.3), 8, 16, 64, 188  # two epochs


class Block(nn.Block):
    """Two convolutions beside a path that leads straight on.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    """

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.branch = nn.Sequential()
        for activation in (True, False):
            self.branch.add(convolution(CHANNELS, 3, 1))
            if kind in NORMALIZED:
                self.branch.add(d2l_bn.BatchNorm(CHANNELS, 4))
            if activation:
                self.branch.add(nn.Activation("relu"))
        if kind == "gamma 0":
            self.branch[-1].gamma.init = init.Zero()
        self.factor = None
        if kind == "factor 0":
            self.factor = self.params.get("factor", shape=(1, 1, 1, 1), init="zeros")

    def forward(self, X: nd.NDArray) -> nd.NDArray:
        """Return what the block makes of `X`, (batch, channels, height, width)."""
        return nd.relu(X + self.beside(X))

    def beside(self, X: nd.NDArray) -> nd.NDArray:
        """What the branch adds to `X`."""
        Y = self.branch(X)
        return Y if self.factor is None else nd.broadcast_mul(Y, self.factor.data())


def convolution(channels: int, size: int, stride: int) -> nn.Conv2D:
    """A convolution that keeps the size of its images, apart from its stride."""
    weights = init.MSRAPrelu(slope=0)  # after He and others, 2015, arXiv:1502.01852
    return nn.Conv2D(channels, size, stride, size // 2, weight_initializer=weights)


def network(kind: str) -> nn.Sequential:
    """Three parts: a convolution, eight blocks on images of 7 by 7, and a dense layer."""
    stem, blocks, head, net = (nn.Sequential() for _ in range(4))
    stem.add(convolution(CHANNELS, 5, 2))
    if kind in NORMALIZED:
        stem.add(d2l_bn.BatchNorm(CHANNELS, 4))
    stem.add(nn.Activation("relu"), nn.MaxPool2D(2, 2))
    blocks.add(*(Block(kind) for _ in range(BLOCKS)))
    head.add(nn.GlobalAvgPool2D(), nn.Dense(10))
    net.add(stem, blocks, head)
    return net


def run(kind: str, lr: float, seed: int, steps: int = STEPS):
    """Train one network, and yield a row at the end."""
    dataset = shared.images("sample")
    net = shared.initialized(network(kind), dataset, seed)
    X, _ = next(shared.batches(dataset.train_images, dataset.train_labels, 1000))
    before = at_the_start(net, X)
    losses = shared.train(net, shared.endless(dataset, BATCH, seed), steps, lr)
    loss = float(losses[-max(1, steps // 2) :].mean().asscalar())  # of the last epoch
    yield {**before, "train_loss": loss, "test_accuracy": shared.test_accuracy(net, dataset)}


def at_the_start(net: nn.Sequential, X: nd.NDArray) -> dict[str, float]:
    """How large the signals are in training mode, for the images `X`.

    Returns
    -------
    dict
        ``growth``, the last block's output as a multiple of the first block's input, and
        ``branch``, what the last branch adds as a multiple of what it is added to: root mean
        squares.
    """
    stem, (*blocks, last), _ = net
    with shared.restored(net), autograd.train_mode():
        first = path = stem(X)
        for block in blocks:
            path = block(path)
        sizes = [_rms(array) for array in (first, path, last.beside(path), last(path))]
    return {"growth": sizes[3] / sizes[0], "branch": sizes[2] / sizes[1]}


def _rms(array: nd.NDArray) -> float:
    """The root mean square of all values."""
    return float(array.square().mean().sqrt().asscalar())


CASES = tuple(  # ten seeds for what three left open
    case
    for case in grid(seed=range(10), kind=KINDS, lr=RATES)
    if case["seed"] < 3 or (case["kind"] in NORMALIZED and case["lr"] > RATES[0])
)
EXPERIMENTS = (Experiment("residual", CASES, run),)
