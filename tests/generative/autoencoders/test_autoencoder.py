"""Autoencoders: principal components (T1), Tweedie's formula (T2), and where samples come from."""

import numpy as np
import pytest
import torch
from gymagine.generative.autoencoders.autoencoder import Autoencoder, corrupted
from gymagine.generative.training import fit

SIGMA = 0.7


def correlated(num=2_000, seed=0):
    """(num, 6) normal events, with their exact mean and covariance."""
    rng = np.random.default_rng(seed)
    factor, mean = rng.normal(size=(6, 6)), rng.normal(size=6)
    x = torch.from_numpy(mean + rng.normal(size=(num, 6)) @ factor.T)
    return x, mean, factor @ factor.T


def minimise(generator, x, steps=6):
    """By L-BFGS, with the same noise in every step."""
    optimiser = torch.optim.LBFGS(
        generator.parameters(), max_iter=50, line_search_fn="strong_wolfe", tolerance_grad=1e-10
    )

    def loss():
        optimiser.zero_grad()
        value = generator.loss(x, rng=torch.Generator().manual_seed(0)).mean()
        value.backward()
        return value

    for _ in range(steps):
        optimiser.step(loss)


def linear(latent_size, **hyperparameters):
    torch.manual_seed(0)
    made = Autoencoder((6,), latent_size=latent_size, network="linear", **hyperparameters)
    return made.double()


def matrix(autoencoder):
    """(6, 6) of decoder after encoder."""
    encoder, decoder = (
        m.dense.layers[0].weight for m in (autoencoder.encoder, autoencoder.decoder)
    )
    return (decoder @ encoder).detach().numpy()


def test_linear_autoencoder_is_principal_component_analysis():
    decomposition = pytest.importorskip("sklearn.decomposition")
    x, _, _ = correlated()
    pca = decomposition.PCA(2).fit(x)
    autoencoder = linear(2)
    minimise(autoencoder, x)
    projector = pca.components_.T @ pca.components_
    np.testing.assert_allclose(matrix(autoencoder), projector, atol=1e-4)
    variances = np.linalg.eigvalsh(np.cov(x.T, bias=True))
    assert autoencoder.loss(x).mean().item() == pytest.approx(variances[:4].sum(), rel=1e-6)
    back = autoencoder.reconstruct(x).detach()
    np.testing.assert_allclose(back, pca.inverse_transform(pca.transform(x)), atol=1e-3)


def test_fit_finds_the_principal_components_too():
    x, _, _ = correlated()
    variances = np.linalg.eigvalsh(np.cov(x.T, bias=True))
    autoencoder = linear(2)
    fit(autoencoder, x, num_updates=400, learning_rate=0.03, step_sizes="linear", num_threads=1)
    with torch.no_grad():
        assert autoencoder.loss(x).mean().item() == pytest.approx(variances[:4].sum(), rel=0.02)


def test_linear_denoiser_shrinks_as_bayes_rule_does():
    x, mean, covariance = correlated(5_000)
    denoiser = linear(6, corruption="gaussian", noise_level=SIGMA)
    minimise(denoiser, x, steps=2)
    noisy = covariance + SIGMA**2 * np.eye(6)
    expected = covariance @ np.linalg.inv(noisy)
    np.testing.assert_allclose(matrix(denoiser), expected, atol=0.04)
    new, _, _ = correlated(100, seed=0)
    score = -np.linalg.solve(noisy, (new.numpy() - mean).T).T
    found = denoiser.score(new).detach().numpy()
    assert np.abs(found - score).max() < 0.1 * np.abs(score).max()


def test_samples_are_normal_on_the_principal_plane():
    x, _, _ = correlated()
    autoencoder = linear(2)
    minimise(autoencoder, x)
    autoencoder.adjust(x, None, None)
    drawn = autoencoder.sample(40_000, rng=torch.Generator().manual_seed(0))
    plane = matrix(autoencoder)
    expected = plane @ np.cov(x.T, bias=True) @ plane.T
    np.testing.assert_allclose(np.cov(drawn.T), expected, atol=0.03 * np.abs(expected).max())
    np.testing.assert_allclose(drawn.mean(dim=0), x.mean(dim=0), atol=0.06)
    cold = autoencoder.sample(40_000, temperature=0.5, rng=torch.Generator().manual_seed(0))
    np.testing.assert_allclose(np.cov(cold.T), np.cov(drawn.T) / 4, rtol=1e-8)


def test_moments_are_those_of_all_batches_and_then_run():
    autoencoder = linear(3, running_decay=0.75)
    batches = [correlated(50, seed=seed)[0] for seed in range(8)]
    for x in batches:
        autoencoder.adjust(x, None, None)
    z = torch.stack([autoencoder.encode(x) for x in batches]).detach()
    # equal shares up to the fourth, and then a quarter for the new one
    weights = torch.full((4,), 0.25).double()
    for _ in range(4):
        weights = torch.cat([0.75 * weights, torch.tensor([0.25]).double()])
    mean = (weights[:, None] * z.mean(dim=1)).sum(dim=0)
    torch.testing.assert_close(autoencoder.latent_mean, mean)
    products = torch.einsum("b,bni,bnj->ij", weights, z, z) / 50
    torch.testing.assert_close(autoencoder.latent_covariance, products - torch.outer(mean, mean))


def test_sampling_an_untrained_one_warns():
    autoencoder = Autoencoder((3,))
    with pytest.warns(UserWarning, match="not trained"):
        autoencoder.sample(2)


def test_kinds_of_corruption():
    x, rng = torch.full((100, 200), 0.5), torch.Generator().manual_seed(0)
    assert corrupted(x, "none", 0.3, rng) is x
    noise = corrupted(x, "gaussian", 0.3, rng) - x
    assert noise.std().item() == pytest.approx(0.3, rel=0.02)
    masked = corrupted(x, "masking", 0.3, rng)
    assert set(masked.unique().tolist()) == {0.0, 0.5}
    assert (masked == 0).float().mean().item() == pytest.approx(0.3, abs=0.015)
    peppered = corrupted(x, "salt-and-pepper", 0.3, rng)
    for value in (0.0, 1.0):
        assert (peppered == value).float().mean().item() == pytest.approx(0.15, abs=0.012)


def test_the_loss_is_held_against_the_clean_event():
    autoencoder = linear(6, corruption="masking", noise_level=1.0)
    x, _, _ = correlated(5)
    expected = ((autoencoder.reconstruct(torch.zeros_like(x)) - x) ** 2).sum(dim=1)
    torch.testing.assert_close(autoencoder.loss(x), expected)


def test_wrong_calls():
    with pytest.raises(ValueError, match=r"probability as noise_level of masking, got 1\.5"):
        Autoencoder((3,), corruption="masking", noise_level=1.5)
    with pytest.raises(ValueError, match="corruption='gaussian'"):
        Autoencoder((3,), corruption="masking").score(torch.zeros(1, 3))
    with pytest.raises(ValueError, match=r"latents of shape \(B, 3\), got \(2, 4\)"):
        Autoencoder((3,)).decode(torch.zeros(2, 4))


@pytest.mark.slow
def test_denoising_digits_moves_them_nearer_to_digits():
    datasets = pytest.importorskip("sklearn.datasets")
    pixels = torch.from_numpy(datasets.load_digits().data / 16).float()
    train, test = pixels[:1500], pixels[1500:]
    torch.manual_seed(0)
    denoiser = Autoencoder(
        (64,), latent_size=64, hidden_sizes=(256,), corruption="gaussian", noise_level=0.3
    )
    fit(denoiser, train, num_updates=1_500, num_threads=1)
    rng = torch.Generator().manual_seed(0)
    noisy = corrupted(test, "gaussian", 0.3, rng)
    with torch.no_grad():
        clean = denoiser.reconstruct(noisy)
    nearest = [torch.cdist(x, train).min(dim=1).values.mean() for x in (noisy, clean, test)]
    errors = [((x - test) ** 2).sum(dim=1).mean() for x in (noisy, clean)]
    print(f"distance to the nearest digit {nearest}, squared error {errors}")
    assert nearest[1] < 0.7 * nearest[0]
    assert errors[1] < 0.5 * errors[0]
