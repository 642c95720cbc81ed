"""What has been marked is kept, until the submission, the exercise or the program changes."""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import json
import os
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Callable

from nbformat import NotebookNode

from classroom import reach, submission
from classroom.files import write
from classroom.marking import Marked, Outcome
from classroom.submission import Cell
from d2l_bn.checks.sources import ready_made


def secret(folder: Path) -> str:
    """The teacher's secret, from which the inputs of tests are drawn; made once for a folder."""
    path = folder / "secret"
    if not path.exists():
        write(path, secrets.token_hex(16))
        path.chmod(0o600)
    return path.read_text(encoding="utf-8")


@dataclass
class Marker:
    """Marks submissions, each at most once.

    Parameters
    ----------
    folder : Path
        Where the records are kept.
    originals : dict of str to NotebookNode
        The exercises with solutions, by file name.
    run : callable (cells, secret, mxnet) -> Marked
        Runs the cells of a submission.
    limits : dict
        What the outcome depends on besides.
    secret : str
        What the inputs are drawn from, together with the submission.
    again : collection of str
        Students who are marked again, whatever has been kept.
    """

    folder: Path
    originals: dict[str, NotebookNode]
    run: Callable[..., Marked]
    limits: dict
    secret: str = ""
    again: Collection[str] = ()

    def __call__(self, student: Path, name: str) -> Marked:
        """The outcome of one notebook, from its record where nothing has changed since."""
        short = hashlib.sha256(os.fsencode(name)).hexdigest()  # a name may be as long as is allowed
        record = self.folder / student.name / f"{short[:16]}.json"
        content = self._content(student / name)
        key = self._fingerprint(student / name, content)
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            saved = json.loads(record.read_text())
            if saved.pop("key") == key and student.name not in self.again:
                cells = [Outcome(**cell) for cell in saved.pop("cells")]
                return Marked(cells=cells, **saved)
        try:
            marked = self._mark(student / name, content)
        except Exception as error:  # the others get their marks; this one is tried again next time
            return Marked("look at by hand", [f"it can't be marked ({type(error).__name__})"])
        write(record, json.dumps({"key": key, **marked.as_dict()}))
        return marked

    def _content(self, path: Path) -> bytes:
        with contextlib.suppress(OSError):  # what can't be read is looked at by hand
            if submission.is_plain(path) and path.stat().st_size <= submission.LARGEST:
                return path.read_bytes()
        return b""

    def _fingerprint(self, path: Path, content: bytes) -> str:
        kind = str(submission.is_plain(path))
        rest = [self.originals.get(path.name), self.limits, kind, self._program, self.secret]
        return hashlib.sha256(content + json.dumps(rest, sort_keys=True).encode()).hexdigest()

    @cached_property
    def _program(self) -> str:
        """What marks: with another text it may mark otherwise."""
        digest = hashlib.sha256()
        for folder in (Path(__file__).parent, reach.PACKAGE):
            for path in sorted(folder.rglob("*.py")):
                digest.update(path.read_bytes())
        return digest.hexdigest()

    def _misnamed(self, name: str) -> str:
        """What to do about a name that no exercise has, such as a browser's ``(1)`` makes."""
        near = difflib.get_close_matches(name, self.originals, n=1) or ["an exercise's"]
        return f"it has the name of no exercise; renamed to {near[0]}, it is marked in the next run"

    def _mark(self, path: Path, content: bytes) -> Marked:
        """Mark one file, whatever it is."""
        exercise = self.originals.get(path.name)
        if exercise is None:
            return Marked("look at by hand", [self._misnamed(path.name)])
        if not os.path.lexists(path):
            return Marked("not handed in", [], _nothing(exercise))
        try:
            cells = submission.merge(exercise, submission.read(path))
        except submission.ByHandError as error:
            return Marked("look at by hand", [str(error)], _nothing(exercise))
        own = hashlib.sha256(content + os.fsencode(path.parent.name)).hexdigest()
        mxnet = exercise.metadata.get("d2l_bn", {}).get("reach") != "numpy"
        marked = self.run(cells, secret=self.secret + own, mxnet=mxnet)
        for name in submission.for_ipython(cells):
            marked.by_hand(f"{name} needs IPython, and cells are run as plain Python")
        marked.reading = reading_aids(cells)
        return marked


def _nothing(exercise: NotebookNode) -> list[Outcome]:
    """What can be earned in an exercise, and nothing earned."""
    cells = submission.merge(exercise, exercise)
    asked = [cell for cell in cells if cell.kind in ("test", "written")]
    return [Outcome(cell.id, cell.kind, "", maximum=cell.points) for cell in asked]


def reading_aids(cells: list[Cell]) -> list[str]:
    """What a teacher may want to read in a student's code, which is no verdict."""
    found = set()
    for cell in cells:
        if cell.kind == "student":
            with contextlib.suppress(SyntaxError, ValueError, RecursionError, MemoryError):
                for line, what in ready_made(submission.runnable(cell.source)):
                    found.add(f"{cell.id or 'an added cell'}, line {line}: {what}")
    return sorted(found)
