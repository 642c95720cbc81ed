"""Batch normalization from scratch in Apache MXNet Gluon, to learn from and to train with.

Importing it loads nothing: each name is looked up when it is first used. From then on `import
mxnet` works; MXNet 1.9.1 does not import on newer Pythons otherwise, so this comes before it.
"""

from __future__ import annotations

import sys

MODULE = sys.argv[:1] == ["-m"]  # python -m d2l_bn
if MODULE and not (sys.flags.isolated or getattr(sys.flags, "safe_path", False)):
    del sys.path[0]  # the current folder may be a stranger's: none of its modules are imported
if MODULE or "".join(sys.argv[:1]).endswith("d2l-bn"):  # or the script
    import _signal as signal  # type: ignore[import-not-found]  # at once; `signal` takes 4 ms

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # until there is something to say

import importlib
from typing import TYPE_CHECKING

from d2l_bn import _compat

if TYPE_CHECKING:
    from d2l_bn.nn.after_training import fold, recalibrate
    from d2l_bn.nn.dropout import Dropout, dropout
    from d2l_bn.nn.layer import BatchNorm
    from d2l_bn.nn.networks import GluonBatchNorm, copy_parameters, lenet
    from d2l_bn.nn.normalization import batch_norm
    from d2l_bn.nn.sync import SyncBatchNorm

__version__ = "0.3.0"  # CITATION.cff repeats it

PUBLIC = {  # each name, and the module of d2l_bn.nn that it stands in
    "BatchNorm": "layer",
    "Dropout": "dropout",
    "GluonBatchNorm": "networks",
    "SyncBatchNorm": "sync",
    "batch_norm": "normalization",
    "copy_parameters": "networks",
    "dropout": "dropout",
    "fold": "after_training",
    "lenet": "networks",
    "recalibrate": "after_training",
}
ROOMS = ("checks", "cluster", "data", "figures", "nn", "program", "reference", "system", "training")
__all__ = list(PUBLIC)

_compat.install()


def __getattr__(name: str) -> object:
    if name in ROOMS:
        return importlib.import_module(f"{__name__}.{name}")
    if name not in PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = getattr(importlib.import_module(f"{__name__}.nn.{PUBLIC[name]}"), name)
    return globals()[name]


def __dir__() -> list[str]:
    return sorted([*globals(), *PUBLIC, *ROOMS])
