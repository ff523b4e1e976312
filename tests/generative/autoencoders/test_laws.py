"""Every autoencoder keeps the laws of `gymagine.generative.testing`."""

import pytest
import torch
from gymagine.generative.autoencoders.autoencoder import Autoencoder
from gymagine.generative.autoencoders.beta_vae import BetaVAE
from gymagine.generative.autoencoders.m2 import M2
from gymagine.generative.autoencoders.masked_autoencoder import MaskedAutoencoder
from gymagine.generative.autoencoders.vae import VAE
from gymagine.generative.autoencoders.vq_vae import VQVAE
from gymagine.generative.testing import check_generator

pytestmark = pytest.mark.filterwarnings("ignore:this .* was not trained:UserWarning")

SMALL = {"hidden_sizes": (16,), "latent_size": 3}
CODES = {"hidden_sizes": (16,), "num_codes": 4, "num_positions": 3, "prior_hidden_sizes": (16,)}
CASES = {
    "autoencoder": (Autoencoder, SMALL),
    "denoising": (Autoencoder, SMALL | {"corruption": "gaussian"}),
    "linear": (Autoencoder, {"network": "linear", "latent_size": 2}),
    "masked-autoencoder": (MaskedAutoencoder, SMALL),
    "vae": (VAE, SMALL),
    "importance-weighted": (VAE, SMALL | {"num_importance_samples": 4}),
    "beta-vae": (BetaVAE, SMALL),
    "constraint": (BetaVAE, SMALL | {"rule": "constraint"}),
    "geco": (BetaVAE, SMALL | {"rule": "geco"}),
    "vq-vae": (VQVAE, CODES),
}
DISCRETE = {
    "bernoulli": lambda shape: torch.randint(2, shape).float(),
    "categorical": lambda shape: torch.randint(4, shape),
    "discretised-logistic": lambda shape: torch.randint(4, shape),
}


@pytest.mark.parametrize("context_shape", [None, (2,), (1, 2)])
@pytest.mark.parametrize("case", CASES)
def test_vectors(case, context_shape):
    family, hyperparameters = CASES[case]
    torch.manual_seed(0)
    context = None if context_shape is None else 4 * torch.randn(6, *context_shape)
    generator = family((5,), context_shape=context_shape, **hyperparameters)
    check_generator(generator, torch.randn(6, 5), context)


@pytest.mark.parametrize("decoder", DISCRETE)
@pytest.mark.parametrize("case", ["masked-autoencoder", "vae", "vq-vae"])
def test_decoders_of_levels(case, decoder):
    family, hyperparameters = CASES[case]
    torch.manual_seed(0)
    generator = family((5,), decoder=decoder, num_levels=4, **hyperparameters)
    check_generator(generator, DISCRETE[decoder]((6, 5)))


@pytest.mark.parametrize("family", [Autoencoder, MaskedAutoencoder, VAE, BetaVAE, VQVAE])
def test_pictures(family):
    torch.manual_seed(0)
    own = {VQVAE: {"prior_layers": 2, "num_codes": 4}, MaskedAutoencoder: {"drawn_together": 9}}
    settings = {"network": "convolutional", "channels": (4, 6)} | own.get(family, {})
    generator = family((2, 5, 7), context_shape=(2,), **settings)
    check_generator(generator, torch.randn(4, 2, 5, 7), 4 * torch.randn(4, 2))


def test_labels():
    torch.manual_seed(0)
    labels = torch.eye(3)[[0, 1, 2, 0, 1, 2]]
    labels[4:] = 0
    check_generator(M2((5,), context_shape=(3,), **SMALL), torch.randn(6, 5), labels)
