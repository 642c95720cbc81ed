"""Two training steps of Keras 3's, flax's and equinox's batch normalization, all on JAX.

Keras 3 and TensorFlow 2.15 need different versions of one package, so these run in an environment
of their own: see `in_tensorflow.elsewhere`.
"""

from __future__ import annotations

import os
import warnings
from typing import Any

os.environ["KERAS_BACKEND"] = "jax"  # read when Keras is first imported

import equinox
import flax.linen
import flax.nnx
import jax
import jax.numpy as jnp
import keras
import numpy as np
from in_tensorflow.one_step import Case, Run


class Keras:
    """`keras.layers.BatchNormalization`, without a state of its own."""

    def __init__(self, case: Case, **options) -> None:
        self.layer = keras.layers.BatchNormalization(**with_epsilon(options))
        self.layer.build(channels_last(case.X).shape)
        self.state = [variable.value for variable in self.layer.non_trainable_variables]

    def __call__(self, trained, state, X, **mode):
        """Return the output and the new state."""
        return self.layer.stateless_call(trained, state, X, **mode)

    def averages(self, state):
        """The moving mean and variance."""
        return state

    def started(self, start):
        """A state with other averages."""
        return [*start]

    training, predicting = ("training", True), ("training", False)


class Linen:
    """`flax.linen.BatchNorm`, which has to be told its mode."""

    def __init__(self, case: Case, **options) -> None:
        self.layer = flax.linen.BatchNorm(**with_epsilon(options))
        X = channels_last(case.X)
        variables = self.layer.init(jax.random.key(0), X, use_running_average=False)
        self.state = variables["batch_stats"]

    def __call__(self, trained, state, X, **mode):
        """Return the output and the new state."""
        scale, bias = trained
        variables = {"params": {"scale": scale, "bias": bias}, "batch_stats": state}
        Y, changed = self.layer.apply(variables, X, mutable=["batch_stats"], **mode)
        return Y, changed["batch_stats"]

    def averages(self, state):
        """The moving mean and variance."""
        return state["mean"], state["var"]

    def started(self, start):
        """A state with other averages."""
        return dict(zip(("mean", "var"), start))

    training, predicting = ("use_running_average", False), ("use_running_average", True)


class NNX:
    """`flax.nnx.BatchNorm`, split into what it computes and what it keeps."""

    def __init__(self, case: Case, **options) -> None:
        features, rngs = case.X.shape[1], flax.nnx.Rngs(0)
        layer = flax.nnx.BatchNorm(features, rngs=rngs, **with_epsilon(options))
        self.graph, self.params, self.state = flax.nnx.split(
            layer, flax.nnx.Param, flax.nnx.BatchStat
        )

    def __call__(self, trained, state, X, **mode):
        """Return the output and the new state."""
        params = flax.nnx.clone(self.params)
        params["scale"][...], params["bias"][...] = trained
        layer = flax.nnx.merge(self.graph, params, flax.nnx.clone(state))
        Y = layer(X, **mode)
        return Y, flax.nnx.state(layer, flax.nnx.BatchStat)

    def averages(self, state):
        """The moving mean and variance."""
        return state["mean"][...], state["var"][...]

    def started(self, start):
        """A state with other averages."""
        state = flax.nnx.clone(self.state)
        state["mean"][...], state["var"][...] = (jnp.asarray(array) for array in start)
        return state

    training, predicting = ("use_running_average", False), ("use_running_average", True)


class Equinox:
    """`equinox.nn.BatchNorm`, which sees one example at a time, below `jax.vmap`."""

    def __init__(self, case: Case, **options) -> None:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "When `eqx.nn.BatchNorm")  # the mode has a default
            self.layer, self.state = equinox.nn.make_with_state(equinox.nn.BatchNorm)(
                case.X.shape[1], axis_name="batch", **options
            )
        self.index = self.layer.ema_state_index or self.layer.batch_state_index

    def __call__(self, trained, state, X, **mode):
        """Return the output and the new state."""
        layer = equinox.tree_at(lambda layer: (layer.weight, layer.bias), self.layer, [*trained])

        def one(x, state):
            y, state = layer(jnp.moveaxis(x, -1, 0), state, **mode)
            return jnp.moveaxis(y, 0, -1), state

        together = jax.vmap(one, axis_name="batch", in_axes=(0, None), out_axes=(0, None))
        return together(X, state)

    def averages(self, state):
        """The moving mean and variance."""
        return state.get(self.index)

    def started(self, start):
        """A state with other averages."""
        return self.state.set(self.index, tuple(jnp.asarray(array) for array in start))

    training, predicting = ("inference", False), ("inference", True)


CLASSES: dict[str, Any] = {"Keras": Keras, "Linen": Linen, "NNX": NNX, "Equinox": Equinox}


def run(case: Case, *, make: str, start=None, **options) -> Run:
    """Take two steps with one of `CLASSES`."""
    layer = CLASSES[make](case, **options)
    X, dY = (channels_last(array) for array in (case.X, case.dY))
    trained = [jnp.asarray(case.gamma), jnp.asarray(case.beta)]
    state = layer.state if start is None else layer.started(start)
    training, predicting = dict([layer.training]), dict([layer.predicting])

    def forward(X, trained):
        return layer(trained, state, X, **training)

    Y, backward, new = jax.vjp(forward, X, trained, has_aux=True)
    dX, (dgamma, dbeta) = backward(dY)
    predicted, _ = layer(trained, new, X, **predicting)
    Y_next, last = layer(trained, new, -X, **training)
    Y_next_predict, _ = layer(trained, new, -X, **predicting)
    try:
        unnamed, _ = layer(trained, new, -X)
        default = {"": unnamed}
    except ValueError:  # the mode must be named
        default = {}
    arrays = (Y, dX, dgamma, dbeta, *layer.averages(state), *layer.averages(new), predicted)
    second = (Y_next, Y_next_predict, layer.averages(last)[0])
    defaults = {place: channels_first(value) for place, value in default.items()}
    return Run._make(
        [*map(channels_first, arrays), "forward", *map(channels_first, second), defaults]
    )


def with_epsilon(options: dict) -> dict:
    """Rename the option that the others call eps."""
    return {"epsilon" if name == "eps" else name: value for name, value in options.items()}


def channels_last(array):
    """From MXNet's order of axes to that of the three."""
    return jnp.asarray(array.transpose(0, 2, 3, 1) if array.ndim == 4 else array)


def channels_first(array):
    """And back, in NumPy."""
    array = np.array(array)
    return array.transpose(0, 3, 1, 2) if array.ndim == 4 else array
