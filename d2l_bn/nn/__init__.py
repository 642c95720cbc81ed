"""Batch normalization itself: start here, with `normalization.py`, then `layer.py`.

This room imports MXNet and nothing else of the package, but for what makes MXNet import.
"""

from d2l_bn import _compat

_compat.import_mxnet()
