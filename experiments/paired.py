"""Comparing two settings that were run with the same seeds: an interval and a test for pairs.

Runs of one seed share their initial weights and the order of their images, so the samples are
not independent: what is looked at are the differences, seed by seed.
"""

from __future__ import annotations

import functools
import itertools
import math

import numpy as np


@functools.cache
def t_point(freedom: int, tail: float = 0.025) -> float:
    """The value that Student's t exceeds with probability `tail`; its density is added up."""
    x, step = np.linspace(0, 200, 2_000_001, retstep=True)
    height = math.gamma((freedom + 1) / 2) / math.gamma(freedom / 2) / math.sqrt(math.pi * freedom)
    density = height * (1 + x**2 / freedom) ** (-(freedom + 1) / 2)
    area = (np.cumsum(density) - (density + density[0]) / 2) * step  # by trapezoids
    return float(x[np.searchsorted(area, 0.5 - tail)])


def interval(first: np.ndarray, second: np.ndarray, comparisons: int = 1) -> tuple[float, float]:
    """Mean of the differences `first` - `second`, and half the width of its 95 % interval.

    Student's t for pairs; the differences are taken to be about normal. With several `comparisons`
    each interval is widened, so that all of them together have 95 % (Bonferroni).
    """
    differences = np.subtract(first, second)
    error = differences.std(ddof=1) / np.sqrt(len(differences))
    return float(differences.mean()), t_point(len(differences) - 1, 0.025 / comparisons) * error


def sign_flips(first: np.ndarray, second: np.ndarray) -> float:
    """The two-sided p value of a difference of means, by turning the signs of the differences.

    If the settings were equal, each difference could as well have the other sign. Counted are all
    2^n ways, and the share of those whose mean is at least as far from 0 as the one that was seen.
    It assumes no distribution, and with ten pairs can't be less than 2 / 1024.
    """
    differences = np.subtract(first, second)
    ways = np.array(list(itertools.product((1, -1), repeat=len(differences))))
    means = np.abs(ways @ differences)
    return float(np.mean(means >= means[0] - 1e-12))  # rounding mustn't part what is equal
