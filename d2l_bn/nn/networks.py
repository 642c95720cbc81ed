"""LeNet with the normalization passed in, and copying between two kinds of normalization."""

from __future__ import annotations

import math
from typing import Callable, Optional

from d2l_bn.nn.layer import BatchNorm

from mxnet import gluon
from mxnet.gluon import nn

Norm = Callable[[int, int], gluon.Block]

POOLING = {"max": nn.MaxPool2D, "average": nn.AvgPool2D}


def lenet(norm: Optional[Norm] = BatchNorm, *, classes: int = 10, pooling: str = "max"):
    """LeNet with sigmoid activations, after LeCun and others (1998), not yet initialized.

    Parameters
    ----------
    norm : callable (num_features, num_dims) -> Block, or None
        Makes the normalization between an affine map and its activation: `BatchNorm`,
        `GluonBatchNorm`, one of your own, or None for the plain network.
    classes : int, default 10
        The number of outputs.
    pooling : {"max", "average"}
        What each window of 2 by 2 pixels is reduced to.

    Returns
    -------
    nn.Sequential, or nn.HybridSequential where all its layers are hybrid
        A network that takes (batch, 1, height, width), each image at least 16 by 16, to
        (batch, classes), the unnormalized log probabilities.

    Raises
    ------
    ValueError
        If an argument is out of its range.
    """
    if classes < 2:
        raise ValueError(f"a classifier needs at least 2 classes, got classes={classes}")
    if pooling not in POOLING:
        raise ValueError(f"pooling must be one of {', '.join(POOLING)}, got {pooling!r}")
    layers: list[gluon.Block] = []
    for channels in (6, 16):
        layers += [nn.Conv2D(channels, kernel_size=5), *_norm(norm, channels, 4)]
        layers += [nn.Activation("sigmoid"), POOLING[pooling](pool_size=2, strides=2)]
    for features in (120, 84):
        layers += [nn.Dense(features), *_norm(norm, features, 2), nn.Activation("sigmoid")]
    layers.append(nn.Dense(classes))
    hybrid = all(isinstance(layer, gluon.HybridBlock) for layer in layers)
    net = nn.HybridSequential() if hybrid else nn.Sequential()
    net.add(*layers)
    return net


def _norm(norm: Optional[Norm], num_features: int, num_dims: int) -> list[gluon.Block]:
    return [] if norm is None else [norm(num_features, num_dims)]


def features(height: int, width: int) -> int:
    """How many numbers the convolutions of `lenet` make of an image."""
    return 16 * math.prod(((side - 4) // 2 - 4) // 2 for side in (height, width))


class GluonBatchNorm(nn.BatchNorm):
    """Gluon's own batch normalization, with the arguments of ours.

    Parameters
    ----------
    num_features, num_dims : int
        As those of `BatchNorm`; Gluon's layer takes inputs of any rank.
    **options
        Those of `mxnet.gluon.nn.BatchNorm`.
    """

    def __init__(self, num_features: int, num_dims: int, **options) -> None:
        super().__init__(in_channels=num_features, **options)


def _options(net: gluon.Block) -> list[dict]:
    """What each normalization of a network computes with, apart from its values."""
    blocks: list[gluon.Block] = []
    net.apply(blocks.append)
    given = [getattr(b, "_kwargs", vars(b)) for b in blocks if hasattr(b, "running_var")]
    names = {"eps": None, "momentum": None, "fix_gamma": False}  # the last is Gluon's alone
    return [{name: options.get(name, names[name]) for name in names} for options in given]


def copy_parameters(source: gluon.Block, target: gluon.Block) -> None:
    """Copy every value of `source`, parameters and statistics, into `target`.

    The networks must have the same layers, apart from whose batch normalization they use: ours
    keeps the shape (1, C) or (1, C, 1, 1) where Gluon's keeps (C,).

    Parameters
    ----------
    source, target : Block
        Both initialized, with known shapes: run one batch through each if in doubt.

    Raises
    ------
    ValueError
        If the networks don't have the same parameters, or another eps or momentum.

    Notes
    -----
    A file that was saved with Gluon's layer needs none of this: `load_parameters` of a network with
    ours takes it as it is.

    This is also the way to deploy a network: `BatchNorm` reads its mode at each call, which a
    hybrid network can't, so Gluon refuses it there. With its values in Gluon's own layer, the
    network can be exported, and `mxnet.gluon.SymbolBlock.imports` loads it without this package:

    >>> target = lenet(GluonBatchNorm)  # doctest: +SKIP
    >>> target.initialize(), target(X)  # doctest: +SKIP
    >>> copy_parameters(net, target)  # doctest: +SKIP
    >>> target.hybridize(), target(X), target.export("lenet")  # doctest: +SKIP
    """
    sources, targets = (net._collect_params_with_prefix() for net in (source, target))
    if sources.keys() != targets.keys():
        differing = ", ".join(sorted(sources.keys() ^ targets.keys()))
        raise ValueError(f"both networks need the same parameters; only one has {differing}")
    values = {name: parameter.list_data()[0] for name, parameter in sources.items()}
    for ours, theirs in zip(_options(source), _options(target)):
        if ours != theirs:
            rule = "both networks need the same options of normalization"
            raise ValueError(f"{rule}, got {ours} and {theirs}")
    for name, parameter in targets.items():
        if values[name].size != parameter.list_data()[0].size:
            raise ValueError(
                f"{name} must have the same size in both networks, got {values[name].shape} and "
                f"{parameter.shape}"
            )
    for name, parameter in targets.items():
        # astype makes a copy of its own: Gluon's layer updates its statistics in place
        parameter.set_data(values[name].astype(parameter.dtype).reshape(parameter.shape))
