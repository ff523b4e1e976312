"""Code books: nearest neighbours by brute force, and k-means (T7)."""

import numpy as np
import pytest
import torch
from gymagine.generative.autoencoders.codebook import (
    Codebook,
    followed,
    nearest_codes,
    spread_choice,
    straight_through,
)


def drawn(*shape, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=rng, dtype=torch.float64)


def book(codes, decay=0.0, dead_share=0.0):
    made = Codebook(*codes.shape, decay=decay, dead_share=dead_share).double()
    made.codes.copy_(codes)
    return made


def blobs(num=600):
    """(num, 2) vectors around 8 centres on a circle."""
    angles = torch.arange(8) * (2 * np.pi / 8)
    centres = 5 * torch.stack([angles.cos(), angles.sin()], dim=1).double()
    return centres.repeat(num // 8, 1) + 0.5 * drawn(num, 2)


def test_nearest_by_brute_force():
    z, codes = drawn(200, 5), drawn(30, 5, seed=1)
    distances = ((z[:, None] - codes[None]) ** 2).sum(dim=2)
    assert torch.equal(nearest_codes(z, codes), distances.argmin(dim=1))


def test_gradients_pass_straight_through():
    z, codes = drawn(4, 3).requires_grad_(), drawn(4, 3, seed=1).requires_grad_()
    replaced = straight_through(z, codes)
    torch.testing.assert_close(replaced, codes)
    weights = drawn(4, 3, seed=2)
    by_z, by_codes = torch.autograd.grad((replaced * weights).sum(), [z, codes], allow_unused=True)
    assert torch.equal(by_z, weights)
    assert by_codes is None


def test_running_means_by_hand():
    one, two = torch.tensor([10.0, 10.0]), torch.tensor([[10.0], [20.0]])
    counts, sums, codes = followed(
        one, two, torch.tensor([4.0, 0.0]), torch.tensor([[8.0], [0.0]]), 0.5
    )
    assert counts.tolist() == [7.0, 5.0]
    assert sums.tolist() == [[9.0], [10.0]]
    np.testing.assert_allclose(codes, [[9 / 7], [2.0]], rtol=1e-4)


def test_without_memory_it_is_a_sweep_of_k_means():
    z, start = blobs(), drawn(8, 2, seed=3)
    made, centres = book(start), start.clone()
    for _ in range(5):
        made.follow(z, None)
        nearest = torch.cdist(z, centres).argmin(dim=1)
        for k in nearest.unique().tolist():
            centres[k] = z[nearest == k].mean(dim=0)
    used = torch.bincount(nearest, minlength=8) > 0
    torch.testing.assert_close(made.codes[used], centres[used], rtol=1e-4, atol=1e-4)


def test_batches_with_memory_reach_the_inertia_of_k_means():
    cluster = pytest.importorskip("sklearn.cluster")
    z, rng = blobs(), torch.Generator().manual_seed(0)
    made = Codebook(8, 2, decay=0.95, dead_share=0.0).double()
    made.start_from(z[:64], rng)
    lloyd = cluster.KMeans(8, init=made.codes.numpy().copy(), n_init=1).fit(z.numpy())
    for _ in range(300):
        batch = z[torch.randint(len(z), (64,), generator=rng)]
        made.follow(batch, rng)
    inertia = ((z - made.codes[made(z)]) ** 2).sum().item()
    assert inertia == pytest.approx(lloyd.inertia_, rel=0.1)


def test_unused_codes_are_put_on_vectors_and_used_ones_are_not():
    z = drawn(50, 3)
    far = torch.full((2, 3), 100.0).double()
    made = book(torch.cat([z[:4], far]), decay=0.0, dead_share=0.1)
    made.follow(z, torch.Generator().manual_seed(0))
    on_vectors = (made.codes[:, None] == z[None]).all(dim=2).any(dim=1)
    assert on_vectors.tolist() == [False] * 4 + [True] * 2  # the first four are means of several
    # a code that has moved counts as one of mean use, and stays for a while
    assert (made.counts[4:] == made.counts[4]).all()
    torch.testing.assert_close(made.sums[4:], made.codes[4:] * made.counts[4:, None])
    lazy = book(torch.cat([z[:4], far]), decay=0.0, dead_share=0.0)
    lazy.follow(z, None)
    assert not (lazy.codes[:, None] == z[None]).all(dim=2).any()


def test_far_vectors_are_chosen_with_squared_distances():
    z = torch.tensor([[0.0], [1.0], [3.0]], dtype=torch.float64)
    rng = torch.Generator().manual_seed(0)
    pairs = torch.stack([spread_choice(z, 2, rng) for _ in range(4_000)])
    second = pairs[pairs[:, 0] == 0, 1]  # 1 with a probability of 1/10, and 2 with 9/10
    error = 5 * (0.09 / len(second)) ** 0.5
    assert (second == 2).double().mean().item() == pytest.approx(0.9, abs=error)
    assert (pairs[:, 0] != pairs[:, 1]).all()


def test_start_on_distinct_vectors():
    z, rng = drawn(20, 3), torch.Generator().manual_seed(0)
    made = Codebook(12, 3, decay=0.9, dead_share=0.1).double()
    made.start_from(z, rng)
    assert len(made.codes.unique(dim=0)) == 12
    assert len(made(z).unique()) == 12
    few = Codebook(12, 3, decay=0.9, dead_share=0.1).double()
    few.start_from(z[:5], rng)
    assert len(few.codes.unique(dim=0)) == 5
    torch.testing.assert_close(few.sums, few.codes * few.counts[:, None])
