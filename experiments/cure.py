"""The cure: what makes the test accuracy of this network erratic, and what steadies it.

LeNet on the full Fashion-MNIST, ten epochs, ten seeds. After each epoch, test accuracy with the
moving averages and with statistics measured anew on 2,000 training images (`recalibrate`). The
default recipe is also run without normalization.
"""

from __future__ import annotations

from d2l_bn import recalibrate
from d2l_bn.training import RECIPES, Settings, build, evaluate, fit
from experiments import shared
from experiments.tables import Experiment

SEEDS = range(10)
RECALIBRATION = 2_000  # images
SCHEDULES = {
    "default": RECIPES["default"],
    "source": RECIPES["source"],
    "source, cosine": {**RECIPES["source"], "schedule": "cosine"},
}
KEPT = ("epoch", "train_loss", "train_accuracy", "test_accuracy")


def run(recipe: str, seed: int, epochs: int = 10, data: str = "fashion-mnist"):
    """Train one network, and yield a row for each epoch."""
    dataset = shared.images(data)
    settings = Settings(seed=seed, epochs=epochs, **SCHEDULES[recipe])
    net = build(settings, dataset)
    measured: list[float] = []

    def on_epoch(history: list) -> None:
        with shared.restored(net):  # training goes on as if nothing had been measured
            recalibrate(net, shared.training_images(dataset, RECALIBRATION))
            test = shared.batches(dataset.test_images, dataset.test_labels, 1000)
            measured.append(evaluate(net, test))

    history = fit(net, dataset, settings, on_epoch=on_epoch)
    for row, accuracy in zip(history, measured):
        yield {**{name: row[name] for name in KEPT}, "recalibrated_accuracy": accuracy}


def run_default(norm: str, seed: int, epochs: int = 10, data: str = "fashion-mnist"):
    """Train one network with the default recipe, and yield a row for each epoch."""
    dataset = shared.images(data)
    settings = Settings(norm=norm, seed=seed, epochs=epochs)
    for row in fit(build(settings, dataset), dataset, settings):
        yield {name: row[name] for name in KEPT}


EXPERIMENTS = (
    Experiment(
        "cure",
        tuple({"recipe": recipe, "seed": seed} for seed in SEEDS for recipe in SCHEDULES),
        run,
    ),
    Experiment("default_recipe", shared.cases("none"), run_default),
)
