"""What a comparison leaves behind: one record per run, and everything needed to judge them.

`compare` fills these records; `summary`, `report` and `plots` read them. They hold what JSON can
hold, so that ``results.json`` gives back an equal `Comparison`.
"""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

__all__ = ["Comparison", "RunResult", "Status", "load_comparison"]

Status: TypeAlias = Literal["finished", "failed", "interrupted"]

_FORMAT = "gymagine-comparison-1"


@dataclass(frozen=True)
class RunResult:
    """One agent, trained once in one environment with one seed.

    Attributes:
        environment: Id of the environment.
        agent: Name of the agent, such as ``q-learning`` or ``sb3:dqn``.
        seed: All of the run's randomness comes from it.
        status: ``finished``; ``failed`` (it raised, see ``error``); or ``interrupted`` (stopped
            from outside; a rerun goes on).
        error: Why it failed, or None.
        timesteps: Environment steps taken; 0 for a planner.
        wall_seconds: Of training, without evaluation where the two can be told apart; of seeds
            that learned together each one's share.
        simulator: ``compiled`` or ``stepped``, how the environment was simulated, or None.
        curve_steps: (P,) environment steps of the evaluations on the way, strictly increasing.
        curve_returns: (P,) their returns, under the comparison's criterion.
        final_return: Mean return after training under the comparison's criterion; None unless
            finished.
        final_episodes: Episodes behind ``final_return``; 0 where ``exact``.
        exact: Evaluated exactly through the model rather than by episodes.
        record: Folder of the run record, relative to the comparison.

    Raises:
        ValueError: The status is unknown, a finished run has no finite return, a failed one no
            reason, or the curve's steps and returns do not belong together.
    """

    environment: str
    agent: str
    seed: int
    status: str
    error: str | None
    timesteps: int
    wall_seconds: float
    simulator: str | None
    curve_steps: list[int]
    curve_returns: list[float]
    final_return: float | None
    final_episodes: int
    exact: bool
    record: str

    def __post_init__(self) -> None:
        known = get_args(Status)
        if self.status not in known:
            raise ValueError(
                f"{self._name}: expected status {' or '.join(known)}, got {self.status!r}"
            )
        if self.status == "failed" and not self.error:
            raise ValueError(f"{self._name}: expected the error of a failed run, got none")
        final = self.final_return
        if final is None and self.status == "finished":
            raise ValueError(f"{self._name}: expected the final return of a finished run")
        if final is not None and not math.isfinite(final):
            raise ValueError(f"{self._name}: expected a finite final return, got {final}")
        self._check_curve()

    def _check_curve(self) -> None:
        if len(self.curve_steps) != len(self.curve_returns):
            raise ValueError(
                f"{self._name}: expected one return per evaluated step, got "
                f"{len(self.curve_returns)} returns and {len(self.curve_steps)} steps"
            )
        if any(b <= a for a, b in zip(self.curve_steps, self.curve_steps[1:], strict=False)):
            raise ValueError(f"{self._name}: expected strictly increasing curve steps")
        if not all(math.isfinite(value) for value in self.curve_returns):
            raise ValueError(f"{self._name}: expected finite returns along the curve")

    @property
    def _name(self) -> str:
        return f"run of {self.agent} on {self.environment}, seed {self.seed}"

    def to_json(self) -> dict[str, Any]:
        """A dictionary of what JSON can hold."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> RunResult:
        """The record that `to_json` described; unknown keys are passed over.

        Raises:
            ValueError: A key is missing, or the record is not valid.
        """
        known = _known_fields(cls, value)
        # JSON written by hand or by another program has 1 where we have 1.0
        known["wall_seconds"] = float(known["wall_seconds"])
        known["curve_returns"] = [float(number) for number in known["curve_returns"]]
        if known["final_return"] is not None:
            known["final_return"] = float(known["final_return"])
        return cls(**known)


@dataclass(frozen=True)
class Comparison:
    """Agents x environments x seeds under one criterion.

    Attributes:
        criterion: What a return is, in words, such as ``undiscounted return, at most 100 steps``.
        discount: The discount of the criterion, in [0, 1].
        budget: Environment steps of training, for all environments or by environment.
        seeds: The seeds that every agent was given.
        runs: All runs, failed ones too; at most one per environment, agent and seed.
        optimum: By environment, the exact optimum of the same criterion, or None.
        control: By environment, the return of the uniformly random policy under the same
            criterion, or None.
        settings: How the comparison was made, hyper-parameters included; what JSON can hold.
        versions: Of the packages used.

    Raises:
        ValueError: There is no run, a run is there twice, an environment has no budget, or a
            reference is not finite.
    """

    criterion: str
    discount: float
    budget: int | dict[str, int]
    seeds: list[int]
    runs: list[RunResult]
    optimum: dict[str, float | None]
    control: dict[str, float | None]
    settings: dict[str, Any]
    versions: dict[str, str]

    def __post_init__(self) -> None:
        if not self.runs:
            raise ValueError("expected a comparison of at least one run, got none")
        counts = Counter((run.environment, run.agent, run.seed) for run in self.runs)
        for (environment, agent, seed), count in counts.items():
            if count > 1:
                raise ValueError(
                    "expected one run per environment, agent and seed, got "
                    f"{count} of {agent} on {environment}, seed {seed}"
                )
        if isinstance(self.budget, dict):
            lacking = [name for name in self.environments if name not in self.budget]
            if lacking:
                raise ValueError(f"expected a budget for {', '.join(lacking)}, got none")
        for name, references in (("optimum", self.optimum), ("control", self.control)):
            for environment, value in references.items():
                if value is not None and not math.isfinite(value):
                    raise ValueError(
                        f"expected a finite {name} of {environment} or None, got {value}"
                    )

    @property
    def environments(self) -> list[str]:
        """The environments in the order of the runs."""
        return list(dict.fromkeys(run.environment for run in self.runs))

    @property
    def agents(self) -> list[str]:
        """The agents in the order of the runs."""
        return list(dict.fromkeys(run.agent for run in self.runs))

    def runs_of(self, environment: str, agent: str) -> list[RunResult]:
        """All runs of an agent on an environment, by seed."""
        chosen = [r for r in self.runs if (r.environment, r.agent) == (environment, agent)]
        return sorted(chosen, key=lambda run: run.seed)

    def scores(self, environment: str, agent: str) -> NDArray[np.float64]:
        """(N,) final returns of the finished runs, by seed; N may be 0."""
        finished = [r for r in self.runs_of(environment, agent) if r.status == "finished"]
        return np.array([run.final_return for run in finished], dtype=np.float64)

    def budget_of(self, environment: str) -> int:
        """Environment steps of training on an environment."""
        return self.budget if isinstance(self.budget, int) else self.budget[environment]

    def scale_of(self, environment: str) -> tuple[float, float] | None:
        """The random policy's return and the optimum, where both are known and differ.

        They are what normalised returns are measured by: 0 is the random policy, 1 the optimum.
        """
        low, high = self.control.get(environment), self.optimum.get(environment)
        if low is None or high is None or not high - low > 1e-12 * max(abs(low), abs(high)):
            return None
        return low, high

    def to_json(self) -> dict[str, Any]:
        """A dictionary of what JSON can hold."""
        value = {field.name: getattr(self, field.name) for field in fields(self)}
        value["runs"] = [run.to_json() for run in self.runs]
        return {"format": _FORMAT, **value}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Comparison:
        """The comparison that `to_json` described; unknown keys are passed over.

        Raises:
            ValueError: It is of another format, a key is missing, or a run is not valid.
        """
        if value.get("format") != _FORMAT:
            raise ValueError(f"expected format {_FORMAT!r}, got {value.get('format')!r}")
        known = _known_fields(cls, value)
        known["discount"] = float(known["discount"])
        known["runs"] = [RunResult.from_json(run) for run in known["runs"]]
        for name in ("optimum", "control"):
            known[name] = {
                environment: None if number is None else float(number)
                for environment, number in known[name].items()
            }
        return cls(**known)


def load_comparison(path: str | os.PathLike[str]) -> Comparison:
    """Read ``results.json`` of a comparison.

    Args:
        path: The file, or the folder that it lies in.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is damaged or foreign.
    """
    source = Path(path)
    source = source / "results.json" if source.is_dir() else source
    if not source.is_file():
        raise FileNotFoundError(f"expected the results of a comparison at {source}, found none")
    try:
        value = json.loads(source.read_text(encoding="utf-8"))
        if not isinstance(value, dict):
            raise ValueError(f"expected a JSON object, got {type(value).__name__}")
        return Comparison.from_json(value)
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(
            f"expected the results of a comparison in {source}, which is damaged or of another "
            f"kind ({error})"
        ) from error


def _known_fields(kind: type[Any], value: Mapping[str, Any]) -> dict[str, Any]:
    names: Sequence[str] = [field.name for field in fields(kind)]
    missing = [name for name in names if name not in value]
    if missing:
        raise ValueError(f"expected {kind.__name__} with {', '.join(missing)}, which it lacks")
    return {name: value[name] for name in names}
