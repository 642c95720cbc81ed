"""What questions and answers travel as: JSON, with arrays as bytes. Nothing is unpickled."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np

DTYPES = {"float16", "float32", "float64", "int8", "uint8", "int32", "int64", "bool"}


def dumps(value: Any) -> str:
    """`value` as one line of text: dictionaries, lists, text, numbers, None, and arrays."""
    return json.dumps(value, default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        data = base64.b64encode(np.ascontiguousarray(value).tobytes()).decode("ascii")
        return {"array": data, "dtype": str(value.dtype), "shape": list(value.shape)}
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"only arrays, numbers and text can travel, got {type(value).__name__}")


def loads(text: str | bytes) -> Any:
    """What `dumps` was given, whoever sent it.

    Raises
    ------
    ValueError
        If it is anything else.
    """
    try:
        return json.loads(text, object_hook=_array)
    except (ValueError, RecursionError, TypeError, KeyError, AttributeError) as error:
        raise ValueError("an answer must be JSON with arrays of numbers") from error


def _array(found: dict) -> Any:
    if set(found) != {"array", "dtype", "shape"}:
        return found
    if found["dtype"] not in DTYPES:
        raise ValueError(f"an array must be of {', '.join(sorted(DTYPES))}")
    shape = [int(length) for length in found["shape"]]
    if len(shape) > 8 or max(shape, default=0) > 1e8 or (0 in shape and max(shape) > 1000):
        raise ValueError("an array must have a shape that somebody could want")
    data = base64.b64decode(found["array"], validate=True)
    return np.frombuffer(data, found["dtype"]).reshape(shape).copy()
