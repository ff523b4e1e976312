"""``gymagine evaluate RUN``: episodes with the agent of a run."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from .options import Discount, MaxSteps, Run, find_run, parse

__all__ = ["run"]


@dataclass(frozen=True)
class Options:
    """Play episodes with the agent of a run and average their returns.

    Where the environment's model is known and the agent has no memory, the exact expected return
    stands beside the mean.
    """

    run: Run = Path("runs")
    episodes: Annotated[int, tyro.conf.arg(help="How many to play.")] = 100
    seed: Annotated[int, tyro.conf.arg(help="Of the episodes, one for each from this one.")] = 0
    env: Annotated[
        str | None,
        tyro.conf.arg(metavar="ENV", help="Another environment than the run's own."),
    ] = None
    discount: Discount = 1.0
    max_steps: MaxSteps = None
    explore: Annotated[bool, tyro.conf.arg(help="Act as while learning, not greedily.")] = False
    json: Annotated[bool, tyro.conf.arg(help="Print JSON, with every return and seed.")] = False


def run(arguments: Sequence[str]) -> int:
    """Print the evaluation."""
    options = parse(Options, "evaluate", arguments)
    from ..environment_names import EnvironmentName
    from ..evaluation import evaluate
    from ..exact_evaluation import exact_return_of
    from ..records import RunRecord

    record = RunRecord.open(find_run(options.run))
    if options.env is None:
        source = record.environment.for_evaluation
    else:
        source = EnvironmentName.parse(options.env)
    agent = record.load_agent(source.make())
    played = evaluate(
        agent,
        source,
        num_episodes=options.episodes,
        seed=options.seed,
        discount=options.discount,
        deterministic=not options.explore,
        max_steps=options.max_steps,
    )
    exact = None
    if not options.explore:
        exact = exact_return_of(agent, source, discount=options.discount, horizon=played.max_steps)
    if options.json:
        value = {"run": str(record.folder), "exact_return": exact, **played.to_json()}
        sys.stdout.write(json.dumps(value, indent=2) + "\n")
        return 0
    lines = [
        f"{record.settings.agent} on {source.label} after {agent.num_timesteps:,} steps "
        f"({record.folder})",
        f"  mean return {played.mean:.6g}, 95 % interval [{played.low:.6g}, {played.high:.6g}], "
        f"{played.num_episodes} episodes, seed {options.seed}",
        f"  mean length {played.lengths.mean():.6g} steps",
        f"  {played.criterion}",
    ]
    if exact is not None:
        lines.insert(2, f"  exact return {exact:.10g}")
    if played.num_capped:
        lines.append(f"  {played.num_capped} episodes were stopped by the cap on their steps")
    sys.stdout.write("\n".join(lines) + "\n")
    return 0
