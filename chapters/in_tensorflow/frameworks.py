"""Every layer of the comparison, in the order of the tables, and who can be run here."""

from __future__ import annotations

import importlib
import importlib.util
from importlib.metadata import version

from in_tensorflow import run_mxnet
from in_tensorflow.one_step import Case, Layer, Run

MODULES = {
    "MXNet": "mxnet", "TensorFlow": "tensorflow", "slim": "tf_slim", "PyTorch": "torch",
    "Keras 3": "keras", "flax": "flax", "equinox": "equinox",
}  # fmt: skip


PACKAGES = {"Keras 3": ["keras"], "flax": ["flax"], "equinox": ["equinox"]}  # as distributed


def missing(framework: str) -> str:
    """Why a framework can't be used here, or an empty string."""
    needed = [framework] if framework != "slim" else ["TensorFlow", "slim"]
    absent = [name for name in needed if importlib.util.find_spec(MODULES[name]) is None]
    if framework == "Keras 3" and not absent and version("keras").startswith("2."):
        absent = [framework]  # TensorFlow 2.15 brings Keras 2
    verb = "is" if len(absent) == 1 else "are"
    return f"{' and '.join(absent)} {verb} not installed" if absent else ""


def _later(module: str, function: str, **fixed):
    """Import a module only when its function is called: its framework may be missing."""

    def run(case: Case, **options) -> Run:
        there = importlib.import_module(f"in_tensorflow.{module}")
        return getattr(there, function)(case, **{**fixed, **options})

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
    Layer("torch, momentum=None", "PyTorch", _later("run_torch", "run", momentum=None)),
]  # fmt: skip
# What an environment of its own has: see `in_tensorflow.elsewhere`.
ELSEWHERE = [
    Layer("Keras 3", "Keras 3", _later("run_jax", "run", make="Keras")),
    Layer("flax.linen", "flax", _later("run_jax", "run", make="Linen")),
    Layer(
        "flax.linen, use_fast_variance=False", "flax",
        _later("run_jax", "run", make="Linen", use_fast_variance=False),
    ),
    Layer("flax.nnx", "flax", _later("run_jax", "run", make="NNX")),
    Layer("equinox", "equinox", _later("run_jax", "run", make="Equinox")),
    Layer(
        'equinox, mode="batch"', "equinox", _later("run_jax", "run", make="Equinox", mode="batch")
    ),
]  # fmt: skip
