"""What a run leaves behind for people and spreadsheets: history.csv, summary.json and a table."""

from __future__ import annotations

import csv
import json
import platform
from dataclasses import asdict
from pathlib import Path

import numpy as np

from d2l_bn.data.dataset import Dataset
from d2l_bn.system.errors import InputError
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
        raise InputError(f"{path} is not the history of a run ({error})") from error
    if not rows:
        raise InputError(f"{path} has no epoch in it yet")
    return rows


def write_summary(
    path: Path, settings: Settings, dataset: Dataset, history: list[dict], parameters: int
) -> None:
    """Write settings, versions, data and final figures of a run as JSON."""
    from d2l_bn import __version__

    last = history[-1]
    summary = {
        "settings": asdict(settings),
        "versions": {
            "d2l_bn": __version__,
            "mxnet": mx.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
        "data": {
            "name": dataset.name,
            "source": dataset.source,
            "train_images": len(dataset.train_images),
            "test_images": len(dataset.test_images),
            "image_shape": list(dataset.image_shape),
            "classes": list(dataset.class_names),
        },
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
        return json.loads(path.read_text())
    except OSError as error:
        raise InputError(
            f"{path} can't be read ({error.strerror}): is this a finished run?"
        ) from error
    except ValueError as error:
        raise InputError(f"{path} is damaged ({error}); train again") from error


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
