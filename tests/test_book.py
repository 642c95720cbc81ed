"""The book builds without a warning, and its pages need no network and fit a phone."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import browser as browsers
import pytest

pytest.importorskip("myst_nb", reason="the extra `book` is not installed")

pytestmark = pytest.mark.slow
CHECKOUT = Path(__file__).parent.parent
CHAPTERS = [path.stem for path in sorted((CHECKOUT / "chapters").glob("[0-9]-*.ipynb"))]
PAGES = ["index", "api", *(f"chapters/{name}" for name in CHAPTERS)]


@pytest.fixture(scope="module")
def html():
    command = [sys.executable, "scripts/book.py"]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return CHECKOUT / "runs" / "book" / "html"


@pytest.mark.parametrize("page", PAGES)
def test_a_page_names_nothing_outside(html, page):
    text = (html / f"{page}.html").read_text()
    loaded = re.findall(r"<(?:script|link|img|iframe)[^>]*(?:src|href)=\"(https?:[^\"]+)", text)
    assert loaded == []


def test_the_front_page_leads_to_all_chapters(html):
    text = (html / "index.html").read_text()
    assert all(f'href="chapters/{name}.html"' in text for name in CHAPTERS)


def test_the_reference_holds_the_public_names(html):
    import d2l_bn

    text = (html / "api.html").read_text()
    assert [name for name in d2l_bn.__all__ if f'id="d2l_bn.{name}"' not in text] == []


@pytest.mark.browser
def test_pages_in_a_browser(html, tmp_path):
    with browsers.opened(tmp_path) as browser:
        for width in (390, 1280):
            browsers.size(browser, width, 900)
            for page in PAGES:
                browser.get((html / f"{page}.html").as_uri())
                browser.set_script_timeout(60)
                browser.execute_async_script(
                    "const done = arguments[0];"
                    "window.MathJax?.startup ? MathJax.startup.promise.then(done) : done()"
                )
                wide = browser.execute_script("return document.documentElement.scrollWidth")
                assert wide <= width, f"{page} is {wide} pixels wide"
                formulas = browser.execute_script(
                    "return [document.querySelectorAll('.math').length,"
                    "document.querySelectorAll('mjx-container').length]"
                )
                assert formulas[0] == 0 or formulas[1] > 0, f"{page}: no formula was set"
        asked = [url for url in browsers.asked(browser) if url.startswith("http")]
        assert asked == []
