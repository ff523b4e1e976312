r"""How good an agent is: the mean of the returns of some episodes, and what that mean is worth.

The return of an episode is :math:`G = \sum_t \gamma^t r_{t+1}` over the steps that were taken,
with :math:`\gamma = 1` unless asked otherwise. Episodes stop when the environment terminates or
truncates them, or at an explicit cap on their steps; a policy that never reaches an end in an
environment without a time limit (CliffWalking has none) would otherwise be evaluated for ever. How
many episodes were stopped by the cap is part of the result, and so is the criterion: a discounted
and an undiscounted figure, or a capped and an uncapped one, are of different quantities.

With n returns of mean :math:`\bar G` and standard deviation s (n - 1 in the denominator) the
interval is Student's,

.. math:: \bar G \pm t_{n-1,\,0.975}\; s / \sqrt n,

which covers the true mean in 95 % of evaluations where returns are near normal or n is not small;
it says nothing about how another seed of *training* would have done (`compare` does).

References:
    Student (1908), The probable error of a mean. Biometrika 6(1).
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

import gymnasium
import numpy as np
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector.utils import batch_space, concatenate, create_empty_array, iterate
from jaxtyping import Float64, Int64
from numpy.typing import NDArray

from ..agents.action_masks import mask_rows
from ..envs.environments import EnvLike, make_env
from .action_masks import wants_masks
from .environment_names import EnvironmentName

if TYPE_CHECKING:
    from .records import RunRecord

__all__ = ["DEFAULT_STEP_CAP", "Evaluation", "Predictor", "batched", "evaluate", "step_cap"]

DEFAULT_STEP_CAP = 1000
_COPIES = 32  # enough that a network's fixed cost per call is shared

Source: TypeAlias = "EnvLike | EnvironmentName"


@runtime_checkable
class Predictor(Protocol):
    """What can be evaluated: our agents, and Stable-Baselines3's models as they are."""

    def predict(
        self,
        observation: Any,
        state: Any = ...,
        episode_start: Any = ...,
        deterministic: bool = ...,
    ) -> tuple[Any, Any]:
        """The actions for a batch of observations, and the next state."""


@dataclass(frozen=True)
class Evaluation:
    """Episodes of one agent in one environment.

    Attributes:
        mean: Of the returns.
        low: Lower end of the mean's 95 % interval; NaN for one episode.
        high: Upper end.
        returns: (N,) return of each episode.
        lengths: (N,) steps of each episode.
        seeds: What each episode's environment was seeded with.
        discount: Of the returns.
        max_steps: The cap on the steps of an episode.
        num_capped: Episodes that the cap stopped and the environment did not.
        deterministic: Whether the agent acted without exploration.
        environment: What it acted in.
    """

    mean: float
    low: float
    high: float
    returns: Float64[NDArray[np.float64], " episodes"]
    lengths: Int64[NDArray[np.int64], " episodes"]
    seeds: tuple[int, ...]
    discount: float
    max_steps: int
    num_capped: int
    deterministic: bool
    environment: str

    @property
    def num_episodes(self) -> int:
        """N."""
        return len(self.returns)

    @property
    def criterion(self) -> str:
        """What the mean is a mean of, in words."""
        kind = "undiscounted" if self.discount == 1.0 else f"discounted by {self.discount:g}"
        return f"{kind} return over at most {self.max_steps} steps"

    def to_json(self) -> dict[str, Any]:
        """What JSON can hold of it."""
        return {
            "environment": self.environment,
            "mean": self.mean,
            "low": self.low,
            "high": self.high,
            "returns": self.returns.tolist(),
            "lengths": self.lengths.tolist(),
            "seeds": list(self.seeds),
            "discount": self.discount,
            "max_steps": self.max_steps,
            "num_capped": self.num_capped,
            "deterministic": self.deterministic,
            "criterion": self.criterion,
        }


def evaluate(
    agent: Predictor | RunRecord | str | os.PathLike[str],
    env: Source | None = None,
    *,
    num_episodes: int = 100,
    seed: int = 0,
    discount: float = 1.0,
    deterministic: bool = True,
    max_steps: int | None = None,
) -> Evaluation:
    """Play episodes and average their returns.

    Args:
        agent: An agent, a model of Stable-Baselines3, or a run (its record or its folder). One
            that learnt under masks is handed those of ``info["action_mask"]``.
        env: Where to play; None is where the agent learned. Ids and specs are made several times
            and played in turns, which is faster and gives the same episodes.
        num_episodes: N, at least 1.
        seed: Each episode's environment gets its own seed from this one, so that two agents
            evaluated with one seed meet the same first states.
        discount: In [0, 1]; of the returns.
        deterministic: Without exploration.
        max_steps: Cap on the steps of an episode; None is the environment's own time limit, or
            1000 where it has none.

    Raises:
        ValueError: An argument is out of range, there is no environment, or the environment
            returned a reward that is not a number.
        FileNotFoundError: There is no such run.

    Example:
        >>> from gymagine.agents.random_policy import RandomPolicy
        >>> agent = RandomPolicy("CliffWalking-v1", seed=0)
        >>> evaluation = evaluate(agent, num_episodes=4, max_steps=50, deterministic=False)
        >>> evaluation.num_capped, evaluation.criterion
        (4, 'undiscounted return over at most 50 steps')
    """
    if num_episodes < 1:
        raise ValueError(f"expected num_episodes of at least 1, got {num_episodes}")
    if not 0.0 <= discount <= 1.0:
        raise ValueError(f"expected a discount in [0, 1], got {discount}")
    if max_steps is not None and max_steps < 1:
        raise ValueError(f"expected max_steps of at least 1, got {max_steps}")
    predictor, source = _resolve(agent, env)
    envs, owned = _copies(source, num_episodes)
    seeds = tuple(int(word) for word in np.random.SeedSequence(seed).generate_state(num_episodes))
    try:
        play = _Play(predictor, envs, seeds, discount, max_steps or step_cap(envs[0]))
        play.run(deterministic)
    finally:
        for copy in envs if owned else []:
            copy.close()
    mean, low, high = _student_interval(play.returns)
    return Evaluation(
        mean=mean,
        low=low,
        high=high,
        returns=play.returns,
        lengths=play.lengths,
        seeds=seeds,
        discount=discount,
        max_steps=play.max_steps,
        num_capped=play.num_capped,
        deterministic=deterministic,
        environment=_label(source),
    )


def batched(space: gymnasium.Space[Any], items: Sequence[Any]) -> Any:
    """Elements of a space as one batch, in the form that vector environments give."""
    empty: Any = create_empty_array(space, len(items))
    return concatenate(space, items, empty)


def step_cap(env: gymnasium.Env[Any, Any]) -> int:
    """The environment's own time limit, or 1000 where it has none."""
    limit = None if env.spec is None else env.spec.max_episode_steps
    return DEFAULT_STEP_CAP if limit is None else limit


class _Play:
    """Episodes in turns: environment i plays an episode, then the next that nobody has begun."""

    def __init__(
        self,
        predictor: Predictor,
        envs: list[gymnasium.Env[Any, Any]],
        seeds: tuple[int, ...],
        discount: float,
        max_steps: int,
    ) -> None:
        self.predictor = predictor
        self.envs = envs
        self.seeds = seeds
        self.discount = discount
        self.max_steps = max_steps
        self.returns = np.zeros(len(seeds))
        self.lengths = np.zeros(len(seeds), dtype=np.int64)
        self.num_capped = 0
        self._begun = 0
        self._action_batch = batch_space(envs[0].action_space, len(envs))
        self._episode: list[int | None] = [None] * len(envs)
        self._observation: list[Any] = [None] * len(envs)
        self._info: list[dict[str, Any]] = [{}] * len(envs)
        self._is_masked = wants_masks(predictor)

    def run(self, deterministic: bool) -> None:
        for place in range(len(self.envs)):
            self._begin(place)
        episode_start = np.ones(len(self.envs), dtype=np.bool_)
        memory: Any = None
        while any(episode is not None for episode in self._episode):
            actions, memory = self._predict(memory, episode_start, deterministic)
            episode_start[:] = False
            for place, action in enumerate(actions):
                if self._episode[place] is not None and self._step(place, action):
                    self._begin(place)
                    episode_start[place] = True

    def _begin(self, place: int) -> None:
        if self._begun == len(self.seeds):
            self._episode[place] = None  # its last observation stays in the batch, unused
            return
        seed = self.seeds[self._begun]
        self._observation[place], self._info[place] = self.envs[place].reset(seed=seed)
        self._episode[place] = self._begun
        self._begun += 1

    def _predict(
        self, memory: Any, episode_start: NDArray[np.bool_], deterministic: bool
    ) -> tuple[Any, Any]:
        batch = batched(self.envs[0].observation_space, self._observation)
        masks = mask_rows(self._info) if self._is_masked else None
        actions, memory = self.predictor.predict(
            batch,
            state=memory,
            episode_start=episode_start,
            deterministic=deterministic,
            **({} if masks is None else {"action_mask": masks}),
        )
        return iterate(self._action_batch, actions), memory

    def _step(self, place: int, action: Any) -> bool:
        """Whether the episode at this place is over."""
        episode = self._episode[place]
        assert episode is not None
        observation, reward, terminated, truncated, info = self.envs[place].step(action)
        over = terminated or truncated
        if not over:  # nobody acts where an episode is over, and no action may be allowed there
            self._observation[place], self._info[place] = observation, info
        step = int(self.lengths[episode])
        if not math.isfinite(reward):
            raise ValueError(
                f"expected a finite reward, got {reward} at step {step + 1} of the episode with "
                f"seed {self.seeds[episode]}"
            )
        self.returns[episode] += self.discount**step * float(reward)
        self.lengths[episode] = step + 1
        capped = step + 1 >= self.max_steps
        self.num_capped += capped and not over
        return bool(over or capped)


def _student_interval(
    returns: Float64[NDArray[np.float64], " episodes"],
) -> tuple[float, float, float]:
    from scipy.special import stdtrit

    count = len(returns)
    mean = float(returns.mean())
    if count == 1:
        return mean, math.nan, math.nan
    half = float(stdtrit(count - 1, 0.975) * returns.std(ddof=1) / math.sqrt(count))
    return mean, mean - half, mean + half


def _resolve(
    agent: Predictor | RunRecord | str | os.PathLike[str], env: Source | None
) -> tuple[Predictor, Source]:
    from .records import RunRecord

    if isinstance(agent, str | os.PathLike):
        agent = RunRecord.open(agent)
    if isinstance(agent, RunRecord):
        source = env if env is not None else agent.environment.for_evaluation
        return agent.load_agent(), source
    if env is None:
        env = getattr(agent, "env", None)
        if isinstance(env, gymnasium.Env) and env.spec is not None:
            env = env.spec  # not the environment itself, which stands in the middle of an episode
    if not isinstance(env, str | EnvSpec | EnvironmentName | gymnasium.Env):
        raise ValueError(f"expected an environment to evaluate in, got {env!r}")
    return agent, env


def _copies(source: Source, num_episodes: int) -> tuple[list[gymnasium.Env[Any, Any]], bool]:
    if isinstance(source, gymnasium.Env):
        return [source], False
    count = min(_COPIES, num_episodes)
    if isinstance(source, EnvironmentName):
        return [source.make() for _ in range(count)], True
    return [make_env(source) for _ in range(count)], True


def _label(source: Source) -> str:
    if isinstance(source, EnvironmentName):
        return source.label
    if isinstance(source, str):
        return source
    spec = source if isinstance(source, EnvSpec) else source.spec
    return type(source).__name__ if spec is None else spec.id
