r"""What a planner asks of a model of the environment, and what sequences of actions bring in it.

Any object with the methods of `PlanningModel` can be planned in: a `WorldModel` that was learnt,
or a user's own, exact one. Of B episodes at once it imagines a step, and its state can be branched
by naming rows several times, as a planner does for its candidates. The value of a sequence is

.. math:: \sum_{t=0}^{H-1} \gamma^t \Big(\prod_{k \le t} (1 - d_k)\Big)\,
    (r_{t+1} - \lambda u_{t+1}) + \gamma^H \Big(\prod_{k \le H} (1 - d_k)\Big)\, V(o_H) ,

where :math:`d_k` says whether the episode terminated at step k, so that nothing counts after it,
u is the disagreement of the model's members and V a value function, if there is one.

References:
    K. Chua, R. Calandra, R. McAllister, S. Levine (2018), Deep reinforcement learning in a handful
        of trials using probabilistic dynamics models, arXiv:1805.12114, section 5.
    T. Yu et al. (2020), MOPO: model-based offline policy optimization, arXiv:2005.13239, equation
        2 (rewards less what is not known).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, Self, TypeAlias, runtime_checkable

import numpy as np
import torch
from gymnasium import spaces
from jaxtyping import Float64
from numpy.typing import NDArray

from ...generative.space_batches import rows_of
from ...generative.world_model_state import ImaginedStep

__all__ = [
    "MarkovState",
    "PlanningModel",
    "PlanningState",
    "ValueFunction",
    "imagined_returns",
]

ValueFunction: TypeAlias = Callable[[Any], NDArray[Any]]
"""(B,) values of a batch of observations, as the space has them."""


class PlanningState(Protocol):
    """What B imagined episodes remember. Nothing changes it."""

    def __len__(self) -> int:
        """B."""

    def take(self, rows: Any) -> Self:
        """Those of some rows, an array of their numbers, each as often as it is named."""

    def put(self, rows: Any, others: Any) -> Self:
        """These with other rows in some places: where an episode begins anew."""


@runtime_checkable
class PlanningModel(Protocol):
    """A model that planners imagine with; `gymagine.generative.WorldModel` is one.

    Attributes:
        observation_space: Of the environment that it is a model of.
        action_space: Likewise.
    """

    @property
    def observation_space(self) -> spaces.Space[Any]:
        """Of single observations."""

    @property
    def action_space(self) -> spaces.Space[Any]:
        """Of single actions."""

    def begin(self, observations: Any) -> Any:
        """The state of B episodes that begin with (B, ...) observations."""

    def observe(self, state: Any, actions: Any, observations: Any) -> Any:
        """The state after (B, ...) actions that were really taken, and what was seen then."""

    def step(
        self,
        state: Any,
        actions: Any,
        *,
        temperature: float = 1.0,
        rng: torch.Generator | None = None,
    ) -> tuple[Any, ImaginedStep]:
        """The state after (B, ...) actions that are imagined, and what they lead to."""


@dataclass(frozen=True)
class MarkovState:
    """The state of a model that needs the last observation and nothing else.

    Attributes:
        observations: (B, ...) as the space has them.

    Example:
        >>> MarkovState(np.array([3.0, 5.0])).take([1, 1]).observations
        array([5., 5.])
    """

    observations: NDArray[Any]

    def __len__(self) -> int:
        return len(self.observations)

    def take(self, rows: Any) -> MarkovState:
        """Those of some rows."""
        return MarkovState(self.observations[rows])

    def put(self, rows: Any, others: MarkovState) -> MarkovState:
        """These with other rows in some places."""
        found = self.observations.copy()
        found[rows] = others.observations
        return MarkovState(found)


def imagined_returns(
    model: PlanningModel,
    state: Any,
    actions: NDArray[Any],
    *,
    discount: float = 1.0,
    temperature: float = 1.0,
    disagreement_penalty: float = 0.0,
    value_function: ValueFunction | None = None,
    rng: torch.Generator | None = None,
) -> Float64[np.ndarray, " batch"]:
    """(B,) what sequences of actions bring in one imagined episode each.

    Args:
        model: To imagine with.
        state: Of B episodes.
        actions: (B, H, ...) a sequence for each, as the action space has them.
        discount: γ.
        temperature: Of the model's draws.
        disagreement_penalty: λ, of each step's disagreement.
        value_function: V, of the observations at the horizon; None counts nothing there.
        rng: Of the model's draws.
    """
    num, horizon = actions.shape[:2]
    returns, weight = np.zeros(num), 1.0
    going = np.arange(num)
    observation: Any = None
    for t in range(horizon):
        state, step = model.step(state, actions[going, t], temperature=temperature, rng=rng)
        returns[going] += weight * (step.reward - disagreement_penalty * step.disagreement)
        weight *= discount
        observation = step.observation
        if step.terminated.any():
            left = np.flatnonzero(~step.terminated)
            going = going[left]
            if not len(going):
                return returns
            state, observation = state.take(left), rows_of(observation, left)
    if value_function is not None:
        returns[going] += weight * np.asarray(value_function(observation), dtype=np.float64)
    return returns
