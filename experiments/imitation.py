"""Imitation: demonstrations become policies, which are evaluated where nobody demonstrated.

from gymagine.experiments.imitation import imitate
result = imitate(ImitationSettings(EnvironmentName("CartPole-v1"), ("diffusion", "flow")))
result.results.score("diffusion").mean_return                  # with its interval
result.record.folder                                           # policies, TensorBoard, table

Each generator becomes a `GenerativePolicy`. Beside those that are asked for stand, always, the
control that every multimodal policy must beat, least squares (``regression``); random actions; and
the expert, or the demonstrations as they are where nobody can be asked. All of them play the same
episodes, with seeds, and goals where an environment has two sets of them, that are not those of
the demonstrations.

Where success ends an episode, returns of rewards for every step are larger for policies that take
longer: success is the number to compare there.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np

from ..agents.imagination.generative_policy import GenerativePolicy
from ..configuration import build_config, config_to_json
from ..generative.data.collecting import collect
from ..generative.data.demonstrations import Demonstrations
from ..generative.data.environments import Predictor
from ..generative.generator import AbstractGenerator
from .demonstration_sources import demonstrations_from, expert_from
from .folder_lock import folder_lock
from .imitation_records import POLICY_DEFAULTS, ImitationRecord, ImitationSettings
from .imitation_results import ImitationResults, PolicyScore, ScoreKind, results_markdown
from .role_generators import RoleGenerator, role_generators
from .scalars import record_hyperparameters, run_logger

__all__ = ["CONTROL", "ImitationResult", "evaluation_seed", "imitate"]

CONTROL = "regression"
"""What stands beside every other generator."""

_NO_LIMIT = 10_000

Tell = Callable[[str], None]


@dataclass(frozen=True)
class ImitationResult:
    """What came of it.

    Attributes:
        record: The folder.
        demonstrations: What was imitated.
        policies: By the name of their generator, the control included.
        results: The scores.
    """

    record: ImitationRecord
    demonstrations: Demonstrations
    policies: dict[str, GenerativePolicy]
    results: ImitationResults


def imitate(
    settings: ImitationSettings,
    *,
    folder: str | os.PathLike[str] = "runs",
    progress_bar: bool = False,
    tell: Tell = lambda line: None,
) -> ImitationResult:
    """Collect or read demonstrations, learn from them, and evaluate; with a record of all.

    Args:
        settings: What is asked for.
        folder: Where runs are kept.
        progress_bar: Show bars.
        tell: Is given a line about each part that is done.

    Raises:
        TypeError: A setting of the policy or of training is unknown.
        ValueError: A name is unknown, demonstrations are of another environment, or a generator
            cannot play there.
        FileNotFoundError: There are no demonstrations at a path.
    """
    chosen = role_generators([*settings.generators, CONTROL])
    build_config(GenerativePolicy.Config, settings.policy, "GenerativePolicy")
    env, unseen = settings.environment.make(), settings.unseen.make()
    try:
        for entry in chosen:  # before there is a folder: what cannot play is refused
            _new_policy(env, entry, settings)
        expert = expert_from(settings.demonstrations, env)
        demonstrations = _demonstrations(settings, env, progress_bar)
        tell(_told(demonstrations))
        record = ImitationRecord.create(folder, settings)
        with folder_lock(record.folder):
            try:
                demonstrations.save(record.demonstrations_file)
                play = _Play(unseen, settings, progress_bar)
                found = _Imitation(record, demonstrations, play, tell).of(env, chosen, expert)
            except KeyboardInterrupt:
                record.set_status("interrupted")
                raise
            except ValueError as error:
                record.set_status("failed", str(error))
                raise
            record.set_status("finished")
        return found
    finally:
        env.close()
        unseen.close()


def evaluation_seed(settings: ImitationSettings) -> int:
    """Of the episodes that policies are evaluated in: another stream than demonstrations have."""
    return int(np.random.SeedSequence((settings.seed, 1)).generate_state(1)[0])


def _demonstrations(
    settings: ImitationSettings, env: gymnasium.Env[Any, Any], progress_bar: bool
) -> Demonstrations:
    return demonstrations_from(
        settings.demonstrations,
        env,
        episodes=settings.episodes,
        seed=settings.seed,
        success_only=settings.success_only,
        max_steps=settings.max_steps or _NO_LIMIT,
        progress_bar=progress_bar,
    )


def _new_policy(
    env: gymnasium.Env[Any, Any], entry: RoleGenerator, settings: ImitationSettings
) -> GenerativePolicy:
    return GenerativePolicy(
        env,
        generator=entry.family,
        hyperparameters=entry.hyperparameters,
        seed=settings.seed,
        **{**POLICY_DEFAULTS, **settings.policy},
    )


def _told(demonstrations: Demonstrations) -> str:
    success = demonstrations.success
    known = "" if success is None else f", {success.mean():.0%} of them successes"
    return (
        f"{demonstrations.num_episodes} demonstrations{known}: {len(demonstrations):,} steps, "
        f"mean return {demonstrations.returns.mean():.6g}"
    )


class _Play:
    """Plays the same episodes with everybody."""

    def __init__(
        self, env: gymnasium.Env[Any, Any], settings: ImitationSettings, progress_bar: bool
    ) -> None:
        self._env, self._settings, self._progress_bar = env, settings, progress_bar
        self.seed = evaluation_seed(settings)

    def __call__(self, policy: Predictor | None) -> tuple[Demonstrations, float]:
        """The episodes, and milliseconds of an action."""
        timed = None if policy is None else _Timed(policy)
        played = collect(
            self._env,
            timed,
            self._settings.evaluation_episodes,
            seed=self.seed,
            max_steps=self._settings.max_steps or _NO_LIMIT,
            progress_bar=self._progress_bar,
        )
        return played, 0.0 if timed is None else 1e3 * timed.seconds / len(played)


class _Timed:
    """A policy with a clock."""

    def __init__(self, policy: Predictor) -> None:
        self._policy, self.seconds = policy, 0.0

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: Any = None,
        deterministic: bool = True,
    ) -> tuple[Any, Any]:
        begun = time.perf_counter()
        found = self._policy.predict(
            observation, state=state, episode_start=episode_start, deterministic=deterministic
        )
        self.seconds += time.perf_counter() - begun
        return found


class _Imitation:
    """Learns, plays and writes down."""

    def __init__(
        self, record: ImitationRecord, demonstrations: Demonstrations, play: _Play, tell: Tell
    ) -> None:
        self._record, self._demonstrations = record, demonstrations
        self._settings, self._play, self._tell = record.settings, play, tell

    def of(
        self,
        env: gymnasium.Env[Any, Any],
        chosen: list[RoleGenerator],
        expert: Predictor | None,
    ) -> ImitationResult:
        policies: dict[str, GenerativePolicy] = {}
        scores: list[PolicyScore] = []
        for entry in chosen:
            policies[entry.name], score = self._learnt(env, entry)
            self._tell_of(score)
            scores.append(score)
        played, _ = self._play(None)
        scores.append(PolicyScore.of("random", "random", played))
        if expert is None:
            own = PolicyScore.of("demonstrations", "demonstrations", self._demonstrations)
            scores.append(own)
        else:
            played, milliseconds = self._play(expert)
            scores.append(PolicyScore.of("expert", "expert", played, milliseconds=milliseconds))
        results = ImitationResults(tuple(scores), self._protocol(), tuple(_notes(scores)))
        results.write(self._record.results_file)
        title = f"Imitation in {self._settings.environment.label}"
        self._record.table_file.write_text(results_markdown(results, title), encoding="utf-8")
        return ImitationResult(self._record, self._demonstrations, policies, results)

    def _learnt(
        self, env: gymnasium.Env[Any, Any], entry: RoleGenerator
    ) -> tuple[GenerativePolicy, PolicyScore]:
        settings = self._settings
        policy = _new_policy(env, entry, settings)
        given = {**entry.fit, "num_updates": settings.num_updates, **settings.fit}
        facts = {
            "hyperparameters": {
                "generator": entry.name,
                **config_to_json(policy.generator.config),
                **config_to_json(policy.config),
                **given,
            }
        }
        num_steps = len(self._demonstrations)
        own = self._record.policy_record(entry.name, num_steps, facts)
        begun = time.perf_counter()
        with run_logger(own.folder) as logger:
            record_hyperparameters(logger, facts["hyperparameters"])
            watcher = _Watcher(logger)
            found = policy.fit(
                self._demonstrations.transitions, seed=settings.seed, watcher=watcher, **given
            )
            seconds = time.perf_counter() - begun
            policy.save(own.checkpoint)
            played, milliseconds = self._play(policy)
            kind: ScoreKind = "generator" if entry.name in settings.generators else "control"
            score = PolicyScore.of(
                entry.name,
                kind,
                played,
                milliseconds=milliseconds,
                train_seconds=seconds,
                num_parameters=sum(p.numel() for p in policy.generator.parameters()),
                error=found.errors.error,
                linear_error=found.errors.linear_error,
            )
            watcher.scored(settings.num_updates, score)
        own.set_status("finished", num_steps, seconds)
        return policy, score

    def _tell_of(self, score: PolicyScore) -> None:
        success = "" if score.success is None else f"success {score.success.estimate:.2f}, "
        self._tell(
            f"{score.name}: {success}return {score.mean_return.estimate:.6g}, learnt in "
            f"{score.train_seconds:.0f} s"
        )

    def _protocol(self) -> tuple[str, ...]:
        settings, data = self._settings, self._demonstrations
        where = f" in {settings.unseen.label}" if settings.unseen != settings.environment else ""
        limit = f", at most {settings.max_steps} steps each" if settings.max_steps else ""
        return (
            f"{data.num_episodes} demonstrations ({settings.demonstrations}), {len(data):,} steps "
            f"in {settings.environment.label}; {settings.num_updates:,} updates; seed "
            f"{settings.seed}",
            f"{settings.evaluation_episodes} episodes of each policy{where}, of seeds that were "
            f"not demonstrated and are the same for all{limit}",
            "95 % intervals over episodes, of one training: Wilson's of success, Student's of "
            "return; ms of an action on this machine, chunks included; error of the mean action "
            "on held-out demonstrations, in their deviations",
        )


class _Watcher:
    """Writes scalars of training and the score."""

    def __init__(self, logger: Any) -> None:
        self._logger = logger

    def logged(self, update: int, scalars: Mapping[str, float]) -> None:
        for name, value in scalars.items():
            self._logger.record(name, value)
        self._dump(update)

    def evaluated(self, update: int, generator: AbstractGenerator) -> None:
        """Held-out losses are among the scalars."""

    def scored(self, update: int, score: PolicyScore) -> None:
        self._logger.record("eval/mean_reward", score.mean_return.estimate)
        self._logger.record("eval/mean_ep_length", score.mean_length)
        if score.success is not None:
            self._logger.record("eval/success_rate", score.success.estimate)
        self._logger.record("eval/milliseconds_per_action", score.milliseconds)
        self._logger.record("eval/action_error", score.error)
        self._dump(update)

    def _dump(self, update: int) -> None:
        self._logger.record("time/total_timesteps", update, exclude="tensorboard")
        self._logger.dump(update)


def _notes(scores: list[PolicyScore]) -> list[str]:
    """What does not beat its control, in words."""
    by_name = {score.name: score for score in scores}
    found = []
    for score in scores:
        if score.kind != "generator" or score.name == CONTROL:
            continue
        for other in (CONTROL, "random"):
            if _value(score) <= _value(by_name[other]):
                found.append(f"{score.name} does not beat {other} in this run")
    return found


def _value(score: PolicyScore) -> float:
    interval = score.mean_return if score.success is None else score.success
    return interval.estimate
