"""What a comparison says: one summary per environment and agent, and one over environments.

Per environment, of the final returns of the finished runs: the mean with Student's interval, the
interquartile mean with a bootstrap interval, the distance to the exact optimum, the steps to get
most of the way there, and a permutation test against the best agent, adjusted for the number of
agents tested. Over environments: returns normalised to 0 for the random policy and 1 for the
optimum, pooled with a stratified bootstrap, and the probability that one agent beats another.

References:
    R. Agarwal et al. (2021), Deep Reinforcement Learning at the Edge of the Statistical Precipice,
    arXiv:2108.13264, section 4.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .results import Comparison, RunResult
from .statistics import (
    Interval,
    bootstrap_interval,
    holm_adjust,
    interquartile_mean,
    mean_interval,
    permutation_test,
    probability_of_improvement_interval,
    steps_to_threshold,
    stratified_bootstrap_interval,
)

__all__ = [
    "AgentSummary",
    "Aggregate",
    "ThresholdSummary",
    "aggregate",
    "normalised_scores",
    "summarise",
]

THRESHOLD_SHARE = 0.9
"""How far the threshold of `ThresholdSummary` lies from the random policy to the optimum."""


@dataclass(frozen=True)
class ThresholdSummary:
    """When an agent got most of the way from the random policy to the optimum.

    Attributes:
        threshold: The return to reach: 90 % of the way from the random policy to the optimum, or
            to the best agent's mean where the optimum is not known.
        steps: Median over runs of the environment steps to the threshold, where a run that never
            got there counts as infinite; None where that median is infinite.
        reached: Runs that got there.
        num_curves: Runs with a learning curve.
    """

    threshold: float
    steps: float | None
    reached: int
    num_curves: int

    def to_json(self) -> dict[str, float | int | None]:
        """A dictionary for JSON."""
        return {
            "threshold": self.threshold,
            "steps": self.steps,
            "reached": self.reached,
            "num_curves": self.num_curves,
        }


@dataclass(frozen=True)
class AgentSummary:
    """One agent on one environment, over seeds.

    Attributes:
        environment: Id of the environment.
        agent: Name of the agent.
        num_seeds: Finished runs; all numbers are of these only.
        num_failed: Runs that raised.
        num_interrupted: Runs that were stopped from outside.
        is_deterministic: Whether one run without randomness, a planner's, stands for every seed.
        mean: Mean final return with Student's interval, or None if no run finished.
        iqm: Interquartile mean of the final returns with a bootstrap interval, or None.
        optimality_gap: Exact optimum minus mean return, with its interval, or None.
        normalised: The mean on the scale from random policy (0) to optimum (1), or None.
        threshold: Steps to most of the optimum; None for agents without a curve and where the
            random policy's return is not known.
        wall_seconds: Mean over runs, or None.
        is_best: Whether its mean is the highest; the first of equals.
        p_value: Of the permutation test against the best agent; None for the best itself.
        p_value_adjusted: The same by Holm's method over the agents of this environment.
    """

    environment: str
    agent: str
    num_seeds: int
    num_failed: int
    num_interrupted: int
    is_deterministic: bool = False
    mean: Interval | None = None
    iqm: Interval | None = None
    optimality_gap: Interval | None = None
    normalised: Interval | None = None
    threshold: ThresholdSummary | None = None
    wall_seconds: float | None = None
    is_best: bool = False
    p_value: float | None = None
    p_value_adjusted: float | None = None

    def to_json(self) -> dict[str, Any]:
        """A dictionary for JSON."""
        parts = ("mean", "iqm", "optimality_gap", "normalised", "threshold")
        value = dict(vars(self))
        for name in parts:
            part = value[name]
            value[name] = None if part is None else part.to_json()
        return value


@dataclass(frozen=True)
class Aggregate:
    """Agents over all environments.

    Attributes:
        environments: Those with a random policy's return and an optimum, on which normalised
            scores exist.
        iqm: By agent with finished runs on all of ``environments``, the interquartile mean of its
            normalised scores. Empty where no environment has normalised scores.
        left_out: By agent without an ``iqm``, the environments that it has no finished run on.
        improvement: By pair (x, y), the probability that a run of x beats a run of y, averaged
            over the environments on which both have finished runs.
    """

    environments: list[str]
    iqm: dict[str, Interval]
    left_out: dict[str, list[str]]
    improvement: dict[tuple[str, str], Interval]

    def to_json(self) -> dict[str, Any]:
        """A dictionary for JSON."""
        return {
            "environments": self.environments,
            "iqm": {agent: interval.to_json() for agent, interval in self.iqm.items()},
            "left_out": self.left_out,
            "improvement": [
                {"better": x, "worse": y, **interval.to_json()}
                for (x, y), interval in self.improvement.items()
            ],
        }


def summarise(comparison: Comparison, *, rng: np.random.Generator) -> list[AgentSummary]:
    """One summary per environment and agent.

    Args:
        comparison: The runs.
        rng: For the bootstrap and the permutation tests.

    Returns:
        By environment in the order of the runs, and within one by mean return, best first; agents
        without a finished run come last.
    """
    summaries = []
    for environment in comparison.environments:
        rows = [
            _describe(comparison, environment, agent, rng)
            for agent in comparison.agents
            if comparison.runs_of(environment, agent)
        ]
        rows.sort(key=lambda row: math.inf if row.mean is None else -row.mean.estimate)
        if rows[0].mean is not None:
            best = replace(rows[0], is_best=True)
            rows = [best, *_tested(comparison, best, rows[1:], rng)]
            rows = [_with_threshold(comparison, best, row) for row in rows]
        summaries += rows
    return summaries


def aggregate(comparison: Comparison, *, rng: np.random.Generator) -> Aggregate:
    """The agents over all environments.

    Args:
        comparison: The runs.
        rng: For the bootstrap.
    """
    environments = [e for e in comparison.environments if comparison.scale_of(e) is not None]
    iqm, left_out = {}, {}
    for agent in comparison.agents:
        lacking = [e for e in environments if not comparison.scores(e, agent).size]
        if lacking:
            left_out[agent] = lacking
        elif environments:
            scores = normalised_scores(comparison, agent, environments)
            iqm[agent] = stratified_bootstrap_interval(scores, interquartile_mean, rng=rng)
    improvement = {}
    for x, y in combinations(comparison.agents, 2):
        interval = _improvement(comparison, x, y, rng)
        if interval is not None:
            improvement[x, y] = interval
            improvement[y, x] = _mapped(interval, lambda p: 1.0 - p)
    return Aggregate(environments, iqm, left_out, improvement)


def normalised_scores(
    comparison: Comparison, agent: str, environments: Sequence[str]
) -> list[NDArray[np.float64]]:
    """An agent's final returns on the scale from the random policy (0) to the optimum (1).

    Args:
        comparison: The runs.
        agent: Its name.
        environments: Those with both references.

    Returns:
        One (N_e,) array per environment.

    Raises:
        ValueError: An environment lacks a reference.
    """
    scores = []
    for environment in environments:
        scale = comparison.scale_of(environment)
        if scale is None:
            raise ValueError(
                f"expected {environment} with an optimum above the random policy's return, got "
                f"optimum {comparison.optimum.get(environment)} and random policy "
                f"{comparison.control.get(environment)}"
            )
        low, high = scale
        scores.append((comparison.scores(environment, agent) - low) / (high - low))
    return scores


def _describe(
    comparison: Comparison, environment: str, agent: str, rng: np.random.Generator
) -> AgentSummary:
    runs = comparison.runs_of(environment, agent)
    scores = comparison.scores(environment, agent)
    summary = AgentSummary(
        environment=environment,
        agent=agent,
        num_seeds=scores.size,
        num_failed=sum(run.status == "failed" for run in runs),
        num_interrupted=sum(run.status == "interrupted" for run in runs),
    )
    if scores.size == 0:
        return summary
    finished = [run for run in runs if run.status == "finished"]
    mean = mean_interval(scores)
    optimum = comparison.optimum.get(environment)
    gap = None if optimum is None else _mapped(mean, lambda x: optimum - x)
    scale = comparison.scale_of(environment)
    normalised = None
    if scale is not None:
        normalised = _mapped(mean, lambda x: (x - scale[0]) / (scale[1] - scale[0]))
    return replace(
        summary,
        is_deterministic=len({run.record for run in finished}) < len(finished),
        mean=mean,
        iqm=bootstrap_interval(scores, interquartile_mean, rng=rng),
        optimality_gap=gap,
        normalised=normalised,
        wall_seconds=float(np.mean([run.wall_seconds for run in finished])),
    )


def _mapped(interval: Interval, function: Callable[[float], float]) -> Interval:
    """The interval of a monotone function of what was estimated."""
    low, high = sorted((function(interval.low), function(interval.high)))
    return Interval(function(interval.estimate), low, high, interval.confidence)


def _tested(
    comparison: Comparison,
    best: AgentSummary,
    others: list[AgentSummary],
    rng: np.random.Generator,
) -> list[AgentSummary]:
    finished = [row for row in others if row.mean is not None]
    scores = comparison.scores(best.environment, best.agent)
    p_values = [
        permutation_test(scores, comparison.scores(row.environment, row.agent), rng=rng)
        for row in finished
    ]
    adjusted = [float(p) for p in holm_adjust(p_values)]
    tested = [
        replace(row, p_value=p, p_value_adjusted=p_adjusted)
        for row, p, p_adjusted in zip(finished, p_values, adjusted, strict=True)
    ]
    return tested + [row for row in others if row.mean is None]


def _with_threshold(comparison: Comparison, best: AgentSummary, row: AgentSummary) -> AgentSummary:
    runs = comparison.runs_of(row.environment, row.agent)
    curves = [run for run in runs if run.status == "finished" and run.curve_steps]
    control = comparison.control.get(row.environment)
    if control is None or not curves or best.mean is None:
        return row
    optimum = comparison.optimum.get(row.environment)
    top = best.mean.estimate if optimum is None else optimum
    if top <= control:
        return row
    threshold = control + THRESHOLD_SHARE * (top - control)
    return replace(row, threshold=_steps_over_runs(curves, threshold))


def _steps_over_runs(runs: list[RunResult], threshold: float) -> ThresholdSummary:
    steps = [steps_to_threshold(run.curve_steps, run.curve_returns, threshold) for run in runs]
    reached = sum(not math.isnan(s) for s in steps)
    # of two middle runs one of which never arrived, the median is infinite
    middle = float(np.median([math.inf if math.isnan(s) else s for s in steps]))
    return ThresholdSummary(
        threshold=threshold,
        steps=middle if math.isfinite(middle) else None,
        reached=reached,
        num_curves=len(runs),
    )


def _improvement(
    comparison: Comparison, x: str, y: str, rng: np.random.Generator
) -> Interval | None:
    pairs = [
        (comparison.scores(environment, x), comparison.scores(environment, y))
        for environment in comparison.environments
    ]
    shared = [(a, b) for a, b in pairs if a.size and b.size]
    if not shared:
        return None
    firsts, seconds = zip(*shared, strict=True)
    return probability_of_improvement_interval(firsts, seconds, rng=rng)
