"""What a worker measures in PyTorch: the same network, once more."""

from __future__ import annotations

import os
from functools import partial
from itertools import cycle, islice
from typing import Callable

import numpy as np
import torch
from torch import nn

from benchmarks.measuring import batches_in_memory


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
    """The layer around the function, with its parameters and averages."""

    moving_mean: torch.Tensor
    moving_var: torch.Tensor

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


torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
NORMS = {"PyTorch, from scratch": ScratchBatchNorm, "PyTorch, built in": built_in}


def names() -> list[str]:
    """The layers that can be measured."""
    return list(NORMS)


def loss(name: str, values: str) -> float:
    """The mean loss of a new network on the first batch."""
    X, y = map(torch.from_numpy, batches_in_memory(1)[0])
    return nn.functional.cross_entropy(network(name, values)(X), y).item()


def program(name: str, values: str) -> Callable[[int], None]:
    """A function that trains LeNet with the normalization `name` for some steps."""
    net = network(name, values)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    data = cycle([(torch.from_numpy(X), torch.from_numpy(y)) for X, y in batches_in_memory()])

    def run(steps: int) -> None:
        for X, y in islice(data, steps):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(X), y).backward()
            optimizer.step()

    return run


def arrays(X: np.ndarray, dY: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """The arrays of a layer's input and of the gradient from above."""
    return torch.from_numpy(X).requires_grad_(), torch.from_numpy(dY)


def layer_pass(name: str, X: torch.Tensor, dY: torch.Tensor) -> Callable[[], None]:
    """A function that runs the layer `name` forward and backward once."""
    return partial(forward_and_backward, NORMS[name](X.shape[1], X.dim()), X, dY)


def network(name: str, values: str) -> nn.Module:
    """LeNet, layer by layer as `d2l_bn.lenet`, with the initial values of a file."""
    norm, layers, before = NORMS[name], [], 1
    for channels in (6, 16):
        layers += [nn.Conv2d(before, channels, 5), norm(channels, 4), nn.Sigmoid()]
        layers += [nn.MaxPool2d(2, 2)]
        before = channels
    layers, before = [*layers, nn.Flatten()], 256
    for features in (120, 84):
        layers += [nn.Linear(before, features), norm(features, 2), nn.Sigmoid()]
        before = features
    layers.append(nn.Linear(before, 10))
    affine = [layer for layer in layers if isinstance(layer, (nn.Conv2d, nn.Linear))]
    parameters = [parameter for layer in affine for parameter in (layer.weight, layer.bias)]
    with torch.no_grad():
        for parameter, value in zip(parameters, np.load(values).values()):
            parameter.copy_(torch.from_numpy(value))
    return nn.Sequential(*layers)


def forward_and_backward(layer: nn.Module, X: torch.Tensor, dY: torch.Tensor) -> None:
    """Run a layer forward and backward."""
    X.grad = None
    layer(X).backward(dY)
