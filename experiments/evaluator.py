"""The evaluations of one run: the same question at fixed steps, in environments of their own.

The environments that evaluate are not the one that learns, and the seeds of their episodes come
from the run's seed and the step alone. A run that was killed and resumed therefore meets the same
episodes, and evaluating more or less often changes nothing of what is learned.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np

from ..agents.agent import AbstractAgent
from ..agents.tabular.prediction import AbstractPrediction
from .environment_names import EnvironmentName
from .episode_video import EpisodeVideo
from .evaluation import evaluate, step_cap
from .exact_evaluation import affordable, exact_length, exact_return, known_model, policy_table
from .records import EvaluationPoint, RunSettings

__all__ = ["Evaluator"]

_STREAM = 0xE7A1  # keeps these seeds apart from those of training


class Evaluator:
    """Asks how good an agent is, in the way that a run's settings say.

    Args:
        settings: The run's.
        source: What to play in: the name of what agents learn in, or an environment object that
            only evaluates.

    Attributes:
        model: The environment's model where evaluation is exact, else None.
        max_steps: The cap on the steps of an episode.

    Raises:
        ValueError: No episodes are to be played, and the model is not known.
    """

    def __init__(
        self, settings: RunSettings, source: EnvironmentName | gymnasium.Env[Any, Any]
    ) -> None:
        if isinstance(source, EnvironmentName):
            source = source.for_evaluation
        self._settings = settings
        self._source = source
        self._env = source.make() if isinstance(source, EnvironmentName) else source
        self.max_steps = settings.max_steps or step_cap(self._env)
        model = known_model(source) if settings.exact else None
        self.model = model if model is not None and affordable(model, self.max_steps) else None
        if self.model is None and settings.evaluation_episodes == 0:
            raise ValueError(
                f"expected evaluation_episodes of at least 1: the model of "
                f"{settings.environment.label} is not known (or too large to evaluate exactly)"
            )

    def __call__(
        self, agent: AbstractAgent, timesteps: int, train_seconds: float
    ) -> EvaluationPoint:
        """Evaluate an agent that has taken ``timesteps`` steps of training."""
        exact = length = None
        if self.model is not None:
            exact, length = self._exactly(agent, self.model)
        episodes = self._settings.evaluation_episodes
        if episodes and timesteps >= self._settings.total_timesteps:
            episodes = self._settings.final_episodes
        if episodes == 0 and exact is None:
            # no table tells the agent's policy: it has a memory, or its masks are not known
            episodes = self._settings.final_episodes
        if episodes == 0:
            assert exact is not None
            return EvaluationPoint(
                timesteps, exact, exact, exact, length, 0, 0, exact, train_seconds
            )
        words = np.random.SeedSequence((self._settings.seed, _STREAM, timesteps))
        played = evaluate(
            agent,
            self._source,
            num_episodes=episodes,
            seed=int(words.generate_state(1)[0]),
            discount=self._settings.discount,
            max_steps=self.max_steps,
            # what prediction learns is the value of the policy as it is, not of its likeliest part
            deterministic=not isinstance(agent, AbstractPrediction),
        )
        return EvaluationPoint(
            timesteps=timesteps,
            mean_reward=played.mean,
            low=played.low,
            high=played.high,
            mean_ep_length=float(played.lengths.mean()),
            num_episodes=episodes,
            num_capped=played.num_capped,
            exact_return=exact,
            train_seconds=train_seconds,
        )

    def video(self) -> EpisodeVideo:
        """What films episodes in an environment of the kind that evaluates."""
        return EpisodeVideo(self._source, max_steps=self.max_steps)

    def _exactly(self, agent: AbstractAgent, model: Any) -> tuple[float | None, float | None]:
        policy = policy_table(agent, model, self._env, horizon=self.max_steps)
        if policy is None:
            return None, None
        discount, horizon = self._settings.discount, self.max_steps
        exact = exact_return(model, policy, discount=discount, horizon=horizon)
        return exact, exact_length(model, policy, horizon=horizon)

    def close(self) -> None:
        """Close the environment that this object made itself."""
        if isinstance(self._source, EnvironmentName):
            self._env.close()
