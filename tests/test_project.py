"""Which room may look into which, and what the files around the package have to agree on."""

from __future__ import annotations

import ast
import functools
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import d2l_bn
from d2l_bn import _compat

CHECKOUT = Path(__file__).parent.parent
PYTHONS = ["3.9", "3.10", "3.11", "3.12", "3.13"]
PROGRAMS = ("benchmarks", "chapters", "classroom", "experiments", "scripts")
# For each room of d2l_bn, the others that it may import. What no line allows is an error.
MAY_IMPORT = {
    "": {"_compat", "cluster", "nn", "program", "system"},  # __init__, __main__
    "_compat": set(),
    "libraries": set(),
    "nn": {"_compat"},
    "reference": {"nn"},
    "system": set(),
    "data": {"system"},
    "figures": {"system"},
    "training": {"data", "nn", "system"},
    "cluster": {"nn", "system"},
    "checks": {"nn", "reference", "system"},
    "program": {"", "cluster", "data", "figures", "nn", "system", "training"},
}


def read(name):
    return (CHECKOUT / name).read_text()


def modules(root):
    """Return each module of the package and of the programs around it, by its dotted name."""
    found = {}
    for top in ("d2l_bn", *PROGRAMS):
        for path in sorted((root / top).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            start = {"chapters": 1, "scripts": 1}.get(top, 0)  # these folders are on Python's path
            found[".".join(parts[start:]).removesuffix(".__init__")] = path
    return found


def imports(name, known, path):
    """Return what a module imports, in functions too: our modules, and names of other packages."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            wanted = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) + 1 - node.level or None]
            base = ".".join([*(above if node.level else []), *filter(None, [node.module])])
            wanted = [f"{base}.{alias.name}" for alias in node.names]
        else:
            continue
        for want in wanted:
            parent = want.rpartition(".")[0]
            yield want if want in known else parent if parent in known else want.split(".")[0]


def graph(root):
    known = modules(root)
    return {name: set(imports(name, known, path)) - {name} for name, path in known.items()}


def circle(arrows):
    """Return modules that import each other in a circle, or an empty list."""
    left = dict(arrows)
    while True:
        wanted = set().union(*left.values())
        ends = [
            name for name, targets in left.items() if name not in wanted or not targets & {*left}
        ]
        if not ends:
            return sorted(left)
        for name in ends:
            del left[name]


def room(name):
    """Return the room of a module of d2l_bn, "" for its outermost ones, None outside of it."""
    top, *inside = name.split(".")
    if top != "d2l_bn":
        return None
    return inside[0] if inside and inside[0] in MAY_IMPORT else ""


def wrong_arrows(arrows):
    """Return the imports in d2l_bn that lead where they must not."""
    allowed_in_nn = {"mxnet", "numpy", *sys.stdlib_module_names}
    for name, targets in arrows.items():
        here = room(name)
        for target in sorted(targets) if here is not None else ():
            there = room(target)
            outside = there is None and (
                target.split(".")[0] in {name.split(".")[0] for name in arrows}
                or (here == "nn" and target not in allowed_in_nn)
            )
            if outside or there not in {None, here, *MAY_IMPORT[here]}:
                yield f"{name} imports {target}"


@pytest.fixture(scope="module")
def arrows():
    return graph(CHECKOUT)


def test_no_circle_of_imports(arrows):
    assert len(arrows) > 50
    assert circle(arrows) == []


@pytest.mark.skipif(sys.version_info < (3, 10), reason="sys.stdlib_module_names")
def test_arrows_go_one_way_and_the_heart_imports_mxnet_and_itself_alone(arrows):
    assert list(wrong_arrows(arrows)) == []


@pytest.mark.skipif(sys.version_info < (3, 10), reason="sys.stdlib_module_names")
@pytest.mark.parametrize(
    "path, line, found",
    [
        ("d2l_bn/nn/layer.py", "import matplotlib", "d2l_bn.nn.layer imports matplotlib"),
        (
            "d2l_bn/nn/layer.py",
            "from d2l_bn import system",
            "d2l_bn.nn.layer imports d2l_bn.system",
        ),
        ("d2l_bn/data/idx.py", "import experiments.a", "d2l_bn.data.idx imports experiments.a"),
        ("d2l_bn/data/idx.py", "from .. import nn", "d2l_bn.data.idx imports d2l_bn.nn"),
        (
            "d2l_bn/system/files.py",
            "def f():\n    from d2l_bn.training.run import g",
            "d2l_bn.system.files imports d2l_bn.training.run",
        ),
    ],
)
def test_a_wrong_arrow_is_found(tmp_path, path, line, found):
    others = ("d2l_bn/nn/__init__.py", "d2l_bn/training/run.py", "d2l_bn/system/__init__.py")
    for name in (path, *others, "experiments/a.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("import mxnet, math\n")
    (tmp_path / path).write_text(line)
    assert list(wrong_arrows(graph(tmp_path))) == [found]


def test_a_circle_is_found(tmp_path):
    for name, line in {
        "a": "from . import b",
        "b": "import d2l_bn.c",
        "c": "from d2l_bn.a import x",
    }.items():
        (tmp_path / "d2l_bn").mkdir(exist_ok=True)
        (tmp_path / "d2l_bn" / f"{name}.py").write_text(line)
    assert circle(graph(tmp_path)) == ["d2l_bn.a", "d2l_bn.b", "d2l_bn.c"]


def tracked():
    """Return every file that git tracks, or skip where this is no checkout."""
    command = ["git", "ls-files", "-z"]
    try:
        done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return [CHECKOUT / name for name in done.stdout.split("\0") if (CHECKOUT / name).is_file()]


def constraints():
    return [Requirement(line) for line in read("constraints.txt").splitlines()]


@functools.lru_cache
def pinned(python):
    """Return the pinned versions on Linux, by package, for a Python such as "3.9"."""
    here = {
        "python_version": python,
        "python_full_version": f"{python}.9",
        "platform_machine": "x86_64",
        "sys_platform": "linux",
    }
    found = {}
    for line in constraints():
        if line.marker is None or line.marker.evaluate(here):
            found.setdefault(line.name, []).append(str(line.specifier))
    return found


def requirements(python):
    """Return what pyproject.toml asks for on a Python, extras included, exact versions excepted."""
    tomllib = pytest.importorskip("tomllib", reason="Python 3.11 or newer")
    project = tomllib.loads(read("pyproject.toml"))["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    lines = [Requirement(line) for group in groups for line in group]
    return {line.name for line in lines if "==" not in str(line.specifier)}


@pytest.mark.parametrize("python", PYTHONS)
def test_each_requirement_is_pinned_once(python):
    assert {"numpy", "tqdm", "hypothesis", "pytest", "ruff"} <= requirements(python)
    assert {name: versions for name, versions in pinned(python).items() if len(versions) > 1} == {}
    assert requirements(python) <= pinned(python).keys()


def test_mxnet_is_the_same_version_everywhere():
    version = _compat.VERSION
    for name in (
        "constraints.txt",
        "d2l_bn/libraries.py",
        "pyproject.toml",
        "scripts/setup_venv.py",
    ):
        assert set(re.findall(r"mxnet==([\d.]+)", read(name))) == {version}, name


@pytest.mark.parametrize("python", PYTHONS)
def test_numpy_is_one_that_mxnet_takes_from_pip(python):
    major = pinned(python)["numpy"][0].removeprefix("==").split(".")[0]
    assert major == ("2" if python == "3.13" else "1")  # pyproject.toml's marker relies on it


def test_the_citation_names_this_version():
    assert re.findall(r"^version: (.+)$", read("CITATION.cff"), re.M) == [d2l_bn.__version__]


def test_conda_gets_what_make_gets():
    lines = [line.split("#")[0].strip() for line in read("environment.yml").splitlines()]
    assert "- python=3.11" in lines  # Binder reads this literally
    assert {"- -c constraints.txt", "- -e .[notebooks]"} <= set(lines)
    assert {f"- {name}" for name in ("libgcc", "libgomp")} <= set(lines)


def test_system_libraries_are_installed_wherever_the_machine_is_ours():
    for name in ("Dockerfile", ".ci/run", ".github/workflows/ci.yml"):
        assert "libraries.py --packages)" in read(name)


def test_supported_pythons_are_the_same_everywhere():
    assert str(tuple(PYTHONS)).replace("'", '"') in read("scripts/test_all.py")
    assert str(PYTHONS).replace("'", '"') in read(".github/workflows/ci.yml")
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


def test_the_example_of_the_readme_gives_what_it_says(tmp_path):
    example = re.search(r"```python\n(.*?)```", read("README.md"), re.DOTALL)[1]
    options = dict(cwd=tmp_path, capture_output=True, text=True)
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    done = subprocess.run([sys.executable, "-c", example], env=environment, **options)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "lenet.params").exists()
    promised = " ".join(re.findall(r"print\(.*\)  # ([][ \d.-]+)", example))
    numbers = r"-?\d+\.\d*"
    assert re.findall(numbers, done.stdout) == re.findall(numbers, promised)
    assert len(re.findall(numbers, promised)) == 8


def test_files_are_small():
    limits = [(path, 1e6 if path.suffix == ".ipynb" else 4e6) for path in tracked()]
    assert [path.name for path, limit in limits if path.stat().st_size > limit] == []


def test_no_package_address_is_written_down():
    """Where packages come from is the reader's own setting: they may have a mirror."""
    for name in ("constraints.txt", "environment.yml", "environment-macos.yml", "Dockerfile"):
        assert "://" not in read(name), name
    for path in tracked():
        if path.suffix in {".ipynb", ".md", ".py"} and path != Path(__file__):
            assert not re.search(r"--(extra-)?index-url|--find-links", path.read_text()), path
