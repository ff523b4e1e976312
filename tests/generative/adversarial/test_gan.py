"""The game: which loss, how many steps, closed forms of a perfect discriminator."""

import math

import pytest
import torch
from gymagine.generative.adversarial.gan import GAN
from gymagine.generative.adversarial.losses import minimax_loss, non_saturating_loss
from gymagine.generative.training import fit
from torch import nn

torch.set_num_threads(1)

SMALL = {"hidden_sizes": (16,), "latent_size": 3}


class LogRatio(nn.Module):
    """log p - log q of two Gaussians of unit variance, at 0 and at m."""

    def __init__(self, shift):
        super().__init__()
        self.shift = shift

    def forward(self, x, context):
        return (x[:, 0] - self.shift) ** 2 / 2 - x[:, 0] ** 2 / 2


class Shifted(nn.Module):
    def __init__(self, shift):
        super().__init__()
        self.shift = nn.Parameter(torch.tensor(shift).double())

    def forward(self, z, context):
        return z[:, :1] + self.shift


def js_of_shifted(shift):
    """Of N(0, 1) and N(m, 1), by the trapezoid rule."""
    x = torch.linspace(-12, 12, 20_001, dtype=torch.float64)
    p, q = (torch.distributions.Normal(m, 1.0).log_prob(x) for m in (0.0, shift))
    middle = torch.logaddexp(p, q) - math.log(2)
    return float(torch.trapezoid(p.exp() * (p - middle) + q.exp() * (q - middle), x)) / 2


@pytest.mark.parametrize("shift", [0.0, 1.0, 2.5])
def test_held_out_loss_of_a_perfect_discriminator(shift):
    """log 4 - 2 JS, and log 4 where samples are like data."""
    gan = GAN((1,), **SMALL).double()
    gan.generator, gan.discriminator = Shifted(shift), LogRatio(shift)
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(40_000, 1, generator=rng, dtype=torch.float64)
    losses = gan.loss(x, rng=rng).detach()
    error = float(losses.std()) / math.sqrt(len(x))
    expected = math.log(4) - 2 * js_of_shifted(shift)
    assert float(losses.mean()) == pytest.approx(expected, abs=4 * error + 1e-9)


@pytest.mark.parametrize(
    ("word", "function"), [("minimax", minimax_loss), ("non-saturating", non_saturating_loss)]
)
def test_the_generators_loss(word, function):
    torch.manual_seed(0)
    gan = GAN((2,), context_shape=(2,), loss=word, **SMALL)
    x, context = torch.randn(5, 2), torch.randn(5, 2)
    found = gan.phases()[1].loss(x, context, torch.Generator().manual_seed(0))
    z = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    expected = function(gan.discriminate(gan.generate(z, context), context))
    torch.testing.assert_close(found, expected)


def test_steps_of_the_discriminator():
    """Each is on a batch of its own; fit reports the round's mean."""
    seen = []
    torch.manual_seed(0)
    gan = GAN((2,), critic_steps=3, **SMALL)
    plain = gan.discriminator.forward
    gan.discriminator.forward = lambda x, context: seen.append(x.clone()) or plain(x, context)
    x = torch.arange(24.0).view(12, 2)
    fit(gan, x, num_updates=1, batch_size=4)
    real = [part for part in seen[0:6:2]]
    assert sorted(torch.cat(real)[:, 0].tolist()) == sorted(x[:, 0].tolist())
    assert len(seen) == 3 * 2 + 1


def test_outputs():
    assert str(GAN((2,)).support) == "Real()"
    assert str(GAN((1, 4, 4)).support).startswith("Interval(")
    assert str(GAN((1, 4, 4), output="linear").support) == "Real()"
    bounded = GAN((2,), output="tanh")
    drawn = bounded.sample(50, temperature=1e4)
    assert float(drawn.abs().max()) <= 1


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["minimax", "non-saturating"])
def test_the_mean_and_deviation_of_data_are_learnt(loss):
    rng = torch.Generator().manual_seed(0)
    x = torch.tensor([2.0, -1.0]) + torch.tensor([0.5, 1.0]) * torch.randn(2_000, 2, generator=rng)
    torch.manual_seed(0)
    gan = GAN((2,), loss=loss, hidden_sizes=(32, 32), latent_size=4)
    untrained = gan.sample(2_000, rng=rng)
    fit(gan, x, num_updates=1_500, learning_rate=1e-3, average_decay=0.99)
    drawn = gan.sample(2_000, rng=rng)
    for statistic in (torch.mean, torch.std):
        of_data, of_samples, control = (statistic(t, dim=0) for t in (x, drawn, untrained))
        assert (of_samples - of_data).norm() < 0.5 * (control - of_data).norm()
