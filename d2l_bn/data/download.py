"""Fashion-MNIST from the network, from the first host that has it whole."""

from __future__ import annotations

import sys
from pathlib import Path

import pooch
import requests

from d2l_bn.data.dataset import FILES
from d2l_bn.system.errors import InputError

HOSTS = (
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    "https://apache-mxnet.s3-accelerate.dualstack.amazonaws.com/gluon/dataset/fashion-mnist/",
)
# Of the compressed files, as their authors publish them. They only tell a whole download from a
# broken one: whoever reads the data compares the SHA-256 of what is inside.
MD5 = (
    "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "25c81989df183df01b3e8a0aad5dffbe",
    "bef4ecab320f06d8554ea6380940ec79",
    "bb300cfdad3c16e7a12a480ee83cd310",
)
PATIENCE = 4.0  # seconds that a host may stay silent


def fetch(folder: Path) -> None:
    """Put the four files into `folder`, where they are missing or damaged.

    InputError if no host has them all, OSError if the folder can't be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pooch.get_logger().setLevel("WARNING")
    downloader = pooch.HTTPDownloader(progressbar=sys.stderr.isatty(), timeout=PATIENCE)
    wanted = {f"{name}.gz": f"md5:{md5}" for name, md5 in zip(FILES, MD5)}
    problems = []
    for host in HOSTS:  # a host that fails once is not asked for the other files
        try:
            cache = pooch.create(folder, host, registry=wanted)
            for name in wanted:
                cache.fetch(name, downloader=downloader)
            return
        except (requests.RequestException, TypeError) as error:  # of a proxy without a host
            problems.append(type(error).__name__)
        except ValueError:  # how pooch says that a file is not the one that was asked for
            problems.append("another file came")
    raise InputError(f"{len(HOSTS)} hosts tried: {', '.join(dict.fromkeys(problems))}")
