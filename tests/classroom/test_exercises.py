"""The points that solutions, empty and half-right submissions get in the exercises."""

import ast
import re

import pytest

from classroom import EXERCISES
from d2l_bn import checks
from d2l_bn.training import set_seed

import mxnet as mx

pytest.importorskip("nbgrader", reason="nbgrader, the extra `classroom`, is not installed")
nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")

from nbgrader.utils import determine_grade  # noqa: E402

from classroom.release import STUB, read, student_version  # noqa: E402

AUTOMATIC = {
    "1-batch-norm": 15,
    "2-the-layer": 12,
    "3-the-gradient": 10,
    "4-six-bugs": 12,
    "6-as-fast-as-you-can": 10,
}
BY_HAND = {
    "1-batch-norm": 2,
    "2-the-layer": 2,
    "3-the-gradient": 3,
    "4-six-bugs": 3,
    "5-your-experiment": 20,
    "6-as-fast-as-you-can": 0,
}
# One planted mistake each: exercise, cell, what is replaced in the solution, and by what; the
# points that are left, and what the student is told.
PARTIAL = [
    ("1-batch-norm", "last-solution", "range(len(X.shape) - 1)", "(0, 2, 3)[: len(X.shape) - 1]",
     10, "you average over axes (0, 2). Here the channels are axis -1"),
    ("1-batch-norm", "last-solution", "momentum * moving_mean + (1 - momentum) * mean",
     "(1 - momentum) * moving_mean + momentum * mean", 13,
     "momentum is reversed. It weighs the old value"),
    ("1-batch-norm", "last-solution", "mean = X.mean(axis=axes)",
     "mean = nd.array(X.asnumpy().mean(axis=axes))", 14, "the mean is cut from the graph."),
    ("1-batch-norm", "axis-solution", "axis = axis % len(X.shape)", "axis = abs(axis)", 10,
     "with axis 3 your function is right, with axis -1, which is the same, it isn't."),
    ("1-batch-norm", "axis-solution", "nd.sqrt(var + eps)", "(nd.sqrt(var) + eps)", 10,
     "eps stands outside the root."),
    ("1-batch-norm", "axis-solution", "nd.sqrt(var + eps)", "nd.sqrt(var.detach() + eps)", 13,
     "the variance is cut from the graph."),
    ("1-batch-norm", "mask-solution", "count = mask.sum()", "count = mask.size", 10,
     "Divide them by the sum of the mask."),
    ("1-batch-norm", "mask-solution", "(mask * (X - mean) ** 2)", "((mask * X - mean) ** 2)", 10,
     "X * mask - mean is not 0 there."),
    ("2-the-layer", "layer-solution", 'self.params.get("beta", shape=shape, init="zeros")',
     "nd.zeros(shape)", 0, "beta is not one of the layer's parameters."),
    ("2-the-layer", "layer-solution", '"moving_var", init="zeros"', '"moving_var", init="ones"', 3,
     "both moving averages at zeros"),
    ("2-the-layer", "layer-solution", "autograd.is_training()", "autograd.is_recording()", 8,
     "only while autograd records"),
    ("2-the-layer", "layer-solution", "self.gamma.data(here), self.beta.data(here)",
     "self.gamma.data(), self.beta.data()", 11,
     "an array is taken from another context than that of X"),
    ("2-the-layer", "corrected-solution", "1 - self.momentum**t if t else 1",
     "1 - self.momentum**t", 10, "nothing can be divided by it."),
    ("3-the-gradient", "backward-solution", "(dY * X_hat).sum(axis=0)", "dY.sum(axis=0)", 7,
     "X_hat is missing in dgamma."),
    ("3-the-gradient", "backward-solution",
     "dX = (G - G.mean(axis=0) - X_hat * (G * X_hat).mean(axis=0)) / std", "dX = G / std", 5,
     "the mean and the variance count as constants."),
    ("3-the-gradient", "backward-solution", "dX = (G",
     "from mxnet import autograd\n    autograd.backward([])\n    dX = (G", 0,
     "your code calls autograd.backward"),
    ("4-six-bugs", "mend-solution", "autograd.is_training()", "autograd.is_recording()", 10,
     "you ask autograd.is_recording()"),
    ("4-six-bugs", "mend-solution", "nd.sqrt(var + eps)", "(nd.sqrt(var) + eps)", 10,
     "eps stands outside the root."),
]  # fmt: skip
# Each of the six bugs as replacements in the solution, and the test that looks at it.
BUGS = {
    "bug-eps": [("nd.sqrt(var + eps)", "(nd.sqrt(var) + eps)")],
    "bug-axes": [("(0, 2, 3)", "(0, 2)")],
    "bug-averages": [("momentum * moving_var + (1 - momentum) * var",
                      "(1 - momentum) * moving_var + momentum * var")],
    "bug-mode": [("is_training()", "is_recording()")],
    "bug-parameters": [
        ('self.params.get("gamma", shape=shape, init="ones")', "nd.ones(shape)"),
        ('self.params.get("beta", shape=shape, init="zeros")', "nd.zeros(shape)"),
        ("self.gamma.data(), self.beta.data()", "self.gamma, self.beta")],
    "bug-shared": [
        ("class BatchNorm(nn.Block):", "class BatchNorm(nn.Block):\n    averages = {}\n"),
        ('self.averages = {"mean": nd.zeros(shape), "var": nd.zeros(shape)}',
         'self.averages.setdefault("mean", nd.zeros(shape))\n'
         '        self.averages.setdefault("var", nd.zeros(shape))')],
}  # fmt: skip


def notebook_of(name):
    return read(EXERCISES / f"{name}.ipynb")


def sources(name):
    """The source of each cell that has a name of nbgrader's."""
    cells = (c for c in notebook_of(name).cells if c.metadata.get("nbgrader"))
    return {cell.metadata.nbgrader.grade_id: cell.source for cell in cells}


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
def test_sources_have_no_outputs_and_tests_hide_nothing(name):
    notebook = notebook_of(name)
    assert all(not cell.outputs for cell in notebook.cells if cell.cell_type == "code")
    for cell in notebook.cells:
        if is_test(cell):  # the same line asks in a notebook and in marking
            assert cell.source.startswith("checks.") and "HIDDEN" not in cell.source


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, solved", [*((name, True) for name in AUTOMATIC), ("4-six-bugs", False)]
)
def test_a_notebook_gives_all_points_or_none(name, solved):
    """As a student runs it, in a kernel; marking runs the empty ones, too."""
    notebook = notebook_of(name)
    if not solved:
        notebook = student_version(notebook, {})
        assert STUB in "".join(cell.source for cell in notebook.cells)
    nbclient.NotebookClient(notebook, timeout=600, allow_errors=True).execute()
    marks = {
        cell.metadata.nbgrader.grade_id: determine_grade(cell)[0]
        for cell in notebook.cells
        if is_test(cell)
    }
    assert sum(marks.values()) == (AUTOMATIC[name] if solved else 0), marks


def run(name, cell, changes):
    """Run an exercise with changes in a cell of the solution; points, and what checks said."""
    names, points, said = {}, 0, []
    for each in notebook_of(name).cells:
        mark = each.metadata.get("nbgrader", {})
        if each.cell_type == "markdown" or mark.grade_id == "setup":
            continue
        source = each.source
        if mark.grade_id == cell:
            for right, wrong in changes:
                assert right in source
                source = source.replace(right, wrong)
        if is_test(each) and not mark.points:
            continue
        try:
            exec(source, names)
            points += mark.get("points", 0) if is_test(each) else 0
        except checks.CheckFailed as failed:
            said.append((mark.grade_id, " ".join(str(failed).split())))
    return points, said


@pytest.mark.parametrize("name, cell, right, wrong, points, message", PARTIAL)
def test_a_half_right_solution_gets_the_points_of_what_works(
    name, cell, right, wrong, points, message
):
    found, said = run(name, cell, [(right, wrong)])
    assert found == points, said
    assert message in " ".join(text for _, text in said)


def test_each_of_the_six_bugs_costs_its_two_points_alone():
    for number in range(2 ** len(BUGS)):
        left = {name for place, name in enumerate(BUGS) if number >> place & 1}
        changes = [change for bug in left for change in BUGS[bug]]
        points, said = run("4-six-bugs", "mend-solution", changes)
        assert {name for name, _ in said} == left
        assert points == 12 - 2 * len(left)


@pytest.mark.parametrize(
    "right, wrong", [("batch_norm(\n", "broken_batch_norm(\n"), ("return Y\n", "return X * 0\n")]
)
def test_a_layer_without_the_mended_function_earns_nothing(right, wrong):
    points, said = run("4-six-bugs", "mend-solution", [(right, wrong)])
    assert points == 0 and all("not give what your function gives" in text for _, text in said)


OF_A_FUNCTION = """
class Normalize(autograd.Function):
    def forward(self, {arguments}):
        D = X - X.mean(axis=0)
        self.gamma, self.std = gamma, nd.sqrt(nd.square(D).mean(axis=0) + 1e-5)
        self.X_hat = D / self.std
        return gamma * self.X_hat + beta

    def backward(self, dY):
        G, X_hat = self.gamma * dY, self.X_hat
        X = (G - G.mean(axis=0) - X_hat * (G * X_hat).mean(axis=0)) / self.std
        gamma, beta = (dY * X_hat).sum(axis=0), dY.sum(axis=0)
        return {arguments}


def normalized(X, gamma, beta, mean, var):
    if not autograd.is_training():
        return gamma.reshape(-1) * (X - mean.reshape(-1)) / nd.sqrt(var.reshape(-1) + 1e-5) + beta
    gamma, beta, X = gamma.reshape(-1), beta.reshape(-1), ROWS[-1]
    return Normalize()({arguments})


ROWS = []
"""


@pytest.mark.parametrize("arguments", ["X, gamma, beta", "gamma, X, beta", "gamma, beta, X"])
def test_a_function_of_autograds_is_right_in_any_order(arguments):
    """MXNet stops at the first argument without a gradient, so the input has to have one."""
    changes = [
        (
            "class FastBatchNorm",
            f"{OF_A_FUNCTION.format(arguments=arguments)}\nclass FastBatchNorm",
        ),
        ("mean = rows.mean", "ROWS.append(rows)\n        mean = rows.mean"),
    ]
    points, said = run("6-as-fast-as-you-can", "layer-solution", changes)
    assert points == 10, said


@pytest.mark.parametrize(
    "cell, right, wrong, points",
    [
        ("layer-solution", "nd.square(D).mean(axis=0, keepdims=True)",
         "nd.square(rows).mean(axis=0, keepdims=True) - nd.square(mean)", 4),
        ("gradient-solution", 'np.sqrt(np.einsum("ij,ij->j", D, D) / m + eps)',
         "np.sqrt((X * X).mean(axis=0) - X.mean(axis=0) ** 2 + eps)", 6),
    ],
)  # fmt: skip
def test_exercise_6_holds_precision(cell, right, wrong, points):
    found, said = run("6-as-fast-as-you-can", cell, [(right, wrong)])
    assert found == points and "far from zero" in said[0][1]


@pytest.mark.parametrize("name", BY_HAND)
def test_the_text_says_what_is_imported_and_what_is_out(name):
    first = notebook_of(name).cells[0]
    names = {
        alias.asname or alias.name
        for node in ast.walk(ast.parse(sources(name)["imports"]))
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for alias in node.names
    }
    assert "Imported are" in first.source and re.search("Out are|Nothing is out", first.source)
    assert names and all(f"`{each}`" in first.source for each in names)


def test_the_broken_code_has_all_six():
    source = sources("4-six-bugs")
    broken = source["broken"].replace("broken_batch_norm", "batch_norm")
    names = {}
    exec(source["imports"] + "\n" + broken.replace("BrokenBatchNorm", "BatchNorm"), names)
    for bug in BUGS:
        with pytest.raises(checks.CheckFailed):
            exec(source[bug], names)


def test_the_teachers_page_quotes_these_messages_and_points():
    page = (EXERCISES.parents[1] / "classroom" / "teacher.md").read_text(encoding="utf-8")
    rows = [row for row in page.splitlines() if row.startswith("|")]
    for name, by_hand in BY_HAND.items():
        row = next(row for row in rows if row.startswith(f"| {name} |"))
        assert f"| {AUTOMATIC.get(name, 0)} | {by_hand} |" in row
    quoted = [case for case in PARTIAL if any(case[-1] in row for row in rows)]
    assert len(quoted) > 8
    for name, _, _, _, points, message in quoted:
        assert any(
            row.startswith(f"| {name[0]} |") and message in row and row.endswith(f"| {points} |")
            for row in rows
        ), message


def test_the_broken_code_runs_and_learns_in_a_network_with_one_such_layer():
    source = sources("4-six-bugs")
    names = {}
    exec(f"{source['imports']}\n{source['broken']}", names)
    set_seed(0)
    Y = mx.nd.arange(64) % 2
    X = mx.nd.random.normal(shape=(64, 8)) + Y.reshape((-1, 1))
    net = mx.gluon.nn.Sequential()
    net.add(mx.gluon.nn.Dense(4), names["BrokenBatchNorm"](4, 2), mx.gluon.nn.Dense(2))
    net.initialize(mx.init.Xavier())
    trainer = mx.gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": 0.1})
    for _ in range(30):
        with mx.autograd.record():
            loss = mx.gluon.loss.SoftmaxCrossEntropyLoss()(net(X), Y)
        loss.backward()
        trainer.step(64)
    assert (net(X).argmax(axis=1) == Y).mean().asscalar() > 0.8
