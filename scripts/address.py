"""Set the address of the repository everywhere: install cells, badges, links, citation.

Without one, that of git's remote `origin` is taken; "none" takes the address out again.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Optional
from urllib.parse import quote

import chapters

ROOT = Path(__file__).resolve().parent.parent
MARK = re.compile(r"(?<=<!-- address -->\n).*?(?=<!-- /address -->)", re.DOTALL)
FIRST = "chapters/1-batch-normalization-from-scratch.ipynb"


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Set what the arguments say; 1 if there is no address to be found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", nargs="?", default="", help="such as https://github.com/me/d2l_bn")
    given = parser.parse_args(arguments).url or remote()
    if not given:
        print("git knows no remote: make address URL=https://github.com/me/d2l_bn", file=sys.stderr)
        return 1
    address = "" if given == "none" else plain(given)
    if not re.fullmatch(r"(https?://[\w.:-]+(/[\w.~-]+)+)?", address):
        words = f"the address must begin with https:// and name a repository, got {given}"
        print(words, file=sys.stderr)
        return 1
    changes = {"pyproject.toml": in_pyproject, "CITATION.cff": in_citation}
    changes |= {path.name: in_readme for path in ROOT.glob("README*.md")}
    for name, change in changes.items():
        path = ROOT / name
        path.write_text(change(path.read_text(), address))
    chapters.renew_setup_cells()
    print(f"the address is {address}" if address else "no address is set")
    return 0


def remote() -> str:
    """The address that git has for `origin`, or an empty text."""
    command = ["git", "remote", "get-url", "origin"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip()


def plain(url: str) -> str:
    """The form that a browser and pip both take: https, no name of a user, no ".git"."""
    url = re.sub(r"^(ssh://)?git@([^:/]+)[:/]", r"https://\2/", url)
    return re.sub(r"^(https?://)[^/@]*@", r"\1", url).rstrip("/").removesuffix(".git")


def in_pyproject(text: str, address: str) -> str:
    """The section [project.urls], before that of the scripts; no other file is asked for it."""
    text = re.sub(r"\[project\.urls\]\n.*?\n\n(?=\[)", "", text, flags=re.DOTALL)
    section = f'[project.urls]\nRepository = "{address}"\n\n' if address else ""
    return text.replace("[project.scripts]\n", f"{section}[project.scripts]\n")


def in_citation(text: str, address: str) -> str:
    """The line repository-code."""
    text = re.sub(r"^repository-code: .*\n", "", text, flags=re.MULTILINE)
    return text + (f'repository-code: "{address}"\n' if address else "")


def in_readme(text: str, address: str) -> str:
    """What stands between the marks: how to get the repository, and hosted notebooks."""
    return MARK.sub(lambda _: get(address), text)


def get(address: str) -> str:
    """How to get the repository, in Markdown."""
    if not address:
        return "```sh\ncd d2l_bn     # a clone of this repository\n```\n"
    hosted = " · ".join(f"[{name}]({url})" for name, url in hosts(address, FIRST).items())
    line = f"\nWithout installing anything: {hosted}.\n" if hosted else ""
    return f"```sh\ngit clone {address} d2l_bn && cd d2l_bn\n```\n{line}"


def hosts(address: str, notebook: str) -> dict[str, str]:
    """Where a notebook of a repository on GitHub can be run, by the name of the service."""
    found = re.fullmatch(r"https://github\.com/([^/]+/[^/]+)", address)
    if found is None:
        return {}
    return {
        "Colab": f"https://colab.research.google.com/github/{found[1]}/blob/HEAD/{notebook}",
        "Binder": f"https://mybinder.org/v2/gh/{found[1]}/HEAD?labpath={quote(notebook, safe='')}",
    }


if __name__ == "__main__":
    sys.exit(main())
