"""Experiment 2: final accuracy over learning rates, initial scales and batch sizes.

LeNet on the sample, ten epochs, constant rate, no momentum; in each sweep one thing changes.
"""

from __future__ import annotations

import math

from d2l_bn.system.errors import RunError
from d2l_bn.training import Settings, build, fit
from experiments import shared
from experiments.tables import Experiment

# A run fails if its test accuracy is lower, where guessing gives 0.1, or its loss isn't finite.
FAILS_BELOW = 0.2
BASE = {"lr": 0.3, "scale": 1.0, "batch_size": 64}
SWEEPS = {
    "lr": (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0),
    "scale": (0.01, 0.1, 0.3, 1.0, 3.0, 10.0),
    "batch_size": (4, 16, 64, 256),
}


def run(norm: str, seed: int, epochs: int = 10, **point):
    """Train one network, and yield a row at the end."""
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
        {**case, **BASE, swept: value} for value in SWEEPS[swept] for case in shared.cases()
    )


EXPERIMENTS = tuple(Experiment(f"sweep_{swept}", cases(swept), run) for swept in SWEEPS)
