"""Every adversarial generator keeps the laws of `gymagine.generative.testing`."""

import pytest
import torch
from gymagine.generative.adversarial.dcgan import DCGAN
from gymagine.generative.adversarial.gan import GAN
from gymagine.generative.adversarial.unrolled_gan import UnrolledGAN
from gymagine.generative.adversarial.wgan_gp import WGANGP
from gymagine.generative.testing import check_generator

SMALL = {"hidden_sizes": (16,), "latent_size": 3}
CASES = {
    "gan": (GAN, SMALL),
    "minimax": (GAN, SMALL | {"loss": "minimax", "critic_steps": 2}),
    "wgan-gp": (WGANGP, SMALL),
    "unrolled-gan": (UnrolledGAN, SMALL | {"num_unrolled": 2}),
    "unrolled, non-saturating": (
        UnrolledGAN,
        SMALL | {"num_unrolled": 2, "loss": "non-saturating"},
    ),
    "not unrolled": (UnrolledGAN, SMALL | {"num_unrolled": 0}),
}


@pytest.mark.parametrize("context_shape", [None, (2,), (1, 2)])
@pytest.mark.parametrize("case", CASES)
def test_vectors(case, context_shape):
    family, hyperparameters = CASES[case]
    torch.manual_seed(0)
    context = None if context_shape is None else 2 * torch.randn(6, *context_shape)
    generator = family((5,), context_shape=context_shape, **hyperparameters)
    check_generator(generator, torch.randn(6, 5), context)


@pytest.mark.parametrize("family", [GAN, WGANGP, UnrolledGAN])
def test_convolutions(family):
    torch.manual_seed(0)
    settings = {"network": "convolutional", "channels": (4, 6), "latent_size": 3}
    generator = family((2, 5, 7), context_shape=(2,), **settings)
    x = 2 * torch.rand(4, 2, 5, 7) - 1
    check_generator(generator, x, 2 * torch.randn(4, 2))


@pytest.mark.parametrize("context_shape", [None, (1, 2)])
@pytest.mark.parametrize(
    ("event_shape", "channels"), [((1, 8, 8), (4, 6)), ((2, 5, 7), (4, 6)), ((1, 2, 3), (4,))]
)
def test_deep_convolutional(event_shape, channels, context_shape):
    torch.manual_seed(0)
    generator = DCGAN(event_shape, context_shape=context_shape, channels=channels, latent_size=3)
    context = None if context_shape is None else 2 * torch.randn(6, *context_shape)
    generator.settle(2 * torch.rand(6, *event_shape) - 1, context, None)
    check_generator(generator, 2 * torch.rand(6, *event_shape) - 1, context)
