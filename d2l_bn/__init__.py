"""Batch normalization from scratch in Apache MXNet Gluon, to learn from and to train with.

Import this package before `mxnet`: MXNet 1.9.1 does not import on newer Pythons otherwise.
"""

from d2l_bn import _compat, _start

_start.settle()
_compat.import_mxnet()

from d2l_bn.nn.across import SyncBatchNorm  # noqa: E402
from d2l_bn.nn.after_training import fold, recalibrate  # noqa: E402
from d2l_bn.nn.layer import BatchNorm  # noqa: E402
from d2l_bn.nn.networks import copy_parameters, gluon_norm, lenet  # noqa: E402
from d2l_bn.nn.normalization import batch_norm  # noqa: E402
from d2l_bn.nn.regularization import Dropout, dropout  # noqa: E402

__version__ = "0.2.0"  # nowhere else

__all__ = [
    "BatchNorm",
    "Dropout",
    "SyncBatchNorm",
    "batch_norm",
    "copy_parameters",
    "dropout",
    "fold",
    "gluon_norm",
    "lenet",
    "recalibrate",
]
