"""Run the chapters, each in a new kernel of the Python that runs this.

chapters.py [--update] [CHAPTER ...] writes executed copies to runs/chapters, or with --update
renews the notebooks in chapters/. A CHAPTER is a number, such as 3; by default all are run.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

ROOT = Path(__file__).resolve().parent.parent
CHAPTERS = ROOT / "chapters"
RUNS = ROOT / "runs" / "chapters"
TIMEOUT = 3600  # seconds for a cell
WIDGET = "application/vnd.jupyter.widget-view+json"
SETUP = """\
try:
    import d2l_bn  # before mxnet: makes MXNet work on this Python
except ImportError:  # a hosted notebook: install as in the README
    %pip install --quiet "d2l-bn @ git+{address}"
    %pip install --quiet --no-deps mxnet==1.9.1
    import d2l_bn"""


def main() -> int:
    """Run what the arguments ask for; 1 if a cell fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--update", action="store_true", help="renew the notebooks in chapters/")
    parser.add_argument("numbers", nargs="*", metavar="CHAPTER", help="a number, such as 3")
    options = parser.parse_args()
    chosen = [p for p in paths() if not options.numbers or p.name.split("-")[0] in options.numbers]
    if not chosen:
        parser.error(f"no chapter has the number {' or '.join(options.numbers)}")
    for path in chosen:
        start = time.monotonic()
        try:
            notebook = execute(nbformat.read(path, as_version=4))
        except CellExecutionError as error:
            print(f"{path.name}: a cell failed\n{error}", file=sys.stderr)
            return 1
        target = path if options.update else RUNS / path.name
        write(notebook, target)
        print(f"{target.relative_to(ROOT)}  {time.monotonic() - start:.0f} s", flush=True)
    return 0


def paths() -> list[Path]:
    """The chapters, in reading order."""
    return sorted(CHAPTERS.glob("[0-9]-*.ipynb"))


def execute(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Run all cells in a new kernel, in runs/chapters, and keep what belongs in a repository."""
    RUNS.mkdir(parents=True, exist_ok=True)
    for cell in notebook.cells:
        if cell.id == "setup":
            cell.source = setup_cell()
    client = NotebookClient(
        notebook,
        timeout=TIMEOUT,
        kernel_name="python3",  # that is, the ipykernel of this Python
        resources={"metadata": {"path": str(RUNS)}},
        record_timing=False,
    )
    client.execute()
    return strip(notebook)


def strip(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Drop counters and widgets, so that another run gives a small difference."""
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.metadata = {k: v for k, v in cell.metadata.items() if k in ("tags", "jupyter")}
            cell.execution_count = None
            cell.outputs = [out for out in cell.outputs if WIDGET not in out.get("data", {})]
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


def setup_cell() -> str:
    """The first code cell of every chapter; the repository's address stands in pyproject.toml."""
    text = (ROOT / "pyproject.toml").read_text()
    address = re.search(r'^Repository = "(.+)"$', text, re.MULTILINE)
    if address is None:
        raise ValueError("pyproject.toml needs a line Repository = ... below [project.urls]")
    return SETUP.format(address=address[1])


if __name__ == "__main__":
    sys.exit(main())
