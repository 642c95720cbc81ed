"""Checks that tell a student in words what is wrong with their batch normalization.

>>> from d2l_bn import checks
>>> checks.batch_norm(my_batch_norm, "dense")  # doctest: +SKIP
dense input, training mode: right

A check asks and judges; the student's code answers. In a notebook both are in one process. When
work is marked the same check asks from outside, with other inputs, and the code answers from a
sandbox, in which nothing of the check can be seen. `answers.py` is the student's side, in PyTorch
and NumPy `framework.py`, `asking.py` the judge's; modules with a public name are what is asked.
`forms.py` has a function's inputs, `question.py` a question about it, `block.py` those of a layer.

One way leads from a question to a cause:

    a question (question.py, block.py, gradient.py)   one input, one mode, right or wrong
      |  wrong: the same question on two more inputs
    slots (slots.py, derivation.py; corrected.py)     what the answer is made of, and for each slot
      |                                               the slips of grammar.py and candidates.json
    search (solve.py)                                 the fewest slips that give all answers
      |
    label -> sentence (causes.py, phrases.py)         "spread: v + eps", by sentences.json
      |  none found
    what the numbers say of themselves (leftover.py)  never a guess

Exceptions and shapes have labels, too (`asking.py`, `shapes.py`).

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
