"""Roles around an agent: encoder, replay, novelty bonus, reward.

Encoders, replay and bonuses take a generator without a context. The discriminator of a game is no
generator: a reward is learnt by what a GAN has beside its generator, for which the acting agent
stands here (Ho & Ermon 2016, arXiv:1606.03476), so that families without one are refused by the
reward itself.
"""

from __future__ import annotations

import copy
import dataclasses
from functools import partial
from typing import Any

import gymnasium
import numpy as np
from gymnasium.wrappers import TimeLimit
from numpy.typing import NDArray

from ..generative.data.environments import Transitions, transitions
from .matrix import MatrixRole, Numbers
from .matrix_measures import (
    A2C_SETTINGS,
    CART,
    Settings,
    made_without_context,
    mean_return,
    random_return,
)
from .role_generators import RoleGenerator, role_generator

__all__ = ["SURROUNDING_ROLES"]

# ---- encoder ------------------------------------------------------------------------------------

_LATENT = {"vae": {"latent_size": 4}, "autoencoder": {"latent_size": 4}}


def _make_encoder(entry: RoleGenerator, settings: Settings, seed: int = 0) -> Any:
    from ..envs.latent_observation import LatentObservation

    autoencoder: Any = made_without_context(entry, (4,), seed=seed, **_LATENT.get(entry.name, {}))
    return LatentObservation(gymnasium.make(CART), autoencoder)


def _seen_through(encoder: Any, seed: int, settings: Settings) -> Numbers:
    """Return of A2C whose observations are latents."""
    from ..agents.deep.a2c import A2C
    from ..envs.latent_observation import LatentObservation

    env: Any = gymnasium.make(CART)
    env = env if encoder is None else LatentObservation(env, encoder)
    agent = A2C(env, seed=seed, **A2C_SETTINGS)
    agent.learn(settings["steps"])
    return {"return": mean_return(agent, env, settings, seed)}


def _score_encoder(entry: RoleGenerator, seed: int, settings: Settings) -> Numbers:
    from ..envs.encoder_fitting import fit_encoder

    autoencoder: Any = made_without_context(entry, (4,), seed=seed, **_LATENT.get(entry.name, {}))
    num, fit = settings["frames"], {**entry.fit, "num_updates": settings["updates"]}
    found = fit_encoder(CART, autoencoder, num, seed=seed, **fit)
    numbers = _seen_through(found.encoder, seed, settings)
    return {**numbers, "variance lost": found.error, "by as many components": found.linear_error}


def _untrained_encoder(seed: int, settings: Settings) -> Numbers:
    made = _make_encoder(role_generator("autoencoder"), settings, seed)
    return _seen_through(made.encoder, seed, settings)


def _observations(seed: int, settings: Settings) -> Numbers:
    return _seen_through(None, seed, settings)


# ---- replay -------------------------------------------------------------------------------------


def _make_replay(entry: RoleGenerator, settings: Settings, seed: int = 0) -> Any:
    from ..agents.imagination.synthetic_replay import SyntheticReplay, transition_codec

    env = gymnasium.make(CART)
    shape = transition_codec(env.observation_space, env.action_space).event_shape
    return SyntheticReplay(
        made_without_context(entry, shape, seed=seed),
        env.observation_space,
        env.action_space,
        seed=seed,
        fit_settings={**entry.fit, "num_updates": settings["updates"]},
        first_fit=settings["first_fit"],
        refit_every=settings["refit_every"],
        num_samples=settings["pool"],
    )


def _replaying(seed: int, settings: Settings, *, gradient_steps: int | None = None) -> Any:
    from ..agents.deep.dqn import DQN

    return DQN(
        gymnasium.make(CART),
        seed=seed,
        learning_rate=1e-3,
        batch_size=64,
        learning_starts=200,
        train_freq=1,
        gradient_steps=gradient_steps or settings["updates_to_data"],
        target_update_interval=50,
        exploration_rate=0.1,
        buffer_size=10_000,
    )


def _score_replay(entry: RoleGenerator, seed: int, settings: Settings) -> Numbers:
    from ..agents.imagination.synthetic_replay import add_synthetic_replay

    agent, replay = _replaying(seed, settings), _make_replay(entry, settings, seed)
    add_synthetic_replay(agent, replay, seed=seed)
    agent.learn(settings["steps"])
    last = replay.fits[-1]
    return {
        "return": mean_return(agent, gymnasium.make(CART), settings, seed),
        "a mean is off by": last.mean_error,
        "a deviation by a factor of": last.deviation_ratio,
    }


def _without_synthetic(
    seed: int, settings: Settings, *, gradient_steps: int | None = None
) -> Numbers:
    agent = _replaying(seed, settings, gradient_steps=gradient_steps)
    agent.learn(settings["steps"])
    return {"return": mean_return(agent, gymnasium.make(CART), settings, seed)}


# ---- novelty bonus ------------------------------------------------------------------------------

# what learns zeros and ones, and whose likelihood costs no integration
_BINARY = {"vae": {"decoder": "bernoulli"}, "autoregressive": {"conditional": "bernoulli"}}
_BY_LOSS = ("flow-matching", "diffusion", "edm", "ddpm", "vp-diffusion")


class _Grid(gymnasium.Env[Any, Any]):
    """An empty square without walls or rewards; ``goes_to`` says where the next step leads."""

    def __init__(self, size: int) -> None:
        self.observation_space = gymnasium.spaces.MultiDiscrete([size, size])
        self.action_space = gymnasium.spaces.Discrete(4)
        self.size, self.goes_to = size, None
        self._cell = np.zeros(2, dtype=np.int64)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        """Begin in the corner."""
        super().reset(seed=seed)
        self._cell = np.zeros(2, dtype=np.int64)
        return self._cell.copy(), {}

    def step(self, action: Any) -> Any:
        """Move, as far as there are cells."""
        moves = np.array([[0, 1], [1, 0], [0, -1], [-1, 0]])
        moved = self._cell + moves[int(action)] if self.goes_to is None else self.goes_to
        self._cell = np.clip(moved, 0, self.size - 1)
        return self._cell.copy(), 0.0, False, False, {}


def _make_bonus(entry: RoleGenerator, settings: Settings, seed: int = 0) -> Any:
    from ..envs.novelty_bonus import NoveltyBonus

    size = settings["size"]
    density = made_without_context(entry, (2 * size,), seed=seed, **_BINARY.get(entry.name, {}))
    kind: dict[str, Any] = {"kind": "surrogate"} if entry.name in _BY_LOSS else {}
    return NoveltyBonus(TimeLimit(_Grid(size), 100), density, seed=seed, **kind)


def _gains(env: Any) -> NDArray[np.float64]:
    """(cells,) gain of one more visit to each, which is not kept."""
    found = []
    for cell in np.ndindex(env.unwrapped.size, env.unwrapped.size):
        own = copy.deepcopy(env)
        own.unwrapped.goes_to = np.array(cell)
        found.append(own.step(0)[4]["novelty"]["gain"])
    return np.array(found)


def _score_bonus(entry: RoleGenerator, seed: int, settings: Settings) -> Numbers:
    env, random = _make_bonus(entry, settings, seed), np.random.default_rng(seed)
    place, _ = env.reset(seed=seed)
    before = _gains(env)
    counts = np.zeros((settings["size"], settings["size"]))
    counts[tuple(place)] += 1
    for _ in range(settings["steps"]):
        place, _, _, truncated, _ = env.step(int(random.integers(4)))
        counts[tuple(place)] += 1
        if truncated:
            place, _ = env.reset()
            counts[tuple(place)] += 1
    return {
        "rank correlation": _rank_correlation(-_gains(env), counts.ravel()),
        "before the walk": _rank_correlation(-before, counts.ravel()),
    }


def _rank_correlation(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Spearman's; 0 where all are alike, which tells nothing."""
    from scipy.stats import spearmanr

    found = float(spearmanr(x, y)[0])
    return found if np.isfinite(found) else 0.0


def _before_the_walk(seed: int, settings: Settings) -> Numbers:
    """What first parameters tell of cells, beside the counts of the same walk."""
    found = _score_bonus(role_generator("autoregressive"), seed, settings)
    return {"rank correlation": found["before the walk"]}


# ---- reward -------------------------------------------------------------------------------------


def _make_reward(entry: RoleGenerator, settings: Settings, seed: int = 0) -> Any:
    from ..envs.adversarial_reward import AdversarialReward
    from ..envs.transition_discriminator import TransitionDiscriminator
    from ..generative.adversarial.adversary import AbstractAdversarial

    env = gymnasium.make(CART, max_episode_steps=settings["limit"])
    judge: Any
    if issubclass(entry.family, AbstractAdversarial):
        judge = TransitionDiscriminator(env.observation_space, env.action_space, seed=seed)
    else:  # a model of actions, given observations: the reward says what it lacks
        judge = entry.made((2,), (4,))
    return AdversarialReward(env, judge)


def _shown(seed: int, settings: Settings) -> Transitions:
    """Every so many steps of each of the expert's episodes, as episodes of one step."""
    from ..envs.experts import expert_named

    limit, num, every = settings["limit"], settings["trajectories"], settings["thinned"]
    env = gymnasium.make(CART, max_episode_steps=limit)
    data = transitions(env, num * limit, expert_named("cart-pole"), seed=seed)
    random = np.random.default_rng(seed)
    firsts = [limit * i + int(random.integers(every)) for i in range(num)]
    chosen = [np.arange(first, limit * (i + 1), every) for i, first in enumerate(firsts)]
    rows = np.concatenate(chosen)
    names = [field.name for field in dataclasses.fields(Transitions)]
    parts = {name: getattr(data, name)[rows] for name in names}
    return Transitions(**{**parts, "truncated": ~parts["terminated"]})


def _score_reward(
    entry: RoleGenerator, seed: int, settings: Settings, learns: bool = True
) -> Numbers:
    from ..agents.deep.a2c import A2C
    from ..agents.imagination.adversarial_imitation import imitate_adversarially

    env = _make_reward(entry, settings, seed)
    agent, num = A2C(env, seed=seed, **A2C_SETTINGS), settings["steps"]
    if learns:
        fit = {"discriminator_updates": 8, "gradient_penalty": 0.1, "seed": seed}
        imitate_adversarially(agent, env, _shown(seed, settings), num, **fit)
    else:
        agent.learn(num)
    own = gymnasium.make(CART, max_episode_steps=settings["limit"])
    return {"return": mean_return(agent, own, settings, seed)}


def _judge_that_never_learns(seed: int, settings: Settings) -> Numbers:
    return _score_reward(role_generator("gan"), seed, settings, learns=False)


def _cloned_on_cart(seed: int, settings: Settings) -> Numbers:
    from ..agents.imagination.generative_policy import GenerativePolicy

    entry = role_generator("regression")
    env = gymnasium.make(CART, max_episode_steps=settings["limit"])
    clone = GenerativePolicy(
        env,
        generator=entry.family,
        hyperparameters=entry.hyperparameters,
        seed=seed,
        observation_horizon=1,
        prediction_horizon=1,
        action_horizon=1,
    )
    fit = {**entry.fit, "num_updates": settings["clone_updates"], "batch_size": 64}
    clone.fit(_shown(seed, settings), seed=seed, **fit)
    return {"return": mean_return(clone, env, settings, seed)}


def _expert_on_cart(seed: int, settings: Settings) -> Numbers:
    from ..envs.experts import expert_named

    env = gymnasium.make(CART, max_episode_steps=settings["limit"])
    return {"return": mean_return(expert_named("cart-pole"), env, settings, seed)}


# ---- the roles ----------------------------------------------------------------------------------

SURROUNDING_ROLES: tuple[MatrixRole, ...] = (
    MatrixRole(
        "encoder",
        CART,
        "return",
        "A2C sees latents of an encoder that learnt from {frames:,} observations of a random "
        "walk with {updates:,} updates; {steps:,} steps, {episodes} greedy episodes.",
        settings={"frames": 5_000, "updates": 1_000, "steps": 30_000, "episodes": 20},
        make=_make_encoder,
        score=_score_encoder,
        controls={
            "untrained encoder": _untrained_encoder,
            "random actions": partial(random_return, env=CART),
            "observations": _observations,
        },
        decimals=0,
    ),
    MatrixRole(
        "replay",
        CART,
        "return",
        "Half of each of DQN's batches is synthetic; {updates_to_data} updates to each of "
        "{steps:,} steps, {episodes} greedy episodes.",
        settings={
            "steps": 3_000,
            "updates_to_data": 8,
            "first_fit": 500,
            "refit_every": 1_000,
            "updates": 600,
            "pool": 10_000,
            "episodes": 20,
        },
        make=_make_replay,
        score=_score_replay,
        controls={
            "real steps only": _without_synthetic,
            "random": partial(random_return, env=CART),
            "one update to a step": partial(_without_synthetic, gradient_steps=1),
        },
        decimals=0,
    ),
    MatrixRole(
        "novelty",
        "10 x 10 grid",
        "rank correlation",
        "Pseudo-counts of cells beside true ones, by Spearman's correlation, after a random walk "
        "of {steps:,} steps.",
        settings={"size": 10, "steps": 3_000},
        make=_make_bonus,
        score=_score_bonus,
        controls={"untrained autoregressive": _before_the_walk},
    ),
    MatrixRole(
        "reward",
        CART,
        "return",
        "A2C paid by what a discriminator says, {steps:,} steps; {trajectories} of the expert's "
        "episodes, every {thinned}th step of each; {episodes} greedy episodes of at most "
        "{limit} steps. Rewards that are all positive pay for staying alive by themselves: the "
        "judge that never learns is the control to look at.",
        settings={
            "limit": 200,
            "trajectories": 4,
            "thinned": 20,
            "steps": 16_000,
            "clone_updates": 1_000,
            "episodes": 20,
        },
        make=_make_reward,
        score=_score_reward,
        controls={
            "judge that never learns": _judge_that_never_learns,
            "random": partial(random_return, env=CART, max_episode_steps=200),
            "cloning (least squares)": _cloned_on_cart,
            "expert": _expert_on_cart,
        },
        decimals=0,
    ),
)
