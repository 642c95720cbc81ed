"""Neighbouring seeds are independent."""

import itertools

import numpy as np

from d2l_bn.training import set_seed

import mxnet as mx
from mxnet import nd


def draw(seed_with, seed):
    seed_with(seed)
    return nd.random.normal(shape=(1000, 32)).asnumpy()


def common(seed_with, one, other):
    """The share of the values drawn with one seed that the other draws, too."""
    return np.isin(draw(seed_with, one), draw(seed_with, other)).mean()


def test_the_same_seed_draws_the_same():
    np.testing.assert_array_equal(draw(set_seed, 3), draw(set_seed, 3))


def test_neighbouring_seeds_draw_other_numbers():
    for one, other in itertools.combinations(range(10), 2):
        assert common(set_seed, one, other) < 0.05


def test_mxnets_own_seeds_would_not():
    assert common(mx.random.seed, 0, 1) > 0.5
