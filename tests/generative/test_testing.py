"""The laws pass on right generators and fail on each kind of wrong one, saying what to mend."""

import math

import numpy as np
import pytest
import torch
from gymagine.generative.generator import AbstractBound, AbstractLatent
from gymagine.generative.probability_laws import (
    check_density,
    check_dependencies,
    check_rows,
    check_transform,
)
from gymagine.generative.testing import check_generator
from torch import nn

from .examples import Coins, Gaussian

X = torch.randn(5, 2, generator=torch.Generator().manual_seed(1))
BITS = torch.tensor([[0.0, 1.0, 1.0], [1.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
CONTEXT = torch.randn(5, 3, generator=torch.Generator().manual_seed(2))


def test_right_ones_pass():
    check_generator(Gaussian(), X)
    check_generator(Gaussian(context_shape=(3,)), X, CONTEXT)
    check_generator(Gaussian((1, 2, 2)), torch.randn(4, 1, 2, 2))
    check_generator(Coins(), BITS)


class NoChecks(Gaussian):
    def _check_shapes(self, x, context):
        pass


class SummedLoss(Gaussian):
    def _loss(self, x, context, rng):
        return -self._log_prob(x, context).sum()


class OtherDtype(Gaussian):
    def _sample(self, num, context, temperature, rng):
        return super()._sample(num, context, temperature, rng).double()


class GlobalNoise(Gaussian):
    def _sample(self, num, context, temperature, rng):
        return super()._sample(num, context, temperature, None)


class NoNoise(Gaussian):
    def _sample(self, num, context, temperature, rng):
        return self.mean.expand(num, *self.event_shape)


class Counting(Gaussian):
    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    def _loss(self, x, context, rng):
        self.calls += 1
        return super()._loss(x, context, rng)


class Unused(Gaussian):
    def __init__(self):
        super().__init__()
        self.forgotten = nn.Parameter(torch.zeros(3))


class DeafToContext(Gaussian):
    def mean_of(self, context):
        return super().mean_of(torch.cat([context[:, :2], torch.zeros(len(context), 1)], dim=1))


class Hidden(Gaussian):
    """Keeps a number outside its state."""

    def __init__(self):
        super().__init__()
        self.shift = float(torch.randn(()))

    def mean_of(self, context):
        return super().mean_of(context) + self.shift

    def __deepcopy__(self, memo):
        own = Hidden()
        own.load_state_dict(self.state_dict())
        return own.to(self.mean.dtype)


class PlainTensor(Gaussian):
    def __init__(self):
        super().__init__()
        self.shift = torch.zeros(2)

    def mean_of(self, context):
        return super().mean_of(context) + self.shift.to(self.mean.dtype)


class OnlyFloats(Gaussian):
    def _log_prob(self, x, context):
        return super()._log_prob(x, context).float()


class NoDtype(Gaussian):
    def _log_prob(self, x, context):
        return super()._log_prob(x @ torch.eye(2), context)


class WritesIntoEvents(Gaussian):
    def _loss(self, x, context, rng):
        return super()._loss(x.mul_(1.1), context, rng)


class ExtraAxis(Gaussian):
    def _sample(self, num, context, temperature, rng):
        return super()._sample(num, context, temperature, rng).unsqueeze(1)


class TooFewEntries(Gaussian):
    def _sample(self, num, context, temperature, rng):
        return super()._sample(num, context, temperature, rng)[:, :1]


class BatchMean(Gaussian):
    def _loss(self, x, context, rng):
        return super()._loss(x, context, rng).mean().expand(len(x))


class EntryMean(Gaussian):
    def _loss(self, x, context, rng):
        return super()._loss(x, context, rng) / 2


class DeafToTemperature(Gaussian):
    def _sample(self, num, context, temperature, rng):
        return super()._sample(num, context, 1.0, rng)


class NumPyNoise(Gaussian):
    def _sample(self, num, context, temperature, rng):
        return super()._sample(num, context, temperature, rng) + np.random.rand()  # noqa: NPY002


class ConstantOff(Gaussian):
    def _log_prob(self, x, context):
        return super()._log_prob(x, context) + 0.2


class OtherScale(Gaussian):
    def _sample(self, num, context, temperature, rng):
        return super()._sample(num, context, 1.3 * temperature, rng)


class Steep(Gaussian):
    """Contexts that matter much."""

    def __init__(self):
        super().__init__(context_shape=(3,))
        with torch.no_grad():
            self.by_context.weight.copy_(3 * torch.eye(2, 3))


class FirstContextOnly(Steep):
    def _sample(self, num, context, temperature, rng):
        return super()._sample(num, context[:1].expand_as(context), temperature, rng)


class OtherOrderOfContexts(Steep):
    def _sample(self, num, context, temperature, rng):
        return super()._sample(num, context.flip(0), temperature, rng)


class AcrossTheBatch(Gaussian):
    def _log_prob(self, x, context):
        return super()._log_prob(x - x.mean(dim=0), context)


class Unnormalised(Coins):
    def _log_prob(self, x, context):
        return super()._log_prob(x, context) + 0.1


class OtherFrequencies(Coins):
    def _sample(self, num, context, temperature, rng):
        return super()._sample(num, context, 0.5 * temperature, rng)


class OutsideTheSupport(Coins):
    def _sample(self, num, context, temperature, rng):
        return 2 * super()._sample(num, context, temperature, rng)


class TooHigh(Coins, AbstractBound):
    def _log_prob_bound(self, x, context, rng):
        noise = torch.randn(len(x), generator=rng, dtype=x.dtype)
        return self._log_prob(x, context) + 0.3 + 0.1 * noise


class OneWay(Gaussian, AbstractLatent):
    latent_shape = (2,)

    def encode(self, x, context=None, *, rng=None):
        return x / 2

    def decode(self, z, context=None):
        return 3 * z


@pytest.mark.parametrize(
    ("generator", "x", "context", "message"),
    [
        (NoChecks(), X, None, "expected a ValueError"),
        (SummedLoss(), X, None, "loss: expected shape"),
        (OtherDtype(), X, None, "expected torch.float32, got torch.float64"),
        (GlobalNoise(), X, None, "pass generator=rng to every draw"),
        (NoNoise(), X, None, "sample: expected others from another rng"),
        (Counting(), X, None, "expected calls as it was"),
        (Unused(), X, None, "expected a gradient of forgotten"),
        (DeafToContext(context_shape=(3,)), X, CONTEXT, "every number of the context to matter"),
        (Hidden(), X, None, "kept outside parameters and buffers"),
        (OnlyFloats(), X, None, "in 64 bits: expected torch.float64, got torch.float32"),
        (PlainTensor(), X, None, "got shift: it is not saved.*register_buffer it"),
        (NoDtype(), X, None, "in 64 bits: .*made without its dtype"),
        (WritesIntoEvents(), X, None, "expected x as it was"),
        (ExtraAxis(), X, None, r"_sample to give shape \(3, 2\).*got \(3, 1, 2\)"),
        (TooFewEntries(), X, None, r"_sample to give shape \(3, 2\).*got \(3, 1\)"),
        (BatchMean(), X, None, "is a mean over the batch taken"),
        (EntryMean(), X, None, "take the sum over the 2 entries"),
        (DeafToTemperature(), X, None, "is temperature used"),
        (NumPyNoise(), X, None, "is noise of NumPy or Python used"),
        (ConstantOff(), X, None, "integrates to 1, got 1.2"),
        (OtherScale(), X, None, "where log_prob says.*the scale"),
        (FirstContextOnly(), X, CONTEXT, "where log_prob says"),
        (OtherOrderOfContexts(), X, CONTEXT, "where log_prob says"),
        (AcrossTheBatch(), X, None, "by what else is in the batch"),
        (Unnormalised(), BITS, None, "add up to 1, got 1.1"),
        (OtherFrequencies(), BITS, None, "as often as log_prob says"),
        (OutsideTheSupport(), BITS, None, r"in its support.*got 2.0 at"),
        (TooHigh(), BITS, None, "log_prob_bound: expected at most"),
        (OneWay(), X, None, r"decode\(encode\(x\)\) is not x"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_wrong_ones_fail(generator, x, context, message):
    with pytest.raises(AssertionError, match=message):
        check_generator(generator, x, context)


@pytest.mark.parametrize(
    ("generator", "x", "context", "message"),
    [
        (Gaussian(), X[:1], None, "at least 2 events to check with.*got 1"),
        (Gaussian(), X[:1].repeat(3, 1), None, "not all alike, got 3, all alike"),
        (Gaussian(context_shape=(3,)), X, CONTEXT * 0, "at least 2 contexts"),
    ],
)
def test_what_nothing_can_be_checked_with_is_refused(generator, x, context, message):
    with pytest.raises(ValueError, match=message):
        check_generator(generator, x, context)


def test_what_is_no_generator_is_refused(without_shape_checks):
    with pytest.raises(TypeError, match="expected an AbstractGenerator, got Linear"):
        check_generator(nn.Linear(2, 2), X)


def test_guided_samples_need_not_follow_the_density():
    check_generator(OtherScale(), X, follows_density=False)


def test_rows():
    with pytest.raises(AssertionError, match="depends on the other events"):
        check_rows(AcrossTheBatch(), X, None)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("scale", "num"), [(1.0, 1), (1.0, 3), (1e-3, 2), (1e3, 2)], ids=lambda value: f"{value}"
)
def test_right_densities_of_any_scale_pass(scale, num, seed):
    generator = Gaussian((num,))
    with torch.no_grad():
        generator.log_sigma += math.log(scale)
    check_density(generator, seed=seed)


class OnlyBounded(AbstractBound):
    """Something whose log-probability only it knows; noisy estimates of it, less a gap."""

    def __init__(self, known, entries=torch.sum, gap=0.1):
        super().__init__(known.event_shape, support=known.support)
        self.known, self.entries, self.gap = known, entries, gap

    def _log_prob_bound(self, x, context, rng):
        known = self.known
        if isinstance(known, Coins):
            each = x * nn.functional.logsigmoid(known.logits)
            each = each + (1 - x) * nn.functional.logsigmoid(-known.logits)
        else:
            each = torch.distributions.Normal(known.mean, known.log_sigma.exp()).log_prob(x)
        noise = torch.randn(len(x), generator=rng, dtype=each.dtype)
        return self.entries(each, dim=1) - self.gap + 0.3 * noise

    def _loss(self, x, context, rng):
        return -self._log_prob_bound(x, context, rng)

    def _sample(self, num, context, temperature, rng):
        return self.known._sample(num, context, temperature, rng)


@pytest.mark.parametrize("make", [Coins, Gaussian])
def test_bounds_of_what_is_not_known_are_of_probabilities(make):
    events = BITS if make is Coins else X
    for gap in (0.0, 0.1, 5.0):
        check_generator(OnlyBounded(make(), gap=gap), events)
    for wrong in (OnlyBounded(make(), torch.mean), OnlyBounded(make(), gap=-0.6)):
        with pytest.raises(AssertionError, match="exponentials are at most 1 in all"):
            check_generator(wrong, events)


def test_transforms():
    x = torch.randn(4, 3, dtype=torch.float64)
    weight = torch.randn(3, 3, dtype=torch.float64)
    log_det = torch.linalg.slogdet(weight).logabsdet

    def forward(x):
        return x @ weight, log_det.expand(len(x))

    def inverse(z):
        return z @ weight.inverse(), -log_det.expand(len(z))

    check_transform(forward, inverse, x)
    with pytest.raises(AssertionError, match="is not x"):
        check_transform(forward, lambda z: (z, -log_det.expand(len(z))), x)
    with pytest.raises(AssertionError, match="do not cancel"):
        check_transform(forward, lambda z: (inverse(z)[0], log_det.expand(len(z))), x)
    with pytest.raises(AssertionError, match="not the Jacobian's"):
        check_transform(
            lambda x: (forward(x)[0], torch.zeros(len(x), dtype=torch.float64)),
            lambda z: (inverse(z)[0], torch.zeros(len(z), dtype=torch.float64)),
            x,
        )


def test_dependencies():
    order = torch.ones(3, 3).tril(-1).bool()
    weight = torch.randn(3, 3).tril(-1)
    x = torch.randn(1, 3)
    check_dependencies(lambda x: (x @ weight.T).tanh(), x, order)
    with pytest.raises(AssertionError, match="too many"):
        check_dependencies(lambda x: x @ weight.T + x, x, order)
    with pytest.raises(AssertionError, match="missing"):
        check_dependencies(lambda x: torch.cat([x[:, 1:] * 0, x[:, :1]], 1), x, order)
