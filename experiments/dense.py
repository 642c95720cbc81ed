"""A dense network with batch normalization: its weights have no scale, gamma and beta can do much.

Rectified units on the sample, without biases. `scale_invariance`: what scale invariance does to
the norm of the weights and to weight decay (van Laarhoven, "L2 regularization versus batch and
weight normalization", 2017, arXiv:1706.05350). `only_gamma_beta`: random weights that stay as they
are, and only gamma and beta trained, against as many weights (Frankle, Schwab and Morcos, "Training
BatchNorm and only BatchNorm", 2020, arXiv:2003.00152).
"""

from __future__ import annotations

from itertools import islice

import numpy as np

import d2l_bn
from d2l_bn import recalibrate
from d2l_bn.training import evaluate
from experiments import shared
from experiments.tables import Experiment, grid

from mxnet import gluon, nd
from mxnet.gluon import nn

UNITS, BATCH, STEPS, EVERY, LR = 100, 100, 1_200, 200, 0.1
# Of the hidden layers' weights: learning rate, weight decay, and a factor at the start.
RUNS = {
    "reference": (0.1, 0.05, 1),
    "rate x 4, decay / 4, weights x 2": (0.4, 0.0125, 2),
    "rate x 4, decay / 4": (0.4, 0.0125, 1),
    "no decay": (0.1, 0.0, 1),
}


def network(hidden: int, seed: int) -> nn.Sequential:
    """Hidden layers of rectified units, normalized before them, and ten outputs."""
    net = nn.Sequential()
    for _ in range(hidden):
        net.add(nn.Dense(UNITS, use_bias=False), d2l_bn.BatchNorm(UNITS, 2))
        net.add(nn.Activation("relu"))
    net.add(nn.Dense(10, use_bias=False))
    return shared.initialized(net, shared.images("sample"), seed)


def weights_of(net: nn.Sequential) -> list[gluon.Parameter]:
    """The weights of the dense layers, the outputs' last."""
    return [layer.weight for layer in net if hasattr(layer, "weight")]


def run_invariance(run: str, seed: int, steps: int = STEPS):
    """Train one network; yield rows on its weights, of which only the hidden ones decay."""
    rate, decay, factor = RUNS[run]
    net = network(2, seed)
    *hidden, last = weights_of(net)
    for parameter in net.collect_params().values():
        parameter.wd_mult = 0
    for weight in hidden:
        weight.lr_mult, weight.wd_mult = rate / LR, 1
        weight.set_data(factor * weight.data())
    optimizer = shared.trainer(net, LR, wd=decay)
    first, added = length(hidden[0].data()), 0.0
    cosines: list[list[float]] = []
    losses = []
    for number, (X, y) in enumerate(islice(batches(seed), steps), 1):
        before = [weight.data().copy() for weight in (*hidden, last)]
        losses.append(shared.step(net, optimizer, X, y).mean())
        slopes = [weight.grad() / BATCH for weight in (*hidden, last)]
        cosines.append([abs(cosine(*pair)) for pair in zip(before, slopes)])
        added += (rate * length(slopes[0])) ** 2
        if number % EVERY == 0 or number == steps:
            yield {
                "step": number,
                "train_loss": float(nd.concat(*losses, dim=0).mean().asscalar()),
                "norm": length(hidden[0].data()),
                "pythagoras": float(np.sqrt(first**2 + added)),
                "cosine_before_norm": max(max(row[:-1]) for row in cosines),
                "cosine_last": float(np.mean([row[-1] for row in cosines])),
            }
            cosines.clear()
            losses.clear()


def batches(seed: int):
    """Batches of the sample without end."""
    return shared.endless(shared.images("sample"), BATCH, seed)


def length(array: nd.NDArray) -> float:
    """The Euclidean length of an array, in float64."""
    return float(np.linalg.norm(array.asnumpy().astype(float)))


def cosine(one: nd.NDArray, other: nd.NDArray) -> float:
    """The cosine of the angle between two arrays, in float64."""
    product = np.vdot(one.asnumpy().astype(float), other.asnumpy().astype(float))
    return float(product / (length(one) * length(other)))


# What is trained, and the best of the rates on the training loss of the seeds that chose it.
TRAINED = {"gamma and beta": 3.0, "as many weights": 30.0, "the outputs' weights": 0.3, "all": 0.3}
RATES, CHOOSING, PART_STEPS = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0), (100, 101), 1_200


def run_part(trained: str, lr: float, seed: int, steps: int = PART_STEPS):
    """Train a part of a network, the rest as at the start; yield a row at the end."""
    dataset, net = shared.images("sample"), network(3, seed)
    optimizer, masks = shared.trainer(net, lr), masks_of(net, trained, seed)
    losses = []
    for X, y in islice(batches(seed), steps):
        losses.append(shared.step(net, optimizer, X, y, masks=masks).mean())
    recalibrate(net, shared.training_images(dataset, 6_000))
    test = shared.batches(dataset.test_images, dataset.test_labels, 1000)
    loss = float(nd.concat(*losses[-60:], dim=0).mean().asscalar())  # of the last epoch
    yield {"train_loss": loss, "test_accuracy": evaluate(net, test)}


def masks_of(net: nn.Sequential, trained: str, seed: int) -> dict[gluon.Parameter, object]:
    """What each gradient is multiplied by: 1 where a value is trained, else 0."""
    rng = np.random.default_rng([seed, 1])
    weights = weights_of(net)
    masks: dict[gluon.Parameter, object] = {}
    for parameter in net.collect_params().values():
        if parameter.grad_req == "null" or trained == "all":
            continue
        masks[parameter] = float(trained == "gamma and beta" and parameter not in weights)
    if trained == "the outputs' weights":
        masks[weights[-1]] = 1.0
    elif trained == "as many weights":  # two of each unit, in place of its gamma and beta
        for weight in weights[:-1]:
            units, inputs = weight.shape
            order = rng.permuted(np.tile(np.arange(inputs), (units, 1)), axis=1)
            masks[weight] = nd.array(order < 2)
    return masks


EXPERIMENTS = (
    Experiment("scale_invariance", grid(seed=range(10), run=RUNS), run_invariance),
    Experiment(
        "only_gamma_beta",
        grid(trained=TRAINED, lr=RATES, seed=CHOOSING)
        + tuple(
            {"trained": name, "lr": lr, "seed": seed}
            for seed in range(10)
            for name, lr in TRAINED.items()
        ),
        run_part,
    ),
)
