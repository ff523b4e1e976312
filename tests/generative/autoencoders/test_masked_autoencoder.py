"""Masked autoencoders: inpainting of normal data (T3), and all orders enumerated (T12)."""

import itertools
import math

import numpy as np
import pytest
import torch
from gymagine.generative.autoencoders.masked_autoencoder import MaskedAutoencoder, drawn_masks
from gymagine.generative.training import fit
from scipy import stats

EVENTS = torch.tensor(list(itertools.product([0.0, 1.0], repeat=3)), dtype=torch.float64)
ORDERS = list(itertools.permutations(range(3)))


def three_coins():
    """An untrained model of three bits, with large weights so that orders matter."""
    torch.manual_seed(0)
    made = MaskedAutoencoder((3,), decoder="bernoulli", hidden_sizes=(8,), latent_size=4).double()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter *= 3
    return made


def order_log_probs(generator, x):
    """(6, N) log p(x | o) of every order, from the conditionals one by one."""
    found = []
    for order in ORDERS:
        known, total = torch.zeros(x.shape, dtype=torch.bool), torch.zeros(len(x)).double()
        for entry in order:
            logits = generator.outputs(x, known)[:, entry, 0]
            total = total + torch.distributions.Bernoulli(logits=logits).log_prob(x[:, entry])
            known = known.clone()
            known[:, entry] = True
        found.append(total)
    return torch.stack(found).detach()


def test_expected_loss_is_the_mean_over_all_orders():
    generator = three_coins()
    expected = -order_log_probs(generator, EVENTS).mean(dim=0)
    loss = torch.zeros(len(EVENTS)).double()
    for size in range(3):
        subsets = list(itertools.combinations(range(3), size))
        for subset in subsets:
            known = torch.zeros(EVENTS.shape, dtype=torch.bool)
            known[:, list(subset)] = True
            weight = 3 / (3 - size) / 3 / len(subsets)
            loss = loss + weight * generator.masked_loss(EVENTS, known).detach()
    torch.testing.assert_close(loss, expected)
    # and what is drawn in training has that expectation
    with torch.no_grad():
        rng = torch.Generator().manual_seed(0)
        drawn = generator.loss(EVENTS.repeat(5_000, 1), rng=rng).view(5_000, 8)
    error = drawn.std(dim=0) / math.sqrt(5_000)
    assert ((drawn.mean(dim=0) - expected).abs() < 5 * error).all()


def test_masks_have_every_size_and_every_member_as_often():
    masks = drawn_masks(30_000, 4, torch.device("cpu"), torch.Generator().manual_seed(0))
    counts = torch.bincount((masks * torch.tensor([1, 2, 4, 8])).sum(dim=1), minlength=16)
    sizes = [bin(mask).count("1") for mask in range(16)]
    expected = np.array([0 if s == 4 else 30_000 / 4 / math.comb(4, s) for s in sizes])
    assert counts[15] == 0
    assert stats.chisquare(counts[:15], expected[:15]).pvalue > 1e-6


def test_samples_are_of_the_mixture_of_orders_whose_bound_is_below():
    generator = three_coins()
    by_order = order_log_probs(generator, EVENTS)
    assert float(by_order.std(dim=0).max()) > 0.1  # orders do matter
    mixture = by_order.logsumexp(dim=0) - math.log(6)
    assert mixture.exp().sum().item() == pytest.approx(1)
    assert (by_order.mean(dim=0) < mixture).all()
    drawn = generator.sample(20_000, rng=torch.Generator().manual_seed(0))
    places = (drawn @ torch.tensor([4.0, 2.0, 1.0], dtype=torch.float64)).long()
    counts = torch.bincount(places, minlength=8)
    assert stats.chisquare(counts, 20_000 * mixture.exp()).pvalue > 1e-6


def test_linear_inpainting_of_normal_events_is_the_conditional_mean():
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.normal(size=(1_000, 5)) @ rng.normal(size=(5, 5)) + 1)
    hidden = np.array([1, 3])
    shown = np.array([0, 2, 4])
    known = torch.ones(5, dtype=torch.bool)
    known[hidden] = False
    torch.manual_seed(0)
    made = MaskedAutoencoder((5,), network="linear", latent_size=5).double()
    optimiser = torch.optim.LBFGS(
        made.parameters(), max_iter=100, line_search_fn="strong_wolfe", tolerance_grad=1e-10
    )

    def loss():
        optimiser.zero_grad()
        value = made.masked_loss(x, known.expand(x.shape)).mean()
        value.backward()
        return value

    for _ in range(10):
        optimiser.step(loss)
    mean, covariance = x.mean(dim=0).numpy(), np.cov(x.T, bias=True)
    gain = covariance[np.ix_(hidden, shown)] @ np.linalg.inv(covariance[np.ix_(shown, shown)])
    expected = mean[hidden] + (x.numpy()[:, shown] - mean[shown]) @ gain.T
    nonsense = torch.where(known, x, 1e3)  # what is hidden must make no difference
    found = made.expected(nonsense, known).detach()
    np.testing.assert_allclose(found[:, hidden], expected, atol=1e-3)
    torch.testing.assert_close(found[:, shown], x[:, shown])
    residuals = covariance[np.ix_(hidden, hidden)] - gain @ covariance[np.ix_(shown, hidden)]
    variance = made.likelihood.sigma.item() ** 2
    assert variance == pytest.approx(np.trace(residuals) / 2, rel=1e-3)


def test_inpainting_keeps_what_is_seen_and_draws_the_rest():
    generator, rng = three_coins(), torch.Generator().manual_seed(0)
    x = EVENTS[torch.randint(8, (30_000,), generator=rng)]
    # rows differ in how much is known: none, the first, the first two, or all
    known = torch.arange(3) < torch.randint(4, (30_000, 1), generator=rng)
    filled = generator.complete(x, known, rng=rng)
    assert torch.equal(filled[known], x[known])
    assert set(filled.unique().tolist()) == {0.0, 1.0}
    two = (known.sum(dim=1) == 2) & (x[:, 0] == 1) & (x[:, 1] == 0)
    mask = torch.tensor([[True, True, False]])
    logit = generator.outputs(torch.tensor([[1.0, 0.0, 0.0]]).double(), mask)[0, 2, 0]
    p, count = logit.sigmoid().item(), int(two.sum())
    assert abs(filled[two][:, 2].mean().item() - p) < 5 * math.sqrt(p * (1 - p) / count)


def test_several_entries_at_once_take_fewer_passes():
    passes = []
    for together in (1, 2, 9):
        made = MaskedAutoencoder((9,), hidden_sizes=(4,), drawn_together=together)
        made.encoder.register_forward_hook(lambda *_: passes.append(1))
        made.sample(2)
        passes.append(0)
    assert "".join(map(str, passes)) == "1" * 9 + "0" + "1" * 5 + "0" + "10"


def test_wrong_calls():
    made, x = MaskedAutoencoder((3,)), torch.zeros(2, 3)
    with pytest.raises(ValueError, match=r"which entries of \(2, 3\) are known, got \(2,\)"):
        made.complete(x, torch.ones(2, dtype=torch.bool))
    with pytest.raises(ValueError, match="temperature"):
        made.complete(x, torch.ones(2, 3, dtype=torch.bool), temperature=-1.0)


@pytest.mark.slow
def test_hidden_halves_of_digits_are_filled_better_than_by_means_or_neighbours():
    datasets = pytest.importorskip("sklearn.datasets")
    pixels = torch.from_numpy(datasets.load_digits().data / 16).float()
    train, test = pixels[:1500], pixels[1500:]
    torch.manual_seed(0)
    made = MaskedAutoencoder((64,), hidden_sizes=(512,))
    fit(made, train, num_updates=4_000, step_sizes="cosine", weight_decay=0.1, num_threads=1)
    rng = torch.Generator().manual_seed(0)
    halves = {
        "upper": (torch.arange(64) < 32).expand(test.shape),
        "random": torch.rand(test.shape, generator=rng) < 0.5,
    }
    for name, known in halves.items():
        distances = (known[:, None] * (test[:, None] - train[None]) ** 2).sum(dim=2)
        nearest = distances.topk(5, largest=False).indices
        fills = {"means": train.mean(dim=0).expand(test.shape), "1": train[nearest[:, 0]]}
        fills |= {"5": train[nearest].mean(dim=1), "own": made.expected(test, known).detach()}
        ratios = {
            key: -10 * ((fill - test)[~known] ** 2).mean().log10().item()
            for key, fill in fills.items()
        }
        print(name, "half is known; peak signal to noise in dB:", ratios)
        assert ratios["own"] > ratios["means"] + 2
        assert ratios["own"] > ratios["1"] + 1
    assert ratios["own"] > ratios["5"]  # of the random half; of the lower one they draw
