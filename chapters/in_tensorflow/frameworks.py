"""Every layer of the comparison, in the order of the tables, and who can be run here."""

from __future__ import annotations

import importlib
import importlib.util

from in_tensorflow import run_mxnet
from in_tensorflow.one_step import Case, Layer, Run

MODULES = {"MXNet": "mxnet", "TensorFlow": "tensorflow", "slim": "tf_slim", "PyTorch": "torch"}


def missing(framework: str) -> str:
    """Why a framework can't be used here, or an empty string."""
    needed = [framework] if framework != "slim" else ["TensorFlow", "slim"]
    absent = [name for name in needed if importlib.util.find_spec(MODULES[name]) is None]
    verb = "is" if len(absent) == 1 else "are"
    return f"{' and '.join(absent)} {verb} not installed" if absent else ""


def _later(module: str, function: str, **fixed):
    """Import a module only when its function is called: its framework may be missing."""

    def run(case: Case, **options) -> Run:
        there = importlib.import_module(f"in_tensorflow.{module}")
        return getattr(there, function)(case, **fixed, **options)

    return run


LAYERS = [
    *run_mxnet.LAYERS,
    Layer(
        "tf.nn.moments, averages by hand", "TensorFlow", _later("run_tensorflow", "run_by_hand"),
        yours=("start", "momentum", "eps", "training"),
    ),
    Layer("tf.compat.v1.layers", "TensorFlow", _later("run_tensorflow", "run_v1_layers")),
    Layer(
        "tf.compat.v1.layers, fused=False", "TensorFlow",
        _later("run_tensorflow", "run_v1_layers", fused=False),
    ),
    Layer("slim", "slim", _later("run_tensorflow", "run_slim")),
    Layer("slim, fused=False", "slim", _later("run_tensorflow", "run_slim", fused=False)),
    Layer("tf.keras", "TensorFlow", _later("run_tensorflow", "run_keras")),
    Layer("torch.nn.BatchNorm1d / 2d", "PyTorch", _later("run_torch", "run")),
]  # fmt: skip
