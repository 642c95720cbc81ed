"""Experiment 3b: smoothness and covariate shift as Santurkar and others (2018) define them.

Along the step: walk from the weights w in the direction of the negative gradient g, and look at
the loss, at how far the gradient there is from g, and at that change over the distance walked
(figure 4). Internal covariate shift of a layer (definition 2.1): how much its gradient changes
when the layers before it take their step. On two networks that learn without normalization too:
LeNet with initial weights three times as large, and a small VGG with ReLU. The shift also on the
paper's 25 linear layers, as in `deep_linear` without biases.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice, repeat
from typing import Optional

import numpy as np

from d2l_bn.training import NORMS, set_seed, softmax_cross_entropy
from experiments import deep_linear, shared
from experiments.tables import Experiment, grid

import mxnet as mx
from mxnet import autograd, gluon, nd
from mxnet.gluon import nn

BATCH = 64
WALK = np.linspace(0.25, 2, 8)  # how far to walk, in steps of the learning rate
STEPS = {"lenet x3": 900, "vgg": 300, "linear": 1_000}
EVERY = {"lenet x3": 30, "vgg": 20, "linear": 100}
SHIFT_EVERY = {"lenet x3": 60, "vgg": 40, "linear": 100}
RATE = {"lenet x3": 0.3, "vgg": 0.05, "linear": deep_linear.LR * deep_linear.SAMPLES}
LINEAR_LAYERS = (2, 8, 14, 20, 25)  # those of the linear network that are measured


def network(name: str, norm: str, seed: int) -> gluon.Block:
    """LeNet with initial weights three times as large, the small VGG, or the linear layers."""
    if name == "linear":
        set_seed(seed)
        return deep_linear.network(norm)
    dataset = shared.images("sample")
    if name == "vgg":
        return shared.initialized(vgg(norm), dataset, seed)
    net = shared.lenet(norm, dataset, seed)
    shared.scale_weights(net, 3)
    return net


def vgg(norm: str) -> nn.Sequential:
    """Six 3x3 convolutions in three pairs and two dense layers, with ReLU and He's initial weights.

    After Simonyan and Zisserman (2015), arXiv:1409.1556, with 8 to 32 channels in place of 64 to
    512; initial weights after He and others (2015), arXiv:1502.01852.
    """
    net, kind = nn.Sequential(), NORMS[norm]
    he = mx.init.Xavier("gaussian", factor_type="in", magnitude=2)
    for channels in (8, 16, 32):
        for _ in range(2):
            net.add(nn.Conv2D(channels, kernel_size=3, padding=1, weight_initializer=he))
            if kind is not None:
                net.add(kind(channels, 4))
            net.add(nn.Activation("relu"))
        net.add(nn.MaxPool2D(2))
    net.add(nn.Dense(64, weight_initializer=he))
    if kind is not None:
        net.add(kind(64, 2))
    net.add(nn.Activation("relu"), nn.Dense(10, weight_initializer=he))
    return net


def run_bands(net: str, norm: str, seed: int, steps: Optional[int] = None):
    """Train on the sample; yield what lies along the step now and then."""
    for number, model, X, y in moments(net, norm, seed, steps, EVERY[net]):
        yield {"step": number, **along_the_gradient(model, X, y, RATE[net])}


def run_shift(net: str, norm: str, seed: int, steps: Optional[int] = None):
    """Train on the sample; yield each layer's internal covariate shift now and then."""
    for number, model, X, y in moments(net, norm, seed, steps, SHIFT_EVERY[net]):
        shifts = covariate_shift(model, X, y, RATE[net], loss_of(net))
        for layer, (length, change, cosine) in enumerate(shifts, 2):
            if net != "linear" or layer in LINEAR_LAYERS:
                place = {"step": number, "layer": layer}
                yield {**place, "gradient": length, "change": change, "cosine": cosine}


def moments(net: str, norm: str, seed: int, steps: Optional[int], every: int):
    """Train, and yield (step, network, X, y) before some of the steps, at the batch they take."""
    if net == "linear":
        batches: Iterable = repeat(deep_linear.task(seed))  # all samples in one batch
    else:
        batches = shared.endless(shared.images("sample"), BATCH, seed)
    model = network(net, norm, seed)
    optimizer = shared.trainer(model, RATE[net])
    for number, (X, y) in enumerate(islice(batches, steps or STEPS[net]), 1):
        if number == 1:
            model(X)  # now all shapes are known
        if number % every == 0:
            yield number, model, X, y
        shared.step(model, optimizer, X, y, loss=loss_of(net))


def loss_of(net: str) -> Callable:
    """What the network is trained for: a loss for each example."""
    return squared_error if net == "linear" else softmax_cross_entropy


def squared_error(output: nd.NDArray, targets: nd.NDArray) -> nd.NDArray:
    """The sum over the outputs, for each example."""
    return (output - targets).square().sum(axis=1)


def along_the_gradient(net: gluon.Block, X: nd.NDArray, y: nd.NDArray, rate: float) -> dict:
    """Loss and gradient here, and the least and greatest of what lies along the step.

    `beta` is the paper's "effective" smoothness: the greatest change of the gradient over the
    distance moved.
    """
    trained = trained_parameters(net)
    with shared.restored(net) as kept:
        loss_here, here = loss_and_gradient(net, trained, X, y)
        losses, changes = [], []
        for distance in rate * WALK:
            for parameter, gradient in zip(trained, here):
                parameter.set_data(kept[parameter] - distance * gradient)
            loss, there = loss_and_gradient(net, trained, X, y)
            losses.append(loss)
            changes.append(length([a - b for a, b in zip(here, there)]))
    moved = rate * WALK * length(here)
    return {
        "loss": loss_here,
        "gradient": length(here),
        "loss_min": min(losses),
        "loss_max": max(losses),
        "change_min": min(changes),
        "change_max": max(changes),
        "beta": float(max(changes / moved)),
    }


def covariate_shift(
    net, X: nd.NDArray, y: nd.NDArray, rate: float, loss: Callable = softmax_cross_entropy
) -> list[tuple]:
    """For each layer from the second on, definition 2.1 at one step of training.

    Returns
    -------
    list of (length, change, cosine)
        |G|, the length of the gradient of the layer's weights; |G - G'|, where G' is the same
        gradient, of the same batch, after the layers before it have taken their step; and the
        cosine of the angle between G and G'.
    """
    layers = [[p for p in group if p.grad_req != "null"] for group in groups(net)]
    found = []
    with shared.restored(net) as kept:
        everything = [parameter for layer in layers for parameter in layer]
        _, gradients = loss_and_gradient(net, everything, X, y, loss)
        step = dict(zip(everything, gradients))
        for before, layer in zip(layers, layers[1:]):
            for parameter in before:
                parameter.set_data(kept[parameter] - rate * step[parameter])
            weight, G = layer[0], step[layer[0]]
            _, (G_after,) = loss_and_gradient(net, [weight], X, y, loss)
            cosine = float((G * G_after).sum().asscalar()) / (length([G]) * length([G_after]))
            found.append((length([G]), length([G - G_after]), cosine))
    return found


def groups(net) -> list[list]:
    """The parameters of each layer: those of an affine map, and of the normalization after it."""
    found: list[list] = []
    for layer in net:
        if hasattr(layer, "weight"):
            found.append(list(layer.collect_params().values()))
        elif found:
            found[-1] += layer.collect_params().values()
    return found


def trained_parameters(net: gluon.Block) -> list:
    """All parameters that are trained; the moving averages aren't."""
    return [p for p in net.collect_params().values() if p.grad_req != "null"]


def loss_and_gradient(
    net, parameters, X, y, loss: Callable = softmax_cross_entropy
) -> tuple[float, list[nd.NDArray]]:
    """The mean loss of a batch in training mode, and its gradient with respect to parameters."""
    with autograd.record():
        mean = loss(net(X), y).mean()
    mean.backward()
    return float(mean.asscalar()), [parameter.grad().copy() for parameter in parameters]


def length(arrays: list[nd.NDArray]) -> float:
    """The Euclidean length of all arrays together."""
    return float(np.sqrt(sum((array**2).sum().asscalar() for array in arrays)))


CASES = grid(net=STEPS, seed=range(3), norm=("none", "scratch"))
EXPERIMENTS = (
    Experiment("bands", tuple(case for case in CASES if case["net"] != "linear"), run_bands),
    Experiment("definition_2_1", CASES, run_shift),
)
