"""Text files that are written whole or not at all, whatever is in them."""

from __future__ import annotations

from pathlib import Path

from d2l_bn.system.files import replacing


def safe(text: str) -> str:
    """`text` as a table can hold it, and a spreadsheet shows it instead of computing it."""
    text = text.encode("utf-8", "replace").decode("utf-8")
    computed = text.startswith(("=", "+", "-", "@", "\t", "\r")) and text != "-"
    return f"'{text}" if computed else text


def write(path: Path, text: str) -> None:
    """Write a file, and the folders that it lies in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="replace")
