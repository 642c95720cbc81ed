"""The command `predict`: what a trained network says about pictures of yours, or test images."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from d2l_bn.program import drawing, run_folder
from d2l_bn.program.pictures import read_picture
from d2l_bn.program.trained import Trained, load_trained, probabilities
from d2l_bn.system.errors import InputError
from d2l_bn.system.files import require_output

DRAWN = 60  # images in a figure, at most
SURE = 0.9  # what a network says of the pictures that it knows is nearly always above


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    add, run = parser.add_argument, Path("runs/lenet")
    pictures = "PNG, JPEG ... (default: test images)"
    add("pictures", nargs="*", type=Path, metavar="PICTURE", help=pictures)
    add("--from", dest="folder", type=Path, default=run, metavar="RUN", help="the run")
    add("--data", help="of the test images, as in train (default: those of the run)")
    add("--count", type=int, default=24, help="how many test images")
    add("--show", action="store_true", help="draw what the network saw of the pictures, too")
    add("--out", type=Path, metavar="PNG", help="the figure (default: predictions.png in the run)")
    add("--json", action="store_true", help="print the answers as JSON")


def run(options: argparse.Namespace) -> None:
    """Label pictures, or draw test images with predictions and probabilities."""
    if options.count < 1:
        raise InputError(f"count must be 1 or more, got {options.count}")
    out = options.out or options.folder / run_folder.PREDICTIONS
    require_output(out, ".png")
    trained = load_trained(options.folder)
    if options.pictures:
        _label_pictures(options, trained, out)
    else:
        _label_test_images(options, trained, out)


def _label_pictures(options: argparse.Namespace, trained: Trained, out: Path) -> None:
    images, refused = {}, {}
    if trained.doubt:
        print(trained.doubt, file=sys.stderr)
    for path in options.pictures:
        try:
            images[path] = read_picture(path, trained.image_shape, trained.framing)
        except InputError as error:
            refused[path] = str(error)
    stack = np.stack(list(images.values())) if images else np.zeros((0, *trained.image_shape))
    chances = probabilities(trained.net, stack) if images else stack
    notes = [_note(trained, image, chance) for image, chance in zip(stack, chances)]
    if options.json:
        answers = [
            {"picture": str(path), "note": note, "probabilities": _named(trained, chance)}
            for path, note, chance in zip(images, notes, chances)
        ]
        failed = [{"picture": str(path), "error": reason} for path, reason in refused.items()]
        print(json.dumps([*answers, *failed], indent=2))
    else:
        for path, note, chance in zip(images, notes, chances):
            best = [(chance[k], trained.classes[k]) for k in np.argsort(-chance)[:3]]
            if len(options.pictures) > 1:
                print(f"{path}: " + ", ".join(f"{name} {chance:.1%}" for chance, name in best))
            else:
                print("\n".join(f"{chance:6.1%}  {name}" for chance, name in best))
            if note:
                print(f"        {note}" if len(options.pictures) == 1 else f"    {note}")
    if options.show and images:
        figures = drawing.figures()
        title = f"What {trained.folder} saw of {len(images)} picture{'s' * (len(images) > 1)}"
        grid = figures.prediction_grid(stack[:DRAWN], chances[:DRAWN], trained.classes, title=title)
        figures.save(grid, out)
        print(f"what the network saw is in {out}", file=sys.stderr if options.json else sys.stdout)
    if refused:
        raise InputError("; ".join(refused.values()))


def _named(trained: Trained, chance: np.ndarray) -> dict[str, float]:
    order = np.argsort(-chance)
    return {trained.classes[index]: round(float(chance[index]), 6) for index in order}


def _note(trained: Trained, image: np.ndarray, chance: np.ndarray) -> str:
    """A caution for an unreliable answer, or an empty string."""
    if trained.framing is not None:
        darkest, brightest = trained.framing.brightness
        if not darkest <= image.mean() <= brightest:
            return f"unlike every image of {trained.data}: this answer means little (see --show)"
    if chance.max() < SURE:
        return "unsure: it may be something else (see --show)"
    return ""


def _label_test_images(options: argparse.Namespace, trained: Trained, out: Path) -> None:
    dataset = trained.test_data(options.data)
    figures = drawing.figures()
    count = min(options.count, len(dataset.test_images))
    chosen = np.sort(np.random.default_rng(0).permutation(len(dataset.test_images))[:count])
    images, labels = dataset.test_images[chosen], dataset.test_labels[chosen]
    chances = probabilities(trained.net, images)
    right = chances.argmax(axis=1) == labels
    drawn = min(count, DRAWN)
    of = "" if drawn == count else f" of {count}"
    title = f"{drawn}{of} test images of {dataset.name}, predicted by {options.folder}"
    figure = figures.prediction_grid(
        images[:drawn], chances[:drawn], trained.classes, labels[:drawn], title
    )
    figures.save(figure, out)
    if options.json:
        found = {"count": count, "right": int(right.sum())}
        answer = {"data": dataset.name, **found, "figure": str(out)}
        print(json.dumps(answer, indent=2))
    else:
        which = "the images are" if drawn == count else f"the first {drawn} are"
        print(f"{right.sum()} of {count} right; {which} in {out}")
