"""The command `data`: which images are there."""

from __future__ import annotations

import argparse

from d2l_bn.data.places import load, survey


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("--data", default="auto", help="as in train")


def run(options: argparse.Namespace) -> None:
    """Say which data are there, where, and whether they check out, and which would be used."""
    for line in survey():
        print(line)
    used = load(options.data, download=False)
    height, width = used.image_shape
    print(
        f"--data {options.data} means {used.name} in {used.source}: "
        f"{len(used.train_images):,} + {len(used.test_images):,} images of {height} by {width}, "
        f"{used.classes} classes"
    )
