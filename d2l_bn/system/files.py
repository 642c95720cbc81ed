"""Files that are either whole or not there, and folders for one program at a time."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

from d2l_bn.system.errors import InputError

LARGEST = 2**31  # bytes of any file that is read


def read_regular(path: Path, largest: int = LARGEST) -> bytes:
    """The content of a file; OSError if it is larger, or none: a pipe would never end."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        state = os.fstat(file.fileno())
        if stat.S_ISREG(state.st_mode) and state.st_size <= largest:
            content = file.read(state.st_size + 1)
            if content is not None and len(content) == state.st_size:  # those of /proc have others
                return content
    raise OSError(errno.EINVAL, f"not a regular file of at most {largest:,} bytes", str(path))


def read_json(text: str | bytes) -> Any:
    """Read JSON whose texts can be printed on a terminal; ValueError for other texts, and NaN."""
    value = json.loads(text, parse_constant=int)
    if re.search(r"\\[^']", repr(value).replace("\\\\", "")):  # it escapes all others
        raise ValueError("it holds what can't be printed")
    return value


def require_output(path: Path, suffix: str = "") -> None:
    """Raise InputError unless there is a file at `path`, or room for one: all else would be lost.

    With a `suffix`, a file that is there must have it: a slip may name one that isn't a figure.
    """
    if path.is_symlink() or (path.exists() and not path.is_file()):
        kind = "a link" if path.is_symlink() else "a folder" if path.is_dir() else "no file"
        raise InputError(f"{path} is {kind}, and only a file can be written: choose another")
    if path.exists() and path.suffix.lower() != suffix and suffix:
        raise InputError(f"{path} is a file, and no {suffix} to be replaced: choose another")
    require_place(path)


def require_place(path: Path) -> None:
    """Raise InputError, or OSError, where nothing can be made at `path`."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        path.lstat()  # a name may be too long
    above = next((p for p in path.absolute().parents if os.path.lexists(p)), path)
    if not above.is_dir():
        raise InputError(f"{above} is no folder, so there can be no {path}: choose another")
    require_writable(above)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`, which takes its place when the block ends without an error.

    The folder is made where it is missing.

    A power cut, a full disk or an exception leave what was at `path` before.

    Parameters
    ----------
    path : Path
        The file to write.

    Yields
    ------
    Path
        Where to write it.
    """
    require_output(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    require_writable(path.parent)
    handle, name = tempfile.mkstemp(prefix=f".{path.name[:50]}.", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())  # mkstemp keeps a file to its owner
        _to_disk(temporary)
        os.replace(temporary, path)
        _to_disk(path.parent)
    except OSError as error:
        if error.filename in (None, name):  # a full disk doesn't say which file
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def locked(folder: Path, *, otherwise: Optional[Exception] = None) -> Iterator[None]:
    """Keep other programs that ask for the same out of a folder that exists.

    The lock is on the folder itself: the system drops it with the process, however that ends. If
    another one is in, wait for it, or raise `otherwise`.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (fcntl.LOCK_NB if otherwise else 0))
        except BlockingIOError as error:
            raise otherwise or error from None
        yield
    finally:
        os.close(descriptor)


def require_writable(folder: Path) -> None:
    """Raise PermissionError where files can't be made in a folder that exists."""
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
