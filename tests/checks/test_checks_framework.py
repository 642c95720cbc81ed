"""Solutions in PyTorch and NumPy are checked as those in MXNet are, in their own words."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import frameworks
import pytest

from d2l_bn import checks
from d2l_bn.checks import phrases
from d2l_bn.checks.framework import Framework

MXNET = (
    r"MXNet|NDArray|\bnd\b|autograd\.[^g]|asnumpy|asscalar|[Gg]luon|\bBlock\b|params\.|grad_req"
    r"|set_data|initialize|\.data\(|init\.|collect_params|copyto|cpu\(|expand_dims|trainer|save_param"
)
CASES = [
    *((f"{name} {edits}", "") for name, group in frameworks.RIGHT.items() for edits in group),
    *((f"numpy {name}", "") for name in frameworks.RIGHT if name != "layer"),
    *(
        (f"{name} {edits}", label)
        for name, group in frameworks.WRONG.items()
        for label, *edits in group
    ),
    *((f"numpy batch_norm {edits}", label) for label, *edits in frameworks.WRONG_IN_NUMPY),
    ("old", ""),
    ("not told", "raised: No module named 'mxnet'"),
    ("new taken for old", "moving_mean, momentum: (1 - momentum)"),
]  # fmt: skip
# Parts of labels that a PyTorch solution can't get: of contexts, of names, of modes of MXNet's.
NEVER = (
    "context", "afresh", "stays", "apart", "output elsewhere", "initialized", "not to blame",
    "names", "added up", "recorded", "recording", "no NDArray", "corrected", "invalid shape",
    "computational graph", "attribute type", "Cannot retrieve", "'_", "not a scalar",
    "expected float64", "'mxnet'", "wheels", "not NDArray",
)  # fmt: skip


@pytest.fixture(scope="module")
def said():
    pytest.importorskip("torch", reason="PyTorch is not installed")
    run = subprocess.run(
        [sys.executable, frameworks.__file__], capture_output=True, text=True, timeout=300
    )
    assert not run.returncode, run.stderr
    return json.loads(run.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("case, label", CASES, ids=lambda value: value[:60])
def test_a_solution_is_accepted_or_told_its_cause(case, label, said):
    found, message = said[case] or ("", "")
    assert found == label, message
    assert case == "not told" or not re.search(MXNET, message), message
    lines = message.splitlines()
    assert len(lines) <= 10 and max(map(len, lines), default=0) <= 80, message


@pytest.mark.slow
def test_a_message_names_the_convention_of_the_momentum(said):
    assert 'momentum_weighs="old"' in said["new taken for old"][1]
    turned = said[f"batch_norm {frameworks.OLD}"][1]
    assert "momentum = 0.1" in turned and 'momentum_weighs="new"' in turned


@pytest.mark.slow
def test_the_example_of_the_page_says_what_it_shows(said):
    label, message, shown = said["page"]
    assert (label, message) == ("variance n: (n - 1)", shown)


def test_no_remedy_for_pytorch_names_a_function_of_mxnet():
    torch, count = Framework("torch", "new"), 0
    for name in ("output", "average", "alone", "gradient", "said", "raised", "layer"):
        for label, text in phrases.table(name).items():
            if not any(part in label for part in NEVER):
                words = torch.words(re.sub(r"\{\w+\}", "moving_mean", text))
                assert not re.search(MXNET, words), (label, words)
                count += 1
    assert count > 300


def test_what_is_unknown_is_refused():
    with pytest.raises(ValueError, match="framework is one of mxnet, torch, numpy"):
        checks.batch_norm(print, framework="jax")
    with pytest.raises(ValueError, match="momentum_weighs old or new; got 'torch' and 'both'"):
        checks.masked(print, framework="torch", momentum_weighs="both")
    with pytest.raises(ValueError, match="a layer is written in"):
        checks.layer(print, framework="numpy")
    with pytest.raises(ValueError, match="got 'gradient'"):
        checks.batch_norm(print, "gradient", framework="numpy")
