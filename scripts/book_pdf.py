"""Print the book as one PDF, for paper and tablets, with the browser that the tests use.

The browser knows on which page a chapter begins only once it has printed it, so it prints twice:
the numbers in the contents come from the outline of the first PDF.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Optional

from pypdf import PdfReader

import book
from classroom.translation import languages
from d2l_bn.system.files import replacing

TARGET = book.ROOT / "runs" / "book" / "d2l_bn.pdf"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
    "--disable-background-networking", "--no-pdf-header-footer", "--generate-pdf-document-outline",
    "--virtual-time-budget=300000",  # milliseconds for the formulas
)  # fmt: skip
ENTRY = re.compile(r'(<li class="toctree-l1[^>]*><a [^>]*>)(.*?)(</a>)', re.DOTALL)
SECONDS = 600


def main(arguments: Optional[list[str]] = None) -> int:
    """Build one long page, and print it; 1 where there is no browser."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", nargs="?", type=Path, default=TARGET)
    parser.add_argument("--language", choices=languages(), default="")
    options = parser.parse_args(arguments)
    language, target = options.language, options.target
    if language and target == TARGET:
        target = TARGET.with_suffix(f".{language}.pdf")
    if language and not fonts(language):
        print(f"no font here has :lang={language}: install fonts-noto-cjk", file=sys.stderr)
        return 1
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        print(f"There is none of {', '.join(BROWSERS)} here: install Chromium", file=sys.stderr)
        return 1
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary, replacing(target) as made:
        source, page = Path(temporary, "source"), Path(temporary, "page", "index.html")
        book.collect(source, language)
        command = [sys.executable, "-m", "sphinx", "-b", "singlehtml", "-q"]
        command += book.in_sphinx(language)
        subprocess.run([*command, str(source), str(page.parent)], check=True)
        print_page(browser, page, made)
        page.write_text(with_numbers(page.read_text(), first_pages(made)))
        print_page(browser, page, made)
    print(f"open {os.path.relpath(target)}")
    return 0


def fonts(language: str) -> str:
    """The fonts of this machine that have the letters of a language, as fontconfig lists them."""
    if shutil.which("fc-list") is None:
        return "unknown"
    asked = ["fc-list", f":lang={language}", "family"]
    return subprocess.run(asked, capture_output=True, text=True).stdout


def print_page(browser: str, page: Path, pdf: Path) -> None:
    """Print a page of HTML to a file."""
    profile = page.parent.parent / "profile"
    command = [browser, *FLAGS, f"--user-data-dir={profile}", f"--print-to-pdf={pdf}"]
    subprocess.run([*command, page.as_uri()], check=True, capture_output=True, timeout=SECONDS)


def first_pages(pdf: Path) -> dict[str, int]:
    """The page on which each heading of the outline stands; the first one of its name counts."""
    reader = PdfReader(pdf)
    pages: dict[str, int] = {}

    def walk(entries) -> None:
        for entry in entries:
            if isinstance(entry, list):
                walk(entry)
            else:
                number = reader.get_destination_page_number(entry) or 0  # counted from 0
                pages.setdefault(words(entry.title or ""), number + 1)

    walk(reader.outline)
    return pages


def with_numbers(page: str, pages: dict[str, int]) -> str:
    """The page of HTML with a number behind each line of its contents."""
    return ENTRY.sub(
        lambda found: (
            f'{found[1]}{found[2]}<span class="page">{pages[words(found[2])]}</span>' + found[3]
        ),
        page,
    )


def words(title: str) -> str:
    """A title without tags and the sign of its link."""
    return " ".join(re.sub(r"<[^>]*>", "", title).replace("#", "").split())


if __name__ == "__main__":
    sys.exit(main())
