"""Likely causes of the exceptions that students' code ends with."""

from __future__ import annotations

import re

_ONE_BRANCH = (
    "a name gets its value in one branch only. It needs one for dense input and for images, in "
    "training and in prediction mode."
)
_NOT_SET_UP = (
    "a Block has to be set up before its parameters: begin __init__ with "
    "super().__init__(**kwargs)."
)
HINTS = (
    (
        "broadcast",
        "two arrays of different shapes meet. A mean over some axes has fewer axes than X, unless "
        "you keep them: keepdims=True.",
    ),
    (
        "Reduction axis",
        "an axis is averaged that X does not have. Dense input has 2 axes, images 4: len(X.shape).",
    ),
    (
        "Inplace operations",
        "autograd forbids changing an array in place (+=, -=, X[:] = ...) while it records. Make a "
        "new array: X = X - mean.",
    ),
    (
        "not in a computational graph",
        "the output does not depend on X by operations that autograd records. asnumpy(), "
        "nd.array() and autograd.pause() cut the graph: use MXNet's own operations on X.",
    ),
    (
        "has not been initialized",
        "a parameter is used that initialize() did not reach. Make it with self.params.get(...).",
    ),
    ("where it is not associated", _ONE_BRANCH),
    ("referenced before assignment", _ONE_BRANCH),
    ("is not defined", "a name is misspelled, or the cell that defines it did not run."),
    (
        "expected float64, got float32",
        "an array of your own is float32, and X is float64. The result keeps the type of X: leave "
        'astype("float32") out, and make constants with nd.array(..., dtype=X.dtype).',
    ),
    ("maximum recursion depth", "a function calls itself without end."),
    ("'_params'", _NOT_SET_UP),
    ("'_scope'", _NOT_SET_UP),
    ("'_children'", _NOT_SET_UP),
    ("'_reg_params'", _NOT_SET_UP),
    (
        "Parameter'> not supported",
        "a Parameter is used as an array. Take its array: self.gamma.data(X.context).",
    ),
    ("positional argument", "a function is called with more or fewer arguments than it takes."),
)


def hint(words: str, where: str) -> str:
    """Return the likely cause of an exception with these words, in this line, or ""."""
    for text, cause in HINTS:
        if text in words:
            return cause
    if re.search(r"\bnp\.", where):
        return "a NumPy function gets an NDArray. Use MXNet's: nd.sqrt(X), X.mean(axis=0)."
    return ""
