"""Reads source text for the names of ready-made normalizations: an aid to reading, no verdict."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator, Mapping

from d2l_bn.checks.failure import CheckFailed
from d2l_bn.checks.language import translated
from d2l_bn.checks.watch import OPERATORS

LIBRARY = ("batch_norm", "BatchNorm", "GluonBatchNorm")
ANSWERS = ("d2l_bn.nn", "d2l_bn.reference")


def own_work(namespace_or_source: Mapping | str) -> None:
    """Say so if a submission names a ready-made normalization instead of writing its own.

    The source is read, not run. Sums, means and `nd.moments` are allowed.

    Parameters
    ----------
    namespace_or_source : mapping or str
        ``globals()`` of a notebook, whose cells are then read, or Python source.

    Raises
    ------
    CheckFailed
        At the first line that names one, or where `namespace_or_source` is not Python.
    """
    given = namespace_or_source
    for source in [given] if isinstance(given, str) else _cells(given):
        try:
            found = ready_made(source)
        except SyntaxError as error:
            if not isinstance(given, str):
                continue  # such a cell never ran
            raise CheckFailed(
                "own work",
                f"line {error.lineno} is not Python: {error.msg}.",
                cause="the cell was saved unfinished. Run it and mend what Python reports.",
            ) from None
        if found:
            line, name = found[0]
            raise CheckFailed(
                "own work",
                f"your code uses {name}, which is what the exercise asks you to write.",
                received=f"line {line}: {source.splitlines()[line - 1].strip()}",
                cause="a ready-made normalization does the work. Write it with sums, means or "
                "moments.",
            )
    print(translated("own work: no ready-made normalization is used"))


def _cells(namespace: Mapping) -> list[str]:
    """Return the notebook's cells, or the sources of the functions and classes in a namespace."""
    if "In" in namespace:
        return [str(cell) for cell in namespace["In"]]
    own = []
    for value in namespace.values():
        if inspect.isfunction(value) or inspect.isclass(value):
            if (value.__module__ or "").split(".")[0] in ("mxnet", "d2l_bn"):
                own.append(f"from {value.__module__} import {value.__name__}")
                continue
            try:
                own.append(textwrap.dedent(inspect.getsource(value)))
            except (OSError, TypeError):
                continue
    return own


def ready_made(source: str) -> list[tuple[int, str]]:
    """Return (line, name) of each ready-made normalization that Python source names.

    Raises
    ------
    SyntaxError
        If the source is not Python.
    """
    if source.lstrip().startswith("%%"):
        return []
    source = re.sub(r"^(\s*)[%!?].*$", r"\1pass", source, flags=re.MULTILINE)
    named = {name for node in ast.walk(ast.parse(source)) for name in _names(node)}
    return sorted(named)


def _names(node: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the ready-made normalization that this part of a program names."""
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        module = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
        for alias in node.names:
            place, _, name = f"{module}{alias.name}".rpartition(".")
            theirs = place.split(".")[0] == "mxnet" and name in OPERATORS
            if theirs or _of_the_library(place, name):
                yield node.lineno, f"{place}.{name}"
    elif isinstance(node, ast.Attribute):
        place = ast.unparse(node.value)
        ready = node.attr in OPERATORS and not node.attr.islower()
        if (ready and place != "self") or _of_the_library(place, node.attr):
            yield node.lineno, f"{place}.{node.attr}"


def _of_the_library(place: str, name: str) -> bool:
    path = f"{place}.{name}"
    return (place == "d2l_bn" and name in LIBRARY) or path.startswith(ANSWERS)
