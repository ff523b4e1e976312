"""The folder that the training of a generator leaves behind, and how to read it back.

``runs/<data>/<family>/<seed>-<time>/`` holds

- ``config.json``: family, data, their options, the settings of training, seed, package versions,
  git commit, command line;
- ``status.json``: running, finished, failed (and why) or interrupted, and the updates taken;
- ``metrics.csv`` and TensorBoard events: losses, samples, reconstructions;
- ``results.json``: what the generator is worth on events that it has not seen, beside baselines;
- ``samples.png`` and other pictures;
- ``checkpoint/fit.safetensors``: all that training needs to go on bit for bit, and
  ``checkpoint/generator.safetensors``: the trained generator.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias

from ..storage import write_json
from .provenance import provenance
from .records import new_folder

if TYPE_CHECKING:
    from ..generative.data.dataset import Dataset
    from ..generative.family import AbstractFamily

__all__ = ["GenerationRecord", "GenerationSettings", "GenerationStatus"]

GenerationStatus: TypeAlias = Literal["running", "finished", "failed", "interrupted"]

_FORMAT = "gymagine-generation-1"


@dataclass(frozen=True)
class GenerationSettings:
    """Everything that the result depends on.

    Attributes:
        family: Name in the catalogue of generators.
        data: Name in the catalogue of data.
        seed: Of the first parameters, the batches and all noise.
        form: Of pictures; empty for data that have one form.
        conditional: Whether the classes are the context.
        hyperparameters: Of the family, defaults included; what JSON can hold.
        fit: Settings of training, defaults included.
    """

    family: str
    data: str
    seed: int = 0
    form: str = ""
    conditional: bool = False
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    fit: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class GenerationRecord:
    """A folder.

    Attributes:
        folder: Where it lies.
        settings: What was asked for.
    """

    folder: Path
    settings: GenerationSettings

    @classmethod
    def create(cls, root: str | os.PathLike[str], settings: GenerationSettings) -> Self:
        """A new folder with the configuration of training that begins."""
        parent = Path(root) / settings.data / settings.family
        folder = new_folder(parent, str(settings.seed))
        config = {
            "format": _FORMAT,
            **asdict(settings),
            "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            **provenance(),
        }
        write_json(folder / "config.json", config)
        record = cls(folder, settings)
        record.set_status("running", 0)
        return record

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> Self:
        """Read a folder; of one above several, the latest.

        Raises:
            FileNotFoundError: There is none.
            ValueError: Its configuration is damaged or foreign.
        """
        source = _latest(Path(folder))
        try:
            config = json.loads(source.read_text(encoding="utf-8"))
            if config["format"] != _FORMAT:
                raise ValueError(f"it is of format {config['format']!r}, not {_FORMAT!r}")
            settings = {entry.name: config[entry.name] for entry in fields(GenerationSettings)}
            return cls(source.parent, GenerationSettings(**settings))
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(
                f"expected the configuration of a generator's run, got {source}, which is damaged "
                f"or of another kind ({type(error).__name__}: {error})"
            ) from error

    @property
    def checkpoint(self) -> Path:
        """Of training; it exists from the first one on."""
        return self.folder / "checkpoint" / "fit.safetensors"

    @property
    def second_checkpoint(self) -> Path:
        """Of the second stage of training, where there is one."""
        return self.folder / "checkpoint" / "fit-second.safetensors"

    @property
    def generator_file(self) -> Path:
        """The trained generator; it exists in the end."""
        return self.folder / "checkpoint" / "generator.safetensors"

    @property
    def results_file(self) -> Path:
        """What the generator is worth; it exists once that is measured."""
        return self.folder / "results.json"

    @property
    def status(self) -> GenerationStatus:
        """How it stands; ``running`` also where it was killed."""
        found: GenerationStatus = json.loads((self.folder / "status.json").read_text())["status"]
        return found

    def set_status(
        self, status: GenerationStatus, num_updates: int, message: str | None = None
    ) -> None:
        """Write ``status.json``."""
        value = {"status": status, "num_updates": num_updates, "message": message}
        write_json(self.folder / "status.json", value)

    def load_data(self) -> Dataset:
        """The data, as the family takes them."""
        from .generation_data import data_for

        settings = self.settings
        return data_for(
            settings.family,
            settings.data,
            form=settings.form or None,
            conditional=settings.conditional,
        )

    def load_generator(self) -> AbstractFamily:
        """The trained generator.

        Raises:
            FileNotFoundError: It is not trained to the end yet.
            ValueError: The file is damaged.
        """
        from .generator_catalogue import generator_class

        return generator_class(self.settings.family).load(self.generator_file)


def _latest(folder: Path) -> Path:
    """The configuration in a folder, or the latest of those below it."""
    if (folder / "config.json").is_file():
        return folder / "config.json"
    found = sorted(folder.rglob("config.json"), key=lambda path: path.stat().st_mtime)
    own = [path for path in found if _is_of_generator(path)]
    if not own:
        raise FileNotFoundError(f"expected the run of a generator at {folder}, found none")
    return own[-1]


def _is_of_generator(path: Path) -> bool:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError):
        return False
    return isinstance(config, dict) and config.get("format") == _FORMAT
