"""What has been marked is kept, until the submission, the exercise or the program changes."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Callable

from nbformat import NotebookNode

from classroom import isolation, submission, suspicion
from classroom.files import write
from classroom.marking import Marked, Outcome
from classroom.submission import Cell

WITHHELD = "Withheld until your teacher has looked at it."


@dataclass
class Marker:
    """Marks submissions, each at most once.

    Parameters
    ----------
    folder : Path
        Where the records are kept.
    originals : dict of str to NotebookNode
        The exercises with solutions, by file name.
    run : callable (cells) -> Marked
        Runs the cells of a submission.
    limits : dict
        What the outcome depends on besides.
    """

    folder: Path
    originals: dict[str, NotebookNode]
    run: Callable[[list[Cell]], Marked]
    limits: dict

    def __call__(self, student: Path, name: str) -> Marked:
        """The outcome of one notebook, from its record where nothing has changed since."""
        short = hashlib.sha256(os.fsencode(name)).hexdigest()  # a name may be as long as is allowed
        record = self.folder / student.name / f"{short[:16]}.json"
        key = self._fingerprint(student / name)
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            saved = json.loads(record.read_text())
            if saved.pop("key") == key:
                cells = [Outcome(**cell) for cell in saved.pop("cells")]
                return Marked(cells=cells, **saved)
        try:
            marked = self._mark(student / name)
        except Exception as error:  # the others get their marks; this one is tried again next time
            return Marked("look at by hand", [f"it can't be marked ({type(error).__name__})"])
        write(record, json.dumps({"key": key, **marked.as_dict()}))
        return marked

    def _fingerprint(self, path: Path) -> str:
        content, kind = b"", ""
        with contextlib.suppress(OSError):  # what can't be read is looked at by hand
            kind = str(submission.is_plain(path))
            if submission.is_plain(path) and path.stat().st_size <= submission.LARGEST:
                content = path.read_bytes()
        rest = [self.originals.get(path.name), self.limits, kind, self._program]
        return hashlib.sha256(content + json.dumps(rest, sort_keys=True).encode()).hexdigest()

    @cached_property
    def _program(self) -> str:
        """What marks: with another text it may mark otherwise."""
        digest = hashlib.sha256()
        for folder in (Path(__file__).parent, isolation.PACKAGE):
            for path in sorted(folder.rglob("*.py")):
                digest.update(path.read_bytes())
        return digest.hexdigest()

    def _mark(self, path: Path) -> Marked:
        """Mark one file, whatever it is."""
        exercise = self.originals.get(path.name)
        if exercise is None:
            return Marked("look at by hand", ["it has the name of no exercise"])
        if not os.path.lexists(path):
            cells = submission.merge(exercise, exercise)
            nothing = [Outcome(c.id, c.kind, "", maximum=c.points) for c in cells]
            return Marked(
                "not handed in", [], [o for o in nothing if o.kind in ("test", "written")]
            )
        try:
            cells = submission.merge(exercise, submission.read(path))
        except submission.ByHandError as error:
            return Marked("look at by hand", [str(error)])
        marked = self.run(cells)
        if any(cell.kind == "test" for cell in cells):
            look_closely(marked, cells)
        return marked


def look_closely(marked: Marked, cells: list[Cell]) -> None:
    """Put down what a person should see in the code, and what it might have carried out."""
    suspicions = suspicion.suspicions(cells)
    for note in suspicions:
        marked.by_hand(note)
    for what in suspicion.ready_answers(cells):
        marked.by_hand(f"it uses {what}, which is a ready-made answer")
    for name in submission.for_ipython(cells):
        marked.by_hand(f"{name} needs IPython, and cells are run as plain Python")
    for cell in marked.cells if suspicions else ():
        if cell.output or cell.message:  # code that reads the tests could print them, in disguise
            cell.output, cell.message = "", WITHHELD
