"""The figures: what they show, and the form they are shown in."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from matplotlib.colors import to_hex
from PIL import Image

from d2l_bn import figures
from d2l_bn.figures.predictions import RIGHT, WRONG

NAMES = ("shirt", "coat")


def history(*test_accuracies: float) -> list[dict]:
    return [
        {"epoch": e, "train_loss": 1 / e, "train_accuracy": a - 0.1, "test_accuracy": a}
        for e, a in enumerate(test_accuracies, 1)
    ]


def texts(legend) -> list[str]:
    return [text.get_text() for text in legend.get_texts()]


def png(figure) -> np.ndarray:
    with Image.open(BytesIO(figure._repr_png_())) as image:
        return np.asarray(image.convert("RGB"))


def test_curves_show_every_run():
    figure = figures.curves({"a": history(0.6, 0.7, 0.8), "b": history(0.5, 0.4)}, "two runs")
    left, right = figure.axes
    losses = [(list(line.get_xdata()), list(line.get_ydata())) for line in left.lines]
    assert losses == [([1, 2, 3], [1, 1 / 2, 1 / 3]), ([1, 2], [1, 1 / 2])]
    accuracies = [list(line.get_ydata()) for line in right.lines]
    assert accuracies[1::2] == [[0.6, 0.7, 0.8], [0.5, 0.4]]
    assert accuracies[0] == pytest.approx([0.5, 0.6, 0.7])
    assert texts(left.get_legend()) == ["a", "b"]
    assert texts(right.get_legend()) == ["training images", "test images"]


def test_runs_differ_in_more_than_colour():
    lines = figures.curves({"a": history(0.6), "b": history(0.5)}).axes[0].lines
    assert len({line.get_color() for line in lines}) == 2
    assert len({line.get_marker() for line in lines}) == 2
    # Two runs with equal curves: the second must not hide the first.
    assert lines[0].get_linewidth() > lines[1].get_linewidth()


def test_one_run_without_a_label():
    left, _ = figures.curves({"": history(0.6, 0.7)}).axes
    assert left.get_legend() is None


def test_more_runs_than_colours():
    assert len(figures.curves({str(i): history(0.5) for i in range(9)}).axes[0].lines) == 9


def test_a_run_that_has_not_begun():
    assert png(figures.curves({"a": []})).shape == (360, 900, 3)


def test_prediction_grid_names_right_and_wrong():
    images = np.zeros((7, 16, 16), np.uint8)
    chances = np.tile([[0.75, 0.25]], (7, 1))
    labels = np.array([0, 0, 1, 0, 0, 0, 1])
    axes = figures.prediction_grid(images, chances, NAMES, labels).axes
    captions = [a.get_title() for a in axes]
    assert len(axes) == 12  # two rows of six, five of them empty
    assert captions[0] == "shirt 75%"
    assert captions[2] == "shirt 75%\n(truth: coat)"
    assert captions[7:] == [""] * 5
    assert [a.title.get_color() for a in axes[:3]] == [RIGHT, RIGHT, WRONG]


def test_prediction_grid_without_classes():
    axes = figures.prediction_grid(
        np.zeros((1, 16, 16), np.uint8), np.array([[0.1, 0.9]]), NAMES
    ).axes
    assert [a.get_title() for a in axes] == ["coat 90%"]


def test_confusions_of_256_classes_name_some():
    """A text for each of 65,536 counts took minutes."""
    axes = figures.confusions(np.eye(256, dtype=int), [*map(str, range(256))]).axes[0]
    assert axes.get_yticks().tolist() == list(range(0, 256, 8)) and not axes.texts


def test_confusions_have_the_class_below_and_the_prediction_beside():
    axes = figures.confusions(np.array([[8, 2], [0, 5]]), NAMES).axes[0]
    assert {t.get_position(): t.get_text() for t in axes.texts} == {
        (0, 0): "8",
        (1, 0): "2",  # class 0, taken for 1: column 1, row 0
        (1, 1): "5",
    }
    assert [t.get_text() for t in axes.get_yticklabels()] == list(NAMES)
    np.testing.assert_allclose(axes.images[0].get_array(), [[0.8, 0.2], [0, 1]])


def test_layer_histograms_give_the_deviation_over_images():
    # Two units that differ between them, but hardly from image to image: 5 or 7, and 0 or 2.
    still = np.array([[5.0, 0.0], [7.0, 2.0]])
    lively = np.array([[-10.0, 10.0], [10.0, -10.0]])
    stages = {"before": {"a": [still], "b": [lively]}, "after": {"a": [lively], "b": [still]}}
    figure = figures.layer_histograms(stages, ["dense"], "value")
    assert [a.get_title() for a in figure.axes] == [
        "dense, before\ndeviation 1 and 10",
        "dense, after\ndeviation 10 and 1",
    ]
    assert texts(figure.axes[0].get_legend()) == ["a", "b"]


def test_layer_histograms_count_every_value_but_the_farthest():
    values = np.random.default_rng(0).normal(size=(1000, 10))
    axes = figures.layer_histograms({"now": {"a": [values]}}, ["dense"], "value").axes[0]
    shares, edges, _ = axes.patches[0].get_data()
    assert shares.sum() == pytest.approx(0.999, abs=2e-4)
    inside = ((values >= edges[20]) & (values < edges[21])).mean()
    assert shares[20] == pytest.approx(inside)


def test_scales_and_shifts_have_a_mark_per_channel():
    gamma, beta = np.array([[1.0, 2.0, 3.0]]), np.array([[-1.0, 0.0, 1.0]])
    figure = figures.scales_and_shifts({"a": [(gamma, beta), (beta, gamma)]}, ["one", "two"])
    first, second = figure.axes
    assert first.lines[0].get_xydata().tolist() == [[-1, 1], [0, 2], [1, 3]]
    assert second.lines[0].get_xydata().tolist() == [[1, -1], [2, 0], [3, 1]]
    assert first.lines[1].get_xydata().tolist() == [[0, 1]]  # where gamma and beta start


def test_a_figure_in_a_notebook_has_the_colours_it_was_drawn_in():
    figure, axes = figures.new_figure(size=(3, 2))
    (line,) = axes.plot([0, 1], [0.5, 0.5], lw=20)
    assert to_hex(line.get_color()).upper() == figures.COLOURS[0]
    pixels = png(figure)
    assert pixels.shape == (200, 300, 3)
    wanted = [int(figures.COLOURS[0][i : i + 2], 16) for i in (1, 3, 5)]
    assert (np.abs(pixels.astype(int) - wanted).max(axis=2) < 4).mean() > 0.05


def test_the_same_figure_is_the_same_bytes():
    one, two = (figures.curves({"a": history(0.6, 0.7)})._repr_png_() for _ in range(2))
    assert one == two


def test_dollars_are_no_mathematics(tmp_path):
    """A class or a folder may be called so; Matplotlib would fail to read it."""
    name = r"$\frac{x$"
    images, chances = np.zeros((1, 16, 16), np.uint8), np.array([[0.1, 0.9]])
    row = dict.fromkeys(("epoch", "train_loss", "train_accuracy", "test_accuracy"), 1)
    for figure in (
        figures.prediction_grid(images, chances, [name, name + "2"], [0], name),
        figures.confusions(np.eye(2, dtype=int), [name, name + "2"], name),
        figures.curves({name: [row]}, name),
    ):
        figures.save(figure, tmp_path / "figure.png")


def test_saving_leaves_one_picture(tmp_path):
    figures.save(figures.curves({"a": history(0.6)}), tmp_path / "curves.png")
    assert [path.name for path in tmp_path.iterdir()] == ["curves.png"]
    with Image.open(tmp_path / "curves.png") as image:
        assert image.size == (1350, 540)
