"""Put copies of the chapters and the students' exercises into runs/notebooks, to work in.

A copy that you have changed is left as it is; one that you haven't follows the repository.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

import nbformat
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import chapters  # noqa: E402
from classroom.release import student_version  # noqa: E402
from classroom.translation import languages, translated, words  # noqa: E402

OUT = ROOT / "runs" / "notebooks"
RECORD = ".copies.json"  # the hash of each copy as it was made
FOLDED = {"hide-input", "hide-cell", "remove-input"}  # the tags of what stands back in the book


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Make or renew the copies."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--language", choices=languages(), default="")
    chosen = parser.parse_args(arguments).language
    out, copies, say = OUT / chosen, {}, words(chosen)
    for path in chapters.paths():
        notebook = translated(nbformat.read(path, as_version=4), path, chosen)
        chapters.lead_on(notebook, path, "exercises", say)
        copies[path.name] = nbformat.writes(folded(notebook)) + "\n"
    for path in chapters.exercises():
        notebook = student_version(translated(nbformat.read(path, as_version=4), path, chosen), say)
        copies[f"exercises/{path.name}"] = nbformat.writes(folded(notebook)) + "\n"
    for name in place(copies, out):
        print(f"{chapters.show(out / name)} is left as it is, since you have changed it")
    beside = "in_tensorflow"  # what chapter 7 imports
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "chapters" / beside, out / beside, dirs_exist_ok=True, ignore=ignore)
    print(f"the notebooks are in {chapters.show(out)}")
    return 0


def folded(notebook: NotebookNode) -> NotebookNode:
    """The notebook with the code folded that the book folds, and its set-up: a click opens it."""
    for cell in notebook.cells:
        if cell.id == "setup" or FOLDED & set(cell.metadata.get("tags", ())):
            cell.metadata.setdefault("jupyter", {})["source_hidden"] = True
    return notebook


def place(copies: dict[str, str], out: Path) -> list[str]:
    """Write the copies that are new or unchanged since they were made; return the others."""
    record = out / RECORD
    made = json.loads(record.read_text()) if record.exists() else {}
    changed = []
    for name, text in copies.items():
        path = out / name
        if path.exists() and made.get(name) != _hash(path.read_text()):
            changed.append(name)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        made[name] = _hash(text)
    record.write_text(json.dumps(made, indent=1) + "\n")
    return changed


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
