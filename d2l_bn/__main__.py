"""The command line: arguments in, calls out."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn, Optional

from d2l_bn.nn.networks import POOLING
from d2l_bn.program import commands
from d2l_bn.system.errors import InputError, RunError
from d2l_bn.training.settings import NORMS, RECIPES, SCHEDULES, Settings


class Parser(argparse.ArgumentParser):
    """An argument parser that answers a mistake with one line."""

    def error(self, message: str) -> NoReturn:
        """Print the mistake on one line and exit with code 2."""
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def parser() -> Parser:
    """The arguments of each command."""
    main = Parser(prog="d2l-bn", description="Train LeNet with batch normalization from scratch.")
    command = main.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_train(command.add_parser("train", help="train LeNet and plot the result"))
    _add_plot(command.add_parser("plot", help="draw one or several runs in one figure"))
    _add_predict(command.add_parser("predict", help="label test images, or a picture of yours"))
    _add_data(
        command.add_parser("data", help="say which data are there, and whether they check out")
    )
    return main


def _add_train(train: Parser) -> None:
    train.set_defaults(run=commands.train)
    choice, default = train.add_argument, Settings()
    choice(
        "--norm", choices=NORMS, default=default.norm, help="batch normalization: ours (scratch)"
    )
    choice("--data", default="auto", help="auto, fashion-mnist, sample, or a folder of IDX files")
    choice(
        "--recipe",
        choices=RECIPES,
        default="default",
        help="a set of the next four (default: default)",
    )
    choice("--batch-size", type=int, help="images in a batch")
    choice("--lr", type=float, help="learning rate at the start")
    choice("--momentum", type=float, help="momentum of gradient descent")
    choice("--schedule", choices=SCHEDULES, help="of the learning rate")
    choice("--epochs", type=int, default=default.epochs, help="passes over the training images")
    choice("--pooling", choices=POOLING, default=default.pooling, help="how LeNet shrinks images")
    choice("--seed", type=int, default=default.seed, help="of parameters and order of images")
    choice("--context", default=default.context, help="where to train: cpu(0), or cpu(0),cpu(1)")
    choice(
        "--out",
        type=Path,
        default=Path("runs/lenet"),
        help="folder of the run (default: runs/lenet)",
    )
    again = train.add_mutually_exclusive_group()
    again.add_argument("--resume", action="store_true", help="go on with an interrupted run")
    again.add_argument(
        "--overwrite", action="store_true", help="replace a run, once the new one ends"
    )


def _add_plot(plot: Parser) -> None:
    plot.set_defaults(run=commands.plot)
    plot.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folder of a run")
    plot.add_argument("--out", type=Path, default=Path("runs/curves.png"), help="the PNG to write")


def _add_predict(predict: Parser) -> None:
    predict.set_defaults(run=commands.predict)
    predict.add_argument("image", nargs="?", type=Path, help="a PNG (default: test images)")
    predict.add_argument(
        "--from", dest="folder", type=Path, default=Path("runs/lenet"), help="the run"
    )
    predict.add_argument("--data", default="auto", help="as in train")
    predict.add_argument("--count", type=int, default=24, help="how many test images")
    predict.add_argument(
        "--out", type=Path, help="the PNG to write (default: predictions.png in the run)"
    )


def _add_data(data: Parser) -> None:
    data.set_defaults(run=commands.data)
    data.add_argument("--data", default="auto", help="as in train")


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run a command; 0 if it did its work, 2 for a mistake in the arguments, 1 for a failure."""
    options = parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _terminate)
    try:
        options.run(options)
    except InputError as error:
        return _fail(options, error, 2)
    except RunError as error:
        return _fail(options, error, 1)
    except OSError as error:
        return _fail(options, f"{error.filename or 'a file'}: {error.strerror or error}", 1)
    except KeyboardInterrupt as stop:
        return _fail(options, "stopped", 128 + (stop.args[0] if stop.args else 2))
    return 0


def _terminate(number: int, frame: object) -> NoReturn:
    raise KeyboardInterrupt(number)


def _fail(options: argparse.Namespace, message: object, code: int) -> int:
    print(f"d2l-bn {options.command}: {message}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
