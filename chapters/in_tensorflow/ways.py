"""Four ways to batch normalization in TensorFlow, all called `way(X, training)` in a graph.

`X` has the shape (batch, features) or (batch, height, width, channels): TensorFlow keeps channels
last. `training` is a bool, or a tensor of one that is fed. All have our eps and momentum, and put
what moves their averages into the collection UPDATE_OPS; whoever trains has to run it.
"""

from __future__ import annotations

import numpy as np
from in_tensorflow.run_tensorflow import deprecation_unsaid, quiet_tensorflow
from in_tensorflow.slim import slim

tf = quiet_tensorflow()
v1 = tf.compat.v1
UPDATE_OPS = v1.GraphKeys.UPDATE_OPS


def by_hand(X, training, *, eps: float = 1e-5, momentum: float = 0.9):
    """The first way: `tf.nn.moments`, `tf.nn.batch_normalization`, and averages kept by hand."""
    axes = list(range(X.shape.rank - 1))  # all but the channels
    with v1.variable_scope(None, default_name="batch_norm"):
        gamma = _variable("gamma", X, v1.ones_initializer())
        beta = _variable("beta", X, v1.zeros_initializer())
        moving_mean = _variable("moving_mean", X, v1.zeros_initializer(), trainable=False)
        moving_var = _variable("moving_var", X, v1.zeros_initializer(), trainable=False)
    mean, var = tf.nn.moments(X, axes)  # the biased variance
    for old, new in ((moving_mean, mean), (moving_var, var)):
        update = v1.assign(old, momentum * old + (1 - momentum) * new)
        v1.add_to_collection(UPDATE_OPS, update)
    mean, var = tf.cond(training, lambda: (mean, var), lambda: (moving_mean, moving_var))
    return tf.nn.batch_normalization(X, mean, var, beta, gamma, eps)


def v1_layers(X, training, *, eps: float = 1e-5, momentum: float = 0.9):
    """The second way: `tf.layers.batch_normalization`, now below `tf.compat.v1`."""
    with deprecation_unsaid():
        return v1.layers.batch_normalization(X, momentum=momentum, epsilon=eps, training=training)


def slim_batch_norm(X, training, *, eps: float = 1e-5, momentum: float = 0.9):
    """The third way: `tf.contrib.layers.batch_norm`, now in slim. Without `scale`, no gamma."""
    with deprecation_unsaid():
        return slim.batch_norm(X, decay=momentum, epsilon=eps, scale=True, is_training=training)


def keras(X, training, *, eps: float = 1e-5, momentum: float = 0.9):
    """What replaced the three: Keras's layer, whose updates a graph has to be told of."""
    layer = tf.keras.layers.BatchNormalization(momentum=momentum, epsilon=eps)
    Y = layer(X, training=training)
    for update in layer.updates:
        v1.add_to_collection(UPDATE_OPS, update)
    return Y


WAYS = {
    "tf.nn, averages by hand": by_hand,
    "tf.compat.v1.layers": v1_layers,
    "slim": slim_batch_norm,
    "tf.keras in a graph": keras,
}


def _variable(name: str, X, initializer, *, trainable: bool = True):
    """One value per channel."""
    return v1.get_variable(name, X.shape[-1:], initializer=initializer, trainable=trainable)


def one_step(way, X: np.ndarray) -> dict[str, np.ndarray]:
    """Take one training step with a new layer, and then predict, for the same batch.

    Parameters
    ----------
    way : callable (X, training)
        One of `WAYS`.
    X : ndarray, shape (batch, features) or (batch, channels, height, width), float32
        The batch, channels first as in MXNet.

    Returns
    -------
    dict of str to ndarray
        ``training`` and ``prediction``, outputs like `X`; ``mean`` and ``var``, the averages after
        the step, shape (channels,).
    """
    last = X.transpose(0, 2, 3, 1) if X.ndim == 4 else X
    with tf.Graph().as_default(), v1.Session() as session:
        training = v1.placeholder(tf.bool, ())
        Y = way(tf.constant(last), training)
        trained = {v.name for v in v1.trainable_variables()}
        averages = [v for v in v1.global_variables() if v.name not in trained]
        session.run(v1.global_variables_initializer())
        Y_training, _ = session.run([Y, v1.get_collection(UPDATE_OPS)], {training: True})
        outputs = [Y_training, session.run(Y, {training: False})]
        mean, var = session.run(averages)
    if X.ndim == 4:
        outputs = [output.transpose(0, 3, 1, 2) for output in outputs]
    return {"training": outputs[0], "prediction": outputs[1], "mean": mean, "var": var}
