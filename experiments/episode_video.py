"""An episode of a trained agent as a moving picture on TensorBoard's page of images.

It is a GIF, which TensorBoard shows as it is, so that no encoder of films is needed. What is kept
of an episode is bounded, however long it lasts and however large its pictures are: of more
pictures than a film may have every second one is dropped, as often as it takes, and what is
larger than a film may be is drawn smaller. The film runs as fast as the environment says, and
faster where it would take longer than half a minute.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from ..agents.agent import AbstractAgent
from .environment_names import EnvironmentName
from .watching import encode_gif, play_episodes, show_tables

__all__ = ["EpisodeVideo", "Film", "cut_film"]

_MAX_PICTURES = 300
_MAX_SIDE = 320
_MAX_SECONDS = 30.0
_MAX_RATE = 50.0  # players slow down a GIF that is faster


@dataclass(frozen=True)
class Film:
    """A moving picture.

    Attributes:
        content: The bytes of a GIF.
        width: Of a picture.
        height: Of a picture.
        num_pictures: Kept of the episode.
        rate: Pictures per second.
    """

    content: bytes
    width: int
    height: int
    num_pictures: int
    rate: float


class EpisodeVideo:
    """Films episodes in environments that only it uses.

    Args:
        source: The environment by name, or one of its kind. One that Gymnasium cannot make again
            must itself have been made with ``render_mode="rgb_array"``.
        max_steps: Cap on the steps of an episode.
    """

    def __init__(
        self, source: EnvironmentName | gymnasium.Env[Any, Any], *, max_steps: int
    ) -> None:
        self._source = source
        self._max_steps = max_steps

    def check(self) -> None:
        """Draw one picture, so that a run does not find out in the end that it cannot.

        Raises:
            ValueError: The environment cannot be drawn; the message says why.
        """
        env, owned = self._environment()
        try:
            env.reset(seed=0)
            picture = np.asarray(env.render())
        except Exception as error:  # whatever a library that draws may raise
            raise ValueError(f"{self._label} cannot be drawn for a video: {error}") from error
        finally:
            if owned:
                env.close()
        if picture.ndim != 3 or picture.shape[-1] != 3:
            raise ValueError(
                f"expected pictures of shape (H, W, 3) for a video, got {picture.shape} from "
                f"{self._label}"
            )

    def play(self, agent: AbstractAgent, *, seed: int) -> Film:
        """Film one episode of the agent's greedy policy.

        Args:
            agent: Acts.
            seed: Of the episode.
        """
        env, owned = self._environment()
        show_tables(env, agent)
        try:
            pictures = play_episodes(env, agent, [seed], self._max_steps, [])
            return cut_film(pictures, rate=float(env.metadata.get("render_fps") or 30))
        finally:
            if owned:
                env.close()

    @property
    def _label(self) -> str:
        source = self._source
        if isinstance(source, EnvironmentName):
            return source.label
        return type(source.unwrapped).__name__ if source.spec is None else source.spec.id

    def _environment(self) -> tuple[gymnasium.Env[Any, Any], bool]:
        """An environment that draws pictures, and whether it is to be closed."""
        source = self._source
        if not isinstance(source, EnvironmentName) and source.spec is None:
            if source.render_mode == "rgb_array":
                return source, False
            raise ValueError(
                f"expected evaluation_env=... with render_mode='rgb_array' for a video, as "
                f"Gymnasium cannot make another {self._label}, got {source.render_mode!r}"
            )
        known = source.make() if isinstance(source, EnvironmentName) else source
        modes = known.metadata.get("render_modes") or []
        if known is not source:
            known.close()
        if "rgb_array" not in modes:
            raise ValueError(
                f"{self._label} cannot be drawn for a video: it knows "
                f"{', '.join(map(str, modes)) or 'no way'}, not rgb_array"
            )
        if isinstance(source, EnvironmentName):
            return source.make(render_mode="rgb_array"), True
        assert source.spec is not None
        return gymnasium.make(source.spec, render_mode="rgb_array"), True


def cut_film(
    pictures: Iterable[NDArray[np.uint8]], *, rate: float, max_side: int = _MAX_SIDE
) -> Film:
    """A film of bounded length and size.

    Args:
        pictures: (H, W, 3) each, of one size, in the order of the steps; at least one.
        rate: Steps per second in the environment's own time.
        max_side: The longer side of a picture, at most.
    """
    kept: list[NDArray[np.uint8]] = []
    stride, last = 1, None
    for number, picture in enumerate(pictures):
        last = picture
        if number % stride == 0:
            kept.append(_reduced(picture, max_side))
            if len(kept) == _MAX_PICTURES:
                kept, stride = kept[::2], 2 * stride
    if last is None:
        raise ValueError("expected at least one picture, got none")
    if number % stride:  # how it ended is what one wants to see
        kept.append(_reduced(last, max_side))
    shown = min(_MAX_RATE, max(rate / stride, len(kept) / _MAX_SECONDS))
    height, width = kept[0].shape[:2]
    return Film(encode_gif(kept, shown), width, height, len(kept), shown)


def _reduced(picture: NDArray[np.uint8], max_side: int) -> NDArray[np.uint8]:
    factor = -(-max(picture.shape[:2]) // max_side)
    if factor == 1:
        return picture
    from PIL import Image

    return np.asarray(Image.fromarray(picture).reduce(factor))
