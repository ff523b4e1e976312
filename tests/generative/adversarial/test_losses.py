"""Losses on numbers computed by hand, and the game's closed forms."""

import math

import pytest
import torch
from gymagine.generative.adversarial.losses import (
    critic_loss,
    discriminator_loss,
    generator_loss,
    gradient_penalty,
    minimax_loss,
    mixed_events,
    non_saturating_loss,
)
from scipy.stats import wasserstein_distance
from torch import nn

torch.set_num_threads(1)


def test_numbers():
    logits = torch.tensor([math.log(3.0), -math.log(3.0)], dtype=torch.float64)  # D = 3/4, 1/4
    expected = torch.tensor([-math.log(0.75) - math.log(0.75), -math.log(0.25) - math.log(0.25)])
    torch.testing.assert_close(discriminator_loss(logits, -logits), expected.double())
    torch.testing.assert_close(
        minimax_loss(logits), torch.tensor([math.log(0.25), math.log(0.75)]).double()
    )
    torch.testing.assert_close(
        non_saturating_loss(logits), torch.tensor([-math.log(0.75), -math.log(0.25)]).double()
    )
    assert torch.equal(generator_loss("minimax", logits), minimax_loss(logits))
    assert torch.equal(generator_loss("non-saturating", logits), non_saturating_loss(logits))
    assert critic_loss(torch.tensor([3.0, 1.0]), torch.tensor([1.0, 2.0])).tolist() == [-2.0, 1.0]


def test_logits_of_any_size():
    huge = torch.tensor([-1e4, 1e4])
    assert discriminator_loss(huge, huge).tolist() == [1e4, 1e4]
    assert minimax_loss(huge).tolist() == [0.0, -1e4]
    assert non_saturating_loss(huge).tolist() == [1e4, 0.0]


@pytest.mark.parametrize("logit", [-6.0, -1.0, 0.0, 2.5])
def test_one_gradient_saturates(logit):
    """T19: -D, which vanishes where the discriminator is sure, and -(1 - D), which does not."""
    d = torch.tensor([logit], dtype=torch.float64, requires_grad=True)
    probability = 1 / (1 + math.exp(-logit))
    (slope,) = torch.autograd.grad(minimax_loss(d).sum(), d)
    assert float(slope) == pytest.approx(-probability, rel=1e-12)
    (slope,) = torch.autograd.grad(non_saturating_loss(d).sum(), d)
    assert float(slope) == pytest.approx(probability - 1, rel=1e-12)


def best_logits(p, q):
    """Those of a table of outcomes that minimise the discriminator's loss, by Newton's method."""
    d = torch.zeros_like(p, requires_grad=True)
    for _ in range(30):
        real, fake = discriminator_loss(d, d * 0), discriminator_loss(d * 0, d)
        loss = (p * real + q * fake).sum()
        (slope,) = torch.autograd.grad(loss, d, create_graph=True)
        (bend,) = torch.autograd.grad(slope.sum(), d)
        d = (d - slope / bend).detach().requires_grad_()
    return d.detach()


def test_the_best_discriminator():
    """T18: p / (p + q), where the value is -log 4 + 2 JS(p, q)."""
    p = torch.tensor([0.5, 0.3, 0.15, 0.05], dtype=torch.float64)
    q = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)
    d = best_logits(p, q)
    torch.testing.assert_close(d.sigmoid(), p / (p + q))
    value = -(p * nn.functional.softplus(-d) + q * nn.functional.softplus(d)).sum()
    middle = (p + q) / 2
    divergence = ((p * (p / middle).log()).sum() + (q * (q / middle).log()).sum()) / 2
    assert float(value) == pytest.approx(float(-math.log(4) + 2 * divergence), rel=1e-12)
    # anything else is a lower bound of the divergence
    for other in (d + 0.5, 2 * d, torch.zeros_like(d)):
        mean = (p * nn.functional.softplus(-other) + q * nn.functional.softplus(other)).sum()
        assert (math.log(4) - float(mean)) / 2 < float(divergence)


def test_the_value_of_samples_like_data():
    p = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    d = best_logits(p, p)
    assert d.abs().max() < 1e-12
    assert float((p * discriminator_loss(d, d)).sum()) == pytest.approx(math.log(4))


def test_penalty_of_linear_critics():
    """T21: (|w| - 1)^2 at any place, over all axes of an event, and its gradient."""
    rng = torch.Generator().manual_seed(0)
    w = torch.randn(2, 3, 4, dtype=torch.float64, generator=rng).requires_grad_()
    x = torch.randn(5, 2, 3, 4, dtype=torch.float64, generator=rng)
    found = gradient_penalty(lambda at: (at * w).flatten(1).sum(dim=1), x)
    norm = w.detach().norm()
    torch.testing.assert_close(found.detach(), ((norm - 1) ** 2).expand(5))
    (slope,) = torch.autograd.grad(found.mean(), w)
    torch.testing.assert_close(slope, 2 * (norm - 1) * w.detach() / norm)


def test_penalty_of_a_flat_critic():
    w = torch.zeros(3, requires_grad=True)
    with torch.no_grad():  # as evaluation may ask for it
        assert gradient_penalty(lambda at: at @ w, torch.ones(2, 3)).tolist() == [1.0, 1.0]
    found = gradient_penalty(lambda at: at @ w, torch.ones(2, 3))
    (slope,) = torch.autograd.grad(found.sum(), w)
    assert slope.isfinite().all()


def test_penalty_of_a_bent_critic():
    """d = |x|^2 / 2 has the slope x."""
    x = torch.tensor([[3.0, 4.0], [0.0, 0.5]])
    found = gradient_penalty(lambda at: at.square().sum(dim=1) / 2, x)
    torch.testing.assert_close(found, torch.tensor([16.0, 0.25]))


def test_mixed():
    real, fake = torch.ones(3, 1, 2), torch.zeros(3, 1, 2)
    found = mixed_events(real, fake, torch.tensor([0.0, 0.25, 1.0]))
    assert found.tolist() == [[[0.0, 0.0]], [[0.25, 0.25]], [[1.0, 1.0]]]


def trained_slope(shift, penalty):
    """Of a linear critic in one dimension."""
    slope = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    fake = torch.linspace(-1, 1, 9, dtype=torch.float64)[:, None]
    real = fake + shift
    optimiser = torch.optim.SGD([slope], lr=0.4 / penalty)
    for _ in range(50):
        loss = critic_loss(real @ slope, fake @ slope)
        total = (loss + penalty * gradient_penalty(lambda at: at @ slope, fake)).mean()
        (slope.grad,) = torch.autograd.grad(total, [slope])
        optimiser.step()
    return float(slope.detach())


@pytest.mark.parametrize(("shift", "penalty"), [(1.0, 10.0), (2.0, 10.0), (3.0, 100.0)])
def test_how_much_a_penalty_gives_way(shift, penalty):
    """s m - lambda (s - 1)^2 is greatest at s = 1 + m / (2 lambda), a little above 1."""
    found = trained_slope(shift, penalty)
    assert found == pytest.approx(1 + shift / (2 * penalty), rel=1e-9)


@pytest.mark.slow
def test_a_critic_finds_the_distance():
    """T21: N(0, I) and N(m, I) are |m| apart, as scipy finds from the distribution functions.

    In the plane, for along a line the penalty keeps a slope near the -1 that it may start with.
    """
    rng = torch.Generator().manual_seed(0)
    shift, num = 1.5, 2_000
    fake = torch.randn(num, 2, generator=rng)
    real = torch.tensor([shift, 0.0]) + torch.randn(num, 2, generator=rng)
    expected = wasserstein_distance(real[:, 0].numpy(), fake[:, 0].numpy())
    assert expected == pytest.approx(shift, rel=0.05)
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(2, 32), nn.Softplus(), nn.Linear(32, 1))

    def critic(x):
        return network(x)[:, 0]

    optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)
    for _ in range(1_500):
        of_real, of_fake = (torch.randint(num, (256,), generator=rng) for _ in range(2))
        some, others = real[of_real], fake[of_fake]
        at = mixed_events(some, others, torch.rand(256, generator=rng))
        loss = critic_loss(critic(some), critic(others)) + 50 * gradient_penalty(critic, at)
        optimiser.zero_grad()
        loss.mean().backward()
        optimiser.step()
    with torch.no_grad():
        found = float(critic(real).mean() - critic(fake).mean())
    assert found == pytest.approx(expected, rel=0.1)
