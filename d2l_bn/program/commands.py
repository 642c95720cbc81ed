"""What each command of the command line does."""

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
from d2l_bn.data.places import load, survey
from d2l_bn.program import report, run_folder
from d2l_bn.system.errors import InputError, RunError
from d2l_bn.system.files import replacing
from d2l_bn.system.interrupts import deferred
from d2l_bn.system.memory import keep_memory
from d2l_bn.training import checkpoint
from d2l_bn.training.run import build, fit, make_trainer
from d2l_bn.training.settings import RECIPES, Settings

from mxnet import MXNetError, gluon, nd


def train(options: argparse.Namespace) -> None:
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
    print(report.final_table(settings, dataset, history))
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
        report.write_history(folder / run_folder.HISTORY, history)
        bar.reset()
        tqdm.write(report.epoch_line(history[-1], settings.epochs))

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

    report.write_history(folder / run_folder.HISTORY, history)
    _save_network(net, folder / run_folder.PARAMETERS)
    title = f"LeNet on {dataset.name}, batch normalization: {settings.norm}"
    figures.save(figures.curves({"": history}, title), folder / run_folder.CURVES)
    trained = (p for p in net.collect_params().values() if p.grad_req != "null")
    parameters = sum(int(np.prod(p.shape)) for p in trained)
    report.write_summary(folder / run_folder.SUMMARY, settings, dataset, history, parameters)


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


def plot(options: argparse.Namespace) -> None:
    """Draw the histories of one or several runs in one figure."""
    histories = {str(run): report.read_history(run / run_folder.HISTORY) for run in options.runs}
    from d2l_bn import figures

    labels = {name: Path(name).name if len(histories) > 1 else "" for name in histories}
    if len(set(labels.values())) < len(labels):
        labels = {name: name for name in histories}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    figures.save(figures.curves({labels[name]: h for name, h in histories.items()}), options.out)
    print(f"curves in {options.out}")


def predict(options: argparse.Namespace) -> None:
    """Draw test images with predictions and probabilities, or label a picture."""
    from d2l_bn.program.prediction import load_network, probabilities, read_picture

    if options.count < 1:
        raise InputError(f"count must be 1 or more, got {options.count}")
    net, summary = load_network(options.folder)
    names, shape = summary["data"]["classes"], tuple(summary["data"]["image_shape"])
    if options.image is not None:
        chances = probabilities(net, read_picture(options.image, shape)[None])[0]
        for index in np.argsort(-chances)[:3]:
            print(f"{chances[index]:6.1%}  {names[index]}")
        return
    from d2l_bn import figures

    dataset = load(options.data)
    if (dataset.class_names, dataset.image_shape) != (tuple(names), shape):
        raise InputError(
            f"{options.folder} was trained on {summary['data']['name']}, with other classes or "
            f"another image size than {dataset.name}; name its data with --data"
        )
    count = min(options.count, len(dataset.test_images))
    chosen = np.sort(np.random.default_rng(0).permutation(len(dataset.test_images))[:count])
    images, labels = dataset.test_images[chosen], dataset.test_labels[chosen]
    chances = probabilities(net, images)
    title = f"{count} test images of {dataset.name}, predicted by {options.folder}"
    figure = figures.prediction_grid(images, chances, names, labels, title)
    out = options.out or options.folder / run_folder.PREDICTIONS
    figures.save(figure, out)
    right = int((chances.argmax(axis=1) == labels).sum())
    print(f"{right} of {count} right; the images are in {out}")


def data(options: argparse.Namespace) -> None:
    """Say which data are there, where, and whether they check out, and which would be used."""
    for line in survey():
        print(line)
    used = load(options.data, download=False)
    height, width = used.image_shape
    print(
        f"--data {options.data} means {used.name} in {used.source}: "
        f"{len(used.train_images):,} + {len(used.test_images):,} images of {height} by {width}, "
        f"{used.classes} classes"
    )
