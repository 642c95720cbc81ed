"""Comparing two settings that were run with the same seeds: an interval and a test for pairs.

Runs of one seed share their initial weights and the order of their images, so the samples are
not independent: what is looked at are the differences, seed by seed.
"""

from __future__ import annotations

import itertools

import numpy as np

# The 97.5 % points of Student's t distribution, by degrees of freedom.
T_975 = {2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}


def interval(first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    """Mean of the differences `first` - `second`, and half the width of its 95 % interval.

    Student's t for pairs, 3 to 10 of them; the differences are taken to be about normal.
    """
    differences = np.subtract(first, second)
    half = T_975[len(differences) - 1] * differences.std(ddof=1) / np.sqrt(len(differences))
    return float(differences.mean()), float(half)


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
