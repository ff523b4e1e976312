"""Training a generator on data and measuring it, with a record that it can go on from.

from gymagine.experiments.generation import generate
result = generate("spline-flow", "moons", num_updates=2_000)
result.record.folder                                          # pictures, TensorBoard, files
result.results.likelihoods                                    # its own, and those of baselines
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from stable_baselines3.common.logger import Logger

from ..configuration import config_to_json
from ..generative.arithmetic import acting_arithmetic
from ..generative.data.dataset import Dataset
from ..generative.devices import device_named
from ..generative.family import AbstractFamily
from ..generative.fit_checkpoint import updates_in
from ..generative.fit_settings import check_run, settings_for
from ..generative.parallel_training import check_share, from_first_process, is_first_process
from ..generative.trainable import AbstractTwoStage
from ..generative.training import FitResult, FitWatcher, fit
from .folder_lock import folder_lock
from .generation_data import check_likelihood, data_for, likelihood_for
from .generation_measuring import measure
from .generation_records import GenerationRecord, GenerationSettings
from .generation_results import GenerationResults, Measuring
from .generation_watching import GenerationWatcher, write_pictures
from .generator_catalogue import generator_class
from .scalars import record_hyperparameters, run_logger

__all__ = ["GenerationResult", "generate", "resume_generation"]

_USUAL = Measuring()


@dataclass(frozen=True)
class GenerationResult:
    """What came of training.

    Attributes:
        record: The folder.
        generator: Trained.
        fit: How training went; of two stages, the first.
        results: What the generator is worth; None where it was not to be measured.
    """

    record: GenerationRecord
    generator: AbstractFamily
    fit: FitResult
    results: GenerationResults | None


def generate(
    family: str,
    data: str,
    *,
    seed: int = 0,
    form: str | None = None,
    conditional: bool = False,
    hyperparameters: Mapping[str, Any] | None = None,
    folder: str | os.PathLike[str] = "runs",
    measuring: Measuring | None = _USUAL,
    checkpoint_interval: int = 500,
    progress_bar: bool = False,
    console: bool = False,
    **settings: Any,
) -> GenerationResult:
    """Train a generator and record the run.

    Of several processes in a group (see `parallel_training`) each trains on its share; the first
    alone writes, shows and measures.

    Args:
        family: Its name (``gymagine list generators``).
        data: The data's name.
        seed: Of the first parameters, the batches and all noise.
        form: Of pictures; None is the family's usual one.
        conditional: Take the classes as context.
        hyperparameters: Of the family, where they are not its defaults.
        folder: Where runs are kept.
        measuring: How much to spend on it in the end; None does not measure.
        checkpoint_interval: Updates between two checkpoints.
        progress_bar: Show a bar.
        console: Print the logger's tables.
        settings: Of training (see `fit`); the family's defaults where they are not given.

    Raises:
        TypeError: A hyper-parameter or a setting is unknown.
        ValueError: A name is unknown, or a value out of range.
    """
    check_run(seed, checkpoint_interval)
    found = data_for(family, data, form=form, conditional=conditional)
    chosen = likelihood_for(family, found) | dict(hyperparameters or {})
    generator = _new_generator(family, found, seed, chosen)
    check_likelihood(generator, found)
    given = settings_for(generator, settings)
    device_named(given.device)  # before there is a folder
    check_share(min(given.batch_size, len(found.train)))
    described = GenerationSettings(
        family=family,
        data=data,
        seed=seed,
        form=form or "",
        conditional=conditional,
        hyperparameters=config_to_json(generator.config),
        fit=config_to_json(given),
    )
    name = from_first_process(lambda: str(GenerationRecord.create(folder, described).folder))
    return _train(
        GenerationRecord(Path(name), described),
        generator,
        found,
        measuring=measuring,
        checkpoint_interval=checkpoint_interval,
        progress_bar=progress_bar,
        console=console,
    )


def resume_generation(
    record: GenerationRecord,
    *,
    measuring: Measuring | None = _USUAL,
    checkpoint_interval: int = 500,
    progress_bar: bool = False,
    console: bool = False,
) -> GenerationResult:
    """Go on with a run that was interrupted or killed, from its last checkpoint.

    Args:
        record: The run.
        measuring: How much to spend on it in the end; None does not measure.
        checkpoint_interval: Updates between two checkpoints.
        progress_bar: Show a bar.
        console: Print the logger's tables.
    """
    settings = record.settings
    data = record.load_data()
    generator = _new_generator(settings.family, data, settings.seed, settings.hyperparameters)
    return _train(
        record,
        generator,
        data,
        measuring=measuring,
        checkpoint_interval=checkpoint_interval,
        progress_bar=progress_bar,
        console=console,
    )


def _new_generator(
    family: str, data: Dataset, seed: int, hyperparameters: Mapping[str, Any]
) -> AbstractFamily:
    """A generator whose first parameters are the seed's."""
    make: Any = generator_class(family)
    example = data.train.take(slice(0, 1))
    context_shape = None if example.context is None else tuple(example.context.shape[1:])
    lists = {key: tuple(v) if isinstance(v, list) else v for key, v in hyperparameters.items()}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        event_shape = tuple(data.prepared(example.x).shape[1:])
        made: AbstractFamily = make(event_shape, context_shape=context_shape, **lists)
    return made


def _train(
    record: GenerationRecord,
    generator: AbstractFamily,
    data: Dataset,
    *,
    measuring: Measuring | None,
    checkpoint_interval: int,
    progress_bar: bool,
    console: bool,
) -> GenerationResult:
    settings = record.settings
    if not is_first_process():
        trained = _fitted(record, generator, data, None, checkpoint_interval, progress_bar=False)
        return GenerationResult(record, generator, trained, None)
    resumed_at = updates_in(record.checkpoint) if record.checkpoint.exists() else None
    with (
        folder_lock(record.folder),
        run_logger(record.folder, resumed_at=resumed_at, console=console) as logger,
    ):
        if resumed_at is None:
            _record_hyperparameters(logger, record)
        watcher = GenerationWatcher(logger, data, seed=settings.seed)
        try:
            trained = _fitted(
                record, generator, data, watcher, checkpoint_interval, progress_bar=progress_bar
            )
            generator.save(record.generator_file)
            results = _looked_at(record, generator, data, trained, watcher, logger, measuring)
        except KeyboardInterrupt:
            record.set_status("interrupted", _updates(record.checkpoint))
            raise
        except ValueError as error:
            record.set_status("failed", _updates(record.checkpoint), str(error))
            raise
    record.set_status("finished", trained.num_updates)
    return GenerationResult(record, generator, trained, results)


def _fitted(
    record: GenerationRecord,
    generator: AbstractFamily,
    data: Dataset,
    watcher: FitWatcher | None,
    checkpoint_interval: int,
    *,
    progress_bar: bool,
) -> FitResult:
    """Train all stages; what came of the first."""
    usual: dict[str, Any] = {
        "seed": record.settings.seed,
        "checkpoint_interval": checkpoint_interval,
        "progress_bar": progress_bar,
        **record.settings.fit,
    }
    trained = fit(generator, data, watcher=watcher, checkpoint=record.checkpoint, **usual)
    if isinstance(generator, AbstractTwoStage):
        generator.fit_second(data, checkpoint=record.second_checkpoint, **usual)
    return trained


def _looked_at(
    record: GenerationRecord,
    generator: AbstractFamily,
    data: Dataset,
    trained: FitResult,
    watcher: GenerationWatcher,
    logger: Logger,
    measuring: Measuring | None,
) -> GenerationResults | None:
    """Pictures of what was trained, and what it is worth, unless a file says so already."""
    settings = record.settings
    if record.results_file.exists():
        return GenerationResults.read(record.results_file)
    with acting_arithmetic(settings.fit["num_threads"]):
        write_pictures(watcher.pictures(generator), record.folder)
        if measuring is None:
            return None
        untrained = _new_generator(settings.family, data, settings.seed, settings.hyperparameters)
        results = measure(
            generator,
            untrained.to(generator.example.device).eval(),
            data,
            trained,
            family=settings.family,
            form=settings.form or None,
            seed=settings.seed,
            measuring=measuring,
            folder=record.folder.resolve().parents[1],
        )
    for name, value in results.scalars().items():
        logger.record(name, value)
    logger.record("time/total_timesteps", trained.num_updates, exclude="tensorboard")
    logger.dump(trained.num_updates)
    results.write(record.results_file)
    return results


def _record_hyperparameters(logger: Logger, record: GenerationRecord) -> None:
    settings = record.settings
    shown = {
        "family": settings.family,
        "data": settings.data,
        "form": settings.form,
        "seed": settings.seed,
        **settings.fit,
        **settings.hyperparameters,
    }
    record_hyperparameters(logger, shown)


def _updates(checkpoint: Path) -> int:
    return updates_in(checkpoint) if checkpoint.exists() else 0
