"""Signals that end a run: some held back while an exception could get lost, some not."""

from __future__ import annotations

import contextlib
import faulthandler
import signal
from collections.abc import Iterator
from typing import Callable, Optional


@contextlib.contextmanager
def deferred(notice: Optional[Callable[[], None]] = None) -> Iterator[Callable[[], None]]:
    """Hold back SIGINT and SIGTERM.

    MXNet frees its arrays in ``__del__``. Python prints an exception that is raised there, and
    goes on: a Ctrl-C at such a moment would be lost, and in a training loop there are many.

    Parameters
    ----------
    notice : callable (), optional
        Where it may take long until somebody asks, it says so: it is called for the first signal,
        and the second one is not held back.

    Yields
    ------
    callable ()
        Raises KeyboardInterrupt, with the number of the signal, if one has come.
    """
    received: list[int] = []

    def receive(number: int, _: object) -> None:
        if notice is not None:
            if received:
                raise KeyboardInterrupt(number)
            notice()
        received.append(number)

    def check() -> None:
        if received:
            raise KeyboardInterrupt(received.pop())

    # None is a handler that isn't Python's, which couldn't be put back.
    numbers = [n for n in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(n) is not None]
    before = {n: signal.signal(n, receive) for n in numbers}
    try:
        yield check
        check()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def end_at_crash() -> None:
    """Let a crash end this program, with Python's stack instead of MXNet's.

    MXNet's own handler of SIGSEGV allocates memory. If the thread that crashed was allocating too,
    both wait for the same lock, and the program never ends.
    """
    signal.signal(signal.SIGSEGV, signal.SIG_DFL)  # or MXNet's would still come after Python's
    faulthandler.enable()
