"""Run the quick tests on each supported Python that is here, in an environment for each."""

from __future__ import annotations

import subprocess
import sys

import pythons

failed = []
missing = []
for version in pythons.SUPPORTED:
    python = pythons.find(version)
    if python is None:
        missing.append(version)
        continue
    print(f"\n== Python {version}", flush=True)
    if subprocess.call(["make", "test", f"PYTHON={python}", f"VENV=.venv-{version}"]):
        failed.append(version)
passed = [version for version in pythons.SUPPORTED if version not in failed + missing]
for what, versions in (("passed", passed), ("failed", failed), ("not on this machine", missing)):
    if versions:
        print(f"Python {', '.join(versions)}: {what}")
sys.exit(bool(failed or not passed))
