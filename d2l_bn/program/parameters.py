"""Reads the file of a network's parameters, whoever made it.

MXNet's own reader believes what a file says: of a sparse array in it, the values go to places of
its maker's choice, outside of memory too. What `save_parameters` writes is dense float32.
"""

from __future__ import annotations

import math
import struct
from pathlib import Path

import numpy as np

from d2l_bn.system.files import read_regular

LIST, ARRAY = 0x112, 0xF993FAC9  # how a file starts, and each of its arrays
DENSE, FLOAT32 = 0, 0


def read_parameters(path: Path) -> dict[str, np.ndarray]:
    """Read the arrays of a file, float32, by their names; ValueError if it holds anything else."""
    content = memoryview(read_regular(path))
    at = 0

    def take(count: int) -> memoryview:
        nonlocal at
        _require(count <= len(content) - at)
        at += count
        return content[at - count : at]

    def numbers(form: str) -> tuple:
        return struct.unpack("<" + form, take(struct.calcsize("<" + form)))

    start, _, count = numbers("3Q")
    _require(start == LIST and count < 1000)
    arrays = []
    for _ in range(count):
        magic, storage, rank = numbers("IiI")
        _require((magic, storage) == (ARRAY, DENSE) and 1 <= rank <= 4)
        shape = numbers(f"{rank}q")
        *_, kind = numbers("3i")  # after the device and its number
        _require(kind == FLOAT32 and min(shape) > 0)
        arrays.append(np.frombuffer(take(4 * math.prod(shape)), "<f4").reshape(shape))
    _require(numbers("Q") == (count,))
    names = [str(take(*numbers("Q")), "utf-8") for _ in arrays]
    _require(at == len(content) and len(set(names)) == count)
    return dict(zip(names, arrays))


def _require(true: bool) -> None:
    if not true:
        raise ValueError("it is not what save_parameters writes")
