"""The figures that a reader moves: small, whole in themselves, and labelled in one place."""

from __future__ import annotations

import re

import pytest

from d2l_bn.figures import explorables, explore

each = pytest.mark.parametrize("name", explorables.SCRIPTS)


@each
def test_a_page_holds_all_it_needs_and_is_small(name):
    html = explore(name)._repr_html_()
    assert len(html.encode()) < 60_000
    assert re.findall(r"\bimport\b|\bfetch\(|\bsrc=.(?!data:)", html) == []
    assert set(re.findall(r"https?://[\w.]+", html)) == {"http://www.w3.org"}


@each
def test_its_labels_are_those_of_the_table(name):
    words = explore(name).words
    text = "".join(explorables._read(f"{script}.js") for script in explorables.SCRIPTS[name])
    used = set(re.findall(r"WORDS\.(\w+)", text))
    assert used <= words.keys()
    for key in words.keys() - used:  # named in another way: as a field, or an action
        assert re.search(rf"\b{key.removeprefix('short_').split('_')[0]}", text) or key in (
            "title",
            "alt",
            "first",
        ), key


def test_the_scripts_are_short_and_the_equations_do_not_draw():
    for path in explorables.FOLDER.glob("*.js"):
        assert len(path.read_text().splitlines()) < 250
    for name in ("normalization.js", "network.js", "random.js"):
        assert not re.search(r"document|WORDS|show\(", explorables._read(name))


def test_another_name_is_refused():
    with pytest.raises(ValueError, match="one of batch, averages, race, got 'chart'"):
        explore("chart")
