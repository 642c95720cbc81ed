"""What `export` writes answers as the network does, without this package."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from datasets import bars, written

from d2l_bn.program.command_line import main
from d2l_bn.program.trained import load_trained

import mxnet as mx

ALONE = """
import sys
from d2l_bn import _compat  # MXNet wouldn't import; no class of ours is loaded
from mxnet import gluon, nd
folder, asked, answered = sys.argv[1:]
files = f"{folder}/lenet-symbol.json", f"{folder}/lenet-0000.params"
net = gluon.SymbolBlock.imports(files[0], ["data"], files[1])
assert [name for name in sys.modules if name.startswith("d2l_bn.")] == ["d2l_bn._compat"]
nd.save(answered, net(nd.load(asked)[0]))
"""


@pytest.fixture(scope="module", params=["scratch", "gluon", "none"])
def run(request, tmp_path_factory):
    """The folder of a run of each kind of network."""
    folder = tmp_path_factory.mktemp(request.param)
    data = written(bars(), folder / "bars")
    options = f"--batch-size 32 --epochs 2 --lr 0.1 --norm {request.param} --pooling average"
    assert main(["train", "--data", str(data), "--out", str(folder / "run"), *options.split()]) == 0
    return folder / "run"


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (1000, 16, 16)).astype(np.uint8)


def answers(run, images):
    return load_trained(run).net(mx.nd.array(images[:, None] / 255)).asnumpy()


@pytest.mark.parametrize("folded", [[], ["--folded"]])
@pytest.mark.filterwarnings("ignore:.*mapping:DeprecationWarning")  # which MXNet still reads
def test_onnx(run, images, folded, tmp_path, monkeypatch, capfd):
    onnx = pytest.importorskip("onnx", reason="the extra `onnx` is not installed")
    runtime = pytest.importorskip("onnxruntime", reason="the extra `onnx` is not installed")
    path = tmp_path / "new" / "lenet.onnx"
    capfd.readouterr()  # onnxruntime tells of a processor that it doesn't know, such as qemu's
    assert main(["export", str(run), str(path), *folded]) == 0
    assert capfd.readouterr().err == ""
    monkeypatch.chdir(path.parent)
    page = (Path(__file__).parents[2] / "book" / "api.md").read_text()
    five_lines = re.search(r"```python\n(session.+?)```", page, re.DOTALL)[1]
    for count in (1000, 1):
        names = {"images": images[:count], "json": json, "onnxruntime": runtime}
        exec(five_lines, names)
        expected = answers(run, images[:count])
        np.testing.assert_allclose(names["scores"], expected, rtol=0, atol=1e-5)
    assert names["session"].get_inputs()[0].shape == ["batch", 1, 16, 16]
    assert names["session"].get_outputs()[0].shape == ["batch", 4]
    assert names["classes"] == [*"0123"]
    kinds = {node.op_type for node in onnx.load(str(path)).graph.node}
    assert ("BatchNormalization" in kinds) == (not folded and run.parent.name[:4] != "none")
    assert os.listdir() == ["lenet.onnx"]


@pytest.mark.slow
@pytest.mark.parametrize("folded", [[], ["--folded"]])
def test_gluon(run, images, folded, tmp_path):
    out, asked, answered = tmp_path / "new" / "net", tmp_path / "asked", tmp_path / "answered"
    assert main(["export", str(run), str(out), "--gluon", *folded]) == 0
    assert os.listdir(out.parent) == ["net"] and len(os.listdir(out)) == 2
    mx.nd.save(str(asked), mx.nd.array(images[:, None] / 255))
    subprocess.run([sys.executable, "-c", ALONE, out, asked, answered], check=True)
    found = mx.nd.load(str(answered))[0].asnumpy()
    np.testing.assert_allclose(found, answers(run, images), rtol=0, atol=1e-5)
    assert main(["export", str(run), str(out), "--gluon"]) == 2  # it is there already


def test_a_missing_extra_is_told(run, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert main(["export", str(run), str(tmp_path / "model.onnx")]) == 2
    line = capsys.readouterr().err
    assert "pip install -c constraints.txt -e '.[onnx]'" in line and line.count("\n") == 1
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["symbol.json", "0000.params"])
def test_an_export_that_finds_no_room_leaves_nothing(run, name, tmp_path, monkeypatch, capsys):
    real = mx.gluon.HybridBlock.export

    def export(net, path):
        real(net, path)
        os.truncate(f"{path}-{name}", 100)

    monkeypatch.setattr(mx.gluon.HybridBlock, "export", export)
    assert main(["export", str(run), str(tmp_path / "net"), "--gluon"]) == 1
    assert "is the disk full?" in capsys.readouterr().err and os.listdir(tmp_path) == []
