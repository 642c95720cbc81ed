"""Signals that end a run, held back while an exception could get lost."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from typing import Callable


@contextlib.contextmanager
def deferred() -> Iterator[Callable[[], None]]:
    """Hold back SIGINT and SIGTERM.

    MXNet frees its arrays in ``__del__``. Python prints an exception that is raised there, and
    goes on: a Ctrl-C at such a moment would be lost, and in a training loop there are many.

    Yields
    ------
    callable ()
        Raises KeyboardInterrupt, with the number of the signal, if one has come.
    """
    received: list[int] = []

    def check() -> None:
        if received:
            raise KeyboardInterrupt(received.pop())

    numbers = signal.SIGINT, signal.SIGTERM
    before = {n: signal.signal(n, lambda number, _: received.append(number)) for n in numbers}
    try:
        yield check
        check()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
