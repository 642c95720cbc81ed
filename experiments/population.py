"""Statistics of a batch beside those of the population: what noise they have, and what shifts do.

`batch_noise`: by how much the batch that a value comes in moves it, over the size of the batch.
`shifts`: a trained LeNet predicts test images that look unlike its training images, with the
statistics of training and with statistics recomputed on such images (after Schneider and others,
"Improving robustness against common corruptions by covariate shift adaptation", 2020,
arXiv:2006.16971, and Nado and others, 2020, arXiv:2006.10963).
"""

from __future__ import annotations

from typing import Callable

import numpy as np

from d2l_bn import recalibrate
from d2l_bn.training import Settings, build, evaluate, fit
from experiments import shared
from experiments.tables import Experiment, grid

from mxnet import gluon, nd

SIZES, IMAGES = (2, 4, 8, 32, 128), 6_000
MEASURED_ON = 500  # shifted test images that statistics are recomputed on; the rest is judged


def expected_noise(values: np.ndarray, size: int) -> np.ndarray:
    """The mean square by which a batch of `size` independent values moves a normalized value.

    For each column of `values`, (example, unit). With x^ normalized by the batch and z by the
    population, the mean of (x^ - z)^2 over the batch is m^2 + (1 - s)^2, where m and s are mean and
    standard deviation of the batch's z. Its expectation is 2 - 2 E[s], to first order
    (kurtosis + 3) / (4 size): 3 / (2 size) for normally distributed values.
    """
    z = (values - values.mean(axis=0)) / values.std(axis=0)
    return ((z**4).mean(axis=0) + 3) / (4 * size)


def measured_noise(values: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """The mean square of x^ - z for each unit, over batches drawn from `values`.

    Parameters
    ----------
    values : ndarray, shape (examples, units, places)
        A batch has all places of its examples.
    """
    z = values - values.mean(axis=(0, 2), keepdims=True)
    z /= z.std(axis=(0, 2), keepdims=True)
    squares = []
    for _ in range(30 + 1_000 // size):
        batch = z[rng.integers(len(z), size=size)]  # with replacement, so that they are independent
        x_hat = batch - batch.mean(axis=(0, 2), keepdims=True)
        x_hat /= np.sqrt(x_hat.var(axis=(0, 2), keepdims=True) + 1e-12)
        squares.append(((x_hat - batch) ** 2).mean(axis=(0, 2)))
    return np.mean(squares, axis=0)


def run_noise(seed: int, images: int = IMAGES, epochs: int = 1):
    """Measure the noise for random values, and in a LeNet before its first and third norm."""
    rng = np.random.default_rng([seed, 2])
    net = trained(seed, epochs)
    X = nd.concat(*shared.training_images(shared.images("sample"), images), dim=0)
    for name, values in {
        "random": rng.normal(size=(images, 100, 1)),
        "dense": inputs_of_norm(net, X, 2),
        "convolution": inputs_of_norm(net, X, 0),
    }.items():
        flat = values.swapaxes(1, 2).reshape(-1, values.shape[1])
        for size in SIZES:
            yield {
                "values": name,
                "batch_size": size,
                "noise": float(measured_noise(values, size, rng).mean()),
                "expected": float(expected_noise(flat, size).mean()),
            }


def trained(seed: int, epochs: int) -> gluon.Block:
    """A LeNet after some epochs on the sample, with recomputed statistics."""
    dataset = shared.images("sample")
    settings = Settings(batch_size=64, epochs=epochs, seed=seed)
    net = build(settings, dataset)
    fit(net, dataset, settings)
    recalibrate(net, shared.training_images(dataset, IMAGES))
    return net


def inputs_of_norm(net: gluon.Block, X: nd.NDArray, number: int) -> np.ndarray:
    """What a normalization gets in prediction, (example, channel, place)."""
    norms = [place for place, layer in enumerate(net) if hasattr(layer, "gamma")]
    for layer in list(net)[: norms[number]]:
        X = layer(X)
    return X.reshape((X.shape[0], X.shape[1], -1)).asnumpy().astype(float)


def blurred(images: np.ndarray) -> np.ndarray:
    """Each pixel as the mean of the 5 x 5 around it, with 0 beyond the border."""
    padded = np.pad(images, ((0, 0), (2, 2), (2, 2)))
    height, width = images.shape[1:]
    moved = [padded[:, i : i + height, j : j + width] for i, j in np.ndindex(5, 5)]
    return np.mean(moved, axis=0)


def in_shadow(images: np.ndarray) -> np.ndarray:
    """The left half darker."""
    return images * np.where(np.arange(images.shape[2]) < images.shape[2] // 2, 0.3, 1)


SHIFTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {  # images from 0 to 1: (n, height, width)
    "none": lambda images: images,
    "poor light": lambda images: 0.3 * images + 0.3,
    "noise": lambda images: np.clip(images + noise(images.shape), 0, 1),
    "blur": blurred,
    "shadow": in_shadow,
    "inverted": lambda images: 1 - images,
}


def noise(shape: tuple[int, ...]) -> np.ndarray:
    """The same random values at each call, with a standard deviation of 0.3."""
    return 0.3 * np.random.default_rng(0).standard_normal(shape)


def run_shifts(seed: int, epochs: int = 10):
    """Train one LeNet; yield a row for each shift."""
    dataset, net = shared.images("sample"), trained(seed, epochs)
    for name, shift in SHIFTS.items():
        X = nd.array(shift(dataset.test_images / 255)[:, None])
        judged = [(X[MEASURED_ON:], nd.array(dataset.test_labels[MEASURED_ON:]))]
        with shared.restored(net):
            kept = evaluate(net, judged)
            recalibrate(net, [X[:MEASURED_ON]])
            yield {"shift": name, "kept": kept, "recomputed": evaluate(net, judged)}


EXPERIMENTS = (
    Experiment("batch_noise", grid(seed=range(10)), run_noise),
    Experiment("shifts", grid(seed=range(10)), run_shifts),
)
