"""The command `export`: a trained network for programs that don't know this package."""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from d2l_bn import __version__
from d2l_bn.nn.after_training import fold
from d2l_bn.nn.layer import BatchNorm
from d2l_bn.nn.networks import GluonBatchNorm, copy_parameters
from d2l_bn.program.trained import Trained, load_trained
from d2l_bn.system.errors import InputError, RunError
from d2l_bn.system.files import replacing, require_output, require_place

import mxnet as mx
from mxnet import gluon
from mxnet.gluon import nn

# MXNet's exporter dates from 2020, and writes what these two allow; so older runtimes read it, too.
OPSET, FORMAT = 13, 7
NAME = "lenet"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    add = parser.add_argument
    add("folder", type=Path, metavar="RUN", help="the run, such as runs/lenet")
    add("out", type=Path, metavar="OUT", help="the file NAME.onnx, or with --gluon a new folder")
    add("--gluon", action="store_true", help="write symbol and parameters for Gluon's SymbolBlock")
    add("--folded", action="store_true", help="fold normalization into the layers before")


def run(options: argparse.Namespace) -> None:
    """Write the network of a finished run as an ONNX file, or for Gluon's `SymbolBlock`."""
    out = options.out
    if [] in (options.folder, out):  # argparse gives a second "--" as an empty list
        raise InputError("RUN and OUT must be paths, got --")
    if options.gluon and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"OUT must be a new or an empty folder with --gluon, got {out}")
    if not options.gluon and out.suffix != ".onnx":
        raise InputError(f"OUT must be a file NAME.onnx, or a folder with --gluon, got {out}")
    (require_place if options.gluon and not out.is_symlink() else require_output)(out)
    trained = load_trained(options.folder)
    net = fold(trained.net) if options.folded else _in_gluon(trained.net)
    (_write_gluon if options.gluon else _write_onnx)(net, trained, out)
    height, width = trained.image_shape
    print(
        f"{out} takes data, float32 of shape (batch, 1, {height}, {width}), pixels from 0 to 1 as "
        f"in {trained.data}, and returns the {len(trained.classes)} unnormalized log probabilities"
    )


def _in_gluon(net: gluon.Block) -> nn.HybridSequential:
    """The same network with Gluon's own normalization; ours can't be a part of a symbol."""
    hybrid = nn.HybridSequential()
    for layer in net:
        if isinstance(layer, BatchNorm):
            ours, layer = layer, GluonBatchNorm(layer.gamma.shape[1], 2, epsilon=layer.eps)
            layer.initialize(ctx=ours.gamma.list_ctx())
        hybrid.add(layer)
    copy_parameters(net, hybrid)
    return hybrid


def _write_onnx(net: gluon.HybridBlock, trained: Trained, out: Path) -> None:
    onnx, export_model = _exporter()
    values = {name: parameter.data() for name, parameter in net.collect_params().items()}
    image = 1, *trained.image_shape
    with replacing(out) as temporary:
        export_model(
            net(mx.sym.var("data")),
            values,
            [(1, *image)],
            np.float32,
            str(temporary),
            dynamic=True,
            dynamic_input_shapes=[("batch", *image)],
        )
        graph = onnx.load(str(temporary)).graph
        del graph.input[1:]  # the exporter lists the parameters there, and runtimes then warn
        scores = onnx.helper.make_tensor_value_info("scores", 1, ["batch", len(trained.classes)])
        graph.output[0].CopyFrom(scores)
        graph.node[-1].output[0] = scores.name
        opset = [onnx.helper.make_opsetid("", OPSET)]
        model = onnx.helper.make_model(graph, opset_imports=opset, ir_version=FORMAT)
        model.producer_name, model.producer_version = "d2l_bn", __version__
        onnx.helper.set_model_props(model, {"classes": json.dumps(trained.classes)})
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, str(temporary))


def _exporter() -> Any:
    """The package onnx, and MXNet's function, which looks at its import whether onnx is there."""
    try:
        import onnx
        import onnx.mapping
    except ImportError as error:
        raise InputError(
            f"OUT as ONNX needs the package onnx, 1.14 to 1.18, and got: {error}. Install the "
            "extra: pip install -c constraints.txt -e '.[onnx]', or write for Gluon with --gluon"
        ) from error
    from mxnet.onnx import export_model

    return onnx, export_model


def _write_gluon(net: gluon.HybridBlock, trained: Trained, out: Path) -> None:
    net.hybridize()
    net(mx.nd.zeros((1, 1, *trained.image_shape)))  # a first image tells MXNet the graph
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{NAME}-") as temporary:
        made = Path(temporary, "made")
        made.mkdir()
        try:
            net.export(str(made / NAME))
            mx.sym.load(str(made / f"{NAME}-symbol.json"))  # MXNet doesn't look itself whether
            mx.nd.load(str(made / f"{NAME}-0000.params"))  # the last bytes found room
        except (mx.MXNetError, ValueError) as error:  # the latter of a message that is no text
            raise RunError(f"{out} can't be written; is the disk full?") from error
        made.replace(out)
