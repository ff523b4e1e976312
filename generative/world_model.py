r"""A model of an environment, made of any conditional generator: the next step, given the last.

.. math:: (o_{t+1}, r_{t+1}) \sim p(\cdot \mid o_{t-H+1:t}, a_{t-H+1:t}), \qquad
    \text{terminated}_{t+1} \sim p(\cdot \mid o_{t-H+1:t}, a_{t-H+1:t}, o_{t+1}, r_{t+1}) .

The generator draws what changes: of the numbers in an observation the difference to those before,
of categories, bits and bytes the next ones, and the reward, each in its standard deviations in the
data. A second, small model gives the probability that the episode ends there. Either reward or end
may be a function of the user's instead.

Environments are often certain where models have densities, which would grow without end. Targets
therefore have some noise while they are learnt: a hundredth of a deviation for numbers, a tenth
for categories, of which the most probable is taken.

Several members, which differ in their first parameters and in the order of their data, tell by
how much they disagree where there were few data.

References:
    K. Chua, R. Calandra, R. McAllister, S. Levine (2018), Deep reinforcement learning in a handful
        of trials using probabilistic dynamics models, arXiv:1805.12114 (ensembles).
    D. Ha, J. Schmidhuber (2018), World models, arXiv:1803.10122 (temperature).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, Literal, Self, TypeAlias, get_args

import numpy as np
import torch
from gymnasium import spaces
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn

from ..space_json import space_from_json, space_to_json
from ..storage import read_arrays, write_arrays
from .abstract_world_model import AbstractWorldModel
from .autoregressive.made import MADE
from .baselines.conditional_gaussian import ConditionalGaussian, drawn_of_several
from .codec import vector_codec
from .data.environments import Transitions
from .family import (
    AbstractFamily,
    family_named,
    hyperparameters_from_json,
    name_of_family,
)
from .generator import AbstractMeanSampler
from .module_state import module_arrays, restore_module
from .normalisers import Normaliser
from .space_batches import rows_of
from .world_model_data import episode_starts, histories, stacked_context
from .world_model_state import ImaginedStep, WorldModelState

__all__ = ["Judgement", "Termination", "WorldModel"]

Judgement: TypeAlias = Callable[[Any, Any, Any], NDArray[Any]]
"""(B,) numbers of a batch of observations, actions and next observations, as spaces have them."""

Termination = Literal["learnt", "never"]

_FORMAT = "gymagine-world-model-2"
_HEAD = {"conditional": "bernoulli", "hidden_sizes": (64, 64)}


class WorldModel(AbstractWorldModel):
    """Draws next observations, rewards and ends of episodes. `fit_world_model` trains it.

    Args:
        observation_space: Of the environment; one that a `Codec` makes vectors of.
        action_space: Likewise.
        family: Of the generator; one that takes vectors in a context.
        hyperparameters: Of the family.
        history: H, observations that the next one depends on.
        num_members: Of the ensemble.
        termination: ``learnt``, ``never``, or a function of observation, action and next
            observation, of bools.
        reward_function: Of the same; None learns it.
        noise: Deviation of the noise on targets while they are learnt, in deviations of numbers;
            categories have ten times as much, in units of their zeros and ones.
        seed: Of the first parameters.

    Attributes:
        members: The generators.
        head: Of the probability that an episode ends; None where it is not learnt.
        is_number: (D,) which entries of an observation are numbers, whose changes are learnt.
        targets: Scales of what is learnt.
        varies: (D + 1,) which targets are not always the same in the data; those that are stay so.
        lowest: (D + 1,) encoded observations and rewards are no lower: as far below the least in
            the data as the largest is above it. What is imagined further off would only grow.
        highest: Likewise above.
        is_fitted: () whether scales were taken from data.

    Raises:
        TypeError: The family is none, or does not know a hyper-parameter.
        ValueError: A space is not a vector's, the family takes no such events or contexts, or a
            number is out of range.

    Example:
        >>> from gymagine.generative.baselines.conditional_gaussian import ConditionalGaussian
        >>> box, two = spaces.Box(-1, 1, (3,)), spaces.Discrete(2)
        >>> model = WorldModel(box, two, ConditionalGaussian, num_members=2)
        >>> state = model.begin(np.zeros((5, 3), np.float32))
        >>> state, step = model.step(state, np.array([0, 1, 1, 0, 1]))
        >>> step.observation.shape, step.reward.shape
        ((5, 3), (5,))
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        family: type[AbstractFamily],
        *,
        hyperparameters: Mapping[str, Any] | None = None,
        history: int = 1,
        num_members: int = 1,
        termination: Termination | Judgement = "learnt",
        reward_function: Judgement | None = None,
        noise: float = 0.01,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if not (isinstance(family, type) and issubclass(family, AbstractFamily)):
            raise TypeError(f"expected a family of generators, got {family!r}")
        for name, value in (("history", history), ("num_members", num_members)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"expected {name} of at least 1, got {value!r}")
        if not (callable(termination) or termination in get_args(Termination)):
            raise ValueError(
                f"expected termination among {get_args(Termination)} or a function, got "
                f"{termination!r}"
            )
        if not 0 <= noise < 1:
            raise ValueError(f"expected noise in [0, 1), got {noise}")
        self.observation_codec = vector_codec(observation_space, "observation")
        self.action_codec = vector_codec(action_space, "action")
        self.family, self.hyperparameters = family, dict(hyperparameters or {})
        self.history, self.noise = history, float(noise)
        self.termination, self.reward_function = termination, reward_function
        num_entries, num_actions = self.observation_codec.event_shape[0], self._num_actions
        is_number = torch.zeros(num_entries, dtype=torch.bool)
        for part in self.observation_codec.parts:
            is_number[part.entries] = part.kind == "numbers"
        self.register_buffer("is_number", is_number, persistent=False)
        num_context = history * (num_entries + num_actions) + history - 1
        make: Any = family
        with torch.random.fork_rng(devices=[]):
            members = []
            for member in range(num_members):
                torch.manual_seed(seed + member)
                members.append(
                    make((num_entries + 1,), context_shape=(num_context,), **self.hyperparameters)
                )
            self.members = nn.ModuleList(members)
            self.head: MADE | None = None
            if termination == "learnt":
                num_given = num_context + num_entries + 1
                self.head = MADE((1,), context_shape=(num_given,), **_HEAD)
        self.targets = Normaliser(num_entries + 1)
        self.register_buffer("varies", torch.ones(num_entries + 1, dtype=torch.bool))
        self.register_buffer("lowest", torch.full((num_entries + 1,), -torch.inf))
        self.register_buffer("highest", torch.full((num_entries + 1,), torch.inf))
        self.register_buffer("is_fitted", torch.zeros((), dtype=torch.bool))

    State = WorldModelState

    is_number: Tensor
    varies: Tensor
    lowest: Tensor
    highest: Tensor

    @property
    def _num_actions(self) -> int:
        return self.action_codec.event_shape[0]

    # ---- imagining ------------------------------------------------------------------------------

    def begin(self, observations: Any) -> WorldModelState:
        """Begin B episodes with what is seen first.

        Args:
            observations: (B, ...) as the space has it.

        Raises:
            ValueError: They do not fit the space.
        """
        seen = self.observation_codec.encode(observations)
        empty = seen.new_zeros(len(seen), self.history, seen.shape[1])
        known = torch.zeros(len(seen), self.history, dtype=torch.bool, device=seen.device)
        empty[:, -1], known[:, -1] = seen, True
        between = seen.new_zeros(len(seen), self.history - 1, self._num_actions)
        return WorldModelState(empty, between, known)

    def recall(self, data: Transitions, steps: NDArray[np.int64]) -> WorldModelState:
        """What episodes remember at steps of data: imagined ones can begin there.

        Args:
            data: Steps of the environment, in the order in which they were taken.
            steps: (B,) numbers of steps; the state is that before the step.

        Raises:
            ValueError: The data do not fit the spaces.
        """
        rows, known = histories(episode_starts(data), self.history)
        rows, known = rows[steps], known[steps]
        shape = len(rows), self.history, -1
        seen = self.observation_codec.encode(rows_of(data.observation, rows.ravel())).view(shape)
        taken = self.action_codec.encode(rows_of(data.action, rows.ravel())).view(shape)
        shown = torch.from_numpy(known).to(seen.device)
        return WorldModelState(
            seen * shown.unsqueeze(2), taken[:, :-1] * shown[:, :-1].unsqueeze(2), shown
        )

    def encoded(self, state: WorldModelState) -> Float[Tensor, "batch entries"]:
        """(B, D) what is seen now, as ``observation_codec`` has it."""
        return state.observations[:, -1]

    @property
    def num_latents(self) -> int:
        """L, numbers that episodes remember."""
        size = len(self.is_number)
        return self.history * size + (self.history - 1) * (self._num_actions + 1)

    def latents(self, state: WorldModelState) -> Float[Tensor, "batch latents"]:
        """(B, L) all that episodes remember: encoded observations, actions, which there were."""
        known = state.known[:, :-1].to(state.observations.dtype)
        return torch.cat([state.observations.flatten(1), state.actions.flatten(1), known], dim=1)

    def observe(self, state: WorldModelState, actions: Any, observations: Any) -> WorldModelState:
        """Go on with what was really done and seen: so a history is burnt in.

        Args:
            state: Of B episodes.
            actions: (B, ...) as the space has it.
            observations: (B, ...) that came of them.

        Raises:
            ValueError: Either do not fit their space, or are not as many as the episodes.
        """
        seen = self.observation_codec.encode(observations)
        if len(seen) != len(state):
            raise ValueError(f"expected {len(state)} observations, got {len(seen)}")
        return self._followed(state, self._encoded_actions(state, actions), seen)

    def step(
        self,
        state: WorldModelState,
        actions: Any,
        *,
        temperature: float = 1.0,
        rng: torch.Generator | None = None,
    ) -> tuple[WorldModelState, ImaginedStep]:
        """Imagine a step of B episodes.

        Args:
            state: Of the episodes, which stays as it is.
            actions: (B, ...) as the space has it.
            temperature: Of the generator's draws; ends of episodes are drawn as they are learnt.
            rng: Of all that is drawn; PyTorch's own where it is None.

        Returns:
            What the episodes then remember, and what they came to.

        Raises:
            ValueError: Actions do not fit the space or are not as many as the episodes.
        """
        taken = self._encoded_actions(state, actions)
        context = self._context(state, taken)
        with torch.no_grad():
            target, disagreement = self._drawn(context, temperature, rng)
            target = target * self.varies
            before = state.observations[:, -1]
            change = self.targets.inverse(target).to(before.dtype)
            imagined = torch.where(self.is_number, before + change[:, :-1], change[:, :-1])
            kept = imagined.clamp(self.lowest[:-1], self.highest[:-1])
            observation = self.observation_codec.decode(kept)
            # what is fed back is what is seen: rounded, and within the bounds
            seen = self.observation_codec.encode(observation)
            observation = self.observation_codec.decode(seen)  # to the bit, as `observations`
            outside = self.is_number & ((seen - imagined).abs() > 1e-3)
            ended = self._ended(context, target, state, actions, observation, rng)
        reward = change[:, -1].clamp(self.lowest[-1], self.highest[-1]).double().cpu().numpy()
        if self.reward_function is not None:
            shown = self.observation_codec.decode(before)
            reward = _judged(self.reward_function, shown, actions, observation, "reward_function")
        step = ImaginedStep(
            observation=observation,
            reward=reward.astype(np.float64),
            terminated=ended,
            disagreement=disagreement.double().cpu().numpy(),
            num_clipped=outside.sum(dim=1).cpu().numpy(),
        )
        return self._followed(state, taken, seen), step

    def _drawn(
        self, context: Tensor, temperature: float, rng: torch.Generator | None
    ) -> tuple[Tensor, Tensor]:
        """(B, D + 1) targets, each row from a member drawn for it, and (B,) disagreement."""
        num, members = len(context), list(self.members)
        if len(members) == 1:
            drawn = self._of_member(0, context, temperature, rng)
            return drawn, drawn.new_zeros(num)
        chosen = torch.randint(len(members), (num,), generator=rng, device=context.device)
        if all(isinstance(member, ConditionalGaussian) for member in members):
            gaussians: Any = members
            drawn, means = drawn_of_several(gaussians, chosen, context, temperature, rng)
        else:
            every = torch.stack(
                [self._of_member(i, context, temperature, rng) for i in range(len(members))]
            )
            drawn = every[chosen, torch.arange(num, device=context.device)]
            means = self._centres(every, context)
        return drawn, (means * self.varies).std(dim=0, correction=0).norm(dim=1)

    def _of_member(
        self, member: int, context: Tensor, temperature: float, rng: torch.Generator | None
    ) -> Tensor:
        own: Any = self.members[member]
        drawn: Tensor = own.sample(1, context, temperature=temperature, rng=rng)[0]
        return drawn

    def _centres(self, every: Tensor, context: Tensor) -> Tensor:
        """(M, B, D + 1) means of the members, or what they drew where they tell none."""
        if not isinstance(self.members[0], AbstractMeanSampler):
            return every
        members: Any = self.members
        return torch.stack([member.sample_means(1, context)[0] for member in members])

    def _ended(
        self,
        context: Tensor,
        target: Tensor,
        state: WorldModelState,
        actions: Any,
        observation: Any,
        rng: torch.Generator | None,
    ) -> NDArray[np.bool_]:
        if callable(self.termination):
            shown = self.observation_codec.decode(state.observations[:, -1])
            found = _judged(self.termination, shown, actions, observation, "termination")
            return found.astype(bool)
        if self.head is None:
            return np.zeros(len(state), dtype=bool)
        drawn = self.head.sample(1, torch.cat([context, target], dim=1), rng=rng)[0, :, 0]
        return drawn.bool().cpu().numpy()

    def _encoded_actions(self, state: WorldModelState, actions: Any) -> Tensor:
        found = self.action_codec.encode(actions)
        if len(found) != len(state):
            raise ValueError(f"expected {len(state)} actions, got {len(found)}")
        return found

    def _context(self, state: WorldModelState, taken: Tensor) -> Tensor:
        actions = torch.cat([state.actions, taken.unsqueeze(1)], dim=1)
        return stacked_context(state.observations, actions, state.known)

    def _followed(self, state: WorldModelState, taken: Tensor, seen: Tensor) -> WorldModelState:
        """The state after a step."""
        return WorldModelState(
            torch.cat([state.observations[:, 1:], seen.unsqueeze(1)], dim=1),
            torch.cat([state.actions, taken.unsqueeze(1)], dim=1)[:, 1:],
            torch.cat([state.known[:, 1:], torch.ones_like(state.known[:, :1])], dim=1),
        )

    # ---- learning -------------------------------------------------------------------------------

    def target(
        self,
        before: Float[Tensor, "batch observation"],
        after: Float[Tensor, "batch observation"],
        reward: Float[Tensor, " batch"],
    ) -> Float[Tensor, "batch target"]:
        """(B, D + 1) what is to be drawn, before it is normalised, of encoded observations."""
        change = torch.where(self.is_number, after - before, after)
        return torch.cat([change, reward.unsqueeze(1).to(change.dtype)], dim=1)

    def expected_targets(
        self,
        context: Float[Tensor, "batch context"],
        num: int = 8,
        rng: torch.Generator | None = None,
    ) -> Float[Tensor, "batch target"]:
        """(B, D + 1) what is drawn in the mean of the members, normalised.

        Args:
            context: (B, C) of `world_model_data.stacked_context`.
            num: Draws of each member, where it tells no means.
            rng: Of the draws.
        """
        members: Any = self.members
        found = [
            member.sample_means(1, context, rng=rng)
            if isinstance(member, AbstractMeanSampler)
            else member.sample(num, context, rng=rng)
            for member in members
        ]
        return torch.cat(found).mean(dim=0) * self.varies

    @property
    def target_noise(self) -> Float[Tensor, " target"]:
        """(D + 1,) deviations of the noise on normalised targets while they are learnt."""
        of_entries = torch.where(self.is_number, self.noise, 10 * self.noise)
        return torch.cat([of_entries, of_entries.new_tensor([self.noise])])

    # ---- files ----------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything but the user's functions to one file, whole or not at all."""
        header = {
            "format": _FORMAT,
            "observation_space": space_to_json(self.observation_space),
            "action_space": space_to_json(self.action_space),
            "family": name_of_family(self.family),
            "hyperparameters": self.hyperparameters,
            "history": self.history,
            "num_members": len(self.members),
            "noise": self.noise,
            "termination": None if callable(self.termination) else self.termination,
            "has_reward_function": self.reward_function is not None,
        }
        write_arrays(path, module_arrays(self), header)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        family: type[AbstractFamily] | None = None,
        termination: Judgement | None = None,
        reward_function: Judgement | None = None,
    ) -> Self:
        """Make the world model that `save` wrote, in evaluation mode.

        Args:
            path: The file.
            family: Of its generators, where it is not one of this package.
            termination: The function that it was made with, if it was.
            reward_function: Likewise.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: The file is damaged or foreign, or a function is missing or too much.
        """
        arrays, header = read_arrays(path, expected_format=_FORMAT)
        for name, given, is_needed in (
            ("termination", termination, header["termination"] is None),
            ("reward_function", reward_function, header["has_reward_function"]),
        ):
            if (given is not None) != is_needed:
                raise ValueError(
                    f"expected {'a' if is_needed else 'no'} function for {name}, with"
                    f"{'' if is_needed else 'out'} which {path} was made"
                )
        loaded = cls(
            space_from_json(header["observation_space"]),
            space_from_json(header["action_space"]),
            family or family_named(header["family"], path),
            hyperparameters=hyperparameters_from_json(header["hyperparameters"]),
            history=header["history"],
            num_members=header["num_members"],
            termination=termination or header["termination"],
            reward_function=reward_function,
            noise=header["noise"],
        )
        restore_module(loaded, arrays)
        return loaded.eval()


def _judged(judge: Judgement, before: Any, actions: Any, after: Any, name: str) -> NDArray[Any]:
    found = np.asarray(judge(before, actions, after))
    num = len(np.asarray(actions)) if not isinstance(actions, dict | tuple) else None
    if found.ndim != 1 or (num is not None and len(found) != num):
        raise ValueError(f"expected {name} to give (B,) numbers, got shape {found.shape}")
    if not np.isfinite(found).all():
        raise ValueError(f"expected {name} to give finite numbers, got NaN or infinity")
    return found
