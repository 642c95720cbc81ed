"""Where the tables come from: results/about.csv has a line for each table and machine.

Digits move with the processor, since sums are then added in another order. Whoever compares a run
of theirs with a table sees here on what it was made, with which versions and command, and how
many seconds of the processor its cases took together, over all its threads.
"""

from __future__ import annotations

import os
import platform

from d2l_bn.nn import operator
from d2l_bn.program.about import processor
from d2l_bn.program.summary import versions

TOTALS = ("cases", "seconds")  # what is added up; the other columns tell lines apart


def circumstances(table: str) -> dict[str, str]:
    """What a table was made on and with: the columns of about.csv that tell its lines apart."""
    found = {name.lower(): version for name, version in versions().items()}
    return {
        "table": table,
        "command": f"make experiments ARGS={table}",
        "processor": processor(),
        "system": platform.system(),
        **found,
        "engine": os.environ.get("MXNET_ENGINE_TYPE", "default"),
        "threads": os.environ.get("OMP_NUM_THREADS", "default"),
        "layer": "operator" if operator.available() else "graph",
    }


def added(lines: list[dict], where: dict[str, str], seconds: float) -> list[dict]:
    """The lines of about.csv with one more case, which took `seconds`; sorted by table."""
    texts = {name: str(value) for name, value in where.items()}
    others, totals = [], {"cases": 0, "seconds": 0.0}
    for line in lines:
        if all(str(line.get(name)) == text for name, text in texts.items()):
            totals = {name: line[name] for name in TOTALS}
        else:
            others.append(line)
    new = {
        **texts,
        "cases": totals["cases"] + 1,
        "seconds": round(totals["seconds"] + seconds, 1),
    }
    return sorted([*others, new], key=lambda line: str(line["table"]))
