"""Measure everything and write it down: python -m benchmarks [--quick] [PART ...]."""

from __future__ import annotations

import argparse
import contextlib
import csv
import importlib.metadata
import json
import os
import platform
import sys
from pathlib import Path

import numpy as np

from benchmarks import busy, costs, layer_speed, presentation, roofline, training_speed
from benchmarks.processes import DEFAULT, PINNED, TORCH, TORCH_PINNED, Setting, Worker, available
from d2l_bn.program.about import processor
from d2l_bn.system.files import replacing

PARTS = ("lenet", "busy", "costs", "layers", "growth", "roofline")
GROWING = ("Gluon", "ours", "source", *training_speed.NAMES["torch"])


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
        presentation.draw_lenet(speeds, options.out / "bench.png")
        show("LeNet", presentation.lenet_table(speeds))
    if "busy" in parts:
        log("LeNet beside busy processes")
        counts, seconds = ((0, 1), 0.1) if options.quick else ((0, 1, 2, 8), 2)
        rows = busy.measure(counts, min(rounds, 4), seconds)
        results["busy"] = write(options.out / "busy.csv", rows)
        table = [list(rows[0]), *(list(map(str, row.values())) for row in rows)]
        show("LeNet beside busy processes", table)
    if "costs" in parts:
        results["costs"] = measure_costs(quick=options.quick)
    if "layers" in parts:
        alone = [s for s in settings if s in (DEFAULT, TORCH, PINNED, TORCH_PINNED)]
        shapes = [("shape", s) for s in layer_speed.SHAPES[: 2 if options.quick else None]]
        rows = layer_speed.measure(alone, shapes, log=log)
        results["layers"] = write(options.out / "layers.csv", rows)
        show("One layer", presentation.layer_table(rows))
    if "growth" in parts:
        grown = layer_speed.growing_shapes()[: 2 if options.quick else None]
        beside = [setting for setting in settings if setting in (DEFAULT, TORCH)]
        rows = layer_speed.measure(beside, grown, rounds=3, names=GROWING, log=log)
        results["growth"] = write(options.out / "growth.csv", rows)
        presentation.draw_growth(rows, options.out / "growth.png")
    if options.large:
        large = [("large", shape) for shape in layer_speed.LARGE]
        rows = layer_speed.measure([DEFAULT], large, names=layer_speed.LARGE_NAMES, log=log)
        results["large"] = write(options.out / "large.csv", rows)
        show("One layer, large arrays", presentation.layer_table(rows))
        growth = {name: layer_speed.growth(rows, name) for name in layer_speed.LARGE_NAMES}
    if "roofline" in parts:
        rows = measure_roofline(passes=2 if options.quick else 10)
        results["roofline"] = write(options.out / "roofline.csv", rows)
        show("LeNet, layer by layer, with Gluon's normalization", presentation.roofline_table(rows))
    found = {**results.get("costs", {}), "growth": growth}
    if speeds or growth or "costs" in parts:
        table = presentation.goals(speeds, found, results.get("layers", []))
        results["goals"] = table[1:]
        show("Goals", table)
    results["machine"]["load_after"] = os.getloadavg()[0]
    with replacing(options.out / "bench.json") as temporary:
        temporary.write_text(json.dumps(results, indent=2) + "\n")
    print(f"\nwritten: {options.out / 'bench.json'}, and figures and tables beside it")
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
    with contextlib.ExitStack() as stack:
        worker = stack.enter_context(Worker(DEFAULT))
        values = training_speed.initial_values(stack)
        layers = worker.ask("layers", passes=passes, values=values)
        rows = roofline.bounds(layers, worker.ask("machine"))
        for row, layer in zip(rows, layers):
            if row["layer"] == "BatchNorm":
                row["ours_ms"] = worker.ask(
                    "layer", name="ours", shape=layer["input"], passes=passes
                )
    return rows


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
