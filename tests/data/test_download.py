"""Downloads, from hosts on this machine that behave well and badly."""

from __future__ import annotations

import contextlib
import errno
import http.server
import os
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from test_places import ARRAYS, nowhere, small, write  # noqa: F401  (fixtures)

from d2l_bn.data import download, load
from d2l_bn.data.dataset import FILES
from d2l_bn.data.idx import write_idx
from d2l_bn.system.errors import InputError

pytestmark = pytest.mark.usefixtures("small")


@contextlib.contextmanager
def host(answer):
    """A web server; `answer(name)` gives the bytes that it sends, or None for "not found"."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            content = answer(self.path.lstrip("/"))
            self.send_response(404 if content is None else 200)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            with contextlib.suppress(OSError):  # the client hangs up
                self.wfile.write(bytes(content or b""))

        def log_message(self, *_):
            pass

    asked = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", asked
    finally:
        server.shutdown()
        server.server_close()


class Cut:
    """A file that a host announces and of which it sends half, and then hangs up."""

    def __len__(self):
        return 4000

    def __bytes__(self):
        return bytes(2000)


@pytest.fixture
def good(tmp_path):
    folder = write(tmp_path / "served")
    return lambda name: (folder / name).read_bytes()


@pytest.fixture
def hosts(monkeypatch):
    """A function that sets the hosts to ask."""
    return lambda *addresses: monkeypatch.setattr(download, "HOSTS", addresses)


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(download, "PATIENCE", 0.3)


def test_downloads_once(nowhere, good, hosts):  # noqa: F811
    with host(good) as (address, asked):
        hosts(address)
        dataset = load("fashion-mnist")
        assert dataset.source == str(nowhere) and len(asked) == 4
        assert load("fashion-mnist").classes == 10 and len(asked) == 4
    assert sorted(os.listdir(nowhere)) == sorted(f"{name}.gz" for name in FILES)


BAD = {
    "not found": lambda name: None,
    "a page": lambda name: b"<html>please log in</html>",
    "nothing": lambda name: b"",
    "half a file": lambda name: Cut(),
}


@pytest.mark.parametrize("answer", BAD.values(), ids=BAD)
def test_a_bad_host_is_passed_over(nowhere, good, hosts, answer):  # noqa: F811
    with host(answer) as (bad, asked), host(good) as (address, _):
        hosts(bad)
        with pytest.raises(InputError, match=r"1 hosts tried: [\w ]+$"):
            download.fetch(nowhere)
        assert os.listdir(nowhere) == []
        hosts(bad, address)
        download.fetch(nowhere)
        assert len(asked) == 2  # once in each call, not once for each file
    assert len(os.listdir(nowhere)) == 4


def test_a_proxy_without_a_host_is_no_traceback(nowhere, hosts, monkeypatch):  # noqa: F811
    hosts("http://example.invalid/")
    monkeypatch.setenv("http_proxy", "http://user:password@")
    with pytest.raises(InputError, match="1 hosts tried: TypeError"):
        download.fetch(nowhere)


def test_hosts_complete_each_other(nowhere, good, hosts):  # noqa: F811
    def partly(name):
        return good(name) if "train" in name else None

    with host(partly) as (first, _), host(good) as (second, asked):
        hosts(first, second)
        download.fetch(nowhere)
        assert sorted(asked) == [f"/{FILES[2]}.gz", f"/{FILES[3]}.gz"]


def test_another_file_is_not_kept(nowhere, tmp_path, hosts):  # noqa: F811
    other = write(tmp_path / "other", train_images=255 - ARRAYS[0])
    with host(lambda name: (other / name).read_bytes()) as (address, _):
        hosts(address)
        with pytest.raises(InputError, match="1 hosts tried"):
            download.fetch(nowhere)
    assert os.listdir(nowhere) == []


def test_a_silent_host_is_passed_over(nowhere, good, hosts, impatient):  # noqa: F811
    with socket.create_server(("127.0.0.1", 0)) as silent, host(good) as (address, _):
        hosts(f"http://127.0.0.1:{silent.getsockname()[1]}/", address)
        download.fetch(nowhere)
    assert len(os.listdir(nowhere)) == 4


def test_a_damaged_file_in_the_cache_is_replaced(nowhere, good, hosts):  # noqa: F811
    write(nowhere)
    write_idx(nowhere / f"{FILES[1]}.gz", ARRAYS[1] * 0)
    (nowhere / FILES[2]).write_bytes(b"without .gz, and damaged: ours goes first")
    said = []
    with host(good) as (address, asked):
        hosts(address)
        assert load("fashion-mnist", log=said.append).source == str(nowhere)
        assert asked == [f"/{FILES[1]}.gz"]
    assert len(said) == 1 and FILES[1] in said[0]


def test_several_at_once_do_not_disturb_each_other(nowhere, good, hosts):  # noqa: F811
    with host(good) as (address, _), ThreadPoolExecutor(4) as pool:
        hosts(address)
        sources = [pool.submit(load, "fashion-mnist") for _ in range(4)]
        assert {future.result().source for future in sources} == {str(nowhere)}
    assert len(os.listdir(nowhere)) == 4


def test_a_full_disk_leaves_nothing_half(nowhere, good, hosts, monkeypatch):  # noqa: F811
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("shutil.move", full)
    said = []
    with host(good) as (address, _):
        hosts(address)
        with pytest.raises(OSError, match="No space left"):
            download.fetch(nowhere)
        assert len(load("auto", log=said.append).train_images) == 6000
    assert os.listdir(nowhere) == []
    assert len(said) == 1 and "No space left" in said[0]
