"""A class of thirty: right, half right and hostile submissions of exercise 1, and what they get."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest

needs_bubblewrap = pytest.mark.skipif(
    shutil.which("bwrap") is None, reason="bubblewrap is not installed"
)
NAME = "1-batch-norm.ipynb"
FUNCTION = """
def {name}(X, gamma, beta, moving_mean, moving_var, eps, momentum{axis}):
    axes = {axes}
    shape = {shape}
    if autograd.is_training():
        mean = X.mean(axis=axes)
        var = {var}
        moving_mean = {moving}
        moving_var = momentum * moving_var + (1 - momentum) * var
    else:
        mean, var = {predict}
    mean, var = mean.reshape(shape), var.reshape(shape)
    Y = gamma.reshape(shape) * (X - mean) / {root} + beta.reshape(shape)
    return Y, moving_mean, moving_var
"""
RIGHT = {
    "var": "((X - mean.reshape(shape)) ** 2).mean(axis=axes)",
    "moving": "momentum * moving_mean + (1 - momentum) * mean",
    "predict": "moving_mean, moving_var",
    "root": "nd.sqrt(var + eps)",
}
LAST, ANY, MASK = "last-solution", "axis-solution", "mask-solution"
PLACES = {
    LAST: {
        "name": "channels_last",
        "axis": "",
        "axes": "tuple(range(len(X.shape) - 1))",
        "shape": "(-1,)",
    },
    ANY: {
        "name": "any_axis",
        "axis": ", axis",
        "axes": "tuple(a for a in range(X.ndim) if a != axis % X.ndim)",
        "shape": "[-1 if a == axis % X.ndim else 1 for a in range(X.ndim)]",
    },
}
MASKED = """
def masked(X, mask, gamma, beta, moving_mean, moving_var, eps, momentum):
    mask = mask.expand_dims(axis=2)
    if autograd.is_training():
        mean = (mask * X).sum(axis=(0, 1)) / mask.sum()
        var = (mask * (X - mean) ** 2).sum(axis=(0, 1)) / mask.sum()
        moving_mean = momentum * moving_mean + (1 - momentum) * mean
        moving_var = momentum * moving_var + (1 - momentum) * var
    else:
        mean, var = moving_mean, moving_var
    return mask * (gamma * (X - mean) / nd.sqrt(var + eps) + beta), moving_mean, moving_var
"""
TESTS = {
    "last-training": 2,
    "last-modes": 2,
    "last-gradient": 1,
    "axis-training": 2,
    "axis-modes": 1,
    "axis-gradient": 2,
    "mask-training": 2,
    "mask-modes": 2,
    "mask-gradient": 1,
}


def answer(**changes: str) -> dict[str, str]:
    """All three functions, with changes in the first two."""
    parts = {**RIGHT, **changes}
    return {
        **{cell: FUNCTION.format(**place, **parts) for cell, place in PLACES.items()},
        MASK: MASKED,
    }


def first(code: str, **changes: str) -> dict[str, str]:
    """Right answers, with code before the first."""
    given = answer(**changes)
    return {**given, LAST: f"{code}\n{given[LAST]}"}


# Who hands in what (cells by name), and the points.
HONEST = {
    "right": (answer(), 15),
    "empty": ({}, 0),
    "first-only": ({LAST: answer()[LAST]}, 5),
    "unbiased": (answer(var=f"{RIGHT['var']} * X.size / (X.size - gamma.size)"), 5),
    "eps-outside": (answer(root="(nd.sqrt(var) + eps)"), 5),
    "momentum-reversed": (answer(moving="(1 - momentum) * moving_mean + momentum * mean"), 12),
    "batch-statistics": (answer(predict="nd.moments(X, axes=axes)"), 9),
    "detached": (answer(root="nd.sqrt(var.detach() + eps)"), 12),
    "syntax": ({**answer(), LAST: "def channels_last(:"}, 10),
    "prints": (first("print('x' * 1000)"), 15),
    "extra-cell": (answer(var=RIGHT["var"].replace("axis=axes", "axis=AXES(axes)")), 15),
    "other-names": ({LAST: "def f(): pass", ANY: "def g(): pass"}, 0),
    "imports-sys": (first("import sys\nprint(sys.version)"), 15),
    "sets-attributes": (
        first("class Options: pass\nfor n in 'ab':\n    setattr(Options, n, getattr(nd, 'sqrt'))"),
        15,
    ),
    "magic": (first("%matplotlib inline"), 15),
}
HOSTILE = {
    "loops": (first("while True:\n    pass"), 10),
    "loops-later": (
        {**answer(), ANY: "def any_axis(*given):\n    while True:\n        pass"},
        10,
    ),
    "deletes": (
        first(
            "import shutil\n"
            "for place in ('/tmp', '/home', '/root', '/etc', '/reach', '/usr/bin'):\n"
            "    shutil.rmtree(place, ignore_errors=True)"
        ),
        15,
    ),
    "fills-disk": (first("open('/tmp/big', 'wb').write(bytes(2**29))"), 10),
    "network": (
        first("import urllib.request\nurllib.request.urlopen('http://127.0.0.1:1', timeout=1)"),
        10,
    ),
    "reads-home": (first("import os\nprint(sorted(os.listdir('/')), os.listdir('/home'))"), 10),
    "exits": (first("import os\nos._exit(0)"), 10),
    "system-exit": (first("raise SystemExit(0)"), 10),
    "patches-checks": (
        {LAST: "from d2l_bn import checks\nchecks.channels_last = lambda *given: None"},
        0,
    ),
    "patches-numpy": (first("import numpy\nnumpy.allclose = lambda *given, **more: True"), 15),
    "prints-gigabyte": (first("for _ in range(200):\n    print('x' * 2**20)"), 15),
    "library": ({LAST: "from d2l_bn import batch_norm as channels_last"}, 0),
    "bad-json": (None, 0),
    "not-utf8": (None, 0),
    "another-exercise": (None, 0),
}
BY_HAND = {"loops", "loops-later", "exits", "bad-json", "not-utf8", "another-exercise"}


def rows(path: Path) -> list[dict[str, str]]:
    """The lines of a table."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def notebook(release: Path, cells: dict[str, str]) -> dict:
    """The exercise with these cells in it."""
    found = json.loads((release / NAME).read_text(encoding="utf-8"))
    for cell in found["cells"]:
        cell["source"] = cells.get(cell["id"], cell["source"])
    return found


def added(source: str) -> dict:
    """A cell of the student's own."""
    cell = {"cell_type": "code", "id": "mine", "metadata": {}, "outputs": []}
    return {**cell, "source": source, "execution_count": None}


def hand_in(folder: Path, student: str, cells: dict[str, str]) -> Path:
    """Write one submission."""
    path = folder / "class" / student / NAME
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(notebook(folder / "release", cells)))
    return path


def run(folder: Path, **options) -> dict[str, dict[str, str]]:
    """Mark the class; the rows of the table, by student."""
    from classroom import grade  # which not every environment can import

    options = {"source": folder / "source", "seconds": 60, "memory": 3000, **options}
    grade.grade(folder / "class", folder / "out", **options)
    found = rows(folder / "out" / "grades.csv")
    return {row["student"]: row for row in found if row["exercise"] != "all"}


def make(release: Path, folder: Path) -> None:
    """Write the submissions of the whole class, made from the students' notebooks."""
    for student, (cells, _) in {**HONEST, **HOSTILE}.items():
        made = notebook(release, cells or {})
        if student == "extra-cell":
            place = 1 + [cell["id"] for cell in made["cells"]].index("imports")
            made["cells"].insert(place, added("AXES = tuple"))
        if student == "deletes":  # the tests, too
            made["cells"] = [cell for cell in made["cells"] if cell["id"] not in TESTS]
        data = json.dumps(made).encode()
        if student == "bad-json":
            data = data[: len(data) // 2]
        elif student == "not-utf8":
            data = b"\xff\xfe" + data
        elif student == "another-exercise":
            data = (release / "3-the-gradient.ipynb").read_bytes()
        (folder / student).mkdir(parents=True)
        (folder / student / NAME).write_bytes(data)
