"""What an optimizer with momentum carries on: a sum of gradients, or a sum of steps."""

from __future__ import annotations

from typing import Callable

from in_tensorflow.frameworks import missing

import d2l_bn  # noqa: F401  before mxnet

from mxnet import autograd, gluon, nd

RATES, MOMENTUM = (1.0, 0.1), 0.9


def mxnet_steps() -> list[float]:
    """Gluon's `Trainer` with "sgd"."""
    w = gluon.Parameter("w", shape=(1,), init="zeros")
    w.initialize()
    trainer = gluon.Trainer([w], "sgd", {"learning_rate": 1.0, "momentum": MOMENTUM})
    places = [0.0]
    for rate in RATES:
        trainer.set_learning_rate(rate)
        with autograd.record():
            loss = w.data().sum()  # its gradient is 1
        loss.backward()
        trainer.step(1)
        places.append(float(w.data().asscalar()))
    nd.waitall()
    return moves(places)


def v1_steps() -> list[float]:
    """TensorFlow 1's `MomentumOptimizer`."""
    from in_tensorflow.ways import tf, v1

    with tf.Graph().as_default(), v1.Session() as session:
        w, rate = v1.get_variable("w", initializer=0.0), v1.placeholder(tf.float32, ())
        step = v1.train.MomentumOptimizer(rate, MOMENTUM).minimize(w)
        session.run(v1.global_variables_initializer())
        places = [0.0]
        for value in RATES:
            session.run(step, {rate: value})
            places.append(float(session.run(w)))
    return moves(places)


def keras_steps() -> list[float]:
    """`tf.keras.optimizers.SGD`."""
    from in_tensorflow.ways import tf

    w, optimizer = tf.Variable(0.0), tf.keras.optimizers.SGD(1.0, momentum=MOMENTUM)
    places = [0.0]
    for rate in RATES:
        optimizer.learning_rate = rate
        optimizer.apply_gradients([(tf.constant(1.0), w)])
        places.append(float(w.numpy()))
    return moves(places)


def torch_steps() -> list[float]:
    """`torch.optim.SGD`."""
    import torch

    w = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.SGD([w], lr=1.0, momentum=MOMENTUM)
    places = [0.0]
    for rate in RATES:
        optimizer.param_groups[0]["lr"] = rate
        optimizer.zero_grad()
        w.sum().backward()
        optimizer.step()
        places.append(float(w.detach()))
    return moves(places)


OPTIMIZERS: dict[str, tuple[str, Callable[[], list[float]]]] = {
    "gluon.Trainer, sgd": ("MXNet", mxnet_steps),
    "v1.train.MomentumOptimizer": ("TensorFlow", v1_steps),
    "tf.keras.optimizers.SGD": ("TensorFlow", keras_steps),
    "torch.optim.SGD": ("PyTorch", torch_steps),
}


def moves(places: list[float]) -> list[float]:
    """How far each step went, downhill."""
    return [before - after for before, after in zip(places, places[1:])]


def second_steps() -> list[dict[str, str]]:
    """Take two steps along the gradient 1, at the rates 1 and 0.1, with each optimizer.

    A sum of steps goes on with 0.9 of the first step, 0.9 * 1 + 0.1 * 1 = 1. A sum of gradients
    is 0.9 * 1 + 1 = 1.9, and the second step a tenth of it. One row for each optimizer.
    """
    rows = []
    for name, (framework, steps) in OPTIMIZERS.items():
        reason = missing(framework)
        second = reason or f"{steps()[1]:.2g}"
        kept = reason or {"1": "steps", "0.19": "gradients"}[second]
        rows.append({"optimizer": name, "second step": second, "it keeps a sum of": kept})
    return rows
