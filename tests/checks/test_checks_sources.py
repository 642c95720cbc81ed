"""Which source texts count as one's own work."""

from __future__ import annotations

import corpus
import pytest

from d2l_bn import checks
from d2l_bn.checks.sources import ready_made

IMPORTS = "import mxnet as mx\nfrom mxnet import nd, autograd\nfrom mxnet.gluon import nn\n"


@pytest.mark.parametrize(
    "line, name",
    [
        ("Y = nd.BatchNorm(X)", "nd.BatchNorm"),
        ("Y = mx.nd.BatchNorm(X)", "mx.nd.BatchNorm"),
        ("Y = mx.sym.LayerNorm(X)", "mx.sym.LayerNorm"),
        ("Y = nd.contrib.SyncBatchNorm(X)", "nd.contrib.SyncBatchNorm"),
        ("layer = nn.BatchNorm()", "nn.BatchNorm"),
        ("class Mine(nn.BatchNorm): pass", "nn.BatchNorm"),
        ("Y = F.BatchNorm(X)", "F.BatchNorm"),
        ("from mxnet.ndarray import GroupNorm as g", "mxnet.ndarray.GroupNorm"),
        ("from mxnet.npx import batch_norm", "mxnet.npx.batch_norm"),
        ("from d2l_bn import batch_norm", "d2l_bn.batch_norm"),
        ("from d2l_bn import BatchNorm as B", "d2l_bn.BatchNorm"),
        ("from d2l_bn import GluonBatchNorm", "d2l_bn.GluonBatchNorm"),
        ("import d2l_bn\nd2l_bn.batch_norm(X)", "d2l_bn.batch_norm"),
        ("import d2l_bn.nn.layer", "d2l_bn.nn.layer"),
        ("import d2l_bn\nd2l_bn.nn.layer.BatchNorm(3, 2)", "d2l_bn.nn.layer.BatchNorm"),
        ("from d2l_bn.nn import normalization", "d2l_bn.nn.normalization"),
        ("from d2l_bn.nn.normalization import *", "d2l_bn.nn.normalization.*"),
        ("from d2l_bn.reference import mathematics", "d2l_bn.reference.mathematics"),
    ],
)
def test_ready_made(line, name):
    source = IMPORTS + line
    assert name in [found for _, found in ready_made(source)]
    with pytest.raises(checks.CheckFailed, match=r"your code uses .*, which is what the"):
        checks.own_work(source)


@pytest.mark.parametrize(
    "source",
    [
        corpus.FUNCTION,
        corpus.FUNCTION + corpus.LAYER + "net = BatchNorm(3, 2)\nY = batch_norm(1, 2)",
        IMPORTS + "mean, var = nd.moments(X, axes=(0,))",
        "from d2l_bn import checks\nchecks.batch_norm(batch_norm)",
        "import d2l_bn\nimport d2l_bn.checks as c\nd2l_bn.checks.batch_norm(f)\nc.batch_norm(f)",
        "from d2l_bn import checks, lenet\nfrom d2l_bn.data import load\nlenet(BatchNorm)",
        "class Net:\n    def f(self):\n        return self.BatchNorm, self.batch_norm(3)",
        "from d2l_bn.checks import CheckFailed, backward, batch_norm, layer, own_work",
        "from d2l_bn import checks\nprint(checks.batch_norm.__doc__)",
        "%matplotlib inline\n!pip list\nif 1:\n    %time x = 1\n",
        "%%bash\nnn.BatchNorm (not Python)",
        "# nd.BatchNorm\n'nd.BatchNorm'",
    ],
)
def test_own_work(source, capsys):
    assert checks.own_work(source) is None
    assert capsys.readouterr().out == "own work: no ready-made normalization is used\n"


def test_the_message_shows_the_line():
    with pytest.raises(checks.CheckFailed) as caught:
        checks.own_work("from mxnet import nd\n\ndef f(X):\n    return nd.BatchNorm(X)\n")
    assert "\n  received line 4: return nd.BatchNorm(X)\n" in str(caught.value)


def test_source_that_is_not_python():
    with pytest.raises(checks.CheckFailed, match="line 1 is not Python"):
        checks.own_work("def f(:")


def test_a_notebooks_namespace_is_read_by_its_cells():
    cells = ["", "from mxnet import nd", "def broken(:", "Y = nd.BatchNorm(X)"]
    with pytest.raises(checks.CheckFailed, match=r"mxnet\.nd\.BatchNorm|nd\.BatchNorm"):
        checks.own_work({"In": cells})
    checks.own_work({"In": cells[:3]})
    with pytest.raises(checks.CheckFailed, match=r"your code uses d2l_bn\.batch_norm"):
        checks.own_work({"In": ["import d2l_bn", "Y = d2l_bn.batch_norm(X)"]})


def test_a_namespace_without_cells_is_read_by_its_functions():
    checks.own_work({"right": corpus.run(corpus.FUNCTION, "batch_norm")})
    from d2l_bn import batch_norm

    with pytest.raises(checks.CheckFailed, match="ready-made"):
        checks.own_work({"mine": batch_norm})
