"""Experiment 4: activations, gradients and update:data ratios, layer by layer.

LeNet on the sample. The size of the signals tells whether a layer learns: a gradient that shrinks
from layer to layer, or an update that is a millionth of the weights, is no learning.
"""

from __future__ import annotations

from itertools import islice

import numpy as np

from experiments import shared
from experiments.tables import Experiment, grid

from mxnet import autograd, nd
from mxnet.gluon import nn

STEPS, EVERY, LR, BATCH = 600, 20, 0.3, 64
# Where the bars of the histograms begin and end: for what a sigmoid gives, and for the size of its
# gradient as a power of ten.
EDGES = {
    "output": np.linspace(0, 1, 41),
    "log10 gradient": np.linspace(-9, -1, 41),
}


def run_ratios(norm: str, seed: int, steps: int = STEPS):
    """Train, and yield a row for each weight every `EVERY` steps."""
    dataset = shared.images("sample")
    net = shared.lenet(norm, dataset, seed)
    optimizer = shared.trainer(net, LR)
    layers = [layer for layer in net if hasattr(layer, "weight")]
    for number, (X, y) in enumerate(islice(shared.endless(dataset, BATCH, seed), steps), 1):
        before = [layer.weight.data().copy() for layer in layers]
        shared.step(net, optimizer, X, y)
        if number == 1 or number % EVERY == 0:
            for depth, (layer, old) in enumerate(zip(layers, before), 1):
                update = (layer.weight.data() - old).asnumpy().std()
                yield {
                    "step": number,
                    "layer": depth,
                    "log10_update_to_data": float(np.log10(update / old.asnumpy().std() + 1e-12)),
                }


def run_histograms(norm: str, seed: int, steps: int = STEPS):
    """Histograms of what each sigmoid gives, and of its gradient, before and after training."""
    dataset = shared.images("sample")
    net = shared.lenet(norm, dataset, seed)
    optimizer = shared.trainer(net, LR)
    batches = shared.endless(dataset, BATCH, seed)
    X, y = next(shared.batches(dataset.test_images, dataset.test_labels, 256))
    yield from _histograms(net, X, y, 0)
    for _ in range(steps):
        shared.step(net, optimizer, *next(batches))
    yield from _histograms(net, X, y, steps)


def _histograms(net, X: nd.NDArray, y: nd.NDArray, step: int):
    for layer, (output, gradient) in enumerate(_outputs_and_gradients(net, X, y), 1):
        sizes = np.log10(np.abs(gradient[gradient != 0]))  # max pooling leaves 3 of 4 without one
        signals = (
            ("output", output, output.std()),
            ("log10 gradient", sizes, np.log10(gradient.std())),
        )
        for signal, values, spread in signals:
            edges = EDGES[signal]
            share = np.histogram(values.clip(edges[0], edges[-1]), edges)[0] / values.size
            bars = {f"bar{number}": round(float(part), 5) for number, part in enumerate(share)}
            place = {"step": step, "signal": signal, "layer": layer}
            yield {**place, "spread": float(spread), **bars}


def _outputs_and_gradients(net, X: nd.NDArray, y: nd.NDArray) -> list[tuple]:
    """For each layer of sigmoids, its output and the gradient of the mean loss with respect to it.

    The examples go through in training mode, the one in which a network meets its gradients.
    """
    outputs, probes = [], []
    with autograd.record():
        for layer in net:
            X = layer(X)
            if isinstance(layer, nn.Activation):
                outputs.append(X)
                probes.append(nd.zeros(X.shape))  # added, so that its gradient is that of X
                probes[-1].attach_grad()
                X = X + probes[-1]
        loss = shared.softmax_cross_entropy(X, y).mean()
    loss.backward()
    return [(out.asnumpy(), probe.grad.asnumpy()) for out, probe in zip(outputs, probes)]


CASES = grid(seed=range(3), norm=("none", "scratch"))
EXPERIMENTS = (
    Experiment("ratios", CASES, run_ratios),
    Experiment("histograms", CASES, run_histograms),
)
