"""LeNet in TensorFlow 1's style, a graph and a session, trained as `d2l_bn.training` does it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from in_tensorflow.ways import UPDATE_OPS, tf, v1

from d2l_bn.data import batch_count, batches
from d2l_bn.training import Settings, build
from d2l_bn.training.run import EVALUATION_BATCH

from mxnet.gluon import nn


class Graph(NamedTuple):
    """A network and how it is trained; the first four are fed.

    `loss` is the mean over the batch, `hits` the number of right answers, `step` a step of gradient
    descent, which also moves the averages.
    """

    X: tf.Tensor
    y: tf.Tensor
    training: tf.Tensor
    rate: tf.Tensor
    loss: tf.Tensor
    hits: tf.Tensor
    step: tf.Operation


def lenet(X, training, norm, weights):
    """Build the network of `d2l_bn.lenet`, with max pooling, for images (batch, height, width, 1).

    `norm(X, training)` adds a batch normalization; `weights` is what `initial_weights` returns.
    """
    conv1, conv2, dense1, dense2, dense3 = weights
    for number, (weight, bias) in enumerate((conv1, conv2)):
        W, b = variables(f"conv{number}", weight, bias)
        X = tf.sigmoid(norm(tf.nn.conv2d(X, W, 1, "VALID") + b, training))
        X = tf.nn.max_pool2d(X, 2, 2, "VALID")
    X = tf.reshape(X, (-1, np.prod(X.shape[1:])))  # in the order height, width, channel
    for number, (weight, bias) in enumerate((dense1, dense2)):
        W, b = variables(f"dense{number}", weight, bias)
        X = tf.sigmoid(norm(X @ W + b, training))
    W, b = variables("out", *dense3)
    return X @ W + b


def variables(name: str, weight: np.ndarray, bias: np.ndarray):
    """Make the two variables of a layer."""
    with v1.variable_scope(name):
        return v1.get_variable("W", initializer=weight), v1.get_variable("b", initializer=bias)


def initial_weights(settings: Settings, dataset) -> list[tuple[np.ndarray, np.ndarray]]:
    """Weight and bias of each layer of our network, in TensorFlow's order of axes."""
    net = build(settings, dataset)
    found, channels = [], None
    for layer in net:
        if not isinstance(layer, (nn.Conv2D, nn.Dense)):
            continue
        weight, bias = layer.weight.data().asnumpy(), layer.bias.data().asnumpy()
        if isinstance(layer, nn.Conv2D):
            channels = len(weight)
            weight = weight.transpose(2, 3, 1, 0)  # (out, in, h, w) -> (h, w, in, out)
        elif channels is not None:  # the first dense layer: its inputs are pixels of channels
            weight = channels_last(weight, channels)
            channels = None
        else:
            weight = weight.T  # (out, in) -> (in, out)
        found.append((np.ascontiguousarray(weight), bias))
    return found


def channels_last(weight: np.ndarray, channels: int) -> np.ndarray:
    """Reorder the inputs of the dense layer behind the images, from (out, in) to (in, out).

    MXNet flattens an image in the order channel, height, width; TensorFlow in the order height,
    width, channel. The images are square here.
    """
    units, inputs = weight.shape
    side = round((inputs / channels) ** 0.5)
    image = weight.reshape(units, channels, side, side)
    return image.transpose(2, 3, 1, 0).reshape(inputs, units)


def make_graph(norm, weights, image_shape=(28, 28)) -> Graph:
    """Add everything that training needs to the current graph."""
    X = v1.placeholder(tf.float32, (None, *image_shape, 1))
    y = v1.placeholder(tf.int32, (None,))
    training = v1.placeholder(tf.bool, ())
    rate = v1.placeholder(tf.float32, ())
    outputs = lenet(X, training, norm, weights)
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(y, outputs)
    loss = tf.reduce_mean(losses)
    right = tf.equal(tf.argmax(outputs, 1, output_type=tf.int32), y)
    hits = tf.reduce_sum(tf.cast(right, tf.int32))
    updates = v1.get_collection(UPDATE_OPS)  # all layers are there now
    with tf.control_dependencies(updates):  # so that a step runs them first
        step = v1.train.GradientDescentOptimizer(rate).minimize(loss)
    return Graph(X, y, training, rate, loss, hits, step)


def fit(norm, dataset, settings: Settings) -> list[dict]:
    """Train in a graph of its own: same weights, batches and rates as `d2l_bn.training.run.fit`.

    Returns the history, with the rows' ``epoch``, ``train_loss``, ``train_accuracy`` and
    ``test_accuracy``.

    Raises
    ------
    ValueError
        If the settings ask for momentum: the two frameworks' optimizers define it differently.
    """
    if settings.momentum:
        raise ValueError(f"momentum must be 0, got {settings.momentum}: the optimizers' differ")
    weights = initial_weights(settings, dataset)
    with tf.Graph().as_default(), v1.Session() as session:
        graph = make_graph(norm, weights, dataset.image_shape)
        session.run(v1.global_variables_initializer())
        return [
            run_epoch(session, graph, dataset, settings, epoch)
            for epoch in range(1, settings.epochs + 1)
        ]


def run_epoch(session, graph: Graph, dataset, settings: Settings, epoch: int) -> dict:
    """Train on each batch once, and evaluate."""
    images, labels, size = dataset.train_images, dataset.train_labels, settings.batch_size
    steps = batch_count(len(images), size)
    order = np.random.default_rng([settings.seed, epoch])  # as in d2l_bn.training.run
    losses, sizes, hits = [], [], 0
    for number, (X, y) in enumerate(batches(images, labels, size, rng=order)):
        rate = settings.learning_rate((epoch - 1 + number / steps) / settings.epochs)
        feed = {**images_and_labels(graph, X, y), graph.training: True, graph.rate: rate}
        loss, right, _ = session.run([graph.loss, graph.hits, graph.step], feed)
        losses.append(float(loss))
        sizes.append(len(y))
        hits += int(right)
    return {
        "epoch": epoch,
        "train_loss": float(np.average(losses, weights=sizes)),
        "train_accuracy": hits / len(images),
        "test_accuracy": evaluate(session, graph, dataset),
    }


def evaluate(session, graph: Graph, dataset) -> float:
    """The share of right answers on the test images, in prediction mode."""
    hits = 0
    for X, y in batches(dataset.test_images, dataset.test_labels, EVALUATION_BATCH):
        feed = {**images_and_labels(graph, X, y), graph.training: False}
        hits += int(session.run(graph.hits, feed))
    return hits / len(dataset.test_images)


def images_and_labels(graph: Graph, X, y) -> dict:
    """Feed a batch of MXNet's; one channel first is one channel last, in the same order."""
    return {graph.X: X.asnumpy().reshape(-1, *X.shape[2:], 1), graph.y: y.asnumpy()}
