"""Preparations against numbers by hand, their supports, their inverses, and frequencies."""

import itertools

import pytest
import torch
from gymagine.generative.data.preparation import (
    Dequantisation,
    DynamicBinarisation,
    Levels,
    Scaling,
    ThresholdBinarisation,
    binarised_once,
)
from scipy import stats
from torch.testing import assert_close

LOSSLESS = [
    Levels(256),
    Levels(17),
    Scaling(256),
    Scaling(17, -1.0, 1.0),
    Scaling(2),
    Dequantisation(256),
    Dequantisation(17),
    Dequantisation(3),
    Dequantisation(256, low=-1.0),
    Dequantisation(17, low=-1.0),
    ThresholdBinarisation(2),
    DynamicBinarisation(2),
]
LOSSY = [ThresholdBinarisation(256), DynamicBinarisation(17)]


def noise(seed=0):
    return torch.Generator().manual_seed(seed)


def pictures(num_levels, num=50, seed=0):
    return torch.randint(num_levels, (num, 1, 16, 16), generator=noise(seed), dtype=torch.uint8)


@pytest.mark.parametrize("preparation", LOSSLESS, ids=repr)
def test_the_inverse_gives_the_levels_back(preparation):
    levels = pictures(preparation.num_levels)
    prepared = preparation(levels, noise(1))
    found = preparation.inverse(prepared)
    assert found.dtype == torch.uint8
    assert torch.equal(found, levels)


@pytest.mark.parametrize("preparation", LOSSLESS + LOSSY, ids=repr)
def test_prepared_events_are_in_the_support(preparation):
    prepared = preparation(pictures(preparation.num_levels), noise(1))
    assert preparation.support.check(prepared).all()
    grey = preparation.grey(prepared)
    assert 0 <= grey.min() and grey.max() <= 1
    outside = prepared * 5 if isinstance(preparation, Levels) else prepared * 5 - 2
    assert preparation.inverse(outside).max().item() == preparation.num_levels - 1


def test_the_ends_of_the_noise_do_not_change_levels(monkeypatch):
    for num_levels in range(2, 257):
        levels = torch.arange(num_levels, dtype=torch.uint8)
        for end, low in itertools.product((0.0, 1 - 2.0**-24), (0.0, -1.0)):
            preparation = Dequantisation(num_levels, low=low)
            monkeypatch.setattr(torch, "rand", lambda shape, end=end, **_: torch.full(shape, end))
            assert torch.equal(preparation.inverse(preparation(levels)), levels)
        monkeypatch.undo()


def test_numbers_by_hand():
    levels = torch.tensor([[0, 4, 8, 12, 16]], dtype=torch.uint8)
    assert_close(Scaling(17)(levels), torch.tensor([[0, 0.25, 0.5, 0.75, 1]]))
    assert_close(Scaling(17, -1.0)(levels), torch.tensor([[-1, -0.5, 0, 0.5, 1]]))
    assert torch.equal(ThresholdBinarisation(17)(levels), torch.tensor([[0.0, 0, 1, 1, 1]]))
    assert torch.equal(ThresholdBinarisation(17, 0.6)(levels), torch.tensor([[0.0, 0, 0, 1, 1]]))
    assert torch.equal(Levels(17)(levels), levels.long())
    assert torch.equal(Scaling(17).grey(torch.tensor([[0.26, 9.0]])), torch.tensor([[0.25, 1]]))


def test_dequantised_levels_are_uniform_in_their_intervals():
    noisy = Dequantisation(4)(torch.full((5_000,), 2, dtype=torch.uint8), noise())
    assert stats.kstest(noisy.numpy(), stats.uniform(0.5, 0.25).cdf).pvalue > 1e-3
    centred = Dequantisation(4, low=-1.0)(torch.full((5_000,), 2, dtype=torch.uint8), noise())
    assert_close(centred, 2 * noisy - 1)


def test_dynamic_binarisation_is_as_often_one_as_levels_are_high_and_anew_each_time():
    levels = torch.tensor([0, 4, 12, 16], dtype=torch.uint8).expand(4_000, 4)
    rng = noise()
    first, second = (DynamicBinarisation(17)(levels, rng) for _ in range(2))
    assert not torch.equal(first, second)
    assert_close(first.mean(dim=0), torch.tensor([0, 0.25, 0.75, 1]), rtol=0, atol=0.03)
    assert torch.equal(first, DynamicBinarisation(17)(levels, noise()))


def test_fixed_binarisation_is_the_same_in_every_epoch():
    levels = pictures(17)
    for preparation in (ThresholdBinarisation(17), DynamicBinarisation(17)):
        fixed = binarised_once(levels, preparation, seed=4)
        assert fixed.dtype == torch.uint8 and fixed.max() == 1
        assert torch.equal(fixed, binarised_once(levels, preparation, seed=4))
        in_batches = ThresholdBinarisation(2)
        assert torch.equal(in_batches(fixed), in_batches(fixed))
        assert torch.equal(in_batches(fixed).to(torch.uint8), fixed)


def test_deterministic_preparations_draw_nothing():
    before = torch.get_rng_state()
    for preparation in (Levels(), Scaling(), ThresholdBinarisation()):
        preparation(pictures(256, 2))
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Levels(1), "num_levels from 2 to 256, got 1"),
        (lambda: Dequantisation(300), "got 300"),
        (lambda: Dequantisation(low=1.0), "low below high, got 1.0 and 1.0"),
        (lambda: Scaling(low=1.0), "low below high, got 1.0 and 1.0"),
        (lambda: ThresholdBinarisation(threshold=0.0), "threshold in .0, 1., got 0.0"),
    ],
)
def test_numbers_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("preparation", "mean", "grey"),
    [
        (ThresholdBinarisation(256), [[0.2, 0.7, 1.3]], [[0.2, 0.7, 1.0]]),
        (DynamicBinarisation(17), [[0.2, -0.7]], [[0.2, 0.0]]),
        (Levels(17), [[4.0, 0.8]], [[0.25, 0.05]]),
        (Levels(2), [[0.3, 1.0]], [[0.3, 1.0]]),
    ],
    ids=repr,
)
def test_means_are_seen_as_shades(preparation, mean, grey):
    assert_close(preparation.grey(torch.tensor(mean)), torch.tensor(grey))
