r"""The tables that a world model of finitely many observations and actions amounts to.

Of each pair so many steps are imagined; what they come to, and how often, is a `TabularMDP`, which
can be solved exactly and compared with the true one. Of two models the distance at a pair is the
total variation of what follows,

.. math:: \tfrac12 \sum_{s', \text{terminated}} |\hat p(s', \text{terminated} \mid s, a) -
    p(s', \text{terminated} \mid s, a)| ,

between 0 and 1. Of a sample of n from k outcomes alike it is about
:math:`\sqrt{k / (2 \pi n)}`, even where the model is exact.

References:
    M. Kearns, S. Singh (2002), Near-optimal reinforcement learning in polynomial time, Machine
        Learning 49, definition 4 (models that are close at every pair plan alike).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from jaxtyping import Float64
from numpy.typing import ArrayLike, NDArray

from ..generative.abstract_world_model import AbstractWorldModel
from .arguments import whole_number
from .mdp import TabularMDP

__all__ = ["imagined_mdp", "transition_distances"]


def imagined_mdp(
    model: AbstractWorldModel,
    *,
    num_draws: int = 200,
    initial_distribution: ArrayLike | int = 0,
    temperature: float = 1.0,
    seed: int = 0,
    name: str = "imagined",
) -> TabularMDP:
    """The model that imagined steps from every observation and action make up.

    Rewards are the mean over the steps of a pair that led to the same observation and end. The
    world model must need the last observation only.

    Args:
        model: Of ``Discrete`` observations and actions.
        num_draws: Steps of each pair, at least 1.
        initial_distribution: (S,) probabilities, or the index of the one start state.
        temperature: Of the draws.
        seed: Of the draws.
        name: For tables and plots.

    Raises:
        ValueError: A space is no ``Discrete``, or a number is out of range.

    Example:
        >>> from gymagine.generative import TabularWorldModel
        >>> model = TabularWorldModel(spaces.Discrete(3), spaces.Discrete(2))  # stays where it is
        >>> imagined_mdp(model, num_draws=5).outcomes(2, 0)
        [(1.0, 2, 0.0, False)]
    """
    num_draws = whole_number(num_draws, "num_draws", least=1)
    sizes, starts = [], []
    for title, space in (
        ("observations", model.observation_space),
        ("actions", model.action_space),
    ):
        if not isinstance(space, spaces.Discrete):
            raise ValueError(f"expected a model of Discrete {title}, got {space}")
        sizes.append(int(space.n))
        starts.append(int(space.start))
    num_states, num_actions = sizes
    rng = torch.Generator(device=model.is_fitted.device).manual_seed(seed)
    outcomes: list[list[list[Any]]] = []
    for state in range(num_states):
        begun = model.begin(np.full(num_actions * num_draws, state + starts[0]))
        actions = np.arange(num_actions).repeat(num_draws)
        _, step = model.step(begun, actions + starts[1], temperature=temperature, rng=rng)
        following = np.asarray(step.observation) - starts[0]
        rows = [
            _counted(following[taken], step.reward[taken], step.terminated[taken])
            for taken in (actions == action for action in range(num_actions))
        ]
        outcomes.append(rows)
    return TabularMDP.from_outcomes(outcomes, initial_distribution=initial_distribution, name=name)


def _counted(
    following: NDArray[np.int64], rewards: NDArray[np.float64], terminated: NDArray[np.bool_]
) -> list[tuple[float, int, float, bool]]:
    """Outcomes of one pair: next state and end, how often, and the mean reward."""
    kinds, which, counts = np.unique(
        2 * following + terminated, return_inverse=True, return_counts=True
    )
    means = np.bincount(which, weights=rewards) / counts
    shares = counts / counts.sum()
    return [
        (float(share), int(kind // 2), float(mean), bool(kind % 2))
        for kind, share, mean in zip(kinds, shares, means, strict=True)
    ]


def transition_distances(
    one: TabularMDP, other: TabularMDP
) -> Float64[np.ndarray, "states actions"]:
    """(S, A) total variations of what follows in two models; NaN where an action is masked.

    Raises:
        ValueError: They have different numbers of states or actions.
    """
    shapes = [(mdp.num_states, mdp.num_actions) for mdp in (one, other)]
    if shapes[0] != shapes[1]:
        raise ValueError(f"expected models of the same states and actions, got {shapes}")
    distances = np.full(shapes[0], np.nan)
    for state, action in np.ndindex(*shapes[0]):
        if one.allowed[state, action] and other.allowed[state, action]:
            laws = [_law(mdp, state, action) for mdp in (one, other)]
            keys = {key for law in laws for key in law}
            gaps = (abs(laws[0].get(key, 0.0) - laws[1].get(key, 0.0)) for key in keys)
            distances[state, action] = sum(gaps) / 2
    return distances


def _law(mdp: TabularMDP, state: int, action: int) -> dict[tuple[int, bool], float]:
    """Probabilities of next state and end."""
    law: dict[tuple[int, bool], float] = {}
    for probability, next_state, _, terminated in mdp.outcomes(state, action):
        key = (next_state, terminated)
        law[key] = law.get(key, 0.0) + probability
    return law
