"""A training step or two of any framework's batch normalization, seen from outside."""

from __future__ import annotations

from typing import Callable, NamedTuple, Optional

import numpy as np


class Case(NamedTuple):
    """What every layer is given: the same input, weights and gradient from above.

    `X` and `dY` have the shape (batch, features) or (batch, channels, height, width), `gamma` and
    `beta` (channels,); all are float32.
    """

    X: np.ndarray
    dY: np.ndarray
    gamma: np.ndarray
    beta: np.ndarray


class Run(NamedTuple):
    """What a layer made of a case, in the case's layout.

    Attributes
    ----------
    Y, dX, dgamma, dbeta : ndarray
        Output and gradients in training mode. `dgamma` is None where there is no gamma.
    start_mean, start_var, mean, var : ndarray, shape (channels,)
        The moving averages of a new layer, and after its training step.
    Y_predict : ndarray
        The output in prediction mode after that step.
    updates : str
        What it took to move the averages.
    Y_next, Y_next_predict, mean_next : ndarray
        For `-X`: the output of a second training step, that in prediction mode before it, and the
        moving mean after it.
    Y_default : dict of str to ndarray
        The output for `-X` where the call doesn't name the mode: one for each place of the call.
    """

    Y: np.ndarray
    dX: np.ndarray
    dgamma: Optional[np.ndarray]
    dbeta: np.ndarray
    start_mean: np.ndarray
    start_var: np.ndarray
    mean: np.ndarray
    var: np.ndarray
    Y_predict: np.ndarray
    updates: str
    Y_next: np.ndarray
    Y_next_predict: np.ndarray
    mean_next: np.ndarray
    Y_default: dict[str, np.ndarray]


class Layer(NamedTuple):
    """A layer to look at.

    `run(case, **options)` takes a step, and a second one at last. Its options are `eps`,
    `momentum` and `start` (the moving mean and variance of the new layer), and `scale` (train
    gamma) where gamma isn't trained unless told. What isn't given is the layer's default. `yours`
    names what the layer has no default for, so that its user decides.
    """

    name: str
    framework: str
    run: Callable[..., Run]
    yours: tuple[str, ...] = ()


def make_case(
    shape: tuple[int, ...], seed: int = 0, mean: float = 3.0, std: float = 2.0, factor: float = 2.0
) -> Case:
    """A random case. The last channel has `factor` times the mean and deviation of the first."""
    rng = np.random.default_rng(seed)
    channels = shape[1]
    along = (1, channels) + (1,) * (len(shape) - 2)
    factors = np.linspace(1, factor, channels).reshape(along)
    X = (rng.normal(size=shape) * std + mean) * factors
    dY = rng.normal(size=shape)
    gamma, beta = rng.uniform(0.5, 2, channels), rng.normal(size=channels)
    single = [array.astype(np.float32) for array in (X, dY, gamma, beta)]
    return Case._make(single)
