"""The command `data`: which images are there; and pictures of yours made into a data set."""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

import numpy as np

from d2l_bn.data.dataset import FILES, NAMES, SMALLEST_IMAGE, checked_names, read_folder
from d2l_bn.data.idx import write_idx
from d2l_bn.data.places import load, survey
from d2l_bn.program.pictures import read_pictures, sorted_by_class
from d2l_bn.system.errors import InputError
from d2l_bn.system.files import require_place


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("--data", default="auto", help="as in train")
    action = parser.add_subparsers(dest="action", metavar="convert")
    convert = action.add_parser("convert", help="make IDX files of pictures sorted by class")
    add = convert.add_argument
    add("folder", type=Path, help="with a folder of pictures for each class")
    add("--out", type=Path, help="folder for the IDX files (default: FOLDER-idx)")
    add("--size", type=int, default=28, help="height and width of the images (default: 28)")
    add("--test", type=float, default=0.2, help="fraction of each class for testing (default: 0.2)")


def run(options: argparse.Namespace) -> None:
    """Say which data are there, where, and whether they check out, and which would be used."""
    if options.action == "convert":
        return _convert(options)
    for line in survey():
        print(line)
    used = load(options.data, download=False)
    height, width = used.image_shape
    print(
        f"--data {options.data} means {used.name} in {used.source}: "
        f"{len(used.train_images):,} + {len(used.test_images):,} images of {height} by {width}, "
        f"{used.classes} classes"
    )
    return None


def _convert(options: argparse.Namespace) -> None:
    """Write pictures sorted by class as four IDX files, and the names of the classes beside."""
    folder, size = options.folder, options.size
    out = options.out or Path(f"{os.path.normpath(folder.absolute())}-idx")
    if not SMALLEST_IMAGE <= size <= 512:
        raise InputError(f"size must be from {SMALLEST_IMAGE} to 512, got {size}")
    if not 0 < options.test < 1:
        raise InputError(f"test must be a fraction between 0 and 1, got {options.test}")
    if not folder.is_dir():
        raise InputError(f"{folder} must be a folder, with a folder of pictures for each class")
    if out.is_symlink() or (out.exists() and (not out.is_dir() or any(out.iterdir()))):
        raise InputError(f"{out} must be a new or an empty folder; choose another with --out")
    require_place(out)
    classes = sorted_by_class(folder)
    checked_names(classes, folder)
    if not 2 <= len(classes) <= 256:
        raise InputError(f"{folder} must have from 2 to 256 classes, got {len(classes)}")
    few = [name for name, paths in classes.items() if len(paths) < 2]
    if few:
        raise InputError(f"{folder}: each class needs at least 2 pictures, and {few[0]} has one")
    rng = np.random.default_rng(0)
    parts: dict[str, list[tuple[Path, int]]] = {"train": [], "test": []}
    for label, paths in enumerate(classes.values()):
        order = rng.permutation(len(paths))
        tests = min(max(1, round(options.test * len(paths))), len(paths) - 1)
        parts["test"] += [(paths[index], label) for index in order[:tests]]
        parts["train"] += [(paths[index], label) for index in order[tests:]]
    arrays = []
    for pairs in parts.values():
        pairs = [pairs[index] for index in rng.permutation(len(pairs))]
        arrays.append(read_pictures((path for path, _ in pairs), (size, size), None))
        arrays.append(np.array([label for _, label in pairs], np.uint8))
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".d2l-bn.", dir=out.parent) as temporary:
        new = Path(temporary, "new")
        for name, array in zip(FILES, arrays):
            write_idx(new / f"{name}.gz", array)
        (new / NAMES).write_text("\n".join(classes) + "\n", encoding="utf-8")
        read_folder(new, out.name, str(out))
        os.replace(new, out)
    print(
        f"{len(arrays[0]):,} + {len(arrays[2]):,} images of {size} by {size}, {len(classes)} "
        f"classes, in {out}: python -m d2l_bn train --data {out}"
    )
