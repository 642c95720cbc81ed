"""IDX files, the format of MNIST: a header with the shape, then one byte a value.

The header is two zero bytes, a type (8: unsigned bytes), the number of dimensions, and each
dimension as four bytes, the most significant first. http://yann.lecun.com/exdb/mnist/ describes it.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import math
import struct
import zlib
from pathlib import Path
from typing import BinaryIO, NoReturn

import numpy as np

from d2l_bn.system.errors import InputError
from d2l_bn.system.files import read_regular, replacing

UNSIGNED_BYTE = 8
LARGEST = 2**30  # bytes; 22 times the training images of MNIST
CHUNK = 2**20


def read_idx(path: Path, *, largest: int = LARGEST) -> tuple[np.ndarray, str]:
    """Read an IDX file of unsigned bytes, compressed with gzip or not.

    Parameters
    ----------
    path : Path
        The file. Its contents, not its name, tell whether it is compressed.
    largest : int
        The most bytes that the array may have, so that a false header doesn't exhaust memory.

    Returns
    -------
    array : ndarray, uint8
        The values, in the shape that the header gives.
    sha256 : str
        Of the whole decompressed file.

    Raises
    ------
    InputError
        If the file can't be read or is not such a file; the message says what is wrong with it.
    """
    try:
        content = read_regular(path)
        stream = io.BytesIO(content)
        compressed = content[:2] == b"\x1f\x8b"
        return _read(path, gzip.GzipFile(fileobj=stream) if compressed else stream, largest)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        _refuse(path, f"its gzip data are damaged ({error})", error)
    except OSError as error:
        _refuse(path, f"it can't be read ({error.strerror or error})", error)


def write_idx(path: Path, array: np.ndarray) -> None:
    """Write an array of unsigned bytes as a compressed IDX file, the same bytes each time."""
    header = struct.pack(f">HBB{array.ndim}I", 0, UNSIGNED_BYTE, array.ndim, *array.shape)
    content = header + np.ascontiguousarray(array, dtype=np.uint8).tobytes()
    with replacing(path) as temporary:
        temporary.write_bytes(gzip.compress(content, compresslevel=9, mtime=0))


def _read(path: Path, stream: BinaryIO | gzip.GzipFile, largest: int) -> tuple[np.ndarray, str]:
    digest = hashlib.sha256()

    def take(count: int) -> bytes:
        """Read `count` bytes in pieces: a false count then costs no memory."""
        pieces = io.BytesIO()
        while pieces.tell() < count:
            piece = stream.read(min(CHUNK, count - pieces.tell()))
            if not piece:
                _refuse(path, f"it ends after {pieces.tell()} of {count} bytes")
            pieces.write(piece)
        digest.update(pieces.getbuffer())
        return pieces.getvalue()

    zero, kind, rank = struct.unpack(">HBB", take(4))
    if zero != 0 or kind != UNSIGNED_BYTE or not 1 <= rank <= 4:
        start = bytes([zero >> 8, zero & 255, kind, rank]).hex(" ")
        _refuse(path, f"an IDX file of bytes starts with 00 00 08 and 01 to 04, got {start}")
    shape = struct.unpack(f">{rank}I", take(4 * rank))
    size = math.prod(shape)
    if not 0 < size <= largest:
        _refuse(path, f"its shape must hold 1 to {largest} values, got {shape}")
    values = np.frombuffer(take(size), np.uint8).reshape(shape)
    if stream.read(1):
        _refuse(path, f"more bytes follow after the {size} that its header announces")
    return values, digest.hexdigest()


def _refuse(path: Path, reason: str, cause: BaseException | None = None) -> NoReturn:
    raise InputError(f"{path} is not a usable IDX file: {reason}") from cause
