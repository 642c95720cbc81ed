"""The command line: arguments in, calls out."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Sequence
from typing import NoReturn, Optional

from d2l_bn import __version__
from d2l_bn.cluster.launched import launched
from d2l_bn.program import about, compare, data, evaluate, export, predict, train
from d2l_bn.system.errors import InputError, RunError

from mxnet import MXNetError

COMMANDS = {
    "train": (train, "train LeNet and plot the result"),
    "evaluate": (evaluate, "say how good a run is, class by class, and draw its mistakes"),
    "compare": (compare, "print several runs as a table, and draw them"),
    "predict": (predict, "label pictures of yours, or test images"),
    "export": (export, "write a trained network for other programs: ONNX, or Gluon"),
    "data": (data, "say which data are there, or make some of your pictures"),
    "about": (about, "say what runs here, and how"),
}
WAIT_FOR_RANK_0 = 2  # seconds
LONGEST = 5000  # characters of a message: it may have a path in it


class Parser(argparse.ArgumentParser):
    """An argument parser that answers a mistake with one line."""

    def error(self, message: str) -> NoReturn:
        """Print the mistake on one line and exit with code 2."""
        line = " ".join(message.split())
        self.exit(2, f"{self.prog}: {line} (see {self.prog} --help)\n")


def parser() -> Parser:
    """The arguments of each command."""
    main = Parser(prog="d2l-bn", description="Train LeNet with batch normalization from scratch.")
    main.add_argument("--version", action="version", version=f"d2l-bn {__version__}")
    commands = main.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (module, purpose) in COMMANDS.items():
        command = commands.add_parser(name, help=purpose)
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return main


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run a command; 0 if it did its work, 2 for a mistake in the arguments, 1 for a failure."""
    parse, given = parser(), sys.argv[1:] if arguments is None else list(arguments)
    for argument in given:
        if not argument or not argument.isprintable():  # figures and tables couldn't show it
            parse.error(f"arguments must be printable UTF-8, and not empty, got {argument!a}")
    options = parse.parse_args(given)
    signal.signal(signal.SIGTERM, _terminate)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, _terminate)
    try:
        options.run(options)
        sys.stdout.flush()
    except InputError as error:
        return _fail(options, error, 2)
    except RunError as error:
        return _fail(options, error, 1)
    except BrokenPipeError:  # `d2l-bn data | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except OSError as error:
        return _fail(options, f"{error.filename or 'a file'}: {error.strerror or error}", 1)
    except MemoryError:
        return _fail(options, "there is not enough memory", 1)
    except RecursionError:  # of Python's, which makes folders one inside of the other
        return _fail(options, "a path has too many folders", 2)
    except MXNetError as error:
        return _fail(options, f"MXNet failed: {str(error).strip().splitlines()[-1]}", 1)
    except KeyboardInterrupt as stop:
        return _fail(options, "stopped", 128 + (stop.args[0] if stop.args else 2))
    return 0


def _terminate(number: int, frame: object) -> NoReturn:
    raise KeyboardInterrupt(number)


def _fail(options: argparse.Namespace, message: object, code: int) -> int:
    together = launched() if options.command == "train" else None
    if together and together.rank:
        # What all have met, rank 0 has said; the launcher then ends this process before it speaks.
        time.sleep(WAIT_FOR_RANK_0)
        message = f"rank {together.rank}: {message}"
    text = str(message)
    text = text if len(text) < LONGEST else f"{text[: LONGEST // 2]} ... {text[-LONGEST // 4 :]}"
    line = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
    print(f"d2l-bn {options.command}: {line}", file=sys.stderr, flush=True)
    return code
