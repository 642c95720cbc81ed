"""The page that a student gets back: points, the checks' words, and the own work, cell by cell."""

from __future__ import annotations

from dataclasses import replace
from html import escape

from classroom.hand_marks import HandMark
from classroom.marking import Marked, Outcome

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 52em; margin: 1em auto; padding: 0 1em;
  color: #1b1b1b; background: #fff; }
pre { font: 13px/1.45 ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere;
  padding: .6em .8em; background: #f4f4f4; border-radius: 4px; margin: .4em 0; }
section { border-left: 4px solid #ccc; padding: .1em 0 .1em .9em; margin: 1.2em 0; }
section.full { border-color: #007a5a; } section.none { border-color: #c04a00; }
section.waiting { border-color: #0062a8; } h2 { font-size: 1em; margin: .2em 0; }
h2 span { font-weight: normal; } .note { background: #fff3d6; padding: .5em .8em; }
"""


def page(title: str, marked: Marked, given: dict[str, HandMark]) -> str:
    """The feedback as one HTML page without scripts, images or links.

    `given` has the marks by hand, by the names of the cells.
    """
    earned, possible, by_hand, waiting = totals(marked, given)
    sums = [f"<b>{earned:g} of {possible:g} points</b> for what is tested."] if possible else []
    if any(mark.points is not None for mark in given.values()):
        sums.append(f"<b>{by_hand:g} points</b> by hand.")
    if waiting:
        sums.append(f"{waiting:g} more are given by hand.")
    notes = "".join(
        f'<p class="note">Your teacher looks at this: {escape(note)}.</p>' for note in marked.notes
    )
    cells = "\n".join(section(cell, given.get(cell.id)) for cell in joined(marked.cells))
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n"
        f"<body><h1>{escape(title)}</h1>\n<p>{' '.join(sums)}</p>\n"
        f"{notes}\n{cells}\n</body></html>\n"
    )


def joined(cells: list[Outcome]) -> list[Outcome]:
    """The cells to show: what is given only where a check failed in it.

    Code that is marked by hand comes as two cells, which are shown as one.
    """
    shown: list[Outcome] = []
    for cell in cells:
        if cell.kind == "written" and shown and shown[-1].id == cell.id:
            shown[-1] = replace(shown[-1], kind=cell.kind, maximum=cell.maximum)
        elif cell.kind != "given" or cell.message.startswith("CheckFailed"):
            shown.append(cell)
    return shown


def section(cell: Outcome, given: HandMark | None) -> str:
    """One cell."""
    name = escape(cell.id or "a cell that you added")
    parts = [cell.source, cell.output, cell.message]
    if cell.kind == "test":
        kind = "full" if cell.points == cell.maximum else "none"
        name += f" <span>{cell.points:g} of {cell.maximum:g}</span>"
    elif cell.kind == "written" and given and given.points is not None:
        kind, name = "full", f"{name} <span>{given.points:g} of {cell.maximum:g}, by hand</span>"
        parts.append(given.comment)
    elif cell.kind == "written":
        kind, name = "waiting", f"{name} <span>{cell.maximum:g} points, by hand</span>"
    else:
        kind = "own"
    blocks = "".join(f"<pre>{escape(text)}</pre>" for text in parts if text.strip())
    return f'<section class="{kind}"><h2>{name}</h2>{blocks}</section>'


def totals(marked: Marked, given: dict[str, HandMark]) -> tuple[float, float, float, float]:
    """Points earned in tests, possible in tests, given by hand, and waiting for a person."""
    tests = [cell for cell in marked.cells if cell.kind == "test"]
    done = {name: mark.points for name, mark in given.items() if mark.points is not None}
    waiting = [c for c in marked.cells if c.kind == "written" and c.id not in done]
    return (
        sum(cell.points for cell in tests),
        sum(cell.maximum for cell in tests),
        sum(done.values()),
        sum(cell.maximum for cell in waiting),
    )
