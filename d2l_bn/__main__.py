"""Starts the program: first what has to come before MXNet is loaded, then the command line.

The libraries read the variables of the environment when they are loaded. So engine and threads are
chosen here, and under a launcher this process becomes the supervisor of the one that trains.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from typing import NoReturn

ADDRESS_SPACE = 1_500_000_000  # with less MXNet hangs or crashes, by luck
COMPUTING = ("train", "evaluate", "predict")


def program() -> int:
    """What the shell starts: the command line, and what only a program of its own may do."""
    _open_streams()
    listens = signal.getsignal(signal.SIGINT) in (signal.default_int_handler, signal.SIG_DFL)
    if listens:
        signal.signal(signal.SIGINT, _stop)  # an exception would get lost in some of the imports
    from d2l_bn.cluster.launched import launched, supervise
    from d2l_bn.system import threads
    from d2l_bn.system.errors import InputError
    from d2l_bn.system.interrupts import end_at_crash

    command = next(iter(sys.argv[1:]), "")
    for name in set(os.environ).difference(threads.READ_BY_MXNET):
        if name.startswith(threads.LEFT_OUT):  # by some MXNet computes NaN, by some it fails
            del os.environ[name]
    os.environ["MPLBACKEND"] = "agg"  # that of a notebook, whose child this may be, isn't for us
    try:
        together = command == "train" and launched()
        choice = threads.choice(1 if together else 2)
        if together:
            supervise(choice)
        elif command in COMPUTING:
            os.environ.update(choice)
        for limit, option in ((resource.RLIMIT_AS, "v"), (resource.RLIMIT_DATA, "d")):
            if 0 <= resource.getrlimit(limit)[0] < ADDRESS_SPACE:
                raise MemoryError(f"MXNet needs {ADDRESS_SPACE:,} bytes (ulimit -{option})")
        from d2l_bn.program.command_line import main  # loads MXNet

        if command in COMPUTING:
            threads.start_engine()
    except InputError as error:
        print(f"d2l-bn {command}: {error}", file=sys.stderr)
        return 2
    except Exception as error:  # of many kinds: what is missing, broken, or finds no memory
        reason = " ".join(str(error).split()[-40:])
        print(f"d2l-bn {command}: it can't start: {reason}", file=sys.stderr)
        return 1
    end_at_crash()
    try:
        code = main()
    except KeyboardInterrupt:  # a second one, while the first is told
        code = 130
    if listens:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # what is left is to end
    if code and together:
        # At its usual end, Python would wait for what waits for the others.
        sys.stdout.flush()
        os._exit(code)
    return code


def _stop(number: int, frame: object) -> NoReturn:
    """End with one line, at once, whatever is being imported or taken down."""
    print(f"\nd2l-bn {next(iter(sys.argv[1:]), '')}: stopped", file=sys.stderr, flush=True)
    os._exit(128 + number)


def _open_streams() -> None:
    """Print whole lines at once, also into a pipe; survive a closed stream, and odd names."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # `>&-`
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
        getattr(sys, name).reconfigure(errors="backslashreplace", line_buffering=True)


if __name__ == "__main__":
    sys.exit(program())
