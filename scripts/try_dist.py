"""Try the source distribution and the wheel, each in a fresh environment, as a user would."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONSTRAINTS = str(ROOT / "constraints.txt")
PROGRAM = """
import d2l_bn
import mxnet as mx
from d2l_bn.data import load

assert "site-packages" in d2l_bn.__file__, d2l_bn.__file__
data = load("auto", download=False)
net = d2l_bn.lenet(d2l_bn.BatchNorm)
net.initialize()
print("d2l_bn", d2l_bn.__version__, net(mx.nd.zeros((2, 1, 28, 28))).shape, data.name)
"""


def main() -> int:
    """Install what is in the folder, and train for one epoch on the sample without a network."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "dist")
    folder = parser.parse_args().folder.resolve()
    for pattern in ("*.whl", "*.tar.gz"):
        files = sorted(folder.glob(pattern))
        if len(files) != 1:
            sys.exit(
                f"{folder} must hold one {pattern}, got {len(files)}; delete it, and: make dist"
            )
        print(f"== {files[0].name}", flush=True)
        with tempfile.TemporaryDirectory() as work:
            try_one(files[0], Path(work))
    return 0


def try_one(file: Path, work: Path) -> None:
    """Install one file, import it, and run its program."""
    python = str(work / "env" / "bin" / "python")
    # Without this checkout, and with a proxy where nobody listens once all is installed.
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    offline = {**clean, "https_proxy": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"}
    offline["D2L_BN_DATA"] = str(work / "cache")

    def run(*command: str, env: dict[str, str] = offline) -> None:
        subprocess.run(command, cwd=work, env=env, check=True)

    run(sys.executable, "-m", "venv", str(work / "env"), env=clean)
    pip = (python, "-m", "pip", "install", "-q", "--disable-pip-version-check")
    run(*pip, "-c", CONSTRAINTS, str(file), env=clean)
    run(*pip, "--no-deps", "mxnet==1.9.1", env=clean)
    run(python, "-c", PROGRAM)
    program = str(work / "env" / "bin" / "d2l-bn")
    run(program, "train", "--data", "sample", "--epochs", "1")
    run(program, "evaluate")


if __name__ == "__main__":
    sys.exit(main())
