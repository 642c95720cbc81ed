"""The curves that are drawn while training."""

from __future__ import annotations

import subprocess
import sys
from types import ModuleType, SimpleNamespace

import pytest

from d2l_bn.figures import LiveCurves, notebook

CELLS = (
    "from d2l_bn.figures import LiveCurves\n"
    "row = dict(epoch=1, train_loss=1.0, train_accuracy=0.5, test_accuracy=0.5)\n"
    "live = LiveCurves('two runs')\n"
    "calls = live.follow('a', epochs=3, batches=60)\n"
    "print('kept')\n"
    "calls['on_epoch']([row])",
    "live.follow('b', epochs=3, batches=60)['on_epoch']([row])",
)


class Screen:
    """Stands for the notebook: keeps each figure that it is shown, and how."""

    def __init__(self):
        self.shown = []

    def display(self, figure, *, display_id):
        assert display_id is True
        self.shown.append(("display", figure))
        return SimpleNamespace(update=lambda figure: self.shown.append(("update", figure)))


@pytest.fixture
def screen(monkeypatch):
    module, screen = ModuleType("IPython.display"), Screen()
    module.display = screen.display
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    return screen


def row(epoch: int) -> dict:
    return {"epoch": epoch, "train_loss": 1.0, "train_accuracy": 0.5, "test_accuracy": 0.5}


def test_one_figure_is_shown_and_then_updated_after_each_epoch(screen):
    live = LiveCurves("a title")
    first = live.follow("a", epochs=2, batches=20)["on_epoch"]
    first([row(1)])
    first([row(1), row(2)])
    live.follow("b", epochs=2, batches=20)["on_epoch"]([row(1)])
    assert [how for how, _ in screen.shown] == ["display", *["update"] * 4]
    epochs = [[len(line.get_xdata()) for line in f.axes[0].lines] for _, f in screen.shown]
    assert epochs == [[0], [1], [2], [2, 0], [2, 1]]
    assert screen.shown[-1][1].get_suptitle() == "a title"


def test_it_moves_every_50_batches_on_fixed_axes_and_tells_the_time(screen, monkeypatch):
    clock = iter([0, 30, 45])  # seconds: at the start, after 100 batches, after the first epoch
    monkeypatch.setattr("d2l_bn.figures.notebook.time.monotonic", lambda: next(clock))
    monkeypatch.setattr("d2l_bn.figures.notebook.EVERY", 100)
    calls = LiveCurves().follow("a", epochs=2, batches=150)
    for batch in range(1, 151):
        calls["on_batch"](1, batch, 1.2, 0.6)
    calls["on_epoch"]([row(1)])
    calls["on_epoch"]([row(1), row(2)])
    empty, moved, one_epoch, end = (figure for _, figure in screen.shown)
    for axes in zip(empty.axes, moved.axes, one_epoch.axes, end.axes):
        assert len({axes_of.get_xlim() for axes_of in axes}) == 1
        assert len({axes_of.get_ylim() for axes_of in axes}) == 1
    assert moved.axes[0].lines[0].get_xydata().tolist() == [[100 / 150, 1.2]]
    words = "a: epoch 1 of 2, batch 100 of 150; 0:30 elapsed, about 1:00 left"
    assert moved.get_supxlabel() == words
    assert one_epoch.get_supxlabel() == "a: epoch 1 of 2; 0:45 elapsed, about 0:45 left"
    assert empty.get_supxlabel().strip() == end.get_supxlabel().strip() == ""


def test_the_number_of_batches_between_two_pictures():
    assert notebook.EVERY == 50


def test_histories_are_kept_as_they_were(screen):
    live, history = LiveCurves(), [row(1)]
    live.follow("a", epochs=2, batches=20)["on_epoch"](history)
    history.append(row(2))  # what fit does in the next epoch
    assert live.histories == {"a": [row(1)]}


@pytest.mark.slow
def test_ipython_is_imported_only_to_draw():
    code = "import sys; from d2l_bn.figures import LiveCurves; LiveCurves()"
    code += "; print('IPython' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_saved_notebook_keeps_one_figure_and_the_printed_text():
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in CELLS])
    nbclient.NotebookClient(notebook, kernel_name="python3").execute()
    first, second = (cell.outputs for cell in notebook.cells)
    assert [output.output_type for output in first] == ["display_data", "stream"]
    assert first[0].data["image/png"]
    assert first[1].text == "kept\n"
    assert second == []
