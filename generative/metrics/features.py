r"""Features of small pictures: the last hidden layer of a classifier that is trained on them.

Distances between samples and data are measured between features, in which pictures of one class
lie together, rather than between pixels. The usual features are those of a network trained on
photographs (Inception), which is neither small nor suited to digits. `PictureClassifier` takes a
few seconds to a minute to train, and its features compare generators of *one* data set, in one
form, with one seed. What is measured on them should say so, and not be called FID or KID, nor
inception score.

The network is three 3 x 3 convolutions, the latter two with stride 2 (all three where pictures
have sides of 16 and more), the mean over all places, and a linear layer to the classes; it takes
pictures in [0, 1]. Each feature is given the mean 0 and the deviation 1 over the data that the
network was trained on.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from jaxtyping import Float, Float64, Int64, Shaped
from torch import Tensor, nn
from torch.nn import functional

from ..arithmetic import learning_arithmetic
from ..data.dataset import BatchOrder, Dataset
from ..data.preparation import AbstractPreparation
from ..module_state import load_state, save_state

__all__ = ["PictureClassifier", "picture_classifier"]

_TOGETHER = 1_000  # pictures whose features are computed at once
_STANDARDISED = 10_000  # pictures that are enough for means
_CHANNELS = (32, 64, 64)
_LARGE_SIDE = 16  # pixels, from which on the first convolution has a stride, for a quarter's cost


class PictureClassifier(nn.Module):
    """A small convolutional network whose last hidden layer gives features.

    Args:
        picture_shape: (C, H, W).
        num_classes: Of the labels.

    Attributes:
        num_features: D.
        feature_means: (D,) over the data that it was trained on, 0 before.
        feature_deviations: (D,) likewise, 1 before.

    Raises:
        ValueError: Events are no pictures, or there are fewer than two classes.

    Example:
        >>> PictureClassifier((1, 8, 8), 10).features(torch.zeros(5, 1, 8, 8)).shape
        torch.Size([5, 64])
    """

    feature_means: Tensor
    feature_deviations: Tensor

    def __init__(self, picture_shape: Sequence[int], num_classes: int) -> None:
        super().__init__()
        if len(picture_shape) != 3 or num_classes < 2:
            raise ValueError(
                f"expected pictures (C, H, W) and at least 2 classes, got {tuple(picture_shape)} "
                f"and {num_classes}"
            )
        first, second, third = _CHANNELS
        self.picture_shape, self.num_features = tuple(picture_shape), third
        stride = 2 if min(picture_shape[1:]) >= _LARGE_SIDE else 1
        self.convolutions = nn.Sequential(
            nn.Conv2d(picture_shape[0], first, 3, stride=stride, padding=1),
            nn.ReLU(),
            nn.Conv2d(first, second, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(second, third, 3, stride=2, padding=1),
            nn.ReLU(),
        )
        self.classes = nn.Linear(third, num_classes)
        self.register_buffer("feature_means", torch.zeros(third))
        self.register_buffer("feature_deviations", torch.ones(third))

    def forward(
        self, x: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch classes"]:
        """(N, classes) logits of (N, C, H, W) pictures in [0, 1]."""
        logits: Tensor = self.classes(self._pooled(x))
        return logits

    def features(
        self, x: Shaped[Tensor, "batch channels height width"]
    ) -> Float64[Tensor, "batch features"]:
        """(N, D) features of (N, C, H, W) pictures in [0, 1]; no gradient.

        Raises:
            ValueError: They are of another shape.
        """
        found = self._in_parts(self._pooled, x)
        return (found - self.feature_means) / self.feature_deviations

    def predicted(
        self, x: Shaped[Tensor, "batch channels height width"]
    ) -> Float64[Tensor, "batch classes"]:
        """(N, classes) probabilities for (N, C, H, W) pictures in [0, 1]; no gradient.

        Raises:
            ValueError: They are of another shape.
        """
        return self._in_parts(self, x).softmax(dim=1)

    def accuracy(
        self, x: Shaped[Tensor, "batch channels height width"], labels: Int64[Tensor, " batch"]
    ) -> float:
        """Share of (N, C, H, W) pictures whose most probable class is their (N,) label's."""
        return float((self.predicted(x).argmax(dim=1) == labels).double().mean())

    def _pooled(self, x: Tensor) -> Tensor:
        maps: Tensor = self.convolutions(x)
        return maps.mean(dim=(2, 3))

    def standardise(self, x: Float[Tensor, "batch channels height width"]) -> None:
        """Give features the mean 0 and the deviation 1 over (N, C, H, W) pictures."""
        found = self._in_parts(self._pooled, x)
        self.feature_means.copy_(found.mean(dim=0))
        deviations = found.std(dim=0, correction=0)
        # a unit that is never on says nothing, and stays 0
        self.feature_deviations.copy_(torch.where(deviations > 0, deviations, 1.0))

    @torch.no_grad()
    def _in_parts(self, function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        if tuple(x.shape[1:]) != self.picture_shape:
            raise ValueError(
                f"expected pictures of {self.picture_shape}, got {tuple(x.shape[1:])}"
            )
        weight, found = self.classes.weight, []
        for start in range(0, len(x), _TOGETHER):
            part = x[start : start + _TOGETHER].to(weight.device, weight.dtype)
            found.append(function(part).double())
        return torch.cat(found)


def picture_classifier(
    data: Dataset,
    *,
    folder: str | os.PathLike[str] | None = None,
    num_updates: int = 1_500,
    batch_size: int = 128,
    learning_rate: float = 2e-3,
    seed: int = 0,
    num_threads: int | None = None,
) -> PictureClassifier:
    """A classifier of a data set's pictures, as they are prepared for generators.

    It is trained with Adam, the step size falling to 0. Let it see ``data.prepare.grey(x)`` of
    events, real or generated.

    Args:
        data: Pictures with one-hot classes as contexts, and their preparation.
        folder: Where a trained classifier is kept, and taken from next time; None keeps none.
        num_updates: Of training.
        batch_size: Pictures in an update.
        learning_rate: The first.
        seed: Of the first weights, the batches and the preparation.
        num_threads: Of torch while it trains; None leaves them.

    Raises:
        ValueError: Events are no pictures, have no classes, or no preparation; or the file in the
            folder is damaged.

    Example:
        >>> from gymagine.generative.data.pictures import digits
        >>> data = digits("thresholded", labels=True)
        >>> classifier = picture_classifier(data, num_updates=20)
        >>> classifier.features(data.prepare.grey(data.prepared(data.test.x))).shape
        torch.Size([359, 64])
    """
    classes, prepare = data.train.context, data.prepare
    if classes is None or classes.dim() != 2 or not isinstance(prepare, AbstractPreparation):
        raise ValueError(
            "expected pictures with one-hot classes as contexts and a preparation of this "
            f"package, got contexts of shape {None if classes is None else tuple(classes.shape)} "
            f"and {prepare}"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        classifier = PictureClassifier(data.train.x.shape[1:], classes.shape[1])
    path = None
    if folder is not None:
        made_of = f"{prepare} {num_updates} {batch_size} {learning_rate} {seed} {classifier}"
        digest = zlib.crc32(made_of.encode(), data.train.checksum)
        path = Path(folder) / f"classifier-{data.name or 'pictures'}-{digest:08x}"
        if path.exists():
            load_state(classifier, path)
            return classifier.eval()
    with learning_arithmetic(num_threads):
        _train(classifier, data, prepare, classes, num_updates, batch_size, learning_rate, seed)
    if path is not None:
        save_state(classifier, path)
    return classifier.eval()


def _train(
    classifier: PictureClassifier,
    data: Dataset,
    prepare: AbstractPreparation,
    classes: Tensor,
    num_updates: int,
    batch_size: int,
    learning_rate: float,
    seed: int,
) -> None:
    order = BatchOrder(len(data.train), batch_size, seed=seed)
    rng = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(classifier.parameters(), lr=learning_rate)
    falling = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.0, total_iters=num_updates)
    labels = classes.argmax(dim=1)
    classifier.train()
    for update in range(num_updates):
        indices = torch.from_numpy(order.indices(update))
        grey = prepare.grey(prepare(data.train.x[indices], rng))
        loss = functional.cross_entropy(classifier(grey), labels[indices])
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # PyTorch has no types here
        optimiser.step()
        falling.step()
    classifier.standardise(prepare.grey(prepare(data.train.x[:_STANDARDISED], rng)))
