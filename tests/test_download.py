"""Downloads, from hosts on this machine that behave well and badly."""

from __future__ import annotations

import contextlib
import http.server
import os
import socket
import threading
import time

import pytest
from test_data import ARRAYS, nowhere, small, write  # noqa: F401  (fixtures)

from d2l_bn import download
from d2l_bn.data import load
from d2l_bn.dataset import FILES
from d2l_bn.idx import write_idx

pytestmark = pytest.mark.usefixtures("small")


@contextlib.contextmanager
def host(answer):
    """A web server; `answer(name)` gives what it sends, or None for "not found"."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            body = answer(self.path.lstrip("/"))
            length = len(body) if body is not None else 0
            if isinstance(body, Cut):
                body = body[: length // 2]
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *_):
            pass

    asked = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", asked
    finally:
        server.shutdown()
        server.server_close()


class Cut(bytes):
    """Bytes of which the host sends half, and then hangs up."""


@pytest.fixture
def good(tmp_path):
    folder = write(tmp_path / "served")
    return lambda name: (folder / name).read_bytes()


def test_downloads_once(nowhere, good, monkeypatch):  # noqa: F811
    with host(good) as (address, asked):
        monkeypatch.setattr(download, "HOSTS", (address,))
        dataset = load("fashion-mnist")
        assert dataset.source == str(nowhere) and len(asked) == 4
        assert load("fashion-mnist").classes == 10 and len(asked) == 4
    assert sorted(os.listdir(nowhere)) == sorted(f"{name}.gz" for name in FILES)


BAD = {
    "not found": lambda name: None,
    "a page": lambda name: b"<html>please log in</html>",
    "nothing": lambda name: b"",
    "half a file": lambda name: Cut(bytes(4000)),
}


@pytest.mark.parametrize("answer", BAD.values(), ids=BAD)
def test_a_bad_host_is_passed_over(nowhere, good, monkeypatch, answer):  # noqa: F811
    said = []
    with host(answer) as (bad, _), host(good) as (address, _):
        monkeypatch.setattr(download, "HOSTS", (bad, address))
        assert download.fetch(nowhere, said.append)
        assert len(said) == 4 and bad in said[0]
        for name in FILES:
            (nowhere / f"{name}.gz").unlink()
        monkeypatch.setattr(download, "HOSTS", (bad,))
        assert not download.fetch(nowhere, said.append)
    assert not nowhere.exists() or os.listdir(nowhere) == []


def test_another_file_is_not_kept(nowhere, tmp_path, monkeypatch):  # noqa: F811
    other = write(tmp_path / "other", train_images=255 - ARRAYS[0])
    with host(lambda name: (other / name).read_bytes()) as (address, _):
        monkeypatch.setattr(download, "HOSTS", (address,))
        assert not download.fetch(nowhere, lambda _: None)
    assert os.listdir(nowhere) == []


def test_a_silent_host_costs_little_time(nowhere, good, monkeypatch):  # noqa: F811
    monkeypatch.setattr(download, "PATIENCE", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent, host(good) as (address, _):
        never = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        monkeypatch.setattr(download, "HOSTS", (never, address))
        start = time.monotonic()
        assert download.fetch(nowhere, lambda _: None)
        assert time.monotonic() - start < 4 * 3


def test_a_damaged_file_in_the_cache_is_replaced(nowhere, good, monkeypatch):  # noqa: F811
    write(nowhere)
    write_idx(nowhere / f"{FILES[1]}.gz", ARRAYS[1] * 0)
    with host(good) as (address, asked):
        monkeypatch.setattr(download, "HOSTS", (address,))
        assert load("fashion-mnist", log=lambda _: None).source == str(nowhere)
        assert asked == [f"/{FILES[1]}.gz"]


def test_a_full_disk_leaves_nothing_half(nowhere, good, monkeypatch):  # noqa: F811
    def full(*_):
        raise OSError(28, "No space left on device")

    with host(good) as (address, _):
        monkeypatch.setattr(download, "HOSTS", (address,))
        monkeypatch.setattr(download.pooch.HTTPDownloader, "__call__", full)
        with pytest.raises(OSError, match="No space left"):
            download.fetch(nowhere, lambda _: None)
    assert os.listdir(nowhere) == []
