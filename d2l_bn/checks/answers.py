"""The student's side of a check: it calls their code as it is asked to, and answers with data.

In a notebook it stands in the same process as the check. When work is marked it stands beside the
student's code in the sandbox, and the check asks from outside; so nothing here knows a right
answer, and whatever is said here is judged by its numbers alone. The module needs NumPy, and MXNet
where it is asked for NDArrays, but nothing else of d2l_bn.
"""

from __future__ import annotations

import linecache
import re
import sys
import tempfile
import traceback
import warnings
from collections.abc import Mapping
from contextlib import nullcontext
from functools import wraps
from pathlib import Path
from typing import Any

import numpy as np

LONGEST = 500  # characters of a text
STATE = ("gamma", "beta", "moving_mean", "moving_var")
LIBRARIES = ("mxnet", "torch", "numpy", "d2l_bn")


def answering(question):
    """Let a method answer with what went wrong, where the student's code raises something."""

    @wraps(question)
    def answer(self, *arguments, **options) -> dict:
        with self.watch() as watch:
            try:
                result = question(self, *arguments, **options)
                if sys.modules.get("mxnet"):  # or errors of its engine would come later
                    sys.modules["mxnet"].nd.waitall()
            except (Exception, SystemExit) as error:
                result = {"error": described(error)}
        return {**result, "ready_made": list(watch.calls) if watch else []}

    return answer


class Answers:
    """Answers questions about the objects in `names`.

    Parameters
    ----------
    names : mapping of str to object
        What the student has defined.
    watch : callable () -> context manager, optional
        Collects the ready-made answers that are called, as `watch.Watch` does.
    """

    def __init__(self, names: Mapping, watch=nullcontext) -> None:
        self.names, self.watch = names, watch
        self.layers: dict[str, Any] = {}

    def _named(self, name: str):
        if name not in self.names:
            raise NameError(f"{name} is not defined in your notebook")
        return self.names[name]

    def _given(self, value: np.ndarray, dtype: str, variable: bool = False) -> Any:
        """An array as the student's code takes it; of NumPy's where no type is asked for."""
        array: Any = _mxnet().nd.array(value, dtype=dtype) if dtype else value.copy()
        if variable:
            array.attach_grad()
        return array

    def _mode(self, name: str) -> Any:
        """A mode of autograd's, or nothing where there is no MXNet."""
        if not name:
            return nullcontext()
        autograd = _mxnet().autograd
        if name == "record":
            return autograd.record()
        if name == "record without training":
            return autograd.record(train_mode=False)
        return autograd.train_mode() if name == "train" else autograd.predict_mode()

    def _gradients(self, output, dY, variables: list) -> list[np.ndarray]:
        output.backward(dY)
        return [variable.grad.asnumpy() for variable in variables]

    @answering
    def call(
        self, name, arguments, *, dtype="float32", mode="", variables=0, dY=None, repeat=1
    ) -> dict:
        """Call a function with arrays and numbers, in a mode of autograd's, or with NumPy's arrays.

        With `dY`, the gradients of the first `variables` arguments are computed as well. To measure
        its time, it is called more than once.
        """
        given: list[Any] = [
            self._given(argument, dtype if mode else "", place < variables)
            if isinstance(argument, np.ndarray)
            else argument
            for place, argument in enumerate(arguments)
        ]
        for _ in range(repeat):
            with self._mode(mode):
                result = self._named(name)(*given)
        if repeat > 1:  # nobody wants the result of that
            return {}
        gradients = []
        first: Any = result[0] if isinstance(result, (tuple, list)) and result else None
        if dY is not None and hasattr(first, "backward"):
            gradients = self._gradients(first, self._given(dY, dtype), given[:variables])
        return {
            "result": _result(result),
            "gradients": gradients,
            "after": [_array(value) for value in given],
        }

    @answering
    def make(self, name, key, arguments, contexts=(0,)) -> dict:
        """Make a layer, initialize it, and keep it as `key`."""
        layer = self._named(name)(*arguments)
        self.layers[key] = layer
        block = isinstance(layer, _mxnet().gluon.Block)
        if block:
            layer.initialize(ctx=[_mxnet().cpu(number) for number in contexts])
        return {"block": block, "kind": kind(layer)}

    @answering
    def forward(self, name, key, X, *, mode, context=0, current=0, dY=None, repeat=1) -> dict:
        """Call a layer in a mode, and differentiate if there is a gradient of the output.

        X is on `context`; `current` is the one that MXNet takes where the layer names none.
        """
        mxnet = _mxnet()
        given = mxnet.nd.array(X, ctx=mxnet.cpu(context))
        if dY is not None:  # behind an input without, a Function of autograd's leaves all others
            given.attach_grad()
        gradient = None if dY is None else mxnet.nd.array(dY, ctx=mxnet.cpu(context))
        for _ in range(repeat):
            with mxnet.cpu(current), self._mode(mode):
                Y = self.layers[key](given)
            if gradient is not None:
                Y.backward(gradient)
        if repeat > 1:
            mxnet.nd.waitall()
            return {}
        slope = None if dY is None else _array(given.grad)
        return {"result": _result([Y]), "context": _context(Y), "gradient": slope}

    @answering
    def state(self, name, key, *, context=None, other=None) -> dict:
        """What a layer holds, as it is on a context, and what it has in common with another."""
        mxnet, layer = _mxnet(), self.layers[key]
        here = mxnet.cpu(context) if context is not None else None
        registered = list(layer.collect_params().values())
        held = {}
        for each in STATE:
            value = kept(layer, each)
            parameter = isinstance(value, mxnet.gluon.Parameter)
            array: Any = value.data(here) if parameter else value
            trained = parameter and value.grad_req != "null"
            held[each] = {
                "kind": kind(value),
                "name": str(getattr(value, "name", ""))[:LONGEST] if parameter else "",
                "parameter": parameter,
                "registered": any(value is one for one in registered),
                "trained": trained,
                "grad_req": str(getattr(value, "grad_req", ""))[:LONGEST],
                "array": _array(array),
                "context": _context(array),
                "gradient": _array(value.grad(here)) if trained else None,
                "shared": other is not None and value is getattr(self.layers[other], each, ()),
            }
        known = [held[each]["name"] for each in STATE]
        trained = [each.name[:LONGEST] for each in registered if each.grad_req != "null"]
        return {**held, "others": [each for each in trained if each not in known]}

    @answering
    def together(self, name, keys) -> dict:
        """The names that two layers both give to parameters, which one network can't hold."""
        one, other = (set(self.layers[key].collect_params()) for key in keys)
        return {"same": [each[:LONGEST] for each in sorted(one & other)]}

    @answering
    def step(self, name, key, rate) -> dict:
        """Let a trainer change a layer by the gradients that it has."""
        gluon = _mxnet().gluon
        parameters = self.layers[key].collect_params()
        gluon.Trainer(parameters, "sgd", {"learning_rate": rate}).step(1, ignore_stale_grad=True)
        return {}

    @answering
    def move(self, name, key, context) -> dict:
        """Move a layer's parameters to another context."""
        self.layers[key].collect_params().reset_ctx(_mxnet().cpu(context))
        return {}

    @answering
    def save(self, name, key) -> dict:
        """Save a network of this layer alone to a file, and return its bytes."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "layer.params"
            _network(self.layers[key]).save_parameters(str(path))
            return {"file": np.frombuffer(path.read_bytes(), np.uint8)}

    @answering
    def load(self, name, key, arguments, file) -> dict:
        """Load a file into the layer `key`, which is made where there is none."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "layer.params"
            path.write_bytes(file.tobytes())
            if key not in self.layers:
                self.layers[key] = self._named(name)(*arguments)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that a used layer is initialized already
                _network(self.layers[key]).load_parameters(str(path), ctx=_mxnet().cpu())
        return {}


def _network(layer):
    """Put a layer into a network, unless it saves and loads in a way of its own.

    A file of one layer has names without dots, which Gluon takes for an old format.
    """
    nn = _mxnet().gluon.nn
    if type(layer).load_parameters is not nn.Block.load_parameters:
        return layer
    network = nn.Sequential()
    network.add(layer)
    return network


def _mxnet():
    import mxnet

    return mxnet


def kept(layer, name: str) -> Any:
    """Return what a layer keeps under one of the names of `STATE`, or None."""
    value = getattr(layer, name, None)
    return getattr(layer, name.replace("moving", "running"), None) if value is None else value


def kind(value) -> str:
    """Return what a value is, in words."""
    return "None" if value is None else f"of type {type(value).__name__}"[:LONGEST]


def _result(result) -> dict:
    """Describe what a function returned: how many values, and each of the first few."""
    many = len(result) if isinstance(result, (tuple, list)) else None
    values = result[:4] if many is not None else []
    return {
        "kind": kind(result),
        "many": many,
        "values": [
            {
                "kind": kind(value),
                "type": _type(value),
                "array": _array(value),
                "dtype": _dtype(value),
            }
            for value in values
        ],
    }


def _type(value) -> str:
    """Return whose array a value is, or "" if it is none."""
    if isinstance(value, (np.ndarray, np.generic)):
        return "NumPy" if value.dtype.kind in "fiub" else ""
    owner = type(value).__module__.split(".")[0]
    if owner == "mxnet" and hasattr(value, "asnumpy"):
        return "NDArray"
    return "tensor" if owner == "torch" and hasattr(value, "detach") else ""


def _context(array) -> int:
    return getattr(getattr(array, "context", None), "device_id", 0)


def _dtype(value) -> str:
    dtype = getattr(value, "dtype", None)
    return str(getattr(dtype, "__name__", dtype)).replace("torch.", "")[:LONGEST]


def _array(value):
    """Return the numbers of an array of anybody's; None of anything else."""
    if _type(value) == "tensor":
        return value.detach().cpu().numpy().copy()
    if isinstance(value, (np.ndarray, np.generic)):
        return np.asarray(value) if value.dtype.kind in "fiub" else None
    return value.asnumpy() if hasattr(value, "asnumpy") else None


def described(error: BaseException) -> dict:
    """Return what an exception says, and the student's own line that it went through."""
    return {
        "kind": type(error).__name__[:LONGEST],
        "words": _words(error)[:LONGEST],
        "where": _where(error)[:LONGEST],
    }


def _words(error: BaseException) -> str:
    """Return the one line that says what happened; MXNet's messages have many."""
    try:
        lines = [line for line in str(error).splitlines() if line.strip()]
    except Exception:
        return "an exception that can't be shown"
    lines = [line for line in lines if not re.match(r"Traceback| *File ", line)]
    text = next((line for line in lines if "Error: " in line), lines[0] if lines else "")
    return re.sub(r"Check failed: .*?: ", "", text.split("Error: ", 1)[-1]).strip()


def _where(error: BaseException) -> str:
    """Return the last line of the student's own code that the error went through."""
    modules = [sys.modules[name] for name in LIBRARIES if sys.modules.get(name)]
    folders = [Path(module.__file__).parent for module in modules if module.__file__]
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        parents = Path(frame.filename).parents
        if any(folder in parents for folder in folders) or frame.filename in ("<string>", __file__):
            continue
        code = (frame.line or linecache.getline(frame.filename, frame.lineno or 0)).strip()
        if code:
            code = code if len(code) < 60 else f"{code[:60]}..."
            return f"\n  in {frame.name}, line {frame.lineno}: {code}"
    return ""
