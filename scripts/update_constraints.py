"""Write constraints.txt: for each supported Python, the newest versions that go together.

Asks pip, in a throwaway environment for each Python, which versions it would install for
pyproject.toml's dependencies and extras. Run it after changing those, then `make test-all`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pythons

if sys.version_info < (3, 11):
    sys.exit("This script needs Python 3.11 or newer, for tomllib.")
import tomllib

# NumPy 2.3 dropped `tostring`, which mxnet.recordio uses; 3.14 and newer take what they find.
NUMPY = dict.fromkeys(pythons.SUPPORTED, "1.26.4") | {"3.13": "2.2.6"}
# matplotlib 3.9 warns with a newer pyparsing; it is the last for Python 3.9.
OTHERS = {"3.9": ["pyparsing<3.3"]}
ALONE = {"torch"}  # pinned by itself: what it brings depends on where it comes from
HEADER = """\
# The versions that d2l_bn is tested with. Names and versions only: pip finds them where you told
# it to. Made by scripts/update_constraints.py.
"""


def requirements() -> tuple[list[str], list[str]]:
    """Return what the project can ask for, and what is pinned alone."""
    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    together = [*project["dependencies"], "pip", "setuptools"]
    together += [line for name in extras.keys() - ALONE for line in extras[name]]
    return together, [line for name in ALONE for line in extras[name]]


def resolve(version: str) -> dict[str, str]:
    """Return name -> version of all that pip would install for Python ``version``."""
    python = pythons.find(version)
    if python is None:
        sys.exit(f"Python {version} is not on this machine; all of {pythons.SUPPORTED} are needed.")
    together, alone = requirements()
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([python, "-m", "venv", folder], check=True)
        pip = [f"{folder}/bin/python", "-m", "pip", "-q", "--disable-pip-version-check", "install"]
        subprocess.run([*pip, "-U", "pip"], check=True)
        dry = [*pip, "--dry-run", "--ignore-installed", "--report"]
        found = {}
        for options, lines in (
            ([], [*together, f"numpy=={NUMPY[version]}", *OTHERS.get(version, [])]),
            (["--no-deps"], alone),
        ):
            report = Path(folder, "report.json")
            subprocess.run([*dry, str(report), *options, *lines], check=True)
            for item in json.loads(report.read_text())["install"]:
                found[item["metadata"]["name"].lower().replace("_", "-")] = item["metadata"][
                    "version"
                ].split("+")[0]
    return found


def lines(name: str, pins: dict[str, str]) -> list[str]:
    """Return the lines for one package from Python version -> package version.

    A version holds from the Python where it was found first up to the next that has another, so
    that a Python newer than these gets the newest, except NumPy.
    """
    groups: list[list[str]] = []
    for version in (v for v in pythons.SUPPORTED if v in pins):
        if not groups or pins[groups[-1][0]] != pins[version]:
            groups.append([])
        groups[-1].append(version)
    result = []
    for i, group in enumerate(groups):
        marks = []
        if i > 0:
            marks.append(f'python_version >= "{group[0]}"')
        if i < len(groups) - 1:
            marks.append(f'python_version < "{groups[i + 1][0]}"')
        elif name == "numpy":
            marks = [f'python_version == "{group[0]}"']
        result.append(f"{name}=={pins[group[0]]}" + ("; " + " and ".join(marks) if marks else ""))
    return result


pins: dict[str, dict[str, str]] = {}
for version in pythons.SUPPORTED:
    print(f"Python {version}", flush=True)
    for name, pin in resolve(version).items():
        pins.setdefault(name, {})[version] = pin
text = HEADER + "\n".join(line for name in sorted(pins) for line in lines(name, pins[name])) + "\n"
Path("constraints.txt").write_text(text)
