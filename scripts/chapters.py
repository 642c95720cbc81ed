"""Run the chapters, each in a new kernel of the Python that runs this.

chapters.py [--update | --quick] [CHAPTER ...] writes executed copies to runs/chapters, or with
--update renews the notebooks in chapters/. With --quick, as the tests run them, some chapters
train or measure less: see QUICK. A CHAPTER is a number, such as 3; by default all are run for which
this Python has what they need.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

import nbformat
from ipykernel.kernelspec import get_kernel_dict
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from traitlets import default

ROOT = Path(__file__).resolve().parent.parent
CHAPTERS = ROOT / "chapters"
RUNS = ROOT / "runs" / "chapters"
NEEDS = {"7": "tensorflow"}  # by chapter: a package that not every environment has
# By the numbers: exercise 3 asks for what chapter 5 derives, and so comes before it.
EXERCISES_OF = {"1": "1", "2": "2", "4": "43", "5b": "6", "6": "5"}
# What --quick changes: by chapter and cell, a text and what takes its place.
QUICK = {
    "3": {
        "settings": ("epochs=10,", "epochs=3,"),
        "loop-plain": ("epochs=3", "epochs=1"),
    },
    "4": {"saved-broken": ("epochs=2", "epochs=1")},
    "5b": {"gain": ("rounds=10", "rounds=4"), "all": ("rounds=20", "rounds=6")},
    "6": {"cure-core": ("epochs=4", "epochs=1"), "sweeps-core": ("epochs=3", "epochs=1")},
    "7": {
        "lenet": ("epochs=3", "epochs=2"),
        # Every second layer, among them those that the chapter names; test_conventions.py has all.
        "conventions-averages": ("table()", "table(conventions.LAYERS[1::2])"),
    },
    "9": {"noise-live-run": ("STEPS = 100", "STEPS = 10")},
}
TIMEOUT = 3600  # seconds for a cell
IMPORT = """\
try:
    import d2l_bn  # before mxnet: makes MXNet work on this Python
"""
INSTALL = """\
except ImportError:  # a hosted notebook: install as in the README
    %pip install --quiet "d2l-bn @ git+{address}"
    %pip install --quiet --no-deps mxnet==1.9.1
    import d2l_bn"""
REFUSE = """\
except ImportError as error:
    hint = "see README.md. No address is set from which to install it: make address"
    raise ImportError(f"d2l_bn is not installed, {hint}") from error"""


class CellError(Exception):
    """A cell of a chapter failed, took too long, or ended its kernel."""


class ThisPython(AsyncKernelManager):
    """Starts the Python that runs this, whatever a machine calls ``python3`` in its list."""

    @property
    def kernel_spec(self) -> KernelSpec:
        """What to start."""
        return KernelSpec(**get_kernel_dict())

    @default("transport_encryption")
    def _encrypt(self) -> str:
        return "auto"  # ipykernel 7 warns otherwise


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run what the arguments ask for; 1 if a cell fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    kind = parser.add_mutually_exclusive_group()  # the chapters are kept as they run in full
    kind.add_argument("--update", action="store_true", help="renew the notebooks in chapters/")
    kind.add_argument("--quick", action="store_true", help="train and measure less, as in tests")
    parser.add_argument("numbers", nargs="*", metavar="CHAPTER", help="a number, such as 3")
    options = parser.parse_args(arguments)
    there = {number(path): path for path in paths()}
    unknown = [name for name in options.numbers if name not in there]
    if unknown or not there:
        parser.error(f"no chapter {', '.join(unknown)}; there are {', '.join(there) or 'none'}")
    lacking = {} if options.numbers else {n: missing(there[n]) for n in there if missing(there[n])}
    for name, reason in lacking.items():
        print(f"{there[name].name}: skipped, {reason}")
    numbers = [name for name in options.numbers or there if name not in lacking]
    if options.update:
        renew_setup_cells()
    done = [run(there[n], update=options.update, quick=options.quick) for n in numbers]
    return 0 if all(done) else 1


def paths() -> list[Path]:
    """The chapters, in reading order."""
    return sorted(CHAPTERS.glob("[0-9]*-*.ipynb"))


def number(path: Path) -> str:
    """The number of a chapter or an exercise, such as 5b."""
    return path.name.split("-")[0]


def exercises() -> list[Path]:
    """The students' exercises, with solutions; `make release` hands them out."""
    return sorted(CHAPTERS.glob("exercises/*.ipynb"))


def lead_on(
    notebook: nbformat.NotebookNode, chapter: Path, folder: str, words: dict[str, str]
) -> None:
    """Let a copy of a chapter end with a link to its exercises, if it has any, in `folder`."""
    numbers = EXERCISES_OF.get(number(chapter), "")
    own = [path for name in numbers for path in exercises() if number(path) == name]
    if own:
        now, name = words.get("Now you", "**Now you:** {}."), words.get("exercise", "exercise {}")
        links = [f"[{name.format(number(path))}]({folder}/{path.name})" for path in own]
        end = now.format(", ".join(links))
        notebook.cells.append(nbformat.v4.new_markdown_cell(end, id="exercise"))


def renew_setup_cells() -> None:
    """Put the present setup cell into all chapters and exercises, and touch nothing else."""
    for path in [*paths(), *exercises()]:
        notebook = nbformat.read(path, as_version=4)
        for cell in notebook.cells:
            if cell.id == "setup" and cell.source != setup_cell():
                cell.source = setup_cell()
                write(notebook, path)


def missing(path: Path) -> str:
    """Why a chapter can't run on this Python, or an empty string."""
    package = NEEDS.get(number(path))
    if package is None or importlib.util.find_spec(package) is not None:
        return ""
    return f"{package} is not installed: the extra `{package}`"


def run(path: Path, *, update: bool, quick: bool = False) -> bool:
    """Execute one chapter and write it where it belongs; False, and a message, if a cell fails."""
    start = time.monotonic()
    notebook = nbformat.read(path, as_version=4)
    if quick:
        shorten(notebook, QUICK.get(number(path), {}))
    copy = RUNS / path.name
    try:
        execute(notebook)
    except CellError as error:
        write(notebook, copy)  # as far as it came
        print(f"{path.name}, {error}\nThe run so far: {show(copy)}", file=sys.stderr, flush=True)
        return False
    target = path if update else copy
    write(notebook, target)
    print(f"{show(target)}  {time.monotonic() - start:.0f} s", flush=True)
    return True


def shorten(notebook: nbformat.NotebookNode, changes: dict[str, tuple[str, str]]) -> None:
    """Let cells train or measure less: by their names, a text and what takes its place."""
    cells = {cell.id: cell for cell in notebook.cells}
    for name, (text, instead) in changes.items():
        if name not in cells or text not in cells[name].source:
            raise ValueError(f"cell {name} must hold {text!r}, and no longer does: see QUICK")
        cells[name].source = cells[name].source.replace(text, instead)


def execute(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Run all cells in a new kernel, in runs/chapters, and keep what belongs in a repository.

    Raises
    ------
    CellError
        With the name of the cell. The notebook then holds the outputs up to there.
    """
    RUNS.mkdir(parents=True, exist_ok=True)
    for cell in notebook.cells:
        if cell.id == "setup":
            cell.source = setup_cell()
    started: list[str] = []
    client = NotebookClient(
        notebook,
        timeout=TIMEOUT,
        kernel_manager_class=ThisPython,
        resources={"metadata": {"path": str(RUNS)}},
        record_timing=False,
        coalesce_streams=True,
        on_cell_start=lambda cell, cell_index: started.append(cell.id),
    )
    # Chapter 7 imports a folder beside it, which Jupyter finds, since it starts in chapters/.
    python_path = os.pathsep.join(filter(None, [str(CHAPTERS), os.environ.get("PYTHONPATH")]))
    with tempfile.TemporaryDirectory() as profile:  # without the start-up files of a user
        try:
            usual = {"OMP_NUM_THREADS": "1", **os.environ}  # two cores have it so; more would spin
            client.execute(env={**usual, "IPYTHONDIR": profile, "PYTHONPATH": python_path})
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            raise CellError(f"cell {started[-1]}: {error}") from error
        finally:
            strip(notebook)
    return notebook


def strip(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Drop counters, so that another run gives a small difference."""
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell in notebook.cells:
        if cell.cell_type == "code":
            kept = ("tags", "jupyter", "mystnb")  # folded or not, and words for a picture
            cell.metadata = {k: v for k, v in cell.metadata.items() if k in kept}
            cell.execution_count = None
            for output in cell.outputs:
                if "execution_count" in output:
                    output.execution_count = None
                if "data" in output:
                    output.metadata = {}
                    output.pop("transient", None)
    return notebook


def write(notebook: nbformat.NotebookNode, path: Path) -> None:
    """Write a notebook, whole or not at all."""
    temporary = path.with_suffix(".tmp")
    nbformat.write(notebook, temporary)
    temporary.replace(path)


def setup_cell(address: Optional[str] = None) -> str:
    """The first code cell of every chapter: it installs from `address`, by default the one set."""
    address = address or repository()
    return IMPORT + (INSTALL.format(address=address) if address else REFUSE)


def repository() -> str:
    """The address of the repository, which `make address` writes into pyproject.toml, or ""."""
    text = (ROOT / "pyproject.toml").read_text()
    found = re.search(r'^Repository = "(.+)"$', text, re.MULTILINE)
    return found[1] if found else ""


def show(path: Path) -> str:
    """A path as it is typed in the checkout."""
    return os.path.relpath(path, ROOT)


if __name__ == "__main__":
    sys.exit(main())
