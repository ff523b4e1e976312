r"""Curiosity: a reward for observations that a generator has seldom seen.

Every observation is learnt by a generator, in one update. By what it gains the *pseudo-count*
:math:`\hat N(o)` is told, how often observations like it were seen (see
`generative.prediction_gain`), and the bonus

.. math:: r^+_{t+1} = \beta \, (\hat N(o_{t+1})^{-1/2} - b)

is added to the reward, or takes its place. Any agent explores with it, for what it sees is an
environment. The bonus falls as learning goes on: learners with step sizes that vanish average over
what it was at first.

The *shift* b is 0 in the papers. But a learner whose values start at 0, and that is paid wherever
it goes, prefers what it has tried to what it has not: it stays where it is until the bonus there
has worn off. With b = 1 what is known costs, what is new costs nothing, and values that start at 0
are optimistic (Sun et al. 2022); what that does alone, without counts, is the control to look at.

Counting without tables is what generators are for; for a Discrete space `CategoricalCounts` has
the true counts, the check of all others.

References:
    M. G. Bellemare, S. Srinivasan, G. Ostrovski, T. Schaul, D. Saxton, R. Munos (2016), Unifying
        count-based exploration and intrinsic motivation, arXiv:1606.01868.
    G. Ostrovski, M. G. Bellemare, A. van den Oord, R. Munos (2017), Count-based exploration with
        neural density models, arXiv:1703.01310.
    H. Sun, L. Han, R. Yang, X. Ma, J. Guo, B. Zhou (2022), Optimistic curiosity exploration and
        conservative exploitation with linear reward shaping, arXiv:2209.07288.
    A. L. Strehl, M. L. Littman (2008), An analysis of model-based interval estimation for Markov
        decision processes, Journal of Computer and System Sciences 74 (the bonus of counts).
"""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import gymnasium
import torch
from gymnasium.utils import RecordConstructorArgs
from jaxtyping import Float, Shaped
from numpy.typing import NDArray
from torch import Tensor

from ..configuration import build_config, check_fields, config_to_json
from ..generative.baselines.finite_entries import is_boolean, num_levels_of
from ..generative.codec import Codec
from ..generative.generator import AbstractGenerator
from ..generative.module_state import module_arrays, restore_module
from ..generative.prediction_gain import (
    GainKind,
    OptimiserName,
    PredictionGainMeter,
    pseudo_count,
)
from ..storage import read_arrays, write_arrays

__all__ = ["NoveltyBonus", "NoveltyBonusConfig"]

CountFormula = Literal["gain", "probabilities"]
BonusMode = Literal["add", "replace"]

_FORMAT = "gymagine-novelty-bonus-1"
_RANGES = {
    "scale": (0.0, math.inf, True),
    "shift": (0.0, math.inf, True),
    "largest": (0.0, math.inf, False),
    "gain_scale": (0.0, math.inf, False),
    "gain_decay": (0.0, 1.0, True),
    "learning_rate": (0.0, math.inf, False),
    "num_samples": (1, math.inf, True),
}
_CHOICES: dict[str, tuple[Any, ...]] = {
    "mode": get_args(BonusMode),
    "kind": (None, *get_args(GainKind)),
    "counts": (None, *get_args(CountFormula)),
    "optimiser": get_args(OptimiserName),
}


@dataclass(frozen=True)
class NoveltyBonusConfig:
    """Settings of `NoveltyBonus`.

    Raises:
        ValueError: A value is out of range or of another kind; the message names the field.
    """

    mode: BonusMode = "add"
    """Whether the bonus is added to the environment's reward or takes its place (replace)."""
    scale: float = 0.05
    """Beta: the bonus of an observation seen once, without a shift."""
    shift: float = 0.0
    """b: what is subtracted before scaling; with 1 new observations are free and known ones cost,
    for learners whose values start at 0."""
    largest: float = 10.0
    """The most that the root of one over a count is taken for; clipping shows in info."""
    kind: GainKind | None = None
    """What the gain is of: exact log-probabilities, a bound, or the loss as a surrogate; None is
    the best that the generator has. Surrogates are cheap where exact ones need an integration."""
    counts: CountFormula | None = None
    """How counts follow from the gain: by the gain alone, scaled (gain), or by the exact formula
    of probabilities, for discrete supports (probabilities). None takes the latter where a
    generator counts by itself, without parameters, whose steps shrink as they should."""
    gain_scale: float = 0.1
    """c, by which the gain is multiplied before counts are made of it alone."""
    gain_decay: float = 0.5
    """Kappa: the n-th update's gain is divided by the kappa-th power of n as well."""
    optimiser: OptimiserName = "rmsprop"
    """By which the generator learns."""
    learning_rate: float = 1e-3
    """Of the optimiser."""
    num_samples: int = 16
    """Draws of noise that a bound or a surrogate, and the loss of the update, are the mean of."""

    def __post_init__(self) -> None:
        check_fields(self, _RANGES, _CHOICES)


class NoveltyBonus(gymnasium.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """An environment that pays for what is new.

    Every observation is learnt, the first of an episode included, which pays nothing. Under
    ``novelty`` info has ``bonus``, ``pseudo_count``, ``gain`` (in nats, before it is scaled),
    ``kind``, ``clipped`` (whether the bonus would have been larger) and ``reward``, which is the
    environment's own. Counts are those before the observation was learnt.

    Set ``training`` to False to evaluate: then nothing is learnt and the reward is the
    environment's own.

    Args:
        env: The environment.
        density: A generator of observations, without a context; it is trained in place. Those of
            whole numbers 0 to K - 1 get numbers and bytes cut into K levels.
        codec: From observations to its events; None is a `Codec` of the observation space, which
            leaves numbers as they are. Give one that was fitted where these have many scales.
        seed: Of the noise in updates and estimates.
        settings: Fields of `NoveltyBonusConfig`.

    Attributes:
        config: The settings.
        kind: What pseudo-counts rest on: ``exact``, ``bound`` or ``surrogate``.
        density: The generator.
        training: Whether observations are learnt and bonuses paid.
        num_updates: Observations learnt.

    Raises:
        TypeError: There is no environment or no generator, or a setting is unknown.
        ValueError: The generator does not fit observations or cannot tell what is asked for, or a
            setting is out of range.

    Example:
        >>> from gymagine.generative.baselines.categorical_counts import CategoricalCounts
        >>> env = NoveltyBonus(gymnasium.make("FrozenLake-v1"), CategoricalCounts(16), scale=1.0)
        >>> _ = env.reset(seed=0)
        >>> _, reward, _, _, info = env.step(0)
        >>> info["novelty"]["pseudo_count"], reward  # of the state that the episode began in
        (1.5, 0.8164965809277261)
    """

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        density: AbstractGenerator,
        *,
        codec: Codec | None = None,
        seed: int = 0,
        **settings: Any,
    ) -> None:
        if not isinstance(env, gymnasium.Env):
            raise TypeError(f"expected one environment to explore, got {type(env).__name__}")
        RecordConstructorArgs.__init__(self, density=density, codec=codec, seed=seed, **settings)
        gymnasium.Wrapper.__init__(self, env)
        self.config: NoveltyBonusConfig = build_config(
            NoveltyBonusConfig, settings, type(self).__name__
        )
        self._meter = PredictionGainMeter(
            density,
            kind=self.config.kind,
            optimiser=self.config.optimiser,
            learning_rate=self.config.learning_rate,
            num_samples=self.config.num_samples,
            seed=seed,
        )
        self._codec = _checked_codec(codec, env.observation_space, density)
        self._by_probabilities = _takes_probabilities(self.config.counts, self._meter)
        self._cut = _Levels.for_events(self._codec, density)
        self.training = True
        self._check_events()

    @property
    def kind(self) -> GainKind:
        """What pseudo-counts rest on."""
        return self._meter.kind

    @property
    def density(self) -> AbstractGenerator:
        """The generator of observations."""
        return self._meter.generator

    @property
    def num_updates(self) -> int:
        """Observations learnt so far."""
        return self._meter.num_updates

    # ---- an environment -------------------------------------------------------------------------

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode; its first observation is learnt."""
        observation, info = self.env.reset(seed=seed, options=options)
        if self.training:
            self._novelty(observation)
        return observation, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Take a step, learn what it leads to, and be paid for its novelty."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        if not self.training:
            return observation, reward, terminated, truncated, info
        novelty = self._novelty(observation)
        own = float(reward)
        paid = novelty["bonus"] + (own if self.config.mode == "add" else 0.0)
        info = {**info, "novelty": {**novelty, "reward": own}}
        return observation, paid, terminated, truncated, info

    def _novelty(self, observation: Any) -> dict[str, Any]:
        """Learn an observation, and what it is worth."""
        config = self.config
        gain = self._meter.learn(self._event(observation))
        if self._by_probabilities:
            count = pseudo_count(gain.nats, gain.after)
        else:
            weight = config.gain_scale * gain.num_updates**-config.gain_decay
            count = pseudo_count(weight * gain.nats)
        worth = 1 / math.sqrt(count) if count > 0 else math.inf
        return {
            "bonus": config.scale * (min(worth, config.largest) - config.shift),
            "pseudo_count": count,
            "gain": gain.nats,
            "kind": self.kind,
            "clipped": worth > config.largest,
        }

    def _event(self, observation: Any) -> Shaped[Tensor, "1 ..."]:
        """(1, *event) what the generator learns of an observation."""
        x = self._codec.encode_one(observation).unsqueeze(0)
        if self._cut is not None:
            return self._cut(x).to(self.density.example.device)
        return x.to(self.density.example)

    def _check_events(self) -> None:
        space = copy.deepcopy(self.env.observation_space)  # the environment's own stays as it is
        space.seed(0)
        try:
            self.density.check_events(self._event(space.sample()))
        except ValueError as error:
            raise ValueError(
                f"expected a generator of observations in {self.env.observation_space}, got a "
                f"{type(self.density).__name__}: {error}"
            ) from error

    # ---- files ----------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write what a run needs to go on: generator, optimiser, counters, noise, codec.

        The environment's own state is not in it.
        """
        arrays, numbers = self._meter.state()
        arrays |= {f"codec.{name}": array for name, array in module_arrays(self._codec).items()}
        settings = config_to_json(self.config)
        write_arrays(path, arrays, {"format": _FORMAT, "settings": settings, **numbers})

    def load(self, path: str | os.PathLike[str]) -> None:
        """Go on from what `save` wrote, in a wrapper that was made in the same way.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: The file is damaged, or of other settings or another generator.
        """
        arrays, header = read_arrays(path, expected_format=_FORMAT)
        own = config_to_json(self.config)
        if header.get("settings") != own:
            raise ValueError(f"expected settings {own}, got {path} of {header.get('settings')}")
        codec = _named(arrays, "codec.")
        restore_module(self._codec, codec)
        self._meter.restore(arrays, header)


@dataclass(frozen=True)
class _Levels:
    """Cuts an event's entries into the whole numbers that a generator takes.

    Attributes:
        low: (*event) what each entry is at least; 1 is the most of all.
        num_levels: K.
    """

    low: Float[Tensor, "event ..."]
    num_levels: int

    @classmethod
    def for_events(cls, codec: Codec, density: AbstractGenerator) -> _Levels | None:
        """For a generator of whole numbers; None for another."""
        num_levels = num_levels_of(density.support)
        if num_levels is None or is_boolean(density.support):
            return None
        low = -torch.ones(codec.event_shape)
        for part in codec.parts:
            if part.kind in ("category", "bits") and low.dim() == 1:
                low[part.entries] = 0.0
        return cls(low, num_levels)

    def __call__(self, x: Float[Tensor, "1 ..."]) -> Shaped[Tensor, "1 ..."]:
        share = (x - self.low) / (1 - self.low)
        return (share * self.num_levels).floor().clamp(0, self.num_levels - 1).long()


def _checked_codec(
    codec: Codec | None, space: gymnasium.Space[Any], density: AbstractGenerator
) -> Codec:
    own = Codec(space) if codec is None else codec
    if not isinstance(own, Codec):
        raise TypeError(f"expected a Codec of observations, got {type(own).__name__}")
    if own.space != space:
        raise ValueError(f"expected a codec of {space}, got one of {own.space}")
    if own.event_shape != density.event_shape:
        raise ValueError(
            f"expected a generator of events of shape {own.event_shape}, as observations in "
            f"{space} are encoded, got a {type(density).__name__} of {density.event_shape}"
        )
    return own


def _takes_probabilities(counts: CountFormula | None, meter: PredictionGainMeter) -> bool:
    """Whether counts are by the exact formula."""
    generator = meter.generator
    is_probability = meter.kind == "exact" and generator.support.is_discrete
    if counts == "probabilities" and not is_probability:
        raise ValueError(
            "expected exact probabilities of a discrete support for counts by probabilities, got "
            f"a {type(generator).__name__} in {generator.support}, whose gain is {meter.kind}"
        )
    if counts is None:
        return is_probability and not any(p.requires_grad for p in generator.parameters())
    return counts == "probabilities"


def _named(arrays: Mapping[str, NDArray[Any]], start: str) -> dict[str, NDArray[Any]]:
    return {name[len(start) :]: array for name, array in arrays.items() if name.startswith(start)}
