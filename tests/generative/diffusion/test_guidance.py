"""The convention, and that one question for twice the events is two questions."""

import pytest
import torch
from gymagine.generative.diffusion import guidance
from gymagine.generative.diffusion.denoising_network import DenoisingNetwork, NetworkSettings
from gymagine.generative.diffusion.guidance import guided, predictor

KINDS = {"mlp": (5,), "unet": (2, 4, 4), "transformer": (2, 6)}
TIMES = [0.3, 0.8]


def test_guidance():
    c, u = torch.randn(2, 3, 4)
    assert torch.equal(guided(c, u, 0.0), c)
    torch.testing.assert_close(guided(c, u, -1.0), u)
    torch.testing.assert_close(guided(c, u, 2.0), 3 * c - 2 * u)


@pytest.fixture
def network(kind):
    torch.manual_seed(0)
    settings = NetworkSettings(
        network=kind, hidden_sizes=(8, 6), channels=8, width=8, num_heads=2, num_layers=2
    )
    made = DenoisingNetwork(KINDS[kind], (3,), settings).double()
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return made


@pytest.fixture
def asked(network, monkeypatch):
    """For how many events the network was asked, each time."""
    found, denoise = [], network.denoise

    def counted(x, told):
        found.append(len(x))
        return denoise(x, told)

    monkeypatch.setattr(network, "denoise", counted)
    return found


def events(kind, num=4):
    rng = torch.Generator().manual_seed(1)
    x = torch.randn(num, *KINDS[kind], generator=rng, dtype=torch.float64)
    return x, torch.randn(num, 3, generator=rng, dtype=torch.float64)


def by_two_questions(network, x, context, time, weight):
    """Of the whole network, which knows nothing of rows made beforehand."""
    times = x.new_full((len(x),), time)
    left_out = torch.zeros(len(x), dtype=torch.bool)
    conditional = network(x, times, context)
    return (1 + weight) * conditional - weight * network(x, times, context, left_out)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("time", [0.8, 0.5])  # told of beforehand, and not
def test_one_question_for_twice_the_events_is_two_questions(network, asked, kind, time):
    x, context = events(kind)
    expected = by_two_questions(network, x, context, time, 1.5)
    asked.clear()
    found = predictor(network, TIMES, context, 1.5, x)(x, time)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    assert asked == [8]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("limit", ["_MOST_EVENTS", "_MOST_ENTRIES"])
def test_many_events_are_not_doubled(network, asked, kind, limit, monkeypatch):
    x, context = events(kind)
    once = predictor(network, TIMES, context, 1.5, x)(x, 0.8)
    monkeypatch.setattr(guidance, limit, 3)
    twice = predictor(network, TIMES, context, 1.5, x)(x, 0.8)
    torch.testing.assert_close(once, twice, rtol=1e-12, atol=1e-12)
    assert asked == [8, 4, 4]


@pytest.mark.parametrize("kind", KINDS)
def test_a_single_event_is_not_doubled_for_convolutions(network, asked, kind):
    x, context = events(kind, num=1)
    predictor(network, TIMES, context, 1.5, x)(x, 0.8)
    assert asked == ([1, 1] if kind == "unet" else [2])


@pytest.mark.parametrize("kind", KINDS)
def test_no_guidance_asks_for_the_conditional_prediction_alone(network, asked, kind):
    x, context = events(kind)
    found = predictor(network, TIMES, context, 0.0, x)(x, 0.8)
    assert asked == [4]
    torch.testing.assert_close(found, network(x, x.new_full((4,), 0.8), context))


@pytest.mark.parametrize("kind", KINDS)
def test_a_weight_of_minus_one_asks_for_the_unconditional_prediction_alone(network, asked, kind):
    x, context = events(kind)
    context[0, 0] = torch.nan  # 0 times it would spoil what does not depend on it
    found = predictor(network, TIMES, context, -1.0, x)(x, 0.8)
    assert asked == [4]
    without = predictor(network, TIMES, None, 0.0, x)(x, 0.8)
    assert torch.equal(found, without)
