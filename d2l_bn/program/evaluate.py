"""The command `evaluate`: how good a run is, class by class, and what it gets wrong."""

from __future__ import annotations

import argparse
import itertools
import json
import os
from pathlib import Path

import numpy as np

from d2l_bn.data.dataset import missing
from d2l_bn.data.places import DATA_SETS
from d2l_bn.program import drawing, run_folder
from d2l_bn.program.pictures import sorted_by_class
from d2l_bn.program.summary import interval
from d2l_bn.program.trained import Trained, load_trained, probabilities
from d2l_bn.system.errors import InputError
from d2l_bn.system.files import require_output

WORST = 24


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    add = parser.add_argument
    add("folder", nargs="?", type=Path, default=Path("runs/lenet"), metavar="RUN", help="the run")
    add("--data", help="as in train, or a folder of pictures sorted by class (default: the run's)")
    add("--out", type=Path, metavar="FOLDER", help="for the two figures (default: the run)")
    add("--json", action="store_true", help="print the numbers as JSON")


def run(options: argparse.Namespace) -> None:
    """Print accuracy and recall of each class, and draw confusions and the worst mistakes."""
    out = options.out or options.folder
    files = [out / run_folder.CONFUSIONS, out / run_folder.MISTAKES]
    for path in files:
        require_output(path)
    trained = load_trained(options.folder)
    name, images, labels = _images(options.data or trained.address, trained)
    figures = drawing.figures()
    chances = probabilities(trained.net, images)
    guesses = chances.argmax(axis=1)
    counts = np.zeros((len(trained.classes), len(trained.classes)), int)
    np.add.at(counts, (labels, guesses), 1)
    title = f"{name}, predicted by {options.folder}"
    figures.save(figures.confusions(counts, trained.classes, title), files[0])
    wrong = np.flatnonzero(guesses != labels)
    worst = wrong[np.argsort(chances[wrong, labels[wrong]], kind="stable")][:WORST]
    files[1].unlink(missing_ok=True)  # of an earlier evaluation
    if len(worst):
        title = f"The {len(worst)} worst of {len(wrong)} mistakes on {name}"
        grid = figures.prediction_grid(
            images[worst], chances[worst], trained.classes, labels[worst], title
        )
        figures.save(grid, files[1])
    if options.json:
        print(json.dumps(_numbers(name, counts, trained), indent=2))
    else:
        print(_table(name, counts, trained))
        print(f"figures in {' and '.join(str(path) for path in files if path.exists())}")


def _images(data: str, trained: Trained) -> tuple[str, np.ndarray, np.ndarray]:
    """The name of the data, and the test images and labels to evaluate on."""
    folder = Path(data)
    if data in DATA_SETS or not os.path.isdir(data) or len(missing(folder)) < 4:
        dataset = trained.test_data(data)
        return f"{dataset.name}, test images", dataset.test_images, dataset.test_labels
    paths = sorted_by_class(folder)
    unknown = sorted(set(paths) - set(trained.classes))
    if unknown:
        raise InputError(
            f"{folder}: each folder must have the name of a class, got {', '.join(unknown)}; "
            f"the classes of {trained.folder} are {', '.join(trained.classes)}"
        )
    labels = [trained.classes.index(name) for name in paths for _ in paths[name]]
    return str(folder), trained.read(itertools.chain(*paths.values())), np.array(labels)


def _numbers(name: str, counts: np.ndarray, trained: Trained) -> dict:
    classes = {}
    for index, (row, label) in enumerate(zip(counts, trained.classes)):
        if row.sum():
            hits, images = int(row[index]), int(row.sum())
            low, high = interval(hits, images)
            counted = {"images": images, "right": hits, "recall": hits / images}
            classes[label] = {**counted, "interval": [low, high]}
    hits, images = int(counts.trace()), int(counts.sum())
    return {
        "run": str(trained.folder),
        "data": name,
        "images": images,
        "right": hits,
        "accuracy": hits / images,
        "interval": list(interval(hits, images)),
        "classes": classes,
        "confusions": counts.tolist(),
    }


def _table(name: str, counts: np.ndarray, trained: Trained) -> str:
    numbers = _numbers(name, counts, trained)
    low, high = numbers["interval"]
    width = max(5, *map(len, numbers["classes"]))
    lines = [
        f"{name}: {numbers['right']:,} of {numbers['images']:,} right",
        f"accuracy {numbers['accuracy']:.4f}, with 95 % confidence from {low:.4f} to {high:.4f}",
        "",
        f"{'class':{width}}  images  recall  95 % interval   most often taken for",
    ]
    for label, counted in numbers["classes"].items():
        index = trained.classes.index(label)
        others = counts[index].copy()
        others[index] = 0
        other = int(others.argmax())
        mistaken = f"{trained.classes[other]} ({others[other]})" if others.any() else "-"
        low, high = counted["interval"]
        lines.append(
            f"{label:{width}}  {counted['images']:6}  {counted['recall']:6.3f}  "
            f"{low:.3f} to {high:.3f}  {mistaken}"
        )
    return "\n".join(lines)
