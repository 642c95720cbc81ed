"""Install d2l_bn, editable, and what it needs at the pinned versions, in a virtual environment.

`setup_venv.py FOLDER [EXTRA ...]` does nothing where that has been done before, so it needs the
network once. It uses the Python that runs it and nothing but that Python's standard library.
"""

import contextlib
import ctypes
import fcntl
import hashlib
import json
import os
import platform
import runpy
import shutil
import subprocess
import sys


def main(folder, extras):
    """Make or complete the environment ``folder``, unless it is ready for ``extras``."""
    check_machine()
    with open(f"{folder}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # `make -j` may start two of us
        note = os.path.join(folder, "ready.json")
        made = read(note)
        key = fingerprint()
        if made.get("key") == key and set(extras) <= set(made["extras"]):
            return
        extras = sorted({*extras, *made.get("extras", [])})
        if made.get("key") != key:
            with contextlib.suppress(FileNotFoundError):
                os.remove(note)  # first, so that nothing half-made is ever taken for ready
            shutil.rmtree(folder, ignore_errors=True)
            print(f"Setting up {folder} for Python {platform.python_version()}, once", flush=True)
            run(sys.executable, "-m", "venv", folder)
        print("Installing packages: half a minute to a few, 400 MB", flush=True)
        install(os.path.join(folder, "bin", "python"), extras)
        with open(note, "w") as file:
            json.dump({"key": key, "extras": extras}, file)


def check_machine():
    """Exit with the reason and the remedy if MXNet or ``venv`` can't work here."""
    if sys.version_info < (3, 9):  # noqa: UP036 (this is what tells)
        sys.exit(
            f"d2l_bn needs Python 3.9 or newer, and this is {platform.python_version()}. "
            "Choose another: PYTHON=python3.11 make ..."
        )
    compat = runpy.run_path("d2l_bn/_compat.py")
    if (platform.system(), platform.machine()) not in compat["PLATFORMS"]:
        sys.exit(compat["_explain"](ImportError()))
    if platform.system() == "Linux":
        try:
            for library in ("libgomp.so.1", "libquadmath.so.0"):
                ctypes.CDLL(library)
        except OSError as error:
            sys.exit(compat["_explain"](error))
    try:
        import ensurepip  # noqa: F401
    except ImportError:
        version = f"{sys.version_info[0]}.{sys.version_info[1]}"
        sys.exit(
            f"Python {version} lacks what makes virtual environments. Install it: "
            f"apt-get install python3-venv (or python{version}-venv)"
        )


def read(note):
    """Return what the environment's note says, or an empty dict where there is none."""
    try:
        with open(note) as file:
            return json.load(file)
    except (OSError, ValueError):
        return {}


def fingerprint():
    """Return a text that changes when the environment has to be made anew."""
    parts = [os.getcwd(), os.path.realpath(sys.executable), platform.python_version()]
    with open("constraints.txt") as file:
        parts.append(file.read())
    with open("pyproject.toml") as file:
        parts.append(file.read().split("\n[tool.")[0])  # what follows installs nothing
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def install(python, extras):
    """Install with pip: pip's own pinned version first, MXNet last and without its dependencies."""
    pip = [python, "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
    run(*pip, "-c", "constraints.txt", "pip", "setuptools")
    project = f".[{','.join(extras)}]" if extras else "."
    run(*pip, "-c", "constraints.txt", "--no-build-isolation", "-e", project)
    run(*pip, "--no-deps", "mxnet==1.9.1")


def run(*command):
    """Run a command; where it fails, exit and say so."""
    if subprocess.call(command):
        sys.exit(f"Setup failed, see above (it needs the network, this once): {' '.join(command)}")


if __name__ == "__main__":
    try:
        main(sys.argv[1], sys.argv[2:])
    except KeyboardInterrupt:
        sys.exit("\nSetup was interrupted. Run it again.")
