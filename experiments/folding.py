"""Experiment 6: batch normalization folded into the layer before it, and what that saves.

LeNet, trained for some steps on the sample so that its statistics are those of a real network.
The two networks predict by turns, so that a busy moment of the machine hits both.
"""

from __future__ import annotations

import time

import d2l_bn
from d2l_bn.training import evaluate
from experiments import shared
from experiments.tables import Experiment, grid

from mxnet import gluon, nd

STEPS, REPEATS = 200, 9
CALLS = {1: 100, 256: 4}  # predictions per repeat, by batch size


def run(norm: str, batch_size: int, seed: int, steps: int = STEPS, repeats: int = REPEATS):
    """Train, fold, time both networks, and yield a row for each repeat."""
    dataset = shared.images("sample")
    net = trained(norm, seed, steps)
    plain = d2l_bn.fold(net)
    test = list(shared.batches(dataset.test_images, dataset.test_labels, 256))
    difference = max(largest_difference(net, plain, X) for X, _ in test)
    accuracy = evaluate(plain, test)
    X, _ = next(shared.batches(dataset.test_images, dataset.test_labels, 256))
    X = X[:batch_size]
    for repeat in range(repeats):
        normalized, folded = (seconds(which, X, CALLS[batch_size]) for which in (net, plain))
        yield {
            "repeat": repeat,
            "largest_difference": difference,
            "folded_accuracy": accuracy,
            "normalized_ms": 1000 * normalized,
            "folded_ms": 1000 * folded,
        }


def trained(norm: str, seed: int, steps: int) -> gluon.Block:
    """Return LeNet after some steps of training on the sample."""
    dataset = shared.images("sample")
    net = shared.lenet(norm, dataset, seed)
    optimizer = shared.trainer(net, lr=0.3, momentum=0.9)
    batches = shared.endless(dataset, 64, seed)
    for _ in range(steps):
        shared.step(net, optimizer, *next(batches))
    return net


def largest_difference(net: gluon.Block, plain: gluon.Block, X: nd.NDArray) -> float:
    """The largest difference between the probabilities that two networks give."""
    return float((nd.softmax(net(X)) - nd.softmax(plain(X))).abs().max().asscalar())


def seconds(net: gluon.Block, X: nd.NDArray, calls: int) -> float:
    """Time of one prediction, averaged over `calls`; MXNet computes in the background."""
    net(X).wait_to_read()
    start = time.perf_counter()
    for _ in range(calls):
        net(X).wait_to_read()
    return (time.perf_counter() - start) / calls


CASES = grid(norm=("scratch", "gluon"), batch_size=CALLS, seed=range(3))
EXPERIMENTS = (Experiment("folding", CASES, run),)
