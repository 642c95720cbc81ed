"""The command `train`: train LeNet, and leave a folder with all that came of it."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
from tqdm import tqdm

from d2l_bn.data.batching import batch_count
from d2l_bn.data.dataset import Dataset
from d2l_bn.data.places import load
from d2l_bn.nn.networks import POOLING
from d2l_bn.program import outcome, run_folder
from d2l_bn.system.errors import InputError, RunError
from d2l_bn.system.files import replacing
from d2l_bn.system.interrupts import deferred
from d2l_bn.system.memory import keep_memory
from d2l_bn.training import checkpoint
from d2l_bn.training.run import build, fit, make_trainer
from d2l_bn.training.settings import NORMS, RECIPES, SCHEDULES, Settings

from mxnet import MXNetError, gluon, nd

OUT = Path("runs/lenet")


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
    add("--out", type=Path, default=OUT, help=f"folder of the run (default: {OUT})")
    again = parser.add_mutually_exclusive_group()
    resume = "go on with an interrupted run, with its own settings"
    again.add_argument("--resume", action="store_true", help=resume)
    overwrite = "replace a run, once the new one ends"
    again.add_argument("--overwrite", action="store_true", help=overwrite)


def run(options: argparse.Namespace) -> None:
    """Train LeNet, and leave history, summary, curves and network in the folder of the run."""
    if not options.resume:
        _settings(options, {})  # a mistake in them is told before a folder is made
    outcome.drawing()  # and so is one that only the last step would meet
    keep_memory()
    how = {"resume": options.resume, "overwrite": options.overwrite}
    with run_folder.open_run(options.out, **how) as folder:
        if options.resume and run_folder.is_finished(folder):
            print(f"{options.out} is finished already: nothing to do")
            return
        path = folder / run_folder.CHECKPOINT
        saved = checkpoint.read(path)[0] if options.resume and path.exists() else {}
        settings = _settings(options, saved)
        dataset = load(options.data or saved.get("address", "auto"))
        _offer_to_go_on(options)
        try:
            net, history = _train(folder, settings, dataset, options.resume)
            _finish(folder, net, settings, dataset, history)
        except checkpoint.Damaged:
            raise
        except (KeyboardInterrupt, OSError, RunError):
            print(_what_is_left(folder, options.out, settings.epochs), file=sys.stderr)
            raise
    print(outcome.final_table(settings, dataset, history))
    print(f"curves in {options.out / run_folder.CURVES}")


def _settings(options: argparse.Namespace, saved: dict) -> Settings:
    """The settings that are given; the others are those of the saved run, or of the recipe."""
    if saved and not options.recipe:
        others = {name: saved[name] for name in asdict(Settings()) if name in saved}
    else:
        others = {**asdict(Settings()), **RECIPES[options.recipe or "default"]}
    given = {name: getattr(options, name) for name in others}
    try:
        return Settings(**{name: others[name] if v is None else v for name, v in given.items()})
    except TypeError as error:  # somebody has edited the checkpoint
        raise InputError(f"the run has settings of a wrong kind ({error}); --overwrite") from error


def _offer_to_go_on(options: argparse.Namespace) -> None:
    interrupted = not run_folder.is_finished(options.out)
    if options.overwrite and interrupted and (options.out / run_folder.CHECKPOINT).exists():
        print(
            f"{options.out} holds an interrupted run, which this one replaces when it ends. "
            f"To go on with it instead, stop this one and run: {_going_on(options.out)}"
        )


def _train(
    folder: Path, settings: Settings, dataset: Dataset, resume: bool
) -> tuple[gluon.Block, list[dict]]:
    """Train in `folder`, from its checkpoint if `resume`, with a checkpoint after each epoch."""
    path = folder / run_folder.CHECKPOINT
    net = build(settings, dataset)
    trainer = make_trainer(net, settings)
    identity = checkpoint.identity(settings, dataset)
    history: list[dict] = []
    if resume and path.exists():
        history = checkpoint.load(path, net, trainer, identity)
        print(f"going on after epoch {len(history)}")
    elif resume:
        print("no checkpoint yet: starting afresh")

    def on_epoch(history: list[dict]) -> None:
        checkpoint.save(path, net, trainer, identity, history)
        outcome.write_history(folder / run_folder.HISTORY, history)
        bar.reset()
        tqdm.write(outcome.epoch_line(history[-1], settings.epochs))

    def on_batch(epoch: int, batch: int, loss: float, accuracy: float) -> None:
        bar.set_description(f"epoch {epoch}/{settings.epochs}", refresh=False)
        bar.set_postfix(loss=f"{loss:.3f}", accuracy=f"{accuracy:.3f}", refresh=False)
        bar.update()
        check()

    options = {"at_least": settings.smallest_batch}
    batches = batch_count(len(dataset.train_images), settings.batch_size, **options)
    shape = "{desc} {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} {remaining}{postfix}"
    # disable=None: a bar is for a terminal, not for a file
    progress = tqdm(total=batches, bar_format=shape, leave=False, disable=None)
    with deferred() as check, progress as bar:
        history = fit(
            net,
            dataset,
            settings,
            trainer=trainer,
            history=history,
            on_batch=on_batch,
            on_epoch=on_epoch,
        )
    return net, history


def _finish(
    folder: Path, net: gluon.Block, settings: Settings, dataset: Dataset, history: list[dict]
) -> None:
    figures = outcome.drawing()
    outcome.write_history(folder / run_folder.HISTORY, history)
    _save_network(net, folder / run_folder.PARAMETERS)
    title = f"LeNet on {dataset.name}, batch normalization: {settings.norm}"
    figures.save(figures.curves({"": history}, title), folder / run_folder.CURVES)
    trained = (p for p in net.collect_params().values() if p.grad_req != "null")
    parameters = sum(int(np.prod(p.shape)) for p in trained)
    network = folder / run_folder.PARAMETERS
    outcome.write_summary(
        folder / run_folder.SUMMARY, settings, dataset, history, network, parameters
    )


def _save_network(net: gluon.Block, path: Path) -> None:
    try:
        with replacing(path) as temporary:
            net.save_parameters(str(temporary))
            nd.load(str(temporary))  # MXNet doesn't look whether the last bytes found room
    except MXNetError as error:
        raise RunError(f"{path} can't be written; is the disk full?") from error


def _what_is_left(folder: Path, out: Path, epochs: int) -> str:
    """What a run that ends early leaves, and the command that goes on with it."""
    path, lines = folder / run_folder.CHECKPOINT, []
    done = len(checkpoint.read(path)[1]) if path.exists() else 0
    if folder != out:
        lines.append(f"The earlier run in {out} is as it was.")
    if done:
        lines.append(f"Epochs kept: {done} of {epochs}. To go on, run: {_going_on(out)}")
    else:
        lines.append("No epoch was finished.")
    return "\n" + "\n".join(lines)


def _going_on(out: Path) -> str:
    """The command that resumes the run in `out`, as it can be typed here."""
    if "MAKELEVEL" in os.environ and out == OUT and Path(sys.prefix).name == ".venv":
        return "make resume"
    python = Path(sys.executable)
    if Path.cwd() in python.parents:
        python = python.relative_to(Path.cwd())
    return shlex.join([str(python), "-m", "d2l_bn", "train", "--resume", "--out", str(out)])
