"""The system's libraries that MXNet asks for: which are missing, and on 64-bit Arm links to them.

MXNet's wheel for 64-bit Arm was built with libraries of Arm's that it doesn't carry. It calls
nothing of theirs but BLAS, LAPACK and mathematical functions, which the system has under other
names. So links beside MXNet lead from those names to these. After an installation with pip::

    python -m d2l_bn.libraries

This needs nothing but the standard library, and doesn't import MXNet.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import platform
import sys
from pathlib import Path

# For each processor, the libraries for Linux, and the packages of Debian that have them.
NEEDED = {
    "x86_64": {"libgomp.so.1": "libgomp1", "libquadmath.so.0": "libquadmath0"},
    "aarch64": {
        "libgomp.so.1": "libgomp1",
        "libopenblas.so.0": "libopenblas0",
        "liblapacke.so.3": "liblapacke",
    },
}
LINKS = {
    "libarmpl_lp64_mp.so": "libopenblas.so.0",
    "libastring.so": "liblapacke.so.3",
    "libamath.so": "libm.so.6",
}


def missing() -> list[str]:
    """Return the packages of Debian whose libraries can't be loaded here."""
    needed = NEEDED.get(platform.machine(), {}) if platform.system() == "Linux" else {}
    return [package for library, package in needed.items() if not _loads(library)]


def link(folder: Path) -> None:
    """Make the links in MXNet's folder, anew where they lead elsewhere.

    Raises
    ------
    OSError
        If a library is missing, or the folder can't be written to.
    """
    for name, library in LINKS.items():
        path, target = folder / name, _place(library)
        if path.is_symlink() and os.readlink(path) == target:
            continue
        path.unlink(missing_ok=True)
        path.symlink_to(target)
        print(f"{path} -> {target}")


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def _place(library: str) -> str:
    """Where the loader finds a library, by glibc's ``dlinfo``: its folder differs by system."""

    class LinkMap(ctypes.Structure):
        _fields_ = (("address", ctypes.c_void_p), ("path", ctypes.c_char_p))

    found = ctypes.POINTER(LinkMap)()
    handle = ctypes.c_void_p(ctypes.CDLL(library)._handle)
    rtld_di_linkmap = 2
    ctypes.CDLL(None).dlinfo(handle, rtld_di_linkmap, ctypes.byref(found))
    return os.fsdecode(found.contents.path)


def main() -> None:
    """Print the missing packages alone with ``--packages``, or exit if there are any, or link."""
    packages = " ".join(missing())
    if "--packages" in sys.argv[1:]:
        print(packages)
    elif packages:
        sys.exit(f"MXNet needs libraries of the system. As root: apt-get install {packages}")
    elif (platform.system(), platform.machine()) == ("Linux", "aarch64"):
        mxnet = importlib.util.find_spec("mxnet")
        if mxnet is None or mxnet.origin is None:
            sys.exit("MXNet is missing. Run: pip install --no-deps mxnet==1.9.1")
        try:
            link(Path(str(mxnet.origin)).parent)
        except OSError as error:
            sys.exit(
                f"MXNet's folder must be yours to write in: {error}. Use a virtual environment"
            )


if __name__ == "__main__":
    main()
