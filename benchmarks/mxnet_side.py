"""What a worker measures in MXNet."""

from __future__ import annotations

from functools import partial
from itertools import cycle, islice
from typing import Any, Callable

import numpy as np

from benchmarks.measuring import IMAGE, batches_in_memory
from d2l_bn import BatchNorm, GluonBatchNorm, lenet
from d2l_bn.reference.source import SourceBatchNorm
from d2l_bn.system.memory import keep_memory  # noqa: F401  asked for by busy.py
from d2l_bn.system.spinning import spin_where_idle  # noqa: F401  so is this

import mxnet as mx
from mxnet import autograd, gluon, init, nd
from mxnet.gluon import nn

NORMS: dict[str, Any] = {
    "none": None,
    "Gluon": GluonBatchNorm,
    "Gluon, hybridized": GluonBatchNorm,
    "ours": BatchNorm,
    "source": SourceBatchNorm,
}
# The slower ways to compute that our layer can be told to take.
WAYS = {
    f"ours, {name}": partial(BatchNorm, implementation=name) for name in ("graph", "definition")
}
LAYERS: dict[str, Any] = {
    "Gluon": GluonBatchNorm,
    "ours": BatchNorm,
    **WAYS,
    "source": SourceBatchNorm,
}
COPY = "copy of the same bytes"
# How often forward and backward read or write an array of the layer's size, at the least.
FUSED = 8  # read x for the statistics, read x, write y; read dy and x for two sums, and write dx
softmax_cross_entropy = gluon.loss.SoftmaxCrossEntropyLoss()


def names() -> list[str]:
    """The layers that can be measured here, and the copy that none of them can beat."""
    X, dY = arrays(*np.ones((2, 4, 3), np.float32))
    return [name for name in LAYERS if name not in WAYS or works(LAYERS[name], X, dY)] + [COPY]


def loss(name: str, values: str) -> float:
    """The mean loss of a new network on the first batch."""
    X, y = batches_in_memory(1)[0]
    with autograd.train_mode():
        Y = network(name, values)(nd.array(X))
    return softmax_cross_entropy(Y, nd.array(y)).mean().asscalar().item()


def program(name: str, values: str) -> Callable[[int], None]:
    """A function that trains LeNet with the normalization `name` for some steps."""
    net = network(name, values)
    options = {"learning_rate": 0.1, "momentum": 0.9}
    trainer = gluon.Trainer(net.collect_params(), "sgd", options)
    data = cycle([(nd.array(X), nd.array(y)) for X, y in batches_in_memory()])

    def run(steps: int) -> None:
        for X, y in islice(data, steps):
            step(net, trainer, X, y)
        nd.waitall()

    return run


def arrays(X: np.ndarray, dY: np.ndarray) -> tuple[nd.NDArray, nd.NDArray]:
    """The arrays of a layer's input and of the gradient from above."""
    array = nd.array(X)
    array.attach_grad()
    return array, nd.array(dY)


def layer_pass(name: str, X: nd.NDArray, dY: nd.NDArray) -> Callable[[], None]:
    """A function that runs the layer `name` forward and backward once."""
    if name == COPY:
        return partial(copy_fused_bytes, X, nd.empty(X.shape))
    layer = LAYERS[name](X.shape[1], X.ndim)
    layer.initialize()
    return partial(forward_and_backward, layer, X, dY)


def save_initial_values(path: str) -> None:
    """Write the weights and biases that every LeNet starts from, whatever its framework."""
    mx.random.seed(0)
    net = lenet(None)
    net.initialize(init.Xavier())
    net(nd.zeros((1, *IMAGE)))
    np.savez(path, *(parameter.data().asnumpy() for parameter in affine(net)))


def affine(net: gluon.Block) -> list:
    """Weight and bias of each convolution and dense layer."""
    layers = [layer for layer in net if isinstance(layer, (nn.Conv2D, nn.Dense))]
    return [parameter for layer in layers for parameter in (layer.weight, layer.bias)]


def network(name: str, values: str) -> gluon.Block:
    """LeNet with one of the normalizations and the initial values of a file."""
    net = lenet(NORMS[name])
    if "hybridized" in name:
        layers, net = list(net), nn.HybridSequential()
        net.add(*layers)
        net.hybridize(static_alloc=True, static_shape=True)
    net.initialize()
    net(nd.zeros((2, *IMAGE)))
    for parameter, value in zip(affine(net), np.load(values).values()):
        parameter.set_data(nd.array(value))
    return net


def step(net: gluon.Block, trainer: gluon.Trainer, X: nd.NDArray, y: nd.NDArray) -> nd.NDArray:
    """Take one step of training, with nothing around it; return the losses before it."""
    with autograd.record():
        loss = softmax_cross_entropy(net(X), y)
    loss.backward()
    trainer.step(len(y))
    return loss


def forward_and_backward(layer: gluon.Block, X: nd.NDArray, dY: nd.NDArray) -> None:
    """Run a layer forward and backward, and wait until both are computed."""
    with autograd.record():
        Y = layer(X)
    Y.backward(dY)
    nd.waitall()


def copy_fused_bytes(X: nd.NDArray, target: nd.NDArray) -> None:
    """Move as many bytes as a batch normalization must: a copy reads and writes each of them."""
    for _ in range(FUSED // 2):
        X.copyto(target)
    nd.waitall()


def works(make: Callable, X: nd.NDArray, dY: nd.NDArray) -> bool:
    """Whether a way to compute is possible on this machine: one of them may need a compiler."""
    try:
        layer = make(X.shape[1], X.ndim)
        layer.initialize()
        forward_and_backward(layer, X, dY)
    except Exception:
        return False
    return True
