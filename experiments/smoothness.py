"""Experiment 3b: smoothness and covariate shift as Santurkar and others (2018) define them.

Along the step: walk from the weights w in the direction of the negative gradient g, and look at
the loss, at how far the gradient there is from g, and at that change over the distance walked
(figure 4). Internal covariate shift of a layer (definition 2.1): how much its gradient changes
when the layers before it take their step. On two networks that learn without normalization too:
LeNet with initial weights three times as large, and a small VGG with ReLU.
"""

from __future__ import annotations

from itertools import islice
from typing import Optional

import numpy as np

from d2l_bn.training import NORMS, softmax_cross_entropy
from experiments import shared
from experiments.tables import Experiment

import mxnet as mx
from mxnet import autograd, gluon, nd
from mxnet.gluon import nn

BATCH = 64
WALK = np.linspace(0.25, 2, 8)  # how far to walk, in steps of the learning rate
STEPS = {"lenet x3": 900, "vgg": 300}
EVERY = {"lenet x3": 30, "vgg": 20}
RATE = {"lenet x3": 0.3, "vgg": 0.05}


def network(name: str, norm: str, seed: int) -> gluon.Block:
    """LeNet with initial weights three times as large, or the small VGG."""
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
    for number, model, X, y in moments(net, norm, seed, steps):
        yield {"step": number, **along_the_gradient(model, X, y, RATE[net])}


def run_shift(net: str, norm: str, seed: int, steps: Optional[int] = None):
    """Train on the sample; yield each layer's internal covariate shift now and then."""
    for number, model, X, y in moments(net, norm, seed, steps):
        for layer, (length, change, cosine) in enumerate(
            covariate_shift(model, X, y, RATE[net]), 2
        ):
            yield {
                "step": number,
                "layer": layer,
                "gradient": length,
                "change": change,
                "cosine": cosine,
            }


def moments(net: str, norm: str, seed: int, steps: Optional[int] = None):
    """Train, and yield (step, network, X, y) before some of the steps, at the batch they take."""
    model = network(net, norm, seed)
    optimizer = shared.trainer(model, RATE[net])
    batches = shared.endless(shared.images("sample"), BATCH, seed)
    for number, (X, y) in enumerate(islice(batches, steps or STEPS[net]), 1):
        if number % EVERY[net] == 0:
            yield number, model, X, y
        shared.step(model, optimizer, X, y)


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


def covariate_shift(net, X: nd.NDArray, y: nd.NDArray, rate: float) -> list[tuple]:
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
        _, gradients = loss_and_gradient(net, everything, X, y)
        step = dict(zip(everything, gradients))
        for before, layer in zip(layers, layers[1:]):
            for parameter in before:
                parameter.set_data(kept[parameter] - rate * step[parameter])
            weight, G = layer[0], step[layer[0]]
            _, (G_after,) = loss_and_gradient(net, [weight], X, y)
            cosine = float((G * G_after).sum().asscalar()) / (length([G]) * length([G_after]))
            found.append((length([G]), length([G - G_after]), cosine))
    return found


def groups(net) -> list[list]:
    """The parameters of each layer: those of an affine map, and of the normalization after it."""
    found: list[list] = []
    for layer in net:
        if hasattr(layer, "weight"):
            found.append([layer.weight, layer.bias])
        elif found:
            found[-1] += layer.collect_params().values()
    return found


def trained_parameters(net: gluon.Block) -> list:
    """All parameters that are trained; the moving averages aren't."""
    return [p for p in net.collect_params().values() if p.grad_req != "null"]


def loss_and_gradient(net, parameters, X, y) -> tuple[float, list[nd.NDArray]]:
    """The mean loss of a batch in training mode, and its gradient with respect to parameters."""
    with autograd.record():
        loss = softmax_cross_entropy(net(X), y).mean()
    loss.backward()
    return float(loss.asscalar()), [parameter.grad().copy() for parameter in parameters]


def length(arrays: list[nd.NDArray]) -> float:
    """The Euclidean length of all arrays together."""
    return float(np.sqrt(sum((array**2).sum().asscalar() for array in arrays)))


CASES = tuple({"net": net, **case} for net in STEPS for case in shared.cases())
EXPERIMENTS = (
    Experiment("bands", CASES, run_bands),
    Experiment("definition_2_1", CASES, run_shift),
)
