"""Short names of generators, each of which learns a conditional distribution of small vectors."""

import pytest
import torch
from gymagine.experiments.role_generators import (
    ROLE_GENERATORS,
    role_generator,
    role_generators,
)
from gymagine.generative.data.dataset import Dataset, Events
from gymagine.generative.training import fit

CONTROLS = ("regression", "gaussian")
LONG = ("gan",)  # it goes either way too, but after half a minute
CONTEXT = torch.tensor([[0.5, -0.3]])


def two_ways(num, rng):
    """To the left or to the right, by 0.7: a mean of 0 is far from either."""
    context = 2 * torch.rand(num, 2, generator=rng) - 1
    side = 2 * torch.randint(2, (num, 1), generator=rng) - 1
    x = torch.cat([context, 0.7 * side, 0.5 * side * context[:, :1]], dim=1)
    return Events(x + 0.03 * torch.randn(x.shape, generator=rng), context)


def fitted(name, num_updates):
    entry = role_generator(name)
    torch.manual_seed(0)
    generator = entry.made((4,), (2,))
    data = Dataset(two_ways(3000, torch.Generator().manual_seed(0)))
    settings = {**entry.fit, "batch_size": 64, "num_updates": num_updates, "learning_rate": 2e-3}
    fit(generator, data, **settings)
    return generator


@pytest.mark.parametrize("name", ROLE_GENERATORS)
def test_every_word_makes_a_generator_of_vectors_given_vectors(name):
    for num_entries in (1, 5):
        generator = role_generator(name).made((num_entries,), (3,))
        assert generator.loss(torch.zeros(6, num_entries), torch.zeros(6, 3)).shape == (6,)
        assert generator.eval().sample(2, torch.zeros(6, 3)).shape == (2, 6, num_entries)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in ROLE_GENERATORS if name not in CONTROLS + LONG])
def test_generators_go_either_way(name):
    x = fitted(name, 600).sample(500, CONTEXT, rng=torch.Generator().manual_seed(1))[:, 0]
    side = x[:, 2]
    assert ((side.abs() - 0.7).abs() < 0.25).float().mean() > 0.8
    assert 0.25 < (side > 0).float().mean() < 0.75


def test_regression_goes_between():
    x = fitted("regression", 400).sample(500, CONTEXT, rng=torch.Generator().manual_seed(1))[:, 0]
    expected = torch.tensor([0.5, -0.3, 0.0, 0.0])  # the mean over both ways
    assert torch.allclose(x.mean(dim=0), expected, atol=0.15)
    assert x.std(dim=0).max() < 1e-6


def test_words_of_the_catalogue_mean_its_families_as_they_are():
    entry = role_generator("real-nvp")
    assert (entry.family.name, dict(entry.hyperparameters), dict(entry.fit)) == (
        "real-nvp",
        {},
        {},
    )


def test_words_are_taken_once_each_and_in_order():
    found = role_generators(["flow", "diffusion", "flow"])
    assert [entry.name for entry in found] == ["flow", "diffusion"]


def test_an_unknown_word_is_answered_with_the_nearest():
    with pytest.raises(
        ValueError, match=r"unknown generator 'difusion'; did you mean diffusion\?"
    ):
        role_generator("difusion")
