"""LeNet trained by recipes: how the default was chosen, what steadies it, what it tolerates.

`choice`: eight recipes on 50,000 training images of Fashion-MNIST, judged on the other 10,000; the
test images have no part in it. `cure` and `full_data`: after each epoch, test accuracy with the
moving averages and with statistics recomputed on 2,000 training images. `rate_and_scale`: learning
rates and initial scales. `escape`: when the plain network gets away from guessing, on little and on
much data, in small batches and in large ones, and where its last sigmoids are until then.
"""

from __future__ import annotations

import math

import numpy as np

from d2l_bn import recalibrate
from d2l_bn.data import split
from d2l_bn.system.errors import RunError
from d2l_bn.training import RECIPES, Settings, build, evaluate, fit
from experiments import shared
from experiments.tables import Experiment, grid

from mxnet import gluon, nd

HELD_OUT, CHOOSING = 10_000, (100, 101, 102)  # the results have other seeds
CHOICES = (  # pairs of learning rate and momentum
    (0.3, 0.9),
    (0.1, 0.9),
    (0.05, 0.9),
    (0.2, 0.9),
    (0.5, 0.9),
    (1.0, 0.0),
    (1.0, 0.9),
    (0.2, 0.95),
)
SEEDS = range(10)  # of `cure`
RECALIBRATION = 2_000  # images
SCHEDULES = {
    "default": RECIPES["default"],
    "source": RECIPES["source"],
    "source, cosine": {**RECIPES["source"], "schedule": "cosine"},
}
# On the full data: recipe, normalization, and how many seeds. Raise a number, and the table grows.
FULL = (("default", "scratch", 10), ("source", "scratch", 3), ("default", "none", 3))
FAILS_BELOW = 0.2  # a run fails below this test accuracy, where guessing gives 0.1
RATES, SCALES = (0.1, 1.0, 10.0), (0.1, 1.0, 3.0, 10.0)


def run_choice(lr: float, momentum: float, seed: int, epochs: int = 10):
    """Train one network on 50,000 images, and yield a row after each epoch."""
    settings = Settings(lr=lr, momentum=momentum, schedule="cosine", seed=seed, epochs=epochs)
    dataset = split(shared.images("fashion-mnist"), HELD_OUT)  # its test images are held out
    for row in fit(build(settings, dataset), dataset, settings):
        kept = {"epoch": row["epoch"], "train_loss": row["train_loss"]}
        yield {**kept, "held_out_accuracy": row["test_accuracy"]}


def run_cure(recipe: str, seed: int, epochs: int = 10):
    """Train one network on the sample, in batches of 64, since it has a tenth of the images."""
    settings = Settings(seed=seed, epochs=epochs, **{**SCHEDULES[recipe], "batch_size": 64})
    yield from epochs_of(settings, "sample")


def run_full(recipe: str, norm: str, seed: int, epochs: int = 10):
    """Train one network on the full Fashion-MNIST, in batches of 256."""
    settings = Settings(norm=norm, seed=seed, epochs=epochs, **SCHEDULES[recipe])
    yield from epochs_of(settings, "fashion-mnist")


def epochs_of(settings: Settings, data: str):
    """Train one network, and yield a row for each epoch; NaN where there is nothing to measure."""
    dataset = shared.images(data)
    net = build(settings, dataset)
    measured: list[float] = []

    def on_epoch(history: list) -> None:
        if settings.norm == "none":
            measured.append(math.nan)
            return
        with shared.restored(net):  # training goes on as if nothing had been measured
            recalibrate(net, shared.training_images(dataset, RECALIBRATION))
            measured.append(shared.test_accuracy(net, dataset))

    history = fit(net, dataset, settings, on_epoch=on_epoch)
    for row, accuracy in zip(history, measured):
        kept = ("epoch", "train_loss", "train_accuracy", "test_accuracy")
        yield {**{name: row[name] for name in kept}, "recalibrated_accuracy": accuracy}


def run_grid(norm: str, seed: int, lr: float, scale: float, epochs: int = 10):
    """Train one network with scaled initial weights, and yield a row at the end."""
    dataset = shared.images("sample")
    settings = Settings(norm=norm, seed=seed, epochs=epochs, lr=lr, batch_size=64, momentum=0.0)
    net = build(settings, dataset)
    shared.scale_weights(net, scale)
    try:
        last = fit(net, dataset, settings)[-1]
    except RunError:  # the loss isn't finite
        last = dict.fromkeys(("train_loss", "test_accuracy"), math.nan)
    yield {name: last[name] for name in ("train_loss", "test_accuracy")}


ESCAPE_STEPS, EVERY, TESTED = 2_000, 25, 1_000
FLAT = 4  # from there on the sigmoid's slope is below 0.018, where it is 0.25 at 0


def run_escape(data: str, batch_size: int, seed: int, steps: int = ESCAPE_STEPS):
    """Train one plain network at the default rate, and yield a row after every so many steps."""
    dataset = shared.images(data)
    net = shared.lenet("none", dataset, seed)
    optimizer = shared.trainer(net, 0.3, 0.9)
    images, labels = dataset.test_images[:TESTED], dataset.test_labels[:TESTED]
    X, _ = test = next(shared.batches(images, labels, TESTED))
    for number, batch in enumerate(shared.endless(dataset, batch_size, seed), 1):
        shared.step(net, optimizer, *batch)
        if number % EVERY == 0:
            flat = float((np.abs(last_inputs(net, X).asnumpy()) > FLAT).mean())
            yield {"step": number, "test_accuracy": evaluate(net, [test]), "flat": flat}
        if number == steps:
            return


def last_inputs(net: gluon.Block, X: nd.NDArray) -> nd.NDArray:
    """What the last hidden layer hands to its sigmoids, shape (images, units)."""
    *below, _sigmoid, _output = net
    for layer in below:
        X = layer(X)
    return X


EXPERIMENTS = (
    Experiment(
        "choice",
        tuple({"lr": lr, "momentum": m, "seed": seed} for lr, m in CHOICES for seed in CHOOSING),
        run_choice,
    ),
    Experiment("cure", grid(seed=SEEDS, recipe=SCHEDULES), run_cure),
    Experiment(
        "full_data",
        tuple(
            {"recipe": recipe, "norm": norm, "seed": seed}
            for recipe, norm, seeds in FULL
            for seed in range(seeds)
        ),
        run_full,
    ),
    Experiment(
        "rate_and_scale",
        grid(seed=range(3), norm=("none", "scratch"), lr=RATES, scale=SCALES),
        run_grid,
    ),
    Experiment(
        "escape",
        grid(seed=range(3), data=("sample", "fashion-mnist"), batch_size=(64, 256)),
        run_escape,
    ),
)
