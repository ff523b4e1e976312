"""The variational autoencoder: what it learns on data with a known answer, and on digits."""

import numpy as np
import pytest
import torch
from gymagine.generative.autoencoders.vae import VAE
from gymagine.generative.data.dataset import Dataset, Events
from gymagine.generative.training import fit

from .linear_gaussian import LinearGaussian


def digits():
    """(1797, 64) zeros and ones, and (1797,) labels, in a fixed order."""
    sklearn = pytest.importorskip("sklearn.datasets")
    pixels, labels = sklearn.load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(pixels))
    return torch.from_numpy(pixels[order] > 7.5).float(), torch.from_numpy(labels[order])


@pytest.mark.slow
def test_a_linear_one_learns_the_principal_components_model():
    true = LinearGaussian()
    x, new = true.draw(5_000).float(), true.draw(2_000, seed=1)
    torch.manual_seed(0)
    vae = VAE((5,), network="linear", latent_size=2)
    fit(
        vae,
        x,
        num_updates=800,
        batch_size=500,
        learning_rate=0.02,
        step_sizes="linear",
        num_threads=1,
    )
    rng = torch.Generator().manual_seed(0)
    exact = true.log_prob(new).mean()
    with torch.no_grad():
        bound = vae.log_prob_bound(new.float(), rng=rng).double().mean()
    assert exact - 0.1 < bound < exact + 0.05
    assert vae.model.likelihood.sigma.item() == pytest.approx(true.sigma, rel=0.05)
    weights = vae.model.decoder.dense.layers[0].weight.detach().double().numpy()
    np.testing.assert_allclose(
        weights @ weights.T, true.weights @ true.weights.T, atol=0.15, err_msg="W W'"
    )


def test_the_loss_is_minus_the_bound():
    vae, x = VAE((3,), context_shape=(2,)), torch.randn(4, 3)
    context = torch.randn(4, 2)
    loss, bound = (
        call(x, context, rng=torch.Generator().manual_seed(0))
        for call in (vae.loss, vae.log_prob_bound)
    )
    torch.testing.assert_close(loss, -bound)
    tighter = VAE((3,), num_importance_samples=5)
    loss = tighter.loss(x, rng=torch.Generator().manual_seed(0))
    rng = torch.Generator().manual_seed(0)
    torch.testing.assert_close(loss, -tighter.importance_weighted_bound(x, None, 5, rng))


def test_nats_are_summed_not_averaged():
    # with a decoder that gives a half for every pixel the loss is D log 2 and the divergence
    vae = VAE((64,), decoder="bernoulli", network="linear", latent_size=2)
    with torch.no_grad():
        for parameter in vae.parameters():
            parameter.zero_()
        vae.model.encoder.dense.layers[0].bias[0] = 3.0
    loss = vae.loss(torch.ones(1, 64))
    np.testing.assert_allclose(loss.detach(), 64 * np.log(2) + 4.5, rtol=1e-6)


def test_encoding_draws_with_an_rng_only():
    vae, x = VAE((3,), latent_size=2), torch.zeros(1, 3)
    mean, log_variance = vae.model.posterior(x, None)
    assert torch.equal(vae.encode(x), mean)
    rng = torch.Generator().manual_seed(0)
    drawn = vae.encode(x.expand(20_000, 3), rng=rng).detach()
    np.testing.assert_allclose(drawn.mean(dim=0), mean[0].detach(), atol=0.05)
    np.testing.assert_allclose(drawn.var(dim=0), log_variance[0].exp().detach(), rtol=0.06)


@pytest.mark.parametrize(
    ("decoder", "bad"),
    [("bernoulli", 0.5), ("categorical", 4), ("discretised-logistic", -1), ("gaussian", np.nan)],
)
def test_events_outside_the_support(decoder, bad):
    vae = VAE((2,), decoder=decoder, num_levels=4)
    with pytest.raises(ValueError, match="expected"):
        fit(vae, torch.tensor([[0, 0], [1, bad]]), num_updates=1)


def test_wrong_settings(without_shape_checks):
    with pytest.raises(ValueError, match="latent_size"):
        VAE((2,), latent_size=0)
    with pytest.raises(ValueError, match="decoder"):
        VAE((2,), decoder="poisson")
    with pytest.raises(TypeError, match="did you mean latent_size"):
        VAE((2,), latent_sizes=3)
    with pytest.raises(ValueError, match="expected pictures"):
        VAE((2,), network="convolutional")


def test_there_are_no_more_latents_than_entries_unless_asked_for():
    assert VAE((2,)).latent_shape == (2,)
    assert VAE((1, 8, 8)).latent_shape == (16,)
    assert VAE((2,), latent_size=5).latent_shape == (5,)


@pytest.mark.slow
def test_digits_are_likelier_than_under_independent_pixels():
    x, _ = digits()
    train, test = x[:1500], x[1500:]
    p = (train.sum(dim=0) + 0.5) / (len(train) + 1)
    independent = torch.distributions.Bernoulli(p).log_prob(test).sum(dim=1).mean()
    torch.manual_seed(0)
    vae = VAE((64,), decoder="bernoulli")
    fit(vae, train, num_updates=1_500, weight_decay=0.1, num_threads=1)
    with torch.no_grad():
        rng = torch.Generator().manual_seed(0)
        bound = vae.log_prob_bound(test, rng=rng).mean()
        tighter = vae.importance_weighted_bound(test, None, 500, rng).mean()
    print(f"independent {independent:.2f}, bound {bound:.2f}, 500 weights {tighter:.2f} nats")
    assert bound > independent + 4
    assert tighter > bound + 0.1


@pytest.mark.slow
def test_samples_given_a_label_are_classified_as_it():
    linear_model = pytest.importorskip("sklearn.linear_model")
    x, labels = digits()
    classifier = linear_model.LogisticRegression(max_iter=2_000).fit(x, labels)
    torch.manual_seed(0)
    vae = VAE((64,), context_shape=(10,), decoder="bernoulli")
    context = torch.nn.functional.one_hot(labels, 10).float()
    fit(vae, Dataset(Events(x, context)), num_updates=1_500, num_threads=1)
    drawn = vae.sample(100, torch.eye(10), rng=torch.Generator().manual_seed(0))
    found = classifier.predict(drawn.flatten(0, 1)).reshape(100, 10)
    share = (found == np.arange(10)).mean()
    print(f"{share:.0%} of samples are classified as their label")
    assert share > 0.7
