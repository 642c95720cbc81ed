"""The cure: what makes the test accuracy of this network erratic, and what steadies it.

LeNet on the full Fashion-MNIST, ten epochs. After each epoch, test accuracy with the moving
averages and with statistics measured anew over the training images (`recalibrate`).
"""

from __future__ import annotations

from d2l_bn import recalibrate
from d2l_bn.training import RECIPES, Settings, build, evaluate, fit
from experiments import shared
from experiments.tables import Experiment

SEEDS = range(5)
SCHEDULES = {
    "default": RECIPES["default"],
    "source": RECIPES["source"],
    "source, cosine": {**RECIPES["source"], "schedule": "cosine"},
}


def run(recipe: str, seed: int, epochs: int = 10, data: str = "fashion-mnist"):
    """Train one network, and yield a row for each epoch."""
    dataset = shared.images(data)
    settings = Settings(seed=seed, epochs=epochs, **SCHEDULES[recipe])
    net = build(settings, dataset)
    measured: list[float] = []

    def on_epoch(history: list) -> None:
        with shared.restored(net):  # training goes on as if nothing had been measured
            train = shared.batches(dataset.train_images, dataset.train_labels, 1000)
            recalibrate(net, [X for X, _ in train])
            test = shared.batches(dataset.test_images, dataset.test_labels, 1000)
            measured.append(evaluate(net, test))

    history = fit(net, dataset, settings, on_epoch=on_epoch)
    for row, accuracy in zip(history, measured):
        names = ("epoch", "train_loss", "train_accuracy", "test_accuracy")
        yield {**{name: row[name] for name in names}, "recalibrated_accuracy": accuracy}


EXPERIMENT = Experiment(
    "cure",
    tuple({"recipe": recipe, "seed": seed} for recipe in SCHEDULES for seed in SEEDS),
    run,
)
