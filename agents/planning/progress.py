"""What can be seen of a planner agent while it plans: callbacks, a bar, scalars."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ..agent import Callback
from ..learning_session import as_callback
from .solution import Sweep

if TYPE_CHECKING:
    from .planner import AbstractPlanner

__all__ = ["PlanningProgress"]


class PlanningProgress:
    """Wraps one planning: a context in which the planner calls `on_sweep`.

    Args:
        agent: The planner.
        callback: As given to ``learn``; it sees the start and the end, as there are no steps.
        progress_bar: Whether to show a bar with sweeps and the proven error bound.
    """

    def __init__(self, agent: AbstractPlanner, callback: Callback, *, progress_bar: bool) -> None:
        self._agent = agent
        self._callback = None if callback is None else as_callback(callback)
        self._bar = _progress_bar(agent.name) if progress_bar else None

    def on_sweep(self, sweep: Sweep) -> None:
        """Show a sweep."""
        if self._bar is not None:
            self._bar.update(sweep.index - self._bar.n)
            if np.isfinite(sweep.error_bound):
                self._bar.set_postfix(error_bound=f"{sweep.error_bound:.1e}", refresh=False)

    def __enter__(self) -> Self:
        if self._callback is not None:
            agent: Any = self._agent  # structurally what callbacks use
            self._callback.init_callback(agent)
            self._callback.on_training_start({"self": self._agent, "total_timesteps": 0}, {})
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()
        if error is not None:
            return
        self._log()
        if self._callback is not None:
            self._callback.on_training_end()

    def _log(self) -> None:
        solution = self._agent.solution
        logger = self._agent.logger
        if solution is None or not logger.output_formats:
            return
        for name in ("sweeps", "horizon", "residual", "error_bound"):
            if hasattr(solution, name):
                logger.record(f"plan/{name}", getattr(solution, name))
        logger.dump(step=self._agent.num_timesteps)


def _progress_bar(name: str) -> Any:
    from tqdm import tqdm

    return tqdm(desc=name, unit=" sweeps", dynamic_ncols=True)
