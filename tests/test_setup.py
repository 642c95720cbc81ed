"""scripts/setup_venv.py: says what is missing, installs once, and is never fooled by half a job."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

CHECKOUT = Path(__file__).parent.parent


@pytest.fixture
def setup(tmp_path, monkeypatch):
    """The script's names, in an empty checkout, with its commands written down and not run."""
    for name in ("constraints.txt", "pyproject.toml", "d2l_bn/_compat.py", "d2l_bn/libraries.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text((CHECKOUT / name).read_text())
    monkeypatch.chdir(tmp_path)
    names = runpy.run_path(str(CHECKOUT / "scripts/setup_venv.py"))
    commands = []

    def run(*command):
        commands.append(" ".join(command))
        Path("env").mkdir(exist_ok=True)

    names["main"].__globals__["run"] = run

    def main(folder, extras):
        names["main"]([folder, *extras])

    return SimpleNamespace(main=main, names=names["main"].__globals__, commands=commands)


def test_installs_once(setup):
    setup.main("env", [])
    kinds = [line.split()[1:3] for line in setup.commands]
    assert kinds == [
        ["-m", "venv"],
        *3 * [["-m", "pip"]],
        ["-m", "d2l_bn.libraries"],
        ["-c", "from"],
    ]
    assert setup.commands[2].endswith("-c constraints.txt --no-build-isolation -e .")
    assert setup.commands[3].endswith("--no-deps mxnet==1.9.1")
    del setup.commands[:]
    setup.main("env", [])
    assert setup.commands == []


def test_a_folder_of_somebody_else_is_left_alone(setup, tmp_path):
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "thesis.txt").write_text("all of it")
    (tmp_path / "link").symlink_to("theirs")
    for name in ("theirs", "link"):
        with pytest.raises(SystemExit, match=f"VENV must be a new folder.*; {name} holds some"):
            setup.main(name, [])
    assert (tmp_path / "theirs" / "thesis.txt").read_text() == "all of it"
    assert setup.commands == []


def test_an_extra_is_added_and_the_others_kept(setup):
    setup.main("env", ["test"])
    del setup.commands[:]
    setup.main("env", ["lint"])
    assert len(setup.commands) == 5  # no new environment
    assert setup.commands[1].endswith("-e .[lint,test]")
    del setup.commands[:]
    setup.main("env", ["test", "lint"])
    setup.main("env", [])
    assert setup.commands == []


@pytest.mark.parametrize("name", ["constraints.txt", "pyproject.toml"])
def test_made_anew_when_the_pins_change(setup, name):
    setup.main("env", [])
    Path(name).write_text("# changed\n" + Path(name).read_text())
    del setup.commands[:]
    setup.main("env", [])
    assert " -m venv env" in setup.commands[0]


def test_not_made_anew_when_a_tool_is_configured(setup):
    setup.main("env", [])
    Path("pyproject.toml").write_text(Path("pyproject.toml").read_text() + "\n[tool.other]\na = 1")
    del setup.commands[:]
    setup.main("env", [])
    assert setup.commands == []


def test_made_anew_for_another_python(setup, monkeypatch):
    setup.main("env", [])
    monkeypatch.setattr(sys, "executable", "/usr/bin/another")
    del setup.commands[:]
    setup.main("env", [])
    assert setup.commands[0] == "/usr/bin/another -m venv env"


@pytest.mark.parametrize("words", ["-m venv", "-e .", "--no-deps mxnet"])
def test_interrupted_setup_starts_afresh(setup, words):
    run = setup.names["run"]

    def interrupted(*command):
        run(*command)
        if words in " ".join(command):
            raise KeyboardInterrupt

    setup.names["run"] = interrupted
    with pytest.raises(KeyboardInterrupt):
        setup.main("env", [])
    Path("env/half").touch()
    setup.names["run"] = run
    setup.main("env", [])
    assert not Path("env/half").exists()
    assert json.loads(Path("env/ready.json").read_text())["extras"] == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_the_checkout_of_another_user_is_only_used(setup):
    os.chmod(".", 0o500)
    try:
        with pytest.raises(SystemExit, match="must be yours to write in"):
            setup.main("env", [])
        assert setup.commands == []
    finally:
        os.chmod(".", 0o700)


def test_failing_command_ends_the_setup(capfd):
    names = runpy.run_path(str(CHECKOUT / "scripts/setup_venv.py"))
    with pytest.raises(SystemExit, match=r"needs the network"):
        names["run"](sys.executable, "-c", "raise SystemExit(3)")


def test_old_python_is_refused(setup, monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 8, 18))
    with pytest.raises(SystemExit, match=r"needs Python 3.9 or newer.*PYTHON="):
        setup.main("env", [])


def test_machine_without_mxnet_is_refused(setup, monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(SystemExit, match=r"riscv64.*Docker"):
        setup.main("env", [])


@pytest.mark.skipif(sys.platform != "linux", reason="the packages are Debian's")
def test_missing_packages_are_named(setup, monkeypatch):
    def load(name):
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr("ctypes.CDLL", load)
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    monkeypatch.setitem(sys.modules, "ensurepip", None)
    names = "libgomp1 libopenblas0 liblapacke python3-venv"
    with pytest.raises(SystemExit, match=f"apt-get install {names}$"):
        setup.main("env", [])
    assert setup.commands == []


def test_finds_this_python_and_no_other():
    code = (
        "import sys, test_all; v = '%d.%d' % sys.version_info[:2]; "
        "assert test_all.find('3.1') is None; print(v, test_all.find(v))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=CHECKOUT / "scripts", capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    version, command = done.stdout.split()
    if command == "None":
        pytest.skip("the interpreter that runs the tests is not on the path")
    assert version in subprocess.run([command, "-V"], capture_output=True, text=True).stdout
