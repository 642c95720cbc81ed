"""What a student's code is written in: `answers.py` in PyTorch and NumPy, and the words for it.

A check reckons and speaks in MXNet's terms, with a momentum that weighs the old average.
`Framework` turns arguments on their way to the student, and what they read by the tables "torch",
"numpy" and "new" of `sentences.json`: an entry is a pattern, and what takes its place.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from d2l_bn.checks import phrases
from d2l_bn.checks.answers import STATE, Answers, _array, _result, answering, kept, kind

TRAINS = ("train", "record")


class NumPy(Answers):
    """Answers about functions of NumPy's arrays, which are told the mode by `training`."""

    def _given(self, value: np.ndarray, dtype: str, variable: bool = False) -> Any:
        return np.array(value, dtype or "float64")

    def _mode(self, name: str) -> Any:
        self.told = {"training": name in TRAINS} if name else {}
        return nullcontext()

    def _named(self, name):
        return partial(super()._named(name), **self.told)


class Torch(Answers):
    """Answers about functions and modules of PyTorch's: a mode is whether gradients are enabled."""

    def _given(self, value: np.ndarray, dtype: str, variable: bool = False) -> Any:
        return _torch().tensor(np.array(value, dtype or "float64"), requires_grad=variable)

    def _mode(self, name: str) -> Any:
        return _torch().set_grad_enabled(not name or name in TRAINS)

    def _gradients(self, output, dY, variables: list) -> list[np.ndarray]:
        if output.requires_grad:  # else all stay 0
            output.backward(dY)
        return [_slope(variable) for variable in variables]

    @answering
    def make(self, name, key, arguments, contexts=(0,)) -> dict:
        """Make a layer, and keep it as `key`."""
        layer = self.layers[key] = self._named(name)(*arguments)
        return {"block": isinstance(layer, _torch().nn.Module), "kind": kind(layer)}

    @answering
    def forward(self, name, key, X, *, mode, context=0, current=0, dY=None, repeat=1) -> dict:
        """Call a layer in a mode, and differentiate if there is a gradient of the output."""
        layer = self.layers[key].train(mode in TRAINS)
        layer.zero_grad()
        given = self._given(X, "float32", True)  # as behind a layer: what is kept of it shows
        with self._mode(mode):
            Y = layer(given)
        slope = None if dY is None else self._gradients(Y, self._given(dY, "float32"), [given])[0]
        return {"result": _result([Y]), "context": 0, "gradient": slope}

    @answering
    def state(self, name, key, *, context=None, other=None) -> dict:
        """What a layer holds, and what it has in common with another."""
        layer, held = self.layers[key], {}
        for each in STATE:
            value: Any = kept(layer, each)
            names = [one for one, parameter in layer.named_parameters() if parameter is value]
            parameter = isinstance(value, _torch().nn.Parameter)
            trained = parameter and value.requires_grad
            held[each] = {
                "kind": kind(value),
                "name": "".join(names),
                "parameter": parameter,
                "registered": bool(names),
                "trained": trained,
                "grad_req": "write" if trained else "null",
                "array": _array(value),
                "gradient": _slope(value) if trained else None,
                "shared": other is not None and value is kept(self.layers[other], each),
                "recorded": getattr(value, "grad_fn", None) is not None,
            }
        return held

    @answering
    def together(self, name, keys) -> dict:
        """The names that clash in a network of two layers: none."""
        return {"same": []}

    @answering
    def step(self, name, key, rate) -> dict:
        """Let an optimizer change a layer by the gradients that it has."""
        _torch().optim.SGD(self.layers[key].parameters(), lr=rate).step()
        return {}

    @answering
    def save(self, name, key) -> dict:
        """Save the state of a layer, and return the bytes of the file."""
        file = io.BytesIO()
        _torch().save(self.layers[key].state_dict(), file)
        return {"file": np.frombuffer(file.getvalue(), np.uint8)}

    @answering
    def load(self, name, key, arguments, file) -> dict:
        """Load a file into the layer `key`, which is made where there is none."""
        if key not in self.layers:
            self.layers[key] = self._named(name)(*arguments)
        self.layers[key].load_state_dict(_torch().load(io.BytesIO(file.tobytes())))
        return {}


def _torch() -> Any:
    import torch

    return torch


def _slope(tensor) -> np.ndarray:
    return np.zeros(tuple(tensor.shape)) if tensor.grad is None else _array(tensor.grad)


_SHARE = r"\(1 - momentum\)|1 - momentum|\bmomentum\b"
ANSWERS = {"mxnet": Answers, "torch": Torch, "numpy": NumPy}


@dataclass(frozen=True)
class Framework:
    """What a student's code is written in, and which value its momentum weighs."""

    name: str = "mxnet"
    momentum_weighs: str = "old"

    def __post_init__(self) -> None:
        if self.name not in ANSWERS or self.momentum_weighs not in ("old", "new"):
            known = f"framework is one of {', '.join(ANSWERS)}, and momentum_weighs old or new"
            raise ValueError(f"{known}; got {self.name!r} and {self.momentum_weighs!r}")

    @property
    def array(self) -> str:
        """The type of its arrays in an answer; "" where the question says it."""
        return {"mxnet": "", "torch": "tensor", "numpy": "NumPy"}[self.name]

    def arguments(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Arguments by their names, with the momentum that the student gets."""
        given = dict(given)
        if self.momentum_weighs == "new" and "momentum" in given:
            given["momentum"] = round(1 - given["momentum"], 12)
        return given

    def words(self, text: Any) -> Any:
        """What the student reads; anything but text as it is."""
        if not isinstance(text, str):
            return text
        if self.momentum_weighs == "new":
            text = re.sub(_SHARE, lambda m: "momentum" if "1" in m[0] else "(1 - momentum)", text)
        for table in (self.momentum_weighs, self.name):  # none for "old" and "mxnet"
            for pattern, words in phrases.table(table).items():
                text = re.sub(pattern, words, text)
        return text
