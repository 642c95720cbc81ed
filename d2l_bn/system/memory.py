"""Asks the C library to keep freed memory, which MXNet takes and frees anew with every batch."""

from __future__ import annotations

import ctypes
import os
import sys

# From glibc's malloc.h. Its defaults give arrays of megabytes back to the system when they are
# freed, and the system zeroes them, page by page, when the next batch asks for them again.
TRIM_THRESHOLD, MMAP_THRESHOLD, ARENA_MAX = -1, -3, -8
KEPT = ((MMAP_THRESHOLD, 32 * 2**20), (TRIM_THRESHOLD, 2**31 - 1), (ARENA_MAX, 1))


def keep_memory() -> bool:
    """Let the process keep its memory, and all its threads share one heap.

    This makes training LeNet faster (`make bench ARGS=busy`; book/speed.md has by how much).
    For programs that train: an import should not decide how its host manages memory.

    Returns
    -------
    bool
        Whether it was done. It isn't with another C library than glibc, or where the environment
        says how memory is to be managed (GLIBC_TUNABLES, MALLOC_ARENA_MAX and the like).
    """
    chosen = [name for name in os.environ if name == "GLIBC_TUNABLES" or name.startswith("MALLOC_")]
    if chosen or not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # another C library
        return False
    results = [mallopt(option, value) for option, value in KEPT]  # 1 where it was accepted
    return all(results)
