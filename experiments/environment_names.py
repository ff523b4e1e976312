"""Environments written as text: an id, and after ``@`` the options it is made with.

``FrozenLake-v1@is_slippery=false,map_name=8x8`` is one word for a shell, a row label for a table
and, with the few characters that file systems dislike replaced, a folder name. Values are read as
JSON where they are JSON (``false``, ``3``, ``[1, 2]``) and as plain text where they are not. Two
options are not the environment's: ``bins`` cuts continuous observations, so that tables can learn
from ``CartPole-v1@bins=10``, and ``preprocessing`` names wrappers that hyper-parameters count on,
as ``ALE/Pong-v5@preprocessing=atari``. As it is part of the name, whoever evaluates, watches or
goes on with a run makes the same environment again; where agents are evaluated in another than
they learn in (`EnvironmentName.for_evaluation`), that has a name as well.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import gymnasium

__all__ = ["PREPROCESSINGS", "EnvironmentName", "folder_name", "parse_options"]

_PREPROCESSING = "preprocessing"
PREPROCESSINGS: Mapping[str, str] = {
    "none": "as the environment is",
    "atari": "84x84 grey frames, each of 4 with one action, in stacks of 4; to learn, an episode "
    "is a life and rewards are clipped to [-1, 1]; evaluations play whole games for their own "
    "rewards",
    "atari-evaluation": "the same, with whole games and their own rewards",
}
"""What the option ``preprocessing`` may be, and what that does."""

_EVALUATION = {"atari": "atari-evaluation"}
_MODULES = {"ALE": "ale_py"}  # namespaces that are registered when their module is imported


@dataclass(frozen=True)
class EnvironmentName:
    """An environment's id and the keyword arguments it is made with.

    Attributes:
        id: As registered with Gymnasium; ``module:Name-v0`` imports the module first.
        options: What `gymnasium.make` is given besides.
    """

    id: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str, options: Iterable[str] = ()) -> EnvironmentName:
        """Read ``ID`` or ``ID@key=value,key=value``, and further options on top.

        Raises:
            ValueError: An option has no ``=``.

        Example:
            >>> EnvironmentName.parse("FrozenLake-v1@is_slippery=false,map_name=8x8")
            EnvironmentName(id='FrozenLake-v1', options={'is_slippery': False, 'map_name': '8x8'})
        """
        env_id, _, listed = text.partition("@")
        return cls(env_id, {**parse_options(_split(listed)), **parse_options(options)})

    @property
    def label(self) -> str:
        """The text that `parse` reads."""
        if not self.options:
            return self.id
        return f"{self.id}@" + ",".join(f"{key}={_text(v)}" for key, v in self.options.items())

    @property
    def for_evaluation(self) -> EnvironmentName:
        """Where agents are evaluated that learn in this one: the same, or its whole games."""
        kind = self.options.get(_PREPROCESSING)
        if not isinstance(kind, str) or kind not in _EVALUATION:
            return self
        return EnvironmentName(self.id, {**self.options, _PREPROCESSING: _EVALUATION[kind]})

    def preprocessed(self, kind: str) -> EnvironmentName:
        """The same with wrappers of this name, unless others are named already.

        Args:
            kind: ``atari``, or empty for none.

        Raises:
            ValueError: The name asks for no wrappers.
        """
        if kind and self.options.get(_PREPROCESSING) == "none":
            raise ValueError(
                f"expected {_PREPROCESSING}={kind}, which the preset counts on, got "
                f"{_PREPROCESSING}=none; leave it out, or the presets"
            )
        if not kind or _PREPROCESSING in self.options:
            return self
        return EnvironmentName(self.id, {**self.options, _PREPROCESSING: kind})

    def make(self, *, render_mode: str | None = None) -> gymnasium.Env[Any, Any]:
        """A new environment.

        The option ``bins`` is `discretize`'s, not the environment's, and ``preprocessing`` is
        ``none``, ``atari`` (see `preprocess_atari`) or ``atari-evaluation``.

        Raises:
            ValueError: The id is not registered (the nearest is named), or the environment does
                not take these options.
        """
        from gymnasium.error import Error

        from ..envs.discretize import discretize
        from ..envs.environments import make_env

        spec = _find_spec(self.id)
        kwargs = {**spec.kwargs, **self.options}
        bins, kind = kwargs.pop("bins", None), kwargs.pop(_PREPROCESSING, "none")
        if render_mode is not None:
            kwargs["render_mode"] = render_mode
        try:
            if kind == "none":
                env = make_env(dataclasses.replace(spec, kwargs=kwargs))
            else:
                env = _preprocessed(kind, spec, kwargs, self.options)
        except Exception as error:  # whatever its constructor raises: a map that is not known
            kind = "" if isinstance(error, ValueError | Error) else f"{type(error).__name__}: "
            wrong = ", ".join(f"{key}={_text(value)}" for key, value in self.options.items())
            given = f" with {wrong}" if wrong else ""
            raise ValueError(f"{self.id} cannot be made{given}: {kind}{error}") from error
        return env if bins is None else discretize(env, bins=bins)


def parse_options(texts: Iterable[str]) -> dict[str, Any]:
    """Options from ``key=value`` texts.

    Raises:
        ValueError: A text has no ``=``.

    Example:
        >>> parse_options(["is_slippery=false", "map_name=8x8", "reward=-1.5"])
        {'is_slippery': False, 'map_name': '8x8', 'reward': -1.5}
    """
    options: dict[str, Any] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not (key and equals):
            raise ValueError(f"expected an option as key=value, got {text!r}")
        try:
            options[key] = json.loads(value)
        except json.JSONDecodeError:
            options[key] = {"True": True, "False": False, "None": None}.get(value, value)
    return options


def folder_name(name: str) -> str:
    """The name as one folder on any file system.

    Example:
        >>> folder_name("gymagine/GridWorld-v0"), folder_name("sb3:dqn")
        ('gymagine-GridWorld-v0', 'sb3-dqn')
    """
    return re.sub(r"[^A-Za-z0-9._=,@-]+", "-", name).strip("-.") or "unnamed"


def _split(listed: str) -> list[str]:
    # a comma inside brackets belongs to the value: desc=["SF","HG"]
    parts = re.split(r",(?![^\[]*\])(?![^{]*\})", listed)
    return [part for part in parts if part]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _preprocessed(
    kind: Any,
    spec: gymnasium.envs.registration.EnvSpec,
    kwargs: dict[str, Any],
    options: Mapping[str, Any],
) -> gymnasium.Env[Any, Any]:
    """An environment with the wrappers of this name."""
    if not isinstance(kind, str) or kind not in PREPROCESSINGS:
        raise ValueError(f"expected one of {', '.join(PREPROCESSINGS)}, got {kind!r}")
    from ..envs.atari import ATARI_OPTIONS, is_atari, preprocess_atari
    from ..envs.environments import make_env

    if not is_atari(spec):
        raise ValueError("expected a game of the Arcade Learning Environment")
    for name, value in ATARI_OPTIONS.items():
        if options.get(name, value) != value:
            raise ValueError(f"expected {name}={_text(value)}, as the wrapper repeats actions")
    made = make_env(dataclasses.replace(spec, kwargs={**kwargs, **ATARI_OPTIONS}))
    return preprocess_atari(made, evaluating=kind in _EVALUATION.values())


def _find_spec(env_id: str) -> gymnasium.envs.registration.EnvSpec:
    import gymnasium
    from gymnasium.error import Error, NamespaceNotFound

    from .catalogue import suggestion

    module = _MODULES.get(env_id.partition("/")[0])
    try:
        if module is not None:
            import_module(module)
        return gymnasium.spec(env_id) if ":" not in env_id else _find_in_module(env_id)
    except (NamespaceNotFound, ImportError) as error:
        raise ValueError(f"unknown environment {env_id!r}: {error}") from error
    except Error as error:
        module, colon, name = env_id.rpartition(":")
        hint = suggestion(name, gymnasium.registry) or f": {error}"
        if colon and "did you mean " in hint:
            hint = hint.replace("did you mean ", f"did you mean {module}:")
        raise ValueError(f"unknown environment {env_id!r}{hint}") from error


def _find_in_module(env_id: str) -> gymnasium.envs.registration.EnvSpec:
    import gymnasium

    module, _, name = env_id.partition(":")
    import_module(module)
    return gymnasium.spec(name)
