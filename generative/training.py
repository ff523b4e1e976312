r"""One way to train every generator: minimise the mean of its loss over batches.

An update is a step of Adam (Kingma & Ba 2015) on

.. math:: \frac1B \sum_{i \in \text{batch}} \ell_\theta(x_i, c_i),

or a round of such steps for a generator with several phases. What may be added: a step size that
falls, clipping of the gradient's norm, an exponential moving average of the parameters
:math:`\bar\theta \leftarrow d\,\bar\theta + (1 - d)\,\theta`, compilation, mixed precision.

Every batch and all noise of an update are functions of the seed and the update's number, the step
size of the latter. Training that was cut and goes on from its checkpoint therefore ends with the
same bytes as training that was not. Where PyTorch's launcher has started several processes each
takes its share of every batch, and gradients are averaged (see `parallel_training`).

References:
    D. P. Kingma, J. Ba (2015), Adam: a method for stochastic optimization, arXiv:1412.6980.
    B. T. Polyak, A. B. Juditsky (1992), Acceleration of stochastic approximation by averaging,
        SIAM Journal on Control and Optimization 30(4).
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from ..configuration import config_to_json
from .arithmetic import learning_arithmetic
from .data.dataset import Dataset, Events
from .devices import device_named
from .family import AbstractFamily
from .fit_batches import FitBatches, NoiseStream
from .fit_checkpoint import FitProgress, data_fingerprint, read_checkpoint, write_checkpoint
from .fit_gradients import gradient_of
from .fit_settings import FitSettings, check_run, settings_for
from .generator import AbstractGenerator
from .module_state import module_arrays, optimiser_arrays, restore_module, restore_optimiser
from .parallel_training import (
    average_gradients,
    average_numbers,
    is_first_process,
    num_processes,
    share_state,
)
from .trainable import (
    AbstractAdjusted,
    AbstractInitialised,
    AbstractPhased,
    AbstractSettled,
    Phase,
)

__all__ = ["FitResult", "FitWatcher", "fit"]


@runtime_checkable
class FitWatcher(Protocol):
    """Is told how training goes: a logger, a drawer of samples."""

    def logged(self, update: int, scalars: Mapping[str, float]) -> None:
        """Means since the last time, and rates, by TensorBoard name."""

    def evaluated(self, update: int, generator: AbstractGenerator) -> None:
        """The parameters that were just evaluated; not to be changed."""


@dataclass(frozen=True)
class FitResult:
    """What came of training.

    Attributes:
        num_updates: Taken in all.
        losses: The last report's mean losses, by name.
        held_out_loss: Mean loss of held-out events (of those that evaluations take) under the
            parameters that the generator now holds; None without such events.
        best_update: After which these were reached, where training kept the best.
        stopped_early: Whether patience ended it.
        seconds: That this call took.
    """

    num_updates: int
    losses: dict[str, float]
    held_out_loss: float | None
    best_update: int | None
    stopped_early: bool
    seconds: float


def fit(
    generator: AbstractGenerator,
    data: Dataset | Tensor,
    *,
    seed: int = 0,
    watcher: FitWatcher | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_interval: int = 1_000,
    progress_bar: bool = False,
    initialise: bool = True,
    **settings: Any,
) -> FitResult:
    """Train a generator.

    Args:
        generator: It is trained in place, and then in evaluation mode.
        data: Events; a tensor of them alone has none held out.
        seed: Of the batches and all noise.
        watcher: Is told how it goes, in the first of several processes.
        checkpoint: A file to go on from, if there is one, and to write to.
        checkpoint_interval: Updates between two such files.
        progress_bar: Show a bar with the rate and the time left.
        initialise: Whether parameters may start from the data (`AbstractInitialised`); not where
            a trained generator goes on learning from other data.
        settings: Fields of `FitSettings`; those not given are the family's ``fit_defaults``, if it
            has them.

    Raises:
        TypeError: A setting is unknown, or generator or data are of another type.
        ValueError: A setting is out of range, or means nothing: patience with a game
            (`AbstractGame`) or without held-out events; events are outside the generator's support
            or of another shape, or contexts of another dtype than its parameters;
            the loss is not finite, so that training cannot go on; or the checkpoint is damaged, or
            of other settings or data, held-out ones and their preparation included.

    Example:
        >>> class Centre(AbstractGenerator):
        ...     def __init__(self):
        ...         super().__init__((2,))
        ...         self.mean = nn.Parameter(torch.zeros(2))
        ...     def _loss(self, x, context, rng):
        ...         return ((x - self.mean) ** 2).sum(dim=1)
        ...     def _sample(self, num, context, temperature, rng):
        ...         return self.mean.expand(num, 2)
        >>> centre = Centre()
        >>> x = torch.randn(500, 2, generator=torch.Generator().manual_seed(0)) + 3
        >>> fit(centre, x, num_updates=300, learning_rate=0.05).num_updates
        300
        >>> torch.allclose(centre.mean, x.mean(dim=0), atol=0.1)
        True
    """
    _check_types(generator, data)
    given = settings_for(generator, settings)
    check_run(seed, checkpoint_interval)
    dataset = data if isinstance(data, Dataset) else Dataset(Events(data))
    if given.patience is not None and dataset.held_out is None:
        raise ValueError(
            f"expected held-out events for a patience of {given.patience}, got data without any"
        )
    device, begun = device_named(given.device), time.perf_counter()
    with learning_arithmetic(given.num_threads), _own_noise(device):
        training = _Training(generator.to(device), dataset, given, seed, device)
        if checkpoint is not None:
            training.go_on_from(checkpoint)
        if initialise:
            training.initialise()
        training.run(watcher, checkpoint, checkpoint_interval, progress_bar)
    return training.result(time.perf_counter() - begun)


class _Training:
    """A generator with everything that moves it."""

    def __init__(
        self,
        generator: AbstractGenerator,
        data: Dataset,
        settings: FitSettings,
        seed: int,
        device: torch.device,
    ) -> None:
        self.generator, self._data, self._settings, self._seed = generator, data, settings, seed
        self.device = device
        self._batches = FitBatches(data, settings.batch_size, seed=seed, device=device)
        self._batches.check(generator)
        share_state(generator)
        self._phases = _phases_of(generator)
        self._optimisers = [settings.optimiser(list(phase.parameters)) for phase in self._phases]
        self._gradients = [
            gradient_of(
                phase,
                generator,
                device,
                compiled=settings.compile,
                mixed_precision=settings.mixed_precision,
            )
            for phase in self._phases
        ]
        self._average: AveragedModel | None = None
        if settings.average_decay is not None:
            average: Any = get_ema_multi_avg_fn  # which has no types
            self._average = AveragedModel(generator, multi_avg_fn=average(settings.average_decay))
        self._best: dict[str, NDArray[Any]] = {}
        self._progress = FitProgress()
        self._sums = torch.zeros(len(self._phases), device=self.device)

    # ---- files ----------------------------------------------------------------------------------

    def go_on_from(self, path: str | os.PathLike[str]) -> None:
        """Take over what a checkpoint holds, if there is one."""
        if not Path(path).exists():
            return
        found = read_checkpoint(path, self._fingerprint)
        restore_module(self.generator, found.part("generator"))
        for i, optimiser in enumerate(self._optimisers):
            restore_optimiser(optimiser, found.part(f"optimiser{i}"))
        if self._average is not None:
            restore_module(self._average, found.part("average"))
        self._best, self._progress = found.part("best"), found.progress
        self._sums.copy_(torch.tensor(found.progress.sums))

    def _write(self, path: str | os.PathLike[str]) -> None:
        self._progress.sums = self._sums.tolist()
        parts = {"generator": module_arrays(self.generator), "best": self._best}
        for i, optimiser in enumerate(self._optimisers):
            parts[f"optimiser{i}"] = optimiser_arrays(optimiser)
        if self._average is not None:
            parts["average"] = module_arrays(self._average)
        write_checkpoint(path, parts, self._progress, self._fingerprint)

    @cached_property
    def _fingerprint(self) -> dict[str, Any]:
        """What a checkpoint is made with; the data are gone through once."""
        made_with: dict[str, Any] = {
            "generator": type(self.generator).__name__,
            "settings": config_to_json(self._settings),
            "seed": self._seed,
            **data_fingerprint(self._data),
        }
        if isinstance(self.generator, AbstractFamily):
            made_with["hyperparameters"] = config_to_json(self.generator.config)
        if isinstance(self.generator, AbstractPhased):
            made_with["phases"] = [[p.name, p.updates, p.step_factor] for p in self._phases]
        return made_with

    # ---- training -------------------------------------------------------------------------------

    def initialise(self) -> None:
        """Let parameters start from data, unless training goes on."""
        if self._progress.update == 0 and isinstance(self.generator, AbstractInitialised):
            self.generator.train()
            self.generator.initialise(*self._batches.whole(0, NoiseStream.INITIALISATION))
            share_state(self.generator)

    def run(
        self,
        watcher: FitWatcher | None,
        checkpoint: str | os.PathLike[str] | None,
        checkpoint_interval: int,
        progress_bar: bool,
    ) -> None:
        """Update to the end, or until patience ends."""
        progress, settings = self._progress, self._settings
        reports = watcher if is_first_process() else None
        self.generator.train()
        bar = tqdm(
            total=settings.num_updates,
            initial=progress.update,
            unit="update",
            disable=not (progress_bar and is_first_process()),
        )
        with bar:
            while progress.update < settings.num_updates and not progress.stopped_early:
                self._update()
                bar.update()
                at = progress.update
                is_last = at == settings.num_updates
                if at % settings.log_interval == 0 or is_last:
                    self._report(reports, bar)
                if at % settings.evaluation_interval == 0 or is_last:
                    self._evaluate(reports)
                    is_last |= progress.stopped_early
                if checkpoint is not None and (at % checkpoint_interval == 0 or is_last):
                    self._check_finite()
                    if is_first_process():
                        self._write(checkpoint)
        self._keep()

    def _update(self) -> None:
        """One round of all phases."""
        progress, settings = self._progress, self._settings
        rate = settings.learning_rate_at(progress.update)
        turns = zip(self._phases, self._gradients, self._optimisers, strict=True)
        for i, (phase, gradient, optimiser) in enumerate(turns):
            for group in optimiser.param_groups:
                group["lr"] = rate * phase.step_factor
            for _ in range(phase.updates):
                x, context = self._batches.share(progress.batch)
                loss, found = gradient(x, context)
                self._step(phase.parameters, found, optimiser)
                self._sums[i] += loss / phase.updates
                progress.batch += 1
        if isinstance(self.generator, AbstractAdjusted):
            if num_processes() > 1:  # whose numbers would go apart
                x, context = self._batches.whole(progress.batch - 1, NoiseStream.ADJUSTMENT)
            self.generator.adjust(x, context, None)
        if self._average is not None:
            self._average.update_parameters(self.generator)
        progress.update += 1
        progress.summed += 1

    def _step(
        self,
        parameters: Sequence[nn.Parameter],
        gradients: Sequence[Tensor | None],
        optimiser: torch.optim.Optimizer,
    ) -> None:
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = _laid_out_as(parameter, gradient)
        average_gradients(parameters)
        if self._settings.max_grad_norm is not None:
            nn.utils.clip_grad_norm_(parameters, self._settings.max_grad_norm)
        optimiser.step()

    def _precision(self) -> torch.autocast:
        enabled = self._settings.mixed_precision
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=enabled)

    # ---- reports --------------------------------------------------------------------------------

    def _report(self, watcher: FitWatcher | None, bar: tqdm[Any]) -> None:
        self._check_finite()
        progress = self._progress
        means = (self._sums / progress.summed).tolist()
        names = [phase.name for phase in self._phases]
        progress.losses = dict(zip(names, means, strict=True))
        self._sums.zero_()
        progress.summed = 0
        bar.set_postfix({name: f"{mean:.4g}" for name, mean in progress.losses.items()})
        if watcher is not None:
            rate = self._settings.learning_rate_at(progress.update - 1)
            scalars = {f"train/{name}": mean for name, mean in progress.losses.items()}
            watcher.logged(progress.update, scalars | {"train/learning_rate": rate})

    def _check_finite(self) -> None:
        """Make sure that what was learnt is worth going on with, and writing.

        Raises:
            ValueError: It is not.
        """
        average_numbers(self._sums)  # a file has one process's, with which all go on
        if not self._sums.isfinite().all():
            raise ValueError(
                f"expected finite losses, got {self._sums.tolist()} within the last "
                f"{self._progress.summed} of {self._progress.update} updates: the learning rate "
                f"of {self._settings.learning_rate} may be too high, or gradients need clipping "
                "(max_grad_norm)"
            )
        named = dict(self.generator.named_parameters())
        finite = torch.stack([parameter.isfinite().all() for parameter in named.values()]).tolist()
        if not all(finite):
            first = list(named)[finite.index(False)]
            raise ValueError(
                f"expected finite parameters, got NaN or infinity in {first} after "
                f"{self._progress.update} updates with finite losses: the loss may have no finite "
                "gradient somewhere, as a root or a norm at 0 has none"
            )

    def _evaluate(self, watcher: FitWatcher | None) -> None:
        progress, evaluated = self._progress, self._evaluated()
        self._settle(evaluated)
        evaluated.eval()
        if self._data.held_out is not None:
            loss = self._held_out_loss(evaluated)
            progress.held_out_loss = loss
            if watcher is not None:
                watcher.logged(progress.update, {"eval/loss": loss})
            if loss < progress.best_loss:  # NaN is never better
                progress.best_loss, progress.best_update = loss, progress.update
                progress.evaluations_since = 0
                if self._settings.patience is not None:
                    self._best = module_arrays(evaluated)
            else:
                progress.evaluations_since += 1
                patience = self._settings.patience
                progress.stopped_early = patience is not None and (
                    progress.evaluations_since >= patience
                )
        if watcher is not None:
            watcher.evaluated(progress.update, evaluated)
        self.generator.train()

    def _settle(self, evaluated: AbstractGenerator) -> None:
        """Let statistics follow the parameters that are evaluated."""
        if isinstance(evaluated, AbstractSettled):
            evaluated.settle(*self._batches.settling(self._progress.update), None)
            share_state(evaluated)

    def _held_out_loss(self, generator: AbstractGenerator) -> float:
        """The mean, with the same noise in every evaluation."""
        total, num = 0.0, 0
        with torch.no_grad():
            for x, context in self._batches.held_out(self._settings.held_out_events):
                with self._precision():
                    total += float(generator.loss(x, context).double().sum())
                num += len(x)
        return total / num

    def _evaluated(self) -> AbstractGenerator:
        """The generator of which the averages, if any, are the parameters."""
        evaluated = self.generator if self._average is None else self._average.module
        assert isinstance(evaluated, AbstractGenerator)
        return evaluated

    def _keep(self) -> None:
        """Let the generator hold the best or the averaged parameters."""
        kept = self._best or module_arrays(self._evaluated())
        restore_module(self.generator, kept)
        self.generator.eval()

    def result(self, seconds: float) -> FitResult:
        """What came of it."""
        progress = self._progress
        keeps_best = bool(self._best)
        return FitResult(
            num_updates=progress.update,
            losses=dict(progress.losses),
            held_out_loss=progress.best_loss if keeps_best else progress.held_out_loss,
            best_update=progress.best_update if keeps_best else None,
            stopped_early=progress.stopped_early,
            seconds=seconds,
        )


def _check_types(generator: object, data: object) -> None:
    if not isinstance(generator, AbstractGenerator):
        raise TypeError(f"expected an AbstractGenerator to fit, got {type(generator).__name__}")
    if not isinstance(data, Dataset | Tensor):
        raise TypeError(f"expected a Dataset or a Tensor to fit to, got {type(data).__name__}")


def _laid_out_as(parameter: nn.Parameter, gradient: Tensor | None) -> Tensor | None:
    """The gradient in the parameter's memory layout, which backward() would have given it.

    PyTorch's fused optimisers walk through both in memory order: a convolution's gradient with
    channels last would move the wrong weights, without a word.
    """
    if gradient is None or gradient.stride() == parameter.stride():
        return gradient
    return torch.empty_like(parameter).copy_(gradient)


def _phases_of(generator: AbstractGenerator) -> Sequence[Phase]:
    if isinstance(generator, AbstractPhased):
        return generator.phases()
    parameters = [parameter for parameter in generator.parameters() if parameter.requires_grad]
    # all events were looked at before: ``loss`` would do it again in every update
    return [Phase("loss", generator._loss, parameters)]


@contextmanager
def _own_noise(device: torch.device) -> Iterator[None]:
    """PyTorch's own generators are put back afterwards."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        yield
