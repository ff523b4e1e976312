"""``gymagine imitate ENV``: policies from demonstrations."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from .options import (
    Environment,
    EnvOptions,
    Folder,
    changed_fields,
    documented,
    name_environment,
    parse,
)

if TYPE_CHECKING:
    from ..imitation import ImitationResult
    from ..imitation_records import ImitationSettings

__all__ = ["run"]

# fields of the policy that mean nothing here: of refits by its own returns, of the machine
_ELSEWHERE = (
    "num_threads",
    "return_temperature",
    "refit_episodes",
    "memory_episodes",
    "refit_updates",
    "refit_learning_rate",
)


@dataclass(frozen=True)
class Options:
    """Learn to act from demonstrations, and compare with what must be beaten.

    Each generator becomes a policy that draws chunks of actions. Least squares (regression),
    random actions and the expert stand beside them in the table, on episodes that nobody
    demonstrated. Words for generators: regression, gaussian, gaussian-mixture, vae,
    autoregressive, flow, flow-matching, gan, diffusion, and all of gymagine list generators.

    Such as: gymagine imitate LunarLander-v3 --generator diffusion flow

    Or: gymagine imitate gymagine/MetaWorld-v3@task=reach --episodes 50 --video reach.gif
    """

    env: Environment
    env_options: EnvOptions = ()
    generator: Annotated[
        tuple[str, ...], tyro.conf.arg(metavar="WORD", help="What draws actions; several may be.")
    ] = ("diffusion",)
    demonstrations: Annotated[
        str,
        tyro.conf.arg(
            metavar="WHERE",
            help="expert, the environment's scripted one (of CartPole, LunarLander, Meta-World, "
            "PointMaze, TwoWays); expert:NAME; expert:RUN, the agent of a run; minari:ID, a "
            "Minari data set; or a file or folder of demonstrations.",
        ),
    ] = "expert"
    episodes: Annotated[int, tyro.conf.arg(help="Demonstrations, at most.")] = 50
    failures: Annotated[
        bool, tyro.conf.arg(help="Imitate demonstrations that failed, too, where that is known.")
    ] = False
    updates: Annotated[int, tyro.conf.arg(help="Gradient steps of each generator.")] = 3_000
    batch_size: Annotated[
        int | None, tyro.conf.arg(metavar="INT", help="None is each generator's usual one.")
    ] = None
    learning_rate: Annotated[
        float | None, tyro.conf.arg(metavar="FLOAT", help="None is each generator's usual one.")
    ] = None
    evaluation_episodes: Annotated[int, tyro.conf.arg(help="Of each policy, in the end.")] = 50
    max_steps: Annotated[
        int | None,
        tyro.conf.arg(metavar="INT", help="Of an episode; None is the environment's own limit."),
    ] = None
    seed: Annotated[int, tyro.conf.arg(help="All randomness comes from it.")] = 0
    video: Annotated[
        Path | None,
        tyro.conf.arg(
            metavar="FILE",
            help="A .gif or .mp4 of the first generator's policy in an episode that nobody "
            "demonstrated.",
        ),
    ] = None
    folder: Folder = Path("runs")
    progress_bar: Annotated[bool, tyro.conf.arg(help="Show bars.")] = True


def run(arguments: Sequence[str]) -> int:
    """Imitate, and print the table."""
    options: Any = parse(_options(), "imitate", arguments)
    if options.video is not None and options.video.suffix.lower() not in (".gif", ".mp4"):
        raise ValueError(f"expected a video ending in .gif or .mp4, got {options.video}")
    from ..imitation import imitate
    from ..imitation_records import ImitationSettings

    fit = {
        name: getattr(options, name)
        for name in ("batch_size", "learning_rate")
        if getattr(options, name) is not None
    }
    settings = ImitationSettings(
        environment=name_environment(options.env, options.env_options),
        generators=tuple(dict.fromkeys(options.generator)),
        demonstrations=options.demonstrations,
        episodes=options.episodes,
        success_only=not options.failures,
        seed=options.seed,
        evaluation_episodes=options.evaluation_episodes,
        max_steps=options.max_steps,
        num_updates=options.updates,
        policy=changed_fields(options.policy),
        fit=fit,
    )
    if options.video is not None:
        _check_drawable(settings)
    result = imitate(
        settings,
        folder=options.folder,
        progress_bar=options.progress_bar,
        tell=_say,
    )
    _show(result)
    if options.video is not None:
        _film(result, options.video)
    return 0


def _options() -> type[Any]:
    """The options with the fields of the policy, each with its help."""
    from ...agents.imagination.generative_policy import GenerativePolicy
    from ..imitation_records import POLICY_DEFAULTS

    shown: Any = documented(GenerativePolicy.Config, POLICY_DEFAULTS)
    kept = [
        (entry.name, entry.type, dataclasses.field(default=entry.default))
        for entry in dataclasses.fields(shown)
        if entry.name not in _ELSEWHERE
    ]
    policy: Any = dataclasses.make_dataclass("Policy", kept, frozen=True)
    about = "How chunks of actions are learnt and played."
    kind = Annotated[policy, tyro.conf.OmitArgPrefixes, tyro.conf.arg(help=about)]
    extra: list[Any] = [("policy", kind, dataclasses.field(default=policy()))]
    options = dataclasses.make_dataclass("Options", extra, bases=(Options,), frozen=True)
    options.__doc__ = Options.__doc__
    return options


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _show(result: ImitationResult) -> None:
    from rich.console import Console
    from rich.text import Text

    from ..imitation_results import results_table

    console = Console(highlight=False)
    console.print(results_table(result.results))
    for line in result.results.protocol:
        console.print(Text(line, style="dim"))
    for line in result.results.notes:
        console.print(Text(line, style="yellow"))
    _say(str(result.record.folder))


def _check_drawable(settings: ImitationSettings) -> None:
    """So that an hour of learning does not end in what cannot be drawn."""
    from ..episode_video import EpisodeVideo

    EpisodeVideo(settings.unseen, max_steps=1).check()


def _film(result: ImitationResult, path: Path) -> None:
    from ..evaluation import step_cap
    from ..imitation import evaluation_seed
    from ..watching import play_episodes, write_video

    settings = result.record.settings
    env = settings.unseen.make(render_mode="rgb_array")
    try:
        policy = result.policies[settings.generators[0]]
        cap = settings.max_steps or step_cap(env)
        seeds = [evaluation_seed(settings)]
        pictures = list(play_episodes(env, policy, seeds, cap, []))
        write_video(path, pictures, fps=float(env.metadata.get("render_fps") or 30))
    finally:
        env.close()
    _say(str(path))
