"""The book on paper: every chapter's page in the contents, and no line of code that is cut."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import browser as browsers
import pytest

pytest.importorskip("myst_nb", reason="the extra `book` is not installed")
pypdf = pytest.importorskip("pypdf", reason="the extra `book` is not installed")
SCRIPTS = Path(__file__).parents[2] / "scripts"
LONG = "value = " + " + ".join(f"number_{i}" for i in range(30))


@pytest.fixture
def book_pdf(monkeypatch):
    browsers.needed()
    monkeypatch.syspath_prepend(SCRIPTS)
    sys.modules.pop("book_pdf", None)
    import book_pdf

    return book_pdf


@pytest.mark.slow
@pytest.mark.browser
def test_a_small_book(book_pdf, monkeypatch, tmp_path, capsys):
    def collect(source, language):
        source.mkdir(parents=True)
        for name in ("book.css", "book.js", "conf.py", "python.inv", "numpy.inv"):
            (source / name).write_bytes((book_pdf.book.BOOK / name).read_bytes())
        shutil.copytree(book_pdf.book.BOOK / "templates", source / "templates")
        (source / "index.md").write_text(
            "# A small book\n\n```{toctree}\n:maxdepth: 1\nfirst\nsecond\n```\n"
        )
        (source / "first.md").write_text(f"# One\n\n```python\n{LONG}\n```\n" + "word " * 3000)
        (source / "second.md").write_text("# Two\n\n$$a + b$$\n")

    monkeypatch.setattr(book_pdf.book, "collect", collect)
    assert book_pdf.main([str(tmp_path / "book.pdf")]) == 0
    pages = [page.extract_text() for page in pypdf.PdfReader(tmp_path / "book.pdf").pages]
    starts = [pages.index(text) + 1 for text in pages if "One\n" in text or "Two\n" in text]
    contents = " ".join(pages[0].split())
    assert f"One {starts[0]}" in contents and f"Two {starts[1]}" in contents
    assert starts[1] > starts[0] + 1 and pages[starts[1] - 1].startswith(f"{starts[1]}\n")
    assert "number_29" in "".join(pages)
    assert list(tmp_path.iterdir()) == [tmp_path / "book.pdf"]


def test_a_machine_without_a_font_of_the_language(book_pdf, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(book_pdf, "fonts", lambda language: "")
    assert book_pdf.main([str(tmp_path / "book.pdf"), "--language", "zh"]) == 1
    assert "install fonts-noto-cjk" in capsys.readouterr().err


def test_a_machine_without_a_browser(book_pdf, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(book_pdf, "BROWSERS", ("no-such-browser",))
    assert book_pdf.main([str(tmp_path / "book.pdf")]) == 1
    assert "install Chromium" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
