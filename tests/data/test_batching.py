"""Batches hold every image once, scaled, and never a single one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from d2l_bn.data import batch_count, batches
from d2l_bn.system.errors import InputError

import mxnet as mx


def data(count):
    images = (np.arange(count * 4) % 256).astype(np.uint8).reshape(count, 2, 2)
    return images, np.arange(count).astype(np.int32)


@given(st.integers(2, 60), st.integers(2, 20), st.booleans())
def test_every_image_comes_once(count, batch_size, shuffle):
    images, labels = data(count)
    rng = np.random.default_rng(3) if shuffle else None
    found = list(batches(images, labels, batch_size, rng=rng))
    sizes = [len(y) for _, y in found]
    assert len(found) == batch_count(count, batch_size)
    assert min(sizes) >= 2 and max(sizes) <= batch_size + 1
    assert sizes[:-1] == [batch_size] * (len(sizes) - 1)
    order = np.concatenate([y.asnumpy() for _, y in found]).astype(int)
    assert sorted(order) == list(range(count))
    pixels = np.concatenate([X.asnumpy() for X, _ in found])
    np.testing.assert_array_equal(pixels[:, 0], images[order] / np.float32(255))


def test_a_last_batch_of_one_joins_the_one_before():
    assert [len(y) for _, y in batches(*data(9), 4)] == [4, 5]
    assert [len(y) for _, y in batches(*data(10), 4)] == [4, 4, 2]
    assert [len(y) for _, y in batches(*data(11), 4, at_least=4)] == [4, 7]


def test_types_and_shape():
    X, y = next(batches(*data(5), 3, ctx=mx.cpu(1)))
    assert (X.shape, X.dtype, X.context) == ((3, 1, 2, 2), np.float32, mx.cpu(1))
    assert (y.shape, y.dtype, y.context) == ((3,), np.float32, mx.cpu(1))


def test_the_order_is_that_of_the_generator():
    one, two, three = (
        [y.asnumpy().tolist() for _, y in batches(*data(20), 5, rng=np.random.default_rng(seed))]
        for seed in (1, 1, 2)
    )
    assert one == two != three


def test_white_is_one_and_black_is_zero():
    images = np.array([[[0]], [[255]]], np.uint8)
    X, _ = next(batches(images, np.zeros(2), 2))
    assert X.asnumpy().ravel().tolist() == [0.0, 1.0]


@pytest.mark.parametrize("count, size", [(5, 1), (5, 0), (1, 4), (0, 4)])
def test_single_images_are_refused(count, size):
    with pytest.raises(InputError, match=r"must be 2 or more, got [01]: batch normalization"):
        next(batches(*data(count), size))
