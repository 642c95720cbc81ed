"""Experiment 1: figure 1 of Ioffe and Szegedy (2015), section 4.1, on Fashion-MNIST.

Three hidden layers of 100 sigmoid units, small Gaussian initial weights, batches of 60. Test
accuracy over the steps, and how the inputs of the last hidden layer's sigmoids move. With batch
normalization both are measured twice: with the moving averages, and with statistics measured
anew under the weights of that step.
"""

from __future__ import annotations

from collections import deque
from itertools import islice

import numpy as np

from d2l_bn import recalibrate
from d2l_bn.training import NORMS, evaluate
from experiments import shared
from experiments.tables import Experiment, grid

from mxnet import autograd, init, nd
from mxnet.gluon import nn

STEPS, EVERY = 50_000, 1_000
UNITS = 100
UNIT = 0  # the one whose track is kept; the movement is that of all
PERCENTILES = (15, 50, 85)
RECALIBRATION = 10_000  # training images that the statistics are measured on


def run(norm: str, seed: int, steps: int = STEPS, data: str = "fashion-mnist"):
    """Train one network; yield a row every `EVERY` steps for each kind of statistics."""
    dataset = shared.images(data)
    net = shared.initialized(network(norm), dataset, seed)
    optimizer = shared.trainer(net, lr=0.1)
    test = list(shared.batches(dataset.test_images, dataset.test_labels, 1000))
    before: dict[str, np.ndarray] = {}
    for number, (X, y) in enumerate(islice(shared.endless(dataset, 60, seed), steps), 1):
        shared.step(net, optimizer, X, y)
        if number % EVERY == 0 or number == steps:
            for statistics in ("none",) if norm == "none" else ("moving", "anew"):
                with shared.restored(net):  # training goes on as if nothing had been measured
                    if statistics == "anew":
                        recalibrate(net, shared.training_images(dataset, RECALIBRATION))
                    now = np.percentile(unit_inputs(net, test[0][0]), PERCENTILES, axis=0)
                    accuracy = evaluate(net, test)
                yield {
                    "step": number,
                    "statistics": statistics,
                    "test_accuracy": accuracy,
                    "moves": movement(before.get(statistics), now),
                    **{f"p{p}": float(value) for p, value in zip(PERCENTILES, now[:, UNIT])},
                }
                before[statistics] = now


def network(norm: str) -> nn.Sequential:
    """Three hidden layers, normalized before each sigmoid, and Gaussian initial weights."""
    net, kind, weights = nn.Sequential(), NORMS[norm], init.Normal(0.1)
    for _ in range(3):
        net.add(nn.Dense(UNITS, weight_initializer=weights))
        if kind is not None:
            net.add(kind(UNITS, 2))
        net.add(nn.Activation("sigmoid"))
    net.add(nn.Dense(10, weight_initializer=weights))
    return net


def unit_inputs(net, X: nd.NDArray) -> np.ndarray:
    """What the sigmoids of the last hidden layer get: (image, unit)."""
    for layer in list(net)[:-2]:
        X = layer(X)
    return X.asnumpy()


def movement(before, now: np.ndarray) -> float:
    """How far a unit's median moved since the last row, as a share of its band's width.

    The median over the units; the width is from the 15th to the 85th percentile. The first row
    has none before it, and gets NaN.
    """
    if before is None:
        return float("nan")
    low, middle, high = now
    return float(np.median(np.abs(middle - before[1]) / (high - low)))


REPLAYED = 60  # batches; of older ones the moving averages keep a share of 0.9^60


def run_lag(seed: int, steps: int = 940, every: int = 94):
    """Tell the lag of the moving averages from their being averages of few images.

    LeNet on the sample at a constant rate of 1.0, and for the same weights three kinds of
    statistics: the moving averages, those that the same last batches leave if they go through the
    network again, and those of many images.
    """
    dataset = shared.images("sample")
    net = shared.lenet("scratch", dataset, seed)
    optimizer = shared.trainer(net, 1.0)
    recent: deque[nd.NDArray] = deque(maxlen=REPLAYED)
    test = list(shared.batches(dataset.test_images, dataset.test_labels, 1000))
    for number, (X, y) in enumerate(islice(shared.endless(dataset, 64, seed), steps), 1):
        shared.step(net, optimizer, X, y)
        recent.append(X)
        if number % every == 0 and number > steps / 2:
            row = {"step": number, "moving": evaluate(net, test)}
            with shared.restored(net):
                with autograd.train_mode():  # the averages take their steps again
                    for old in recent:
                        net(old)
                row["replayed"] = evaluate(net, test)
            with shared.restored(net):
                recalibrate(net, shared.training_images(dataset, RECALIBRATION))
                yield {**row, "recomputed": evaluate(net, test)}


EXPERIMENTS = (
    Experiment("covariate_shift", grid(seed=range(3), norm=("none", "scratch")), run),
    # Seeds of its own, since `cure` says the same with the seeds 0 to 9.
    Experiment("lag", grid(seed=range(10, 20)), run_lag),
)
