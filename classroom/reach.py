"""What a student's code can reach while it is marked: no ready-made answer, whatever its spelling.

A sandbox shows a folder that is made here and the few packages that the exercises need. The folder
has a stand-in for d2l_bn, without the library's answers and without the checks, and MXNet's program
library, from which the machine code of every normalization has been taken out. So a call by way of
`mx.nd`, a symbol, the JSON of a graph or the C interface ends in the same place: nothing is there.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import re
import shutil
import struct
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import d2l_bn
from classroom import ClassroomError
from d2l_bn.checks.watch import OPERATORS

PACKAGE = Path(d2l_bn.__file__).parent
HERE = Path(__file__).parent
ROOTS = ("numpy", "matplotlib", "tqdm", "latex2mathml")  # what students' code may use
NORMALIZATION = re.compile(r"batch_?norm|layer_?norm|group_?norm|instance_?norm|l2_?norm", re.I)
COMPUTES = re.compile(r"Forward|Backward|Compute|CreateOp|CPU|execute")
# An instruction that ends the process, for each processor by its number in the library's header.
TRAPS = {62: b"\x0f\x0b", 183: bytes(4)}  # x86-64, 64-bit Arm
COPIED = ["_compat", *(f"checks/{name}" for name in ("answers", "plain", "sources"))]
COPIED += ["nn/__init__", "nn/statistic"]  # which chapter 2 teaches
FILES = {
    **{f"d2l_bn/{name}.py": PACKAGE / f"{name}.py" for name in COPIED},
    "d2l_bn/__init__.py": HERE / "stand_in.py",
    **{name: HERE / name for name in ("reader.py", "worker.py")},
}
SILENT = '''"""Work is marked from outside of this process: in here, checks say nothing."""


class CheckFailed(AssertionError):
    pass


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    return lambda *candidates, **options: None
'''
WRITTEN = {
    "__init__": SILENT,
    "failure": "from d2l_bn.checks import CheckFailed\n",
    "watch": f"OPERATORS = {OPERATORS!r}\n",
}


def prepare(folder: Path) -> Path:
    """Make what a sandbox shows, in `folder`, unless it is there; return the folder.

    ClassroomError if MXNet is missing, or is no build whose code is known how to be taken out.
    """
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in FILES.values()))
    digest.update(
        f"{WRITTEN} {HERE.stat().st_ino} {library()} {library().stat().st_mtime_ns}".encode()
    )
    made = folder / f"made-{digest.hexdigest()[:16]}"
    if made.exists():
        return made
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        new = Path(temporary, "new")
        for name, source in FILES.items():
            (new / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, new / name)
        for name, text in WRITTEN.items():
            (new / "d2l_bn" / "checks" / f"{name}.py").write_text(text, encoding="utf-8")
        without_normalizations(library(), new / "libmxnet.so")
        for old in folder.glob("made-*"):  # of an earlier version
            shutil.rmtree(old, ignore_errors=True)
        new.chmod(0o755)
        new.rename(made)
    return made


def library() -> Path:
    """MXNet's program library."""
    found = importlib.util.find_spec("mxnet")
    if found is None or found.origin is None:
        raise ClassroomError("marks with MXNet, which is not installed here")
    return Path(found.origin).parent / "libmxnet.so"


def without_normalizations(source: Path, target: Path) -> int:
    """Copy MXNet's library without the code of its normalizations; return how many are gone."""
    data, gone = bytearray(source.read_bytes()), 0
    trap = TRAPS[data[0x12]]
    for name, start, size in functions(data):
        if NORMALIZATION.search(name) and COMPUTES.search(name) and "Prop" not in name:
            data[start : start + size] = (trap * size)[:size]
            gone += 1
    if gone < 20:  # another build may hide its names: then nothing is sure
        raise ClassroomError(
            f"must take the normalizations out of {source.name} before students' code runs, and "
            f"found {gone} of them by name: install mxnet==1.9.1 from its wheel"
        )
    target.write_bytes(data)
    return gone


def functions(data: bytearray) -> Iterator[tuple[str, int, int]]:
    """The functions that a program library names: name, place in the file, size."""
    (place,) = struct.unpack_from("<Q", data, 0x28)
    size, count = struct.unpack_from("<HH", data, 0x3A)
    headers = [struct.unpack_from("<IIQQQQIIQQ", data, place + size * i) for i in range(count)]
    symbols = next(header for header in headers if header[1] == 11)  # SHT_DYNSYM
    texts = headers[symbols[6]][4]
    for entry in range(symbols[4], symbols[4] + symbols[5], 24):
        name, info, _, section, address, length = struct.unpack_from("<IBBHQQ", data, entry)
        if info & 15 == 2 and 0 < section < count and length:  # a function that is defined here
            end = data.index(b"\0", texts + name)
            offset = address - headers[section][3] + headers[section][4]
            yield data[texts + name : end].decode("latin-1"), offset, length


def packages(*, mxnet: bool) -> list[Path]:
    """The files and folders of the packages that students' code may use."""
    wanted, found = [*ROOTS, *(["mxnet"] if mxnet else [])], {}
    while wanted:
        name = re.sub(r"[-_.]+", "-", wanted.pop()).lower()
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        if name in found:
            continue
        tops = {Path(file).parts[0] for file in distribution.files or ()} - {"..", "__pycache__"}
        found[name] = [Path(str(distribution.locate_file(top))) for top in sorted(tops)]
        wanted += [
            re.split(r"[^\w.-]", line, maxsplit=1)[0]
            for line in distribution.requires or ()
            if "extra ==" not in line
        ]
    return [path for paths in found.values() for path in paths]


def hidden() -> list[Path]:
    """The folders with other packages, and with the exercises, which a sandbox shows empty."""
    folders = [HERE.parent, *(Path(sysconfig.get_path(name)) for name in ("purelib", "platlib"))]
    for base in (sys.base_prefix, "/usr", "/usr/local"):
        folders += Path(base).glob("lib/python3*/*-packages")
    return [folder for folder in dict.fromkeys(folders) if folder.is_dir()]
