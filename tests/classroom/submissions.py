"""A class of thirty: right, half right and hostile submissions of exercise 1, and what they get."""

from __future__ import annotations

import json
from pathlib import Path

NAME = "1-batch-norm.ipynb"
FUNCTION = """
def {name}(X, gamma, beta, moving_mean, moving_var, eps, momentum):
    axes = 0 if len(X.shape) == 2 else (0, 2, 3)
    if autograd.is_training():
        mean = X.mean(axis=axes, keepdims=True)
        var = {var}
        moving_mean = {moving}
        moving_var = momentum * moving_var + (1 - momentum) * var
    else:
        mean, var = {predict}
    return gamma * (X - mean) / {root} + beta, moving_mean, moving_var
"""
RIGHT = {
    "var": "((X - mean) ** 2).mean(axis=axes, keepdims=True)",
    "moving": "momentum * moving_mean + (1 - momentum) * mean",
    "predict": "moving_mean, moving_var",
    "root": "nd.sqrt(var + eps)",
}
DENSE, WHOLE = "dense-solution", "batch-norm-solution"
TESTS = {
    "dense-output": 3,
    "dense-modes": 2,
    "images-output": 2,
    "moving-averages": 2,
    "prediction-mode": 2,
    "gradient": 2,
    "precision": 1,
    "shapes": 1,
}


def answer(**changes: str) -> dict[str, str]:
    """Both functions, with changes."""
    parts = {**RIGHT, **changes}
    return {
        DENSE: FUNCTION.format(name="dense_batch_norm", **parts),
        WHOLE: FUNCTION.format(name="batch_norm", **parts),
    }


def first(code: str, **changes: str) -> dict[str, str]:
    """Right answers, with code before the first."""
    given = answer(**changes)
    return {**given, DENSE: f"{code}\n{given[DENSE]}"}


# Who hands in what (cells by name), the points, and whether a person has to look.
HONEST = {
    "right": (answer(), 15),
    "empty": ({}, 0),
    "dense-only": ({DENSE: answer()[DENSE]}, 5),
    "unbiased": (answer(var=f"{RIGHT['var']} * X.size / (X.size - X.shape[1])"), 4),
    "eps-outside": (answer(root="(nd.sqrt(var) + eps)"), 5),
    "momentum-reversed": (answer(moving="(1 - momentum) * moving_mean + momentum * mean"), 11),
    "batch-statistics": (answer(predict="nd.moments(X, axes=axes, keepdims=True)"), 9),
    "detached": (answer(root="nd.sqrt(var.detach() + eps)"), 13),
    "syntax": ({DENSE: "def dense_batch_norm(:", WHOLE: answer()[WHOLE]}, 10),
    "prints": (first("print('x' * 1000)"), 15),
    "extra-cell": (
        answer(var=RIGHT["var"].replace("axes,", "AXES if len(X.shape) == 4 else 0,")),
        15,
    ),
    "other-names": ({DENSE: "def f(): pass", WHOLE: "def g(): pass"}, 0),
}
HOSTILE = {
    "loops": (first("while True:\n    pass"), 0),
    "loops-later": (
        {**answer(), WHOLE: "def batch_norm(*given):\n    while True:\n        pass"},
        5,
    ),
    "forks": (first("import os\nwhile True:\n    os.fork()"), 0),
    "eats-memory": (
        first(
            "def eat():\n    hold = []\n    while True:\n"
            "        hold.append(bytearray(2**26))\n\n\neat()"
        ),
        10,
    ),
    "deletes": (
        first(
            "import shutil\n"
            "for place in ('/tmp', '/home', '/work', '/root', '/usr', '/'):\n"
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
    "exits": (first("import os\nos._exit(0)"), 0),
    "system-exit": (first("raise SystemExit(0)"), 10),
    "patches-checks": (
        {DENSE: "from d2l_bn import checks\nchecks.batch_norm = lambda *given: None"},
        0,
    ),
    "patches-numpy": (first("import numpy\nnumpy.allclose = lambda *given, **more: True"), 0),
    "prints-gigabyte": (first("for _ in range(1000):\n    print('x' * 2**20)"), 15),
    "writes-answers": (
        first(
            "import os, json\n"
            "line = json.dumps(dict(token='', error='', message='', output='')).encode() + b'\\n'\n"
            "for number in range(3, 40):\n"
            "    try:\n        os.write(number, line * 50)\n"
            "    except OSError:\n        pass"
        ),
        0,
    ),
    "library": ({DENSE: "from d2l_bn import batch_norm as dense_batch_norm"}, 0),
    "bad-json": (None, 0),
    "not-utf8": (None, 0),
    "another-exercise": (None, 0),
}
BY_HAND = {
    "loops",
    "loops-later",
    "forks",
    "exits",
    "patches-checks",
    "patches-numpy",
    "writes-answers",
    "library",
    "bad-json",
    "not-utf8",
    "another-exercise",
}


def make(release: Path, folder: Path) -> None:
    """Write the submissions of the whole class, made from the students' notebooks."""
    text = (release / NAME).read_text(encoding="utf-8")
    for student, (cells, _) in {**HONEST, **HOSTILE}.items():
        notebook = json.loads(text)
        for cell in notebook["cells"]:
            cell["source"] = (cells or {}).get(cell["id"], cell["source"])
        if student == "extra-cell":
            ids = [cell["id"] for cell in notebook["cells"]]
            extra = {"cell_type": "code", "id": "mine", "metadata": {}, "outputs": []}
            extra.update(source="AXES = (0, 2, 3)", execution_count=None)
            notebook["cells"].insert(ids.index("imports") + 1, extra)
        if student == "deletes":  # the tests, too
            notebook["cells"] = [cell for cell in notebook["cells"] if cell["id"] not in TESTS]
        data = json.dumps(notebook).encode()
        if student == "bad-json":
            data = data[: len(data) // 2]
        elif student == "not-utf8":
            data = b"\xff\xfe" + data
        elif student == "another-exercise":
            data = (release / "3-the-gradient.ipynb").read_bytes()
        (folder / student).mkdir(parents=True)
        (folder / student / NAME).write_bytes(data)
