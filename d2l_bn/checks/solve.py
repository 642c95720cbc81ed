"""The one search for a cause: which candidates, one for each slot, give the answers received.

Whatever is asked has the form `first * second / third + fourth`. With a first and a fourth, each
second says which third it needs, and that is looked up. So any number of slips in different slots
are found at once; the fewest win, then the likelier ones. Several inputs have to agree.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Optional

import numpy as np

from d2l_bn.checks.slots import Part, Pools

FLOAT32, FLOAT64 = 2e-5, 1e-9  # relative: the digits that an answer of a type has
PLACES = 40  # values of an answer that are looked at
Rank = tuple[int, ...]


def rank(*parts: Part) -> Rank:
    """How many slips make these parts, and how rare they are."""
    keys = frozenset().union(*(part.keys for part in parts))
    return len(keys), sum(part.rarity for part in parts)


class Search:
    """Candidates of several inputs, side by side.

    Parameters
    ----------
    pools : sequence of Pools
        The candidates for the four slots, for each input.
    answers : sequence of array
        What was received for each.
    counted : sequence of array
        Which of its values count; all, if it isn't given.
    exact : float
        The relative error that an answer has.
    """

    def __init__(
        self, pools: Sequence[Pools], answers, counted=None, exact: float = FLOAT32
    ) -> None:
        places = [_chosen(each) for each in counted or map(np.ones_like, answers)]
        self.answer = np.concatenate([each[at] for each, at in zip(answers, places)])
        self.bound = exact * np.maximum(1, abs(self.answer))
        self.parts, self.values = [], []
        shapes = [each.shape for each in answers]
        for slot in zip(*pools):
            named = [_named(pool) for pool in slot]
            shared = [name for name in named[0] if all(name in other for other in named)]
            self.parts.append([named[0][name] for name in shared])
            rows = []
            for pool, shape, at in zip(named, shapes, places):
                values = [np.broadcast_to(pool[name].value, shape)[at] for name in shared]
                rows.append(np.stack(values))
            self.values.append(np.concatenate(rows, axis=1))
        self.sorted: dict[int, tuple] = {}

    def best(self, most: int) -> Optional[tuple[Part, ...]]:
        """The parts of at most so many slips that give the answers, or None."""
        found = None
        least: Rank = (most + 1, 0, 0)
        first, second, third, fourth = self.parts
        pairs = [(rank(a, b), i, j) for (i, a), (j, b) in product(*map(enumerate, (first, fourth)))]
        for lowest, i, j in sorted(pairs):
            if lowest > least[:2]:
                break
            for k, n in self._fitting(i, j):
                parts = first[i], second[k], third[n], fourth[j]
                here = (*rank(*parts), i + k + n + j)
                if here[0] > 0 and here < least:
                    found, least = parts, here
        return found

    def _fitting(self, i: int, j: int) -> Iterator[tuple[int, int]]:
        """Yield which second and third fit to this first and fourth."""
        F, S, T, B = self.values
        rest = self.answer - B[j]
        at = int(np.argmax(abs(rest)))
        if abs(rest[at]) <= self.bound[at]:  # only a product of 0 is left
            yield from ((k, 0) for k in np.flatnonzero(~(F[i] * S).any(1))[:3])
            return
        wanted = F[i, at] * S[:, at] / rest[at]
        near = abs(wanted) * 2 * self.bound[at] / abs(rest[at])
        seconds, thirds = _lookup(wanted, near, *self._order(at))
        for step in (8, len(rest)):
            numbers = F[i, :step] * S[seconds, :step] / T[thirds, :step]
            keep = (abs(numbers - rest[:step]) <= self.bound[:step]).all(1)
            seconds, thirds = seconds[keep], thirds[keep]
        yield from zip(seconds, thirds)

    def _order(self, at: int) -> tuple[np.ndarray, np.ndarray]:
        if at not in self.sorted:
            order = np.argsort(self.values[2][:, at])
            self.sorted[at] = self.values[2][order, at], order
        return self.sorted[at]


def _named(pool: Sequence[Part]) -> dict[tuple, Part]:
    """The candidates that are numbers, each name with its keys once."""
    kept: dict[tuple, Part] = {}
    for part in pool:
        if np.isfinite(part.value).all():
            kept.setdefault((part.words, part.keys), part)
    return kept


def _chosen(counted: np.ndarray) -> tuple[np.ndarray, ...]:
    places = np.argwhere(counted)
    return tuple(places[np.random.RandomState(0).permutation(len(places))[:PLACES]].T)


def _lookup(wanted, near, values, order) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of indices, of `wanted` and of the sorted values that are near it."""
    start = np.searchsorted(values, wanted - near, "left")
    stop = np.maximum(np.searchsorted(values, wanted + near, "right"), start)
    stop[~np.isfinite(wanted)] = start[~np.isfinite(wanted)]
    lengths = stop - start
    which = np.repeat(np.arange(len(wanted)), lengths)
    begin = np.repeat(start - np.cumsum(lengths) + lengths, lengths)
    return which, order[begin + np.arange(len(which))]
