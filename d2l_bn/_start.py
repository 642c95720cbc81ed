"""What the program settles before MXNet is loaded: how many threads, and who watches over it.

The libraries read the variables of the environment when they are loaded, which importing d2l_bn
does. So this is asked first, and does nothing unless the import is that of the program.
"""

from __future__ import annotations

import sys
from pathlib import Path

from d2l_bn.cluster.launched import launched, supervise
from d2l_bn.system import threads

COMPUTING = ("train", "evaluate", "predict")


def settle() -> None:
    """Choose the threads of a command that computes; under a launcher, become its supervisor."""
    command = _command()
    if command == "train" and launched():
        supervise({} if threads.chosen() else threads.CHOICE_OF_SEVERAL)
    elif command in COMPUTING:
        threads.choose()


def _command() -> str:
    """The command of the program, or "" where another program imports d2l_bn.

    While ``python -m d2l_bn`` looks for the module to run, Python's name for the program is "-m".
    """
    program, *arguments = sys.argv or [""]
    return arguments[0] if arguments and Path(program).name in ("-m", "d2l-bn") else ""
