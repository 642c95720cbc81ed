"""One grammar of slips: which expressions come of a right one if a single place of it is altered.

An expression is text, over the names that `names` gives their values. A slip takes another name or
number, drops an operand or a call, takes another operator, or sets the parentheses elsewhere.
"""

from __future__ import annotations

import ast
import copy
import json
import re
from collections.abc import Iterator
from functools import cache, partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from d2l_bn.checks.cases import Case

# What may be done to each value by itself: to X, X_hat or the output.
FUNCTIONS: dict[str, Any] = {
    "abs": np.abs,
    "relu": lambda x: np.maximum(x, 0),
    "round": np.round,
    "trunc": np.trunc,
    "floor": np.floor,
    "sign": np.sign,
    "square": np.square,
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "exp": np.exp,
}
_NUMPY = ("sqrt", "log", "maximum", "minimum", "clip", "min", "max")
_OPERATORS: dict[type, tuple[Any, ...]] = {
    ast.Add: (ast.Sub, ast.Mult),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Div, ast.Add),
    ast.Div: (ast.Mult,),
    ast.Pow: (ast.Mult,),
}


def names(case: Case, training: bool = True) -> dict[str, Any]:
    """The values of the names in expressions of a case; those of X_hat and Y are of this mode."""
    X, (mean, var) = case.X, case.moments()
    used = (mean, var) if training else (case.mean, case.var)
    std = np.sqrt(used[1] + case.eps)
    X_hat = (X - used[0]) / std
    lengths = np.moveaxis(X, 1, case.axis).shape
    low, high = (each(case.axes, keepdims=True) for each in (X.min, X.max))
    known = dict(X=X, mean=mean, var=var, std=std, X_hat=X_hat, Y=case.gamma * X_hat + case.beta)
    known.update(gamma=case.gamma, beta=case.beta, moving_mean=case.mean, moving_var=case.var)
    known.update(eps=case.eps, momentum=case.momentum, n=case.size, size=X.size / X.shape[1])
    known.update(total=X.size, channels=X.shape[1], average=case.average, everything=np.mean)
    known["first"] = X[(slice(1), slice(None), *[slice(1)] * (X.ndim - 2))]
    known["new_moving_mean"], known["new_moving_var"] = case.step()
    known["sum"] = lambda each: np.broadcast_to(each, X.shape).sum(case.axes, keepdims=True)
    known["normalized"] = partial(_normalized, case)
    known.update((f"length_{place}", length) for place, length in enumerate(lengths))
    known.update((name, getattr(np, name)) for name in _NUMPY)
    known.update(FUNCTIONS)
    if case.mask is not None:
        return {**known, **_of_mask(case)}
    known.update(low=low, high=high, least=X.min(), largest=X.max())
    return {**known, "median": np.median(X, case.axes, keepdims=True)}


def _normalized(case: Case, values, weights=None, count=None) -> np.ndarray:
    """Those values, normalized over the places that these weights count, or the mask."""
    if weights is None:
        weights = np.broadcast_to(1.0 if case.mask is None else case.mask, case.X.shape)
    count = weights.sum(case.axes, keepdims=True) if count is None else count
    mean = (weights * values).sum(case.axes, keepdims=True) / count
    squares = (weights * (values - mean) ** 2).sum(case.axes, keepdims=True)
    return (values - mean) / np.sqrt(squares / count + case.eps)


def _of_mask(case: Case) -> dict[str, Any]:
    """The names of what a mask counts, and of the mask spread over the wrong axes of X."""
    X, ours = case.X, np.asarray(case.mask)
    indices = np.zeros((len(X), 1, 1))
    indices[:2, 0, 0] = X[:, 0].size - case.size, case.size
    known = {"mask": ours, "everywhere": np.ones_like(X), "indices": indices, "places": ours.size}
    known.update(by_place=ours.sum(0, keepdims=True), by_sentence=ours.sum(2, keepdims=True))
    known["nonzero"] = (X != 0).sum(case.axes, keepdims=True)
    known["counted"] = (ours * X != 0).sum(case.axes, keepdims=True)
    mask, last = ours[:, 0], np.moveaxis(X, 1, -1).shape  # theirs, (batch, length), and their X
    turned = [mask[None], mask[:, None], mask.T[:, :, None], mask.T[None]]
    turned.append(mask.T.reshape(mask.shape)[..., None])
    for k, each in enumerate(turned):
        if all(a in (1, b) for a, b in zip(each.shape, last)):
            known[f"turned_{k}"] = np.moveaxis(np.broadcast_to(each, last), -1, 1)
    return known


@cache
def _tables() -> dict[str, Any]:
    text = Path(__file__).with_name("candidates.json").read_text(encoding="utf-8")
    return json.loads(text)


@cache
def candidates(slot: str) -> list[list[str]]:
    """The expressions for a slot that no single slip makes, the likelier ones in front."""
    return [each.split("; ") if each else [] for each in _tables().get(slot, ())]


def expressions(slot: str, *right: str) -> Iterator[tuple[str, int]]:
    """Yield those that a slip makes of a right one, then the others, each with how rare it is."""
    yield from ((words, 0) for each in right for words in altered(each))
    for rarity, line in enumerate(candidates(slot)):
        yield from ((words, rarity) for words in line)


def value(words: str, known: dict[str, Any]) -> Any:
    """The value of an expression; None where a name in it is unknown, or there is none."""
    code = _code(words)
    if not set(code.co_names) <= known.keys():
        return None
    try:
        return eval(code, {"__builtins__": {}}, known)
    except (ArithmeticError, ValueError):
        return None


@cache
def _code(words: str):
    return compile(words, "expression", "eval")


@cache
def shown(words: str) -> str:
    """An expression as a student would write it."""
    return re.sub(r"[a-z]\w*", lambda name: _tables()["shown"].get(name[0], name[0]), words)


def grouped(words: str, operators: str = "-+*/") -> str:
    """An expression with parentheses, where one of these operators stands outside of any."""
    bare, before = words, ""
    while bare != before:
        bare, before = re.sub(r"\([^()]*\)", "", bare), bare
    return f"({words})" if re.search(rf" [{operators}] ", bare) else words


@cache
def altered(words: str) -> tuple[str, ...]:
    """The expressions that come of this one by one slip, without itself."""
    tree = ast.parse(words, mode="eval").body
    found = dict.fromkeys(ast.unparse(other) for other in _everywhere(tree))
    found.pop(ast.unparse(tree), None)
    return tuple(found)


def _everywhere(node: ast.expr) -> Iterator[ast.expr]:
    """Yield the expression with each alteration of one of its places."""
    yield from _here(node)
    for place, child in ast.iter_fields(node):
        if isinstance(child, ast.expr) and place != "func":
            for other in _everywhere(child):
                new = copy.copy(node)
                setattr(new, place, other)
                yield new
    if isinstance(node, ast.Call) and len(node.args) == 1:
        for other in _everywhere(node.args[0]):
            yield ast.Call(node.func, [other], [])


def _here(node: ast.expr) -> Iterator[ast.expr]:
    """Yield what may stand in a node's place."""
    if isinstance(node, ast.Name):
        others = chain(*candidates(f"for {node.id}"))
        yield from (ast.parse(other, mode="eval").body for other in others)
    elif isinstance(node, ast.Constant):
        number: Any = node.value
        yield from map(ast.Constant, (0, 1, 2, 3, 4, 2 * number, number / 2))
    elif isinstance(node, ast.Call):
        yield node.args[0]
        yield from _moved_in(node)
    elif isinstance(node, ast.BinOp):
        yield from (node.left, node.right)
        for operator in _OPERATORS[type(node.op)]:
            yield ast.BinOp(node.left, operator(), node.right)
        if isinstance(node.op, ast.Add):
            yield ast.Call(ast.Name("maximum"), [node.left, node.right], [])
        if isinstance(node.op, (ast.Sub, ast.Div)):
            yield ast.BinOp(node.right, node.op, node.left)
        if isinstance(node.op, ast.Pow):
            yield ast.Call(ast.Name("abs"), [node.left], [])
        yield from _regrouped(node)


def _moved_in(node: ast.Call) -> Iterator[ast.BinOp]:
    """Yield f(a) + b for f(a + b), and f(a) ** 2 for f(a ** 2)."""
    inner = node.args[0]
    if isinstance(inner, ast.BinOp):
        yield ast.BinOp(ast.Call(node.func, [inner.left], []), inner.op, inner.right)


def _regrouped(node: ast.BinOp) -> Iterator[ast.expr]:
    """Yield two operations with the parentheses elsewhere."""
    if isinstance(node.right, ast.BinOp):  # a . (b . c) becomes (a . b) . c
        inner = node.right
        yield ast.BinOp(ast.BinOp(node.left, node.op, inner.left), inner.op, inner.right)
    if isinstance(node.left, ast.BinOp):  # (a . b) . c becomes a . (b . c), or (a . c) . b
        inner = node.left
        yield ast.BinOp(inner.left, inner.op, ast.BinOp(inner.right, node.op, node.right))
        yield ast.BinOp(ast.BinOp(inner.left, node.op, node.right), inner.op, inner.right)
