"""Agents x environments x seeds, in parallel, under one criterion, against the exact optimum.

All agents of a comparison get the same environments, seeds and budget of environment steps, and
are evaluated in one way: the expected return of their greedy policy under the environment's step
cap, exactly where the model is known and by episodes where it is not. Beside them stand the
optimum of the same criterion and the uniformly random policy.

Every run is on disk when it ends, under a fingerprint of its settings: the same command again
reuses what is finished and goes on with what is not, and more seeds or agents cost only their own
runs. Planners take no steps and no randomness; they run once, and that result stands for every
seed. The seeds of a deep agent learn together as a population, in one process: if the environment
of one of them raises, all of them fail with its message.

References:
    R. Agarwal et al. (2021), Deep Reinforcement Learning at the Edge of the Statistical Precipice,
    arXiv:2108.13264.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..agents.planning.planner import AbstractPlanner
from ..configuration import build_config
from .catalogue import agent_class, suggestion
from .comparison_jobs import executed
from .comparison_runs import ComparisonRun
from .earlier_reports import set_earlier_report_aside
from .environment_names import EnvironmentName, folder_name
from .evaluation import step_cap
from .exact_evaluation import affordable, known_model
from .folder_lock import folder_lock
from .plots import write_plots
from .population_training import trains_together
from .preparation import from_json, preprocessed_for, preset_of
from .progress import comparison_progress
from .provenance import git_commit, package_versions
from .records import RunRecord, RunSettings
from .references import Reference, reference
from .report import write_report
from .results import Comparison, RunResult
from .training import agent_resumes

__all__ = ["compare", "comparison_folder"]

_EPISODES = 20


def compare(
    environments: str | EnvironmentName | Sequence[str | EnvironmentName],
    agents: str | Sequence[str],
    *,
    seeds: int | Sequence[int] = 5,
    total_timesteps: int = 50_000,
    evaluations: int = 20,
    evaluation_episodes: int | None = None,
    final_episodes: int = 100,
    discount: float = 1.0,
    max_steps: int | None = None,
    hyperparameters: Mapping[str, Mapping[str, Any]] | None = None,
    presets: bool = False,
    folder: str | os.PathLike[str] = "runs/comparisons",
    name: str | None = None,
    jobs: int | None = None,
    backend: str = "loky",
    progress_bar: bool = False,
) -> Comparison:
    """Train every agent in every environment with every seed, and judge them together.

    Args:
        environments: Ids, with options as ``FrozenLake-v1@is_slippery=false``.
        agents: Names of the catalogue, such as ``q-learning`` or ``sb3:dqn``.
        seeds: The seeds, or how many: 5 means 0 to 4.
        total_timesteps: Environment steps of each run.
        evaluations: Points of the learning curve after the one at step 0.
        evaluation_episodes: Episodes of each evaluation; None is 0 where the model is known, since
            the exact return needs none, and 20 where it is not.
        final_episodes: Episodes of the last evaluation, where any are played.
        discount: Of the returns, in [0, 1]; the agents' own are hyper-parameters.
        max_steps: Cap on the steps of an evaluation episode; None is each environment's own time
            limit, or 1000 where it has none.
        hyperparameters: By agent.
        presets: Whether agents take the settings known for each environment (see
            `gymagine.agents.deep.presets`) under those of ``hyperparameters``; what has none
            keeps its defaults. Wrappers that one of them counts on are put on for all agents.
        folder: Where comparisons are kept.
        name: The comparison's folder in there; None makes one from the environments.
        jobs: Processes at a time; None is one per core.
        backend: Of joblib: ``loky`` (processes), ``threading``, or what is registered (Ray).
        progress_bar: Show a bar with the rate and the time left.

    Returns:
        The comparison; ``results.json``, ``results.csv``, ``report.md``, pictures and the runs'
        TensorBoard files lie in its folder. An earlier comparison's report that this one does not
        contain is moved to ``earlier/<time>/`` there.

    Raises:
        ValueError: A name is unknown or an argument out of range; nothing has run yet.
        TypeError: A hyper-parameter is unknown.
        KeyboardInterrupt: Ctrl-C. What has finished is kept and written, and the same call goes
            on from there.

    Example:
        >>> import tempfile
        >>> comparison = compare("FrozenLake-v1", ["value-iteration", "q-learning"], seeds=2,
        ...                      total_timesteps=2_000, folder=tempfile.mkdtemp(), jobs=1)
        >>> round(comparison.optimum["FrozenLake-v1"], 10), len(comparison.runs)
        (0.7441902878, 4)
    """
    names = _environment_names(environments)
    agents = [agents] if isinstance(agents, str) else list(dict.fromkeys(agents))
    seeds = list(range(seeds)) if isinstance(seeds, int) else list(dict.fromkeys(seeds))
    given = _checked_hyperparameters(agents, hyperparameters or {})
    if not (names and agents and seeds):
        raise ValueError("expected at least one environment, one agent and one seed")
    if evaluations < 1:
        raise ValueError(f"expected evaluations of at least 1, got {evaluations}")
    root = comparison_folder(names, folder, name)
    if presets:
        names = _environment_names([preprocessed_for(agents, one) for one in names])
    every = max(1, total_timesteps // evaluations)
    base = RunSettings(
        agent=agents[0],
        environment=names[0],
        seed=seeds[0],
        total_timesteps=total_timesteps,
        evaluate_every=every,
        checkpoint_every=every,
        final_episodes=final_episodes,
        discount=discount,
        max_steps=max_steps,
    )
    plan = _Plan(
        base,
        root,
        tuple(names),
        tuple(agents),
        tuple(seeds),
        given,
        evaluation_episodes,
        presets,
    )
    references = {name.label: reference(name, base) for name in names}
    with folder_lock(root):
        return _compared(plan, references, jobs, backend, progress_bar)


def _compared(
    plan: _Plan,
    references: Mapping[str, Reference],
    jobs: int | None,
    backend: str,
    progress_bar: bool,
) -> Comparison:
    results: dict[Path, RunResult] = {}
    runs = plan.runs()
    try:
        with comparison_progress(runs, shown=progress_bar) as advance:
            for path, result in executed(runs, jobs, backend):
                results[path] = result
                advance(result)
                if result.status == "interrupted":  # a run in this process caught the Ctrl-C
                    raise KeyboardInterrupt
    finally:  # Ctrl-C included
        comparison = _collect(plan, references, results, {"jobs": jobs, "backend": backend})
        _write(comparison, plan.root)
    return comparison


def _write(comparison: Comparison, root: Path) -> None:
    try:
        set_earlier_report_aside(comparison, root)
        write_report(comparison, root)
        write_plots(comparison, root)
    except OSError as error:
        raise OSError(
            f"the report could not be written to {root} ({error}); the same call finds the runs "
            "that have finished"
        ) from error


def comparison_folder(
    environments: Sequence[EnvironmentName],
    folder: str | os.PathLike[str] = "runs/comparisons",
    name: str | None = None,
) -> Path:
    """Where a comparison lies: under its name, or one made from its environments."""
    if name is None:
        labels = [environment.label for environment in environments]
        name = "+".join(labels) if len(labels) <= 3 else f"{labels[0]}+{len(labels) - 1}-others"
    return Path(folder) / folder_name(name)


@dataclass(frozen=True)
class _Plan:
    base: RunSettings
    root: Path
    environments: tuple[EnvironmentName, ...]
    agents: tuple[str, ...]
    seeds: tuple[int, ...]
    hyperparameters: Mapping[str, Mapping[str, Any]]
    evaluation_episodes: int | None
    presets: bool

    def run_of(self, environment: EnvironmentName, agent: str, seed: int) -> ComparisonRun:
        """The run that stands for this cell; planners have one for all seeds."""
        known = preset_of(agent, environment) if self.presets else {}
        settings = dataclasses.replace(
            self.base,
            agent=agent,
            environment=environment,
            seed=self.seeds[0] if _plans(agent) else seed,
            hyperparameters={**known, **self.hyperparameters.get(agent, {})},
            evaluation_episodes=self._episodes(environment),
        )
        return ComparisonRun(settings, self.root)

    def runs(self) -> list[ComparisonRun]:
        """Every run once; those that take longest come early, and at the end the short ones."""
        runs = [
            self.run_of(environment, agent, seed)
            for agent in sorted(self.agents, key=_turn)
            for environment in self.environments
            for seed in self.seeds
        ]
        return list({run.folder: run for run in runs}.values())

    def _episodes(self, environment: EnvironmentName) -> int:
        if self.evaluation_episodes is not None:
            return self.evaluation_episodes
        env = environment.make()
        horizon = self.base.max_steps or step_cap(env)
        env.close()
        model = known_model(environment)
        return _EPISODES if model is None or not affordable(model, horizon) else 0


def _plans(agent: str) -> bool:
    return issubclass(agent_class(agent), AbstractPlanner)


def _turn(agent: str) -> int:
    """First planners, which are ready at once; populations, other libraries' runs, the rest."""
    if _plans(agent):
        return 0
    if trains_together(agent):
        return 1
    return 3 if agent_resumes(agent) else 2


def _environment_names(
    environments: str | EnvironmentName | Sequence[str | EnvironmentName],
) -> list[EnvironmentName]:
    """The environments, each made once to see that it can be."""
    given = [environments] if isinstance(environments, str | EnvironmentName) else environments
    names = [EnvironmentName.parse(name) if isinstance(name, str) else name for name in given]
    for name in names:
        name.make().close()
    return list({name.label: name for name in names}.values())


def _checked_hyperparameters(
    agents: Sequence[str], hyperparameters: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """The hyper-parameters by agent, each agent's class and config built once to check them."""
    for agent in hyperparameters:
        if agent not in agents:
            raise ValueError(
                f"expected hyper-parameters of {', '.join(agents)}, got some of {agent}"
                f"{suggestion(agent, agents)}"
            )
    for agent in agents:
        values = dict(hyperparameters.get(agent, {}))
        values.pop("simulator", None)  # how to learn, which is not the config's
        known = agent_class(agent)
        build_config(known.Config, from_json(known, values), known.__name__)
    return {agent: dict(values) for agent, values in hyperparameters.items()}


def _collect(
    plan: _Plan,
    references: Mapping[str, Reference],
    results: Mapping[Path, RunResult],
    how: Mapping[str, Any],
) -> Comparison:
    rows = []
    for environment in plan.environments:
        for agent in plan.agents:
            for seed in plan.seeds:
                run = plan.run_of(environment, agent, seed)
                result = results.get(run.folder) or run.without_result("interrupted", None)
                rows.append(dataclasses.replace(result, seed=seed))
    base = plan.base
    caps = {reference.max_steps for reference in references.values()}
    cap = f"at most {caps.pop()} steps" if len(caps) == 1 else "each environment's step cap"
    kind = "undiscounted" if base.discount == 1.0 else f"discounted ({base.discount:g})"
    return Comparison(
        criterion=f"{kind} return under {cap}" if "each" in cap else f"{kind} return, {cap}",
        discount=base.discount,
        budget=base.total_timesteps,
        seeds=list(plan.seeds),
        runs=rows,
        optimum={label: reference.optimum for label, reference in references.items()},
        control={label: reference.control for label, reference in references.items()},
        settings=_settings(plan, references, how),
        versions=package_versions(),
    )


def _settings(
    plan: _Plan, references: Mapping[str, Reference], how: Mapping[str, Any]
) -> dict[str, Any]:
    """How the comparison was made: what all runs share, and each agent's hyper-parameters."""
    agents: dict[str, Any] = {}
    for agent in plan.agents:
        run = plan.run_of(plan.environments[0], agent, plan.seeds[0])
        try:
            agents[agent] = RunRecord.open(run.folder).config["hyperparameters"]
        except (FileNotFoundError, ValueError):  # it failed before it began
            agents[agent] = dict(run.settings.hyperparameters)
    return {
        "agents": agents,
        "environments": {
            label: {"max_steps": reference.max_steps, "control_episodes": reference.episodes}
            for label, reference in references.items()
        },
        "evaluate_every": plan.base.evaluate_every,
        "final_episodes": plan.base.final_episodes,
        **how,
        "git_commit": git_commit(),
    }
