"""Run the quick tests on each supported Python that is here, in an environment for each."""

from __future__ import annotations

import glob
import os
import subprocess
import sys

SUPPORTED = ("3.9", "3.10", "3.11", "3.12", "3.13")


def find(version: str) -> str | None:
    """Return a command that runs Python ``version``, or None."""
    # pyenv puts a `python3.9` on the path that fails where 3.9 isn't selected: look behind it.
    pyenv = os.environ.get("PYENV_ROOT", os.path.expanduser("~/.pyenv"))
    for command in (f"python{version}", *glob.glob(f"{pyenv}/versions/{version}.*/bin/python")):
        try:
            done = subprocess.run([command, "--version"], capture_output=True, text=True)
        except OSError:
            continue
        if done.stdout.startswith(f"Python {version}."):
            return command
    return None


def main() -> int:
    """Run them and say how it went; 1 if any failed, or none ran."""
    outcome = {}
    for version in SUPPORTED:
        python = find(version)
        if python is None:
            outcome[version] = "not on this machine"
            continue
        print(f"\n== Python {version}", flush=True)
        failed = subprocess.call(["make", "test", f"PYTHON={python}", f"VENV=.venv-{version}"])
        outcome[version] = "failed" if failed else "passed"
    for version, how in outcome.items():
        print(f"Python {version}: {how}")
    return int("failed" in outcome.values() or "passed" not in outcome.values())


if __name__ == "__main__":
    sys.exit(main())
