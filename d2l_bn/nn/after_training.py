"""What is done with a trained network: its statistics measured anew, or folded away."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Optional

import numpy as np

from d2l_bn.nn.normalization import mean_and_variance
from d2l_bn.nn.validation import at_least_float32

from mxnet import autograd, gluon, init, nd
from mxnet.gluon import nn

AFFINE = nn.Dense, nn.Conv1D, nn.Conv2D, nn.Conv3D


def recalibrate(net: gluon.Block, batches: Iterable[nd.NDArray]) -> None:
    """Replace the moving averages by the statistics of all given examples under today's parameters.

    Moving averages mix batches that were seen under older parameters. Here each layer's mean and
    variance are those of its input over all examples together, first layer first, while the layers
    below already predict with their new statistics. How the examples are cut into batches makes
    no difference beyond rounding. After Wu and Johnson, "Rethinking 'Batch' in BatchNorm" (2021),
    https://arxiv.org/abs/2105.07576, section 3.

    Parameters
    ----------
    net : Block
        A network with batch normalization, ours or Gluon's, initialized. It is changed in place.
    batches : iterable of NDArray, each (batch, ...)
        The inputs. They are gone through once for each normalization layer, so a list will do but
        a generator will not.

    Raises
    ------
    TypeError
        If `batches` can be gone through only once.
    ValueError
        If there is no batch, or no normalization layer that it goes through, if the channels of one
        are not the second axis, or if the network is hybridized: its layers can't be seen then.
    """
    if iter(batches) is batches:
        raise TypeError("batches are gone through several times: got an iterator, pass a list")
    net.apply(_refuse_hybridized)
    layers = _layers_in_order(net, batches)
    if not layers:
        raise ValueError("recalibrate needs at least one batch that meets batch normalization")
    for layer in layers:
        _require_channels_second(layer)
    for layer in layers:
        mean, var = _pooled_statistics(_inputs(net, layer, batches))
        for statistic, value in [(layer.running_mean, mean), (layer.running_var, var)]:
            old = statistic.data()
            new = nd.array(value.reshape(old.shape), ctx=old.context, dtype=old.dtype)
            statistic.set_data(new)


def fold(net: nn.Sequential) -> nn.Sequential:
    """The same network without batch normalization, predicting the same.

    With fixed statistics, normalization is an affine map of each channel, and an affine map of an
    affine map is one: with s = gamma / sqrt(var + eps), the layer before gets the weights s W and
    the bias s (b - mean) + beta.

    Parameters
    ----------
    net : Sequential
        Each batch normalization stands right after a convolution or a dense layer without an
        activation of its own. The network stays as it is.

    Returns
    -------
    nn.Sequential, or nn.HybridSequential where all its layers are hybrid
        Copies of the affine layers; layers without parameters are those of `net`.

    Raises
    ------
    ValueError
        If a layer can't be folded; the message names it.
    """
    layers: list[gluon.Block] = []
    before = None  # what stands right before a layer
    for layer in net:
        if _is_batch_norm(layer):
            _require_foldable(before, layer)
            _scale_and_shift(layers[-1], layer)
        elif isinstance(layer, AFFINE):
            layers.append(copy.deepcopy(layer))
        elif layer.collect_params().keys():
            raise ValueError(f"net must be one flat Sequential, got {layer} in it")
        else:
            layers.append(layer)
        before = layer
    hybrid = all(isinstance(layer, gluon.HybridBlock) for layer in layers)
    folded = nn.HybridSequential() if hybrid else nn.Sequential()
    folded.add(*layers)
    return folded


def _require_foldable(before: Optional[gluon.Block], layer: gluon.Block) -> None:
    _require_channels_second(layer)
    layout = getattr(before, "_kwargs", {}).get("layout", "NC")
    per_position = getattr(before, "_flatten", True) is False  # the units then stand last
    plain = isinstance(before, AFFINE) and before.act is None
    if not plain or not layout.startswith("NC") or per_position:
        raise ValueError(
            "batch normalization must stand right after a convolution or a dense layer without an "
            f"activation of its own, whose channels are the second axis, got {layer} after {before}"
        )


def _scale_and_shift(affine: gluon.Block, layer: gluon.Block) -> None:
    """Put batch normalization with its moving averages into an affine layer."""
    eps = layer.eps if hasattr(layer, "eps") else layer._kwargs["eps"]
    values = layer.gamma, layer.beta, layer.running_mean, layer.running_var
    gamma, beta, mean, var = (p.data().reshape(-1).astype("float64") for p in values)
    if affine.bias is None:
        ctx = affine.weight.list_ctx()
        affine.bias = affine.params.get("bias", shape=beta.shape, dtype=affine.weight.dtype)
        affine.bias.initialize(init.Zero(), ctx=ctx)
        getattr(affine, "_kwargs", {})["no_bias"] = False
    weight, bias = (p.data().astype("float64") for p in (affine.weight, affine.bias))
    scale = gamma / (var + eps).sqrt()
    weight = weight * scale.reshape((-1,) + (1,) * (weight.ndim - 1))
    bias = scale * (bias - mean) + beta
    affine.weight.set_data(weight.astype(affine.weight.dtype))
    affine.bias.set_data(bias.astype(affine.bias.dtype))


def _refuse_hybridized(block: gluon.Block) -> None:
    if getattr(block, "_active", False):
        raise ValueError("recalibrate looks at each layer: call net.hybridize(False) first")


def _require_channels_second(layer: gluon.Block) -> None:
    axis = getattr(layer, "_kwargs", {}).get("axis", 1)  # ours has no other
    if axis != 1:
        raise ValueError(f"channels must be the second axis, axis=1, got axis={axis} in {layer}")


def _is_batch_norm(block: gluon.Block) -> bool:
    return hasattr(block, "running_mean") and hasattr(block, "running_var")


def _layers_in_order(net: gluon.Block, batches: Iterable[nd.NDArray]) -> list[gluon.Block]:
    """The normalization layers of `net`, in the order in which a batch meets them."""
    met: list[gluon.Block] = []
    handles = []

    def watch(block: gluon.Block) -> None:
        if _is_batch_norm(block):
            handles.append(block.register_forward_pre_hook(lambda layer, _: met.append(layer)))

    net.apply(watch)
    try:
        for X in batches:
            with autograd.predict_mode():
                net(X)
            break
    finally:
        for handle in handles:
            handle.detach()
    return list(dict.fromkeys(met))  # a layer that is used twice is met twice


def _inputs(net: gluon.Block, layer: gluon.Block, batches: Iterable[nd.NDArray]):
    """What `layer` gets from each batch, in prediction mode."""
    seen: list[nd.NDArray] = []
    handle = layer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    try:
        for X in batches:
            seen.clear()
            with autograd.predict_mode():
                net(X)
            yield from seen  # several, of a layer that is used several times
    finally:
        handle.detach()


def _pooled_statistics(inputs: Iterable[nd.NDArray]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and biased variance of each channel over all inputs together, in float64.

    Two groups of values are joined by the formula of Chan, Golub and LeVeque (1979).
    """
    count = mean = var = 0
    for X in inputs:
        size = X.size // X.shape[1]
        statistics = mean_and_variance(at_least_float32(X))
        new_mean, new_var = (s.asnumpy().reshape(-1).astype(np.float64) for s in statistics)
        total, delta = count + size, new_mean - mean
        weight = size / total
        var = (1 - weight) * var + weight * new_var + weight * (1 - weight) * delta**2
        mean = mean + weight * delta
        count = total
    return np.asarray(mean), np.asarray(var)
