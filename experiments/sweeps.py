"""Experiment 2: which settings it tolerates. LeNet on the sample, ten epochs, no momentum.

A grid of learning rates and initial scales, with the cosine schedule.
"""

from __future__ import annotations

import itertools
import math

from d2l_bn.system.errors import RunError
from d2l_bn.training import Settings, build, fit
from experiments import shared
from experiments.tables import Experiment

# A run fails if its test accuracy is lower, where guessing gives 0.1, or its loss isn't finite.
FAILS_BELOW = 0.2
RATES = (0.1, 1.0, 10.0)
SCALES = (0.1, 1.0, 3.0, 10.0)


def run(norm: str, seed: int, lr: float, scale: float, epochs: int = 10):
    """Train one network, and yield a row at the end."""
    dataset = shared.images("sample")
    settings = Settings(norm=norm, seed=seed, epochs=epochs, lr=lr, batch_size=64, momentum=0.0)
    net = build(settings, dataset)
    shared.scale_weights(net, scale)
    try:
        last = fit(net, dataset, settings)[-1]
    except RunError:  # the loss isn't finite
        last = dict.fromkeys(("train_loss", "test_accuracy"), math.nan)
    yield {name: last[name] for name in ("train_loss", "test_accuracy")}


EXPERIMENT = Experiment(
    "rate_and_scale",
    tuple(
        {"lr": lr, "scale": scale, **case}
        for case, lr, scale in itertools.product(shared.cases(), RATES, SCALES)
    ),
    run,
)
