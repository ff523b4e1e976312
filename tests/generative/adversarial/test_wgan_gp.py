"""The critic's loss by hand, the paper's settings, and a distance that falls."""

import pytest
import torch
from gymagine.generative.adversarial.wgan_gp import WGANGP
from gymagine.generative.fit_settings import settings_for
from gymagine.generative.training import fit
from scipy.stats import wasserstein_distance

torch.set_num_threads(1)


def test_the_papers_settings():
    gan = WGANGP((2,))
    settings = settings_for(gan, {})
    assert (gan.config.penalty, gan.config.critic_steps) == (10.0, 5)
    assert (settings.learning_rate, settings.beta_1, settings.beta_2) == (5e-4, 0.0, 0.9)


@pytest.mark.parametrize("shape", [(3,), (1, 2, 3)])
def test_the_loss_of_a_linear_critic(shape):
    """Its slope is the same everywhere, so that the penalty is known."""
    torch.manual_seed(0)
    gan = WGANGP(shape, network="linear", penalty=7.0, latent_size=2).double()
    x = 2 * torch.rand(5, *shape).double() - 1
    z = torch.randn(5, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = gan.phases()[0].loss(x, None, torch.Generator().manual_seed(0))
    (w, _) = gan.discriminator.parameters()
    difference = (gan.generate(z) - x).flatten(1) @ w[0]
    torch.testing.assert_close(found, difference + 7 * (w.norm() - 1) ** 2)
    without = gan.loss(x, rng=torch.Generator().manual_seed(0))
    torch.testing.assert_close(without, difference)
    made = gan.phases()[1].loss(x, None, torch.Generator().manual_seed(0))
    torch.testing.assert_close(made, -gan.discriminate(gan.generate(z)))


def test_the_penalty_is_taken_between_data_and_samples():
    seen = []
    torch.manual_seed(0)
    gan = WGANGP((2,), hidden_sizes=(8,), latent_size=2)
    plain = gan.discriminator.forward
    gan.discriminator.forward = lambda x, context: seen.append(x.detach()) or plain(x, context)
    gan.phases()[0].loss(torch.randn(50, 2) + 5, None, torch.Generator().manual_seed(0))
    real, fake, between = seen
    shares = ((between - fake) / (real - fake)).T
    torch.testing.assert_close(*shares, atol=1e-3, rtol=1e-3)  # all entries of an event alike
    assert 0 <= float(shares.min()) < 0.1
    assert 0.9 < float(shares.max()) <= 1


@pytest.mark.slow
def test_samples_come_closer():
    """By scipy's distance along both axes."""
    rng = torch.Generator().manual_seed(0)
    x = torch.tensor([3.0, -2.0]) + torch.randn(2_000, 2, generator=rng)
    torch.manual_seed(0)
    gan = WGANGP((2,), hidden_sizes=(32, 32), latent_size=4)

    def distances():
        drawn = gan.sample(2_000, rng=torch.Generator().manual_seed(1))
        return sum(wasserstein_distance(x[:, i].numpy(), drawn[:, i].numpy()) for i in range(2))

    before = distances()
    fit(gan, x, num_updates=500, learning_rate=1e-3, average_decay=0.95)
    assert distances() < before / 5
