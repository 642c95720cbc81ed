"""Reads a notebook in the sandbox, before any of its code has run there.

Whatever parses a student's text may crash, or never end; so it does that in a process of its own.
"""

import ast
import base64
import html
import json
import re
import xml.etree.ElementTree as ET

MOST_CELLS = 500
MOST_LINES = 20  # of a cell that may be worth reading
SHOWN = 20_000  # characters of an output, and of what is compared
UNREADABLE = (SyntaxError, ValueError, RecursionError, MemoryError)  # which parsing may raise
NAMES = ("attr", "id", "arg", "name")  # where parts of a program have a name
MATH = re.compile(r"\$\$([^$]{1,4000})\$\$|(?<![\\$])\$(?!\s)([^$]{1,2000})(?<![\s\\])\$")
ATTRIBUTES = {"accent", "columnalign", "display", "displaystyle", "fence", "form", "linethickness"}
ATTRIBUTES |= {"mathvariant", "movablelimits", "scriptlevel", "stretchy", "width", "xmlns"}


def read(notebook):
    """The cells of a notebook, given as bytes: what is in them, and what there is to say of it."""
    found = json.loads(bytes(notebook).decode("utf-8-sig"))
    cells = found["cells"]
    if not isinstance(cells, list) or len(cells) > MOST_CELLS:
        raise ValueError(f"a notebook has a list of at most {MOST_CELLS} cells")
    return {"cells": [_cell(each) for each in cells]}


def _cell(cell):
    mark = cell.get("metadata", {}).get("nbgrader", {})
    source, code = _joined(cell["source"]), cell["cell_type"] == "code"
    return {
        "name": str(mark.get("grade_id", "")) if isinstance(mark, dict) else "",
        "code": code,
        "source": source,
        "shown": [_output(each) for each in cell.get("outputs", ())[:50]] if code else [],
    }


def _joined(text):
    text = text if isinstance(text, str) else "".join(text)
    return text.encode("utf-8", "replace").decode("utf-8")


def _output(output):
    """What an output shows: a kind of picture and its data, or no kind and a text."""
    data = output.get("data", {}) if isinstance(output, dict) else {}
    for kind in ("image/png", "image/jpeg", "image/svg+xml"):
        if kind in data:
            text = _joined(data[kind])
            if kind.endswith("xml"):
                text = base64.b64encode(text.encode()).decode()
            return [kind, re.sub(r"[^A-Za-z0-9+/=]", "", text)]
    text = output.get("text") or data.get("text/plain") or output.get("traceback") or ""
    lines = [text] if isinstance(text, str) else text
    joined = ("\n" if "traceback" in output else "").join(map(str, lines))
    return ["", _joined(re.sub(r"\x1b\[[\d;]*m", "", joined))[:SHOWN]]


def examine(source, code):
    """What there is to say of a text: how it reads as Python, or with its formulas typeset."""
    if not code:
        return {"parts": typeset(source)}
    python = is_python(source)
    return {
        "bare": bare(source)[:SHOWN],
        "ipython": not python and re.search(r"=\s*[%!]", source) is not None,
        "aids": aids(source)[:MOST_LINES],
    }


def is_python(source):
    """Whether Python can read it, or gives up for another reason than its grammar."""
    try:
        ast.parse(source)
    except UNREADABLE as error:
        return not isinstance(error, (SyntaxError, ValueError))
    return True


def runnable(source):
    """`source` as plain Python: lines that only IPython understands do nothing."""
    if is_python(source):  # where such a line is part of an expression
        return source
    return re.sub(r"^([ \t]*)([%!].*|.*\?[ \t]*)$", r"\1pass", source, flags=re.MULTILINE)


def bare(source):
    """Code without comments, docstrings, spacing and its own names; "" where it isn't Python."""
    try:
        tree = ast.parse(runnable(source))
        nodes = list(ast.walk(tree))
        own = {name for node in nodes for name in _bound(node)}
        for node in nodes:
            body = getattr(node, "body", None)
            if isinstance(body, list) and len(body) > 1 and _is_text(body[0]):
                del body[0]
            for kind in NAMES:
                if (kind, getattr(node, kind, None)) in own and not isinstance(node, ast.keyword):
                    setattr(node, kind, "v")
        return " ".join(re.findall(r"\w+|\S", ast.unparse(tree)))
    except UNREADABLE:
        return ""


def _is_text(node):
    constant = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return constant and isinstance(node.value.value, str)


def _bound(node):
    """The names that a part of a program gives to something: attributes', or variables'."""
    if isinstance(node, ast.Attribute):
        if isinstance(node.ctx, ast.Store):
            yield "attr", node.attr
    elif isinstance(node, (ast.arg, ast.FunctionDef, ast.ClassDef)) or (
        isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    ):
        name = next(getattr(node, kind) for kind in NAMES if hasattr(node, kind))
        yield from ((kind, name) for kind in NAMES[1:])


def aids(source):
    """Lines that a teacher may want to read, which is no verdict."""
    from d2l_bn.checks.sources import ready_made

    try:
        found = ready_made(runnable(source))
        nodes = filter(_is_imaginary, ast.walk(ast.parse(runnable(source))))
        lines = {getattr(node, "lineno", 0) for node in nodes}
        return sorted({*found, *((line, "imaginary numbers") for line in lines)})
    except UNREADABLE:
        return []


def _is_imaginary(node):
    if isinstance(node, ast.Constant):
        return isinstance(node.value, complex)
    return "imag" in (getattr(node, "attr", ""), getattr(node, "id", ""))


def typeset(text):
    """Pieces of a text: [words, ""], or [TeX, MathML] where a formula could be read."""
    pieces, place = [], 0
    for found in MATH.finditer(text):
        pieces.append([text[place : found.start()], ""])
        tex, place = found[1] or found[2], found.end()
        pieces.append([found[0], _mathml(tex, "block" if found[1] else "inline")])
    return [*pieces, [text[place:], ""]]


def _mathml(tex, display):
    try:
        from latex2mathml.converter import convert_to_element

        tex = re.sub(r"\\(begin|end)\{(aligned|split|eqnarray\*?|gathered)\}", r"\\\1{align*}", tex)
        root = convert_to_element(tex, display=display)
    except Exception:  # it isn't installed, or can't read that: the TeX is shown
        return ""
    for node in root.iter():
        if not re.fullmatch("m[a-z]+", node.tag):
            return ""
        node.text = html.unescape(node.text or "")
        node.attrib = {name: node.attrib[name] for name in node.attrib.keys() & ATTRIBUTES}
    return ET.tostring(root, encoding="unicode")
