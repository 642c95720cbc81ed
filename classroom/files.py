"""Text files that are written whole or not at all, whatever is in them."""

from __future__ import annotations

import re
from pathlib import Path

from d2l_bn.system.files import replacing

CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")  # what terminals obey


def safe(text: str) -> str:
    """`text` as a table can hold it, and a spreadsheet shows it instead of computing it."""
    text = CONTROL.sub("?", text.encode("utf-8", "replace").decode("utf-8"))
    computed = text.startswith(("=", "+", "-", "@", "\t", "\r")) and text != "-"
    return f"'{text}" if computed else text


def write(path: Path, text: str) -> None:
    """Write a file, and the folders that it lies in."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="replace")
