"""Experiment 4: activations, gradients and update:data ratios, layer by layer.

LeNet on the sample. The size of the signals tells whether a layer learns: a gradient that shrinks
from layer to layer, or an update that is a millionth of the weights, is no learning.
"""

from __future__ import annotations

import numpy as np

from experiments import parts
from experiments.tables import Experiment

from mxnet import autograd, nd
from mxnet.gluon import nn

STEPS, EVERY, LR, BATCH = 600, 20, 0.3, 64
EDGES = np.linspace(0, 1, 41)  # of the histograms of what comes out of a sigmoid


def run_ratios(norm: str, seed: int, steps: int = STEPS):
    """Train; each `EVERY` steps a row for each weight."""
    dataset = parts.images("sample")
    net = parts.lenet(norm, dataset, seed)
    optimizer = parts.trainer(net, LR)
    layers = [layer for layer in net if hasattr(layer, "weight")]
    for number, (X, y) in enumerate(parts.endless(dataset, BATCH, seed), 1):
        if number > steps:
            return
        before = [layer.weight.data().copy() for layer in layers]
        parts.step(net, optimizer, X, y)
        if number == 1 or number % EVERY == 0:
            for depth, (layer, old) in enumerate(zip(layers, before), 1):
                update = (layer.weight.data() - old).asnumpy().std()
                yield {
                    "step": number,
                    "layer": depth,
                    "log10_update_to_data": float(np.log10(update / old.asnumpy().std() + 1e-12)),
                    "gradient_std": float(layer.weight.grad().asnumpy().std()) / len(y),
                }


def run_histograms(norm: str, seed: int, steps: int = STEPS):
    """Histograms of what each sigmoid gives, and its gradient, before and after training."""
    dataset = parts.images("sample")
    net = parts.lenet(norm, dataset, seed)
    optimizer = parts.trainer(net, LR)
    batches = parts.endless(dataset, BATCH, seed)
    X, y = next(parts.batches(dataset.test_images, dataset.test_labels, 256))
    yield from _histograms(net, X, y, 0)
    for _ in range(steps):
        parts.step(net, optimizer, *next(batches))
    yield from _histograms(net, X, y, steps)


def _histograms(net, X: nd.NDArray, y: nd.NDArray, step: int):
    outputs, probes = [], []
    with autograd.record():
        for layer in net:
            X = layer(X)
            if isinstance(layer, nn.Activation):
                outputs.append(X)
                probes.append(nd.zeros(X.shape))  # added, so that its gradient is that of X
                probes[-1].attach_grad()
                X = X + probes[-1]
        loss = parts.softmax_cross_entropy(X, y).mean()
    loss.backward()
    gradients = [probe.grad for probe in probes]
    for depth, (output, gradient) in enumerate(zip(outputs, gradients), 1):
        share = np.histogram(output.asnumpy(), EDGES)[0] / output.size
        size = float(np.log10(gradient.asnumpy().std() + 1e-30))
        for left, part in zip(EDGES, share):
            yield {
                "step": step,
                "layer": depth,
                "left": float(left),
                "share": float(part),
                "log10_gradient_std": size,
            }


def _cases(seeds: int) -> tuple[dict, ...]:
    norms = ("none", "scratch")
    return tuple({"norm": norm, "seed": seed} for seed in range(seeds) for norm in norms)


EXPERIMENTS = (
    Experiment("ratios", _cases(3), run_ratios),
    Experiment("histograms", _cases(3), run_histograms),
)
