"""Reads a submission's source text for ready-made normalizations."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Mapping

from d2l_bn.checks.failure import CheckFailed
from d2l_bn.checks.watch import OPERATORS

LIBRARY = {"batch_norm", "BatchNorm", "gluon_norm"}
ANSWERS = ("d2l_bn.nn.normalization", "d2l_bn.nn.layer", "d2l_bn.reference.mathematics")
PUBLIC = (
    "CheckFailed",
    "any_axis",
    "backward",
    "batch_norm",
    "channels_last",
    "layer",
    "masked",
    "own_work",
)


def own_work(namespace_or_source: Mapping | str) -> None:
    """Say so if a submission uses a ready-made normalization instead of its own.

    The source is read, not run. Sums, means and `nd.moments` are allowed.

    Parameters
    ----------
    namespace_or_source : mapping or str
        ``globals()`` of a notebook, whose cells are then read, or Python source.

    Raises
    ------
    CheckFailed
        At the first line that uses one, or where `namespace_or_source` is not Python.
    """
    whole = isinstance(namespace_or_source, str)
    given = namespace_or_source
    reader = _Reader()  # one for all cells, since one imports what another calls
    for source in [given] if isinstance(given, str) else _cells(given):
        try:
            found = reader.read(source)
        except SyntaxError as error:
            if not whole:
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
    print("own work: no ready-made normalization is used")


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
    """Return (line, name) of each ready-made normalization that Python source uses.

    Raises
    ------
    SyntaxError
        If the source is not Python.
    """
    return _Reader().read(source)


class _Reader(ast.NodeVisitor):
    """Follows imports and assignments, so that a name is known by where it came from."""

    def __init__(self) -> None:
        self.paths: dict[str, str] = {}
        self.texts: dict[str, str] = {}
        self.found: set[tuple[int, str]] = set()

    def read(self, source: str) -> list[tuple[int, str]]:
        """Return (line, name) of what one more source uses, knowing those before."""
        if source.lstrip().startswith("%%"):
            return []
        source = re.sub(r"^(\s*)[%!?].*$", r"\1pass", source, flags=re.MULTILINE)
        self.found = set()
        self.visit(ast.parse(source))
        return sorted(self.found)

    def visit_Import(self, node: ast.Import) -> None:
        for name in node.names:
            path = name.name if name.asname else name.name.split(".")[0]
            self.paths[name.asname or path] = path
            self._note(node, name.name)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        for name in node.names:
            path = f"{node.module}.{name.name}"
            self.paths[name.asname or name.name] = path
            self._note(node, path)

    def visit_Assign(self, node: ast.Assign) -> None:
        for target in node.targets:
            if isinstance(target, ast.Name):
                self.paths[target.id] = self._path(node.value)
                self.texts[target.id] = self._text(node.value)
        self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self._note(node, self._path(node))
        self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        self._note(node, self._path(node))
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        path = self._path(node)
        self._note(node, path)
        called = node.func.id if isinstance(node.func, ast.Name) else ""
        text = self._text(node.args[0]) if node.args else ""
        if called in ("eval", "exec") and text:
            self.found |= {(node.lineno, name) for _, name in ready_made(text)}
        self.generic_visit(node)

    def _path(self, node: ast.AST) -> str:
        """Return where a value comes from, such as "mxnet.nd.BatchNorm", or ""."""
        if isinstance(node, ast.Name):
            return self.paths.get(node.id, "")
        if isinstance(node, ast.Attribute):
            if node.attr == "__dict__":
                return self._path(node.value)
            return f"{self._path(node.value) or _root(node.value)}.{node.attr}"
        if isinstance(node, ast.Subscript):  # vars(nd)["BatchNorm"]
            key = self._text(node.slice)
            return f"{self._path(node.value)}.{key}" if key else ""
        if isinstance(node, ast.Call):
            name = node.func.id if isinstance(node.func, ast.Name) else ""
            name = node.func.attr if isinstance(node.func, ast.Attribute) else name
            if name == "vars" and node.args:
                return self._path(node.args[0])
            if name == "getattr" and len(node.args) > 1:
                return f"{self._path(node.args[0]) or '?'}.{self._text(node.args[1])}"
            if name in ("__import__", "import_module") and node.args:
                return self._text(node.args[0])
        return ""

    def _text(self, node: ast.AST) -> str:
        """Return a string, also one put together with + or kept in a variable, or ""."""
        if isinstance(node, ast.Name):
            return self.texts.get(node.id, "")
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return node.value
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            left, right = self._text(node.left), self._text(node.right)
            return left + right if left and right else ""
        return ""

    def _note(self, node: ast.AST, path: str) -> None:
        if _is_ready_made(path):
            self.found.add((node.lineno, path.lstrip("?.")))  # type: ignore[attr-defined]


def _is_ready_made(path: str) -> bool:
    """Whether a path such as "mxnet.nd.BatchNorm" is the work of somebody else."""
    *parents, name = path.split(".")
    place = ".".join(parents)
    if path.startswith("d2l_bn.checks."):
        return path.split(".")[2] not in PUBLIC  # the checks know the answer, too
    if place in ANSWERS or path in ANSWERS or (place == "d2l_bn" and name in LIBRARY):
        return True
    # Where a value comes from is not always known, as with F in hybrid_forward. Then the operator's
    # name decides, unless it is a student's own attribute or in lower case, as own functions are.
    unknown = place not in ("", "self") and not name.islower()
    return name in OPERATORS and (place.split(".")[0] == "mxnet" or unknown)


def _root(node: ast.AST) -> str:
    return node.id if isinstance(node, ast.Name) else "?"
