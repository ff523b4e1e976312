"""A window that shows pictures at a steady rate."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.error import DependencyNotInstalled
from jaxtyping import UInt8
from numpy.typing import NDArray

__all__ = ["GridWindow"]


class GridWindow:
    """A pygame window.

    Args:
        title: Of the window.
        frames_per_second: How many pictures `show` lets through in a second.

    Raises:
        DependencyNotInstalled: There is no pygame.
    """

    def __init__(self, title: str, *, frames_per_second: int) -> None:
        try:
            import pygame
        except ImportError as error:
            raise DependencyNotInstalled(
                'expected pygame for a window: pip install "gymnasium[toy-text]"'
            ) from error
        self._pygame: Any = pygame
        self._title = title
        self._frames_per_second = frames_per_second
        self._surface: Any = None
        self._clock = pygame.time.Clock()

    def show(self, picture: UInt8[NDArray[np.uint8], "height width 3"]) -> None:
        """Show a picture, waiting for its turn."""
        pygame = self._pygame
        if self._surface is None:
            pygame.display.init()
            pygame.display.set_caption(self._title)
            self._surface = pygame.display.set_mode((picture.shape[1], picture.shape[0]))
        columns_first = np.transpose(picture, (1, 0, 2))
        self._surface.blit(pygame.surfarray.make_surface(columns_first), (0, 0))
        pygame.event.pump()
        pygame.display.update()
        self._clock.tick(self._frames_per_second)

    def close(self) -> None:
        """Close the window; a closed one may be closed again."""
        if self._surface is not None:
            self._pygame.display.quit()
            self._surface = None
