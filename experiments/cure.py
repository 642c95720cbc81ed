"""The cure: what makes the test accuracy of this network erratic, and what steadies it.

LeNet, ten epochs. After each epoch, test accuracy with the moving averages and with statistics
measured anew on 2,000 training images (`recalibrate`). Ten seeds on the sample and of the default
recipe on the full Fashion-MNIST, where the default recipe is also run without normalization.
"""

from __future__ import annotations

import math

from d2l_bn import recalibrate
from d2l_bn.training import RECIPES, Settings, build, evaluate, fit
from experiments import shared
from experiments.tables import Experiment

SEEDS = range(10)  # on the sample
RECALIBRATION = 2_000  # images
SCHEDULES = {
    "default": RECIPES["default"],
    "source": RECIPES["source"],
    "source, cosine": {**RECIPES["source"], "schedule": "cosine"},
}
KEPT = ("epoch", "train_loss", "train_accuracy", "test_accuracy")


def run(recipe: str, seed: int, epochs: int = 10):
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
            test = shared.batches(dataset.test_images, dataset.test_labels, 1000)
            measured.append(evaluate(net, test))

    history = fit(net, dataset, settings, on_epoch=on_epoch)
    for row, accuracy in zip(history, measured):
        yield {**{name: row[name] for name in KEPT}, "recalibrated_accuracy": accuracy}


# On the full data: recipe, normalization, and how many seeds. Raise a number, and the table grows.
FULL = (("default", "scratch", 10), ("source", "scratch", 3), ("default", "none", 3))
EXPERIMENTS = (
    Experiment(
        "cure",
        tuple({"recipe": recipe, "seed": seed} for seed in SEEDS for recipe in SCHEDULES),
        run,
    ),
    Experiment(
        "full_data",
        tuple(
            {"recipe": recipe, "norm": norm, "seed": seed}
            for recipe, norm, seeds in FULL
            for seed in range(seeds)
        ),
        run_full,
    ),
)
