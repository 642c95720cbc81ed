"""The book builds without a warning, and its pages need no network and fit a phone."""

from __future__ import annotations

import functools
import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

import browser as browsers
import pytest

import d2l_bn

pytest.importorskip("myst_nb", reason="the extra `book` is not installed")
pytest.importorskip("nbgrader", reason="the extra `classroom` is not installed")

pytestmark = pytest.mark.slow
CHECKOUT = Path(__file__).parents[2]
CHAPTERS = [path.stem for path in sorted((CHECKOUT / "chapters").glob("[0-9]*-*.ipynb"))]
EXERCISES = [path.stem for path in sorted((CHECKOUT / "chapters" / "exercises").glob("*.ipynb"))]
PAGES = [
    *(path.stem for path in sorted((CHECKOUT / "book").glob("*.md"))),
    "teacher",
    *(f"chapters/{name}" for name in CHAPTERS),
    *(f"{folder}/{name}" for folder in ("exercises", "solutions") for name in EXERCISES),
]


def build(script, folder):
    command = [sys.executable, script, folder]
    return subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True)


@pytest.fixture(scope="module")
def html(once):
    def make(folder):
        done = build("scripts/book.py", folder)
        assert done.returncode == 0, done.stderr

    return once("book", make) / "html"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with browsers.opened(tmp_path_factory.mktemp("browser")) as browser:
        browser.set_script_timeout(600)
        yield browser


class Page(HTMLParser):
    """What a page links to, what it loads, and where in it a link can lead."""

    def __init__(self, path):
        super().__init__()
        self.links, self.loads, self.anchors = [], [], {""}
        self.feed(path.read_text())

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.anchors |= {values[name] for name in ("id", "name") if values.get(name)}
        if tag == "a" and values.get("href"):
            self.links.append(values["href"])
        elif tag in ("script", "img", "iframe", "source", "link"):
            self.loads += [values[name] for name in ("src", "href") if values.get(name)]


read_page = functools.cache(Page)  # many pages link to it


@pytest.mark.parametrize("page", [*PAGES, *(f"zh/{page}" for page in PAGES)])
def test_links_lead_somewhere_and_nothing_is_loaded_from_outside(html, page):
    path = html / f"{page}.html"
    found = read_page(path)
    assert [load for load in found.loads if "//" in load] == []
    assert found.links and found.loads
    for link in found.links + found.loads:
        place, anchor = urldefrag(unquote(link))
        if not place.startswith(("https:", "data:")):
            target = path.parent / place.split("?")[0] if place else path
            assert target.exists(), link
            assert target.suffix != ".html" or anchor in read_page(target).anchors, link


@pytest.mark.parametrize("page", PAGES)
def test_each_page_leads_to_its_twin_in_chinese(html, page):
    path, twin = (html / folder / f"{page}.html" for folder in ("", "zh"))
    for here, there in ((path, twin), (twin, path)):
        switch = re.search(r'<a class="language[^>]* href="([^"]+)"', here.read_text())
        assert (here.parent / switch[1]).resolve() == there
    assert 'lang="zh-CN"' in twin.read_text()


def test_the_front_page_leads_to_all_chapters(html):
    links = read_page(html / "index.html").links
    assert {f"chapters/{name}.html" for name in CHAPTERS} <= set(links)


def test_the_reference_holds_the_public_names(html):
    anchors = read_page(html / "api.html").anchors
    assert [name for name in d2l_bn.__all__ if f"d2l_bn.{name}" not in anchors] == []


def test_the_reference_leads_to_python_and_numpy(html):
    """Each name that is listed for them is used: the lists in book/ hold no others."""
    links = {urldefrag(link)[1] for link in read_page(html / "api.html").links if "//" in link}
    for name in ("python.inv", "numpy.inv"):
        listed = (CHECKOUT / "book" / name).read_text().splitlines()[3:]
        assert listed and {line.split()[0] for line in listed} <= links


# Lines of code that reach out of their column.
CUT = """
return [...document.querySelectorAll(".cell_input pre")]
    .filter(pre => pre.scrollWidth > pre.clientWidth + 1).map(pre => pre.textContent.slice(0, 60));
"""


@pytest.mark.browser
def test_the_search_finds_words_and_shows_no_latex(html, browser):
    index = (html / "searchindex.js").read_text()
    assert "covariat" in index
    assert re.search(r"\b(mathcal|qquad)\b", index) is None
    chapter = (html / f"chapters/{CHAPTERS[0]}.html").read_text()
    assert "mathcal" in chapter
    browser.get((html / "search.html").as_uri())
    shown = browser.execute_script("return Search.htmlToText(arguments[0])", chapter)
    assert "Batch normalization computes from these" in shown
    assert "mathcal" not in shown


@pytest.mark.browser
@pytest.mark.parametrize("query", ["方差", "批量归一化", "内部协变量偏移", "轴", "momentum"])
def test_the_search_in_chinese_finds_words(html, browser, query):
    def found(words):
        browser.get(f"{(html / 'zh' / 'search.html').as_uri()}?q={words}")
        done = "return document.querySelector('.search-summary')?.textContent"
        waiting.WebDriverWait(browser, 30).until(lambda _: browser.execute_script(done))
        return browser.find_element("css selector", "#search-results").text

    waiting = pytest.importorskip("selenium.webdriver.support.ui")
    assert "1. 从零开始实现批量归一化" in found(query)
    assert "批量归一化" not in found("差方化")
    browser.get_log("browser")  # from a file, the pages that are found can't be fetched for a line


@pytest.mark.browser
def test_two_panels_stand_below_each_other_on_a_phone(html, browser):
    for width, shown in ((390, 2), (1280, 1)):
        browsers.size(browser, width, 900)
        browser.get((html / f"chapters/{CHAPTERS[0]}.html").as_uri())
        halves = [
            image.size
            for image in browser.find_elements("css selector", "img.two-panels, .second-panel")
            if image.is_displayed()
        ]
        figures = len(browser.find_elements("css selector", "img.two-panels"))
        assert figures >= 2 and len(halves) == shown * figures
        assert width > 600 or all(size["width"] > 300 for size in halves)


@pytest.mark.browser
def test_pages_in_a_browser(html, browser):
    for page in [*PAGES, "zh/index", f"zh/chapters/{CHAPTERS[0]}", f"zh/exercises/{EXERCISES[0]}"]:
        browser.get((html / f"{page}.html").as_uri())
        browser.execute_async_script(
            "const done = arguments[0];"
            "window.MathJax?.startup ? MathJax.startup.promise.then(done) : done()"
        )
        count = "return document.querySelectorAll(arguments[0]).length"
        formulas = browser.execute_script(count, ".math")
        assert browser.execute_script(count, ".math mjx-container") == formulas, page
        assert browser.execute_script(count, "mjx-merror") == 0, page
        for width in (390, 768, 1280):
            browsers.size(browser, width, 900)
            wide = browser.execute_script("return document.documentElement.scrollWidth")
            assert wide <= width, f"{page} is {wide} pixels wide, of {width}"
        assert browser.execute_script(CUT) == [], page
    assert [url for url in browsers.asked(browser) if url.startswith("http")] == []
    # A file that isn't there, or a script that failed.
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


@pytest.fixture
def checkout(tmp_path):
    """A copy of what the book is made of, with two other pages and a short chapter."""
    for name in ("book", "scripts", "classroom"):
        shutil.copytree(CHECKOUT / name, tmp_path / name)
    for page in (tmp_path / "book").glob("*.md"):
        page.unlink()
    for folder in ("solutions", "zh"):
        shutil.rmtree(tmp_path / "book" / folder)
    pages = f"chapters/{CHAPTERS[-1]}\nteacher"
    (tmp_path / "book" / "index.md").write_text(f"# Book\n\n```{{toctree}}\n{pages}\n```\n")
    shutil.copy(CHECKOUT / "pyproject.toml", tmp_path)
    (tmp_path / "chapters").mkdir()
    path = tmp_path / "chapters" / f"{CHAPTERS[-1]}.ipynb"
    notebook = json.loads((CHECKOUT / "chapters" / path.name).read_text())
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    setup, shown = code[0], next(cell for cell in code if cell["outputs"])
    title = dict(cell_type="markdown", id="title", metadata={}, source="# Title")
    path.write_text(json.dumps({**notebook, "cells": [title, setup, shown]}))
    return path


def change(path, kind, **fields):
    notebook = json.loads(path.read_text())
    cell = next(cell for cell in notebook["cells"] if cell["cell_type"] == kind)
    cell.update(fields)
    path.write_text(json.dumps(notebook))


def test_a_broken_link_fails_the_build(checkout, tmp_path):
    change(checkout, "markdown", source="# Title\n\n[to](nowhere.ipynb)")
    done = build(tmp_path / "scripts" / "book.py", tmp_path)
    assert done.returncode == 1
    (warning,) = (line for line in done.stderr.splitlines() if "WARNING" in line)
    assert "nowhere.ipynb" in warning  # without it, this book builds


def test_a_failed_cell_fails_the_build(checkout, tmp_path):
    error = dict(output_type="error", ename="AssertionError", evalue="no", traceback=[])
    change(checkout, "code", outputs=[error])
    done = build(tmp_path / "scripts" / "book.py", tmp_path)
    assert done.returncode == 1
    assert f"{checkout.name}, cell setup: AssertionError: no" in done.stderr
