"""Notices when code under check calls a ready-made normalization."""

from __future__ import annotations

import functools
import sys
from types import CodeType

from d2l_bn import layer, normalization

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


class Watch:
    """Context manager that collects the ready-made normalizations called inside it in `calls`.

    It looks at the code that runs, not at names, so that no alias hides anything.
    """

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
        name = _ready_made().get(frame.f_code)
        if frame.f_code is gluon.Block.__call__.__code__:
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
def _ready_made() -> dict[CodeType, str]:
    """Map the code of every ready-made normalization to its name."""
    codes = {
        normalization.batch_norm.__code__: "d2l_bn.batch_norm",
        normalization.predict.__code__: "d2l_bn.normalization.predict",
        normalization.normalize.__code__: "d2l_bn.normalization.normalize",
        normalization.batch_statistics.__code__: "d2l_bn.normalization.batch_statistics",
        normalization.mean_and_variance.__code__: "d2l_bn.normalization.mean_and_variance",
        normalization.TrainingGraph.hybrid_forward.__code__: "d2l_bn.normalization.TrainingGraph",
        layer.BatchNorm.__init__.__code__: "d2l_bn.BatchNorm",
        layer.BatchNorm.forward.__code__: "d2l_bn.BatchNorm",
    }
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
