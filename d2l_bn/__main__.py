"""The command line: arguments in, calls out."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn, Optional

from d2l_bn.program import data, plot, predict, train
from d2l_bn.system.errors import InputError, RunError


class Parser(argparse.ArgumentParser):
    """An argument parser that answers a mistake with one line."""

    def error(self, message: str) -> NoReturn:
        """Print the mistake on one line and exit with code 2."""
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


COMMANDS = {
    "train": (train, "train LeNet and plot the result"),
    "plot": (plot, "draw one or several runs in one figure"),
    "predict": (predict, "label test images, or a picture of yours"),
    "data": (data, "say which data are there, and whether they check out"),
}


def parser() -> Parser:
    """The arguments of each command."""
    main = Parser(prog="d2l-bn", description="Train LeNet with batch normalization from scratch.")
    commands = main.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (module, purpose) in COMMANDS.items():
        command = commands.add_parser(name, help=purpose)
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return main


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
