"""What a check asks, what travels, and mistakes that once had no cause, another, or no notice."""

from __future__ import annotations

import base64
import json

import corpus
import numpy as np
import pytest

from d2l_bn import checks
from d2l_bn.checks import gradient, plain
from d2l_bn.checks.answers import Answers
from d2l_bn.checks.asking import Respondent


class Elsewhere(Respondent):
    """Answers as if from another process: everything is text on its way."""

    def __init__(self, **names):
        self.answers, self.told = Answers(names), []
        (self.name,) = names

    def ask(self, what, **request):
        request = plain.loads(plain.dumps(request))
        return plain.loads(plain.dumps(getattr(self.answers, what)(self.name, **request)))

    def tell(self, line):
        self.told.append(line)


def test_a_check_asks_elsewhere_as_it_does_here(capsys):
    function = Elsewhere(f=corpus.run(corpus.FUNCTION, "batch_norm"))
    checks.batch_norm(function)
    layer = Elsewhere(f=corpus.run(corpus.LAYER, "BatchNorm"))
    checks.layer(layer)
    checks.backward(Elsewhere(f=corpus.run(corpus.BACKWARD, "backward")))
    checks.mended(function, layer, "eps", "axes", "averages", "mode", "parameters", "shared")
    assert len(function.told) == 13 and len(layer.told) == 7
    assert capsys.readouterr().out == ""
    with pytest.raises(checks.CheckFailed) as here:
        checks.batch_norm(corpus.made("batch_norm", "root forgotten"))
    with pytest.raises(checks.CheckFailed) as there:
        checks.batch_norm(Elsewhere(f=corpus.made("batch_norm", "root forgotten")))
    assert str(here.value) == str(there.value)


def test_another_seed_asks_with_other_inputs():
    asked = {}
    for seed in ((), (1, 2), (1, 3)):
        one = Elsewhere(f=corpus.run(corpus.FUNCTION, "batch_norm"))
        one.seed = seed
        seen = asked[seed] = []
        keep = one.ask

        def ask(what, keep=keep, seen=seen, **request):
            seen.append(request["arguments"][0].sum())
            return keep(what, **request)

        one.ask = ask
        checks.batch_norm(one, "shapes")
    assert len({tuple(seen) for seen in asked.values()}) == 3


@pytest.mark.slow
def test_speed_is_measured_from_outside():
    one = Elsewhere(f=corpus.run(corpus.BACKWARD, "backward"))
    assert checks.fast_backward(one) is None and one.seconds > 0
    assert one.told[0].startswith("gradient: ") and one.told[0].endswith(" ms")


@pytest.mark.parametrize("dtype", sorted(plain.DTYPES))
def test_arrays_travel_as_they_are(dtype):
    array = np.arange(6).reshape(2, 3).astype(dtype)
    found = plain.loads(plain.dumps({"a": [array, 1.5, None, "ä", True]}))["a"]
    assert found[0].dtype == array.dtype and np.array_equal(found[0], array)
    assert found[1:] == [1.5, None, "ä", True]


def array(**changes):
    data = base64.b64encode(bytes(8)).decode()
    return json.dumps({"array": data, "dtype": "float32", "shape": [2], **changes})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[" * 100_000,
        array(dtype="object"),
        array(dtype="O8"),
        array(dtype=None),
        array(shape=[3]),
        array(shape=[10**12]),
        array(shape=[-1, "x"]),
        array(shape=None),
        array(shape=[10**9, 0], array=""),
        array(array="!!"),
        array(array=5),
        "\xff",
    ],
)
def test_what_is_no_answer_is_refused(text):
    with pytest.raises(ValueError, match="must be JSON with arrays of numbers"):
        plain.loads(text)


def test_averages_of_all_layers_are_told_in_the_part_where_they_show():
    shared = corpus.PLAIN.replace("(nn.Block):\n", "(nn.Block):\n    kept = {}\n")
    shared = shared.replace("self.moving_mean = nd.zeros(shape)", 'self.kept.setdefault("m", nd.zeros(shape))')  # fmt: skip # noqa: E501
    shared = shared.replace("self.moving_var = nd.zeros(shape)", 'self.kept.setdefault("v", nd.zeros(shape))')  # fmt: skip # noqa: E501
    shared += (
        '    moving_mean = property(lambda self: self.kept["m"])\n'
        '    moving_var = property(lambda self: self.kept["v"])\n'
    )
    with pytest.raises(checks.CheckFailed, match="shared by all layers"):
        checks.layer(corpus.run(shared, "BatchNorm"), "parameters")


FORWARD = """
def forward(X, gamma, eps):
    D = X - X.mean(axis=0)
    return gamma * D / np.sqrt((D * D).mean(axis=0) + eps)
def backward(dY, X, gamma, eps):
    H = np.zeros_like(X)
    dX = np.empty_like(X)
    for i in range(len(X)):
        H[i] = STEP
        dX[i] = (dY * DIFFERENCE).sum(axis=0) / abs(STEP)
        H[i] = 0
    D = X - X.mean(axis=0)
    return dX, (dY * D / np.sqrt((D * D).mean(axis=0) + eps)).sum(axis=0), dY.sum(axis=0)
"""


def test_difference_quotients_are_no_gradient_by_hand():
    rough = FORWARD.replace("STEP", "1e-4").replace(
        "DIFFERENCE", "(forward(X + H, gamma, eps) - forward(X, gamma, eps))"
    )
    with pytest.raises(checks.CheckFailed, match=r"not all that float64 has|takes more than"):
        checks.backward(corpus.run(rough, "backward"), "input")


@pytest.mark.slow
def test_exact_difference_quotients_are_refused(monkeypatch):
    monkeypatch.setattr(gradient, "SECONDS", 0.3)
    exact = FORWARD.replace("STEP", "1e-200j").replace("np.zeros_like(X)", "np.zeros(X.shape, complex)").replace("DIFFERENCE", "forward(X + H, gamma, eps).imag")  # fmt: skip # noqa: E501
    with pytest.raises(checks.CheckFailed, match=r"takes more than|very different sizes"):
        checks.backward(corpus.run(exact, "backward"), "input")
