"""The IDX reader takes whole files of bytes, and answers everything else with one kind of error."""

from __future__ import annotations

import gzip
import hashlib
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from d2l_bn.data.idx import read_idx, write_idx
from d2l_bn.system.errors import InputError

VALUES = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
PLAIN = struct.pack(">HBB3I", 0, 8, 3, 2, 3, 4) + VALUES.tobytes()
PACKED = gzip.compress(PLAIN, mtime=0)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "train-images-idx3-ubyte"


@pytest.mark.parametrize("content", [PLAIN, PACKED], ids=["plain", "gzip"])
def test_reads(path, content):
    path.write_bytes(content)
    array, sha256 = read_idx(path)
    np.testing.assert_array_equal(array, VALUES)
    assert array.dtype == np.uint8
    assert sha256 == hashlib.sha256(PLAIN).hexdigest()


@pytest.mark.parametrize("shape", [(7,), (3, 2), (2, 3, 4), (2, 1, 3, 2)])
def test_writes_what_it_reads_and_always_the_same(path, shape):
    array = np.arange(np.prod(shape)).astype(np.uint8).reshape(shape)
    write_idx(path, array)
    first = path.read_bytes()
    np.testing.assert_array_equal(read_idx(path)[0], array)
    write_idx(path, array)
    assert path.read_bytes() == first


WRONG = {
    "empty": (b"", "ends after 0 of 4 bytes"),
    "text": (b"hello, world", "starts with 00 00 08"),
    "PNG": (b"\x89PNG\r\n\x1a\n", "got 89 50 4e 47"),
    "floats": (struct.pack(">HBBI", 0, 13, 1, 4) + bytes(16), "starts with 00 00 08"),
    "no dimension": (struct.pack(">HBB", 0, 8, 0), "01 to 04"),
    "9 dimensions": (struct.pack(">HBB9I", 0, 8, 9, *[1] * 9) + b"x", "01 to 04"),
    "half a header": (PLAIN[:9], "ends after 5 of 12 bytes"),
    "truncated": (PLAIN[:-1], "ends after 23 of 24 bytes"),
    "too long": (PLAIN + b"!", "more bytes follow"),
    "no values": (struct.pack(">HBB2I", 0, 8, 2, 0, 5), r"got \(0, 5\)"),
    "terabytes": (struct.pack(">HBB3I", 0, 8, 3, *[2**32 - 1] * 3), "must hold 1 to"),
    "truncated gzip": (PACKED[:-9], "gzip data are damaged"),
    "half a gzip header": (PACKED[:5], "gzip data are damaged"),
    "wrong checksum": (PACKED[:-8] + bytes(8), "gzip data are damaged"),
    "bytes behind gzip": (PACKED + b"?", "gzip data are damaged"),
    "gzip of text": (gzip.compress(b"hello, world"), "starts with 00 00 08"),
}


@pytest.mark.parametrize("content, reason", WRONG.values(), ids=WRONG)
def test_says_what_is_wrong(path, content, reason):
    path.write_bytes(content)
    with pytest.raises(InputError, match=reason) as caught:
        read_idx(path)
    assert str(path) in str(caught.value)


def test_says_what_cannot_be_read(path):
    with pytest.raises(InputError, match="No such file"):
        read_idx(path)
    path.mkdir()
    with pytest.raises(InputError, match="Is a directory"):
        read_idx(path)


@pytest.mark.parametrize(
    "content",
    [
        gzip.compress(struct.pack(">HBBI", 0, 8, 1, 10) + bytes(2**27)),  # a bomb: 128 MB of zeros
        struct.pack(">HBBI", 0, 8, 1, 2**30) + b"few",  # announces a gigabyte
    ],
    ids=["bomb", "false header"],
)
def test_false_sizes_cost_no_memory(path, content):
    path.write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(InputError):
            read_idx(path)
        assert tracemalloc.get_traced_memory()[1] < 2**24
    finally:
        tracemalloc.stop()


def outcome(path, content):
    """The array, or None for a refusal; anything else is a bug."""
    path.write_bytes(content)
    try:
        return read_idx(path)[0]
    except InputError:
        return None


@given(st.integers(0, len(PLAIN) - 1), st.integers(0, 255), st.integers(0, len(PLAIN)))
def test_fuzz_changed_and_cut(tmp_path_factory, place, byte, length):
    content = (PLAIN[:place] + bytes([byte]) + PLAIN[place + 1 :])[:length]
    array = outcome(tmp_path_factory.getbasetemp() / "fuzz", content)
    if array is not None:
        rank = content[3]
        assert array.shape == struct.unpack(f">{rank}I", content[4 : 4 + 4 * rank])
        assert array.tobytes() == content[4 + 4 * rank :]


@given(st.integers(0, len(PACKED) - 1), st.integers(0, 255), st.integers(0, len(PACKED)))
def test_fuzz_changed_and_cut_gzip(tmp_path_factory, place, byte, length):
    content = (PACKED[:place] + bytes([byte]) + PACKED[place + 1 :])[:length]
    array = outcome(tmp_path_factory.getbasetemp() / "fuzz", content)
    assert array is None or (length == len(PACKED) and (array == VALUES).all())


@given(st.binary(max_size=40))
def test_fuzz_any_bytes_compressed(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "fuzz"
    for whole in (content, PLAIN[:8] + content):
        plain, packed = outcome(path, whole), outcome(path, gzip.compress(whole))
        assert (plain is None) == (packed is None)
        assert plain is None or (plain.shape == packed.shape and (plain == packed).all())
