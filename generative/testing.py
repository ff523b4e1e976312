"""Laws that every generator keeps, to be called from anyone's tests.

A generator is held to the contract of `generator`: shapes, arguments that are refused, noise from
the given source alone, nothing changed by looking, a gradient for every parameter, a context that
matters, files, 64-bit arithmetic; and, where it has a likelihood, to probability theory.

Example:
    >>> import torch
    >>> from torch import nn
    >>> from gymagine.generative.generator import AbstractDensity
    >>> class Gaussian(AbstractDensity):
    ...     def __init__(self):
    ...         super().__init__((2,))
    ...         self.mean = nn.Parameter(torch.zeros(2))
    ...         self.log_sigma = nn.Parameter(torch.zeros(2))
    ...     def _log_prob(self, x, context):
    ...         normal = torch.distributions.Normal(self.mean, self.log_sigma.exp())
    ...         return normal.log_prob(x).sum(dim=1)
    ...     def _loss(self, x, context, rng):
    ...         return -self._log_prob(x, context)
    ...     def _sample(self, num, context, temperature, rng):
    ...         noise = torch.randn(num, 2, generator=rng, dtype=self.mean.dtype)
    ...         return self.mean + temperature * self.log_sigma.exp() * noise
    >>> check_generator(Gaussian(), torch.randn(8, 2))
"""

from __future__ import annotations

import copy
import math
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from .family import AbstractFamily
from .generator import AbstractBound, AbstractDensity, AbstractGenerator, AbstractLatent
from .module_state import load_state, save_state
from .probability_laws import (
    check_bound,
    check_density,
    check_dependencies,
    check_frequencies,
    check_latents,
    check_rows,
    check_total_bound,
    check_total_probability,
    check_transform,
    enumerated_events,
    num_events,
)
from .trainable import AbstractPhased

__all__ = [
    "check_arguments",
    "check_bound",
    "check_context",
    "check_density",
    "check_dependencies",
    "check_determinism",
    "check_double",
    "check_files",
    "check_frequencies",
    "check_generator",
    "check_gradients",
    "check_latents",
    "check_nothing_changes",
    "check_rows",
    "check_samples",
    "check_total_bound",
    "check_total_probability",
    "check_transform",
    "check_units",
    "enumerated_events",
]

_MOST_EVENTS = 1 << 13  # that are enumerated
_MOST_ENTRIES = 3  # over which a density is integrated


def check_generator(
    generator: AbstractGenerator,
    x: Tensor,
    context: Tensor | None = None,
    *,
    seed: int = 0,
    follows_density: bool = True,
    is_random: bool = True,
) -> None:
    """Hold a generator to every law of this module that its capabilities let it be held to.

    Args:
        generator: Untrained or trained; it is copied, not changed. A few hundred updates of `fit`
            let more be seen: parameters near 0 hide a variance that is taken for a deviation, or
            components that are drawn alike.
        x: (B, *event) at least two events in its support.
        context: (B, *context), if it takes one; not all alike.
        seed: Of all that is drawn.
        follows_density: Whether samples are meant to lie where ``log_prob`` says; not those that
            are guided, for one.
        is_random: Whether draws differ by ``rng`` and temperature; not those of a regression,
            which are means.

    Raises:
        AssertionError: A law is broken; the message says which, and what to mend.
        TypeError: There is no generator.
        ValueError: Events or contexts do not fit it, are one only, or are all alike.
    """
    if not isinstance(generator, AbstractGenerator):
        raise TypeError(f"expected an AbstractGenerator, got {type(generator).__name__}")
    for name, rows in (("events", x), ("contexts", context)):
        if rows is not None and (len(rows) < 2 or bool((rows == rows[:1]).all())):
            raise ValueError(
                f"expected at least 2 {name} to check with, not all alike, got {len(rows)}"
                f"{', all alike' if len(rows) > 1 else ''}"
            )
    generator = disturbed(generator, seed)
    check_arguments(generator, x, context)
    check_samples(generator, x, context, seed=seed)
    check_nothing_changes(generator, x, context, seed=seed)
    check_determinism(generator, x, context, seed=seed, is_random=is_random)
    check_units(generator, x, context, seed=seed)
    check_gradients(generator, x, context, seed=seed)
    check_context(generator, x, context, seed=seed)
    check_files(generator, x, context, seed=seed)
    check_double(generator, x, context, seed=seed)
    if isinstance(generator, AbstractDensity):
        check_rows(generator, x, context)
        if num_events(generator) <= _MOST_EVENTS:
            check_total_probability(generator, context)
            if follows_density:
                check_frequencies(generator, context, seed=seed)
        elif generator.num_entries <= _MOST_ENTRIES and not generator.support.is_discrete:
            check_density(generator, context, seed=seed, with_samples=follows_density)
    if isinstance(generator, AbstractBound):
        check_bound(generator, x, context, seed=seed)
        check_total_bound(generator, context, seed=seed)
    if isinstance(generator, AbstractLatent):
        check_latents(generator, x, context, seed=seed)


# ---- the contract -------------------------------------------------------------------------------


def check_arguments(generator: AbstractGenerator, x: Tensor, context: Tensor | None) -> None:
    """Wrong shapes, a missing or unwanted context and impossible numbers are ValueErrors."""
    wider = torch.cat([x, x], dim=-1)
    _refuses(lambda: generator.loss(wider, context), "loss", f"events of {tuple(wider.shape)}")
    other = torch.zeros(len(x), 1) if context is None else None
    said = "no context" if other is None else "a context although it takes none"
    _refuses(lambda: generator.loss(x, other), "loss", said)
    _refuses(lambda: generator.sample(2, other), "sample", said)
    if context is not None:
        fewer = context[1:]
        _refuses(lambda: generator.loss(x, fewer), "loss", "fewer contexts than events")
    _refuses(lambda: generator.sample(0, context), "sample", "num=0")
    for temperature in (-1.0, math.nan):
        _refuses(
            lambda t=temperature: generator.sample(1, context, temperature=t),  # type: ignore[misc]  # a bound default
            "sample",
            f"temperature={temperature}",
        )
    generator.check_events(x, context)


def check_samples(
    generator: AbstractGenerator, x: Tensor, context: Tensor | None, *, seed: int = 0
) -> None:
    """Losses are (B,) and finite; samples are of the event's shape and dtype, in the support."""
    loss = generator.loss(x, context, rng=_rng(x, seed))
    _require(loss.shape == (len(x),), f"loss: expected shape ({len(x)},), got {tuple(loss.shape)}")
    _require(bool(loss.isfinite().all()), f"loss: expected finite numbers, got {loss.tolist()}")
    contexts = () if context is None else (len(context),)
    rows = 3 if context is None else len(context)
    for temperature in (1.0, 0.5, 0.0):
        place = f"sample at temperature {temperature}"
        with torch.no_grad():
            drawn = generator._sample(rows, context, temperature, _rng(x, seed))
        expected = (rows, *generator.event_shape)
        _require(
            tuple(drawn.shape) == expected,
            f"{place}: expected _sample to give shape {expected}, an event for each of {rows}, "
            f"got {tuple(drawn.shape)}",
        )
        drawn = generator.sample(3, context, temperature=temperature, rng=_rng(x, seed))
        _require(drawn.dtype == x.dtype, f"{place}: expected {x.dtype}, got {drawn.dtype}")
        _require(not drawn.requires_grad, f"{place}: expected no gradient")
        try:
            generator.check_events(
                drawn.flatten(0, len(contexts)),
                None if context is None else context.repeat(3, *[1] * (context.dim() - 1)),
            )
        except ValueError as error:
            raise AssertionError(f"{place}: {error}") from error


def check_determinism(
    generator: AbstractGenerator,
    x: Tensor,
    context: Tensor | None,
    *,
    seed: int = 0,
    is_random: bool = True,
) -> None:
    """Equal generators of noise give equal results, other ones others, and no other is used."""
    for name, call in _calls(generator, x, context):
        with _global_noise_untouched(name):
            first, again = call(_rng(x, seed)), call(_rng(x, seed))
        _require(
            torch.equal(first, again),
            f"{name}: expected the same from an equal rng, got something else: is noise of NumPy "
            "or Python used, or something remembered from call to call?",
        )
    if not is_random:
        return
    one, other = (generator.sample(4, context, rng=_rng(x, seed + i)) for i in range(2))
    _require(
        not torch.equal(one, other),
        "sample: expected others from another rng, got the same: is the rng passed to every draw?",
    )
    one, other = (
        generator.sample(64, context, temperature=t, rng=_rng(x, seed)) for t in (1.0, 0.0)
    )
    _require(
        not torch.equal(one, other),
        "sample: expected others at temperature 0 than at 1, got the same: is temperature used?",
    )


def check_units(
    generator: AbstractGenerator, x: Tensor, context: Tensor | None, *, seed: int = 0
) -> None:
    """A loss is an event's own and, if it is a likelihood, in nats of the whole event."""
    num = generator.num_entries
    first = None if context is None else context[:1].repeat(len(x), *[1] * (context.dim() - 1))
    with torch.no_grad():
        loss = generator.loss(x, context, rng=_rng(x, seed))
        # the same noise in each place: what the other events are must not show
        alike = x[:1].repeat(len(x), *[1] * (x.dim() - 1))
        other = generator.loss(alike, first, rng=_rng(x, seed))
        _require(
            bool(torch.isclose(other[0], loss[0], rtol=1e-3, atol=1e-3)),
            f"loss: expected that of an event to be its own, got {float(loss[0]):.6g} or "
            f"{float(other[0]):.6g} by what else is in the batch: is a mean over the batch taken?",
        )
        if num == 1:
            return
        for name, call in _calls(generator, x, context):
            if name in ("log_prob", "log_prob_bound"):
                mean = -call(_rng(x, seed)) / num
                _require(
                    not torch.allclose(loss, mean, rtol=1e-4, atol=1e-6),
                    f"loss: expected nats of events, got -{name} / {num}: take the sum over the "
                    f"{num} entries of an event, not the mean",
                )


def check_nothing_changes(
    generator: AbstractGenerator, x: Tensor, context: Tensor | None, *, seed: int = 0
) -> None:
    """No call changes a parameter, a buffer or its arguments.

    What no gradient moves, `AbstractAdjusted.adjust` may change.
    """
    given = {"x": x} if context is None else {"x": x, "context": context}
    for training in (True, False):
        generator.train(training)
        for name, call in _calls(generator, x, context):
            before = {
                key: value.clone() for key, value in {**given, **generator.state_dict()}.items()
            }
            with warnings.catch_warnings(record=True):  # that training is not done is known
                call(_rng(x, seed))
            for key, value in {**given, **generator.state_dict()}.items():
                _require(
                    torch.equal(value, before[key]),
                    f"{name}: expected {key} as it was, got it changed: is something done in "
                    "place, or in the forward pass that belongs into adjust?",
                )


def check_gradients(
    generator: AbstractGenerator, x: Tensor, context: Tensor | None, *, seed: int = 0
) -> None:
    """Every parameter plays a part in some loss."""
    generator.train()
    named = {name: p for name, p in generator.named_parameters() if p.requires_grad}
    _require(bool(named), "expected parameters to learn, got none")
    total = generator.loss(x, context, rng=_rng(x, seed)).sum()
    if isinstance(generator, AbstractPhased):
        for phase in generator.phases():
            total = total + phase.loss(x, context, _rng(x, seed)).sum()
    found = torch.autograd.grad(total, list(named.values()), allow_unused=True)
    for name, gradient in zip(named, found, strict=True):
        _require(
            gradient is not None and bool((gradient != 0).any()),
            f"loss: expected a gradient of {name}, got none: is it used?",
        )
        _require(bool(gradient.isfinite().all()), f"loss: expected a finite gradient of {name}")
    generator.eval()


def check_context(
    generator: AbstractGenerator, x: Tensor, context: Tensor | None, *, seed: int = 0
) -> None:
    """The loss depends on every number of the context, and so do samples."""
    if context is None:
        return
    varied = context.detach().clone().requires_grad_()
    losses = [generator.loss(x, varied, rng=_rng(x, seed)).sum()]
    if isinstance(generator, AbstractPhased):
        losses += [p.loss(x, varied, _rng(x, seed)).sum() for p in generator.phases()]
    (slope,) = torch.autograd.grad(torch.stack(losses).sum(), [varied])
    silent = (slope == 0).all(dim=0)
    _require(
        not bool(silent.any()),
        f"loss: expected every number of the context to matter, got no effect of "
        f"{silent.nonzero().tolist()[:5]}",
    )
    # many, for those of small discrete events may agree by chance
    one, other = (generator.sample(64, c, rng=_rng(x, seed)) for c in (context, context.flip(0)))
    _require(not torch.equal(one, other), "sample: expected others from another context")


def check_files(
    generator: AbstractGenerator, x: Tensor, context: Tensor | None, *, seed: int = 0
) -> None:
    """What is saved and loaded gives the same."""
    for place, module in generator.named_modules():
        for name, value in vars(module).items():
            _require(
                not isinstance(value, Tensor),
                f"expected tensors as parameters or buffers, got {place + '.' if place else ''}"
                f"{name}: it is not saved, nor moved to a device; register_buffer it",
            )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "generator"
        save_state(generator, path)
        others = [disturbed(generator, seed + 1)]
        load_state(others[0], path)
        if isinstance(generator, AbstractFamily):
            generator.save(path)
            loaded = type(generator).load(path)
            dtype = generator.example.dtype
            others.append(loaded if loaded.example.dtype == dtype else loaded.to(dtype))
    for other in others:
        for (name, call), (_, same) in zip(
            _calls(generator.eval(), x, context), _calls(other.eval(), x, context), strict=True
        ):
            _require(
                torch.equal(call(_rng(x, seed)), same(_rng(x, seed))),
                f"{name}: expected the same after saving and loading: is a number kept outside "
                "parameters and buffers?",
            )


def check_double(
    generator: AbstractGenerator, x: Tensor, context: Tensor | None, *, seed: int = 0
) -> None:
    """A generator in 64 bits takes and gives 64 bits."""
    double = copy.deepcopy(generator).double()
    own = x.double() if x.is_floating_point() else x
    contexts = None if context is None else context.double()
    for name, call in _calls(double, own, contexts):
        try:
            found = call(_rng(x, seed))
        except RuntimeError as error:
            raise AssertionError(
                f"{name} in 64 bits: {error}: is a tensor made without its dtype and device?"
            ) from error
        if name in ("encode", "decode") and not found.is_floating_point():
            continue
        expected = own.dtype if name == "sample" else torch.float64
        _require(
            found.dtype == expected, f"{name} in 64 bits: expected {expected}, got {found.dtype}"
        )
    if isinstance(double, AbstractDensity) and isinstance(generator, AbstractDensity):
        torch.testing.assert_close(
            double.log_prob(own, contexts),
            generator.log_prob(x, context).double(),
            rtol=1e-3,
            atol=1e-3,
            msg=lambda text: f"log_prob in 64 bits is not that in 32: {text}",
        )


def disturbed(generator: AbstractGenerator, seed: int) -> AbstractGenerator:
    """A copy with noise on its parameters: layers that start at zero hide what lies behind."""
    own = copy.deepcopy(generator).eval()
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in own.parameters():
            noise = torch.randn(parameter.shape, generator=rng, dtype=torch.float64)
            parameter.add_(0.05 * noise.to(parameter))
    return own


# ---- inside -------------------------------------------------------------------------------------


def _calls(
    generator: AbstractGenerator, x: Tensor, context: Tensor | None
) -> list[tuple[str, Callable[[torch.Generator], Tensor]]]:
    """What can be asked of a generator, by name."""
    found: list[tuple[str, Callable[[torch.Generator], Tensor]]] = [
        ("loss", lambda rng: generator.loss(x, context, rng=rng)),
        ("sample", lambda rng: generator.sample(3, context, rng=rng)),
    ]
    if isinstance(generator, AbstractDensity):
        found.append(("log_prob", lambda rng: generator.log_prob(x, context)))
    if isinstance(generator, AbstractBound):
        found.append(("log_prob_bound", lambda rng: generator.log_prob_bound(x, context, rng=rng)))
    if isinstance(generator, AbstractLatent):
        latent: AbstractLatent = generator
        found.append(("encode", lambda rng: latent.encode(x, context)))
        found.append(("decode", lambda rng: latent.decode(latent.encode(x, context), context)))
    return found


@contextmanager
def _global_noise_untouched(name: str) -> Iterator[None]:
    before = torch.get_rng_state()
    yield
    _require(
        torch.equal(torch.get_rng_state(), before),
        f"{name}: expected noise from the given rng alone, got PyTorch's own generator used: pass "
        "generator=rng to every draw",
    )


def _rng(like: Tensor, seed: int) -> torch.Generator:
    return torch.Generator(device=like.device).manual_seed(seed)


def _refuses(call: Callable[[], object], method: str, what: str) -> None:
    try:
        call()
    except ValueError:
        return
    except Exception as error:
        told = f"{type(error).__name__}: {error}"
        raise AssertionError(f"{method}: expected a ValueError for {what}, got {told}") from error
    raise AssertionError(f"{method}: expected a ValueError for {what}, got none")


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise AssertionError(message)
