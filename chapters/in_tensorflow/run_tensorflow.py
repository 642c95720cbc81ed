"""One training step of each of TensorFlow's batch normalizations: graphs, and Keras without."""

from __future__ import annotations

import contextlib
import os
import warnings
from functools import partial

import numpy as np
from in_tensorflow.layers import Case, Layer, Run

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # read when TensorFlow is first imported


BY_HAND = "an operation of yours"  # also the collection that holds it


def quiet_tensorflow():
    """Import TensorFlow, without its notes that version 1 has a successor."""
    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")
    return tf


@contextlib.contextmanager
def deprecation_unsaid():
    """Silence warnings that a layer is deprecated: the chapter shows old ones, and says so."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"\s*`[\w.]+` is deprecated")
        yield


def by_hand(tf, X, training: bool, *, epsilon=1e-5, momentum=0.9, scale=True):
    """Normalize with `tf.nn`, and keep the averages in variables. All choices are the caller's."""
    shape = X.shape[-1:]
    v1 = tf.compat.v1
    with v1.variable_scope("bn", reuse=v1.AUTO_REUSE):
        gamma = v1.get_variable("gamma", shape, initializer=v1.ones_initializer())
        beta = v1.get_variable("beta", shape, initializer=v1.zeros_initializer())
        averages = [
            v1.get_variable(name, shape, initializer=v1.zeros_initializer(), trainable=False)
            for name in ("moving_mean", "moving_variance")
        ]
    if not training:
        return tf.nn.batch_normalization(X, *averages, beta, gamma, epsilon)
    statistics = tf.nn.moments(X, axes=list(range(X.shape.rank - 1)))
    for old, new in zip(averages, statistics):
        update = v1.assign(old, momentum * old + (1 - momentum) * new)
        v1.add_to_collection(BY_HAND, update)
    return tf.nn.batch_normalization(X, *statistics, beta, gamma, epsilon)


def v1_layers(tf, X, *, scale=True, **options):
    """`tf.compat.v1.layers.batch_normalization`, called again with the same variables."""
    v1 = tf.compat.v1
    with deprecation_unsaid():
        return v1.layers.batch_normalization(X, name="bn", reuse=v1.AUTO_REUSE, **options)


def slim_layers(tf, X, **options):
    """Slim's `batch_norm`, called again with the same variables."""
    from in_tensorflow.slim import slim

    with deprecation_unsaid():
        return slim.batch_norm(X, scope="bn", reuse=tf.compat.v1.AUTO_REUSE, **options)


def run_graph(build, case: Case, *, start=None, fused=None, **options) -> Run:
    """Take a step in a graph of its own. `build(tf, X, **options)` adds a layer to the graph."""
    tf = quiet_tensorflow()
    v1 = tf.compat.v1
    names = {"eps": "epsilon", **({"momentum": "decay"} if build is slim_layers else {})}
    options = {names.get(name, name): value for name, value in options.items()}
    if fused is not None:
        options["fused"] = fused
    mode = "is_training" if build is slim_layers else "training"
    with tf.Graph().as_default(), v1.Session() as session:
        X, dY = (tf.constant(_channels_last(array)) for array in (case.X, case.dY))
        Y = build(tf, X, **{mode: True}, **options)
        updates = {"UPDATE_OPS": v1.get_collection(v1.GraphKeys.UPDATE_OPS)}
        updates[BY_HAND] = v1.get_collection(BY_HAND)
        Y_predict = build(tf, X, **{mode: False}, **options)
        Y_default = {} if build is by_hand else {"": build(tf, X, **options)}
        variables = {v.op.name.rpartition("/")[2]: v for v in v1.global_variables()}
        trained = [variables[name] for name in ("gamma", "beta") if name in variables]
        gradients = tf.gradients(Y, [X, *trained], dY)
        session.run(v1.global_variables_initializer())
        averages = variables["moving_mean"], variables["moving_variance"]
        values = [(variables["beta"], case.beta)]
        if "gamma" in variables:
            values.append((variables["gamma"], case.gamma))
        if start is not None:
            values += zip(averages, start)
        session.run([v1.assign(variable, value) for variable, value in values])

        before = session.run(averages)
        Y_value, (dX, *dgamma, dbeta) = session.run([Y, gradients])
        assert np.array_equal(before, session.run(averages)), "only an update moves the averages"
        (name,) = (name for name, operations in updates.items() if operations)
        session.run(updates[name])
        after = session.run(averages)
        predicted, default = session.run([Y_predict, Y_default])
    return Run(
        _channels_first(Y_value), _channels_first(dX), dgamma[0] if dgamma else None, dbeta,
        *before, *after, _channels_first(predicted),
        {place: _channels_first(value) for place, value in default.items()}, name,
    )  # fmt: skip


def run_keras(case: Case, *, start=None, scale=True, **options) -> Run:
    """Take a step with `tf.keras.layers.BatchNormalization`, outside of any graph."""
    tf = quiet_tensorflow()
    if "eps" in options:
        options["epsilon"] = options.pop("eps")
    layer = tf.keras.layers.BatchNormalization(**options)
    X, dY = (tf.constant(_channels_last(array)) for array in (case.X, case.dY))
    layer.build(X.shape)
    layer.gamma.assign(case.gamma)
    layer.beta.assign(case.beta)
    averages = layer.moving_mean, layer.moving_variance
    if start is not None:
        for variable, value in zip(averages, start):
            variable.assign(value)
    before = [average.numpy() for average in averages]
    with tf.GradientTape() as tape:
        tape.watch(X)
        Y = layer(X, training=True)
    forward = [average.numpy() for average in averages]
    gradients = tape.gradient(Y, [X, layer.gamma, layer.beta], output_gradients=dY)
    dX, dgamma, dbeta = (gradient.numpy() for gradient in gradients)
    after = [average.numpy() for average in averages]
    updates = "forward" if np.array_equal(forward, after) else "backward"
    return Run(
        _channels_first(Y.numpy()), _channels_first(dX), dgamma, dbeta, *before, *after,
        _channels_first(layer(X, training=False).numpy()),
        {"": _channels_first(layer(X).numpy())}, updates,
    )  # fmt: skip


def _channels_last(array):
    return array.transpose(0, 2, 3, 1) if array.ndim == 4 else array


def _channels_first(array):
    return array.transpose(0, 3, 1, 2) if array.ndim == 4 else array


_v1, _slim = partial(run_graph, v1_layers), partial(run_graph, slim_layers)
LAYERS = [
    Layer(
        "tf.nn.moments, averages by hand", "TensorFlow", partial(run_graph, by_hand),
        yours=("start", "momentum", "eps", "training"),
    ),
    Layer("tf.compat.v1.layers", "TensorFlow", _v1),
    Layer("tf.compat.v1.layers, fused=False", "TensorFlow", partial(_v1, fused=False)),
    Layer("slim", "slim", _slim),
    Layer("slim, fused=False", "slim", partial(_slim, fused=False)),
    Layer("tf.keras", "TensorFlow", run_keras),
]  # fmt: skip
