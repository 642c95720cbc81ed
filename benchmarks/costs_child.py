"""The programs that costs.py measures, each in a process of its own."""

from __future__ import annotations

import argparse
import itertools
import json
import resource
import statistics
import sys
import time

import numpy as np
from tqdm import tqdm

from benchmarks.mxnet_side import step
from d2l_bn.data import Dataset, batches
from d2l_bn.nn.networks import lenet
from d2l_bn.reference.source import SourceBatchNorm
from d2l_bn.system.memory import keep_memory
from d2l_bn.training import Settings, build, evaluate, fit, make_trainer, train_epoch

from mxnet import gluon, init, nd

FULL = 60_000, 10_000  # training and test images of Fashion-MNIST


def noise(train: int, test: int) -> Dataset:
    """A data set of noise, with as many images and labels as asked for."""
    rng = np.random.default_rng(0)

    def images(count: int) -> np.ndarray:
        return rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)

    def labels(count: int) -> np.ndarray:
        return rng.integers(0, 10, count, dtype=np.uint8)

    parts = images(train), labels(train), images(test), labels(test)
    return Dataset("noise", "this benchmark", *parts, tuple("0123456789"))


def memory(kind: str, count: int) -> float:
    """Peak memory in MB after some batches of training and two of evaluation."""
    run = {"ours": train_ours, "source": train_source}[kind]
    if kind == "ours":
        keep_memory()
    run(noise(*FULL), count)
    nd.waitall()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def train_ours(data: Dataset, count: int) -> None:
    """A part of an epoch, as `fit` does it."""
    settings = Settings()
    net = build(settings, data)
    train = batches(data.train_images, data.train_labels, 256, rng=np.random.default_rng(0))
    trainer = make_trainer(net, settings)
    train_epoch(net, itertools.islice(train, count), trainer, itertools.repeat(0.1))
    evaluate(net, itertools.islice(batches(data.test_images, data.test_labels, 1000), 2))


def train_source(data: Dataset, count: int) -> None:
    """The same as the source does it: a DataLoader with a transform for each image."""

    def loader(images, labels, shuffle):
        pairs = gluon.data.ArrayDataset(nd.array(images[..., None], dtype=np.uint8), labels)
        pairs = pairs.transform_first(gluon.data.vision.transforms.ToTensor())
        return gluon.data.DataLoader(pairs, 256, shuffle=shuffle)

    net = lenet(SourceBatchNorm)
    net.initialize(init.Xavier())
    trainer = gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": 0.1})
    for X, y in itertools.islice(loader(data.train_images, data.train_labels, True), count):
        step(net, trainer, X, y.astype("float32")).sum().asscalar()
    for X, _ in itertools.islice(loader(data.test_images, data.test_labels, False), 2):
        net(X).argmax(axis=1).asnumpy()


def overhead(rounds: int, images: int) -> dict[str, float]:
    """`fit` with its data, metrics and progress bar, and the bare step on batches in memory."""
    keep_memory()
    data, settings = noise(images, 2), Settings(epochs=1)
    net = build(settings, data)
    trainer = make_trainer(net, settings)
    ready = list(batches(data.train_images, data.train_labels, settings.batch_size))
    nd.waitall()

    def bare() -> float:
        start = time.perf_counter()
        for X, y in ready:
            step(net, trainer, X, y)
        nd.waitall()
        return time.perf_counter() - start

    def whole() -> float:
        with tqdm(total=len(ready), file=sys.stderr, mininterval=0.1, leave=False) as bar:

            def on_batch(epoch: int, batch: int, loss: float, accuracy: float) -> None:
                bar.set_postfix(loss=f"{loss:.3f}", accuracy=f"{accuracy:.3f}", refresh=False)
                bar.update()

            return fit(net, data, settings, trainer=trainer, on_batch=on_batch)[0]["seconds"]

    bare(), whole()
    pairs = [(whole(), bare()) for _ in range(rounds)]
    return {
        "fit_seconds": statistics.median(both for both, _ in pairs),
        "bare_seconds": statistics.median(step_alone for _, step_alone in pairs),
        "share": 1 - 1 / statistics.median(both / step_alone for both, step_alone in pairs),
    }


def training(choice: str, images: int) -> dict[str, float]:
    """`fit`, as a program that keeps its memory or doesn't."""
    if choice == "kept":
        keep_memory()
    data, settings = noise(images, 2), Settings(epochs=2)
    return fit(build(settings, data), data, settings)[1]  # the first epoch plans and fills memory


def main() -> None:
    """Run the program that the arguments ask for, and print what it found as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    programs = parser.add_subparsers(required=True)
    program = programs.add_parser("memory", help=memory.__doc__)
    program.add_argument("kind", choices=("ours", "source"))
    program.add_argument("count", type=int, help="batches of training")
    program.set_defaults(run=memory)
    program = programs.add_parser("overhead", help=overhead.__doc__)
    program.add_argument("rounds", type=int)
    program.add_argument("images", type=int)
    program.set_defaults(run=overhead)
    program = programs.add_parser("training", help=training.__doc__)
    program.add_argument("choice", choices=("kept", "without"))
    program.add_argument("images", type=int)
    program.set_defaults(run=training)
    options = vars(parser.parse_args())
    print(json.dumps(options.pop("run")(**options)))


if __name__ == "__main__":
    main()
