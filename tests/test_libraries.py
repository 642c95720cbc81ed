"""d2l_bn/libraries.py: names missing packages, and links what MXNet's wheel for Arm asks for."""

from __future__ import annotations

import ctypes
import sys
from types import SimpleNamespace

import pytest

from d2l_bn import libraries

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="these libraries are Linux's")


@pytest.fixture
def on_arm(monkeypatch, tmp_path):
    """A machine that says it is Arm, with MXNet in a folder; its libraries are ours."""
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    monkeypatch.setattr(libraries, "NEEDED", {"aarch64": {"libgomp.so.1": "libgomp1"}})
    here = {"libarmpl_lp64_mp.so": "libgomp.so.1", "libamath.so": "libm.so.6"}
    monkeypatch.setattr(libraries, "LINKS", here)
    mxnet = SimpleNamespace(origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: mxnet)
    monkeypatch.setattr(sys, "argv", ["libraries"])
    return tmp_path


def test_links_lead_to_the_libraries_of_the_system(on_arm, capsys):
    (on_arm / "libamath.so").symlink_to("/of/an/older/system")
    libraries.main()
    assert capsys.readouterr().out.count(" -> ") == 2
    assert ctypes.CDLL(str(on_arm / "libarmpl_lp64_mp.so")).omp_get_max_threads() > 0
    assert ctypes.CDLL(str(on_arm / "libamath.so")).cosf
    libraries.main()
    assert capsys.readouterr().out == ""


def test_folder_that_cannot_be_written_to(on_arm, monkeypatch):
    mxnet = SimpleNamespace(origin=str(on_arm / "not there" / "__init__.py"))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: mxnet)
    with pytest.raises(SystemExit, match=r"must be yours to write in.*virtual environment"):
        libraries.main()


def test_missing_mxnet(on_arm, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SystemExit, match="pip install --no-deps mxnet=="):
        libraries.main()


@pytest.mark.parametrize(
    ("machine", "packages"),
    [("aarch64", "libgomp1 libopenblas0 liblapacke"), ("x86_64", "libgomp1 libquadmath0")],
)
def test_missing_libraries_are_named_by_their_packages(monkeypatch, capsys, machine, packages):
    def load(name):
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr("ctypes.CDLL", load)
    monkeypatch.setattr("platform.machine", lambda: machine)
    monkeypatch.setattr(sys, "argv", ["libraries"])
    with pytest.raises(SystemExit, match=f"apt-get install {packages}$"):
        libraries.main()
    sys.argv.append("--packages")
    libraries.main()
    assert capsys.readouterr().out == packages + "\n"
