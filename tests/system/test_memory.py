"""The training program keeps its memory, where it may."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

MEASURE = """
import resource, sys
import numpy as np
from d2l_bn.system.memory import keep_memory

print(keep_memory())
count = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
hold = [np.ones(2**20) for _ in range(4)]  # 8 MB each, 2,048 pages
del hold
before = count()
for _ in range(20):
    hold = [np.ones(2**20) for _ in range(4)]
    del hold
print(count() - before)
"""


def measure(**variables: str) -> tuple[str, int]:
    """What `keep_memory` returns in a new process, and the pages that 20 rounds ask for anew."""
    environment = {
        key: value
        for key, value in os.environ.items()
        if key != "GLIBC_TUNABLES" and not key.startswith("MALLOC_")
    }
    command = [sys.executable, "-c", MEASURE]
    done = subprocess.run(
        command, env={**environment, **variables}, capture_output=True, text=True, check=True
    )
    kept, pages = done.stdout.split()
    return kept, int(pages)


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator, on Linux")
def test_freed_memory_is_used_again():
    kept, pages = measure()
    if kept == "False":
        pytest.skip("this C library is not glibc")
    assert pages < 2048  # of 163,840, had every array come anew from the system


@pytest.mark.slow
@pytest.mark.parametrize("variable", ["GLIBC_TUNABLES", "MALLOC_ARENA_MAX"])
def test_what_the_user_chose_stays(variable):
    value = {"GLIBC_TUNABLES": "glibc.malloc.arena_max=2", "MALLOC_ARENA_MAX": "2"}[variable]
    assert measure(**{variable: value})[0] == "False"


@pytest.mark.slow
def test_importing_the_library_changes_nothing():
    program = "import sys, d2l_bn; print('d2l_bn.system.memory' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "False\n"
