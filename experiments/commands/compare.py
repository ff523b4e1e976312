"""``gymagine compare ENV... --agents ...``: many runs, judged together."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from ..catalogue import suggestion
from .options import Discount, MaxSteps, parse

__all__ = ["hyperparameters_of", "run"]


@dataclass(frozen=True)
class Options:
    """Train agents in environments with several seeds, in parallel, and judge them together.

    Prints a table with intervals and the gap to the exact optimum, and writes results.json,
    results.csv, report.md, pictures and TensorBoard files. The same command again goes on where it
    stopped; more agents or seeds cost only their own runs.
    """

    environments: Annotated[
        tuple[str, ...],
        tyro.conf.Positional,
        tyro.conf.arg(
            metavar="ENV [ENV ...]",
            help="Ids, with options after @: FrozenLake-v1@is_slippery=false.",
            help_behavior_hint="(required)",
        ),
    ]
    agents: Annotated[
        tuple[str, ...],
        tyro.conf.arg(metavar="AGENT [AGENT ...]", help="See gymagine list agents."),
    ]
    seeds: Annotated[int, tyro.conf.arg(help="How many; 5 means 0 to 4.")] = 5
    steps: Annotated[int, tyro.conf.arg(help="Environment steps of each run.")] = 50_000
    evaluations: Annotated[int, tyro.conf.arg(help="Points of the learning curve.")] = 20
    evaluation_episodes: Annotated[
        int | None,
        tyro.conf.arg(
            metavar="INT",
            help="Episodes of each; None is 0 where the exact return is known, else 20.",
        ),
    ] = None
    final_episodes: Annotated[
        int, tyro.conf.arg(help="Episodes of the last evaluation, where any are played.")
    ] = 100
    discount: Discount = 1.0
    max_steps: MaxSteps = None
    set: Annotated[
        tuple[str, ...],
        tyro.conf.arg(
            metavar="AGENT.NAME=VALUE",
            help="Hyper-parameters, such as q-learning.step_size=0.05 sb3:dqn.preset=none.",
            help_behavior_hint="(default: nothing)",
        ),
    ] = ()
    presets: Annotated[
        bool,
        tyro.conf.arg(
            help="Take the settings and the wrappers known for each environment: gymagine list "
            "presets."
        ),
    ] = False
    jobs: Annotated[
        int | None, tyro.conf.arg(metavar="INT", help="Processes; None is one per core.")
    ] = None
    backend: Annotated[
        str,
        tyro.conf.arg(help="How joblib runs them: loky (processes), threading, or sequential."),
    ] = "loky"
    name: Annotated[
        str | None,
        tyro.conf.arg(
            metavar="NAME", help="Of the comparison; None makes one of the environments."
        ),
    ] = None
    folder: Annotated[Path, tyro.conf.arg(metavar="PATH", help="Where comparisons are kept.")] = (
        Path("runs/comparisons")
    )
    progress_bar: Annotated[bool, tyro.conf.arg(help="Show a bar.")] = True


def run(arguments: Sequence[str]) -> int:
    """Compare, print the table and say where everything is."""
    options = parse(Options, "compare", arguments)
    if not options.environments:
        raise ValueError("expected at least one environment, such as FrozenLake-v1")
    hyperparameters = hyperparameters_of(options.set, options.agents)
    from rich.console import Console

    from ..comparison import compare, comparison_folder
    from ..environment_names import EnvironmentName
    from ..report import comparison_table
    from ..tables import failures

    names = [EnvironmentName.parse(text) for text in options.environments]
    root = comparison_folder(names, options.folder, options.name)
    try:
        comparison = compare(
            names,
            options.agents,
            seeds=options.seeds,
            total_timesteps=options.steps,
            evaluations=options.evaluations,
            evaluation_episodes=options.evaluation_episodes,
            final_episodes=options.final_episodes,
            discount=options.discount,
            max_steps=options.max_steps,
            hyperparameters=hyperparameters,
            presets=options.presets,
            folder=options.folder,
            name=options.name,
            jobs=options.jobs,
            backend=options.backend,
            progress_bar=options.progress_bar,
        )
    except KeyboardInterrupt:
        sys.stderr.write(
            f"gymagine: interrupted; finished runs are in {root}, the same command goes on\n"
        )
        return 130
    console = Console()
    if not console.is_terminal:  # a file or a pipe has no width of its own
        console.width = max(console.width, 110)
    console.print(comparison_table(comparison))
    sys.stdout.write(
        f"report and pictures: {root / 'report.md'}\ncurves: gymagine monitor {root}\n"
    )
    if not any(run.status == "finished" for run in comparison.runs):
        raise ValueError(f"no run finished; {failures(comparison)[0].reason}")
    return 0 if all(run.status == "finished" for run in comparison.runs) else 1


def hyperparameters_of(texts: Sequence[str], agents: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Hyper-parameters by agent, from ``AGENT.NAME=VALUE``.

    Raises:
        ValueError: A text is of another form or names an agent that is not compared.
    """
    chosen: dict[str, dict[str, Any]] = {}
    for text in texts:
        place, equals, value = text.partition("=")
        agent, dot, name = place.rpartition(".")
        if not (equals and dot and agent and name):
            raise ValueError(f"expected AGENT.NAME=VALUE, got {text!r}")
        if agent not in agents:
            raise ValueError(f"{agent!r} is not compared here{suggestion(agent, agents)}")
        try:
            parsed = json.loads(value)
        except json.JSONDecodeError:
            parsed = {"True": True, "False": False, "None": None}.get(value, value)
        chosen.setdefault(agent, {})[name.replace("-", "_")] = parsed
    return chosen
