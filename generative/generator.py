r"""What every generator is: a network that can be trained on data and sampled from.

A generator models events x, tensors of one shape, given a context c or none. Roles (a world model,
a policy, a planner ...) ask for a *capability*, which is a type:

====================  ==============================================================
`AbstractGenerator`   ``loss`` and ``sample``: every family
`AbstractDensity`     ``log_prob``, exact: autoregressive models, flows
`AbstractBound`       ``log_prob_bound``, a lower bound: variational autoencoders, diffusion
`AbstractLatent`      ``encode`` and ``decode``: autoencoders, flows
====================  ==============================================================

Families implement the underscored methods, which may trust their arguments: the public ones check
shapes, types and the support, and spread the context over the samples, once for all families. A
generator owns no training loop (`fit` has it) and changes nothing of itself in ``loss``.

Noise comes from ``rng``, a `torch.Generator` on the generator's device, or from PyTorch's own
where it is None. Two calls with equal generators give equal results.
"""

from __future__ import annotations

import math
import operator
import sys
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from itertools import chain

import torch
from torch import Tensor, nn
from torch.distributions import constraints

__all__ = [
    "AbstractBound",
    "AbstractDensity",
    "AbstractGenerator",
    "AbstractLatent",
    "AbstractMeanSampler",
    "checked_shape",
]


class AbstractGenerator(nn.Module, ABC):
    """A model of events, possibly given a context.

    Args:
        event_shape: Of one event, without the batch.
        context_shape: Of one context; None for a generator that takes none.
        support: Where events lie: a constraint of `torch.distributions`, such as ``real``,
            ``boolean`` (zeros and ones, in any dtype), ``integer_interval(0, K - 1)`` (of
            ``torch.int64``) or ``interval(-1, 1)``.

    Attributes:
        event_shape: Of one event.
        context_shape: Of one context, or None.
        support: Where events lie.

    Raises:
        TypeError: A shape is no tuple of integers.
        ValueError: A shape has an axis without entries.

    Example:
        >>> class Normal(AbstractGenerator):
        ...     def __init__(self):
        ...         super().__init__((2,))
        ...         self.mean = nn.Parameter(torch.zeros(2))
        ...     def _loss(self, x, context, rng):
        ...         return ((x - self.mean) ** 2).sum(dim=1)
        ...     def _sample(self, num, context, temperature, rng):
        ...         return self.mean + temperature * torch.randn(num, 2, generator=rng)
        >>> normal = Normal().eval()
        >>> normal.loss(torch.ones(3, 2)), normal.sample(5).shape
        (tensor([2., 2., 2.], grad_fn=<SumBackward1>), torch.Size([5, 2]))
    """

    event_shape: tuple[int, ...]
    context_shape: tuple[int, ...] | None
    support: constraints.Constraint

    def __init__(
        self,
        event_shape: Sequence[int],
        *,
        context_shape: Sequence[int] | None = None,
        support: constraints.Constraint = constraints.real,
    ) -> None:
        super().__init__()
        self.event_shape = checked_shape(event_shape, "event_shape")
        self.context_shape = (
            None if context_shape is None else checked_shape(context_shape, "context_shape")
        )
        self.support = support

    # ---- what a family implements ---------------------------------------------------------------

    @abstractmethod
    def _loss(self, x: Tensor, context: Tensor | None, rng: torch.Generator | None) -> Tensor:
        """(B,) what training minimises the mean of, for (B, *event) and (B, *context)."""

    @abstractmethod
    def _sample(
        self,
        num: int,
        context: Tensor | None,
        temperature: float,
        rng: torch.Generator | None,
    ) -> Tensor:
        """(num, *event) samples, one for each of the (num, *context) contexts; no gradient."""

    # ---- what callers use -----------------------------------------------------------------------

    @property
    def num_entries(self) -> int:
        """D, numbers in one event."""
        return math.prod(self.event_shape)

    @property
    def example(self) -> Tensor:
        """Some parameter or buffer, which tells device and dtype to make tensors of."""
        for tensor in chain(self.parameters(), self.buffers()):
            if tensor.is_floating_point():
                return tensor
        return torch.zeros(0)

    def loss(
        self,
        x: Tensor,
        context: Tensor | None = None,
        *,
        rng: torch.Generator | None = None,
    ) -> Tensor:
        """What training minimises the mean of, in nats where the family has a likelihood.

        Args:
            x: (B, *event) events.
            context: (B, *context), if the generator takes one.
            rng: Of whatever the loss draws.

        Raises:
            ValueError: As `check_events`.
        """
        self.check_events(x, context)
        return self._loss(x, context, rng)

    def sample(
        self,
        num: int,
        context: Tensor | None = None,
        *,
        temperature: float = 1.0,
        rng: torch.Generator | None = None,
    ) -> Tensor:
        """Draw events.

        Args:
            num: How many; of each context.
            context: (B, *context), if the generator takes one.
            temperature: At least 0: 1 draws from the model, less draws closer to its modes, in
                the way that the family says.
            rng: Of the draws.

        Returns:
            (num, *event) events or, with contexts, (num, B, *event).

        Raises:
            TypeError: A number is none.
            ValueError: A shape does not fit, a context is missing, too much or not finite, or a
                number is out of range.

        Warns:
            UserWarning: The generator is in training mode, as one that is not trained yet is;
                `fit` leaves evaluation mode, and so does loading.
        """
        self._warn_in_training_mode()
        return self._of_each_context(self._sample, num, context, temperature, rng)

    def _of_each_context(
        self,
        draw: Callable[[int, Tensor | None, float, torch.Generator | None], Tensor],
        num: int,
        context: Tensor | None,
        temperature: float,
        rng: torch.Generator | None,
    ) -> Tensor:
        """(num, *event) or (num, B, *event): as `sample`, by a function like `_sample`."""
        message = f"expected a whole number of samples, got {num!r}"
        if isinstance(num, bool):
            raise TypeError(message)
        try:
            num = operator.index(num)  # NumPy has integers of its own
        except TypeError:
            raise TypeError(message) from None
        if num < 1:
            raise ValueError(f"expected at least 1 sample, got {num}")
        self._check_temperature(temperature)
        self._check_context(context, None)
        with torch.no_grad():
            if context is None:
                return draw(num, None, temperature, rng).detach()
            spread = context.expand(num, *context.shape).flatten(0, 1)
            drawn = draw(len(spread), spread, temperature, rng)
        return drawn.view(num, len(context), *self.event_shape)

    # ---- checks ---------------------------------------------------------------------------------

    def check_events(self, x: Tensor, context: Tensor | None = None) -> None:
        """Make sure that events can be learnt from. `fit` calls it once for all of its data.

        Args:
            x: (B, *event) events.
            context: (B, *context), if the generator takes one.

        Raises:
            TypeError: They are no tensors.
            ValueError: There are no events, a shape or a dtype does not fit, a context is missing
                or too much, a number is not finite, or an event is outside the support; the
                message names the first number that is.
        """
        self._check_shapes(x, context)
        if torch.compiler.is_compiling():  # a graph cannot depend on numbers
            return
        if not self.support.is_discrete:
            if not _is_true(x.isfinite().all()):
                raise ValueError(
                    f"expected finite numbers in {self._in_words()}, got NaN or infinity"
                )
            if isinstance(self.support, type(constraints.real)):
                return
        inside: Tensor = self.support.check(x)  # type: ignore[no-untyped-call]  # PyTorch has no types
        if not _is_true(inside.all()):
            place = tuple((~inside).nonzero()[0].tolist())  # of a number, or of a whole vector
            raise ValueError(f"expected {self._in_words()}, got {x[place].tolist()} at {place}")

    def _check_shapes(self, x: Tensor, context: Tensor | None) -> None:
        """What can be told without looking at the events' numbers."""
        self._check_kind(x)
        self._check_context(context, len(x))

    def _check_kind(self, x: Tensor) -> None:
        """The same of events alone."""
        if not isinstance(x, Tensor):
            raise TypeError(f"expected events as a torch.Tensor, got {type(x).__name__}")
        if tuple(x.shape[1:]) != self.event_shape:
            raise ValueError(
                f"expected events of shape (B, {_text(self.event_shape)}), got {tuple(x.shape)}"
            )
        if not len(x):
            raise ValueError(f"expected at least one event, got shape {tuple(x.shape)}")
        if not self.support.is_discrete:
            if not x.dtype.is_floating_point:
                raise ValueError(f"expected floating-point {self._in_words()}, got {x.dtype}")
            dtype = self.example.dtype
            if x.dtype != dtype:
                raise ValueError(f"expected events of {dtype}, as parameters are, got {x.dtype}")

    def _check_context(self, context: Tensor | None, num: int | None) -> None:
        if self.context_shape is None:
            if context is not None:
                raise ValueError(
                    f"expected no context, which {type(self).__name__} was made without, got one "
                    f"of shape {tuple(context.shape)}"
                )
            return
        rows = "B" if num is None else str(num)
        expected = f"a context of shape ({rows}, {_text(self.context_shape)})"
        if context is None:
            raise ValueError(f"expected {expected}, got none")
        if not isinstance(context, Tensor):
            raise TypeError(f"expected {expected}, got a {type(context).__name__}")
        fits = context.dim() > 0 and tuple(context.shape[1:]) == self.context_shape
        if not fits or num not in (None, len(context)) or not len(context):
            raise ValueError(f"expected {expected}, got {tuple(context.shape)}")
        dtype = self.example.dtype
        if context.dtype != dtype:
            raise ValueError(
                f"expected contexts of {dtype}, as parameters are, got {context.dtype}"
            )
        if not torch.compiler.is_compiling() and not _is_true(context.isfinite().all()):
            raise ValueError("expected finite contexts, got NaN or infinity among them")

    def _check_temperature(self, temperature: float) -> None:
        if isinstance(temperature, bool) or not isinstance(temperature, int | float):
            raise TypeError(f"expected a temperature as a number, got {temperature!r}")
        if not (temperature >= 0 and math.isfinite(temperature)):
            raise ValueError(f"expected a temperature of at least 0, got {temperature}")

    def _spread_known(self, known: Tensor, x: Tensor) -> Tensor:
        """(B, *event) which entries of events are known, also of marks for all events alike."""
        if not isinstance(known, Tensor) or known.dtype != torch.bool:
            found = known.dtype if isinstance(known, Tensor) else type(known).__name__
            raise TypeError(f"expected known entries marked by torch.bool, got {found}")
        if known.shape not in (x.shape, x.shape[1:]):
            raise ValueError(
                f"expected which entries of {tuple(x.shape)} are known, got {tuple(known.shape)}"
            )
        return known.expand(x.shape)

    def _warn_in_training_mode(self) -> None:
        """For methods that draw, called by users."""
        if self.training:
            warnings.warn(
                f"sampling from a {type(self).__name__} in training mode: it is not trained, or "
                "fit is not done; eval() says that this is meant",
                stacklevel=3,
            )

    def _in_words(self) -> str:
        return f"events of {type(self).__name__} in its support, {self.support}"


class AbstractDensity(AbstractGenerator):
    """A generator whose log-probability (or log-density) is known exactly."""

    @abstractmethod
    def _log_prob(self, x: Tensor, context: Tensor | None) -> Tensor:
        """(B,) log-probabilities of (B, *event), given (B, *context)."""

    def log_prob(
        self,
        x: Tensor,
        context: Tensor | None = None,
    ) -> Tensor:
        """(B,) log p(x | context) in nats: of a density where the support is continuous.

        Args:
            x: (B, *event) events.
            context: (B, *context), if the generator takes one.

        Raises:
            ValueError: As `check_events`.
        """
        self.check_events(x, context)
        return self._log_prob(x, context)


class AbstractBound(AbstractGenerator):
    """A generator of whose log-probability a lower bound can be estimated."""

    @abstractmethod
    def _log_prob_bound(
        self, x: Tensor, context: Tensor | None, rng: torch.Generator | None
    ) -> Tensor:
        """(B,) unbiased estimates of the bound for (B, *event), given (B, *context)."""

    def log_prob_bound(
        self,
        x: Tensor,
        context: Tensor | None = None,
        *,
        rng: torch.Generator | None = None,
    ) -> Tensor:
        """(B,) an unbiased estimate of a lower bound of log p(x | context), in nats.

        Args:
            x: (B, *event) events.
            context: (B, *context), if the generator takes one.
            rng: Of what the estimate draws.

        Raises:
            ValueError: As `check_events`.
        """
        self.check_events(x, context)
        return self._log_prob_bound(x, context, rng)


class AbstractMeanSampler(AbstractGenerator):
    """A generator whose last step is noise about a mean, and that can leave it out."""

    @abstractmethod
    def _sample_means(
        self,
        num: int,
        context: Tensor | None,
        temperature: float,
        rng: torch.Generator | None,
    ) -> Tensor:
        """(num, *event) means, one for each of the (num, *context) contexts."""

    def sample_means(
        self,
        num: int,
        context: Tensor | None = None,
        *,
        temperature: float = 1.0,
        rng: torch.Generator | None = None,
    ) -> Tensor:
        """Draw what events are noise about: grey pixels, where events are zeros and ones.

        It is what papers on variational autoencoders show; it is not what is measured.

        Args:
            num: How many; of each context.
            context: (B, *context), if the generator takes one.
            temperature: As in `sample`.
            rng: Of the draws.

        Returns:
            (num, *event) or, with contexts, (num, B, *event) expected events, in floating point.

        Raises:
            TypeError: As `sample`.
            ValueError: As `sample`.

        Warns:
            UserWarning: As `sample`.
        """
        self._warn_in_training_mode()
        return self._of_each_context(self._sample_means, num, context, temperature, rng)


class AbstractLatent(ABC):
    """Anything that turns events into latents and back; generators that can inherit from it too.

    Attributes:
        latent_shape: Of one latent.
    """

    latent_shape: tuple[int, ...]

    @abstractmethod
    def encode(
        self,
        x: Tensor,
        context: Tensor | None = None,
        *,
        rng: torch.Generator | None = None,
    ) -> Tensor:
        """(B, *latent) latents of (B, *event): drawn with an ``rng``, else the most typical."""

    @abstractmethod
    def decode(
        self,
        z: Tensor,
        context: Tensor | None = None,
    ) -> Tensor:
        """(B, *event) the events that latents stand for; differentiable where events are real."""


def checked_shape(given: Sequence[int], name: str) -> tuple[int, ...]:
    """A shape as a tuple, for those who build networks of it before they are generators.

    Args:
        given: By the user.
        name: Of the argument, for the error.

    Raises:
        TypeError: It is no tuple of integers.
        ValueError: An axis has no entries, or there are more than any machine can count.

    Example:
        >>> checked_shape([2, 3], "event_shape")
        (2, 3)
    """
    message = f"expected {name} as a tuple of integers, got {given!r}"
    if not isinstance(given, Sequence) or isinstance(given, str | bytes):
        raise TypeError(message)
    if any(isinstance(size, bool) for size in given):
        raise TypeError(message)
    try:
        shape = tuple(operator.index(size) for size in given)
    except TypeError:
        raise TypeError(message) from None
    if any(size < 1 for size in shape):
        raise ValueError(f"expected {name} with at least 1 entry on each axis, got {shape}")
    if math.prod(shape) > sys.maxsize:
        raise ValueError(f"expected {name} of at most {sys.maxsize} entries, got {shape}")
    return shape


def _is_true(found: Tensor) -> bool:
    """Whether a check holds; one of numbers that nobody can look at does."""
    try:
        return bool(found)
    except RuntimeError:  # within torch.vmap, and on the meta device
        return True


def _text(shape: tuple[int, ...]) -> str:
    return ", ".join(map(str, shape)) or "no further axis"
