"""Laws of probability that generators keep: what a log-probability, a bound, an inverse promise.

`testing` calls them for whatever a generator is able to do; those of transforms and dependencies
are for the parts that families are made of.
"""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from scipy import stats
from torch import Tensor
from torch.distributions import constraints

from .generator import AbstractBound, AbstractDensity, AbstractGenerator, AbstractLatent
from .proposals import drawn_around, log_density_around

__all__ = [
    "check_bound",
    "check_density",
    "check_dependencies",
    "check_frequencies",
    "check_latents",
    "check_rows",
    "check_total_bound",
    "check_total_probability",
    "check_transform",
    "enumerated_events",
    "num_events",
]

_FALSE_ALARM = 1e-6  # probability that a sampled law fails although it holds
_MOST_EVENTS = 1 << 13  # that are enumerated
_MOST_CONTEXTS = 2  # in which samples are counted
_AROUND_BOUNDS = 500  # samples, around which bounds are integrated
_MOST_ENTRIES = 3  # of events over which bounds are
_FEWEST = 100  # weighted points that tell something
_WORST = float(stats.norm.isf(_FALSE_ALARM / 2))  # deviations


def check_rows(generator: AbstractDensity, x: Tensor, context: Tensor | None) -> None:
    """An event's log-probability does not depend on what it is asked for together with."""
    generator.eval()
    together = generator.log_prob(x, context)
    _require(
        together.shape == (len(x),),
        f"log_prob: expected shape ({len(x)},), got {tuple(together.shape)}",
    )
    alone = [
        generator.log_prob(x[i : i + 1], None if context is None else context[i : i + 1])
        for i in range(len(x))
    ]
    torch.testing.assert_close(
        torch.cat(alone),
        together,
        rtol=1e-3,
        atol=1e-3,
        msg=lambda text: f"log_prob depends on the other events of the batch: {text}",
    )


def check_total_probability(generator: AbstractDensity, context: Tensor | None = None) -> None:
    """The probabilities of all events add up to 1, in every context.

    Raises:
        AssertionError: They do not.
        ValueError: The events are no finite set, or too many to enumerate.
    """
    events = enumerated_events(generator)
    rows = [None] if context is None else [context[i : i + 1] for i in range(len(context))]
    for own in rows:
        total = float(_log_probs(generator, events, own).double().exp().sum())
        _require(
            abs(total - 1) < 1e-4,
            f"log_prob: expected probabilities that add up to 1, got {total:.6g}",
        )


def check_frequencies(
    generator: AbstractDensity,
    context: Tensor | None = None,
    *,
    num_samples: int = 4_000,
    seed: int = 0,
) -> None:
    """Samples are drawn as often as `log_prob` says: a chi-squared test over all events.

    Events that are expected fewer than five times count as one. A correct generator fails with a
    probability of one in a million.
    """
    events = enumerated_events(generator)
    places = {tuple(event.flatten().tolist()): i for i, event in enumerate(events)}
    few = None if context is None else context[:_MOST_CONTEXTS]
    for own, drawn in _drawn_in_contexts(generator, few, num_samples, seed):
        expected = _log_probs(generator, events, own).double().exp().numpy() * num_samples
        counts = np.zeros(len(events))
        for event in drawn.flatten(1).tolist():
            counts[places[tuple(event)]] += 1
        rare = expected < 5
        found = np.append(counts[~rare], counts[rare].sum())
        model = np.append(expected[~rare], expected[rare].sum())
        used = model > 0
        statistic = float(((found[used] - model[used]) ** 2 / model[used]).sum())
        p_value = float(stats.chi2.sf(statistic, max(int(used.sum()) - 1, 1)))
        _require(
            p_value > _FALSE_ALARM and not found[~used].any(),
            f"sample: expected events as often as log_prob says, got a chi-squared of "
            f"{statistic:.4g} over {int(used.sum())} classes (p = {p_value:.2g})",
        )


def check_density(
    generator: AbstractDensity,
    context: Tensor | None = None,
    *,
    num_samples: int = 2_000,
    seed: int = 0,
    with_samples: bool = True,
) -> None:
    r"""A density over few entries integrates to 1, and samples lie where it says.

    Both are integrals over p, taken by importance sampling: points y are drawn around samples and,
    as many, far around them, with a density q, and weighted by p(y) / q(y). The mean weight is 1
    of a right density; the weights that lie in a slice of space sum up to its share of samples.
    Slices are eighths of other samples along each axis and some random directions.

    A correct generator fails with a probability of about one in a million for each of some tens
    of comparisons. Nothing is said where weights are too uneven to tell.

    Args:
        generator: Of a continuous density.
        context: (B, *context), if it takes one; the first two are tried.
        num_samples: N; 2N samples are drawn in each context, and 2N points weighted.
        seed: Of all that is drawn.
        with_samples: Whether to look at where samples lie.

    Raises:
        AssertionError: A comparison fails.
    """
    few = None if context is None else context[:_MOST_CONTEXTS]
    for own, drawn in _drawn_in_contexts(generator, few, 2 * num_samples, seed):
        first, second = torch.tensor_split(drawn.flatten(1).double().cpu(), 2)
        rng = _rng(first, seed + 1)
        y = drawn_around(first, rng)
        log_p, log_q = _log_density(generator, y, own), log_density_around(y, first)
        weights = (log_p - log_q).exp()
        if float(weights.sum() ** 2 / weights.square().sum().clamp(min=1e-300)) < _FEWEST:
            if with_samples:
                _check_probable(
                    _log_density(generator, second, own), log_density_around(second, first)
                )
            continue
        total, error = float(weights.mean()), float(weights.std()) / math.sqrt(len(weights))
        _require(
            abs(total - 1) < _WORST * error + 0.01,
            f"log_prob: expected a density that integrates to 1, got {total:.4g} (s.e. "
            f"{error:.2g}): is a constant or a log-determinant missing?",
        )
        if with_samples:
            _check_slices(first, second, y, weights, rng)


def check_bound(
    generator: AbstractBound,
    x: Tensor,
    context: Tensor | None = None,
    *,
    num_samples: int = 200,
    seed: int = 0,
) -> None:
    """The bound is below the log-probability, where that is known, and below 0 for finite sets."""
    rng = _rng(x, seed)
    with torch.no_grad():
        drawn = torch.stack(
            [generator.log_prob_bound(x, context, rng=rng) for _ in range(num_samples)]
        ).double()
    _require(
        drawn.shape == (num_samples, len(x)),
        f"log_prob_bound: expected shape ({len(x)},), got {tuple(drawn.shape[1:])}",
    )
    mean, error = drawn.mean(dim=0), drawn.std(dim=0) / math.sqrt(num_samples)
    exact = torch.zeros(len(x), dtype=torch.float64)
    if isinstance(generator, AbstractDensity):
        exact = generator.log_prob(x, context).double().detach()
    elif not support_size(generator):
        return
    limit = exact + stats.norm.isf(_FALSE_ALARM / len(x)) * error + 1e-4 * (1 + exact.abs())
    worst = int((mean - limit).argmax())
    known = "log_prob" if isinstance(generator, AbstractDensity) else "log 1"
    _require(
        bool((mean <= limit).all()),
        f"log_prob_bound: expected at most {float(exact[worst]):.6g} ({known}), got a mean of "
        f"{float(mean[worst]):.6g} of {num_samples} estimates for event {worst}",
    )


def check_total_bound(
    generator: AbstractBound,
    context: Tensor | None = None,
    *,
    num_samples: int = 200,
    seed: int = 0,
) -> None:
    """Probabilities that are at least exp(bound) add up, or integrate, to no more than 1.

    It is what a mean in place of a sum or a forgotten constant breaks, where no exact
    log-probability is known to compare with. The integral is taken as in `check_density`, of up to
    three entries; nothing is said of more, nor of more events than can be enumerated.

    Args:
        generator: Of a finite set of events, or of a continuous density.
        context: (B, *context), if it takes one; the first two are tried.
        num_samples: Estimates of each event's bound; a tenth of them where it is integrated.
        seed: Of all that is drawn.

    Raises:
        AssertionError: They are more.
    """
    enumerable = num_events(generator) <= _MOST_EVENTS
    if not enumerable and (generator.support.is_discrete or generator.num_entries > _MOST_ENTRIES):
        return
    few = None if context is None else context[:_MOST_CONTEXTS]
    for own, drawn in _drawn_in_contexts(generator, few, _AROUND_BOUNDS, seed):
        rng = _rng(generator.example, seed + 1)
        if enumerable:
            events = enumerated_events(generator)
            terms = len(events) * _least_bounds(generator, events, own, num_samples, rng).exp()
        else:
            centres = drawn.flatten(1).double().cpu()
            y = drawn_around(centres, _rng(centres, seed + 2))
            events = y.to(generator.example).view(-1, *generator.event_shape)
            inside: Tensor = generator.support.check(events)  # type: ignore[no-untyped-call]  # PyTorch has no types
            possible = inside.flatten(1).all(dim=1)
            terms = torch.zeros(len(y), dtype=torch.float64)
            few_times = max(2, num_samples // 10)
            found = _least_bounds(generator, events[possible], own, few_times, rng)
            terms[possible.cpu()] = (found - log_density_around(y, centres)[possible.cpu()]).exp()
        total, error = float(terms.mean()), float(terms.std()) / math.sqrt(len(terms))
        slack = 0.01 if enumerable else 0.05 + _WORST * error
        _require(
            total < 1 + slack,
            f"log_prob_bound: expected bounds of probabilities, whose exponentials are at most 1 "
            f"in all, got {total:.4g}: is a mean taken instead of a sum over an event's entries, "
            "a divergence left out, or its sign wrong?",
        )


def check_latents(
    generator: AbstractLatent, x: Tensor, context: Tensor | None = None, *, seed: int = 0
) -> None:
    """Latents have their shape, and decode to events; exactly the same ones for a flow."""
    z = generator.encode(x, context)
    expected = (len(x), *generator.latent_shape)
    _require(
        tuple(z.shape) == expected, f"encode: expected shape {expected}, got {tuple(z.shape)}"
    )
    back = generator.decode(z, context)
    _require(back.shape == x.shape, f"decode: expected {tuple(x.shape)}, got {tuple(back.shape)}")
    drawn = [generator.encode(x, context, rng=_rng(x, seed)) for _ in range(2)]
    _require(torch.equal(*drawn), "encode: expected the same from an equal rng")
    if isinstance(generator, AbstractDensity) and x.is_floating_point():
        # in 64 bits: with any parameters at all an inverse may be steep
        own, inputs = copy.deepcopy(generator).double(), x.double()
        contexts = None if context is None else context.double()
        torch.testing.assert_close(
            own.decode(own.encode(inputs, contexts), contexts),
            inputs,
            rtol=1e-5,
            atol=1e-5,
            msg=lambda text: f"decode(encode(x)) is not x: {text}",
        )


def check_transform(
    forward: Callable[[Tensor], tuple[Tensor, Tensor]],
    inverse: Callable[[Tensor], tuple[Tensor, Tensor]],
    x: Tensor,
) -> None:
    """An invertible map gives back what it was given, and its log-determinant is its Jacobian's.

    Args:
        forward: From (B, D) to (B, D) and the (B,) logarithm of the Jacobian's determinant.
        inverse: The same of the inverse map.
        x: (B, D) in 64 bits.
    """
    z, log_det = forward(x)
    back, inverse_log_det = inverse(z)
    close = torch.testing.assert_close
    close(back, x, rtol=1e-6, atol=1e-8, msg=lambda text: f"inverse(forward(x)) is not x: {text}")
    close(
        inverse_log_det,
        -log_det,
        rtol=1e-6,
        atol=1e-8,
        msg=lambda text: f"the two log-determinants do not cancel: {text}",
    )
    for row in range(len(x)):
        slope: Tensor = torch.func.jacrev(lambda own: forward(own.unsqueeze(0))[0].squeeze(0))(
            x[row]
        )
        close(
            torch.linalg.slogdet(slope).logabsdet,
            log_det[row],
            rtol=1e-6,
            atol=1e-8,
            msg=lambda text: f"the log-determinant is not the Jacobian's: {text}",
        )


def check_dependencies(
    outputs: Callable[[Tensor], Tensor], x: Tensor, expected: Tensor, *, seed: int = 0
) -> None:
    """Outputs depend on exactly those inputs that they should: no more, and no fewer.

    Args:
        outputs: From (1, *event) to (1, O, ...): what belongs to each output in its further axes.
        x: (1, *event) floats to differentiate at.
        expected: (O, D) whether output o depends on entry d.
        seed: Of a random weighing of what belongs to an output.
    """
    given = x.detach().clone().requires_grad_()
    found = outputs(given)
    weights = torch.randn(found.shape, generator=_rng(x, seed), dtype=found.dtype)
    per_output = (found * weights).flatten(2).sum(dim=2) if found.dim() > 2 else found * weights
    rows = []
    for o in range(per_output.shape[1]):
        (slope,) = torch.autograd.grad(per_output[0, o], [given], retain_graph=True)
        rows.append(slope.flatten() != 0)
    pattern = torch.stack(rows)
    wrong = (pattern != expected).nonzero().tolist()
    _require(
        not wrong,
        f"expected dependencies as given, got others at (output, entry) {wrong[:8]}: "
        + ("too many" if wrong and bool(pattern[tuple(wrong[0])]) else "missing"),
    )


def support_size(generator: AbstractGenerator) -> int:
    """K, values that an entry of an event can have; 0 where they are no finite set."""
    support: Any = generator.support
    if _is_boolean(support):
        return 2
    if not support.is_discrete or not hasattr(support, "upper_bound"):
        return 0
    return int(support.upper_bound - support.lower_bound) + 1


def num_events(generator: AbstractGenerator) -> float:
    """How many events there are; infinity where they are no finite set."""
    size = support_size(generator)
    return float(size) ** generator.num_entries if size else math.inf


def enumerated_events(generator: AbstractGenerator) -> Tensor:
    """(K^D, *event) all events.

    Raises:
        ValueError: They are no finite set, or too many.
    """
    if not num_events(generator) <= _MOST_EVENTS:
        raise ValueError(
            f"expected at most {_MOST_EVENTS} events to enumerate, got {num_events(generator):g}"
        )
    support: Any = generator.support
    is_boolean = _is_boolean(support)
    low = 0 if is_boolean else int(support.lower_bound)
    values = range(low, low + support_size(generator))
    rows = list(itertools.product(values, repeat=generator.num_entries))
    dtype = generator.example.dtype if is_boolean else torch.int64
    return torch.tensor(rows, dtype=dtype).view(len(rows), *generator.event_shape)


def _drawn_in_contexts(
    generator: AbstractGenerator, context: Tensor | None, num: int, seed: int
) -> Iterator[tuple[Tensor | None, Tensor]]:
    """Each (1, *context) with (N, *event) samples: all are drawn in one call."""
    rng = _rng(generator.example if context is None else context, seed)
    drawn = generator.sample(num, context, rng=rng)
    if context is None:
        yield None, drawn
        return
    for i in range(len(context)):
        yield context[i : i + 1], drawn[:, i]


def _log_density(generator: AbstractDensity, y: Tensor, context: Tensor | None) -> Tensor:
    """(M,) of (M, D) points in 64 bits; minus infinity outside of the support."""
    events = y.to(generator.example).view(-1, *generator.event_shape)
    inside: Tensor = generator.support.check(events)  # type: ignore[no-untyped-call]  # PyTorch has no types
    possible = inside.flatten(1).all(dim=1)
    found = torch.full((len(y),), -math.inf, dtype=torch.float64)
    found[possible.cpu()] = _log_probs(generator, events[possible], context).double().cpu()
    return found


def _check_probable(log_p: Tensor, log_q: Tensor) -> None:
    """Samples of p have a mean of q / p of 1 at most; by Markov's inequality it is rarely more."""
    ratio = float((log_q - log_p).logsumexp(dim=0)) - math.log(len(log_p))
    _require(
        ratio < -math.log(_FALSE_ALARM),
        f"sample: expected samples where log_prob says, got them where it is exp({ratio:.3g}) "
        "times too low in the mean: do the two agree on the scale, the context, the inverse?",
    )


def _check_slices(
    first: Tensor, second: Tensor, y: Tensor, weights: Tensor, rng: torch.Generator
) -> None:
    """Samples are in slices of space as often as weighted points are."""
    size = first.shape[1]
    axes = torch.eye(size, dtype=torch.float64)
    if size > 1:
        turned = torch.randn(3, size, generator=rng, dtype=torch.float64)
        axes = torch.cat([axes, turned / first.std(dim=0)])
    shares = torch.arange(1, 8, dtype=torch.float64) / 8
    for axis in axes:
        edges = (first @ axis).quantile(shares)
        samples, points = (torch.bucketize(part @ axis, edges) for part in (second, y))
        for place in range(8):
            found = (samples == place).double()
            model = weights * (points == place)
            error = (found.var() / len(found) + model.var() / len(model)).sqrt().clamp(min=1e-6)
            gap = float(found.mean() - model.mean())
            _require(
                abs(gap) < _WORST * float(error) + 0.01,
                f"sample: expected samples where log_prob says, got {float(found.mean()):.3f} of "
                f"them where the density puts {float(model.mean()):.3f}: do the two agree on the "
                "scale, the context, the inverse?",
            )


def _log_probs(generator: AbstractDensity, events: Tensor, context: Tensor | None) -> Tensor:
    """(N,) of all events in one context."""
    found = []
    with torch.no_grad():
        for start in range(0, len(events), 512):
            part = events[start : start + 512]
            own = None if context is None else context.expand(len(part), *context.shape[1:])
            found.append(generator.log_prob(part, own))
    return torch.cat(found)


def _least_bounds(
    generator: AbstractBound,
    events: Tensor,
    context: Tensor | None,
    num: int,
    rng: torch.Generator,
) -> Tensor:
    """(N,) means of estimated bounds in one context, less two standard errors.

    An estimate's noise makes its exponential larger in the mean.
    """
    own = None if context is None else context.expand(len(events), *context.shape[1:])
    with torch.no_grad():
        drawn = torch.stack(
            [generator.log_prob_bound(events, own, rng=rng) for _ in range(num)]
        ).double()
    least = drawn.mean(dim=0) - 2 * drawn.std(dim=0) / math.sqrt(num)
    return least.nan_to_num(nan=-math.inf).cpu()  # far away numbers overflow


def _is_boolean(support: Any) -> bool:
    return isinstance(support, type(constraints.boolean))  # copies are not identical


def _rng(like: Tensor, seed: int) -> torch.Generator:
    return torch.Generator(device=like.device).manual_seed(seed)


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise AssertionError(message)
