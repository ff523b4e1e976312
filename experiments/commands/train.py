"""``gymagine train AGENT ENV [--seeds INT]`` and ``gymagine train --resume RUN``."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import tyro

from ..catalogue import AGENTS, agent_class, find_agent
from .options import (
    Discount,
    Environment,
    EnvOptions,
    Folder,
    MaxSteps,
    changed_fields,
    documented,
    find_run,
    name_environment,
    parse,
)

if TYPE_CHECKING:
    from ..training import TrainResult

__all__ = ["run"]


@dataclass(frozen=True)
class Options:
    """Train an agent in an environment and record the run.

    gymagine train AGENT --help tells an agent's hyper-parameters; gymagine list agents the names.
    gymagine train --resume RUN [--steps INT] goes on with a run that was interrupted or killed.
    """

    env: Environment
    seed: Annotated[int, tyro.conf.arg(help="All of the run's randomness comes from it.")] = 0
    seeds: Annotated[
        int,
        tyro.conf.arg(
            help="How many, from --seed on, each with a run of its own; those of deep agents "
            "learn together in this process."
        ),
    ] = 1
    steps: Annotated[int, tyro.conf.arg(help="Environment steps to learn from.")] = 100_000
    presets: Annotated[
        bool,
        tyro.conf.arg(
            help="Take the settings, the wrappers and the budget known for the environment, where "
            "nothing else is said: gymagine list presets."
        ),
    ] = False
    evaluate_every: Annotated[
        int | None,
        tyro.conf.arg(metavar="INT", help="Steps between evaluations; None makes 20 of them."),
    ] = None
    evaluation_episodes: Annotated[int, tyro.conf.arg(help="Episodes of each evaluation.")] = 20
    final_episodes: Annotated[int, tyro.conf.arg(help="Episodes of the last evaluation.")] = 100
    evaluation_discount: Discount = 1.0
    max_steps: MaxSteps = None
    checkpoint_every: Annotated[
        int | None,
        tyro.conf.arg(metavar="INT", help="Steps between checkpoints; None is evaluate-every."),
    ] = None
    env_options: EnvOptions = ()
    folder: Folder = Path("runs")
    video: Annotated[
        bool, tyro.conf.arg(help="Show an episode of the trained agent in TensorBoard.")
    ] = False
    console: Annotated[bool, tyro.conf.arg(help="Print the logger's tables.")] = False
    progress_bar: Annotated[bool, tyro.conf.arg(help="Show a bar.")] = True


@dataclass(frozen=True)
class ResumeOptions:
    """Go on with a run that was interrupted or killed, from its last checkpoint.

    With a run that learned together with others these go on as well.
    """

    resume: Annotated[
        Path,
        tyro.conf.arg(
            metavar="RUN",
            help="Its folder, that of a population, or one above, which means the latest run "
            "there.",
        ),
    ]
    steps: Annotated[
        int | None,
        tyro.conf.arg(metavar="INT", help="A new, larger budget; None keeps the run's."),
    ] = None
    console: Annotated[bool, tyro.conf.arg(help="Print the logger's tables.")] = False
    progress_bar: Annotated[bool, tyro.conf.arg(help="Show a bar.")] = True


def run(arguments: Sequence[str]) -> int:
    """Train, or go on training."""
    if any(word == "--resume" or word.startswith("--resume=") for word in arguments):
        return _tell(_resume(parse(ResumeOptions, "train", arguments)))
    agent = _named_agent(arguments)
    if agent is None:
        if {"-h", "--help"} & set(arguments):
            parse(Options, "train AGENT", arguments)  # prints help and exits
        raise ValueError("expected the name of an agent; gymagine list agents shows them")
    rest = list(arguments)
    rest.remove(agent)
    return _tell(_train(agent, rest))


def _named_agent(arguments: Sequence[str]) -> str | None:
    """The first word that is an agent; a first word that is none, but no option, is an error."""
    for word in arguments:
        if word in AGENTS:
            return find_agent(word).name
    if arguments and not arguments[0].startswith("-"):
        return find_agent(arguments[0]).name  # raises, with a suggestion
    return None


def _train(agent: str, arguments: Sequence[str]) -> list[TrainResult]:
    options_type, registry = _options_of(agent)
    options: Any = parse(options_type, f"train {agent}", arguments, registry=registry)
    if options.presets:
        options = _with_preset(agent, options, arguments, registry)
    if options.seeds < 1:
        raise ValueError(f"expected seeds of at least 1, got {options.seeds}")
    if options.video:  # pictures need no display, and none may be there
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    from ..population_training import train_population, trains_together
    from ..preparation import preprocessed_for
    from ..training import train

    hyperparameters = changed_fields(options.hyperparameters)
    if getattr(options, "simulator", "auto") != "auto":
        hyperparameters["simulator"] = options.simulator
    environment = name_environment(options.env, options.env_options)
    if options.presets:
        environment = preprocessed_for([agent], environment)
    settings = {
        "total_timesteps": options.steps,
        "evaluate_every": options.evaluate_every,
        "evaluation_episodes": options.evaluation_episodes,
        "final_episodes": options.final_episodes,
        "checkpoint_every": options.checkpoint_every,
        "evaluation_discount": options.evaluation_discount,
        "max_steps": options.max_steps,
        "folder": options.folder,
        "video": options.video,
        "progress_bar": options.progress_bar,
        "console": options.console,
        **hyperparameters,
    }
    seeds = range(options.seed, options.seed + options.seeds)
    if len(seeds) > 1 and trains_together(agent):
        return list(train_population(agent, environment, seeds=seeds, **settings))
    results = []
    for seed in seeds:
        results.append(train(agent, environment, seed=seed, **settings))
        if results[-1].status == "interrupted":
            break
    return results


def _with_preset(
    agent: str,
    options: Any,
    arguments: Sequence[str],
    registry: tyro.constructors.ConstructorRegistry,
) -> Any:
    """The options once more, with a preset's values in place of the defaults."""
    from ...agents.deep.presets import PRESETS, preset

    environment = name_environment(options.env, options.env_options)
    known = preset(agent, environment.id)
    if known is None:
        there = [one.environment for one in PRESETS if one.agent == agent]
        raise ValueError(
            f"there is no preset of {agent} for {environment.id}; known: "
            f"{', '.join(there) or 'none of this agent'}"
        )
    config = agent_class(agent).Config(**known.hyperparameters)
    options_type, _ = _options_of(agent, config, known.total_timesteps)
    return parse(options_type, f"train {agent}", arguments, registry=registry)


def _resume(options: ResumeOptions) -> list[TrainResult]:
    from ..population_records import PopulationRecord
    from ..population_training import resume_population
    from ..records import RunRecord
    from ..training import resume

    settings: dict[str, Any] = {
        "total_timesteps": options.steps,
        "progress_bar": options.progress_bar,
        "console": options.console,
    }
    place = options.resume
    if not PopulationRecord.is_at(place):
        record = RunRecord.open(find_run(place))
        population = PopulationRecord.of(record)
        if population is None:
            return [resume(record, **settings)]
        place = population.folder
    return list(resume_population(place, **settings))


def _options_of(
    agent: str, config: Any = None, steps: int | None = None
) -> tuple[type[Any], tyro.constructors.ConstructorRegistry]:
    """The options of `train` with the hyper-parameters of one agent, each with its help.

    Args:
        agent: Its name.
        config: The hyper-parameters' defaults; None takes the agent's.
        steps: The budget's.
    """
    agent_type = agent_class(agent)
    kind: Any = documented(agent_type.Config)
    about = f"Of {agent}: {AGENTS[agent].summary}."
    shown = Annotated[kind, tyro.conf.OmitArgPrefixes, tyro.conf.arg(help=about)]
    given = {} if config is None else {name: getattr(config, name) for name in _names(config)}
    own = dataclasses.field(default=kind(**given))
    extra: list[Any] = [("hyperparameters", shown, own)]
    if steps is not None:
        budget = get_type_hints(Options, include_extras=True)["steps"]
        extra.append(("steps", budget, dataclasses.field(default=steps)))
    from ...agents.tabular.learner import AbstractTabularAgent, Simulator

    if issubclass(agent_type, AbstractTabularAgent):
        about = (
            "compiled learns on a simulation of the environment's model, stepped by stepping it, "
            "auto simulates where the model is known."
        )
        extra.append(
            (
                "simulator",
                Annotated[Simulator, tyro.conf.arg(help=about)],
                dataclasses.field(default="auto"),
            )
        )
    options = dataclasses.make_dataclass("Options", extra, bases=(Options,), frozen=True)
    options.__doc__ = f"Train {agent} in an environment and record the run."
    return options, _schedule_registry()


def _names(config: Any) -> list[str]:
    return [field.name for field in dataclasses.fields(config)]


def _schedule_registry() -> tyro.constructors.ConstructorRegistry:
    """Teaches the parser the texts of schedules."""
    from ...schedules import Schedule

    registry = tyro.constructors.ConstructorRegistry()

    @registry.primitive_rule
    def read_schedule(
        info: tyro.constructors.PrimitiveTypeInfo,
    ) -> tyro.constructors.PrimitiveConstructorSpec[float | Schedule] | None:
        if info.type != (float | Schedule):
            return None
        return tyro.constructors.PrimitiveConstructorSpec(
            nargs=1,
            metavar="NUMBER|KIND:FROM:TO:STEPS",
            instance_from_str=lambda words: Schedule.parse(words[0]),
            is_instance=lambda value: isinstance(value, int | float | Schedule),
            str_from_instance=lambda value: [str(value)],
        )

    return registry


def _tell(results: Sequence[TrainResult]) -> int:
    for result in results:
        _tell_of(result)
    last = results[-1]
    if last.status == "interrupted":
        sys.stderr.write(
            f"gymagine: interrupted; gymagine train --resume {last.record.folder} goes on\n"
        )
        return 130
    return 0


def _tell_of(result: TrainResult) -> None:
    settings, last = result.record.settings, result.evaluations[-1]
    exact = "" if last.exact_return is None else f"exact return {last.exact_return:.6g}, "
    played = (
        ""
        if not last.num_episodes
        else (
            f"mean return {last.mean_reward:.6g} [{last.low:.6g}, {last.high:.6g}] of "
            f"{last.num_episodes} episodes"
        )
    )
    sys.stdout.write(
        f"{settings.agent} on {settings.environment.label}, {result.agent.num_timesteps:,} steps: "
        f"{exact}{played}".rstrip(", ")
        + f"\n{result.record.folder}\n"
    )
