"""Notices when code under check calls a ready-made normalization."""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from types import CodeType

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

LIBRARY = Path(__file__).parents[1]
ANSWERS = {
    str(LIBRARY / place): name
    for place, name in {
        "nn/normalization.py": "d2l_bn.batch_norm",
        "nn/graph.py": "d2l_bn.batch_norm",
        "nn/operator.py": "d2l_bn.batch_norm",
        "nn/layer.py": "d2l_bn.BatchNorm",
        "reference/mathematics.py": "d2l_bn.reference.mathematics",
    }.items()
}
AUTOGRAD = ("autograd.record", "autograd.backward", "autograd.grad", "nd.NDArray.backward")


class Watch:
    """Context manager that collects the ready-made normalizations called inside it in `calls`.

    It looks at the code that runs, not at names, so an alias hides nothing. Where a gradient is
    asked for by hand, it collects the calls of autograd as well.
    """

    def __init__(self, by_hand: bool = False) -> None:
        self.by_hand = by_hand

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
        code, mxnet = frame.f_code, sys.modules.get("mxnet")
        module = frame.f_globals.get("__name__")
        name = ANSWERS.get(code.co_filename)
        if module == "torch.nn.functional" and code.co_name in OPERATORS:  # its layers call them
            name = f"{module}.{code.co_name}"
        if self.by_hand and module in ("torch.autograd", "torch.autograd.forward_ad"):
            name = "torch.autograd"
        if mxnet is not None and hasattr(mxnet, "gluon"):  # it is imported whole
            name = name or _codes(mxnet).get(code)
            if name in AUTOGRAD and not self.by_hand:
                name = None
            if code is mxnet.gluon.Block.__call__.__code__:
                name = _layer_name(frame.f_locals.get("self"))
        if name and name not in self.calls:
            self.calls.append(name)


def _layer_name(block) -> str:
    """Return the name of a block of Gluon's that normalizes, or "" for any other block.

    A hybridized block runs without a Python call of its operator.
    """
    for cls in type(block).__mro__:
        if cls.__module__.startswith("mxnet.gluon") and cls.__name__.endswith("Norm"):
            return f"nn.{cls.__name__}"
    return ""


@functools.lru_cache(maxsize=1)
def _codes(mxnet) -> dict[CodeType, str]:
    """Map the code of each of MXNet's functions that are ready-made to its name."""
    places = ("nd", "nd.contrib", "sym", "sym.contrib", "npx")
    names = [f"{place}.{operator}" for place in places for operator in OPERATORS]
    codes = {}
    for name in (*names, *AUTOGRAD):
        found = mxnet
        for step in name.split("."):
            found = getattr(found, step, None)
        code = getattr(found, "__code__", None)
        if code is not None:
            codes[code] = name
    return codes
