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
from functools import cache
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
_OPERATORS: dict[type, tuple[Any, ...]] = {
    ast.Add: (ast.Sub, ast.Mult),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Div, ast.Add),
    ast.Div: (ast.Mult,),
    ast.Pow: (ast.Mult,),
}


def names(case: Case) -> dict[str, Any]:
    """The values of the names in expressions of a case."""
    X, (mean, var) = case.X, case.moments()
    known = {
        "X": X,
        "mean": mean,
        "var": var,
        "gamma": case.gamma,
        "beta": case.beta,
        "moving_mean": case.mean,
        "moving_var": case.var,
        "new_moving_mean": case.moving(case.mean, mean),
        "new_moving_var": case.moving(case.var, var),
        "eps": case.eps,
        "momentum": case.momentum,
        "n": case.size,
        "size": X.size / X.shape[1],
        "average": case.average,
        "everything": np.mean,
        "sum": lambda values: np.broadcast_to(values, X.shape).sum(case.axes, keepdims=True),
        **{name: getattr(np, name) for name in ("sqrt", "log", "maximum", "minimum", "clip")},
        **FUNCTIONS,
    }
    if case.mask is not None:
        return {**known, "mask": case.mask}
    low, high = (each(case.axes, keepdims=True) for each in (X.min, X.max))
    known.update(low=low, high=high, least=X.min(), largest=X.max())
    return {**known, "median": np.median(X, case.axes, keepdims=True)}


@cache
def candidates(slot: str) -> list[list[str]]:
    """The expressions for a slot that no single slip makes, the likelier ones in front."""
    text = Path(__file__).with_name("candidates.json").read_text(encoding="utf-8")
    return [each.split("; ") for each in json.loads(text).get(slot, ())]


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


_SHOWN = {
    "everything": "mean_of_all",
    "low": "X.min(...)",
    "high": "X.max(...)",
    "size": "mask.size",
    "places": "mask.size",
    "total": "X.size",
    "by_place": "mask.sum(axis=0)",
    "by_sentence": "mask.sum(axis=1)",
    "nonzero": "sum(X != 0)",
    "counted": "sum(mask * X != 0)",
    **{f"length_{place}": f"X.shape[{place}]" for place in range(4)},
}


def shown(words: str) -> str:
    """An expression as a student would write it."""
    return re.sub(r"[a-z]\w*", lambda name: _SHOWN.get(name[0], name[0]), words)


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
