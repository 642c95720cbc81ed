"""Solutions in PyTorch and NumPy, right and wrong, and what the checks say of them without MXNet.

Run as a program, it prints as JSON each label and message, or nothing of what is accepted.
"""

# ruff: noqa: E501

from __future__ import annotations

import contextlib
import io
import json
import re
import sys
import warnings
from pathlib import Path

FUNCTION = """
def batch_norm(X, gamma, beta, moving_mean, moving_var, eps, momentum):
    if not torch.is_grad_enabled():
        mean, var = moving_mean, moving_var
    else:
        dims = (0,) if X.dim() == 2 else (0, 2, 3)
        mean = X.mean(dim=dims, keepdim=True)
        var = ((X - mean) ** 2).mean(dim=dims, keepdim=True)
        moving_mean = (1 - momentum) * moving_mean + momentum * mean.detach()
        moving_var = (1 - momentum) * moving_var + momentum * var.detach()
    X_hat = (X - mean) / torch.sqrt(var + eps)
    return gamma * X_hat + beta, moving_mean, moving_var
"""
LAYER = """
class BatchNorm(nn.Module):
    def __init__(self, num_features, num_dims):
        super().__init__()
        shape = (1, num_features) if num_dims == 2 else (1, num_features, 1, 1)
        self.gamma = nn.Parameter(torch.ones(shape))
        self.beta = nn.Parameter(torch.zeros(shape))
        self.register_buffer("moving_mean", torch.zeros(shape))
        self.register_buffer("moving_var", torch.ones(shape))

    def forward(self, X):
        Y, self.moving_mean, self.moving_var = batch_norm(
            X, self.gamma, self.beta, self.moving_mean, self.moving_var, eps=1e-5, momentum=0.1
        )
        return Y
"""
SIBLINGS = """
def any_axis(X, gamma, beta, moving_mean, moving_var, eps, momentum, axis, mask=None):
    turned = X.moveaxis(axis, -1)
    where = torch.ones_like(turned[..., :1]) if mask is None else mask[..., None]
    dims, n = tuple(range(X.dim() - 1)), where.sum()
    if torch.is_grad_enabled():
        mean = (turned * where).sum(dim=dims) / n
        var = ((turned - mean) ** 2 * where).sum(dim=dims) / n
        moving_mean = (1 - momentum) * moving_mean + momentum * mean
        moving_var = (1 - momentum) * moving_var + momentum * var
    else:
        mean, var = moving_mean, moving_var
    Y = (gamma * (turned - mean) / torch.sqrt(var + eps) + beta) * where
    return Y.moveaxis(-1, axis), moving_mean, moving_var

def channels_last(*arguments):
    return any_axis(*arguments, axis=-1)

def masked(X, mask, *arguments):
    return any_axis(X, *arguments, axis=-1, mask=mask)
"""
BACKWARD = """
def backward(dY, X, gamma, eps):
    mean = X.mean(0)
    std = (((X - mean) ** 2).mean(0) + eps) ** 0.5
    X_hat, g = (X - mean) / std, gamma * dY
    dX = (g - g.mean(0) - X_hat * (g * X_hat).mean(0)) / std
    return dX, (dY * X_hat).sum(0), dY.sum(0)
"""
NUMPY = [  # the same in NumPy, with the mode as an argument
    (", momentum):", ", momentum, training=True):"),
    ("mask=None):", "mask=None, training=True):"),
    ("(*arguments):", "(*arguments, training=True):"),
    ("mask, *arguments):", "mask, *arguments, training=True):"),
    ("axis=-1", "axis=-1, training=training"),
    ("not torch.is_grad_enabled()", "not training"),
    ("torch.is_grad_enabled()", "training"),
    ("X.moveaxis(axis, -1)", "np.moveaxis(X, axis, -1)"),
    ("Y.moveaxis(-1, axis)", "np.moveaxis(Y, -1, axis)"),
    ("X.dim()", "X.ndim"),
    (".detach()", ""),
    ("keepdim=", "keepdims="),
    ("dim=", "axis="),
    ("torch.", "np."),
]
MEAN, VAR = "X.mean(dim=dims, keepdim=True)", "((X - mean) ** 2).mean(dim=dims, keepdim=True)"
STATE = 'self.register_buffer("moving_mean", torch.zeros(shape))'
OTHER = 'self.register_buffer("moving_var", torch.ones(shape))'
GAMMA = "nn.Parameter(torch.ones(shape))"
KEPT = "Y, self.moving_mean, self.moving_var = "
AVERAGES = f"{STATE} -> self.moving_mean = nn.Parameter(torch.zeros(shape), requires_grad=False)"
OLD = ["(1 - momentum) -> SHARE", "momentum * -> (1 - momentum) *", "SHARE -> momentum"]
RIGHT = {  # by what is checked, the edits of each
    "batch_norm": [
        [],
        [".detach() -> ", "+ beta, moving_mean, -> + beta, moving_mean.data,"],
        [f"{VAR} -> X.var(dim=dims, keepdim=True, unbiased=False)"],
        [
            "moving_mean = (1 - momentum) * moving_mean + -> moving_mean *= 1 - momentum; moving_mean +="
        ],
    ],
    "layer": [
        [],
        [f"{OTHER} -> self.register_buffer('moving_var', torch.zeros(shape))"],
        ["return Y\n -> return Y if self.training == torch.is_grad_enabled() else None\n"],
        ["moving_mean -> running_mean", "moving_var -> running_var"],
        [AVERAGES, f"{KEPT} -> Y, self.moving_mean.data, self.moving_var = "],
    ],
    "channels_last": [[]],
    "any_axis": [[]],
    "masked": [[]],
    "backward": [[]],
}
WRONG = {  # a label, and the edits
    "batch_norm": [
        ("variance n: (n - 1)", f"{VAR} -> X.var(dim=dims, keepdim=True)"),
        ("spread: sqrt(v) + eps", "torch.sqrt(var + eps) -> (torch.sqrt(var) + eps)"),
        ("spread: v + eps", "torch.sqrt(var + eps) -> (var + eps)"),
        ("offset: 0", " + beta, -> ,"),
        ("moving_mean, momentum: (1 - momentum)", *OLD),
        ("moving_mean, momentum: 0.9", "(1 - momentum) -> 0.9", "momentum * -> 0.1 *"),
        ("moving_var, momentum: 1", "moving_var = (1 - momentum) * moving_var + -> new ="),
        ("subtracted mean: moving_mean & variance: moving_var", "if not torch -> if torch"),
        ("mean: mean & variance: var", "not torch.is_grad_enabled() -> False"),
        ("averages: updated", "    else: ->         moving_mean = 0.9 * moving_mean\n    else:"),
        ("in place", "X_hat = (X - mean) -> X -= mean\n    X_hat = X"),
        ("axes: axis 1", "(0,) if -> (1,) if"),
        ("axes: axes (2, 3)", "(0, 2, 3) -> (2, 3)"),
        ("axes: axis 0", "(0, 2, 3) -> (0,)"),
        ("line up: the last axis", "dims, keepdim=True -> dims"),
        ("graph: mean and variance", f"{MEAN} -> {MEAN}.detach()", f"{VAR} -> {VAR}.detach()"),
        ("graph: variance", f"{VAR} -> {VAR}.detach()"),
        ("returned: nothing", "return gamma -> gamma"),
        (
            "returned: no tensor",
            "return gamma * X_hat + beta -> return (gamma * X_hat + beta).detach().numpy()",
        ),
        ("ready-made", "X_hat = -> nn.functional.layer_norm(X, X.shape)\n    X_hat ="),
        ("raised: foreign", "var + eps -> var.astype(X.dtype) + eps"),
    ],
    "layer": [
        ("layer: not registered", f"{GAMMA} -> torch.ones(shape, requires_grad=True)"),
        ("layer: not trained", f"{GAMMA} -> nn.Parameter(torch.ones(shape), requires_grad=False)"),
        ("layer: starts", f"{GAMMA} -> nn.Parameter(torch.zeros(shape))"),
        ("layer: trained", AVERAGES, ", requires_grad=False -> "),
        ("raised: cannot assign '", AVERAGES),
        ("layer: not saved", f"{STATE} -> self.moving_mean = torch.zeros(shape)"),
        ("layer: not saved", f"{OTHER} -> self.moving_var = torch.ones(shape)"),
        ("layer: graph kept", ".detach() -> "),
        ("layer: no gradient", "return Y\n -> return Y.detach()\n"),
        ("layer: not kept", f"{KEPT} -> Y, *_ = "),
        ("layer: swapped", f"{KEPT} -> Y, self.moving_var, self.moving_mean = "),
        ("moving_mean, momentum: (1 - momentum)", "momentum=0.1 -> momentum=0.9"),
        ("layer: momentum", "momentum=0.1 -> momentum=0.05"),
        ("variance n: (n - 1)", f"{VAR} -> X.var(dim=dims, keepdim=True)"),
        ("mean: mean & variance: var", "not torch.is_grad_enabled() -> False"),
        ("layer: shape", "if num_dims == 2 -> if num_dims"),
        ("layer: returns more", "return Y\n -> return Y, self.moving_mean, self.moving_var\n"),
        (
            "layer: no block",
            "(nn.Module) -> ",
            f"{STATE} -> self.moving_mean = 0",
            f"{OTHER} -> pass",
        ),
        ("raised: before Module.__init__() call", "super().__init__() -> pass"),
        (
            "layer: shared from the start",
            "def __init__ -> shared = nn.Parameter(torch.ones(1, 3))\n    def __init__",
            f"{GAMMA} -> self.shared",
        ),
        (
            "ready-made",
            "return Y\n -> return nn.BatchNorm1d(X.shape[1])(X) if X.dim() == 2 else Y\n",
        ),
    ],
    "channels_last": [("spread: sqrt(v)", "(var + eps) -> (var)")],
    "any_axis": [("axis: sign", "X.moveaxis(axis -> X.moveaxis(axis or -1")],
    "masked": [("mask: everywhere & padding: not 0", "if mask is None -> if True")],
    "backward": [
        ("path through the mean, 0", " - g.mean(0) -> "),
        ("ready-made", "return dX -> torch.autograd.backward([])\n    return dX"),
    ],
}
WRONG_IN_NUMPY = [
    ("variance n: (n - 1)", f"{VAR} -> X.var(dim=dims, keepdim=True, ddof=1)"),
    ("line up: the last axis", "dims, keepdim=True -> dims"),
    ("mean: mean & variance: var", "not torch.is_grad_enabled() -> False"),
    ("in place", "X_hat = (X - mean) -> X -= mean\n    X_hat = X"),
    (
        "raised: argument 'training'",
        ", momentum): -> , momentum) :",
        "not torch.is_grad_enabled() -> False",
    ),
]
BASES = {"batch_norm": FUNCTION, "layer": FUNCTION + LAYER, "backward": BACKWARD}


def edited(text: str, edits) -> str:
    """A text with what "old -> new" says; each old text has to be there."""
    for edit in edits:
        old, new = edit.split(" -> ") if " -> " in edit else (edit.removesuffix(" ->"), "")
        assert old in text, edit
        text = text.replace(old, new)
    return text


def asked(name: str, framework: str, edits=(), weighs="new") -> list[str]:
    """The label and the message of a solution; nothing where it is right."""
    import numpy as np
    import torch

    from d2l_bn import checks

    text = edited(BASES.get(name, SIBLINGS), edits)
    for old, new in NUMPY if framework == "numpy" else ():
        text = text.replace(old, new)
    scope = {"torch": torch, "nn": torch.nn, "np": np}
    exec(text, scope)
    options = {} if name == "backward" else {"momentum_weighs": weighs}
    solution = scope["BatchNorm" if name == "layer" else name]
    try:
        getattr(checks, name)(solution, framework=framework, **options)
    except checks.CheckFailed as failed:
        return [failed.label, str(failed)]
    return []


def page() -> list[str]:
    """The label and the message of the example in the book, and the message that is shown there."""
    from d2l_bn import checks

    text = (Path(__file__).parents[2] / "book" / "in-pytorch.md").read_text()
    code, shown = re.findall(r"```(?:python|text)\n(.*?)\n```", text, re.DOTALL)
    try:
        exec(code, {})
    except checks.CheckFailed as failed:
        return [failed.label, str(failed), shown]
    return []


class NoMXNet:
    """Finds no MXNet, wherever it is installed."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == "mxnet":
            raise ModuleNotFoundError("No module named 'mxnet'")


def main() -> None:
    import d2l_bn.checks  # noqa: F401 (which puts a finder of its own in front)

    sys.meta_path.insert(0, NoMXNet)
    found = {}
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, group in RIGHT.items():
            for edits in group:
                found[f"{name} {edits}"] = asked(name, "torch", edits)
        for name, group in WRONG.items():
            for _, *edits in group:
                found[f"{name} {edits}"] = asked(name, "torch", edits)
        for name in RIGHT.keys() - {"layer"}:
            found[f"numpy {name}"] = asked(name, "numpy")
        for _, *edits in WRONG_IN_NUMPY:
            found[f"numpy batch_norm {edits}"] = asked("batch_norm", "numpy", edits)
        found["page"] = page()
        found["not told"] = asked("batch_norm", "mxnet")
        found["old"] = asked("batch_norm", "torch", OLD, "old")
        found["new taken for old"] = asked("batch_norm", "torch", (), "old")
    assert "mxnet" not in sys.modules
    print(json.dumps(found))


if __name__ == "__main__":
    main()
