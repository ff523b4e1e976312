"""The laws pass on right generators and fail on each kind of wrong one, saying what to mend."""

import pytest
import torch
from gymagine.generative.generator import AbstractBound, AbstractLatent
from gymagine.generative.probability_laws import check_dependencies, check_transform
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
        self.shift = torch.randn(2)

    def mean_of(self, context):
        return super().mean_of(context) + self.shift.to(self.mean.dtype)

    def __deepcopy__(self, memo):
        own = Hidden()
        own.load_state_dict(self.state_dict())
        return own.to(self.mean.dtype)


class OnlyFloats(Gaussian):
    def _log_prob(self, x, context):
        return super()._log_prob(x, context).float()


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
        (OnlyFloats(), X, None, "in 64 bits: got torch.float32"),
        (AcrossTheBatch(), X, None, "depends on the other events"),
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
