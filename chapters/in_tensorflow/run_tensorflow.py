"""Two training steps of each of TensorFlow's batch normalizations: graphs, and Keras without."""

from __future__ import annotations

from functools import partial

import numpy as np
from in_tensorflow import ways
from in_tensorflow.one_step import Case, Run
from in_tensorflow.ways import tf, v1


def run_graph(way, case: Case, *, start=None, has_default: bool = True, **options) -> Run:
    """Take a step with the layer that `way(X, training, **options)` adds to a graph of its own.

    Where the mode has a default, a second layer with the same values is called without it.
    """
    with tf.Graph().as_default(), v1.Session() as session:
        first, dY = (tf.constant(_channels_last(array)) for array in (case.X, case.dY))
        X = v1.placeholder_with_default(first, first.shape)
        training = v1.placeholder(tf.bool, ())
        Y = way(X, training, **options)
        updates = v1.get_collection(ways.UPDATE_OPS)
        variables = v1.global_variables()
        kept = {variable.op.name.rpartition("/")[2]: variable for variable in variables}
        trained = [kept.pop(name) for name in ("gamma", "beta") if name in kept]
        averages = list(kept.values())
        gradients = tf.gradients(Y, [X, *trained], dY)
        Y_default = {"": way(X, **options)} if has_default else {}
        copies = v1.global_variables()[len(variables) :]
        session.run(v1.global_variables_initializer())
        values = (case.gamma, case.beta)[-len(trained) :]  # where there is no gamma, beta alone
        given = [*zip(trained, values), *zip(averages, () if start is None else start)]
        session.run([v1.assign(variable, value) for variable, value in given])

        before = session.run(averages)
        Y_value, (dX, *dgamma, dbeta) = session.run([Y, gradients], {training: True})
        assert np.array_equal(before, session.run(averages)), "only an update moves the averages"
        session.run(updates, {training: True})
        after = session.run(averages)
        session.run([v1.assign(copy, variable) for copy, variable in zip(copies, variables)])
        predicted = session.run(Y, {training: False})
        second = {training: True, X: -_channels_last(case.X)}
        predicted_next, default = session.run([Y, Y_default], {**second, training: False})
        Y_next = session.run(Y, second)
        session.run(updates, second)
        mean_next = session.run(averages[0])
    return Run(
        _channels_first(Y_value), _channels_first(dX), dgamma[0] if dgamma else None, dbeta,
        before[0], before[1], after[0], after[1], _channels_first(predicted),
        "an operation of yours" if way is ways.by_hand else "UPDATE_OPS",
        _channels_first(Y_next), _channels_first(predicted_next), mean_next,
        {place: _channels_first(value) for place, value in default.items()},
    )  # fmt: skip


def run_keras(case: Case, *, start=None, **options) -> Run:
    """Take a step with `tf.keras.layers.BatchNormalization`, outside of any graph."""
    if "eps" in options:
        options["epsilon"] = options.pop("eps")
    layer = tf.keras.layers.BatchNormalization(**options)
    X, dY = (tf.constant(_channels_last(array)) for array in (case.X, case.dY))
    layer.build(X.shape)
    variables = [layer.gamma, layer.beta, layer.moving_mean, layer.moving_variance]
    for variable, value in zip(
        variables, (case.gamma, case.beta, *(() if start is None else start))
    ):
        variable.assign(value)

    def averages():
        return [variable.numpy() for variable in variables[2:]]

    before = averages()
    with tf.GradientTape() as tape:
        tape.watch(X)
        Y = layer(X, training=True)
    forward = averages()
    gradients = tape.gradient(Y, [X, *variables[:2]], output_gradients=dY)
    dX, dgamma, dbeta = (gradient.numpy() for gradient in gradients)
    after = averages()
    updates = "forward" if np.array_equal(forward, after) else "backward"
    predicted, predicted_next = layer(X, training=False), layer(-X, training=False)
    default = layer(-X)
    Y_next = layer(-X, training=True)
    return Run(
        _channels_first(Y.numpy()), _channels_first(dX), dgamma, dbeta,
        before[0], before[1], after[0], after[1], _channels_first(predicted.numpy()),
        updates, _channels_first(Y_next.numpy()), _channels_first(predicted_next.numpy()),
        averages()[0], {"": _channels_first(default.numpy())},
    )  # fmt: skip


def one_step(way, X: np.ndarray) -> dict[str, np.ndarray]:
    """Take one training step with a new layer, and then predict, for the same batch.

    Parameters
    ----------
    way : callable (X, training)
        One of `ways.WAYS`, or one of your own.
    X : ndarray, shape (batch, features) or (batch, channels, height, width), float32
        The batch, channels first as in MXNet.

    Returns
    -------
    dict of str to ndarray
        ``training`` and ``prediction``, outputs like `X`; ``mean`` and ``var``, the averages after
        the step, shape (channels,).
    """
    ones = np.ones(X.shape[1], np.float32)
    run = run_graph(way, Case(X, np.zeros_like(X), ones, 0 * ones), has_default=False)
    return {"training": run.Y, "prediction": run.Y_predict, "mean": run.mean, "var": run.var}


def _channels_last(array):
    return array.transpose(0, 2, 3, 1) if array.ndim == 4 else array


def _channels_first(array):
    return array.transpose(0, 3, 1, 2) if array.ndim == 4 else array


run_by_hand = partial(run_graph, ways.by_hand, has_default=False)
run_v1_layers = partial(run_graph, ways.v1_layers)
run_slim = partial(run_graph, ways.slim_batch_norm)
