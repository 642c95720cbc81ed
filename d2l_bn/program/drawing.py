"""How the commands come to their pictures."""

from __future__ import annotations

import contextlib
from pathlib import Path
from types import ModuleType

from d2l_bn.system.errors import RunError
from d2l_bn.system.files import read_regular


def figures() -> ModuleType:
    """The room of figures, at the moment when it is needed; RunError if matplotlib can't be used.

    Importing matplotlib takes longer than all the rest of the program.
    """
    try:
        with contextlib.suppress(FileNotFoundError):  # matplotlib would wait for a pipe
            read_regular(Path("matplotlibrc"), 2**20)
        import matplotlib

        from d2l_bn import figures as room

        matplotlib.rcdefaults()  # a matplotlibrc in the current folder may be a stranger's
    except Exception as error:  # whatever is wrong with an installation or its configuration
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise RunError(
            f"no picture can be drawn, since matplotlib doesn't import ({reason}); mend or "
            "reinstall it"
        ) from error
    return room
