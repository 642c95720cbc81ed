"""Finds the submissions in a folder, as a teacher or a learning management system has put them."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

from classroom.files import safe

MOODLE = re.compile(r"(?P<name>.+)_(?P<id>\d+)_assignsubmission_[a-z]+(_(?P<file>.+\.ipynb))?_?")
CANVAS = re.compile(r"(?P<name>.+?)(_LATE)?_(?P<id>\d+)_\d+_(?P<file>.+\.ipynb)")
AGAIN = re.compile(r"(?P<name>.+?)(?: ?\((?P<n>\d+)\)|-(?P<m>\d+))\.ipynb")  # of browsers, Canvas


@dataclass
class Student:
    """Whose notebooks they are, under what names, and how a system knows the student."""

    label: str
    files: dict[str, list[Path]] = field(default_factory=dict)
    canvas: str = ""
    moodle: str = ""

    def add(self, name: str, path: Path, exercises: Collection[str]) -> None:
        """One more notebook, under the name of the exercise where it is a copy's."""
        again = AGAIN.fullmatch(name)
        if name not in exercises and again and f"{again['name']}.ipynb" in exercises:
            name = f"{again['name']}.ipynb"
        self.files.setdefault(name, []).append(path)

    def last(self, name: str) -> Path:
        """The notebook that was written last, of those with one name."""
        return max(self.files[name], key=lambda path: (path.lstat().st_mtime, path.name))


def students(folder: Path, exercises: Collection[str]) -> list[Student]:
    """Everybody who has a folder, or a notebook that Canvas or Moodle has named.

    A folder holds notebooks, or folders that do, as nbgrader has one for each assignment.
    """
    found: dict[str, Student] = {}
    for path in sorted(listed(folder)):
        system = delivered(path)
        if not system and not path.is_dir():
            continue
        name = f"{system['name']}_{system['id']}" if system else path.name
        student = found.setdefault(name, Student(label(name)))
        if system:
            number, moodle = system["id"], system.re is MOODLE
            student.moodle, student.canvas = (number, "") if moodle else ("", number)
        if path.is_dir():
            for notebook in notebooks(path):
                student.add(notebook.name, notebook, exercises)
        elif system:
            student.add(system["file"], path, exercises)
    return list(found.values())


def delivered(path: Path) -> Optional[re.Match]:
    """How a system has named a folder or a notebook; None where it hasn't, or may mean two."""
    moodle = MOODLE.fullmatch(path.name)
    if path.is_dir():
        return moodle
    found = moodle or CANVAS.fullmatch(path.name)
    twice = path.name.count("_assignsubmission_") > 1  # a student chose the end of the name
    return found if found and found["file"] and not twice else None


def unread(folder: Path) -> list[tuple[Path, str]]:
    """What looks like work and belongs to nobody yet, and why."""
    alone = [path for path in folder.glob("*.ipynb") if not delivered(path)]
    found = [(path, "has to be unpacked") for path in folder.glob("**/*.zip")]
    return sorted([*found, *((path, "is in no student's folder") for path in alone)])


def label(name: str) -> str:
    """`name` as a table can hold it, and unlike that of every other name."""
    text = safe(name).strip()
    if text == name and not re.search(r"\([0-9a-f]{12}\)$", text):
        return text
    return f"{text} ({hashlib.sha256(os.fsencode(name)).hexdigest()[:12]})"


def listed(folder: Path) -> list[Path]:
    """What is in a folder, without what systems and editors leave there."""
    try:
        return [path for path in folder.iterdir() if not path.name.startswith((".", "__MACOSX"))]
    except OSError:  # what can't be read holds nothing for us
        return []


def notebooks(folder: Path) -> list[Path]:
    """The notebooks in a folder, and in the folders in it."""
    places = [folder, *(path for path in listed(folder) if path.is_dir() and not path.is_symlink())]
    return [path for place in places for path in listed(place) if path.suffix == ".ipynb"]


def file_name(label: str) -> str:
    """A label as the beginning of a file's name: at most 255 bytes, and nobody's archive."""
    if len(label.encode()) <= 200 and not label.endswith(".zip"):
        return label
    digest = hashlib.sha256(label.encode()).hexdigest()[:12]
    return f"{label.encode()[:180].decode(errors='ignore')}-{digest}"
