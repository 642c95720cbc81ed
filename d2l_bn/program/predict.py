"""The command `predict`: what a trained network says about images."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from d2l_bn.data.places import load
from d2l_bn.program import run_folder
from d2l_bn.program.pictures import read_picture
from d2l_bn.program.trained import load_network, probabilities
from d2l_bn.system.errors import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    add = parser.add_argument
    add("image", nargs="?", type=Path, help="a PNG (default: test images)")
    add("--from", dest="folder", type=Path, default=Path("runs/lenet"), help="the run")
    add("--data", default="auto", help="as in train")
    add("--count", type=int, default=24, help="how many test images")
    add("--out", type=Path, help="the PNG to write (default: predictions.png in the run)")


def run(options: argparse.Namespace) -> None:
    """Draw test images with predictions and probabilities, or label a picture."""
    if options.count < 1:
        raise InputError(f"count must be 1 or more, got {options.count}")
    net, summary = load_network(options.folder)
    names, shape = summary["data"]["classes"], tuple(summary["data"]["image_shape"])
    if options.image is not None:
        chances = probabilities(net, read_picture(options.image, shape)[None])[0]
        for index in np.argsort(-chances)[:3]:
            print(f"{chances[index]:6.1%}  {names[index]}")
        return
    from d2l_bn import figures

    dataset = load(options.data)
    if (dataset.class_names, dataset.image_shape) != (tuple(names), shape):
        raise InputError(
            f"{options.folder} was trained on {summary['data']['name']}, with other classes or "
            f"another image size than {dataset.name}; name its data with --data"
        )
    count = min(options.count, len(dataset.test_images))
    chosen = np.sort(np.random.default_rng(0).permutation(len(dataset.test_images))[:count])
    images, labels = dataset.test_images[chosen], dataset.test_labels[chosen]
    chances = probabilities(net, images)
    title = f"{count} test images of {dataset.name}, predicted by {options.folder}"
    figure = figures.prediction_grid(images, chances, names, labels, title)
    out = options.out or options.folder / run_folder.PREDICTIONS
    figures.save(figure, out)
    right = int((chances.argmax(axis=1) == labels).sum())
    print(f"{right} of {count} right; the images are in {out}")
