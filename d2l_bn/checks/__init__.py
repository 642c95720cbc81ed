"""Checks that tell a student in words what is wrong with their batch normalization.

>>> from d2l_bn import checks
>>> checks.batch_norm(my_batch_norm, "dense")  # doctest: +SKIP
dense input, training mode: right

A check asks and judges; the student's code answers. In a notebook both are in one process. When
work is marked the same check asks from outside, with other inputs, and the code answers from a
sandbox, in which nothing of the check can be seen. `answers.py` is the student's side, `asking.py`
the judge's, and the modules with a public name are what is asked. `forms.py` has the inputs of a
function, `question.py` one question about it, `block.py` a layer and what is asked of it.

The cause of wrong numbers is sought in tables of mistakes (`mistakes.py`, `axes.py`), among
formulas with one alteration (`formulas.py`), then by taking the answer apart: an output into mean,
spread, factor and offset, an average into its terms (`composition.py`, of `quantities.py`), a
gradient into its ways (`derivation.py`). The rest is told by its properties (`inference.py`).

Inputs that a check does not print are drawn from random states of its own, always the same ones in
a notebook, so that a check says the same each time and leaves the notebook's random numbers alone.
"""

from d2l_bn.checks.bugs import mended
from d2l_bn.checks.corrected import corrected
from d2l_bn.checks.failure import CheckFailed
from d2l_bn.checks.function import any_axis, batch_norm, channels_last, masked
from d2l_bn.checks.gradient import backward
from d2l_bn.checks.layer import layer
from d2l_bn.checks.sources import own_work
from d2l_bn.checks.speed import fast_backward, fast_layer

__all__ = [
    "CheckFailed",
    "any_axis",
    "backward",
    "batch_norm",
    "channels_last",
    "corrected",
    "fast_backward",
    "fast_layer",
    "layer",
    "masked",
    "mended",
    "own_work",
]
