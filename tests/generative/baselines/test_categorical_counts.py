"""Frequencies against counting by hand, and the laws of generators that need no gradient."""

import pytest
import torch
from gymagine.generative import testing
from gymagine.generative.baselines.categorical_counts import CategoricalCounts
from torch.testing import assert_close

EYE = torch.eye(4, dtype=torch.float64)
SEEN = [0, 2, 2, 3, 2, 0]


def counted(prior=0.5):
    return CategoricalCounts.fitted(EYE[SEEN], prior=prior)


def test_probabilities_are_smoothed_frequencies():
    # 2, 0, 3, 1 of 6 events; half an event more for each of four
    expected = torch.tensor([2.5, 0.5, 3.5, 1.5], dtype=torch.float64) / 8
    assert_close(counted().log_prob(EYE).exp(), expected)


def test_counting_one_by_one_is_counting_all():
    one_by_one = CategoricalCounts(4)
    for k in SEEN:
        one_by_one.adjust(EYE[k : k + 1], None, None)
    assert torch.equal(one_by_one.counts, counted().counts)
    assert one_by_one.counts.tolist() == [2, 0, 3, 1]


def test_counts_stay_whole_beyond_what_32_bits_hold():
    density = CategoricalCounts(2)
    density.counts[0] = 2.0**24
    density.adjust(EYE[:1, :2], None, None)
    assert density.counts[0] == 2**24 + 1


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_samples_are_as_frequent_as_probabilities_to_a_power(temperature):
    density = counted()
    drawn = density.sample(
        20_000, temperature=temperature, rng=torch.Generator().manual_seed(0)
    ).mean(dim=0)
    p = density.log_prob(EYE).exp() ** (1 / temperature)
    assert_close(drawn, p / p.sum(), atol=0.015, rtol=0.0)


def test_laws_of_generators():
    density, x = counted(), EYE[SEEN]
    testing.check_arguments(density, x, None)
    testing.check_samples(density, x, None)
    testing.check_nothing_changes(density, x, None)
    testing.check_determinism(density, x, None)
    testing.check_units(density, x, None)
    testing.check_files(density, x, None)
    testing.check_rows(density, x, None)


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="prior above 0, got 0"):
        CategoricalCounts(3, prior=0)
    with pytest.raises(ValueError, match="in its support"):
        CategoricalCounts.fitted(torch.tensor([[1.0, 1.0]]))
    with pytest.raises(ValueError, match="at least 1 entry"):
        CategoricalCounts(0)
