"""How the commands come to their pictures."""

from __future__ import annotations

from types import ModuleType

from d2l_bn.system.errors import RunError


def figures() -> ModuleType:
    """The room of figures, at the moment when it is needed; RunError if matplotlib can't be used.

    Importing matplotlib takes longer than all the rest of the program.
    """
    try:
        from d2l_bn import figures as room
    except Exception as error:  # whatever is wrong with an installation or its configuration
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise RunError(
            f"no picture can be drawn, since matplotlib doesn't import ({reason}); mend or "
            "reinstall it"
        ) from error
    return room
