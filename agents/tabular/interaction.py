"""Where a learner's experience comes from: what a simulated and a stepped environment share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from numpy.typing import NDArray

from ..episodes import FinishedEpisodes
from ..learning_session import Step
from .compilation import entry_point

__all__ = ["AbstractInteraction", "Kernels"]


class Kernels(NamedTuple):
    """The compiled functions of one algorithm; ``memory`` is the tuple of arrays that they share.

    Attributes:
        begin: ``(memory, state) -> action``, the first action of an episode. Forgets whatever the
            algorithm still kept of an episode that did not come to its end.
        observe: ``(memory, state, action, reward, terminated, truncated, next_state) -> action``
            learns from one step and returns the next action, -1 where the episode is over.
        run: ``(memory, simulation, num_steps) -> steps taken``, the two of them on a simulation.
    """

    begin: Callable[..., Any]
    observe: Callable[..., Any]
    run: Callable[..., Any]

    def stepwise(self, memory: Any) -> tuple[Callable[..., Any], Callable[..., Any]]:
        """``begin`` and ``observe`` in the form that Python calls most quickly."""
        return (
            entry_point(self.begin, memory, 0),
            entry_point(self.observe, memory, 0, 0, 0.0, False, False, 0),
        )


class AbstractInteraction(ABC):
    """A source of steps. The learner's base class calls it; it calls the algorithm's kernels."""

    @abstractmethod
    def take(self, memories: Sequence[Any], num_steps: int) -> None:
        """Learn from up to ``num_steps`` steps, fewer when the episode log is full.

        Args:
            memories: The learner's memory; in a vector environment one for each copy.
            num_steps: At least 1.
        """

    @abstractmethod
    def last_step(self) -> Step:
        """The last step taken."""

    @abstractmethod
    def collect(self) -> FinishedEpisodes:
        """The episodes that ended since the last call."""

    @abstractmethod
    def resume(self) -> None:
        """Called when learning begins: begin an episode if others moved the environment."""

    @abstractmethod
    def pause(self) -> None:
        """Called when learning ends: note where the environment is left."""

    @abstractmethod
    def limit_log(self, num_episodes: int | None) -> None:
        """Make `take` return when so many episodes are waiting to be collected."""

    @abstractmethod
    def arrays(self) -> dict[str, NDArray[Any]]:
        """Where it stands, for a checkpoint."""

    @abstractmethod
    def header(self) -> dict[str, Any]:
        """What of a checkpoint is not an array, as JSON holds it."""

    @abstractmethod
    def restore(
        self, arrays: dict[str, NDArray[Any]], header: dict[str, Any], fresh_seed: int
    ) -> bool:
        """Stand where a checkpoint stood.

        Args:
            arrays: Of `arrays`.
            header: Of `header`.
            fresh_seed: Seeds the environment where its own state cannot be restored.

        Returns:
            Whether everything was restored; if not, an episode begins with the next step.
        """
