"""The points that solutions, empty and half-right submissions get in the exercises."""

import pytest

from classroom import EXERCISES

pytest.importorskip("nbgrader", reason="nbgrader, the extra `classroom`, is not installed")
nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")

from nbgrader.utils import determine_grade  # noqa: E402

from classroom.release import STUB, read, student_version  # noqa: E402

AUTOMATIC = {"1-batch-norm": 15, "2-the-layer": 12, "3-the-gradient": 10, "4-six-bugs": 12}
BY_HAND = {
    "1-batch-norm": 2,
    "2-the-layer": 2,
    "3-the-gradient": 3,
    "4-six-bugs": 3,
    "5-your-experiment": 20,
}
# One planted mistake each: exercise, what is replaced in the solution, and by what; the points that
# are left, and what the student is told, as classroom/teacher.md quotes it.
PARTIAL = [
    (
        "1-batch-norm",
        "axes, keepdims=True)\n        moving_mean = momentum * moving_mean + (1 - momentum)",
        "axes, keepdims=True)\n        moving_mean = (1 - momentum) * moving_mean + momentum",
        13,
        "momentum is reversed. It weighs the old value",
    ),
    ("1-batch-norm", "(0, 2, 3)", "(0, 2)", 7, "you average over axes (0, 2) and forget axis 3."),
    (
        "1-batch-norm",
        "nd.sqrt(var + eps)",
        "(nd.sqrt(var) + eps)",
        5,
        "eps stands outside the root.",
    ),
    (
        "1-batch-norm",
        "mean, var = moving_mean, moving_var",
        "mean, var = X.mean(axis=(0, 2, 3)[: len(X.shape) - 1], keepdims=True), moving_var",
        9,
        "you use moving_var, but the mean of the batch.",
    ),
    (
        "2-the-layer",
        'self.params.get("beta", shape=shape, init="zeros")',
        "nd.zeros(shape)",
        0,
        "beta is not one of the layer's parameters.",
    ),
    (
        "3-the-gradient",
        "(dY * X_hat).sum(axis=0)",
        "dY.sum(axis=0)",
        7,
        "X_hat is missing in dgamma.",
    ),
    (
        "3-the-gradient",
        "dX = (G - G.mean(axis=0) - X_hat * (G * X_hat).mean(axis=0)) / std",
        "dX = G / std",
        5,
        "the mean and the variance count as constants.",
    ),
    (
        "4-six-bugs",
        "autograd.is_training()",
        "autograd.is_recording()",
        10,
        "you ask autograd.is_recording()",
    ),
    (
        "4-six-bugs",
        "nd.sqrt(var + eps)",
        "(nd.sqrt(var) + eps)",
        10,
        "eps stands outside the root.",
    ),
]
# One planted mistake each: exercise, cell, what is replaced by what, the checks that fail.
LOST = [
    ("1-batch-norm", "dense-solution", "autograd.is_training()", "True", {"dense-modes"}),
    ("1-batch-norm", "dense-solution", "moving_mean = momentum", "_ = momentum", {"dense-modes"}),
    ("1-batch-norm", "dense-solution", "moving_var = momentum", "_ = momentum", {"dense-modes"}),
    (
        "1-batch-norm",
        "dense-solution",
        "momentum * moving_var + (1 - momentum) * var",
        "(1 - momentum) * moving_var + momentum * var",
        {"dense-modes"},
    ),
    (
        "1-batch-norm",
        "dense-solution",
        "((X - mean) ** 2).mean(axis=0, keepdims=True)",
        "((X - mean) ** 2).sum(axis=0, keepdims=True) / (X.shape[0] - 1)",
        {"dense-output"},
    ),
    (
        "2-the-layer",
        "layer-solution",
        '"moving_var", init="zeros"',
        '"moving_var", init="ones"',
        {"layer-parameters"},
    ),
    (
        "3-the-gradient",
        "backward-solution",
        "dX = (G",
        "from mxnet import autograd\n    autograd.backward([])\n    dX = (G",
        {"gradient-beta", "gradient-gamma", "gradient-input"},
    ),
]
# Each of the six bugs as replacements in the solution, and the test that looks at it.
BUGS = {
    "bug-dense": [("nd.sqrt(var + eps)", "(nd.sqrt(var) + eps)")],
    "bug-images": [("(0, 2, 3)", "(0, 2)")],
    "bug-averages": [
        (
            "momentum * moving_var + (1 - momentum) * var",
            "(1 - momentum) * moving_var + momentum * var",
        )
    ],
    "bug-mode": [("is_training()", "is_recording()")],
    "bug-parameters": [
        ('self.params.get("gamma", shape=shape, init="ones")', "nd.ones(shape)"),
        ('self.params.get("beta", shape=shape, init="zeros")', "nd.zeros(shape)"),
        ("self.gamma.data(), self.beta.data()", "self.gamma, self.beta"),
    ],
    "bug-shared": [
        ("class BatchNorm(nn.Block):", "class BatchNorm(nn.Block):\n    averages = {}\n"),
        (
            'self.averages = {"mean": nd.zeros(shape), "var": nd.zeros(shape)}',
            'self.averages.setdefault("mean", nd.zeros(shape))\n'
            '        self.averages.setdefault("var", nd.zeros(shape))',
        ),
    ],
}


def notebook_of(name):
    return read(EXERCISES / f"{name}.ipynb")


def marks(notebook):
    """Points for each cell that is tested automatically, after running all cells."""
    nbclient.NotebookClient(notebook, timeout=120, allow_errors=True).execute()
    return {
        cell.metadata.nbgrader.grade_id: determine_grade(cell)[0]
        for cell in notebook.cells
        if is_test(cell)
    }


def is_test(cell):
    mark = cell.metadata.get("nbgrader", {})
    return mark.get("grade") and not mark.get("solution")


@pytest.mark.parametrize("name", BY_HAND)
def test_points_are_as_listed(name):
    notebook = notebook_of(name)
    points = {True: 0, False: 0}
    for cell in notebook.cells:
        mark = cell.metadata.get("nbgrader", {})
        if mark.get("grade"):
            points[bool(mark["solution"])] += mark["points"]
    assert points == {True: BY_HAND[name], False: AUTOMATIC.get(name, 0)}


@pytest.mark.parametrize("name", BY_HAND)
def test_sources_have_no_outputs_and_say_how_long_they_take(name):
    notebook = notebook_of(name)
    assert all(not cell.outputs for cell in notebook.cells if cell.cell_type == "code")
    assert "minutes" in notebook.cells[0].source


@pytest.mark.slow
@pytest.mark.parametrize("name", AUTOMATIC)
def test_the_solution_gets_all_points(name):
    assert sum(marks(notebook_of(name)).values()) == AUTOMATIC[name]


@pytest.mark.slow
@pytest.mark.parametrize("name", AUTOMATIC)
def test_the_empty_release_gets_none(name):
    notebook = student_version(notebook_of(name))
    assert STUB in "".join(cell.source for cell in notebook.cells)
    assert sum(marks(notebook).values()) == 0


@pytest.mark.slow
@pytest.mark.parametrize("name, right, wrong, points, message", PARTIAL)
def test_a_half_right_solution_gets_the_points_of_what_works(name, right, wrong, points, message):
    notebook = notebook_of(name)
    planted = 0
    for cell in notebook.cells:
        if cell.cell_type == "code" and cell.metadata.get("nbgrader", {}).get("solution"):
            planted += cell.source.count(right)
            cell.source = cell.source.replace(right, wrong)
    assert planted
    assert sum(marks(notebook).values()) == points
    errors = [
        output.evalue
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if output.output_type == "error"
    ]
    assert message in " ".join(" ".join(errors).split())


def test_each_of_the_six_bugs_costs_its_two_points_alone():
    cells = {
        cell.metadata.nbgrader.grade_id: cell.source
        for cell in notebook_of("4-six-bugs").cells
        if cell.metadata.get("nbgrader")
    }
    for number in range(2 ** len(BUGS)):
        left = {name for place, name in enumerate(BUGS) if number >> place & 1}
        solution = cells["mend-solution"]
        for bug in left:
            for right, wrong in BUGS[bug]:
                assert right in solution
                solution = solution.replace(right, wrong)
        names = {}
        exec(cells["imports"] + "\n" + solution, names)
        assert {name for name in BUGS if fails(cells[name], names)} == left


@pytest.mark.parametrize("name, cell, right, wrong, lost", LOST)
def test_a_mistake_costs_the_checks_that_are_about_it(name, cell, right, wrong, lost):
    names, failed = {}, set()
    for each in notebook_of(name).cells:
        mark = each.metadata.get("nbgrader", {})
        if each.cell_type == "markdown" or mark.grade_id == "setup":
            continue
        source = each.source
        if mark.grade_id == cell:
            assert right in source
            source = source.replace(right, wrong)
        if fails(source, names) and mark.grade:  # cells without points may say more
            failed.add(mark.grade_id)
    assert failed == lost


def fails(source, names):
    """Whether a cell ends with an exception."""
    try:
        exec(source, names)
    except Exception:
        return True
    return False


def test_the_teachers_page_quotes_these_messages_and_points():
    page = (EXERCISES.parents[1] / "classroom" / "teacher.md").read_text(encoding="utf-8")
    for name, _, _, points, message in PARTIAL:
        rows = [row for row in page.splitlines() if row.startswith(f"| {name[0]} |")]
        assert any(message in row and row.endswith(f"| {points} |") for row in rows), message
    for name, by_hand in BY_HAND.items():
        row = next(row for row in page.splitlines() if row.startswith(f"| {name} |"))
        assert f"| {AUTOMATIC.get(name, 0)} | {by_hand} |" in row
