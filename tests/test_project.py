"""The files around the package agree with each other and stay readable."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from d2l_bn import _compat

CHECKOUT = Path(__file__).parent.parent
PYTHONS = ["3.9", "3.10", "3.11", "3.12", "3.13"]


def read(name):
    return (CHECKOUT / name).read_text()


def tracked():
    """Return every file that git tracks, or skip where this is no checkout."""
    command = ["git", "ls-files", "-z"]
    try:
        done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return [CHECKOUT / name for name in done.stdout.split("\0") if (CHECKOUT / name).is_file()]


def constraints():
    """Return (name, version, marker) of each line of constraints.txt."""
    lines = [line for line in read("constraints.txt").splitlines() if not line.startswith("#")]
    found = [re.fullmatch(r"([a-z0-9-]+)==([0-9][\w.]*)(?:; (.+))?", line) for line in lines]
    assert None not in found, [line for line, match in zip(lines, found) if match is None]
    return [match.groups() for match in found]


def pinned(name, python):
    """Return the versions of ``name`` that hold for a Python such as "3.9"."""

    def number(version):
        return tuple(int(part) for part in version.split("."))

    compare = {"<": tuple.__lt__, ">=": tuple.__ge__, "==": tuple.__eq__}
    found = []
    for other, version, marker in constraints():
        terms = re.findall(r'python_version (\S+) "([\d.]+)"', marker or "")
        assert len(terms) == (marker or "").count("python_version")
        if other == name and all(compare[op](number(python), number(v)) for op, v in terms):
            found.append(version)
    return found


def section(name):
    """Return the lines of one table of pyproject.toml (a Python before 3.11 can't parse it)."""
    return read("pyproject.toml").split(f"\n[{name}]\n")[1].split("\n[")[0]


def requirements():
    """Return the names of all packages that pyproject.toml asks for, extras included."""
    tables = section("project").split("dependencies = ")[1] + section(
        "project.optional-dependencies"
    )
    texts = re.findall(r"""'([^'\n]+)'|"([^"\n]+)\"""", re.sub("#.*", "", tables))
    texts = [one or other for one, other in texts if not one.startswith("3.")]
    return {re.match(r"[\w-]+", text).group().lower() for text in texts}


def test_requirements_are_found():
    some = {"mxnet", "numpy", "tqdm", "hypothesis", "pytest", "ruff", "nbgrader", "torch"}
    assert some <= requirements() <= {name for name, _, _ in constraints()}


@pytest.mark.parametrize("python", PYTHONS)
def test_each_requirement_is_pinned_once(python):
    names = requirements() | {name for name, _, _ in constraints()}
    several = {name: pinned(name, python) for name in names if len(pinned(name, python)) > 1}
    assert not several
    assert [name for name in requirements() if len(pinned(name, python)) != 1] == []


def test_mxnet_is_the_same_version_everywhere():
    version = _compat.VERSION
    for name in ("pyproject.toml", "scripts/setup_venv.py", "constraints.txt"):
        assert set(re.findall(r"mxnet==([\d.]+)", read(name))) == {version}, name


@pytest.mark.parametrize("python", PYTHONS)
def test_numpy_is_one_that_mxnet_takes_from_pip(python):
    major = pinned("numpy", python)[0].split(".")[0]
    assert major == ("2" if python == "3.13" else "1")  # pyproject.toml's marker relies on it


def test_conda_gets_what_make_gets():
    lines = [line.split("#")[0].strip() for line in read("environment.yml").splitlines()]
    python = next(line for line in lines if line.startswith("- python="))
    assert python == "- python=3.11"  # Binder reads this literally
    assert {"- -c constraints.txt", "- -e .[notebooks]"} <= set(lines)
    assert "FROM --platform=linux/amd64 python:3.11-slim\n" in read("Dockerfile")
    assert {f"- {name}" for name in ("libgcc", "libgomp")} <= set(lines)


def test_system_libraries_are_installed_wherever_the_machine_is_ours():
    for package in _compat.LIBRARIES.values():
        assert package in read("Dockerfile") and package in read(".ci/run")


def test_version_is_the_same_everywhere():
    version = re.search(r'^version = "(.+)"', read("pyproject.toml"), re.MULTILINE).group(1)
    assert f'__version__ = "{version}"' in read("d2l_bn/__init__.py")
    assert f"\nversion: {version}\n" in read("CITATION.cff")


def test_supported_pythons_are_the_same_everywhere():
    assert f"SUPPORTED = ({', '.join(repr(v) for v in PYTHONS)})".replace("'", '"') in read(
        "scripts/pythons.py"
    )
    assert f'requires-python = ">={PYTHONS[0]}"' in read("pyproject.toml")


def test_make_help_lists_every_task():
    help_text = subprocess.run(
        ["make", "-s", "--no-print-directory"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    tasks = re.search(r"\.PHONY: (.+)", read("Makefile")).group(1).split()
    rules = re.findall(r"^([a-z][a-z-]*):", read("Makefile"), re.MULTILINE)
    assert tasks == list(dict.fromkeys(rules))  # a task may have a line for a variable of its own
    assert [line.split()[1] for line in help_text] == tasks
    assert all(re.fullmatch(r"make \S+ +\S.{10,75}", line) for line in help_text)


def test_d2l_bn_is_sorted_before_mxnet(tmp_path):
    pytest.importorskip("ruff")
    good = "from d2l_bn import lenet\n\nimport mxnet as mx\nfrom mxnet import nd\n"
    head, use = "import os\n\nimport numpy as np\n\n", "\nprint(os, np, lenet, mx, nd)\n"
    bad = "import mxnet as mx\nfrom mxnet import nd\n\nfrom d2l_bn import lenet\n"
    ruff = [sys.executable, "-m", "ruff", "check", "--config", CHECKOUT / "pyproject.toml"]
    for text, code in ((good, 0), (bad, 1)):
        done = subprocess.run(
            [*ruff, "--select=I", "--no-cache", "--stdin-filename", tmp_path / "program.py", "-"],
            input=head + text + use,
            capture_output=True,
            text=True,
        )
        assert done.returncode == code, done.stdout + done.stderr


def test_files_are_small():
    files = tracked()
    limits = [(path, 1e6 if path.suffix == ".ipynb" else 4e6) for path in files]
    assert [path.name for path, limit in limits if path.stat().st_size > limit] == []
    places = [CHECKOUT / name for name in ("d2l_bn", "experiments")]
    places.append(CHECKOUT / "chapters" / "in_tensorflow")
    modules = [path for path in files if path.parent in places and path.suffix == ".py"]
    assert [path.name for path in modules if len(path.read_text().splitlines()) > 200] == []
    assert {path.parent for path in modules} == set(places)


def test_no_package_address_is_written_down():
    """Where packages come from is the reader's own setting: they may have a mirror."""
    for name in ("constraints.txt", "environment.yml", "Dockerfile"):
        assert "://" not in read(name), name
    for path in tracked():
        if path.suffix in {".ipynb", ".md", ".py"} and path != Path(__file__):
            assert not re.search(r"--(extra-)?index-url|--find-links", path.read_text()), path
