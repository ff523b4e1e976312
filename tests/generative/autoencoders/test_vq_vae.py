"""The vector-quantised autoencoder: its loss by hand, its bound by enumeration, its prior."""

import itertools
import math

import numpy as np
import pytest
import torch
from gymagine.generative.autoencoders.vq_vae import VQVAE, fit_prior
from gymagine.generative.data.dataset import Dataset, Events
from gymagine.generative.training import fit

from .test_codebook import blobs
from .test_vae import digits


def small(**hyperparameters):
    torch.manual_seed(0)
    settings = {"num_codes": 4, "code_size": 2, "num_positions": 2, "hidden_sizes": (16,)}
    settings |= {"prior_hidden_sizes": (16,)} | hyperparameters
    return VQVAE((3,), **settings).double()


def identity():
    """Whose latent is the event itself, to be replaced by one of 8 codes."""
    made = VQVAE(
        (2,), num_codes=8, code_size=2, num_positions=1, network="linear", dead_share=0.0
    ).double()
    with torch.no_grad():
        for network in (made.encoder.network, made.decoder.network):
            network.dense.layers[0].weight.copy_(torch.eye(2))
            network.dense.layers[0].bias.zero_()
    return made


def test_loss_by_hand_with_the_code_book_as_it_is():
    made, x = small(commitment=0.25), torch.randn(5, 3, dtype=torch.float64)
    with torch.no_grad():
        z = made.encoder(x, None)
        codes = made.codebook.codes[torch.cdist(z, made.codebook.codes).argmin(dim=2)]
        mean = made.decoder(codes, None).squeeze(-1)
        sigma = made.likelihood.sigma
        log_prob = torch.distributions.Normal(mean, sigma).log_prob(x).sum(dim=1)
        expected = -log_prob + 0.25 * ((z - codes) ** 2).sum(dim=(1, 2))
    torch.testing.assert_close(made.loss(x), expected)
    made.adjust(x, None, torch.Generator().manual_seed(0))
    assert not torch.allclose(made.loss(x), expected)


def test_gradient_of_the_encoder_is_that_of_the_codes_and_of_the_commitment():
    made = identity()
    x = torch.tensor([[0.3, -0.2]], dtype=torch.float64)
    code = made.codebook.codes[made.encode(x)[0, 0]]
    (slope,) = torch.autograd.grad(made.loss(x).sum(), [made.encoder.network.dense.layers[0].bias])
    by_code = (code - x[0]) / made.likelihood.sigma.detach() ** 2  # of -log N(x; code)
    commitment = 2 * 0.25 * (x[0] - code)
    torch.testing.assert_close(slope, by_code + commitment)


def test_identity_networks_are_k_means():
    cluster = pytest.importorskip("sklearn.cluster")
    made, x, rng = identity(), blobs(), torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    made.initialise(x[:64], None)
    start = made.codebook.codes.numpy().copy()
    lloyd = cluster.KMeans(8, init=start, n_init=1).fit(x.numpy())
    for _ in range(200):
        made.adjust(x[torch.randint(len(x), (64,), generator=rng)], None, rng)
    error = ((made.decode(made.encode(x)) - x) ** 2).sum().item()
    assert error == pytest.approx(lloyd.inertia_, rel=0.1)


def test_bound_is_below_the_sum_over_all_grids_and_its_largest_term_at_best():
    made, x = small(), torch.randn(6, 3, dtype=torch.float64)
    grids = torch.tensor(list(itertools.product(range(4), repeat=2)))
    with torch.no_grad():
        prior = made.prior.log_prob(grids)
        outputs = made.decoder(made.codebook.codes[grids], None)
        terms = torch.stack(
            [prior + made.likelihood.log_prob(outputs, event.expand(16, 3)) for event in x]
        )
        bound = made.log_prob_bound(x)
    assert prior.exp().sum().item() == pytest.approx(1)
    places = (made.encode(x) @ torch.tensor([4, 1])).unsqueeze(1)
    torch.testing.assert_close(bound, terms.gather(1, places).squeeze(1))
    assert (bound < terms.logsumexp(dim=1)).all()


def test_a_prior_learns_which_codes_go_together():
    made, x = small(num_codes=4), torch.randn(400, 3, dtype=torch.float64)
    made.initialise(x, None)
    context = None
    codes = made.encode(x)
    joint = np.unique(codes.numpy(), axis=0, return_counts=True)[1] / len(x)
    single = [torch.bincount(codes[:, i], minlength=4).numpy() / len(x) for i in range(2)]
    entropies = [-(p[p > 0] * np.log(p[p > 0])).sum() for p in (joint, *single)]
    before = {key: value.clone() for key, value in made.state_dict().items()}
    bound = made.log_prob_bound(x).mean()
    result = fit_prior(made, x, num_updates=150, learning_rate=0.02, batch_size=400, num_threads=1)
    after = -made.prior.log_prob(codes, context).mean().item()
    assert entropies[0] <= after + 1e-9
    assert after < entropies[0] + 0.02 < entropies[1] + entropies[2]
    assert result.losses["loss"] == pytest.approx(after, abs=0.05)
    assert made.log_prob_bound(x).mean() > bound
    for key, value in made.state_dict().items():
        assert key.startswith("prior") or torch.equal(value, before[key])
    assert not any(p.requires_grad for p in made.prior.parameters())
    fit(made, x, num_updates=2, num_threads=1)  # which leaves the prior alone
    assert -made.prior.log_prob(codes).mean().item() == pytest.approx(after)


def test_a_prior_of_prepared_and_labelled_data_with_a_part_held_out():
    made = VQVAE((3,), context_shape=(2,), decoder="bernoulli", num_codes=4, num_positions=2)
    x, context = torch.rand(40, 3), torch.eye(2).repeat(20, 1)
    parts = Events(x[:30], context[:30]), Events(x[30:], context[30:])
    data = Dataset(*parts, prepare=lambda x, rng: torch.bernoulli(x, generator=rng))
    first, second = (fit_prior(made, data, num_updates=3, seed=1).held_out_loss for _ in range(2))
    assert second < first  # the same codes again, from where it was


def test_pictures_have_maps_of_codes_and_files_keep_all(tmp_path):
    made = VQVAE((1, 16, 16), num_codes=8, code_size=4, channels=(4, 4), prior_layers=2)
    assert made.latent_shape == (1, 4, 4)
    x = torch.rand(5, 1, 16, 16)
    fit(made, x, num_updates=2, num_threads=1)
    made.save(tmp_path / "model")
    loaded = VQVAE.load(tmp_path / "model")
    assert torch.equal(loaded.encode(x), made.encode(x))
    torch.testing.assert_close(loaded.log_prob_bound(x), made.log_prob_bound(x))


def test_sampling_from_an_untrained_prior_warns(recwarn):
    made = small()
    with pytest.warns(UserWarning, match="call fit_prior"):
        made.sample(2)
    fit_prior(made, torch.randn(5, 3, dtype=torch.float64), num_updates=1, num_threads=1)
    recwarn.clear()
    assert made.sample(2).shape == (2, 3)
    assert not [one for one in recwarn if "fit_prior" in str(one.message)]


def test_wrong_calls():
    with pytest.raises(ValueError, match="num_codes"):
        VQVAE((3,), num_codes=1)
    with pytest.raises(ValueError, match=r"codes of shape .*2.*got \(1, 3\)"):
        small().decode(torch.zeros(1, 3, dtype=torch.int64))


@pytest.mark.slow
def test_digits_have_many_codes_and_a_prior_better_than_unigrams():
    x, _ = digits()
    train, test = x[:1500], x[1500:]
    torch.manual_seed(0)
    made = VQVAE((64,), decoder="bernoulli", num_codes=16, num_positions=4)
    fit(made, train, num_updates=2_000, weight_decay=0.3, num_threads=1)
    fit_prior(
        made,
        Dataset(Events(train), Events(test)),
        num_updates=1_500,
        weight_decay=0.5,
        evaluation_interval=50,
        patience=4,
        num_threads=1,
    )
    codes, new = made.encode(train), made.encode(test)
    uses = torch.stack([torch.bincount(row, minlength=16) for row in codes.T]).double()
    whole = uses.sum(dim=0) / uses.sum()
    perplexity = math.exp(-(whole * whole.clamp_min(1e-12).log()).sum())
    unigram = ((uses + 1) / (uses.sum(dim=1, keepdim=True) + 16)).log()
    independent = -torch.stack([unigram[i, new[:, i]] for i in range(4)]).sum(dim=0).mean()
    fitted = -made.prior.log_prob(new).mean().item()
    p = (train.sum(dim=0) + 0.5) / (len(train) + 1)
    pixels = torch.distributions.Bernoulli(p).log_prob(test).sum(dim=1).mean().item()
    bound = made.log_prob_bound(test).mean().item()
    print(
        f"perplexity {perplexity:.1f} of 16; codes {fitted:.2f} nats, unigrams {independent:.2f}, "
        f"uniform {4 * math.log(16):.2f}; bound {bound:.2f}, independent pixels {pixels:.2f}"
    )
    assert perplexity > 4
    assert fitted < independent - 0.2
    assert bound > pixels + 3
