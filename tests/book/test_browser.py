"""The chapters in JupyterLab, in a real browser: live curves, figures, and an explorable."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import browser as browsers
import pytest

from tests.classroom import submissions

pytest.importorskip("jupyterlab", reason="the extra `notebooks` is not installed")
pytest.importorskip("selenium", reason="selenium is not installed")

pytestmark = [pytest.mark.slow, pytest.mark.browser]
CHECKOUT = Path(__file__).parents[2]
FOLDERS = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
PATIENCE = 600  # seconds, for a busy machine: what comes earlier is not waited for
# Only cells on the screen are in the page otherwise.
SETTINGS = '{"windowingMode": "none", "scrollPastEnd": false}'
READY = """
const app = window.jupyterapp, panel = app && app.shell.currentWidget;
const kernel = panel && panel.sessionContext && panel.sessionContext.session?.kernel;
return Boolean(kernel && panel.sessionContext.isReady && kernel.status === "idle");
"""
# The pictures that the page shows, each address once, in the order of their appearance.
WATCH = """
window.seen = [];
const look = () => document.querySelectorAll('img[src^="data:image/png"]').forEach(image => {
    const cell = image.closest(".jp-CodeCell");
    const place = [...document.querySelectorAll(".jp-Cell")].indexOf(cell);
    if (!window.seen.some(([p, src]) => p === place && src === image.src))
        window.seen.push([place, image.src]);
});
new MutationObserver(look).observe(
    document.body, {subtree: true, childList: true, attributes: true, attributeFilter: ["src"]});
"""
OUTPUTS = """
return window.jupyterapp.shell.currentWidget.content.model.toJSON().cells
    .filter(cell => cell.cell_type === "code")
    .map(cell => [cell.id, cell.execution_count, cell.outputs.map(output => output.output_type)]);
"""

SHUT_DOWN = """
const app = window.jupyterapp, done = arguments[0];
app ? app.serviceManager.sessions.shutdownAll().then(done) : done();
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """JupyterLab's address, and its copy of the chapters; it has no settings of this user."""
    browsers.needed()
    folder = tmp_path_factory.mktemp("lab")
    shutil.copytree(CHECKOUT / "chapters", folder / "chapters")
    for path in (folder / "chapters").glob("*.ipynb"):  # what is seen is then what was run
        notebook = json.loads(path.read_text())
        for cell in notebook["cells"]:
            if cell["cell_type"] == "code":
                cell["outputs"] = []
        path.write_text(json.dumps(notebook))
    settings = folder / "settings" / "@jupyterlab" / "notebook-extension"
    settings.mkdir(parents=True)
    (settings / "tracker.jupyterlab-settings").write_text(SETTINGS)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
    command += ["--LabApp.expose_app_in_browser=True", f"--ServerApp.root_dir={folder}/chapters"]
    command += [f"--LabApp.user_settings_dir={folder}/settings", "--LabApp.news_url="]
    command += [
        f"--ServerApp.port={port}",
        "--ServerApp.port_retries=0",
        "--IdentityProvider.token=",
    ]
    environment = {**os.environ, **{name: str(folder / name) for name in FOLDERS}}
    environment.update(PYTHONPATH=str(CHECKOUT))
    address = f"http://127.0.0.1:{port}"
    with open(folder / "log", "w") as log:
        server = subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=log)
        try:
            wait(lambda: server.poll() is not None or answers(f"{address}/api"))
            assert server.poll() is None, (folder / "log").read_text()
            yield address, folder / "chapters"
        finally:
            server.terminate()
            server.wait(PATIENCE)


def answers(address):
    with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=5) as answer:
        return answer.status == 200


def wait(condition):
    """Wait until `condition()` is true, and return what it gave."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.2)
    raise AssertionError(f"waited {PATIENCE} s in vain for {condition.__name__}")


@pytest.fixture(scope="module")
def window(tmp_path_factory):
    with browsers.opened(tmp_path_factory.mktemp("browser")) as browser:
        browsers.size(browser, 1280, 1600)
        browser.set_script_timeout(PATIENCE)
        yield browser


@pytest.fixture
def browser(lab, window):
    """The browser, which asks nobody but JupyterLab for anything, and leaves no kernel behind."""
    browsers.asked(window)
    yield window
    asked = [url for url in browsers.asked(window) if url.startswith("http")]
    assert asked and [url for url in asked if not url.startswith(lab[0])] == []
    window.execute_async_script(SHUT_DOWN)


def open_notebook(browser, address, name):
    """Open a notebook alone, whatever was open before, and wait for its kernel."""
    browser.get(f"{address}/lab/tree/{name}?reset")
    wait(lambda: browser.execute_script(READY))


def chapter(number):
    """The file name of a chapter."""
    return next((CHECKOUT / "chapters").glob(f"{number}-*.ipynb")).name


def run_all(browser, address, name):
    """Open a notebook, run all its cells, and return (cell id, count, kinds of outputs) of each."""
    open_notebook(browser, address, name)
    commands = "window.jupyterapp.commands.execute"
    browser.execute_script(WATCH)
    browser.execute_script(f"{commands}('notebook:run-all-cells')")
    cells = wait(lambda: all_counted(browser.execute_script(OUTPUTS)))
    assert not [cell for cell, _, kinds in cells if "error" in kinds]
    assert not browser.find_elements("css selector", "[data-mime-type*=error]")
    return cells


def change(path, edit):
    """Let `edit` change the list of a notebook's cells."""
    notebook = json.loads(path.read_text())
    edit(notebook["cells"])
    path.write_text(json.dumps(notebook))


def all_counted(cells):
    return cells if all(count for _, count, _ in cells) else None


def pictures(browser, cell_id):
    """The pictures that were seen below a cell, first to last."""
    ids = browser.execute_script(
        "return window.jupyterapp.shell.currentWidget.content.model.toJSON().cells.map(c => c.id)"
    )
    seen = browser.execute_script("return window.seen")
    return [source for place, source in seen if place == ids.index(cell_id)]


def until_the_curves(cells):
    """What chapter 3 needs for the curves, of two epochs; its own test runs all cells."""
    del cells[1 + [cell["id"] for cell in cells].index("train-three") :]
    others = ("loop-", "swap", "watch", "race")
    cells[:] = [cell for cell in cells if not cell["id"].startswith(others)]
    (chosen,) = [cell for cell in cells if any("epochs=10," in line for line in cell["source"])]
    chosen["source"] = "".join(chosen["source"]).replace("epochs=10,", "epochs=2,")


def test_the_curves_grow_while_lenet_trains(lab, browser):
    address, folder = lab
    change(folder / chapter(3), until_the_curves)
    run_all(browser, address, chapter(3))
    shown = pictures(browser, "train-three")
    assert len(shown) >= 8  # three runs of two epochs, some of them in the middle, too
    final = browser.find_elements("css selector", f'img[src="{shown[-1]}"]')
    assert len(final) == 1 and final[0].size["height"] > 200
    images = browser.find_elements(
        "css selector", '.jp-OutputArea-output img[src^="data:image/png"]'
    )
    assert len(images) == 2  # garments and curves


def test_the_explorable_runs(lab, browser):
    run_all(browser, lab[0], chapter(1))
    browser.switch_to.frame(browser.find_element("css selector", "iframe.explorable"))
    assert browser.execute_script("return document.documentElement.className") == "runs"
    browser.switch_to.default_content()


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """The first exercise, as students get it."""
    pytest.importorskip("nbgrader", reason="the extra `classroom` is not installed")
    from classroom import EXERCISES
    from classroom.release import release

    folder = tmp_path_factory.mktemp("release")
    release(EXERCISES, folder, only=["1"])
    return folder


@pytest.mark.parametrize(
    "student, words",
    [
        ("unbiased", "your variance divides by n - 1"),
        ("detached", "the variance is cut from the graph"),
    ],
)
def test_a_student_reads_what_is_wrong(lab, browser, released, student, words):
    address, folder = lab
    written = submissions.HONEST[student][0]

    def answer(cells):
        for cell in cells:
            cell["source"] = written.get(cell["id"], cell["source"])

    shutil.copy(released / submissions.NAME, folder)
    change(folder / submissions.NAME, answer)
    open_notebook(browser, address, submissions.NAME)
    run = "window.jupyterapp.commands.execute('notebook:run-all-cells').then(arguments[0])"
    browser.execute_async_script(run)

    def shown():
        return "\n".join(
            area.text for area in browser.find_elements("css selector", ".jp-OutputArea-output")
        )

    wait(lambda: words in " ".join(shown().split()))
    assert "Traceback" not in shown() and "Error" not in shown()
