"""The drawings: readable by machines and people, in both colours, with true numbers."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from d2l_bn.figures import drawings, poster
from d2l_bn.reference import mathematics

RUNS = {"with": [[0.5, 0.8, 0.9], [0.4, 0.7, 0.9]], "without": [[0.1, 0.2, 0.7]]}
ALL = {
    "normalizations": drawings.normalizations(),
    "data_flow": drawings.data_flow(),
    "lenet_shapes": drawings.lenet_shapes(),
    "memory": drawings.memory(),
    "two_contexts": drawings.two_contexts(),
    "shared_statistics": drawings.shared_statistics(),
    "backward_graph": drawings.backward_graph(),
    "poster": poster(),
    "with_and_without": drawings.with_and_without(RUNS, "LeNet"),
}
each = pytest.mark.parametrize("drawing", ALL.values(), ids=ALL)
SVG = "{http://www.w3.org/2000/svg}"


def words(drawing):
    return [element.text for element in ElementTree.fromstring(drawing.svg()).iter(f"{SVG}text")]


@each
def test_it_is_a_picture_with_words_in_place_of_it(drawing):
    root = ElementTree.fromstring(drawing._repr_svg_())
    assert root.get("role") == "img"
    assert len(root.get("aria-label").split()) >= 10
    assert root.get("viewBox") == f"0 0 {drawing.width} {drawing.height}"


@each
def test_it_names_no_colour_outside_of_its_two_palettes(drawing):
    colours = set(re.findall(r"#[0-9a-f]{6}", drawing.svg()))
    assert colours == {*drawings.LIGHT.values(), *drawings.DARK.values()}


@each
def test_nothing_leaves_the_sheet(drawing):
    for element in ElementTree.fromstring(drawing.svg()).iter():
        for x, y in re.findall(r"([-\d.]+),([-\d.]+)", element.get("points", "")):
            assert 0 <= float(x) <= drawing.width and 0 <= float(y) <= drawing.height
        if element.tag == f"{SVG}text":
            x, reach = float(element.get("x")), 7.5 * len(element.text)  # pixels a letter
            left = {"start": 0, "middle": reach / 2, "end": reach}[element.get("text-anchor")]
            assert x - left >= -2 and x - left + reach <= drawing.width + 8, element.text


def test_all_words_of_the_poster_are_translated():
    english, chinese = words(poster()), words(poster("zh"))
    alike = [a for a, b in zip(english, chinese) if a == b]
    assert len(english) == len(chinese) and not any(re.search("[a-z]{2}", line) for line in alike)
    assert poster("xx").svg() == poster().svg() and poster().alt != poster("zh").alt


def test_both_palettes_have_the_same_names_and_can_be_read():
    assert drawings.LIGHT.keys() == drawings.DARK.keys()
    for colours in (drawings.LIGHT, drawings.DARK):
        for name in ("ink", "one", "two", "three"):
            assert contrast(colours[name], colours["paper"]) >= 4.5, name


def contrast(one, other):
    """The ratio of two colours' luminance, as WCAG defines it."""

    def luminance(colour):
        parts = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
        parts = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return parts @ [0.2126, 0.7152, 0.0722]

    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("X, dY", [((0, 0, 3, 3), (1, 0, 0, 0)), ((1, 2, 4, 9), (1, -2, 0, 3))])
def test_the_graph_shows_the_true_gradients(X, dY):
    X_, dY_ = (np.array(values, float)[:, None] for values in (X, dY))
    dX, dgamma, dbeta = mathematics.gradients(X_, np.array([[3.0]]), dY_, eps=0)
    shown = words(drawings.backward_graph(X, 3, 1, dY))
    for values in (dX.ravel(), dgamma.ravel(), dbeta.ravel()):
        assert drawings._list(values) in shown


def test_the_shares_of_the_memory_are_those_of_the_formula():
    text = " ".join(words(drawings.memory()))
    assert "last batch 10%, last seven 52%" in text
    assert abs(1 - 0.9**7 - 0.52) < 0.005
