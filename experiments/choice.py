"""The choice of the default settings, on training images held out, with seeds of its own.

LeNet on 50,000 training images of Fashion-MNIST, ten epochs, cosine schedule; judged on the other
10,000. The test images have no part in it.
"""

from __future__ import annotations

from d2l_bn.data import split
from d2l_bn.training import Settings, build, fit
from experiments import shared
from experiments.tables import Experiment

HELD_OUT, SEEDS = 10_000, (100, 101, 102)  # the results have other seeds
SETTINGS = (  # pairs of learning rate and momentum
    (0.3, 0.9),
    (0.1, 0.9),
    (0.05, 0.9),
    (0.2, 0.9),
    (0.5, 0.9),
    (1.0, 0.0),
    (1.0, 0.9),
    (0.2, 0.95),
)


def run(lr: float, momentum: float, seed: int, epochs: int = 10, data: str = "fashion-mnist"):
    """Train one network, and yield a row after each epoch."""
    settings = Settings(lr=lr, momentum=momentum, schedule="cosine", seed=seed, epochs=epochs)
    dataset = split(shared.images(data), HELD_OUT)  # its test images are those held out
    for row in fit(build(settings, dataset), dataset, settings):
        yield {
            "epoch": row["epoch"],
            "train_loss": row["train_loss"],
            "held_out_accuracy": row["test_accuracy"],
        }


EXPERIMENT = Experiment(
    "choice",
    tuple(
        {"lr": lr, "momentum": momentum, "seed": seed}
        for lr, momentum in SETTINGS
        for seed in SEEDS
    ),
    run,
)
