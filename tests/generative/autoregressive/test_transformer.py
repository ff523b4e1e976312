"""The transformer's conditionals, against enumeration, perturbation and its own cache."""

import pytest
import torch
from gymagine.generative.autoregressive.autoregressive import raster_sequence
from gymagine.generative.autoregressive.transformer import Transformer
from gymagine.generative.testing import (
    check_dependencies,
    check_frequencies,
    check_total_probability,
)
from torch.testing import assert_close

SMALL = {"width": 16, "num_heads": 2}


def made(event_shape=(6,), **settings):
    torch.manual_seed(0)
    return Transformer(event_shape, **(SMALL | settings)).double()


@pytest.mark.parametrize("conditional", ["bernoulli", "gaussian-mixture"])
@pytest.mark.parametrize("positions", ["learnt", "sinusoidal"])
def test_every_entry_depends_on_exactly_those_before_it(conditional, positions):
    model = made(conditional=conditional, num_components=2, positions=positions)
    x = torch.rand(1, 6, dtype=torch.float64)
    before = torch.ones(6, 6, dtype=torch.bool).tril(-1)
    check_dependencies(model.conditional_parameters, x, before)


@pytest.mark.parametrize("conditional", ["categorical", "discretised-logistic"])
def test_another_token_changes_exactly_the_conditionals_after_it(conditional):
    model = made((2, 2, 2), conditional=conditional, num_levels=5, num_components=2)
    x = torch.randint(5, (1, 2, 2, 2), generator=torch.Generator().manual_seed(0))
    own = raster_sequence(model.conditional_parameters(x).sum(dim=-1))
    places = raster_sequence(torch.arange(8).view(1, 2, 2, 2))[0]
    for i, place in enumerate(places):
        other = x.clone().flatten(1)
        other[:, place] = (other[:, place] + 1) % 5
        found = raster_sequence(model.conditional_parameters(other.view_as(x)).sum(dim=-1))
        assert (found != own)[0].tolist() == [False] * (i + 1) + [True] * (7 - i)


@pytest.mark.parametrize(
    ("shape", "settings"),
    [
        ((10,), {}),
        ((3, 2, 1), {"positions": "sinusoidal"}),
        ((3,), {"conditional": "categorical", "num_levels": 6}),
        ((3,), {"conditional": "discretised-logistic", "num_levels": 6, "num_components": 2}),
    ],
    ids=str,
)
def test_probabilities_add_up_and_samples_follow_them(shape, settings):
    model = made(shape, **settings)
    check_total_probability(model)
    check_frequencies(model)


@pytest.mark.parametrize("place", ["prefix", "added"])
@pytest.mark.parametrize("context_shape", [(3,), (4, 2), (1, 2, 2)], ids=str)
def test_context_reaches_every_conditional(context_shape, place):
    model = made((2, 3), context_shape=context_shape, context_place=place)
    x = torch.ones(1, 2, 3, dtype=torch.float64)
    context = torch.randn(1, *context_shape, dtype=torch.float64)
    check_dependencies(
        lambda c: model.conditional_parameters(x, c).flatten(1, 2),
        context,
        torch.ones(6, context[0].numel(), dtype=torch.bool),
    )


def test_steps_of_a_context_become_tokens_of_their_own():
    one = made((3,), context_shape=(4, 2))
    added = made((3,), context_shape=(4, 2), context_place="added")
    assert (len(one.positions), len(added.positions)) == (4 + 2, 1 + 2)
    assert (one.context_embedding.in_features, added.context_embedding.in_features) == (2, 8)


@pytest.mark.parametrize("place", ["prefix", "added"])
@pytest.mark.parametrize("conditional", ["categorical", "gaussian-mixture"])
def test_sampling_with_a_cache_draws_what_full_passes_would(conditional, place):
    settings = {"conditional": conditional, "num_levels": 4, "num_components": 2}
    model = made((2, 3, 2), context_shape=(3, 2), context_place=place, **settings)
    context = torch.randn(5, 3, 2, dtype=torch.float64)
    found = model.sample(1, context, rng=torch.Generator().manual_seed(0))[0]
    rng = torch.Generator().manual_seed(0)
    x = torch.zeros_like(found)
    with torch.no_grad():
        for row in range(3):
            for column in range(2):
                for channel in range(2):
                    own = (slice(None), channel, row, column)
                    parameters = model.conditional_parameters(x, context)[own]
                    x[own] = model.conditional.sample(parameters, 1.0, rng)
    assert_close(found, x)


def test_temperature_0_draws_the_greedy_sequence():
    model = made((4,), conditional="categorical", num_levels=5)
    with torch.no_grad():
        model.head.weight.mul_(20)
    x = model.sample(2, temperature=0.0)
    assert torch.equal(x[0], x[1])
    assert torch.equal(model.conditional_parameters(x).argmax(dim=-1), x)


def test_wrong_arguments_are_refused(without_shape_checks):
    with pytest.raises(ValueError, match="a multiple of 4 heads, got 10"):
        Transformer((5,), width=10)
    with pytest.raises(ValueError, match="positions as one of"):
        Transformer((5,), positions="rotary")
