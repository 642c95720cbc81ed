"""Notices when code under check calls a ready-made normalization."""

from __future__ import annotations

import functools
import sys
from collections.abc import Mapping
from types import CodeType

from d2l_bn.checks import formula
from d2l_bn.nn import layer, normalization

import mxnet as mx
from mxnet import gluon

OPERATORS = (
    "BatchNorm",
    "BatchNormWithReLU",
    "BatchNorm_v1",
    "CuDNNBatchNorm",
    "GroupNorm",
    "InstanceNorm",
    "L2Normalization",
    "LayerNorm",
    "SyncBatchNorm",
    "batch_norm",
    "group_norm",
    "instance_norm",
    "layer_norm",
)

ANSWERS = {
    normalization.__file__: "d2l_bn.batch_norm",
    layer.__file__: "d2l_bn.BatchNorm",
    formula.__file__: "d2l_bn.checks.formula",
}


class Watch:
    """Context manager that collects the ready-made normalizations called inside it in `calls`.

    It does so, too, with the functions in `forbidden`, which maps their code to their names. It
    looks at the code that runs, not at names, so that no alias hides anything.
    """

    def __init__(self, forbidden: Mapping[CodeType, str]) -> None:
        self.forbidden = forbidden

    def __enter__(self) -> Watch:
        self.calls: list[str] = []
        self._previous = sys.getprofile()
        sys.setprofile(self._notice)
        return self

    def __exit__(self, *_) -> None:
        sys.setprofile(self._previous)

    def _notice(self, frame, event, _argument) -> None:
        if event != "call":
            return
        code = frame.f_code
        name = self.forbidden.get(code) or _operators().get(code) or ANSWERS.get(code.co_filename)
        if code is gluon.Block.__call__.__code__:
            name = _layer_name(frame.f_locals.get("self"))
        if name and name not in self.calls:
            self.calls.append(name)


def _layer_name(block) -> str:
    """Return the name of a block of Gluon's that normalizes, or "" for any other block.

    A hybridized block runs without a Python call of its operator.
    """
    cls = type(block)
    ready = cls.__module__.startswith("mxnet.gluon") and cls.__name__.endswith("Norm")
    return f"nn.{cls.__name__}" if ready else ""


@functools.lru_cache(maxsize=1)
def _operators() -> dict[CodeType, str]:
    """Map the code of each of MXNet's operators that normalize to its name."""
    codes = {}
    for place, module in (
        ("nd", mx.nd),
        ("nd.contrib", mx.nd.contrib),
        ("sym", mx.sym),
        ("sym.contrib", mx.sym.contrib),
        ("npx", mx.npx),
    ):
        for name in OPERATORS:
            code = getattr(getattr(module, name, None), "__code__", None)
            if code is not None:
                codes[code] = f"{place}.{name}"
    return codes
