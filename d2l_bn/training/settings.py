"""The settings of a training run: two runs with equal settings are the same run."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any, NoReturn, Optional

from d2l_bn.nn.layer import BatchNorm
from d2l_bn.nn.networks import POOLING, GluonBatchNorm, Norm
from d2l_bn.system.errors import InputError

import mxnet as mx

NORMS: dict[str, Optional[Norm]] = {"scratch": BatchNorm, "gluon": GluonBatchNorm, "none": None}
SCHEDULES = {
    "constant": lambda progress: 1.0,
    "cosine": lambda progress: (1 + math.cos(math.pi * progress)) / 2,
}
RECIPES: dict[str, dict[str, Any]] = {
    "default": {"lr": 0.3, "momentum": 0.9, "schedule": "cosine", "batch_size": 256},
    "source": {"lr": 1.0, "momentum": 0.0, "schedule": "constant", "batch_size": 256},
}
STATISTICS = {"all": "of the whole batch", "share": "of each share by itself"}
LARGEST = 3.4e38  # of float32, in which the step is taken
MOST = 1_000_000  # epochs, and images in a batch


@dataclass(frozen=True)
class Settings:
    """Everything that a run depends on, apart from its data.

    Parameters
    ----------
    norm : {"scratch", "gluon", "none"}
        Our batch normalization, Gluon's own, or none.
    epochs : int
        Passes over the training images.
    batch_size : int
        Images in a batch, over all contexts together.
    lr : float
        The learning rate at the start.
    momentum : float
        The momentum of stochastic gradient descent, in [0, 1).
    schedule : {"constant", "cosine"}
        How the learning rate changes from batch to batch: not at all, or along half a cosine to 0.
    pooling : {"max", "average"}
        The pooling of LeNet.
    seed : int
        The seed of the initial parameters and of the order of the images.
    context : str
        Where to train: "cpu(0)", or several such as "cpu(0),cpu(1)", which share each batch.
    processes : int
        How many processes share each batch.
    statistics : {"all", "share"}
        Whose mean and variance normalize, where several contexts or processes share a batch: those
        of all images of the batch, or of each share by itself.

    Raises
    ------
    InputError
        If a value is out of its range.
    """

    norm: str = "scratch"
    epochs: int = 10
    batch_size: int = RECIPES["default"]["batch_size"]
    lr: float = RECIPES["default"]["lr"]
    momentum: float = RECIPES["default"]["momentum"]
    schedule: str = RECIPES["default"]["schedule"]
    pooling: str = "max"
    seed: int = 0
    context: str = "cpu(0)"
    processes: int = 1
    statistics: str = "all"

    def __post_init__(self) -> None:
        names: dict[str, dict] = dict(
            norm=NORMS, schedule=SCHEDULES, pooling=POOLING, statistics=STATISTICS
        )
        for name, allowed in names.items():
            if getattr(self, name) not in allowed:
                _refuse(name, f"one of {', '.join(allowed)}", getattr(self, name))
        for name in ("epochs", "batch_size", "seed", "processes"):
            if type(getattr(self, name)) is not int:
                _refuse(name.replace("_", "-"), "a whole number", getattr(self, name))
        alone = self.shares > 1 and self.norm == "gluon" and self.statistics == "all"
        at_least, in_all = self.smallest_batch, self.processes * self.smallest_share
        in_context = (
            f"{at_least} or more on {len(self.contexts)} context(s), since batch normalization "
            "needs at least 2 images in each"
        )
        in_process = (
            f"{in_all} or more in {self.processes} processes, {self.smallest_share} in each"
        )
        no_sums = "on several contexts or processes, since Gluon's layer can't exchange its sums"
        for name, holds, rule in (
            ("epochs", 1 <= self.epochs <= MOST, f"a whole number from 1 to {MOST}"),
            ("processes", self.processes >= 1, "1 or more"),
            ("lr", 0 < self.lr < LARGEST, "a positive number"),
            ("momentum", 0 <= self.momentum < 1, "at least 0 and below 1"),
            ("seed", 0 <= self.seed < 2**31, "a whole number from 0 to 2147483647"),
            ("context", len(set(self.contexts)) == len(self.contexts), "a list without repetition"),
            ("statistics", not alone, f"share for norm gluon {no_sums}"),
            ("batch_size", self.batch_size <= MOST, f"at most {MOST}"),
            ("batch_size", self.batch_size >= at_least, in_context),
            ("batch_size", self.batch_size >= in_all, in_process),
        ):
            if not holds:
                _refuse(name.replace("_", "-"), rule, getattr(self, name))

    @property
    def contexts(self) -> list[mx.Context]:
        """The contexts that `context` names."""
        return [_context(name) for name in self.context.split(",")]

    @property
    def smallest_batch(self) -> int:
        """How few images a batch may have, in however many processes."""
        return 2 * len(self.contexts)

    @property
    def shares(self) -> int:
        """How many parts a batch is cut into."""
        return len(self.contexts) * self.processes

    @property
    def smallest_share(self) -> int:
        """How few images the share of a process may have."""
        return len(self.contexts) * (1 if self.statistics == "all" else 2)

    @property
    def exchanges(self) -> bool:
        """Whether our batch normalization needs the sums of other shares."""
        return self.norm == "scratch" and self.statistics == "all" and self.shares > 1

    def learning_rate(self, progress: float) -> float:
        """The learning rate when the fraction `progress` of the run, from 0 to 1, is done."""
        return self.lr * SCHEDULES[self.schedule](progress)


def _refuse(name: str, rule: str, received: object) -> NoReturn:
    raise InputError(f"{name} must be {rule}, got {str(received)[:80]}")


def _context(name: str) -> mx.Context:
    match = re.fullmatch(r"\s*(cpu|gpu)(?:\((\d{1,3})\))?\s*", name)
    if match is None:
        _refuse("context", "such as cpu(0) or gpu(0), or several with commas between them", name)
    device, number = match[1], int(match[2] or 0)
    if device == "gpu" and number >= mx.context.num_gpus():
        _refuse("context", f"one of the {mx.context.num_gpus()} GPUs that MXNet sees, or cpu", name)
    return mx.Context(device, number)
