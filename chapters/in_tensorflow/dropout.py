"""Dropout in several frameworks: who drops without being told to."""

from __future__ import annotations

from typing import Callable, NamedTuple, Optional

import numpy as np
from in_tensorflow.frameworks import missing
from in_tensorflow.quiet import deprecation_unsaid, quiet_tensorflow

import d2l_bn

import mxnet as mx
from mxnet import autograd, nd


class Dropper(NamedTuple):
    """A dropout to look at.

    `call(X, rate, training)` takes and gives an ndarray. `training` is True, False, or None where
    the call leaves it to the framework. `number` says what the framework's own number counts.
    """

    name: str
    framework: str
    number: str
    call: Callable[[np.ndarray, float, Optional[bool]], np.ndarray]


def defaults(rate: float = 0.25) -> list[dict[str, str]]:
    """Measure each dropout on 40,000 ones, with the chance `rate` of dropping. One row each.

    `dropped`, `the rest becomes` and `mean` are those of training mode; `mode, if not named` is
    measured too, and so is `rate 1`, where nothing is kept. Where a framework isn't installed,
    the cells of its rows say so.
    """
    return [describe(dropper, rate) for dropper in DROPPERS]


def describe(dropper: Dropper, rate: float = 0.25) -> dict[str, str]:
    """One row of `defaults`."""
    columns = ("number", "dropped", "the rest becomes", "mean", "mode, if not named", "rate 1")
    reason = missing(dropper.framework)
    if reason:
        return {"dropout": dropper.name, **dict.fromkeys(columns, reason)}
    mx.random.seed(0)
    X = np.ones((200, 200), np.float32)
    Y = dropper.call(X, rate, True)
    cells = (
        f"the chance of {dropper.number}",
        f"{(Y == 0).mean():.2f}",
        " or ".join(f"{value:.3f}" for value in np.unique(Y[Y != 0])),
        f"{Y.mean():.2f}",
        default_mode(dropper, X, rate),
        at_rate_one(dropper, X),
    )
    return {"dropout": dropper.name, **dict(zip(columns, cells))}


def default_mode(dropper: Dropper, X: np.ndarray, rate: float) -> str:
    """See where values are dropped although nothing says that this is training."""
    alone = "on" if drops(dropper, X, rate, None) else "off"
    if dropper.framework == "MXNet":
        with autograd.record():
            recorded = "on" if drops(dropper, X, rate, None) else "off"
        return f"{alone}, {recorded} inside autograd.record()"
    if drops(dropper, X, rate, False):
        return "always on"
    return alone


def drops(dropper: Dropper, X: np.ndarray, rate: float, training: Optional[bool]) -> bool:
    """Whether some of `X` is dropped."""
    return not np.array_equal(dropper.call(X, rate, training), X)


def at_rate_one(dropper: Dropper, X: np.ndarray) -> str:
    """What becomes of values that are all dropped: "zeros", "nan" or the error's name."""
    try:
        Y = dropper.call(X, 1.0, True)
    except ValueError as error:
        return type(error).__name__
    if np.isnan(Y).all():
        return "NaN"
    return "zeros" if not Y.any() else "something else"


def _mxnet(operation):
    def call(X, rate, training):
        X = nd.array(X)
        if training is None:
            return operation(X, rate).asnumpy()
        with autograd.train_mode() if training else autograd.predict_mode():
            return operation(X, rate).asnumpy()

    return call


def _graph(operation):
    """Call `operation(tf, X, rate, training)` in a graph of its own."""

    def call(X, rate, training):
        tf = quiet_tensorflow()
        with tf.Graph().as_default(), tf.compat.v1.Session() as session:
            tf.compat.v1.set_random_seed(0)
            return session.run(operation(tf, tf.constant(X), rate, training))

    return call


def _torch(X, rate, training):
    import torch

    torch.manual_seed(0)
    layer = torch.nn.Dropout(rate)
    if training is not None:
        layer.train(training)
    return layer(torch.from_numpy(X)).numpy()


def _keras_3(X, rate, training):
    import os

    os.environ["KERAS_BACKEND"] = "jax"  # read when Keras is first imported
    import keras

    return np.asarray(keras.layers.Dropout(rate, seed=0)(X, **_mode("training", training)))


def _mode(name, training):
    """Return the keyword that names the mode, if it is named."""
    return {} if training is None else {name: training}


def _v1_keep_prob(tf, X, rate, training):
    return tf.compat.v1.nn.dropout(X, keep_prob=1 - rate)


def _v1_layers(tf, X, rate, training):
    with deprecation_unsaid():
        return tf.compat.v1.layers.dropout(X, rate, **_mode("training", training))


def _slim(tf, X, rate, training):
    from in_tensorflow.slim import slim

    with deprecation_unsaid():
        return slim.dropout(X, 1 - rate, **_mode("is_training", training))


def _keras(tf, X, rate, training):
    return tf.keras.layers.Dropout(rate, seed=0)(X, **_mode("training", training))


DROPPERS = [
    Dropper("d2l_bn.dropout", "MXNet", "dropping", _mxnet(d2l_bn.dropout)),
    Dropper("nd.Dropout", "MXNet", "dropping", _mxnet(lambda X, rate: nd.Dropout(X, p=rate))),
    Dropper(
        "tf.nn.dropout", "TensorFlow", "dropping",
        _graph(lambda tf, X, rate, training: tf.nn.dropout(X, rate)),
    ),
    Dropper("tf.compat.v1.nn.dropout", "TensorFlow", "keeping", _graph(_v1_keep_prob)),
    Dropper("tf.compat.v1.layers.dropout", "TensorFlow", "dropping", _graph(_v1_layers)),
    Dropper("slim.dropout", "slim", "keeping", _graph(_slim)),
    Dropper("tf.keras.layers.Dropout", "TensorFlow", "dropping", _graph(_keras)),
    Dropper("torch.nn.Dropout", "PyTorch", "dropping", _torch),
]  # fmt: skip
# What an environment of its own has: see `in_tensorflow.elsewhere`.
ELSEWHERE = [Dropper("Keras 3", "Keras 3", "dropping", _keras_3)]
