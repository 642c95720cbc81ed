"""A hosted notebook has a Python of its own, NumPy 2 and no d2l_bn: the first cell installs it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat", reason="the extra `notebooks` is not installed")
nbclient = pytest.importorskip("nbclient", reason="the extra `notebooks` is not installed")
from jupyter_client import AsyncKernelManager  # noqa: E402
from jupyter_client.kernelspec import KernelSpec  # noqa: E402

CHECKOUT = Path(__file__).parents[2]
sys.path.insert(0, str(CHECKOUT / "scripts"))
import test_all  # noqa: E402

import chapters  # noqa: E402

UNCOMPILED = {**os.environ, "PIP_COMPILE": "0"}  # Python compiles what is imported
CHECK = """\
import sys, numpy
print(sys.version_info[:2], numpy.__version__, d2l_bn.__file__)
"""


@pytest.fixture(scope="module")
def hosted(tmp_path_factory):
    """A Python 3.13 with a kernel and NumPy 2."""
    found = test_all.find("3.13")
    if found is None:
        pytest.skip("no Python 3.13 on this machine")
    folder = tmp_path_factory.mktemp("hosted")
    subprocess.run([found, "-m", "venv", folder / "venv"], check=True)
    python = folder / "venv" / "bin" / "python"
    pip = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    packages = ["ipykernel", "numpy>=2", "matplotlib"]
    if subprocess.run([*pip, *packages], env=UNCOMPILED).returncode:
        pytest.skip("no network, or no packages for Python 3.13")
    return python


def kernel(python):
    """A kernel manager that starts `python`."""

    class Hosted(AsyncKernelManager):
        @property
        def kernel_spec(self):
            command = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
            return KernelSpec(argv=command, display_name="hosted", language="python")

    return Hosted


@pytest.mark.slow
def test_the_first_cell_installs_what_a_chapter_needs(hosted, tmp_path):
    notebook = nbformat.read(chapters.paths()[0], as_version=4)
    setup = next(cell for cell in notebook.cells if cell.id == "setup")
    setup.source = chapters.setup_cell(f"file://{CHECKOUT}")
    notebook.cells.append(nbformat.v4.new_code_cell(CHECK))
    environment = {k: v for k, v in UNCOMPILED.items() if k != "PYTHONPATH"}
    client = nbclient.NotebookClient(
        notebook,
        timeout=900,
        kernel_manager_class=kernel(hosted),
        resources={"metadata": {"path": str(tmp_path)}},
    )
    client.execute(env={**environment, "IPYTHONDIR": str(tmp_path / "profile")})
    version, numpy, place = re.match(
        r"(\(.+\)) (\S+) (\S+)", notebook.cells[-1].outputs[0].text
    ).groups()
    assert version == "(3, 13)" and numpy.startswith("2.")
    assert place.startswith(str(hosted.parent.parent))
    said = [output.get("text", "") for output in setup.outputs]
    assert not [text for text in said if "ERROR" in text], said
