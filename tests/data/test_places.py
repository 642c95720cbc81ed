"""Where data are looked for, and what is refused."""

from __future__ import annotations

import gzip
import hashlib
import os
import runpy
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
from datasets import bars

from d2l_bn.data import dataset as dataset_module
from d2l_bn.data import download
from d2l_bn.data import places as data
from d2l_bn.data.dataset import FILES
from d2l_bn.data.idx import read_idx, write_idx
from d2l_bn.data.places import SAMPLE, load, split
from d2l_bn.system.errors import InputError

needs_full_data = pytest.mark.skipif(
    not data.DEBIAN.exists(), reason="Debian's package dataset-fashion-mnist is not installed"
)
ARRAYS = (bars().train_images, bars().train_labels, bars().test_images, bars().test_labels)


def write(folder, **changes):
    """Four files, some of them changed: train_images=..., None leaves a file out."""
    folder.mkdir(exist_ok=True)
    names = ("train_images", "train_labels", "test_images", "test_labels")
    for file, name, array in zip(FILES, names, ARRAYS):
        array = changes.get(name, array)
        if array is not None:
            write_idx(folder / f"{file}.gz", array)
    return folder


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """A machine without Fashion-MNIST and without a network; the folder is the cache."""
    monkeypatch.setenv("D2L_BN_DATA", str(tmp_path / "cache"))
    monkeypatch.setattr(data, "DEBIAN", tmp_path / "debian")
    monkeypatch.setattr(download, "HOSTS", ())
    return tmp_path / "cache"


@pytest.fixture
def small(monkeypatch):
    """Stand in for Fashion-MNIST's checksums with those of the bars."""
    digests = tuple(hashlib.sha256(content(array)).hexdigest() for array in ARRAYS)
    monkeypatch.setattr(data, "FASHION_MNIST", digests)
    monkeypatch.setattr(dataset_module, "FASHION_MNIST", digests)
    packed = [gzip.compress(content(array), compresslevel=9, mtime=0) for array in ARRAYS]
    monkeypatch.setattr(download, "MD5", [hashlib.md5(file).hexdigest() for file in packed])


def content(array):
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def test_the_sample():
    dataset = load("sample")
    assert dataset.train_images.shape == (6000, 28, 28) and dataset.image_shape == (28, 28)
    assert np.bincount(dataset.train_labels).tolist() == [600] * 10
    assert np.bincount(dataset.test_labels).tolist() == [100] * 10
    assert dataset.classes == 10 and dataset.class_names[9] == "ankle boot"
    assert "MIT License" in (SAMPLE / "LICENSE").read_text(encoding="utf-8")
    assert sum(path.stat().st_size for path in SAMPLE.iterdir()) < 3.2e6
    assert load(str(SAMPLE)).class_names == dataset.class_names


def test_a_damaged_sample_is_noticed(tmp_path, monkeypatch):
    shutil.copytree(SAMPLE, tmp_path, dirs_exist_ok=True)
    write_idx(tmp_path / f"{FILES[3]}.gz", load("sample").test_labels[::-1])
    monkeypatch.setattr(data, "SAMPLE", tmp_path)
    with pytest.raises(InputError, match=r"t10k-labels.*is not the file of Fashion-MNIST sample"):
        load("sample")
    assert "damaged" in data.survey()[2]


@pytest.mark.slow
@needs_full_data
def test_the_script_makes_the_sample_again(tmp_path):
    script = Path(__file__).parents[2] / "scripts" / "make_sample.py"
    runpy.run_path(str(script))["main"]([str(tmp_path)])
    for name in FILES:
        made, shipped = (read_idx(folder / f"{name}.gz")[1] for folder in (tmp_path, SAMPLE))
        assert made == shipped, name


@needs_full_data
def test_debians_files_check_out(nowhere, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setenv("D2L_BN_DATA", str(nowhere))
    dataset = load("fashion-mnist", download=False)
    assert dataset.train_images.shape == (60000, 28, 28) and dataset.source == str(data.DEBIAN)


def test_without_anything_the_sample_is_used_and_said(nowhere):
    said = []
    assert len(load("auto", log=said.append).train_images) == 6000
    assert len(said) == 1 and "\n" not in said[0]
    assert "could not be downloaded" in said[0] and "using the sample" in said[0]
    with pytest.raises(InputError, match=r"dataset-fashion-mnist.*--data sample"):
        load("fashion-mnist", log=said.append)
    assert not any(nowhere.iterdir())


def test_without_leave_to_download_nothing_is_written(nowhere):
    said = []
    assert load("auto", download=False, log=said.append).source == "this package"
    assert said == ["Fashion-MNIST is not on this machine: using the sample of 7,000 images"]
    assert not nowhere.exists()


def test_a_cache_that_cannot_be_written_is_said(nowhere):
    nowhere.write_text("a file where the folder should be")
    said = []
    assert len(load("auto", log=said.append).train_images) == 6000
    assert len(said) == 1 and str(nowhere) in said[0]


def test_the_cache_comes_before_debian(nowhere, small):
    write(nowhere.parent / "debian")
    assert load().source == str(nowhere.parent / "debian")
    write(nowhere)
    assert load().source == str(nowhere)


def test_a_damaged_cache_is_passed_over(nowhere, small):
    write(nowhere.parent / "debian")
    write(nowhere, train_labels=ARRAYS[1] * 0)
    said = []
    assert load(log=said.append).source == str(nowhere.parent / "debian")
    assert len(said) == 1 and "train-labels" in said[0]


def test_the_survey_tells_whole_damaged_and_missing(nowhere, small):
    assert "not there" in data.survey()[0]
    write(nowhere, test_labels=None)
    assert f"incomplete, without {FILES[3]}" in data.survey()[0]
    write(nowhere)
    assert "whole, 96 + 32 images" in data.survey()[0]
    (nowhere / f"{FILES[0]}.gz").write_bytes(b"?")
    assert "damaged" in data.survey()[0]


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("dotted", [True, False])
def test_a_folder_of_ones_own(tmp_path, suffix, dotted):
    for name, array in zip(FILES, ARRAYS):
        path = tmp_path / ((name.replace("-idx", ".idx") if dotted else name) + suffix)
        write_idx(path, array)
        if not suffix:
            path.write_bytes(gzip.decompress(path.read_bytes()))
    dataset = load(str(tmp_path))
    np.testing.assert_array_equal(dataset.train_images, ARRAYS[0])
    np.testing.assert_array_equal(dataset.test_labels, ARRAYS[3])
    assert (dataset.classes, dataset.class_names) == (4, ("0", "1", "2", "3"))
    assert (dataset.image_shape, dataset.name) == ((16, 16), tmp_path.name)


def test_a_folder_with_the_name_of_a_file_is_not_the_file(tmp_path):
    folder = write(tmp_path)
    (folder / f"{FILES[0]}.gz").rename(folder / "train-images.idx3-ubyte")
    (folder / FILES[0]).mkdir()  # as some archives of MNIST unpack
    assert load(str(tmp_path)).classes == 4


REFUSED = {
    "a file missing": (dict(test_labels=None), "lacks t10k-labels-idx1-ubyte"),
    "images of rank 2": (dict(train_images=ARRAYS[0][0]), "images need 3 dimensions"),
    "labels of rank 2": (dict(test_labels=ARRAYS[2][0]), "labels need 1 dimension"),
    "fewer labels": (
        dict(train_labels=ARRAYS[1][:10]),
        "train-images.*one label in train-labels.*, got 96 images and 10 labels",
    ),
    "fewer test images": (dict(test_images=ARRAYS[2][:9]), "t10k-images.*got 9 images and 32"),
    "another size": (
        dict(test_images=np.zeros((32, 16, 17), np.uint8)),
        r"t10k-images.*size of the training images, \(16, 16\), got \(16, 17\)",
    ),
    "small images": (
        dict(train_images=ARRAYS[0][:, 1:], test_images=ARRAYS[2][:, 1:]),
        "at least 16 by 16, got",
    ),
    "one class": (dict(train_labels=ARRAYS[1] * 0, test_labels=ARRAYS[3] * 0), "2 classes"),
    "an unknown label": (dict(test_labels=ARRAYS[3] + np.uint8(1)), r"t10k-labels.*got \[4\]"),
    "one test image": (
        dict(test_images=ARRAYS[2][:1], test_labels=ARRAYS[3][:1]),
        "t10k-images.*at least 2 images are needed, got 1",
    ),
}


@pytest.mark.parametrize("changes, reason", REFUSED.values(), ids=REFUSED)
def test_a_folder_that_does_not_fit_is_refused(tmp_path, changes, reason):
    with pytest.raises(InputError, match=reason) as caught:
        load(str(write(tmp_path / "mine", **changes)))
    assert str(tmp_path) in str(caught.value)


NAMES = {  # what is in classes.txt, and the names or what is said of them
    "a mark of Windows": (b"\xef\xbb\xbfa\r\nb\r\nc\r\nd\r\n", ("a", "b", "c", "d")),
    "twice": (b"a\nb\nc\na", "a printable name of its own"),
    "escapes": (b"a\nb\nc\n\x1b[31md", "a printable name of its own"),
    "long": (b"a\nb\nc\n" + 999 * b"d", "of up to 100 characters"),
    "no text": (b"\xff\xfe", r"classes\.txt can't be read"),
    "too few": (b"a\nb", "each of the 4 classes needs a line, got 2"),
    "a pipe": (None, "a regular file"),
}


@pytest.mark.parametrize("content, wanted", NAMES.values(), ids=NAMES)
def test_names_of_classes(tmp_path, content, wanted):
    folder = write(tmp_path / "mine")
    if content is None:
        os.mkfifo(folder / "classes.txt")
    else:
        (folder / "classes.txt").write_bytes(content)
    if isinstance(wanted, tuple):
        assert load(str(folder)).class_names == wanted
    else:
        with pytest.raises(InputError, match=wanted) as caught:
            load(str(folder))
        assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", ["cifar", "x" * 5000], ids=["word", "long"])
def test_a_name_that_is_nothing_is_refused(name):
    with pytest.raises(InputError, match="must be auto, fashion-mnist, sample or a folder"):
        load(name)


def test_held_out_images_come_from_the_training_images():
    dataset = bars()
    part = split(dataset, 20)
    assert (len(part.train_images), len(part.test_images)) == (76, 20)
    together = np.concatenate([part.train_images, part.test_images])
    assert sorted(image.tobytes() for image in together) == sorted(
        image.tobytes() for image in dataset.train_images
    )
    with pytest.raises(InputError, match="from 1 to 95, got 96"):
        split(dataset, 96)
