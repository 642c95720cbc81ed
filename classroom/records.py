"""What has been marked is kept, until the submission, the exercise or the program changes."""

from __future__ import annotations

import contextlib
import hashlib
import json
import secrets
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Optional

from nbformat import NotebookNode

from classroom import reach, submission
from classroom.files import write
from classroom.isolation import Sandbox
from classroom.marking import Marked, Run, mark
from classroom.runner import Worker
from classroom.submission import Cell

READING = 20  # seconds to read a notebook, or a cell of it


def secret(folder: Path) -> str:
    """The teacher's secret, from which the inputs of tests are drawn; made once for a folder."""
    path = folder / "secret"
    if not path.exists():
        write(path, secrets.token_hex(16))
        path.chmod(0o600)
    return path.read_text(encoding="utf-8")


@dataclass
class Marker:
    """Marks submissions, each at most once."""

    folder: Path  # where the records are kept
    top: Path  # the folder of the submissions
    originals: dict[str, NotebookNode]  # the exercises with solutions, by file name
    sandbox: Sandbox
    limits: dict  # the seconds of a cell, and the memory
    secret: str  # what the inputs are drawn from, together with the submission
    again: Collection[str]  # students who are marked again, whatever has been kept

    def __call__(self, student: str, name: str, path: Optional[Path], alone: bool) -> Marked:
        """The outcome of one notebook, from its record where nothing has changed since.

        What may be another one's doing, unless it is `alone`, or isn't marked, is not kept.
        """
        digest = hashlib.sha256(f"{student}\0{name}".encode("utf-8", "surrogateescape"))
        record = self.folder / f"{digest.hexdigest()[:32]}.json"
        content = self._content(path)
        rest = [self.originals.get(name), content is None, self._program, self.secret]
        text = json.dumps([*rest, self.limits, self.sandbox.bwrap], sort_keys=True)
        key = hashlib.sha256((content or b"") + text.encode()).hexdigest()
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            saved = json.loads(record.read_text())
            if saved.pop("key") == key and student not in self.again:
                cells = [Cell(**cell) for cell in saved.pop("cells")]
                return Marked(cells=cells, **saved)
        try:
            marked = self._mark(student, name, content, alone)
        except Exception as error:  # the others get their marks; this one is tried again
            marked = Marked(again=True)
            marked.by_hand(f"it can't be marked ({type(error).__name__})", "not marked")
        if marked.status != "not marked" and (alone or not marked.again):
            write(record, json.dumps({"key": key, **asdict(marked)}))
        return marked

    def _content(self, path: Optional[Path]) -> Optional[bytes]:
        """What was handed in, with nothing in it where it can't be read; None where nothing was."""
        if path is None:
            return None
        with contextlib.suppress(OSError):
            if submission.is_plain(path, self.top):
                with path.open("rb") as file:
                    return file.read(submission.LARGEST + 1)
        return b""

    @cached_property
    def _program(self) -> str:
        """What marks: with another text it may mark otherwise."""
        digest = hashlib.sha256()
        for folder in (Path(__file__).parent, reach.PACKAGE):
            for path in sorted(folder.rglob("*.py")):
                digest.update(path.read_bytes())
        return digest.hexdigest()

    def _mark(self, student: str, name: str, content: Optional[bytes], alone: bool) -> Marked:
        """Mark one file, whatever it is."""
        exercise = self.originals.get(name)
        if exercise is None:
            return Marked("look at by hand", ["it has the name of no exercise"])
        every, _ = submission.merge(exercise, submission.plain(exercise))
        most = [replace(c, source="") for c in every if c.kind in ("test", "written")]
        if content is None:
            return Marked("not handed in", [], most)
        try:
            if not content:
                raise submission.ByHandError("it is empty, or not a plain file in a plain folder")
            limits = {**self.limits, "seconds": READING, "mxnet": False}
            with contextlib.closing(Run(partial(Worker, self.sandbox, **limits))) as reader:
                cells, notes = submission.merge(exercise, submission.read(content, reader.ask))
                aids = submission.examine(cells, reader.ask)
        except submission.ByHandError as error:
            return Marked("look at by hand", [str(error)], most)
        own = hashlib.sha256(content + student.encode("utf-8", "replace")).hexdigest()
        mxnet = exercise.metadata.get("d2l_bn", {}).get("reach") != "numpy"
        seed = self.secret + own
        marked = mark(cells, self.sandbox, secret=seed, mxnet=mxnet, alone=alone, **self.limits)
        marked.notes += notes
        for cell in cells:
            where = cell.id or "an added cell"
            if cell.more.get("ipython"):
                marked.by_hand(f"{where} needs IPython, and cells are run as plain Python")
            aids += [f"{where}, line {line}: {what}" for line, what in cell.more.get("aids", ())]
        marked.reading = aids
        return marked
