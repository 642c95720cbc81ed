"""Training: its settings, one visible step, a run of epochs, and the checkpoint of a run."""

from d2l_bn.training.run import build, fit, make_trainer
from d2l_bn.training.seeds import set_seed
from d2l_bn.training.settings import NORMS, RECIPES, Settings
from d2l_bn.training.step import evaluate, softmax_cross_entropy, train_epoch, train_step

__all__ = [
    "NORMS",
    "RECIPES",
    "Settings",
    "build",
    "evaluate",
    "fit",
    "make_trainer",
    "set_seed",
    "softmax_cross_entropy",
    "train_epoch",
    "train_step",
]
