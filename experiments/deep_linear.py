"""What passes through many layers: a deep linear network in training, and random ones at depth 50.

`deep_linear`, after Santurkar and others (2018), appendix: 25 linear layers learn a random linear
map. There is no sigmoid that could saturate. With layers of rank k at most, the loss can't fall
below the residual of the best map of rank k, which Eckart and Young (1936) give: the stairs on
which such a network stands. `rank`, after Daneshmand and others, "Batch normalization provably
avoids ranks collapse for randomly initialised deep networks" (2020), arXiv:2003.01652: how many
directions are left of a batch at each depth.
"""

from __future__ import annotations

import numpy as np

from d2l_bn.training import NORMS, set_seed
from experiments import shared
from experiments.tables import Experiment, grid

import mxnet as mx
from mxnet import nd
from mxnet.gluon import nn

DEPTH, WIDTH, SAMPLES, LR, EVERY = 25, 10, 1000, 1e-6, 250
STEPS, EPS = 10_000, 1e-5
KINDS = ("batch norm", "plain", "plain, biases")  # the paper's have no biases
DEPTHS, UNITS, BATCH = (0, 1, 2, 5, 10, 20, 35, 50), 32, 128


def task(seed: int) -> tuple[nd.NDArray, nd.NDArray]:
    """Random inputs, and what a random linear map makes of them: both (SAMPLES, WIDTH)."""
    set_seed(seed)
    X, truth = nd.random.normal(shape=(SAMPLES, WIDTH)), nd.random.normal(shape=(WIDTH, WIDTH))
    return X, nd.dot(X, truth)


def stairs(targets: np.ndarray) -> np.ndarray:
    """The least loss of an affine map of rank 0, 1, ..., for each sample.

    After Eckart and Young (1936), Psychometrika 1, page 211: the sum of the squared singular
    values from the (k + 1)-th on. The targets are centred, since the bias fits their mean.
    """
    values = np.linalg.svd(targets - targets.mean(axis=0), compute_uv=False)
    return np.append(np.cumsum(values[::-1] ** 2)[::-1], 0) / len(targets)


def network(norm: str) -> nn.Sequential:
    """The linear layers without biases, each followed by its normalization, if any."""
    net, kind = nn.Sequential(), NORMS[norm]
    for _ in range(DEPTH):
        net.add(nn.Dense(WIDTH, use_bias=False))
        if kind is not None:
            net.add(kind(WIDTH, 2))
    net.initialize(mx.init.Xavier())
    return net


def run(kind: str, seed: int, steps: int = STEPS):
    """Train on the map of a seed; yield the loss and the rank of what comes out."""
    X, targets = (array.asnumpy().astype(float) for array in task(seed))
    inputs = np.hstack([X, np.ones((SAMPLES, 1))])  # a row of each map is for the biases
    if kind == "batch norm":
        inputs = X - X.mean(axis=0)
    rng = np.random.default_rng([seed, 4])
    bound = np.sqrt(3 / WIDTH)  # Xavier's
    weights = rng.uniform(-bound, bound, (DEPTH, WIDTH, WIDTH))
    biases, scales, shift = np.zeros((DEPTH, WIDTH)), np.ones((DEPTH, WIDTH)), np.zeros(WIDTH)
    second = inputs.T @ inputs / SAMPLES
    target = np.linalg.lstsq(inputs, targets, rcond=None)[0]
    mean = targets.mean(axis=0) if kind == "batch norm" else np.zeros(WIDTH)
    for number in range(1, steps + 1):
        maps, spreads = forward(weights, biases, scales, second, kind)
        apart = maps[-1] - target
        if number == 1 or number % EVERY == 0:
            values = np.linalg.svd((inputs - inputs.mean(axis=0)) @ maps[-1], compute_uv=False)
            loss = np.trace(apart.T @ second @ apart) + ((shift - mean) ** 2).sum()
            yield {"step": number, "loss": float(loss), "rank": effective_rank(values)}
        rate = LR * 2 * SAMPLES  # of the sum of squares
        gradients = backward(apart, maps, spreads, weights, scales, second)
        weights -= rate * gradients[0]
        shift -= rate * (shift - mean)
        if kind == "plain, biases":
            biases -= rate * gradients[1]
        if kind == "batch norm":
            scales -= rate * gradients[2]


def forward(weights, biases, scales, second, kind):
    """The linear map from the inputs to each layer's output, and its features' deviations.

    All layers are linear, so the 1,000 samples count by their second moments `second` alone, and
    the variance of a feature is that of its column of the map. What a normalization shifts, the
    next one takes away again; the last shift is trained beside this.
    """
    maps, spreads = [np.eye(len(second), WIDTH)], []
    for W, b, gamma in zip(weights, biases, scales):
        N = maps[-1] @ W
        if len(second) > WIDTH:
            N[-1] += b
        s = np.ones(WIDTH)
        if kind == "batch norm":
            s = np.sqrt(((second @ N) * N).sum(axis=0) + EPS)
        maps.append(N * (gamma / s))
        spreads.append(s)
    return maps, spreads


def backward(apart, maps, spreads, weights, scales, second):
    """Half the gradients of the loss with respect to weights, biases and scales."""
    dW, db, dgamma = np.zeros_like(weights), np.zeros_like(scales), np.zeros_like(scales)
    dM = second @ apart
    for n in range(DEPTH - 1, -1, -1):
        s, gamma = spreads[n], scales[n]
        N = maps[n + 1] * s / gamma
        dgamma[n] = (dM * N).sum(axis=0) / s
        dN = dM * gamma / s
        if (s != 1).any():
            dN -= second @ N * (dgamma[n] * gamma / s**2)
        dW[n], db[n] = maps[n].T @ dN, dN[-1]
        dM = dN @ weights[n].T
    return dW, db, dgamma


def effective_rank(values: np.ndarray) -> float:
    """Of singular values s, (sum s^2)^2 / sum s^4: k, if k of them are equal and the rest 0."""
    return float((values**2).sum() ** 2 / (values**4).sum())


def run_rank(activation: str, norm: str, seed: int):
    """Send a batch of images through random layers; yield its rank at some depths."""
    rng = np.random.default_rng([seed, 3])
    images = shared.images("sample").train_images
    chosen = images[rng.choice(len(images), BATCH, replace=False)].reshape(BATCH, -1) / 255
    h = chosen @ rng.normal(size=(chosen.shape[1], UNITS)) / np.sqrt(chosen.shape[1])
    for depth in range(max(DEPTHS) + 1):
        if depth in DEPTHS:
            values = np.linalg.svd(h, compute_uv=False)
            large = int((values > values[0] / 100).sum())
            yield {"depth": depth, "rank": effective_rank(values), "above_hundredth": large}
        h = h @ rng.normal(size=(UNITS, UNITS)) * np.sqrt((1 + (activation == "relu")) / UNITS)
        if norm == "batch norm":
            h = (h - h.mean(axis=0)) / np.sqrt(h.var(axis=0) + 1e-5)
        if activation == "relu":
            h = np.maximum(h, 0)


EXPERIMENTS = (
    Experiment("deep_linear", grid(seed=range(3), kind=KINDS), run),
    Experiment(
        "rank",
        grid(activation=("identity", "relu"), norm=("none", "batch norm"), seed=range(10)),
        run_rank,
    ),
)
