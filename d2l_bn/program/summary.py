"""What a finished run was and how it ended: summary.json, and a few lines on the terminal."""

from __future__ import annotations

import hashlib
import json
import math
import platform
from dataclasses import asdict
from pathlib import Path

import numpy as np

from d2l_bn import __version__
from d2l_bn.data.dataset import Dataset
from d2l_bn.data.framing import measure
from d2l_bn.system.errors import InputError
from d2l_bn.system.files import read_json, read_regular, replacing
from d2l_bn.training.settings import Settings

import mxnet as mx

PARTS = ("settings", "data", "network", "final")
LONGEST = 2**20  # bytes of a summary, which has a few thousand


def versions() -> dict[str, str]:
    """The versions that a result depends on."""
    return {
        "d2l_bn": __version__,
        "mxnet": mx.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


def checksum(path: Path) -> str:
    """The SHA-256 of a file."""
    return hashlib.sha256(read_regular(path)).hexdigest()


def write_summary(
    path: Path,
    settings: Settings,
    dataset: Dataset,
    history: list[dict],
    network: Path,
    parameters: int,
) -> None:
    """Write settings, versions, data and final figures of a run as JSON.

    `network` is the file of its parameters, and `parameters` says how many numbers were trained.
    """
    last, framing = history[-1], measure(dataset.train_images)
    summary = {
        "settings": asdict(settings),
        "versions": versions(),
        "data": {
            "name": dataset.name,
            "source": dataset.source,
            "address": dataset.address,
            "train_images": len(dataset.train_images),
            "test_images": len(dataset.test_images),
            "image_shape": list(dataset.image_shape),
            "classes": list(dataset.class_names),
            "framing": framing and asdict(framing),
        },
        "network": {"file": network.name, "sha256": checksum(network)},
        "final": {name: last[name] for name in ("train_loss", "train_accuracy", "test_accuracy")},
        "trained_parameters": parameters,
        "training_seconds": sum(row["seconds"] for row in history),
    }
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(summary, indent=2) + "\n")


def read_summary(path: Path) -> dict:
    """Read what `write_summary` wrote; InputError if the file is not there or is damaged."""
    try:
        summary = read_json(read_regular(path, LONGEST))
        parts = [summary.get(name, {}) for name in PARTS] if isinstance(summary, dict) else [None]
        if not all(isinstance(part, dict) for part in parts):
            raise ValueError("it is not what a run writes")
    except OSError as error:
        raise InputError(
            f"{path} can't be read ({error.strerror}): is this a finished run?"
        ) from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is damaged ({error}); train again") from error
    return summary


def interval(hits: int, count: int) -> tuple[float, float]:
    """Wilson's interval: where a fraction lies with 95 % confidence, after `hits` of `count`."""
    z = 1.959964
    centre = (hits + z**2 / 2) / (count + z**2)
    half = z / (count + z**2) * math.sqrt(hits * (count - hits) / count + z**2 / 4)
    return max(0.0, centre - half), min(1.0, centre + half)


def final_table(settings: Settings, dataset: Dataset, history: list[dict]) -> str:
    """The run on a few lines."""
    last, seconds = history[-1], sum(row["seconds"] for row in history)
    examples = len(dataset.train_images) * len(history)
    rows = {
        "normalization": settings.norm,
        "data": f"{dataset.name}, {len(dataset.train_images):,} training and "
        f"{len(dataset.test_images):,} test images",
        "epochs": len(history),
        "training loss": f"{last['train_loss']:.4f}",
        "training accuracy": f"{last['train_accuracy']:.4f}",
        "test accuracy": f"{last['test_accuracy']:.4f}",
        "speed": f"{examples / seconds:,.0f} examples/s, {seconds:.0f} s of training",
    }
    width = max(map(len, rows))
    return "\n".join(f"{name:{width}}  {value}" for name, value in rows.items())
