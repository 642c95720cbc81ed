"""What a worker measures in PyTorch: the same network, once more."""

from __future__ import annotations

import os
import time
from functools import partial
from typing import Callable

import torch
from torch import nn

from benchmarks.others import beside

BATCH = 256


def batch_norm(X, gamma, beta, moving_mean, moving_var, eps, momentum):
    """Batch normalization from scratch in training mode, as PyTorch's readers write it."""
    axes = (0,) if X.dim() == 2 else (0, 2, 3)
    mean = X.mean(dim=axes, keepdim=True)
    var = ((X - mean) ** 2).mean(dim=axes, keepdim=True)
    X_hat = (X - mean) / torch.sqrt(var + eps)
    moving_mean = momentum * moving_mean + (1.0 - momentum) * mean.detach()
    moving_var = momentum * moving_var + (1.0 - momentum) * var.detach()
    return gamma * X_hat + beta, moving_mean, moving_var


class ScratchBatchNorm(nn.Module):
    """The layer around it."""

    def __init__(self, num_features: int, num_dims: int) -> None:
        super().__init__()
        shape = (1, num_features) if num_dims == 2 else (1, num_features, 1, 1)
        self.gamma = nn.Parameter(torch.ones(shape))
        self.beta = nn.Parameter(torch.zeros(shape))
        self.register_buffer("moving_mean", torch.zeros(shape))
        self.register_buffer("moving_var", torch.zeros(shape))

    def forward(self, X):
        """Normalize `X` and update the moving averages."""
        Y, self.moving_mean, self.moving_var = batch_norm(
            X, self.gamma, self.beta, self.moving_mean, self.moving_var, 1e-5, 0.9
        )
        return Y


def built_in(num_features: int, num_dims: int) -> nn.Module:
    """PyTorch's own layer."""
    return nn.BatchNorm1d(num_features) if num_dims == 2 else nn.BatchNorm2d(num_features)


NORMS = {"PyTorch, from scratch": ScratchBatchNorm, "PyTorch, built in": built_in}


class TorchSide:
    """Answers the calls of a worker (see worker.py)."""

    def __init__(self) -> None:
        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
        torch.manual_seed(0)
        self.programs: dict[str, Callable[[int], float]] = {}
        self.operations: dict[str, Callable[[], None]] = {}
        self.shape: tuple[int, ...] = ()

    def version(self) -> str:
        """PyTorch's version."""
        return torch.__version__

    def train(self, name: str, steps: int) -> dict[str, float]:
        """Examples a second of LeNet with the normalization `name`, and what others took."""
        if name not in self.programs:
            self.programs[name] = partial(train, *network(name), batches_in_memory())
            self.programs[name](2)
        return beside(lambda: self.programs[name](steps))

    def operation(self, name: str, shape: list[int], passes: int) -> float:
        """Milliseconds of forward and backward of one normalization layer."""
        if tuple(shape) != self.shape:
            self.shape, self.operations = tuple(shape), {}
        if name not in self.operations:
            self.operations[name] = passes_of(NORMS[name](shape[1], len(shape)), self.shape)
            self.operations[name]()
        start = time.perf_counter()
        for _ in range(passes):
            self.operations[name]()
        return (time.perf_counter() - start) / passes * 1e3


def batches_in_memory(count: int = 4):
    """Some batches of noise."""
    return [(torch.rand(BATCH, 1, 28, 28), torch.randint(0, 10, (BATCH,))) for _ in range(count)]


def network(name: str):
    """LeNet, layer by layer as `d2l_bn.lenet`, and its optimizer."""
    norm, layers, before = NORMS[name], [], 1
    for channels in (6, 16):
        layers += [nn.Conv2d(before, channels, 5), norm(channels, 4), nn.Sigmoid()]
        layers += [nn.MaxPool2d(2, 2)]
        before = channels
    layers, before = [*layers, nn.Flatten()], 256
    for features in (120, 84):
        layers += [nn.Linear(before, features), norm(features, 2), nn.Sigmoid()]
        before = features
    net = nn.Sequential(*layers, nn.Linear(before, 10))
    return net, torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)


def train(net, optimizer, data, steps: int) -> float:
    """Train for some steps; the examples a second."""
    start = time.perf_counter()
    for step in range(steps):
        X, y = data[step % len(data)]
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(X), y).backward()
        optimizer.step()
    return BATCH * steps / (time.perf_counter() - start)


def passes_of(layer: nn.Module, shape: tuple[int, ...]):
    """A function that runs `layer` forward and backward once."""
    X, G = torch.randn(shape).requires_grad_(), torch.randn(shape)

    def run() -> None:
        X.grad = None
        layer(X).backward(G)

    return run


Side = TorchSide
