"""Reads a student's code for what a person should look at: manipulations, ready-made answers."""

from __future__ import annotations

import ast
import contextlib
import re
from collections.abc import Iterator

from classroom.submission import Cell, runnable
from d2l_bn.checks.sources import ready_made

# What an answer has no need of, and what a manipulation of the tests could use.
SUSPECT_MODULES = {
    "IPython",
    "__main__",
    "builtins",
    "ctypes",
    "gc",
    "importlib",
    "inspect",
    "linecache",
    "multiprocessing",
    "operator",
    "signal",
    "socket",
    "subprocess",
    "sys",
    "threading",
    "traceback",
}
SUSPECT_NAMES = {
    "__builtins__",
    "__import__",
    "breakpoint",
    "compile",
    "eval",
    "exec",
    "delattr",
    "getattr",
    "globals",
    "setattr",
    "vars",
}
SUSPECT_ATTRIBUTES = {
    "__array_function__",
    "__code__",
    "__dict__",
    "__getattribute__",
    "__globals__",
    "__traceback__",
    "_exit",
    "_getframe",
    "ag_frame",
    "co_consts",
    "cr_frame",
    "f_back",
    "f_code",
    "f_globals",
    "f_locals",
    "fork",
    "format_map",
    "gi_frame",
    "kill",
    "modules",
    "system",
    "tb_frame",
}
TESTING = {"autograd", "checks", "numpy", "np", "nd", "mx"}  # modules that the tests rely on


def suspicions(cells: list[Cell]) -> list[str]:
    """What in a student's code could manipulate the tests, one line each."""
    found: list[str] = []
    modules = set(TESTING)  # and what the student imports, under whatever name
    for cell in cells:
        if cell.kind == "student":
            name = cell.id or "an added cell"
            try:
                tree = ast.parse(runnable(cell.source))
                found += [f"{name}: {what}" for what in _suspect(tree, modules)]
            except (SyntaxError, ValueError):
                continue  # it doesn't run, either: the worker gets the same text
            except (RecursionError, MemoryError):
                found.append(f"{name}: is too deeply nested to be read")
    return sorted(set(found))


def ready_answers(cells: list[Cell]) -> list[str]:
    """The ready-made normalizations that a student's code calls."""
    found = set()
    for cell in cells:
        if cell.kind == "student":
            with contextlib.suppress(SyntaxError, ValueError, RecursionError, MemoryError):
                found |= {what for _, what in ready_made(runnable(cell.source))}
    return sorted(found)


def _suspect(tree: ast.AST, modules: set[str]) -> Iterator[str]:
    imports = [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
    names = [alias.asname or alias.name.split(".")[0] for node in imports for alias in node.names]
    modules.update(names)
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            parts = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            parts += [alias.name for alias in node.names]
            yield from (f"imports {m}" for m in parts if m.split(".")[0] in SUSPECT_MODULES)
        elif isinstance(node, ast.Name) and node.id in SUSPECT_NAMES:
            yield f"uses {node.id}"
        elif isinstance(node, ast.Attribute) and node.attr in SUSPECT_ATTRIBUTES:
            yield f"uses {node.attr}"
        elif _looks_up_by_text(node):
            yield "formats with a text that can name attributes"
        elif getattr(node, "kwd_attrs", None):  # of a pattern, from Python 3.10 on
            yield "matches attributes by name"
        elif isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load):
            root = node.value
            while isinstance(root, ast.Attribute):
                root = root.value
            if isinstance(root, ast.Name) and root.id in modules:
                yield f"changes {ast.unparse(node)}"
        elif isinstance(node, ast.FunctionDef) and node.name in SUSPECT_ATTRIBUTES:
            yield f"defines {node.name}"


def _looks_up_by_text(node: ast.AST) -> bool:
    """Whether it is ``text.format``, where the text isn't given or has a dot in its braces."""
    if not isinstance(node, ast.Attribute) or node.attr != "format":
        return False
    text = node.value.value if isinstance(node.value, ast.Constant) else None
    return not isinstance(text, str) or re.search(r"\{[^}]*[.\[]", text) is not None
