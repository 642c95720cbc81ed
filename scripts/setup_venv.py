"""Install d2l_bn, editable, and what it needs at the pinned versions, in a virtual environment.

This does nothing where it has been done before, so it needs the network once. It runs before
anything is installed, with nothing but the standard library of the Python that runs it.
"""

import argparse
import fcntl
import hashlib
import json
import os
import platform
import runpy
import shutil
import subprocess
import sys
from pathlib import Path


def main(arguments=None):
    """Make or complete the environment, unless it is ready for the extras."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="of the environment, such as .venv")
    parser.add_argument("extras", nargs="*", metavar="EXTRA", help="of pyproject.toml")
    options = parser.parse_args(arguments)
    check_machine()
    with open(__file__) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # `make -j` may start two of us
        complete(options.folder, set(options.extras))


def check_machine():
    """Exit with the reason and the remedy if MXNet or ``venv`` can't work here."""
    if sys.version_info < (3, 9):  # noqa: UP036 (this is what tells)
        sys.exit(
            f"d2l_bn needs Python 3.9 or newer, and this is {platform.python_version()}. "
            "Choose another: PYTHON=python3.11 make ..."
        )
    compat = runpy.run_path("d2l_bn/_compat.py")
    if (platform.system(), platform.machine()) not in compat["PLATFORMS"]:
        sys.exit(compat["_explain"](ImportError("nothing to install")))
    lacking = runpy.run_path("d2l_bn/libraries.py")["missing"]()
    try:
        import ensurepip  # noqa: F401
    except ImportError:  # Debian packs it by itself, for other Pythons as python3.12-venv
        lacking.append("python3-venv")
    if lacking:
        sys.exit(
            f"Python {platform.python_version()} and MXNet need packages of the system. "
            f"As root: apt-get install {' '.join(lacking)}"
        )


def complete(folder, extras):
    """Make the environment where it is missing or made for other pins, and add the extras.

    Its note names no pins until all is installed, so that nothing half-made is ever taken for
    ready. A folder without a note is somebody else's, and is left alone.
    """
    note, key = folder / "ready.json", fingerprint()
    try:
        made = json.loads(note.read_text())
    except (OSError, ValueError):
        made = {"key": None, "extras": []}
    if made["key"] == key and extras <= set(made["extras"]):
        return
    if not os.access(".", os.W_OK):
        sys.exit(f"{os.getcwd()} must be yours to write in. Clone the repository for yourself.")
    extras = sorted(extras.union(made["extras"]))
    if made["key"] != key:
        if folder.is_symlink() or (folder.exists() and any(folder.iterdir()) and not note.exists()):
            sys.exit(
                f"VENV must be a new folder, or one that this has made; {folder} holds something "
                "else. Choose another, make VENV=NAME ..., or delete it"
            )
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        note.write_text(json.dumps({"key": None, "extras": []}))
        print(f"Setting up {folder} for Python {platform.python_version()}, once", flush=True)
        run(sys.executable, "-m", "venv", str(folder))
    print("Installing packages: half a minute to a few, 400 MB", flush=True)
    install(folder / "bin" / "python", extras)
    note.write_text(json.dumps({"key": key, "extras": extras}))


def fingerprint():
    """Return a text that changes when the environment has to be made anew."""
    project = Path("pyproject.toml").read_text().split("\n[tool.")[0]  # the rest installs nothing
    pins = Path("constraints.txt").read_text()
    parts = [os.getcwd(), os.path.realpath(sys.executable), platform.python_version()]
    return hashlib.sha256("\n".join([*parts, pins, project]).encode()).hexdigest()


def install(python, extras):
    """Install with pip, its own pinned version first and MXNet last, and compile the operator."""
    pip = [str(python), "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
    run(*pip, "-c", "constraints.txt", "pip", "setuptools")
    project = f".[{','.join(extras)}]" if extras else "."
    run(*pip, "-c", "constraints.txt", "--no-build-isolation", "-e", project)
    run(*pip, "--no-deps", "mxnet==1.9.1")
    run(str(python), "-m", "d2l_bn.libraries")
    # Ahead of its first use. Where there is no compiler, it says so, and training goes on without.
    run(str(python), "-c", "from d2l_bn.nn import operator; operator.available()")


def run(*command):
    """Run a command; where it fails, exit and say so."""
    if subprocess.call(command):
        proxies = [name for name in os.environ if name.lower() in ("http_proxy", "https_proxy")]
        by = f", here through the proxy in {' and '.join(sorted(proxies))}" if proxies else ""
        sys.exit(
            f"Setup failed, see above. It needs the network, this once{by}: {' '.join(command)}"
        )


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("\nSetup was interrupted. Run it again.")
