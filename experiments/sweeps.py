"""Experiment 2: final accuracy over learning rates, initial scales and batch sizes.

LeNet on the sample, ten epochs, constant rate, no momentum; in each sweep one thing changes.
"""

from __future__ import annotations

import math

from d2l_bn.system.errors import RunError
from d2l_bn.training import Settings, build, fit
from experiments import shared
from experiments.tables import Experiment

FAILS_BELOW = 0.2  # test accuracy; guessing gives 0.1. A loss that isn't finite fails too.
BASE = {"lr": 0.3, "scale": 1.0, "batch_size": 64}
SWEEPS = {
    "lr": (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0),
    "scale": (0.01, 0.1, 0.3, 1.0, 3.0, 10.0),
    "batch_size": (4, 16, 64, 256),
}


def run(norm: str, seed: int, epochs: int = 10, **point):
    """Train one network; one row."""
    dataset = shared.images("sample")
    settings = Settings(
        norm=norm,
        seed=seed,
        epochs=epochs,
        lr=point["lr"],
        batch_size=point["batch_size"],
        momentum=0.0,
        schedule="constant",
    )
    net = build(settings, dataset)
    shared.scale_weights(net, point["scale"])
    try:
        last = fit(net, dataset, settings)[-1]
    except RunError:  # the loss isn't finite
        last = dict.fromkeys(("train_loss", "train_accuracy", "test_accuracy"), math.nan)
    yield {name: last[name] for name in ("train_loss", "train_accuracy", "test_accuracy")}


def cases(swept: str):
    """The runs of one sweep."""
    return tuple(
        {"norm": norm, "seed": seed, **BASE, swept: value}
        for value in SWEEPS[swept]
        for seed in range(3)
        for norm in ("none", "scratch")
    )


EXPERIMENTS = tuple(Experiment(f"sweep_{swept}", cases(swept), run) for swept in SWEEPS)
