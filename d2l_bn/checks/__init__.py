"""Checks that tell a student in words what is wrong with their batch normalization.

>>> from d2l_bn import checks
>>> checks.batch_norm(my_batch_norm, "dense")  # doctest: +SKIP
dense input, training mode: right

Inputs that a check does not print are drawn from random states of its own, always the same ones, so
that a check says the same each time and leaves the random numbers of the notebook alone.
"""

from d2l_bn.checks.failure import CheckFailed
from d2l_bn.checks.gradient import backward
from d2l_bn.checks.layer_parts import layer
from d2l_bn.checks.parts import batch_norm
from d2l_bn.checks.sources import own_work

__all__ = ["CheckFailed", "backward", "batch_norm", "layer", "own_work"]
