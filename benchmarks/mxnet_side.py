"""What a worker measures in MXNet."""

from __future__ import annotations

import time
from functools import partial
from typing import Callable

import numpy as np

from benchmarks.others import beside
from d2l_bn import BatchNorm, gluon_norm, lenet
from d2l_bn.reference.source import SourceBatchNorm

import mxnet as mx
from mxnet import autograd, gluon, init, nd
from mxnet.gluon import nn

BATCH = 256
IMAGE = (1, 28, 28)
NORMS = {
    "none": None,
    "Gluon": gluon_norm,
    "Gluon, hybridized": gluon_norm,
    "ours": BatchNorm,
    "source": SourceBatchNorm,
}
softmax_cross_entropy = gluon.loss.SoftmaxCrossEntropyLoss()


class MXNetSide:
    """Answers the calls of a worker (see worker.py)."""

    def __init__(self) -> None:
        self.programs: dict[str, Callable[[int], float]] = {}
        self.operations: dict[str, Callable[[], None]] = {}
        self.shape: tuple[int, ...] = ()

    def version(self) -> str:
        """MXNet's version."""
        return mx.__version__

    def train(self, name: str, steps: int) -> dict[str, float]:
        """Examples a second of LeNet with the normalization `name`, and what others took."""
        if name not in self.programs:
            self.programs[name] = partial(train, *network(name), batches_in_memory())
            self.programs[name](2)  # the first steps plan graphs and fill memory
        return beside(lambda: self.programs[name](steps))

    def operation(self, name: str, shape: list[int], passes: int) -> float:
        """Milliseconds of forward and backward of one normalization layer."""
        if tuple(shape) != self.shape:
            self.shape, self.operations = tuple(shape), {}
        if name not in self.operations:
            layer = NORMS[name](shape[1], len(shape))
            self.operations[name] = passes_of(layer, self.shape)
            self.operations[name]()
        return milliseconds(self.operations[name], passes)

    def layers(self, passes: int) -> list[dict]:
        """Shapes of each layer of LeNet with Gluon's normalization, and its milliseconds."""
        net, _ = network("Gluon")
        X, rows = batches_in_memory()[0][0], []
        for layer in net:
            run = passes_of(layer, X.shape, initialize=False)
            run()
            Y = layer(X)
            weights = [w.shape for w in layer.collect_params().values() if w.grad_req != "null"]
            rows.append(
                {
                    "layer": type(layer).__name__,
                    "input": X.shape,
                    "output": Y.shape,
                    "weights": weights,
                    "ms": milliseconds(run, passes),
                }
            )
            X = Y
        return rows

    def machine(self) -> dict[str, float]:
        """Bytes and operations a second: a copy of a large array, and a large matrix product."""
        large = nd.ones((32, 1024, 1024))  # 128 MB, far more than the caches hold
        target = nd.zeros_like(large)
        matrix = nd.ones((1024, 1024))
        # The best of some, since a bound is what the machine can do when nothing disturbs it.
        copy = min(milliseconds(lambda: large.copyto(target), 1) for _ in range(8))
        options = {"num_hidden": 1024, "no_bias": True}  # faster here than nd.dot
        multiply = partial(nd.FullyConnected, matrix, matrix, **options)
        product = min(milliseconds(multiply, 1) for _ in range(8))
        return {
            "bytes_per_second": 2 * 4 * large.size / copy * 1e3,  # read and written
            "operations_per_second": 2 * 1024**3 / product * 1e3,
        }


def batches_in_memory(count: int = 4) -> list[tuple[nd.NDArray, nd.NDArray]]:
    """Some batches of noise, as MXNet arrays: speed doesn't depend on the values."""
    rng = np.random.default_rng(0)
    return [
        (nd.array(rng.random((BATCH, *IMAGE))), nd.array(rng.integers(0, 10, BATCH)))
        for _ in range(count)
    ]


def network(name: str) -> tuple[gluon.Block, gluon.Trainer]:
    """LeNet with one of the normalizations, and its optimizer."""
    net = lenet(NORMS[name])
    if "hybridized" in name:
        layers, net = list(net), nn.HybridSequential()
        net.add(*layers)
        net.hybridize(static_alloc=True, static_shape=True)
    net.initialize(init.Xavier())
    net(nd.zeros((2, *IMAGE)))
    options = {"learning_rate": 0.1, "momentum": 0.9}
    return net, gluon.Trainer(net.collect_params(), "sgd", options)


def train(net: gluon.Block, trainer: gluon.Trainer, data, steps: int) -> float:
    """Train for some steps; the examples a second."""
    start = time.perf_counter()
    for step in range(steps):
        X, y = data[step % len(data)]
        with autograd.record():
            loss = softmax_cross_entropy(net(X), y)
        loss.backward()
        trainer.step(BATCH)
    nd.waitall()
    return BATCH * steps / (time.perf_counter() - start)


def passes_of(layer: gluon.Block, shape: tuple[int, ...], *, initialize: bool = True):
    """A function that runs `layer` forward and backward once."""
    if initialize:
        layer.initialize()
    X, G = nd.random.normal(3, 2, shape), None
    X.attach_grad()

    def run() -> None:
        nonlocal G
        with autograd.record():
            Y = layer(X)
        if G is None:
            G = nd.random.normal(shape=Y.shape)
        Y.backward(G)

    return run


def milliseconds(run: Callable, passes: int) -> float:
    """How long a call takes, on average over some calls."""
    nd.waitall()
    start = time.perf_counter()
    for _ in range(passes):
        run()
        nd.waitall()
    return (time.perf_counter() - start) / passes * 1e3


Side = MXNetSide
