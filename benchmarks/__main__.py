"""Measure everything and write it down: python -m benchmarks [--quick] [PART ...]."""

from __future__ import annotations

import argparse
import csv
import importlib.metadata
import json
import os
import platform
import sys
from pathlib import Path

import numpy as np

from benchmarks import busy, layer_speed, presentation, training_speed
from benchmarks.processes import DEFAULT, PINNED, TORCH, TORCH_PINNED, Setting, available
from d2l_bn.program.about import processor
from d2l_bn.system.files import replacing

PARTS = ("lenet", "busy", "layers")


def main() -> int:
    """Measure what the arguments ask for."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few numbers of everything, to try")
    parser.add_argument(
        "--large", action="store_true", help="layers on up to 822 MB, too: takes 10 GB of memory"
    )
    parser.add_argument("--rounds", type=int, help="of LeNet (default 12)")
    parser.add_argument(
        "--patience", type=float, default=300, help="seconds to wait for a quiet machine (300)"
    )
    parser.add_argument("--out", type=Path, default=Path("runs"), help="the folder (default runs)")
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    options = parser.parse_args()
    parts = options.parts or PARTS
    if not set(parts) <= set(PARTS):
        parser.error(f"the parts are {', '.join(PARTS)}")
    options.out.mkdir(parents=True, exist_ok=True)
    rounds = options.rounds or (1 if options.quick else 12)
    settings = available()
    results: dict = {"machine": about(settings)}
    speeds: dict[training_speed.Key, list[float]] = {}
    growth: dict[str, float] = {}

    if "lenet" in parts:
        steps, patience = (1, 0) if options.quick else (8, options.patience)
        speeds = training_speed.measure(settings, rounds, steps=steps, patience=patience, log=log)
        results["lenet"] = lenet_results(speeds)
        show("LeNet", presentation.lenet_table(speeds))
    if "busy" in parts:
        log("LeNet beside busy processes")
        counts, seconds = ((0, 1), 0.1) if options.quick else ((0, 1, 2, 8), 3)
        rows = busy.measure(counts, min(rounds, 4), seconds)
        results["busy"] = write(options.out / "busy.csv", rows)
        table = [list(rows[0]), *(list(map(str, row.values())) for row in rows)]
        show("LeNet beside busy processes", table)
    if "layers" in parts:
        alone = [s for s in settings if s in (DEFAULT, TORCH, PINNED, TORCH_PINNED)]
        shapes = [("shape", s) for s in layer_speed.SHAPES[: 2 if options.quick else None]]
        rows = layer_speed.measure(alone, shapes, log=log)
        results["layers"] = write(options.out / "layers.csv", rows)
        show("One layer", presentation.layer_table(rows))
    if options.large:
        large = [("large", shape) for shape in layer_speed.LARGE]
        rows = layer_speed.measure([DEFAULT], large, names=layer_speed.LARGE_NAMES, log=log)
        results["large"] = write(options.out / "large.csv", rows)
        show("One layer, large arrays", presentation.layer_table(rows))
        growth = {name: layer_speed.growth(rows, name) for name in layer_speed.LARGE_NAMES}
    if speeds or growth:
        table = presentation.goals(speeds, growth, results.get("layers", []))
        results["goals"] = table[1:]
        show("Goals", table)
    results["machine"]["load_after"] = os.getloadavg()[0]
    with replacing(options.out / "bench.json") as temporary:
        temporary.write_text(json.dumps(results, indent=2) + "\n")
    print(f"\nwritten: {options.out / 'bench.json'}, and tables beside it")
    return 0


def about(settings: list[Setting]) -> dict:
    """The machine, and the versions of everything that is measured on it."""
    packages = dict.fromkeys(["numpy", *(setting.side for setting in settings)])
    versions = {name: importlib.metadata.version(name) for name in packages}
    pins = hasattr(os, "sched_getaffinity")
    return {
        "platform": platform.platform(),
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)) if pins else os.cpu_count(),
        "load_before": os.getloadavg()[0],
        "versions": {"python": platform.python_version(), **versions},
        "settings": {setting.name: dict(setting.variables) for setting in settings},
    }


def lenet_results(speeds: dict[training_speed.Key, list[float]]) -> list[dict]:
    """Medians and quartiles, and the rounds that they come from."""
    rows = []
    for (setting, name), values in speeds.items():
        low, middle, high = np.percentile(values, (25, 50, 75)).tolist()
        row = {"setting": setting, "normalization": name, "examples_per_second": middle}
        rows.append({**row, "quartiles": [low, high], "rounds": [round(v, 1) for v in values]})
    return rows


def write(path: Path, rows: list[dict]) -> list[dict]:
    """Write rows as a table, and return them."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with replacing(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return rows


def show(title: str, table: list[list[str]]) -> None:
    """Print a table."""
    print(f"\n{title}\n\n{presentation.aligned(table)}", flush=True)


def log(line: str) -> None:
    """Say what is being done, where it doesn't end up in a file with the tables."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
