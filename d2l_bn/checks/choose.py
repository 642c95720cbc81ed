"""Runs the chosen parts of a check, one short line for each that is right."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Callable


def run_parts(known: Mapping[str, Callable], parts: tuple[str, ...], subject) -> None:
    """Run these parts, or all, on `subject`. A part returns its title or raises CheckFailed."""
    for part in parts:
        if part not in known:
            raise ValueError(f"A part is one of {', '.join(known)}; got {part!r}.")
    for part in parts or known:
        print(f"{known[part](subject)}: right")
