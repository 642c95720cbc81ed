"""One command sets the repository's address, and until then nothing points to one."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat", reason="the extra `notebooks` is not installed")
pytest.importorskip("nbclient", reason="the extra `notebooks` is not installed")

CHECKOUT = Path(__file__).parents[2]
sys.path.insert(0, str(CHECKOUT / "scripts"))
import address  # noqa: E402

import chapters  # noqa: E402

URL = "https://github.com/me/bn"
FILES = ("pyproject.toml", "CITATION.cff", "README.md")


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """The files that hold the address, in a folder of their own, with no address set."""
    for name in FILES:
        shutil.copy(CHECKOUT / name, tmp_path)
    for path in [*chapters.paths(), *chapters.exercises()]:
        target = tmp_path / path.relative_to(CHECKOUT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    monkeypatch.setattr(address, "ROOT", tmp_path)
    monkeypatch.setattr(chapters, "ROOT", tmp_path)
    monkeypatch.setattr(chapters, "CHAPTERS", tmp_path / "chapters")
    assert address.main(["none"]) == 0
    return tmp_path


def texts(folder):
    paths = [folder / name for name in FILES] + sorted(folder.glob("chapters/**/*.ipynb"))
    return {str(path.relative_to(folder)): path.read_text() for path in paths}


def test_it_stands_everywhere_and_goes_without_a_trace(copy):
    before = texts(copy)
    assert not [name for name, text in before.items() if URL in text]
    assert address.main([URL]) == 0
    after = texts(copy)
    assert [name for name, text in after.items() if URL not in text] == []
    assert f'Repository = "{URL}"' in after["pyproject.toml"]
    assert f'repository-code: "{URL}"' in after["CITATION.cff"]
    assert f"git clone {URL} d2l_bn" in after["README.md"]
    assert "colab.research.google.com/github/me/bn/blob/HEAD/chapters/1-" in after["README.md"]
    assert "mybinder.org/v2/gh/me/bn/HEAD?labpath=chapters%2F1-" in after["README.md"]
    for name, text in after.items():
        if name.endswith(".ipynb"):
            assert f"d2l-bn @ git+{URL}" in text
    assert address.main([URL]) == 0 and texts(copy) == after  # twice is once
    assert address.main(["none"]) == 0
    assert texts(copy) == before


def test_another_address_takes_its_place(copy):
    assert address.main(["https://example.org/a/b"]) == 0
    assert address.main([URL]) == 0
    assert not [name for name, text in texts(copy).items() if "example.org/a/b" in text]


@pytest.mark.parametrize(
    "given, expected",
    [
        ("git@github.com:me/bn.git", URL),
        ("ssh://git@github.com/me/bn", URL),
        ("https://token@github.com/me/bn.git", URL),
        ("https://github.com/me/bn/", URL),
        ("https://git.example.org:8443/a/b/c.git", "https://git.example.org:8443/a/b/c"),
    ],
)
def test_what_git_knows_becomes_what_a_browser_takes(given, expected):
    assert address.plain(given) == expected


@pytest.mark.parametrize("bad", ["/home/me/bn", "github.com/me/bn", 'https://x/"; import os'])
def test_what_is_no_address_changes_nothing(copy, bad, capsys):
    before = texts(copy)
    assert address.main([bad]) == 1
    assert "must begin with https://" in capsys.readouterr().err
    assert texts(copy) == before


def test_by_default_it_is_that_of_gits_remote(copy, capsys):
    git = ["git", "-C", str(copy)]
    subprocess.run([*git, "init", "-q"], check=True)
    assert address.main([]) == 1
    assert "git knows no remote: make address URL=" in capsys.readouterr().err
    subprocess.run([*git, "remote", "add", "origin", "git@github.com:me/bn.git"], check=True)
    assert address.main([]) == 0
    assert f'Repository = "{URL}"' in (copy / "pyproject.toml").read_text()


def test_a_hosted_notebook_is_linked_where_there_is_one():
    assert set(address.hosts(URL, "a.ipynb")) == {"Colab", "Binder"}
    assert address.hosts("https://git.example.org/me/bn", "a.ipynb") == {}


def test_without_an_address_the_first_cell_says_what_to_do(copy):
    cell = chapters.setup_cell()
    assert "make address" in cell and "README.md" in cell and "pip" not in cell
    compile(cell, "cell", "exec")
    python = [sys.executable, "-S", "-c", cell]  # -S: without what is installed
    done = subprocess.run(python, cwd=copy, capture_output=True, text=True, env={})
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("ImportError: d2l_bn is not installed")
