"""Finds the alteration of the right formulas that gives the numbers received.

The formulas are lines of text, each with a name on its left. One place of one line is altered, as a
slip does: an operand is dropped, an operator or a name is another one, parentheses enclose more or
less. The altered line names the mistake, whether or not somebody has met it before.
"""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, partial
from typing import Any

import numpy as np

from d2l_bn.checks.cases import Case

STATISTICS = ("n = count", "mean = sum(X) / n", "var = sum((X - mean) ** 2) / n")
MASKED = ("n = count", "mean = sum(mask * X) / n", "var = sum(mask * (X - mean) ** 2) / n")
OUTPUT = "Y = gamma * (X - mean) / sqrt(var + eps) + beta"
APART = "Y = gamma * ((X - mean) / sqrt(var + eps)) + beta"  # the same, X_hat by itself
PREDICTION = "Y = gamma * (X - moving_mean) / sqrt(moving_var + eps) + beta"
MOVING_MEAN = "moving_mean = momentum * moving_mean + (1 - momentum) * mean"
MOVING_VAR = "moving_var = momentum * moving_var + (1 - momentum) * var"
NORMALIZED = (*STATISTICS, "std = sqrt(var + eps)", "X_hat = (X - mean) / std")
BETA = ("dbeta = sum(dY)",)
GAMMA = (*NORMALIZED, "dgamma = sum(dY * X_hat)")
# The gradient of X, in its shortest form and as the sum of its three ways.
INPUT = (
    (
        *NORMALIZED,
        "g = gamma * dY",
        "dX = (g - sum(g) / n - X_hat * sum(g * X_hat) / n) / std",
    ),
    (
        *NORMALIZED,
        "g = gamma * dY",
        "dvar = sum(g * (X - mean)) * (-0.5) * (var + eps) ** (-1.5)",
        "dmean = -sum(g) / std + dvar * sum(-2 * (X - mean)) / n",
        "dX = g / std + dvar * 2 * (X - mean) / n + dmean / n",
    ),
)
# What may stand in a name's place, beside the names that are of the same kind.
_KINDS = (
    ("X", "X_hat", "dY", "g"),
    ("mean", "var", "std", "moving_mean", "moving_var"),
    ("gamma", "beta", "1"),
    ("dvar", "dmean"),
)
_LENGTHS = tuple(f"length_{place}" for place in range(4))
_COUNTS = (
    *_LENGTHS,
    "(length_0 - 1)",
    "places",
    "size",
    "(count * channels)",
    "sum(X != 0)",
    "by_place",
    "by_sentence",
)
_OTHERS = {
    "n": ("1", "(n - 1)", "(n + 1)", "n ** 2", *_COUNTS),
    "count": ("1", "(count - 1)", "(count + 1)", "(count + eps)", *_COUNTS),
    "eps": ("eps ** 2", "sqrt(eps)", "1e-5", "1e-3", "1e-8", "momentum"),
    "momentum": ("(1 - momentum)", "momentum ** 2", "0.9", "0.1", "0.99", "eps"),
    "mask": ("(1 - mask)",),
    "t": ("(t + 1)", "(t - 1)", "(2 * t)"),
    "X": ("(X + eps)",),
    "mean": ("everything(X)", "(low + high) / 2", "(mean + moving_mean) / 2"),
    "share": ("sqrt(share)", "share ** 2"),
    "var": ("sqrt(var)", "var ** 2", "(var + eps)"),
    "moving_var": ("sqrt(moving_var)", "moving_var ** 2"),
    "std": ("std ** 2",),
    "gamma": ("gamma ** 2", "abs(gamma)", "exp(gamma)", "everything(gamma)"),
}
_OPERATORS: dict[type, tuple[Any, ...]] = {
    ast.Add: (ast.Sub, ast.Mult),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Div, ast.Add),
    ast.Div: (ast.Mult,),
    ast.Pow: (ast.Mult,),
}


def statistics(case: Case) -> tuple[str, ...]:
    """The lines for mean and variance, with a mask where the case has one."""
    return STATISTICS if case.mask is None else MASKED


def output(case: Case) -> str:
    """The line for the output in training mode."""
    return _masked(case, OUTPUT)


def prediction(case: Case) -> str:
    """The line for the output in prediction mode."""
    return _masked(case, PREDICTION)


def _masked(case: Case, line: str) -> str:
    return line if case.mask is None else f"Y = mask * ({line[4:]})"


def names(case: Case, **more) -> dict[str, Any]:
    """The values of the names in the formulas; `length_0` is X.shape[0], as the student has X."""
    X = case.X
    lengths = np.moveaxis(X, 1, case.axis).shape
    first, second = case.order[:2]  # which of our axes are the student's
    return {
        "X": X,
        "gamma": case.gamma,
        "beta": case.beta,
        "moving_mean": case.mean,
        "moving_var": case.var,
        "eps": case.eps,
        "momentum": case.momentum,
        "count": case.size,
        "channels": X.shape[1],
        "size": X.size,
        **{f"length_{place}": length for place, length in enumerate(lengths)},
        "sum": lambda values: np.broadcast_to(values, X.shape).sum(case.axes, keepdims=True),
        "sum_0": lambda values: np.broadcast_to(values, X.shape).sum(first, keepdims=True),
        "sum_1": lambda values: np.broadcast_to(values, X.shape).sum(second, keepdims=True),
        "average": case.average,
        "features": lambda values: values.mean(1, keepdims=True),
        "everything": np.mean,
        "sqrt": np.sqrt,
        "abs": np.abs,
        "exp": np.exp,
        "maximum": np.maximum,
        "low": X.min(case.axes, keepdims=True),
        "high": X.max(case.axes, keepdims=True),
        **({} if case.mask is None else _of_mask(case.mask)),
        **more,
    }


def _of_mask(mask: np.ndarray) -> dict[str, Any]:
    by_place, by_sentence = mask.sum(0, keepdims=True), mask.sum(2, keepdims=True)
    return dict(mask=mask, places=mask.size, by_place=by_place, by_sentence=by_sentence)


def value(lines: Iterable[str], known: Mapping[str, Any]) -> Any:
    """Compute the lines one after the other, and return the value of the last."""
    scope = dict(known)
    for line in lines:
        last, right = line.split(" = ", 1)
        scope[last] = eval(_code(right), {"__builtins__": {}}, scope)
    return scope[last]


def _values(programs: Iterable, lines: tuple[str, ...], known: Mapping) -> Iterator[tuple]:
    """Yield each program with its value, where that has the shape of the right one."""
    with np.errstate(all="ignore"):
        shape = np.shape(value(lines, known))
        for program in programs:
            try:
                yield program, np.broadcast_to(value(program, known), shape)
            except (ArithmeticError, ValueError):
                continue


def listed(
    table: Mapping[str, str], lines: tuple[str, ...], known: Mapping[str, Any]
) -> Iterator[tuple[str, Any]]:
    """Yield the words of each entry of a table, and what comes if its lines replace ours.

    An entry's key holds one or several lines, with ";" between them.
    """
    programs = {}
    for entry, words in table.items():
        theirs = {line.split(" = ")[0]: line for line in entry.split("; ")}
        programs[tuple(theirs.get(line.split(" = ")[0], line) for line in lines)] = words
    for program, result in _values(programs, lines, known):
        yield programs[program], result


def altered(lines: tuple[str, ...], known: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield what the lines give if one of them is altered, each with its cause."""
    variants = [
        _variants(line, frozenset(known) | _left(lines[:place])) for place, line in enumerate(lines)
    ]
    for theirs, result in _values(_once(lines, variants), lines, known):
        changed = next((other, line) for other, line in zip(theirs, lines) if other != line)
        found, right = (_shown(line, known) for line in changed)
        yield f"your numbers are those of {found}. The formula is {right}.", result


def _once(lines: tuple[str, ...], variants: list) -> Iterator[tuple[str, ...]]:
    for place, others in enumerate(variants):
        for other in others:
            yield (*lines[:place], other, *lines[place + 1 :])


def _left(lines: Iterable[str]) -> frozenset[str]:
    return frozenset(line.split(" = ")[0] for line in lines)


def _shown(line: str, known: Mapping[str, Any]) -> str:
    """A line as a student would write it."""
    count = "sum(mask)" if "mask" in known else "the number of values of a channel"
    words = {"by_place": "mask.sum(axis=0)", "by_sentence": "mask.sum(axis=1)"}
    words.update({"low": "X.min(...)", "high": "X.max(...)", "everything": "mean_of_all"})
    words.update(sum_0="sum_over_axis_0", sum_1="sum_over_axis_1")
    words.update({"places": "mask.size", "size": "X.size", "count": count})
    words.update((f"length_{place}", f"X.shape[{place}]") for place in range(4))
    line = re.sub(r"\((-[\d.]+)\)", r"\1", line)
    return re.sub(r"[A-Za-z_]\w*", lambda name: words.get(name[0], name[0]), line)


@cache
def _code(text: str):
    return compile(text, "formula", "eval")


@cache
def _variants(line: str, known: frozenset[str]) -> tuple[str, ...]:
    """Return the line with each single alteration, where only known names stand in it."""
    left, right = line.split(" = ", 1)
    tree = ast.parse(right, mode="eval").body
    found = dict.fromkeys(ast.unparse(other) for other in _everywhere(tree))
    found.update(dict.fromkeys(_exchanged(ast.unparse(tree))))
    found.pop(ast.unparse(tree), None)
    return tuple(f"{left} = {text}" for text in found if set(_code(text).co_names) <= known)


def _swap(pair: dict[str, str], name: re.Match) -> str:
    return pair.get(name[0], name[0])


def _exchanged(text: str) -> Iterator[str]:
    """Yield the text with two of its names in each other's place."""
    for one, other in (
        ("gamma", "beta"),
        ("mean", "var"),
        ("moving_mean", "moving_var"),
        ("eps", "momentum"),
    ):
        pair = {one: other, other: one}
        yield re.sub(r"[A-Za-z]\w*", partial(_swap, pair), text)


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
        alike = [kind for kind in _KINDS if node.id in kind]
        for other in (*(name for kind in alike for name in kind), *_OTHERS.get(node.id, ())):
            yield _parsed(other)
    elif isinstance(node, ast.Constant):
        number: Any = node.value
        for value in (0, 1, 2, 3, 2 * number, number / 2, number + 1, number - 1):
            yield ast.Constant(value)
    elif isinstance(node, ast.UnaryOp):
        yield node.operand
    elif isinstance(node, ast.Call):
        yield node.args[0]
        if node.func.id == "sum":  # type: ignore[attr-defined]
            yield ast.BinOp(node, ast.Div(), ast.Name("n"))
            yield from (_call(name, *node.args) for name in ("sum_0", "sum_1"))
        yield from _moved_in(node)
    elif isinstance(node, ast.BinOp):
        yield node.left
        yield node.right
        for operator in _OPERATORS[type(node.op)]:
            yield ast.BinOp(node.left, operator(), node.right)
        if isinstance(node.op, ast.Add):
            yield _call("maximum", node.left, node.right)
        if isinstance(node.op, (ast.Sub, ast.Div)):
            yield ast.BinOp(node.right, node.op, node.left)
        if isinstance(node.op, ast.Pow):
            yield _call("abs", node.left)
        if isinstance(node.op, ast.Div) and isinstance(node.right, ast.Call):
            for outside in _moved_in(node.right):  # what is under the root comes after the division
                yield ast.BinOp(
                    ast.BinOp(node.left, node.op, outside.left), ast.Add(), outside.right
                )
        yield from _regrouped(node)


def _moved_in(node: ast.Call) -> Iterator[ast.BinOp]:
    """Yield f(a) + b for f(a + b), and f(a) ** 2 for f(a ** 2)."""
    inner = node.args[0] if len(node.args) == 1 else None
    if isinstance(inner, ast.BinOp):
        yield ast.BinOp(ast.Call(node.func, [inner.left], []), inner.op, inner.right)


def _regrouped(node: ast.BinOp) -> Iterator[ast.expr]:
    """Yield the two operations with the parentheses elsewhere."""
    for a, inner, flipped in ((node.left, node.right, False), (node.right, node.left, True)):
        if not isinstance(inner, ast.BinOp):
            continue
        if flipped:  # (b . c) . a becomes b . (c . a)
            yield ast.BinOp(inner.left, inner.op, ast.BinOp(inner.right, node.op, a))
            # (b / c) + a becomes (b + a) / c
            yield ast.BinOp(ast.BinOp(inner.left, node.op, a), inner.op, inner.right)
        else:  # a . (b . c) becomes (a . b) . c
            yield ast.BinOp(ast.BinOp(a, node.op, inner.left), inner.op, inner.right)


def _call(name: str, *arguments: ast.expr) -> ast.expr:
    return ast.Call(ast.Name(name), list(arguments), [])


def _parsed(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body
