"""Curves that are drawn in a notebook while training."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Callable, Optional

from d2l_bn.figures.histories import curves

EVERY = 50  # batches


class LiveCurves:
    """One figure with the curves of one or several runs, drawn anew every 50 batches.

    The figure stands below the cell that trains first. Its axes are fixed from the start, and a
    line says which epoch it is, how long the run has taken, and about how long it will still take.
    It needs no widgets, and a saved notebook keeps its last state alone.

    Parameters
    ----------
    title : str
        Above the figure.

    Attributes
    ----------
    histories : dict of str to list of dict
        The label of each run, and its history so far.
    """

    def __init__(self, title: str = "") -> None:
        self.title = title
        self.histories: dict[str, list[dict]] = {}
        self._epochs = 1
        self._handle = None

    def follow(self, label: str, epochs: int, batches: int) -> dict[str, Callable]:
        """What to pass to `fit`, as ``**live.follow(...)``, for a run with this label.

        Parameters
        ----------
        label : str
            What the legend calls the run.
        epochs : int
            How many the run has; the axes make room for them at once.
        batches : int
            How many an epoch has.
        """
        self.histories[label] = []
        self._epochs = max(self._epochs, epochs)
        start = time.monotonic()
        self._draw()

        def words(where: str, place: float) -> str:
            spent = time.monotonic() - start
            left = spent * (epochs / place - 1)
            return f"{label}: {where}; {_clock(spent)} elapsed, about {_clock(left)} left"

        def on_batch(epoch: int, batch: int, loss: float, accuracy: float) -> None:
            if batch % EVERY == 0 and batch < batches:
                place = epoch - 1 + batch / batches
                where = f"epoch {epoch} of {epochs}, batch {batch} of {batches}"
                self._draw({label: (place, loss, accuracy)}, words(where, place))

        def on_epoch(history: Sequence[dict]) -> None:
            self.histories[label] = list(history)
            done = len(history)
            # A finished run says no times: a notebook that is kept would differ from run to run.
            self._draw(words=words(f"epoch {done} of {epochs}", done) if done < epochs else "")

        return {"on_batch": on_batch, "on_epoch": on_epoch}

    def _draw(self, now: Optional[dict] = None, words: str = "") -> None:
        from IPython.display import display  # here, since only notebooks have IPython

        figure = curves(self.histories, self.title, epochs=self._epochs, now=now or {}, words=words)
        if self._handle is None:
            self._handle = display(figure, display_id=True)  # None outside of a notebook
        else:
            self._handle.update(figure)


def _clock(seconds: float) -> str:
    """Minutes and seconds: 1:05."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"
