"""Draw the pictures that are committed: of the first page, the poster, and those of explorables.

The numbers of the first page are from the long experiments: all seeds of the default recipe. The
poster as PDF, and the explorables as they stand where no scripts run, are drawn by Chromium.
"""

from __future__ import annotations

import csv
import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from d2l_bn.data import load
from d2l_bn.figures.drawings import Drawing, style, with_and_without
from d2l_bn.figures.explorables import FOLDER, SCRIPTS, explore
from d2l_bn.figures.sheet import poster

CHECKOUT = Path(__file__).resolve().parent.parent
BOOK, TABLE = CHECKOUT / "book", CHECKOUT / "experiments" / "results" / "full_data.csv"
NORMS = {"with": "scratch", "without": "none"}  # what the picture calls them


def read(path: Path) -> list[dict[str, str]]:
    """The rows of a table, as text."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def table() -> str:
    """Test accuracy after each epoch with and without, from the table of the experiments."""
    columns: dict[str, list[str]] = {}
    for name, norm in NORMS.items():
        for row in read(TABLE):
            if (row["recipe"], row["norm"]) == ("default", norm):
                column = columns.setdefault(f"{name} {row['seed']}", [])
                column.append(f"{float(row['test_accuracy']):.4f}")
    rows = zip(range(1, 99), *columns.values())
    return "".join(",".join(map(str, row)) + "\n" for row in [["epoch", *columns], *rows])


def front() -> Drawing:
    """LeNet with and without batch normalization, on all of Fashion-MNIST, all seeds."""
    rows = read(BOOK / "with-and-without.csv")
    names = [name for name in rows[0] if name != "epoch"]
    runs = {
        name: [[float(row[run]) for row in rows] for run in names if run.split()[0] == name]
        for name in NORMS
    }
    return with_and_without(runs, "LeNet with and without batch normalization: accuracy")


CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=9999")
PAPER = """<!doctype html><html lang="en" data-theme="light"><title>{title}</title>
<style>@page {{ size: A4; margin: 10mm }} body {{ margin: 0 }} svg {{ width: 100%; height: auto }}
</style>{svg}</html>"""
# What happens in an explorable before its picture is taken.
BEFORE = {
    "batch": "",
    "averages": "for (let i = 0; i < 24; i++) one_batch();",
    "race": "for (let i = 0; i < 100; i++) one_step();",
}


def chromium(html: str, *options: str) -> str:
    """Let a browser without a window open a page; with --dump-dom, what its scripts made of it."""
    program = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if program is None:
        sys.exit("Chromium draws these pictures, and isn't here: apt-get install chromium")
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder, "page.html")
        page.write_text(html, encoding="utf-8")
        command = [program, *FLAGS, f"--user-data-dir={folder}/profile", *options, page.as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout


def title(svg: str) -> str:
    """The name of the poster as PDF. Its last part tells of which drawing it was made."""
    return f"Batch normalization on one sheet, {hashlib.sha256(svg.encode()).hexdigest()[:8]}"


def print_poster(folder: Path, language: str = "") -> None:
    """Write the poster as SVG, and as PDF where that has become another one."""
    svg = poster(language).svg()
    (folder / "poster.svg").write_text(svg + "\n")
    pdf, name = folder / "poster.pdf", title(svg)
    if not pdf.exists() or name.encode() not in pdf.read_bytes():  # its date would change it
        paper = PAPER.format(title=name, svg=svg)
        chromium(paper, f"--print-to-pdf={pdf}", "--no-pdf-header-footer")


def still(name: str) -> str:
    """The drawing of an explorable, 640 pixels wide, in both colours and without its scripts."""
    last = f"<script>{BEFORE[name]} draw();</script></html>"
    page = explore(name).page().replace("</html>", last)
    dom = chromium(page, "--window-size=664,900", "--dump-dom")
    found = re.search(r'<svg[^>]*viewBox="0 0 (\d+) (\d+)"[^>]*>(.*?)</svg>', dom, re.DOTALL)
    if found is None:
        raise RuntimeError(f"the page of {name} has drawn nothing: open it in a browser")
    width, height, shapes = int(found[1]) + 24, int(found[2]) + 16, found[3]
    shapes = re.sub(r'<circle class="handle".*?</circle>| data-[a-z]+="[^"]*"', "", shapes)
    look = style() + (FOLDER / "style.css").read_text()
    sheet = f'<rect class="f-paper l-none" x="-12" y="-8" width="{width}" height="{height}"/>'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-12 -8 {width} {height}"'
    size = f'class="drawing" width="{width}" height="{height}"'
    return f"{head} {size}>\n<style>{look}</style>\n{sheet}{shapes}</svg>\n"


def small_images() -> str:
    """The images of the race: 24 of each class of the sample, a digit for each of 7 x 7 pixels."""
    data = load("sample")
    chosen = np.concatenate([np.flatnonzero(data.train_labels == k)[:24] for k in range(10)])
    shades = data.train_images[chosen].reshape(-1, 7, 4, 7, 4).mean(axis=(2, 4)) / 17
    digits = "".join(f"{round(float(shade)):x}" for shade in shades.ravel())
    words = "240 images of Fashion-MNIST (Zalando, MIT licence), 24 of each class, 7 by 7 pixels."
    return f'// {words}\nconst DATA =\n  "{digits}";\n'


def main() -> None:
    """Draw all of them."""
    (BOOK / "with-and-without.csv").write_text(table())
    (BOOK / "with-and-without.svg").write_text(front().svg() + "\n")
    print_poster(BOOK)
    for words in BOOK.glob("*/words.json"):
        print_poster(words.parent, words.parent.name)
    (FOLDER / "images.js").write_text(small_images())
    for name in SCRIPTS:
        (FOLDER / f"{name}.svg").write_text(still(name))


if __name__ == "__main__":
    main()
