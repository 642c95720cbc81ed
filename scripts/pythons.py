"""Find the Python interpreters that this machine has, of the versions that d2l_bn supports."""

from __future__ import annotations

import glob
import os
import subprocess

SUPPORTED = ("3.9", "3.10", "3.11", "3.12", "3.13")


def find(version: str) -> str | None:
    """Return a command that runs Python ``version``, or None."""
    # pyenv puts a `python3.9` on the path that fails where 3.9 isn't selected: look behind it.
    pyenv = os.environ.get("PYENV_ROOT", os.path.expanduser("~/.pyenv"))
    for command in (f"python{version}", *glob.glob(f"{pyenv}/versions/{version}.*/bin/python")):
        code = "import sys; print('%d.%d' % sys.version_info[:2])"
        try:
            done = subprocess.run([command, "-c", code], capture_output=True, text=True)
        except OSError:
            continue
        if done.stdout.strip() == version:
            return command
    return None
