"""Build the chapters and the reference as a web site that needs no network."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CHAPTERS = ROOT / "chapters"
TEACHER = ROOT / "classroom" / "teacher.md"


def main() -> int:
    """Build; 1 on a failed cell or any warning, such as a broken link or an unreadable docstring.

    The outputs are the committed ones: what failed there fails here, and the tests run the cells.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "runs" / "book")
    folder = parser.parse_args().folder
    errors = [error for path in sorted(CHAPTERS.glob("*.ipynb")) for error in failed_cells(path)]
    if errors:
        print(*errors, "Mend them, then: make chapters-update", sep="\n", file=sys.stderr)
        return 1
    source, html = folder / "source", folder / "html"
    for made in (source, html):
        shutil.rmtree(made, ignore_errors=True)
    shutil.copytree(ROOT / "book", source)
    (source / "chapters").mkdir()
    for chapter in CHAPTERS.glob("*.ipynb"):  # not the exercises, which hold their solutions
        shutil.copy(chapter, source / "chapters")
    shutil.copy(TEACHER, source)
    command = [sys.executable, "-m", "sphinx", "-b", "html", "-W", "--keep-going", "-q"]
    if subprocess.call([*command, str(source), str(html)]):
        return 1
    print(f"open {os.path.relpath(html)}/index.html")
    return 0


def failed_cells(path: Path) -> list[str]:
    """One line for each cell that has failed, and for a chapter that was never run."""
    code = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
    if not any(cell["outputs"] for cell in code):
        return [f"{path.name} is kept without outputs"]
    return [
        f"{path.name}, cell {cell['id']}: {output['ename']}: {output['evalue']}"
        for cell in code
        for output in cell["outputs"]
        if output["output_type"] == "error"
    ]


if __name__ == "__main__":
    sys.exit(main())
