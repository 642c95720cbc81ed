"""What the chapters need in a notebook: a budget for tests, and curves drawn while training."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Callable, TypeVar

from d2l_bn.figures.histories import curves

T = TypeVar("T")


def budget(full: T, quick: T) -> T:
    """The value `quick` if the environment variable ``D2L_BN_QUICK`` is 1, else `full`.

    The tests of the chapters set the variable, so that each chapter runs in a minute or two.
    """
    return quick if os.environ.get("D2L_BN_QUICK") == "1" else full


class LiveCurves:
    """One figure with the curves of one or several runs, drawn anew after each epoch.

    The figure stands below the cell that trains first. It needs no widgets, and a saved notebook
    keeps its last state alone.

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
        self._handle = None

    def follow(self, label: str) -> Callable[[Sequence[dict]], None]:
        """What to pass to `fit` as `on_epoch`, for a run that the legend calls `label`.

        The figure appears, or makes room for the run, at once.
        """
        self.histories[label] = []
        self._draw()

        def on_epoch(history: Sequence[dict]) -> None:
            self.histories[label] = list(history)
            self._draw()

        return on_epoch

    def _draw(self) -> None:
        from IPython.display import display  # here, since only notebooks have IPython

        figure = curves(self.histories, self.title)
        if self._handle is None:
            self._handle = display(figure, display_id=True)  # None outside of a notebook
        else:
            self._handle.update(figure)
