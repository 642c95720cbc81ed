"""Fashion-MNIST from the network: the first host that has it, and nothing but checked files."""

from __future__ import annotations

import io
import threading
from pathlib import Path

import pooch
import requests
from tqdm import tqdm

from d2l_bn.data.dataset import FASHION_MNIST, FILES
from d2l_bn.data.idx import read_idx
from d2l_bn.system.errors import InputError
from d2l_bn.system.files import replacing

HOSTS = (
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    "https://apache-mxnet.s3-accelerate.dualstack.amazonaws.com/gluon/dataset/fashion-mnist/",
)
PATIENCE = 4.0  # seconds for a host to send the next SLOWEST bytes
SLOWEST = 2**14
LARGEST = 2**26  # bytes in a download: twice the largest file


def fetch(folder: Path) -> None:
    """Put the four files into `folder`, where they are missing or damaged.

    Parameters
    ----------
    folder : Path
        The cache; made if it isn't there.

    Raises
    ------
    InputError
        If no host has them all.
    OSError
        If the folder can't be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {folder / f"{name}.gz": sha256 for name, sha256 in zip(FILES, FASHION_MNIST)}
    problems = []
    for host in HOSTS:  # a host that fails once is not asked for the other files
        try:
            for path, sha256 in wanted.items():
                if not _is(path, sha256):
                    _fetch_file(host + path.name, path, sha256)
            return
        except (requests.RequestException, TimeoutError, ValueError) as error:
            problems.append(type(error).__name__)
    raise InputError(f"{len(HOSTS)} hosts tried: {', '.join(dict.fromkeys(problems))}")


def _fetch_file(url: str, path: Path, sha256: str) -> None:
    content = _download(url)
    with replacing(path) as temporary:
        temporary.write_bytes(content)
        _require(temporary, sha256)


def _download(url: str) -> bytes:
    """The bytes at `url`, or an error when they don't come.

    A thread fetches them, since `requests` alone would wait for a name server that doesn't
    answer, or for bytes that drip in one by one. Closing the buffer ends a thread left behind.
    """
    problems: list[Exception] = []

    def work() -> None:
        responses: list[requests.Response] = []  # pooch leaves one open when it fails
        hooks = {"response": lambda response, **_: responses.append(response)}
        try:
            pooch.HTTPDownloader(bar, timeout=PATIENCE, hooks=hooks)(url, content, None)
        except Exception as problem:
            problems.append(problem)
        finally:
            for response in responses:
                response.close()

    name = url.rsplit("/", 1)[-1]
    bar = _Bar(desc=name, unit="B", unit_scale=True, leave=False, disable=None)
    with bar, _Buffer() as content:
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        seen = -SLOWEST
        while thread.is_alive() and seen + SLOWEST <= content.tell():
            seen = content.tell()
            thread.join(PATIENCE)
        if thread.is_alive():
            raise TimeoutError(f"{url}: fewer than {SLOWEST} bytes in {PATIENCE} seconds")
        if problems:
            raise problems[0]
        return content.getvalue()


class _Bar(tqdm):
    def __bool__(self) -> bool:  # pooch asks before it knows the length, when tqdm has no answer
        return True


class _Buffer(io.BytesIO):
    """Memory for a download, and for no more than that, whatever a host sends."""

    def write(self, data) -> int:
        if self.tell() + len(data) > LARGEST:
            raise ValueError(f"a download of more than {LARGEST} bytes")
        return super().write(data)


def _is(path: Path, sha256: str) -> bool:
    try:
        _require(path, sha256)
    except InputError:
        return False
    return True


def _require(path: Path, sha256: str) -> None:
    """Refuse a file whose decompressed bytes are not the expected ones."""
    found = read_idx(path)[1]
    if found != sha256:
        raise InputError(f"{path} is not Fashion-MNIST's: its SHA-256 is {found}")
