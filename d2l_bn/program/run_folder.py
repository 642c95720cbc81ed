"""The folder of a run: used by one program at a time, and replaced only by a finished run."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from d2l_bn.system.errors import InputError
from d2l_bn.system.files import locked, require_writable

CHECKPOINT = "checkpoint.npz"
PARAMETERS = "lenet.params"
HISTORY = "history.csv"
CURVES = "curves.png"
PREDICTIONS = "predictions.png"
CONFUSIONS = "confusions.png"
MISTAKES = "mistakes.png"
SUMMARY = "summary.json"  # written last: where it is, the run is finished
TRAINED = (CHECKPOINT, PARAMETERS, HISTORY, CURVES, SUMMARY)  # what every finished run has
FILES = {*TRAINED, PREDICTIONS, CONFUSIONS, MISTAKES}
SUCCESSOR = ".new"  # a folder inside: the run that is to replace this one


def is_finished(folder: Path) -> bool:
    """Whether the run in `folder` came to its end."""
    return (folder / SUMMARY).exists()


def has_epochs(folder: Path) -> bool:
    """Whether a run in `folder` has come so far that something would be lost with it."""
    return any((folder / name).exists() for name in (HISTORY, SUMMARY))


@contextlib.contextmanager
def open_run(out: Path, *, resume: bool = False, overwrite: bool = False) -> Iterator[Path]:
    """Lock the folder `out`, made where it is missing, and yield the one to work in.

    With `resume` that is the run that is there; if another was about to replace it, that one. With
    `overwrite` it is a folder inside `out`, whose files take the place of those in `out` once the
    run there is finished. InputError if `out` is in use, is a link, holds a run and neither is
    given, or holds anything else, such as links.
    """
    if out.resolve().name == SUCCESSOR:
        raise InputError(f"--out can't be called {SUCCESSOR}, which a run's successor is: {out}")
    _refuse_strangers(out)
    in_use = f"{out} is in use by another run; wait for it, or choose another --out"
    with _made(out), locked(out, otherwise=InputError(in_use)):
        require_writable(out)
        _replace(out)  # a kill may have come between two of its steps
        _sweep(out)
        successor = out / SUCCESSOR
        occupied = has_epochs(out)
        if occupied and not resume and not overwrite:
            state = "a finished run" if is_finished(out) else "an interrupted run"
            raise InputError(
                f"{out} holds {state}: --resume goes on with it, --overwrite replaces it, "
                "another --out leaves it alone"
            )
        if not resume and not occupied:
            (out / CHECKPOINT).unlink(missing_ok=True)  # of a run that is not this one
        interrupted = (successor / CHECKPOINT).exists()
        if not (resume and interrupted):
            shutil.rmtree(successor, ignore_errors=True)
        if (resume and interrupted) or (overwrite and occupied):
            with _made(successor):
                _sweep(successor)
                yield successor
            _replace(out)
        else:
            yield out


def _replace(out: Path) -> None:
    """Let a finished successor take the place of the run in `out`.

    Each step can be repeated. `out` counts as unfinished until the last one, so that nobody takes
    old and new files for one run.
    """
    successor = out / SUCCESSOR
    if is_finished(successor):
        for name in (SUMMARY, *FILES.difference(TRAINED)):
            (out / name).unlink(missing_ok=True)
        for name in TRAINED:
            if (successor / name).exists():
                (successor / name).replace(out / name)
        shutil.rmtree(successor)


@contextlib.contextmanager
def _made(folder: Path) -> Iterator[None]:
    """Make a folder, and remove it at the end, with its parents, if nothing was put there."""
    new = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        for path in new:
            if path.exists() and not any(path.iterdir()):
                path.rmdir()


def _refuse_strangers(out: Path) -> None:
    """Refuse a folder with files of somebody else: it isn't ours to replace, nor to fill."""
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        kind = "a link" if out.is_symlink() else "a file"
        raise InputError(f"--out must be a folder, and {out} is {kind}")
    for path in sorted(out.iterdir()) if out.exists() else []:
        ours = path.name in FILES or _temporary(path.name)
        if path.name == SUCCESSOR and path.is_dir() and not path.is_symlink():
            _refuse_strangers(path)
        elif not ours or path.is_symlink() or not path.is_file():
            raise InputError(
                f"--out must be a new folder or that of a run, and {out} holds {path.name!a}"
            )


def _temporary(name: str) -> bool:
    return any(name.startswith(f".{file}.") for file in FILES)


def _sweep(out: Path) -> None:
    """Remove what a killed run was just writing."""
    for path in out.iterdir():
        if _temporary(path.name):
            path.unlink()
