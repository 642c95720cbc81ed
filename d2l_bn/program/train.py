"""The command `train`: train LeNet, and leave a folder with all that came of it."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import numpy as np
from tqdm import tqdm

from d2l_bn.cluster.launched import launcher
from d2l_bn.cluster.meeting import joined
from d2l_bn.data.batching import batch_count
from d2l_bn.data.dataset import Dataset
from d2l_bn.data.places import load
from d2l_bn.nn.group import Group
from d2l_bn.nn.networks import POOLING
from d2l_bn.program import drawing, run_folder
from d2l_bn.program.history import epoch_line, write_history
from d2l_bn.program.parameters import read_parameters
from d2l_bn.program.summary import final_table, read_summary, versions, write_summary
from d2l_bn.system.errors import InputError, RunError
from d2l_bn.system.files import replacing
from d2l_bn.system.interrupts import deferred
from d2l_bn.system.memory import keep_memory
from d2l_bn.training import checkpoint
from d2l_bn.training.run import build, fit, make_trainer
from d2l_bn.training.settings import NORMS, RECIPES, SCHEDULES, STATISTICS, Settings

from mxnet import MXNetError, gluon

OUT = Path("runs/lenet")
CLUSTER_OUT = Path("runs/cluster")  # that of make lenet-cluster


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes. None stands for the default, or for what is resumed."""
    add, default = parser.add_argument, Settings()
    add("--norm", choices=NORMS, help="batch normalization (default: scratch, ours)")
    add("--data", help="auto (default), fashion-mnist, sample, or a folder of IDX files")
    add("--recipe", choices=RECIPES, help="a set of the next four (default: default)")
    add("--batch-size", type=int, help="images in a batch")
    add("--lr", type=float, help="learning rate at the start")
    add("--momentum", type=float, help="momentum of gradient descent")
    add("--schedule", choices=SCHEDULES, help="of the learning rate")
    epochs = f"passes over the training images (default: {default.epochs})"
    add("--epochs", type=int, help=epochs)
    add("--pooling", choices=POOLING, help="how LeNet shrinks images (default: max)")
    add("--seed", type=int, help="of parameters and order of images (default: 0)")
    add("--context", help="where to train: cpu(0) (default), or cpu(0),cpu(1)")
    whose = "where several share a batch: statistics of all (default), or of each share"
    add("--statistics", choices=STATISTICS, help=whose)
    add("--out", type=Path, default=OUT, help=f"folder of the run (default: {OUT})")
    again = parser.add_mutually_exclusive_group()
    resume = "go on with an interrupted run, with its own settings"
    again.add_argument("--resume", action="store_true", help=resume)
    overwrite = "replace a run, once the new one ends"
    again.add_argument("--overwrite", action="store_true", help=overwrite)


def run(options: argparse.Namespace) -> None:
    """Train LeNet, and leave history, summary, curves and network in the folder of the run.

    Where a launcher has started several processes, they train together, and the first one writes.
    """
    keep_memory()
    with joined() as group:
        options.processes, options.machines = group.size, group.machines
        if group.rank == 0:
            _lead(options, group)
        else:
            _follow(options, group)


def _lead(options: argparse.Namespace, group: Group) -> None:
    """Train, alone or as the first of several processes, and write what is to be kept."""
    if not options.resume:
        _settings(options, {})  # a mistake in them is told before a folder is made
    drawing.figures()  # and so is one that only the last step would meet
    how = {"resume": options.resume, "overwrite": options.overwrite}
    with run_folder.open_run(options.out, **how) as folder:
        if options.resume and run_folder.is_finished(folder):
            _say_finished(options)
            group.broadcast(None)
            return
        path = folder / run_folder.CHECKPOINT
        there = options.resume and path.exists()
        named = {"recipe", *asdict(Settings())} - {"processes"}
        if options.resume and not there and all(getattr(options, n) is None for n in named):
            raise InputError(f"{options.out} holds no run to go on with: start it, with settings")
        saved = checkpoint.read(path)[0] if there else {}
        settings = _settings(options, saved)
        _offer_to_go_on(options)
        group.broadcast(path.read_bytes() if there else b"")
        dataset = load(options.data or saved.get("address", "auto"))
        try:
            net, history = _train(folder, settings, dataset, options, group)
            _finish(folder, net, settings, dataset, history)
        except checkpoint.Damaged:
            raise
        except (KeyboardInterrupt, OSError, RunError):
            print(_what_is_left(folder, options, settings.epochs), file=sys.stderr)
            raise
    print(final_table(settings, dataset, history))
    print(f"curves in {options.out / run_folder.CURVES}")
    print(_what_next(options.out, settings.norm))


def _follow(options: argparse.Namespace, group: Group) -> None:
    """Train as one of several processes: with the checkpoint that the first has read, if any."""
    content = group.broadcast(None)
    if content is None:
        return  # there is nothing to do
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / run_folder.CHECKPOINT
        if content:
            path.write_bytes(content)
        saved = checkpoint.read(path)[0] if content else {}
        dataset = load(options.data or saved.get("address", "auto"), log=lambda _: None)
        _train(path.parent, _settings(options, saved), dataset, options, group)


def _settings(options: argparse.Namespace, saved: dict) -> Settings:
    """The settings that are given; the others are those of the saved run, or of the recipe."""
    if saved and not options.recipe:
        others = {name: saved[name] for name in asdict(Settings()) if name in saved}
    else:
        others = {**asdict(Settings()), **RECIPES[options.recipe or "default"]}
    given = {name: getattr(options, name) for name in others}
    try:
        return Settings(**{name: others[name] if v is None else v for name, v in given.items()})
    except (AttributeError, TypeError, OverflowError) as error:  # it has been edited
        raise InputError(f"the run has settings of a wrong kind ({error}); --overwrite") from error


def _say_finished(options: argparse.Namespace) -> None:
    """Say that nothing is to be done; refuse settings of another run than the finished one."""
    path = options.out / run_folder.SUMMARY
    saved = dict(read_summary(path).get("settings", {}), processes=options.processes)
    checkpoint.require_same(path, saved, asdict(_settings(options, saved)))
    print(f"{options.out} is finished already, and no other run was replacing it: nothing to do")


def _offer_to_go_on(options: argparse.Namespace) -> None:
    interrupted = not run_folder.is_finished(options.out)
    if options.overwrite and interrupted and run_folder.has_epochs(options.out):
        new = shlex.quote(str(options.out / run_folder.SUCCESSOR))
        print(
            f"{options.out} holds an interrupted run, which this one replaces when it ends. To go "
            f"on with it instead, stop this one and run: rm -r {new} && {_going_on(options)}"
        )


def _train(
    folder: Path, settings: Settings, dataset: Dataset, options: argparse.Namespace, group: Group
) -> tuple[gluon.Block, list[dict]]:
    """Train from the checkpoint in `folder`, or write one, and write one after each epoch."""
    path, leads = folder / run_folder.CHECKPOINT, group.rank == 0
    identity = checkpoint.identity(settings, dataset)
    for name, value in {**versions(), **identity}.items():
        if name not in checkpoint.NOT_COMPARED:
            group.compare(name, str(value))
    net = build(settings, dataset, group)
    trainer = make_trainer(net, settings, group)
    history: list[dict] = []
    notes = []
    if group.size > 1:
        whose = "all of them" if settings.exchanges else "each share by itself"
        notes.append(f"{group.size} processes, normalizing with the statistics of {whose}")
    if options.resume and path.exists():
        history = checkpoint.load(path, net, trainer, identity)
        which = "" if folder == options.out else f" with the run that replaces {options.out}"
        notes.append(f"going on after epoch {len(history)}{which}")
    else:
        if options.resume:
            notes.append(f"no run in {options.out} yet: starting it")
        if leads:  # from here on a kill loses neither settings nor epochs
            checkpoint.save(path, net, trainer, identity, [])
    for note in notes if leads else []:
        print(note)
    group.advise(f"To go on after the last epoch that was kept, run: {_going_on(options)}")

    def on_epoch(history: list[dict]) -> None:
        if leads:
            # The table first: where it is, there is something to lose (run_folder.has_epochs).
            write_history(folder / run_folder.HISTORY, history)
            checkpoint.save(path, net, trainer, identity, history)
            bar.reset()
            tqdm.write(epoch_line(history[-1], settings.epochs))

    def on_batch(epoch: int, batch: int, loss: float, accuracy: float) -> None:
        bar.set_description(f"epoch {epoch}/{settings.epochs}", refresh=False)
        bar.set_postfix(loss=f"{loss:.3f}", accuracy=f"{accuracy:.3f}", refresh=False)
        bar.update()
        check()

    at_least = settings.smallest_batch
    batches = batch_count(len(dataset.train_images), settings.batch_size, at_least=at_least)
    shape = "{desc} {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} {remaining}{postfix}"
    hidden = None if leads else True  # None: shown on a terminal, not in a file
    progress = tqdm(total=batches, bar_format=shape, leave=False, disable=hidden)
    with deferred() as check, progress as bar:
        history = fit(
            net,
            dataset,
            settings,
            trainer=trainer,
            history=history,
            on_batch=on_batch,
            on_epoch=on_epoch,
            group=group,
        )
    return net, history


def _finish(
    folder: Path, net: gluon.Block, settings: Settings, dataset: Dataset, history: list[dict]
) -> None:
    figures, network = drawing.figures(), folder / run_folder.PARAMETERS
    write_history(folder / run_folder.HISTORY, history)
    _save_network(net, network)
    title = f"LeNet on {dataset.name}, batch normalization: {settings.norm}"
    figures.save(figures.curves({"": history}, title), folder / run_folder.CURVES)
    trained = (p for p in net.collect_params().values() if p.grad_req != "null")
    parameters = sum(int(np.prod(p.shape)) for p in trained)
    write_summary(folder / run_folder.SUMMARY, settings, dataset, history, network, parameters)


def _save_network(net: gluon.Block, path: Path) -> None:
    try:
        with replacing(path) as temporary:
            net.save_parameters(str(temporary))
            read_parameters(temporary)  # MXNet doesn't look whether the last bytes found room
    except (MXNetError, ValueError) as error:
        raise RunError(f"{path} can't be written; is the disk full?") from error


def _what_is_left(folder: Path, options: argparse.Namespace, epochs: int) -> str:
    """What a run that ends early leaves, and the command that goes on with it."""
    path, lines = folder / run_folder.CHECKPOINT, []
    if folder != options.out:
        lines.append(f"The earlier run in {options.out} is as it was.")
    if path.exists():
        done = len(checkpoint.read(path)[1])
        lines.append(f"Epochs kept: {done} of {epochs}. To go on, run: {_going_on(options)}")
    else:
        lines.append("No epoch was begun.")
    return "\n" + "\n".join(lines)


def _what_next(out: Path, norm: str) -> str:
    """What to try once a run is finished, on one line."""
    program = _typed(sys.executable, "-m", "d2l_bn")
    which = "" if out == OUT else f"--from {_typed(str(out))} "
    line = f"next, after {program}: predict {which}PICTURE"
    if norm != "none":
        plain = f"{out}-plain"
        line += f"; {_typed('train', '--norm', 'none', '--out', plain)}, other options as here"
        line += f", and {_typed('compare', str(out), plain)}"
    return f"{line}. To read on: make notebooks"


def _going_on(options: argparse.Namespace) -> str:
    """The command that resumes a run, as it can be typed here."""
    out, several = options.out, options.processes > 1
    if "MAKELEVEL" in os.environ and Path(sys.prefix).name == ".venv":
        if out == OUT and not several:
            return "make resume"
        if out == CLUSTER_OUT and several:
            return f"make resume-cluster WORKERS={options.processes}"
    start = launcher(options.machines) if several else []
    resume = ["-m", "d2l_bn", "train", "--resume", "--out", str(out)]
    return f"{_typed(*start, sys.executable)} {shlex.join(resume)}"


def _typed(*words: str) -> str:
    """Words as they can be typed into a shell here: paths below the current folder from there."""
    here = Path.cwd()
    return shlex.join(os.path.relpath(w) if here in Path(w).parents else w for w in words)
