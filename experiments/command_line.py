"""The command line: ``gymagine COMMAND ...``.

The first word picks a command, and only then is anything heavy imported: `gymagine --help` answers
at once. Each module of `commands` has a function ``run(arguments) -> int`` that parses its own
options with tyro.

Exit codes: 0 for success, 1 where a comparison holds failed runs, 2 for what the user can mend
(an unknown name, a wrong value, an environment that raises), 130 for Ctrl-C. Errors are one line
on standard error; ``--traceback``, or GYMAGINE_TRACEBACK=1, shows where they come from.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from ..version import __version__

__all__ = ["COMMANDS", "main"]

COMMANDS: dict[str, str] = {
    "list": "agents and environments that can be named",
    "solve": "the exact optimum of an environment whose model is known",
    "train": "train an agent, or go on with a run: train --resume RUN",
    "evaluate": "play episodes with the agent of a run",
    "compare": "agents x environments x seeds, with intervals, pictures and a report",
    "watch": "see the agent of a run act, in a window or as a video",
    "generate": "train a generative model on data, or go on: generate --resume RUN",
    "sample": "draw from a trained generative model",
    "imagine": "let agents learn in a generator's dream, beside controls: imagine --resume RUN",
    "imitate": "learn to act from demonstrations with a generator, beside controls",
    "matrix": "fill the table generator x role, beside controls; goes on where it stopped",
    "monitor": "open TensorBoard on the runs",
}

_EXAMPLES = """examples:
  gymagine solve FrozenLake-v1
  gymagine train q-learning FrozenLake-v1 --steps 200000 --step-size 0.05
  gymagine compare FrozenLake-v1 --agents value-iteration q-learning sb3:dqn --seeds 5
  gymagine watch runs/FrozenLake-v1 --video lake.gif"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: The words after the program's name; None takes them from the process.

    Returns:
        The exit code.

    Example:
        >>> main(["--version"])
        gymagine ...
        0
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    show_traceback = bool(os.environ.get("GYMAGINE_TRACEBACK"))
    if "--traceback" in arguments:
        arguments.remove("--traceback")
        show_traceback = True
    try:
        return _dispatch(arguments)
    except KeyboardInterrupt:
        _complain("interrupted")
        return 130
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except SystemExit as stop:  # tyro, after help or a usage error
        if isinstance(stop.__context__, BrokenPipeError):  # rich's way of saying the same
            return 0
        return stop.code if isinstance(stop.code, int) else 0
    except Exception as error:
        if show_traceback or not _is_for_users(error):
            raise
        _complain(f"error: {error}")
        return 2


def _dispatch(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        sys.stdout.write(_overview() + "\n")
        return 0
    if arguments[0] in ("-V", "--version"):
        sys.stdout.write(f"gymagine {__version__}\n")
        return 0
    command, *rest = arguments
    if command not in COMMANDS:
        from .catalogue import suggestion

        hint = suggestion(command, COMMANDS) or f"; known: {', '.join(COMMANDS)}"
        raise ValueError(f"unknown command {command!r}{hint}")
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    module = import_module(f".commands.{command}", __package__)
    code: int = module.run(rest)
    return code


def _overview() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {summary}" for name, summary in COMMANDS.items()]
    return "\n".join(
        (
            "usage: gymagine COMMAND [OPTIONS]",
            "",
            "Gymnasium agents that plan, learn and imagine.",
            "",
            "commands:",
            *lines,
            "",
            "gymagine COMMAND --help tells the options of each; gymagine train AGENT --help those",
            "of an agent. --traceback shows where an error comes from.",
            "",
            _EXAMPLES,
        )
    )


def _is_for_users(error: Exception) -> bool:
    """Whether the message says what to mend, rather than that the program is wrong."""
    if isinstance(error, ValueError | TypeError | OSError | ModuleNotFoundError):
        return True
    home = type(error).__module__.partition(".")[0]
    return home == "gymnasium" or type(error).__name__ == "RunFailedError"


def _complain(message: str) -> None:
    sys.stderr.write(f"gymagine: {' '.join(message.split())}\n")
