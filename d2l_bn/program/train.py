"""The command `train`: train LeNet, and leave a folder with all that came of it."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from d2l_bn.data.batching import batch_count
from d2l_bn.data.dataset import Dataset
from d2l_bn.data.places import load
from d2l_bn.nn.networks import POOLING
from d2l_bn.program import outcome, run_folder
from d2l_bn.system.errors import RunError
from d2l_bn.system.files import replacing
from d2l_bn.system.interrupts import deferred
from d2l_bn.system.memory import keep_memory
from d2l_bn.training import checkpoint
from d2l_bn.training.run import build, fit, make_trainer
from d2l_bn.training.settings import NORMS, RECIPES, SCHEDULES, Settings

from mxnet import MXNetError, gluon, nd


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    add, default = parser.add_argument, Settings()
    add("--norm", choices=NORMS, default=default.norm, help="batch normalization: ours (scratch)")
    add("--data", default="auto", help="auto, fashion-mnist, sample, or a folder of IDX files")
    recipes = "a set of the next four (default: default)"
    add("--recipe", choices=RECIPES, default="default", help=recipes)
    add("--batch-size", type=int, help="images in a batch")
    add("--lr", type=float, help="learning rate at the start")
    add("--momentum", type=float, help="momentum of gradient descent")
    add("--schedule", choices=SCHEDULES, help="of the learning rate")
    add("--epochs", type=int, default=default.epochs, help="passes over the training images")
    add("--pooling", choices=POOLING, default=default.pooling, help="how LeNet shrinks images")
    add("--seed", type=int, default=default.seed, help="of parameters and order of images")
    add("--context", default=default.context, help="where to train: cpu(0), or cpu(0),cpu(1)")
    folder = "folder of the run (default: runs/lenet)"
    add("--out", type=Path, default=Path("runs/lenet"), help=folder)
    again = parser.add_mutually_exclusive_group()
    again.add_argument("--resume", action="store_true", help="go on with an interrupted run")
    again.add_argument(
        "--overwrite", action="store_true", help="replace a run, once the new one ends"
    )


def run(options: argparse.Namespace) -> None:
    """Train LeNet, and leave history, summary, curves and network in the folder of the run."""
    settings = _settings(options)
    keep_memory()
    how = {"resume": options.resume, "overwrite": options.overwrite}
    with run_folder.open_run(options.out, **how) as folder:
        if options.resume and run_folder.is_finished(folder):
            print(f"{options.out} is finished already: nothing to do")
            return
        dataset = load(options.data)
        try:
            net, history = _train_in(folder, settings, dataset, options.resume)
            _finish(folder, net, settings, dataset, history)
        except (KeyboardInterrupt, OSError, RunError):
            print(_what_is_left(folder, options.out), file=sys.stderr)
            raise
    print(outcome.final_table(settings, dataset, history))
    print(f"curves in {options.out / run_folder.CURVES}")


def _settings(options: argparse.Namespace) -> Settings:
    given: dict[str, Any] = {name: getattr(options, name) for name in asdict(Settings())}
    recipe = RECIPES[options.recipe]
    return Settings(**{k: recipe[k] if v is None else v for k, v in given.items()})


def _train_in(
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
    # disable=None: a bar is for a terminal, not for a file
    progress = tqdm(total=batches, unit="batch", leave=False, disable=None)
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
    from d2l_bn import figures  # here, since importing matplotlib takes longer than all the rest

    outcome.write_history(folder / run_folder.HISTORY, history)
    _save_network(net, folder / run_folder.PARAMETERS)
    title = f"LeNet on {dataset.name}, batch normalization: {settings.norm}"
    figures.save(figures.curves({"": history}, title), folder / run_folder.CURVES)
    trained = (p for p in net.collect_params().values() if p.grad_req != "null")
    parameters = sum(int(np.prod(p.shape)) for p in trained)
    outcome.write_summary(folder / run_folder.SUMMARY, settings, dataset, history, parameters)


def _save_network(net: gluon.Block, path: Path) -> None:
    try:
        with replacing(path) as temporary:
            net.save_parameters(str(temporary))
            nd.load(str(temporary))  # MXNet doesn't look whether the last bytes found room
    except MXNetError as error:
        raise RunError(f"{path} can't be written; is the disk full?") from error


def _what_is_left(folder: Path, out: Path) -> str:
    if folder != out:
        return f"\nthe earlier run in {out} is as it was"
    if (folder / run_folder.CHECKPOINT).exists():
        return "\nthe last checkpoint is whole: the same command with --resume goes on from it"
    return "\nno epoch was finished"
