"""Makes the students' folder from the exercises: without solutions, hidden tests and outputs."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from classroom import ClassroomError
from classroom.translation import page, translated, words

STUB = "raise NotImplementedError("  # how the line begins that stands in place of a solution
CODE, TEXT = "write your solution here, in place of this line", "YOUR ANSWER HERE"
README = Path(__file__).with_name("students.md")


def release(source: Path, out: Path, only: Collection[str] = (), language: str = "") -> None:
    """Write the student's version of each notebook in `source` to the folder `out`.

    With `only`, just those whose names begin with one of these texts; with `language`, in a
    translation. The folder is written whole or not at all; ClassroomError if there are no
    exercises, nbgrader is missing, or `out` holds something else.
    """
    paths = sorted(source.glob("*.ipynb"))
    if not paths:
        raise ClassroomError(f"needs exercises, NAME.ipynb, and there are none in {source}")
    known = {path.name for path in paths} | {"README.md"}
    paths = [path for path in paths if not only or path.name.startswith(tuple(only))]
    if not paths:
        raise ClassroomError(f"--only must begin a name in {source}, got {' '.join(only)}")
    notebooks = {path: translated(read(path), path, language) for path in paths}
    say = words(language)
    files = {
        path.name: nbformat.writes(student_version(n, say)) + "\n" for path, n in notebooks.items()
    }
    files["README.md"] = page(README, language)
    if out.exists() and {path.name for path in out.iterdir()} - known:
        raise ClassroomError(f"{out} holds other files than a release: choose another with --out")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".release-") as temporary:
        new = Path(temporary, "new")
        new.mkdir()
        for name, text in files.items():
            (new / name).write_text(text, encoding="utf-8")
        if out.exists():
            out.rename(Path(temporary, "old"))
        new.rename(out)


def read(path: Path) -> NotebookNode:
    """Read a notebook of ours."""
    return nbformat.read(path, as_version=4)


def student_version(notebook: NotebookNode, say: Mapping[str, str]) -> NotebookNode:
    """The notebook as nbgrader hands it out; `notebook` itself is changed.

    `say` has what stands in place of solutions in another language. ClassroomError if nbgrader
    isn't installed.
    """
    try:
        from nbgrader import preprocessors as steps
    except ImportError as error:
        remedy = "pip install -c constraints.txt -e '.[classroom]'"
        raise ClassroomError(f"needs nbgrader, which is not installed: {remedy}") from error
    code = f'{STUB}"{say.get(CODE, CODE)}")'
    for step in (
        steps.CheckCellMetadata(),
        steps.LockCells(),
        steps.ClearSolutions(code_stub={"python": code}, text_stub=say.get(TEXT, TEXT)),
        steps.ClearOutput(),
        steps.ClearHiddenTests(),
        steps.ComputeChecksums(),
    ):
        notebook, _ = step.preprocess(notebook, {})
    return notebook
