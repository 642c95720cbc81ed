"""A file is either whole or not there."""

from __future__ import annotations

import errno
import os

import pytest

from d2l_bn.system.errors import InputError
from d2l_bn.system.files import read_json, read_regular, replacing


@pytest.mark.parametrize("name", ["table.csv", "x" * 255, "é" * 127])
def test_the_file_appears_at_the_end(tmp_path, name):
    path = tmp_path / name
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == [name]


def test_an_error_leaves_what_was_there(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), replacing(path) as temporary:
        temporary.write_text(f"new: {1 / 0}")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["table.csv"]


def test_a_full_disk_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "table.csv"
    path.write_text("old")

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"), replacing(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["table.csv"]


def test_what_is_no_file_is_never_replaced(tmp_path):
    path = tmp_path / "table.csv"
    for make in (path.mkdir, lambda: os.mkfifo(path), lambda: path.symlink_to(tmp_path / "there")):
        make()
        before = path.lstat()
        with pytest.raises(InputError, match="only a file can be written"), replacing(path):
            pass
        assert path.lstat() == before and len(os.listdir(tmp_path)) == 1
        path.rmdir() if path.is_dir() else path.unlink()


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "long").write_bytes(bytes(10))
    for path in (tmp_path / "pipe", "/dev/zero", "/proc/self/maps", tmp_path / "long"):
        with pytest.raises(OSError, match="not a regular file"):
            read_regular(path, 9)
    assert read_regular(tmp_path / "long", 10) == bytes(10)


@pytest.mark.parametrize("text", ["NaN", '{"a\\u001b": 1}', '["\\u202e"]', "{"])
def test_json_that_cannot_be_shown_is_refused(text):
    with pytest.raises(ValueError, match=r"literal|printed|Expecting"):
        read_json(text)
    assert read_json('{"a": ["it\'s \\"b\\" \\\\ é", 1.5]}') == {"a": ['it\'s "b" \\ é', 1.5]}


def test_others_may_read_it(tmp_path):
    path = tmp_path / "table.csv"
    mask = os.umask(0o022)
    try:
        with replacing(path) as temporary:
            temporary.write_text("new")
    finally:
        os.umask(mask)
    assert path.stat().st_mode & 0o777 == 0o644
