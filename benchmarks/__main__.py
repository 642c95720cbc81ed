"""Measure everything and write it down: python -m benchmarks [--quick] [PART ...]."""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import statistics
import sys
from pathlib import Path

import numpy as np

from benchmarks import costs, lenet, operations, report, roofline
from benchmarks.worker import DEFAULT, TORCH, Setting, Worker
from d2l_bn.system.files import replacing

PARTS = ("lenet", "costs", "operations", "growth", "roofline")


def main() -> int:
    """Measure what the arguments ask for."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few numbers of everything, to try")
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
    settings = lenet.available()
    results: dict = {"machine": about(settings)}

    if "lenet" in parts:
        steps, patience = (2, 0) if options.quick else (8, options.patience)
        speeds = lenet.measure(settings, rounds, steps=steps, patience=patience, log=log)
    else:
        speeds = {}
    if "costs" in parts:
        results["costs"] = measure_costs(quick=options.quick)
    if speeds:
        results["lenet"] = lenet_results(speeds)
        report.draw_lenet(speeds, options.out / "bench.png")
        show("LeNet", report.lenet_table(speeds))
    if speeds or "costs" in parts:
        results["goals"] = report.goals(speeds, results.get("costs", {}))[1:]
        show("Goals", [["goal", "wanted", "measured"], *results["goals"]])
    one_each = [setting for setting in settings if setting in (DEFAULT, TORCH)]
    if "operations" in parts:
        shapes = operations.SHAPES[: 2 if options.quick else None]
        rows = operations.measure(one_each, [("shape", s) for s in shapes], rounds=3, log=log)
        results["operations"] = write(options.out / "operations.csv", rows)
        show("One layer", report.operations_table(rows))
    if "growth" in parts:
        grown = operations.growing_shapes()[: 2 if options.quick else None]
        rows = operations.measure(one_each, grown, rounds=3, log=log)
        results["growth"] = write(options.out / "growth.csv", rows)
        report.draw_growth(rows, options.out / "growth.png")
    if "roofline" in parts:
        rows = measure_roofline(passes=2 if options.quick else 10)
        results["roofline"] = write(options.out / "roofline.csv", rows)
        show("LeNet, layer by layer, with Gluon's normalization", report.roofline_table(rows))
    results["machine"]["load_after"] = os.getloadavg()[0]
    with replacing(options.out / "bench.json") as temporary:
        temporary.write_text(json.dumps(results, indent=2) + "\n")
    print(f"\nwritten: {options.out / 'bench.json'}, and figures and tables beside it")
    return 0


def about(settings: list[Setting]) -> dict:
    """The machine, and the versions of everything that is measured on it."""
    versions = {"python": platform.python_version(), "numpy": np.__version__}
    for setting in settings:
        if setting.side not in versions:
            with Worker(setting) as worker:
                versions[setting.side] = worker.ask("version")
    return {
        "platform": platform.platform(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "load_before": os.getloadavg()[0],
        "versions": versions,
        "settings": {setting.name: dict(setting.variables) for setting in settings},
    }


def measure_costs(*, quick: bool) -> dict[str, dict]:
    """The import, the memory, and what there is around a step."""
    log("the import")
    found = {"import": costs.import_ratio(1 if quick else 9)}
    log("peak memory")
    found["memory"] = costs.memory(2 if quick else 60)
    log("around the step")
    found["overhead"] = costs.overhead(1 if quick else 9, 1024 if quick else 10_240)
    log("memory kept or not")
    found["kept"] = costs.kept_memory(1 if quick else 5, 1024 if quick else 20_480)
    return found


def measure_roofline(passes: int) -> list[dict]:
    """The layers of LeNet against what the machine can do; ours in place of Gluon's beside it."""
    log("the roofline")
    with Worker(DEFAULT) as worker:
        rows = roofline.bounds(worker.ask("layers", passes=passes), worker.ask("machine"))
        for row in rows:
            if row["layer"] == "BatchNorm":
                shape = [int(size) for size in row["input"].split(" x ")]
                row["ours_ms"] = worker.ask("operation", name="ours", shape=shape, passes=passes)
    return rows


def lenet_results(speeds: dict[lenet.Key, list[float]]) -> list[dict]:
    """Medians, and the rounds that they are the medians of."""
    return [
        {
            "setting": setting,
            "normalization": name,
            "examples_per_second": statistics.median(values),
            "rounds": [round(value, 1) for value in values],
        }
        for (setting, name), values in speeds.items()
    ]


def write(path: Path, rows: list[dict]) -> list[dict]:
    """Write rows as a table; return them."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with replacing(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return rows


def show(title: str, table: list[list[str]]) -> None:
    """Print a table."""
    print(f"\n{title}\n\n{report.aligned(table)}", flush=True)


def log(line: str) -> None:
    """Say what is being done, where it doesn't end up in a file with the tables."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
