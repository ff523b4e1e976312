"""What generated events look like: a grid of pictures, points in the plane, lines of sequences."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from ..generative.data.dataset import Dataset
from ..storage import write_whole
from .generation_data import preparation_of

__all__ = ["Picture", "drawn_events", "picture_grid", "write_picture"]

Picture = NDArray[np.uint8]

_GAP = 1  # pixels between the pictures of a grid
_LEAST_SIDE = 480  # of a grid that is looked at, in pixels
_DOTS_PER_INCH = 110
_MANY_LINES = 16


def drawn_events(
    x: Tensor,
    data: Dataset,
    *,
    reference: Tensor | None = None,
    num_columns: int | None = None,
) -> Picture:
    """A picture of events, of a kind that suits their shape.

    Args:
        x: (N, *event) as a generator gives them: of the data's shape, or flattened.
        data: What they are like.
        reference: (M, *event) real events to show beside points and lines.
        num_columns: Of a grid; None makes it square.

    Returns:
        (H, W, 3) bytes.
    """
    shape = tuple(data.train.x.shape[1:])
    x = x.detach().cpu().reshape(len(x), *shape)
    if len(shape) == 3:
        return picture_grid(_grey(x, data), num_columns=num_columns)
    others = None if reference is None else reference.detach().cpu().reshape(-1, *shape)
    if shape == (2,):
        return _points(x, others)
    return _lines(x.flatten(1), None if others is None else others.flatten(1))


def picture_grid(
    pictures: Float[Tensor, "n channels height width"], *, num_columns: int | None = None
) -> UInt8[Picture, "rows columns three"]:
    """(H, W, 3) bytes: pictures side by side, enlarged by a whole number.

    Args:
        pictures: (N, 1 or 3, h, w) in [0, 1].
        num_columns: None makes the grid square.

    Example:
        >>> picture_grid(torch.zeros(5, 1, 8, 8), num_columns=5).shape
        (110, 506, 3)
    """
    num, channels, height, width = pictures.shape
    columns = num_columns or math.ceil(math.sqrt(num))
    rows = math.ceil(num / columns)
    grid = np.full((rows, columns, height + _GAP, width + _GAP, 3), 0.5)
    found = pictures.expand(num, 3, height, width) if channels == 1 else pictures[:, :3]
    for place, picture in enumerate(found.double().clamp(0, 1).permute(0, 2, 3, 1).numpy()):
        grid[place // columns, place % columns, :height, :width] = picture
    joined = grid.transpose(0, 2, 1, 3, 4).reshape(
        rows * (height + _GAP), columns * (width + _GAP), 3
    )
    framed = np.pad(joined, ((_GAP, 0), (_GAP, 0), (0, 0)), constant_values=0.5)
    factor = max(1, math.ceil(_LEAST_SIDE / max(framed.shape[:2])))
    bytes_ = (framed * 255).round().astype(np.uint8)
    return bytes_.repeat(factor, axis=0).repeat(factor, axis=1)


def write_picture(path: Path, picture: Picture) -> Path:
    """Write a PNG file, whole or not at all."""
    from PIL import Image

    content = io.BytesIO()
    Image.fromarray(picture).save(content, format="PNG")
    return write_whole(path, content.getvalue())


def _grey(x: Tensor, data: Dataset) -> Tensor:
    prepare = preparation_of(data)
    if prepare is not None:
        return prepare.grey(x)
    return x.to(torch.get_default_dtype())


def _points(x: Tensor, reference: Tensor | None) -> Picture:
    panels = [("generated", x)] if reference is None else [("data", reference), ("generated", x)]
    figure = Figure(figsize=(3.6 * len(panels), 3.8), dpi=_DOTS_PER_INCH, layout="constrained")
    about = panels[0][1]
    centre, reach = about.mean(dim=0), 1.1 * float((about - about.mean(dim=0)).abs().max())
    for place, (title, points) in enumerate(panels, 1):
        axes = figure.add_subplot(1, len(panels), place)
        axes.scatter(points[:, 0], points[:, 1], s=3, linewidths=0, alpha=0.5)
        axes.set(title=title, aspect="equal")
        axes.set_xlim(float(centre[0]) - reach, float(centre[0]) + reach)
        axes.set_ylim(float(centre[1]) - reach, float(centre[1]) + reach)
        axes.spines[["top", "right"]].set_visible(False)
    return _array(figure)


def _lines(x: Tensor, reference: Tensor | None) -> Picture:
    panels = [("generated", x)] if reference is None else [("data", reference), ("generated", x)]
    figure = Figure(figsize=(7.2, 2.2 * len(panels)), dpi=_DOTS_PER_INCH, layout="constrained")
    first: Any = None
    for place, (title, lines) in enumerate(panels, 1):
        axes = figure.add_subplot(len(panels), 1, place, sharex=first, sharey=first)
        first = first or axes
        axes.plot(lines[:_MANY_LINES].T, linewidth=0.8, alpha=0.7)
        axes.set_title(title)
        axes.spines[["top", "right"]].set_visible(False)
    return _array(figure)


def _array(figure: Figure) -> Picture:
    canvas: Any = FigureCanvasAgg(figure)  # which has no types
    canvas.draw()
    drawn: Picture = np.asarray(canvas.buffer_rgba())[..., :3].copy()
    return drawn
