"""The chapters run, and the committed ones can be read where they lie."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat", reason="the extra `notebooks` is not installed")
pytest.importorskip("nbclient", reason="the extra `notebooks` is not installed")

CHECKOUT = Path(__file__).parent.parent
sys.path.insert(0, str(CHECKOUT / "scripts"))
import chapters  # noqa: E402

ALL = [pytest.param(path, id=path.name[0]) for path in chapters.paths()]
# Setting up a kernel in the sandbox of the tests: no network but this machine's own.
OFFLINE = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}


def read(path):
    return nbformat.read(path, as_version=4)


def code(path):
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def test_there_are_chapters():
    assert len(ALL) >= 4


@pytest.mark.slow
@pytest.mark.parametrize("path", ALL)
def test_runs_on_the_sample(path):
    environment = {**os.environ, **OFFLINE, "D2L_BN_QUICK": "1"}
    command = [sys.executable, "scripts/chapters.py", path.name[0]]
    run = subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-4000:]
    for cell in code(CHECKOUT / "runs" / "chapters" / path.name):
        for output in cell.outputs:
            assert output.get("name") != "stderr", output.text


@pytest.mark.parametrize("path", ALL)
def test_is_a_valid_notebook(path):
    nbformat.validate(read(path))
    assert path.stat().st_size < 1e6
    assert read(path).metadata.kernelspec.name == "python3"
    ids = [cell.id for cell in read(path).cells]
    assert all(re.fullmatch(r"[a-z][a-z0-9-]*", cell_id) for cell_id in ids), ids


@pytest.mark.parametrize("path", ALL)
def test_is_committed_executed_and_stripped(path):
    assert read(path) == chapters.strip(read(path))
    outputs = [output for cell in code(path) for output in cell.outputs]
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 1
    for output in outputs:
        assert output.output_type != "error"
        assert output.get("name") != "stderr", output.text


@pytest.mark.parametrize("path", ALL)
def test_begins_with_the_setup_cell(path):
    assert code(path)[0].source == chapters.setup_cell()


@pytest.mark.parametrize("path", ALL)
def test_shows_no_path_of_a_machine(path):
    text = path.read_text()
    assert not re.search(r"/(root|home|work|Users|tmp)/", text)
    assert not re.search(r"site-packages", text)


@pytest.mark.parametrize("path", ALL)
def test_links_lead_somewhere(path):
    for cell in read(path).cells:
        if cell.cell_type == "markdown":
            for link in re.findall(r"\]\(([^)#\s]+)", cell.source):
                if not link.startswith(("http://", "https://", "attachment:")):
                    assert (path.parent / link).exists(), link


@pytest.mark.parametrize("path", ALL)
def test_has_the_parts_of_a_chapter(path):
    text = "\n".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")
    for part in (r"^# ", r"you can", r"^## Summary", r"^## Questions", r"^## Where to go next"):
        assert re.search(part, text, re.MULTILINE), part
    assert any("assert" in cell.source for cell in code(path))


@pytest.mark.skipif(os.environ.get("CI") is None, reason="looks at the state of the checkout in CI")
def test_running_leaves_the_checkout_clean():
    status = ["git", "status", "--porcelain"]
    assert subprocess.run(status, cwd=CHECKOUT, capture_output=True, text=True).stdout == ""
