"""The folder of a run: used by one program at a time, and replaced only by a finished run."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from d2l_bn.system.errors import InputError
from d2l_bn.system.files import locked

CHECKPOINT = "checkpoint.npz"
PARAMETERS = "lenet.params"
HISTORY = "history.csv"
CURVES = "curves.png"
PREDICTIONS = "predictions.png"
SUMMARY = "summary.json"  # written last: where it is, the run is finished
FILES = {CHECKPOINT, PARAMETERS, HISTORY, CURVES, PREDICTIONS, SUMMARY}


def is_finished(folder: Path) -> bool:
    """Whether the run in `folder` came to its end."""
    return (folder / SUMMARY).exists()


@contextlib.contextmanager
def open_run(out: Path, *, resume: bool = False, overwrite: bool = False) -> Iterator[Path]:
    """Lock the folder `out` and say where to work for it.

    Parameters
    ----------
    out : Path
        The folder of the run. It is made where it is missing.
    resume : bool
        Go on with the run that is there.
    overwrite : bool
        Work in a folder beside `out`, which takes the place of `out` if it is finished at the end.

    Yields
    ------
    Path
        The folder to work in.

    Raises
    ------
    InputError
        If `out` is in use, holds a run and neither `resume` nor `overwrite` is given, or holds
        anything else.
    """
    _refuse_strangers(out)
    with _made(out.parent), _locked(out.parent, wait=True):
        _mend(out)
    with _made(out), _locked(out):
        occupied = any((out / name).exists() for name in (CHECKPOINT, SUMMARY))
        if occupied and not resume and not overwrite:
            state = "a finished run" if is_finished(out) else "an interrupted run"
            raise InputError(
                f"{out} holds {state}: --resume goes on with it, --overwrite replaces it, "
                "another --out leaves it alone"
            )
        if occupied and overwrite:
            with _beside(out) as work:
                yield work
        else:
            _sweep(out)
            yield out


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


@contextlib.contextmanager
def _beside(out: Path) -> Iterator[Path]:
    """A fresh folder that takes the place of `out` if its run is finished at the end."""
    work, old = _names(out)
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    yield work
    if is_finished(work):
        with _locked(out.parent, wait=True):
            out.rename(old)
            work.rename(out)
            shutil.rmtree(old)


def _mend(out: Path) -> None:
    """Finish what a kill between the renames of `_beside` left half done."""
    work, old = _names(out)
    if old.exists() and not out.exists():
        (work if is_finished(work) else old).rename(out)
    if old.exists() and is_finished(out):
        shutil.rmtree(old)


def _names(out: Path) -> tuple[Path, Path]:
    return out.parent / f".{out.name}.new", out.parent / f".{out.name}.old"


def _refuse_strangers(out: Path) -> None:
    """A folder with other files in it isn't ours to replace, nor to fill."""
    if out.exists() and not out.is_dir():
        raise InputError(f"--out must be a folder, and {out} is a file")
    strangers = [p.name for p in out.iterdir()] if out.exists() else []
    strangers = sorted(name for name in strangers if name not in FILES and not _temporary(name))
    if strangers:
        raise InputError(
            f"--out must be a new folder or that of a run, and {out} holds {strangers[0]}"
        )


def _temporary(name: str) -> bool:
    return any(name.startswith(f".{file}.") for file in FILES)


def _sweep(out: Path) -> None:
    """Remove what a killed run was just writing."""
    for path in out.iterdir():
        if _temporary(path.name):
            path.unlink()


@contextlib.contextmanager
def _locked(folder: Path, wait: bool = False) -> Iterator[None]:
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(locked(folder, wait=wait))
        except BlockingIOError:
            raise InputError(
                f"{folder} is in use by another run; wait for it, or choose another --out"
            ) from None
        yield
