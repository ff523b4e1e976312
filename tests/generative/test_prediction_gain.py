"""Gains against closed forms: of counts, of a Gaussian's gradient step, of known pseudo-counts."""

import math

import pytest
import torch
from gymagine.generative import EDM, GAN, MADE, VAE, RealNVP
from gymagine.generative.baselines.categorical_counts import CategoricalCounts
from gymagine.generative.prediction_gain import (
    PredictionGainMeter,
    gain_kind_of,
    pseudo_count,
)

from tests.generative.examples import Gaussian

EYE = torch.eye(5, dtype=torch.float64)


def test_pseudo_counts_of_counts_are_the_true_counts():
    """p (1 - p') / (p' - p) = n + prior, exactly, whatever else was seen."""
    meter = PredictionGainMeter(CategoricalCounts(5, prior=0.25))
    true = [0] * 5
    for k in (0, 3, 3, 1, 3, 0, 4, 3, 3, 0):
        gain = meter.learn(EYE[k : k + 1])
        assert pseudo_count(gain.nats, gain.after) == pytest.approx(true[k] + 0.25, rel=1e-9)
        true[k] += 1


def test_the_gain_alone_overestimates_counts_by_the_other_events_share():
    """Without its numerator the formula gives the count divided by 1 - p'."""
    meter = PredictionGainMeter(CategoricalCounts(5, prior=0.25))
    for _ in range(3):
        gain = meter.learn(EYE[:1])
    expected = (2 + 0.25) / (1 - math.exp(gain.after))
    assert pseudo_count(gain.nats) == pytest.approx(expected, rel=1e-9)


def test_nothing_gained_is_an_infinite_count():
    assert pseudo_count(0.0) == pseudo_count(-1.0) == math.inf
    assert 0 <= pseudo_count(1e6) < 1e-300  # no overflow


def test_one_step_on_a_gaussian_gains_what_algebra_says():
    """SGD moves the mean by rate * x: log p rises from -x^2 / 2 to -(x - rate x)^2 / 2."""
    gaussian = Gaussian((1,)).double()
    gaussian.log_sigma.requires_grad_(False)
    meter = PredictionGainMeter(gaussian, optimiser="sgd", learning_rate=0.1)
    gain = meter.learn(torch.full((1, 1), 3.0, dtype=torch.float64))
    assert gain.nats == pytest.approx((9 - 2.7**2) / 2)
    assert gain.num_updates == 1
    assert gaussian.mean.item() == pytest.approx(0.3)


def test_kinds_are_the_types_of_generators():
    kinds = {MADE: "exact", VAE: "bound", GAN: "surrogate"}
    for family, kind in kinds.items():
        assert gain_kind_of(family((2,))) == kind
    assert PredictionGainMeter(EDM((2,)), kind="surrogate").kind == "surrogate"


def families():
    torch.manual_seed(0)
    return [
        RealNVP((4,), num_couplings=2, hidden_sizes=(8,)),
        VAE((4,), hidden_sizes=(8,), latent_size=2),
        GAN((4,), hidden_sizes=(8,)),
        EDM((4,), hidden_sizes=(8,)),
    ]


@pytest.mark.parametrize("i", range(4), ids=["exact", "bound", "game", "integrated"])
def test_learning_goes_on_from_files_bit_for_bit(i):
    kind = "surrogate" if i == 3 else None
    xs = torch.randn(6, 1, 4, generator=torch.Generator().manual_seed(1))

    def meter():
        return PredictionGainMeter(
            families()[i], kind=kind, optimiser="adam", learning_rate=0.01, num_samples=3, seed=7
        )

    whole = meter()
    expected = [whole.learn(x) for x in xs]
    first = meter()
    found = [first.learn(x) for x in xs[:3]]
    second = meter()
    second.restore(*first.state())
    found += [second.learn(x) for x in xs[3:]]
    assert found == expected
    for name, tensor in whole.generator.state_dict().items():
        assert torch.equal(tensor, second.generator.state_dict()[name])


def test_seen_again_and_again_an_event_gains_less_and_the_other_stays_new():
    meter = PredictionGainMeter(MADE((4,), conditional="bernoulli", hidden_sizes=(16,)))
    known, other = torch.eye(4)[:1], torch.eye(4)[3:]
    gains = [meter.learn(known).nats for _ in range(150)]
    assert 0 < gains[-1] < gains[0] / 2
    assert meter.learn(other).nats > 5 * gains[-1]


def test_no_global_noise_is_used():
    before = torch.get_rng_state()
    meter = PredictionGainMeter(families()[1])
    before = torch.get_rng_state()
    meter.learn(torch.randn(1, 4, generator=torch.Generator().manual_seed(0)))
    assert torch.equal(torch.get_rng_state(), before)


def test_mistakes_are_named(without_shape_checks):
    with pytest.raises(ValueError, match="AbstractDensity for a gain that is exact, got a VAE"):
        PredictionGainMeter(VAE((2,)), kind="exact")
    with pytest.raises(ValueError, match="without a context"):
        PredictionGainMeter(MADE((2,), context_shape=(1,)))
    with pytest.raises(TypeError, match="expected a generator"):
        PredictionGainMeter("made")
    with pytest.raises(ValueError, match="optimiser as one of"):
        PredictionGainMeter(MADE((2,)), optimiser="lion")
    with pytest.raises(ValueError, match="learning_rate above 0"):
        PredictionGainMeter(MADE((2,)), learning_rate=0.0)
    meter = PredictionGainMeter(CategoricalCounts(2))
    with pytest.raises(ValueError, match="state of a CategoricalCounts whose gain is exact"):
        meter.restore(*PredictionGainMeter(MADE((2,))).state())
    blown = PredictionGainMeter(Gaussian((1,)), optimiser="sgd", learning_rate=1e30)
    with pytest.raises(ValueError, match="finite numbers from Gaussian"):
        for _ in range(3):
            blown.learn(torch.full((1, 1), 5.0))
