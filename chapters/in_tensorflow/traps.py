"""What goes wrong with batch normalization in a TensorFlow graph, one function a trap.

Each function trains a small, seeded network in its own graph and returns accuracies on test data:
``batch statistics`` in training mode on all of it at once, ``prediction`` with the moving averages.
"""

from __future__ import annotations

import contextlib
import tempfile
from typing import NamedTuple

import numpy as np
from in_tensorflow.quiet import deprecation_unsaid
from in_tensorflow.slim import slim
from in_tensorflow.ways import UPDATE_OPS, slim_batch_norm, tf, v1, v1_layers

CLASSES, FEATURES, UNITS, LAYERS = 10, 20, 64, 3
STEPS, BATCH, RATE = 300, 100, 0.1


class Net(NamedTuple):
    """A network in the current graph: what is fed, the loss, and the predicted classes."""

    X: tf.Tensor
    y: tf.Tensor
    training: tf.Tensor
    loss: tf.Tensor
    classes: tf.Tensor


def layers_norm(X, training, momentum: float = 0.9):
    """The second of the three ways, with a momentum of 0.9 or another."""
    return v1_layers(X, training, momentum=momentum)


def slim_norm(X, training):
    """The third way, with slim's own defaults."""
    return slim_batch_norm(X, training)


def left_on_norm(X, training):
    """The third way, without a word on the mode: it never hears of `training`."""
    return slim_batch_norm(X, momentum=0.9)


def in_place_norm(X, training):
    """The third way with `updates_collections=None`: the output itself waits for the updates."""
    with deprecation_unsaid():
        return slim.batch_norm(X, decay=0.9, is_training=training, updates_collections=None)


def keras_norm(X, training):
    """Keras's layer, used like the other three: nobody tells the collection of its updates."""
    return tf.keras.layers.BatchNormalization(momentum=0.9)(X, training=training)


def make_net(norm=layers_norm) -> Net:
    """Three times dense, `norm(X, training)` and ReLU, then the classes."""
    v1.set_random_seed(0)
    X = v1.placeholder(tf.float32, (None, FEATURES))
    y = v1.placeholder(tf.int32, (None,))
    training = v1.placeholder(tf.bool, ())
    hidden = X
    for number in range(LAYERS):
        hidden = tf.nn.relu(norm(dense(f"dense{number}", hidden, UNITS), training))
    outputs = dense("out", hidden, CLASSES)
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(y, outputs)
    return Net(X, y, training, tf.reduce_mean(losses), tf.argmax(outputs, 1))


def dense(name: str, X, units: int):
    """An affine map, its weights drawn from a seed."""
    initializer = v1.glorot_uniform_initializer(seed=0)
    with v1.variable_scope(name):
        W = v1.get_variable("W", (X.shape[-1], units), initializer=initializer)
        b = v1.get_variable("b", (units,), initializer=v1.zeros_initializer())
    return X @ W + b


def minimize(loss):
    """One step of gradient descent; nothing in it knows of moving averages."""
    return v1.train.GradientDescentOptimizer(RATE).minimize(loss)


def wired(norm=layers_norm, steps: int = STEPS) -> dict[str, float]:
    """No trap: the updates are collected when all layers exist, and the step waits for them."""
    with graph() as session:
        net = make_net(norm)
        updates = v1.get_collection(UPDATE_OPS)
        with tf.control_dependencies(updates):
            step = minimize(net.loss)
        return train_and_test(session, net, step, steps)


def forgotten(norm=layers_norm) -> dict[str, float]:
    """The updates exist, and nothing runs them."""
    with graph() as session:
        net = make_net(norm)
        return train_and_test(session, net, minimize(net.loss))


def too_early() -> dict[str, float]:
    """The collection is read before the layers exist, when it is empty."""
    with graph() as session:
        updates = v1.get_collection(UPDATE_OPS)
        net = make_net()
        with tf.control_dependencies(updates):
            step = minimize(net.loss)
        return train_and_test(session, net, step)


def too_late() -> dict[str, float]:
    """The step exists before the `with`, which holds for what is made inside of it alone."""
    with graph() as session:
        net = make_net()
        step = minimize(net.loss)
        updates = v1.get_collection(UPDATE_OPS)
        with tf.control_dependencies(updates):
            train_step = step
        return train_and_test(session, net, train_step)


def trainable_only() -> dict[str, float]:
    """All is wired, but the checkpoint holds trainable variables alone. Also ``before saving``."""
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/trained"
        with graph() as session:
            net = make_net()
            with tf.control_dependencies(v1.get_collection(UPDATE_OPS)):
                step = minimize(net.loss)
            before = train_and_test(session, net, step)
            v1.train.Saver(v1.trainable_variables()).save(session, path)
        with graph() as session:
            net = make_net()
            session.run(v1.global_variables_initializer())
            v1.train.Saver(v1.trainable_variables()).restore(session, path)
            return {**accuracies(session, net), "before saving": before["prediction"]}


def left_on() -> dict[str, float]:
    """Slim's default mode is training, also for predictions. Also ``one at a time``."""
    with graph() as session:
        net = make_net(left_on_norm)
        with tf.control_dependencies(v1.get_collection(UPDATE_OPS)):
            step = minimize(net.loss)
        found = train_and_test(session, net, step)
        return {**found, "one at a time": one_at_a_time(session, net)}


def towers(kept: slice, steps: int = 10) -> dict[str, np.ndarray]:
    """Let two towers with the same variables share a batch, always the same, and see the averages.

    Each tower normalizes its half of the batch, and adds its own updates of the shared averages to
    the collection; `kept` says which of them are run. One layer with a momentum of 0.9.

    Returns
    -------
    dict of str to ndarray
        ``mean`` and ``var``, the moving averages after each step, shape (steps,); the ``batch``,
        shape (4, 1); the number of ``operations`` in the collection.
    """
    batch = np.array([[-1.0], [1.0], [9.0], [11.0]], np.float32)
    with graph() as session:
        X = v1.placeholder(tf.float32, batch.shape)
        for half in tf.split(X, 2):
            with v1.variable_scope("towers", reuse=v1.AUTO_REUSE):
                v1_layers(half, True, momentum=0.9, name="norm")
        updates = v1.get_collection(UPDATE_OPS)
        averages = [v for v in v1.global_variables() if "moving" in v.name]
        session.run(v1.global_variables_initializer())
        found = []
        for _ in range(steps):
            session.run(updates[kept], {X: batch})
            found.append(np.concatenate(session.run(averages)))
    mean, var = np.transpose(found)
    return {"mean": mean, "var": var, "batch": batch, "operations": np.array(len(updates))}


@contextlib.contextmanager
def graph():
    """Open a session in a new graph, in which everything is made as long as it is open."""
    with tf.Graph().as_default(), v1.Session() as session:
        yield session


def make_data(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Ten clouds of points: features (count, 20) and classes (count,)."""
    centers = np.random.default_rng(0).normal(size=(CLASSES, FEATURES))
    rng = np.random.default_rng([1, seed])
    y = rng.integers(CLASSES, size=count)
    X = 1.2 * centers[y] + rng.normal(size=(count, FEATURES)) + 3
    return X.astype(np.float32), y


def train_and_test(session, net: Net, step, steps: int = STEPS) -> dict[str, float]:
    """Run `step` on one batch after the other, and test."""
    session.run(v1.global_variables_initializer())
    for number in range(steps):
        X, y = make_data(BATCH, seed=number)
        session.run(step, {net.X: X, net.y: y, net.training: True})
    return accuracies(session, net)


def accuracies(session, net: Net) -> dict[str, float]:
    """Measure the accuracy in either mode."""
    X, y = make_data(1000, seed=STEPS)
    found = [session.run(net.classes, {net.X: X, net.training: mode}) for mode in (True, False)]
    batch, prediction = (float(np.mean(classes == y)) for classes in found)
    return {"batch statistics": batch, "prediction": prediction}


def one_at_a_time(session, net: Net) -> float:
    """The accuracy where each test image is a batch of its own."""
    X, y = make_data(1000, seed=STEPS)
    found = [session.run(net.classes, {net.X: row[None], net.training: False}) for row in X]
    return float(np.mean(np.concatenate(found) == y))
