"""Four ways to batch normalization in TensorFlow, all called `way(X, training)` in a graph.

`X` has the shape (batch, features) or (batch, height, width, channels): TensorFlow keeps channels
last. `training` is a bool, or a tensor of one that is fed. Each way puts what moves its averages
into the collection UPDATE_OPS; whoever trains has to run it.

All take the options `eps` and `momentum`, and the layers also those that are theirs alone; what
isn't given is the layer's own default. In `WAYS` each has our eps, our momentum and a gamma.
"""

from __future__ import annotations

from functools import partial

from in_tensorflow.quiet import deprecation_unsaid, quiet_tensorflow
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


def _variable(name: str, X, initializer, *, trainable: bool = True):
    """One value per channel."""
    return v1.get_variable(name, X.shape[-1:], initializer=initializer, trainable=trainable)


def v1_layers(X, training=None, **options):
    """The second way: `tf.layers.batch_normalization`, now below `tf.compat.v1`."""
    options = _named({"training": training, **options}, eps="epsilon")
    with deprecation_unsaid():
        return v1.layers.batch_normalization(X, **options)


def slim_batch_norm(X, training=None, **options):
    """The third way: `tf.contrib.layers.batch_norm`, now in slim. Without `scale`, no gamma."""
    names = dict(training="is_training", eps="epsilon", momentum="decay")
    options = _named({"training": training, **options}, **names)
    with deprecation_unsaid():
        return slim.batch_norm(X, **options)


def keras(X, training=None, **options):
    """What replaced the three: Keras's layer, whose updates a graph has to be told of."""
    layer = tf.keras.layers.BatchNormalization(**_named(options, eps="epsilon"))
    Y = layer(X, training=training)
    for update in layer.updates:
        v1.add_to_collection(UPDATE_OPS, update)
    return Y


def _named(options: dict, **names: str) -> dict:
    """The options that are given, under the names that a layer has for them."""
    return {names.get(name, name): value for name, value in options.items() if value is not None}


OURS = dict(eps=1e-5, momentum=0.9)
WAYS = {
    "tf.nn, averages by hand": by_hand,
    "tf.compat.v1.layers": partial(v1_layers, **OURS),
    "slim": partial(slim_batch_norm, scale=True, **OURS),
    "tf.keras in a graph": partial(keras, **OURS),
}
