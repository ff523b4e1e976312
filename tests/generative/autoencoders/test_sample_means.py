"""Means of drawn latents: samples are noise about them."""

import pytest
import torch
from gymagine.generative.autoencoders.m2 import M2
from gymagine.generative.autoencoders.vae import VAE
from gymagine.generative.autoencoders.vq_vae import VQVAE
from gymagine.generative.generator import AbstractMeanSampler
from torch.testing import assert_close


def noise(seed=0):
    return torch.Generator().manual_seed(seed)


def shaken(generator):
    """Weights large enough that latents matter."""
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=noise(7)))
    return generator.eval()


def vae(decoder="bernoulli"):
    torch.manual_seed(0)
    return shaken(VAE((6,), decoder=decoder, latent_size=3, hidden_sizes=(8,)))


def test_they_are_decoded_from_standard_normal_latents():
    generator = vae()
    z = torch.randn(5, 3, generator=noise())
    found = generator.sample_means(5, rng=noise())
    assert_close(found, generator.decode_mean(z).detach())
    assert not found.requires_grad
    assert ((found > 0.01) & (found < 0.99)).any()
    assert_close(
        generator.sample_means(5, temperature=0.5, rng=noise()),
        generator.decode_mean(0.5 * z).detach(),
    )


@pytest.mark.parametrize("decoder", ["bernoulli", "gaussian"])
def test_samples_have_the_same_mean(decoder):
    generator = vae(decoder)
    means = generator.sample_means(20_000, rng=noise(1)).double()
    drawn = generator.sample(20_000, rng=noise(2)).double()
    error = (drawn.var(dim=0) / 20_000 + means.var(dim=0) / 20_000).sqrt()
    assert ((drawn.mean(dim=0) - means.mean(dim=0)).abs() < 5 * error).all()
    assert (means.var(dim=0) < drawn.var(dim=0)).all()


def test_contexts():
    generator = VAE((6,), context_shape=(2,), decoder="bernoulli", latent_size=3).eval()
    assert generator.sample_means(4, torch.eye(2), rng=noise()).shape == (4, 2, 6)
    with pytest.raises(ValueError, match="a context of shape"):
        generator.sample_means(4)
    with pytest.raises(ValueError, match="at least 1 sample"):
        generator.sample_means(0, torch.eye(2))


def test_labels_and_codes_are_drawn_alike():
    torch.manual_seed(0)
    labelled = shaken(M2((6,), context_shape=(3,), decoder="bernoulli", latent_size=2))
    unknown = torch.zeros(1, 3)
    assert labelled.sample_means(9, unknown, rng=noise()).shape == (9, 1, 6)
    coded = VQVAE((6,), decoder="bernoulli", num_codes=4, code_size=2, num_positions=3).eval()
    with pytest.warns(UserWarning, match="prior was not trained"):
        means = coded.sample_means(9, rng=noise())
    assert means.shape == (9, 6)
    assert ((means > 0) & (means < 1)).all()
    assert isinstance(coded, AbstractMeanSampler)
