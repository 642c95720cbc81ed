"""Build the chapters and the reference as a web site that needs no network, in runs/book/html."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE, HTML = ROOT / "runs" / "book" / "source", ROOT / "runs" / "book" / "html"


def main() -> int:
    """Build; 1 on any warning, such as a broken link or a docstring that can't be parsed."""
    for folder in (SOURCE, HTML):
        shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT / "book", SOURCE)
    shutil.copytree(ROOT / "chapters", SOURCE / "chapters")
    command = [sys.executable, "-m", "sphinx", "-b", "html", "-W", "--keep-going", "-q"]
    if subprocess.call([*command, str(SOURCE), str(HTML)]):
        return 1
    print(f"open {HTML.relative_to(ROOT)}/index.html")
    return 0


if __name__ == "__main__":
    sys.exit(main())
