"""What a run leaves behind for people and spreadsheets: history.csv, summary.json and a table."""

from __future__ import annotations

import csv
import hashlib
import json
import math
import platform
from dataclasses import asdict
from pathlib import Path
from types import ModuleType

import numpy as np

from d2l_bn.data.dataset import Dataset
from d2l_bn.data.framing import measure
from d2l_bn.system.errors import InputError, RunError
from d2l_bn.system.files import replacing
from d2l_bn.training.settings import Settings

import mxnet as mx

COLUMNS = {
    "epoch": int,
    "train_loss": float,
    "train_accuracy": float,
    "test_accuracy": float,
    "learning_rate": float,
    "seconds": float,
    "examples_per_second": float,
}


def write_history(path: Path, history: list[dict]) -> None:
    """Write the epochs of a run as a table with one line an epoch."""
    with replacing(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(history)


def read_history(path: Path) -> list[dict]:
    """Read what `write_history` wrote.

    Raises
    ------
    InputError
        If the file is not there or is not such a table.
    """
    try:
        with path.open(newline="") as file:
            rows = [
                {name: COLUMNS[name](row[name]) for name in COLUMNS} for row in csv.DictReader(file)
            ]
    except OSError as error:
        raise InputError(
            f"{path} can't be read ({error.strerror}): is this the folder of a run?"
        ) from error
    except (ValueError, KeyError, TypeError, csv.Error) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path} is not the history of a run ({reason})") from error
    if not rows:
        raise InputError(f"{path} has no epoch in it yet")
    return rows


def versions() -> dict[str, str]:
    """The versions that a result depends on."""
    from d2l_bn import __version__

    return {
        "d2l_bn": __version__,
        "mxnet": mx.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


def checksum(path: Path) -> str:
    """The SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_summary(
    path: Path,
    settings: Settings,
    dataset: Dataset,
    history: list[dict],
    network: Path,
    parameters: int,
) -> None:
    """Write settings, versions, data and final figures of a run as JSON.

    Parameters
    ----------
    path : Path
        The file to write.
    settings, dataset, history
        Those of the run.
    network : Path
        The file of its parameters, whose checksum is noted.
    parameters : int
        How many numbers were trained.
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
    """Read what `write_summary` wrote.

    Raises
    ------
    InputError
        If the file is not there or is damaged.
    """
    try:
        summary = json.loads(path.read_bytes())
        if not isinstance(summary, dict):
            raise ValueError("it is not an object")
    except OSError as error:
        raise InputError(
            f"{path} can't be read ({error.strerror}): is this a finished run?"
        ) from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is damaged ({error}); train again") from error
    return summary


def drawing() -> ModuleType:
    """The room of figures, at the moment when it is needed.

    Importing matplotlib takes longer than all the rest of the program.

    Raises
    ------
    RunError
        If matplotlib can't be used.
    """
    try:
        from d2l_bn import figures
    except Exception as error:  # whatever is wrong with an installation or its configuration
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise RunError(
            f"no picture can be drawn, since matplotlib doesn't import ({reason}); mend or "
            "reinstall it"
        ) from error
    return figures


def interval(hits: int, count: int) -> tuple[float, float]:
    """Wilson's interval: where a share lies with 95 % confidence, after `hits` of `count`."""
    z = 1.959964
    centre = (hits + z**2 / 2) / (count + z**2)
    half = z / (count + z**2) * math.sqrt(hits * (count - hits) / count + z**2 / 4)
    return max(0.0, centre - half), min(1.0, centre + half)


def epoch_line(row: dict, epochs: int) -> str:
    """One line on one epoch."""
    return (
        f"epoch {row['epoch']:{len(str(epochs))}}/{epochs}   "
        f"loss {row['train_loss']:.4f}   train {row['train_accuracy']:.4f}   "
        f"test {row['test_accuracy']:.4f}   rate {row['learning_rate']:.4f}   "
        f"{row['seconds']:.1f} s   {row['examples_per_second']:,.0f} examples/s"
    )


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
