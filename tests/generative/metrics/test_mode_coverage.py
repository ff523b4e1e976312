"""Mode coverage by hand, and of the mixture itself."""

import math

import pytest
import torch
from gymagine.generative.data.toys import eight_gaussians, eight_gaussians_centres
from gymagine.generative.metrics.mode_coverage import class_coverage, mode_coverage
from scipy import stats
from torch.testing import assert_close

CENTRES = eight_gaussians_centres()


def test_the_mixture_covers_its_modes():
    found = mode_coverage(eight_gaussians(20_000, 0), CENTRES, 0.2)
    assert found.num_covered == found.num_modes == 8
    assert_close(found.share_near, 1 - math.exp(-4.5), rtol=0, atol=0.003)
    assert stats.chisquare(found.counts).pvalue > 1e-3
    assert found.divergence < 1e-3
    nearer = mode_coverage(eight_gaussians(20_000, 0), CENTRES, 0.2, reach=1.0)
    assert_close(nearer.share_near, 1 - math.exp(-0.5), rtol=0, atol=0.02)


def test_by_hand():
    x = torch.cat([CENTRES[:2].repeat(3, 1), CENTRES[:1], torch.zeros(3, 2)])
    found = mode_coverage(x, CENTRES, 0.2)
    assert found.counts == (4, 3, 0, 0, 0, 0, 0, 0)
    assert found.num_covered == 2 and found.share_near == 0.7
    entropy = -(4 / 7 * math.log(4 / 7) + 3 / 7 * math.log(3 / 7))
    assert_close(found.divergence, math.log(8) - entropy)


def test_collapse_and_nothing_near():
    one = mode_coverage(CENTRES[3:4].repeat(5, 1), CENTRES, 0.2)
    assert one.num_covered == 1
    assert_close(one.divergence, math.log(8))
    none = mode_coverage(torch.zeros(5, 2), CENTRES, 0.2)
    assert none.num_covered == 0 and none.share_near == 0.0 and math.isnan(none.divergence)


def test_mistakes_are_named(without_shape_checks):
    with pytest.raises(ValueError, match=r"\(N, 2\), got \(4, 3\)"):
        mode_coverage(torch.zeros(4, 3), CENTRES, 0.2)


def test_classes_are_counted_where_the_classifier_is_sure():
    sure = torch.eye(4)[[0, 0, 1, 3]]
    unsure = torch.tensor([[0.5, 0.5, 0.0, 0.0]])
    found = class_coverage(torch.cat([sure, unsure]))
    assert (found.num_covered, found.num_modes, found.counts) == (3, 4, (2, 1, 0, 1))
    assert found.share_near == 0.8
    assert found.divergence == pytest.approx(math.log(4) - 1.5 * math.log(2))
    assert class_coverage(unsure, confidence=0.5).num_covered == 1
    assert math.isnan(class_coverage(unsure).divergence)


def test_equal_classes_have_no_divergence_and_one_class_the_most():
    assert class_coverage(torch.eye(5).repeat(3, 1)).divergence == pytest.approx(0)
    assert class_coverage(torch.eye(5)[:1]).divergence == pytest.approx(math.log(5))
    with pytest.raises(
        ValueError, match=r"expected probabilities of shape \(N, K\), got \(0, 5\)"
    ):
        class_coverage(torch.zeros(0, 5))
