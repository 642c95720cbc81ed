"""The least time that a layer can take: bytes through memory, operations through the processor.

It is a bound for arrays that the caches can't hold: the bandwidth is that of copying such an array,
measured in the same run. A smaller array may beat it.
"""

from __future__ import annotations

import math

FLOAT = 4  # bytes
# How often forward and backward read or write an array of the layer's size, at the least.
FUSED = 8  # read x for the statistics, read x, write y; read dy and x for two sums, and write dx
PASSES = {"Activation": 5, "MaxPool2D": 5}  # how often it is for these layers


def bounds(layers: list[dict], machine: dict[str, float]) -> list[dict]:
    """The layers of `MXNetSide.layers` with their bytes, operations and least milliseconds."""
    rows = []
    for layer in layers:
        moved, operations = work(layer)
        row = {
            "layer": layer["layer"],
            "input": " x ".join(map(str, layer["input"])),
            "mb": moved / 1e6,
            "mflop": operations / 1e6,
            "memory_ms": moved / machine["bytes_per_second"] * 1e3,
            "arithmetic_ms": operations / machine["operations_per_second"] * 1e3,
            "measured_ms": layer["ms"],
        }
        rows.append(row)
    return rows


def work(layer: dict) -> tuple[float, float]:
    """Bytes moved and operations done by forward and backward of a layer, at the least."""
    inputs, outputs = math.prod(layer["input"]), math.prod(layer["output"])
    if layer["layer"] == "BatchNorm":
        return FUSED * FLOAT * inputs, 14 * inputs
    if layer["layer"] in PASSES:
        return PASSES[layer["layer"]] * FLOAT * max(inputs, outputs), 4 * inputs
    # In a convolution or a dense layer each output sums over a window, and backward takes twice
    # as much. X, Y, dY and dX move, and X and dY once more for the gradient of the weights.
    window = math.prod(layer["weights"][0][1:])
    return FLOAT * 3 * (inputs + outputs), 3 * 2 * window * outputs
