"""The parts of the check of a student's layer."""

from __future__ import annotations

from typing import Callable

import numpy as np

from d2l_bn.checks.calls import to_numpy
from d2l_bn.checks.choose import run_parts
from d2l_bn.checks.failure import CheckFailed, kind
from d2l_bn.checks.layer_modes import kept_statistics, modes
from d2l_bn.checks.layer_state import contexts, independence, saving
from d2l_bn.checks.state import Subject, statistic

from mxnet import gluon


def layer(candidate: Callable, *parts: str, allow_library: bool = False) -> None:
    """Check a layer like `d2l_bn.BatchNorm`, with eps 1e-5 and momentum 0.9.

    Parameters
    ----------
    candidate : callable
        Called with (num_features, num_dims), for instance the class; returns a Block with the
        attributes gamma, beta, moving_mean and moving_var.
    *parts : {"parameters", "modes", "statistics", "independence", "contexts", "saving"}
        What to check; without any, everything.
    allow_library : bool, default False
        Accept that the layer calls a ready-made normalization, such as `d2l_bn.batch_norm`.

    Raises
    ------
    CheckFailed
        At the first property that does not hold.
    ValueError
        If a part is unknown.
    """
    known: dict[str, Callable[[Subject], str]] = {
        "parameters": _parameters,
        "modes": modes,
        "statistics": kept_statistics,
        "independence": independence,
        "contexts": contexts,
        "saving": saving,
    }
    run_parts(known, parts, Subject(candidate, allow_library))


def _parameters(subject: Subject) -> str:
    part = "parameters"
    for shape in ((1, 3), (1, 3, 1, 1), (1, 5), (1, 5, 1, 1)):
        given = {"num_features": shape[1], "num_dims": len(shape)}
        block = subject.make(len(shape), part, num_features=shape[1])
        for name, start in (("gamma", 1.0), ("beta", 0.0)):
            value = _registered(block, name, part, given)
            _start(part, name, to_numpy(value.data()), shape, (start,), given)
        for name, starts in (("moving_mean", (0.0,)), ("moving_var", (0.0, 1.0))):
            kept = getattr(block, name, None)
            if isinstance(kept, gluon.Parameter) and kept.grad_req != "null":
                raise CheckFailed(
                    part,
                    f"{name} is trained.",
                    expected='grad_req "null"',
                    received=f'grad_req "{kept.grad_req}"',
                    cause="a trainer would change the moving averages. Make them with "
                    'grad_req="null".',
                )
            _start(part, name, to_numpy(statistic(block, name, part)), shape, starts, given)
    return part


def _registered(block, name: str, part: str, given) -> gluon.Parameter:
    """Return gamma or beta, which a trainer must find and change."""
    value = getattr(block, name, None)
    registered = block.collect_params().values()
    if value is None or not any(value is parameter for parameter in registered):
        raise CheckFailed(
            part,
            f"{name} is not one of the layer's parameters.",
            input=given,
            expected=f"a Parameter in collect_params(), as self.{name}",
            received=f"self.{name} is {kind(value)}",
            cause=f"a trainer sees registered parameters only. Make it with "
            f'self.{name} = self.params.get("{name}", shape=shape, init=...).',
        )
    if value.grad_req == "null":
        raise CheckFailed(
            part,
            f"{name} is not trained.",
            expected='grad_req "write"',
            received='grad_req "null"',
            cause=f'{name} was made with grad_req="null" or get_constant. Leave that out.',
        )
    return value


_SHAPE = (
    "the shape is (1, num_features) for num_dims 2 and (1, num_features, 1, 1) for num_dims 4, so "
    "that it broadcasts."
)
_FEATURES = "there is one value for each feature. Use the argument num_features."


def _start(part: str, name: str, value, shape, starts, given) -> None:
    """Check the shape and the value after initialize()."""
    if value.shape != shape:
        raise CheckFailed(
            part,
            f"the shape of {name} is wrong.",
            input=given,
            expected=str(shape),
            received=str(value.shape),
            cause=_SHAPE if value.size == shape[1] else _FEATURES,
        )
    if not any(np.array_equal(value, np.full(shape, start)) for start in starts):
        raise CheckFailed(
            part,
            f"{name} starts at a wrong value.",
            input=given,
            expected=np.full(shape, starts[0]),
            received=value,
            cause=f"{name} starts at {starts[0]:g}: gamma at ones (init.One()), beta at zeros "
            "(init.Zero()), the moving averages at zeros.",
        )
