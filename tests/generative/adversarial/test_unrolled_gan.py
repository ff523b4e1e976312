"""Unrolling: exact on a scalar game, the same as a discriminator that really takes the steps."""

import copy

import pytest
import torch
from gymagine.generative.adversarial.gan import GAN
from gymagine.generative.adversarial.losses import discriminator_loss
from gymagine.generative.adversarial.unrolled_gan import UnrolledGAN, unrolled
from gymagine.generative.data.toys import eight_gaussians, eight_gaussians_centres
from gymagine.generative.metrics.mode_coverage import mode_coverage
from gymagine.generative.training import fit

torch.set_num_threads(1)

SMALL = {"hidden_sizes": (6,), "latent_size": 3, "activation": "tanh"}


@pytest.mark.parametrize("num_steps", [0, 1, 2, 7])
@pytest.mark.parametrize("rate", [0.1, 0.5, 1.5])
def test_a_scalar_game(num_steps, rate):
    """T20: f = g d - d^2 / 2, ascended by d, has closed forms for d_K and df_K / dg."""
    g = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    d_0 = torch.tensor(-0.4, dtype=torch.float64, requires_grad=True)

    def value(parameters):
        return g * parameters["d"] - parameters["d"] ** 2 / 2

    after = unrolled({"d": d_0}, lambda p: -value(p), num_steps=num_steps, learning_rate=rate)
    rho = (1 - rate) ** num_steps
    d_k = rho * -0.4 + (1 - rho) * 0.7
    assert float(after["d"].detach()) == pytest.approx(d_k, rel=1e-12)
    assert float(d_0.detach()) == -0.4
    by_g, by_d = torch.autograd.grad(value(after), [g, d_0])
    assert float(by_g) == pytest.approx(d_k + (0.7 - d_k) * (1 - rho), rel=1e-12)
    assert float(by_d) == pytest.approx((0.7 - d_k) * rho, rel=1e-12, abs=1e-15)


def losses_by_steps(gan, x, context, seed):
    """The generator's loss where a copy of the discriminator really takes the steps."""
    rng = torch.Generator().manual_seed(seed)
    z = torch.randn(len(x), 3, generator=rng, dtype=x.dtype)
    made = gan.generate(z, context).detach()
    ahead = copy.deepcopy(gan.discriminator)
    optimiser = torch.optim.SGD(ahead.parameters(), lr=gan.config.unrolled_learning_rate)
    for _ in range(gan.config.num_unrolled):
        optimiser.zero_grad()
        discriminator_loss(ahead(x, context), ahead(made, context)).mean().backward()
        optimiser.step()
    with torch.no_grad():
        return -discriminator_loss(ahead(x, context), ahead(made, context))


def test_steps_that_are_really_taken():
    torch.manual_seed(0)
    gan = UnrolledGAN((2,), context_shape=(2,), num_unrolled=4, **SMALL).double()
    x, context = torch.randn(5, 2).double(), torch.randn(5, 2).double()
    before = copy.deepcopy(gan.state_dict())
    phase = gan.phases()[1]
    found = phase.loss(x, context, torch.Generator().manual_seed(3))
    torch.testing.assert_close(found.detach(), losses_by_steps(gan, x, context, 3))
    for key, value in gan.state_dict().items():
        assert torch.equal(value, before[key]), key  # restored
    # the gradient sees the answer of the discriminator: it is that of finite differences
    slopes = torch.autograd.grad(found.mean(), phase.parameters)
    for parameter, slope in zip(phase.parameters, slopes, strict=True):
        place = (0,) * parameter.dim()
        ends = []
        for step in (1e-5, -1e-5):
            with torch.no_grad():
                parameter[place] += step
            ends.append(float(losses_by_steps(gan, x, context, 3).mean()))
            with torch.no_grad():
                parameter[place] -= step
        difference = (ends[0] - ends[1]) / 2e-5
        assert float(slope[place]) == pytest.approx(difference, rel=1e-5, abs=1e-9)


def test_without_steps_it_is_a_gan():
    torch.manual_seed(0)
    plain = GAN((2,), loss="minimax", **SMALL).double()
    gan = UnrolledGAN((2,), num_unrolled=0, **SMALL).double()
    ahead = UnrolledGAN((2,), num_unrolled=3, **SMALL).double()
    for other in (gan, ahead):
        other.load_state_dict(plain.state_dict())
    x = torch.randn(5, 2).double()
    slopes = []
    for model in (plain, gan, ahead):
        phase = model.phases()[1]
        loss = phase.loss(x, None, torch.Generator().manual_seed(0)).mean()
        slopes.append(torch.autograd.grad(loss, phase.parameters))
    for one, other, third in zip(*slopes, strict=True):
        torch.testing.assert_close(one, other)
        assert not torch.allclose(one, third)


def test_the_discriminator_moves_once_from_where_it_was():
    x = torch.randn(16, 2, generator=torch.Generator().manual_seed(0))
    moved = []
    for num_unrolled in (0, 4):
        torch.manual_seed(0)
        gan = UnrolledGAN((2,), num_unrolled=num_unrolled, **SMALL)
        fit(gan, x, num_updates=1, batch_size=16)
        moved.append(gan.discriminator.state_dict())
    for name, value in moved[0].items():
        assert torch.equal(value, moved[1][name]), name


@pytest.mark.slow
def test_a_ring_is_covered_by_looking_ahead():
    """Metz et al., figure 2: without, samples run from mode to mode; with, they cover them.

    The discriminator's steps are a tenth as long as the generator's, as in the paper.
    """
    x = eight_gaussians(20_000, 0, deviation=0.02)
    found = []
    for num_unrolled in (0, 5):
        torch.manual_seed(0)
        gan = UnrolledGAN((2,), num_unrolled=num_unrolled, hidden_sizes=(64, 64), latent_size=16)
        fit(gan, x, num_updates=1_000, batch_size=64)
        drawn = gan.sample(2_000, rng=torch.Generator().manual_seed(0))
        found.append(mode_coverage(drawn, eight_gaussians_centres(), 0.02))
    assert found[1].num_covered > found[0].num_covered + 2
    assert found[1].share_near > found[0].share_near
