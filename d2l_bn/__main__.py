"""Starts the program: first what has to come before MXNet is loaded, then the command line.

The libraries read the variables of the environment when they are loaded. So engine and threads are
chosen here, and under a launcher this process becomes the supervisor of the one that trains.
"""

from __future__ import annotations

import os
import sys

from d2l_bn.cluster.launched import launched, supervise
from d2l_bn.system import threads
from d2l_bn.system.errors import InputError
from d2l_bn.system.interrupts import end_at_crash

COMPUTING = ("train", "evaluate", "predict")


def program() -> int:
    """What the shell starts: the command line, and what only a program of its own may do."""
    command = next(iter(sys.argv[1:]), "")
    _open_streams()
    together = command == "train" and launched()
    try:
        choice = threads.choice(1 if together else 2)
        if together:
            supervise(choice)
        elif command in COMPUTING:
            os.environ.update(choice)
        from d2l_bn.program.command_line import main  # loads MXNet

        if command in COMPUTING:
            threads.start_engine()
    except InputError as error:
        print(f"d2l-bn {command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"d2l-bn {command}: stopped", file=sys.stderr)
        return 130
    end_at_crash()
    code = main()
    if code and together:
        # At its usual end, Python would wait for what waits for the others.
        sys.stdout.flush()
        os._exit(code)
    return code


def _open_streams() -> None:
    """Print whole lines at once, also into a pipe; survive a closed stream, and odd names."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # `>&-`
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
        getattr(sys, name).reconfigure(errors="backslashreplace", line_buffering=True)


if __name__ == "__main__":
    sys.exit(program())
