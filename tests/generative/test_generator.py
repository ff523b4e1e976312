"""What the contract refuses, and what it must not refuse."""

import numpy as np
import pytest
import torch
from gymagine.generative.generator import AbstractGenerator
from torch import nn
from torch.distributions import constraints

from .examples import Coins, Gaussian


class Held(AbstractGenerator):
    """Anything, in a support."""

    def __init__(self, support):
        super().__init__((3,), support=support)
        self.scale = nn.Parameter(torch.ones(()))

    def _loss(self, x, context, rng):
        return self.scale * x.to(self.scale).sum(dim=1)

    def _sample(self, num, context, temperature, rng):
        return torch.zeros(num, 3)


@pytest.mark.parametrize(
    ("support", "inside"),
    [
        (constraints.simplex, torch.tensor([[0.5, 0.5, 0.0]])),
        (constraints.one_hot, torch.tensor([[0, 1, 0]])),
        (constraints.independent(constraints.unit_interval, 1), torch.tensor([[0.0, 1.0, 0.5]])),
    ],
    ids=str,
)
def test_an_event_outside_a_support_of_vectors_is_named(support, inside):
    """Whose check says one thing of all the numbers of an event."""
    generator, outside = Held(support), inside.new_tensor([[2, 2, 2]])
    assert generator.loss(inside).shape == (1,)
    with pytest.raises(ValueError, match=r"got \[2.*, 2.*, 2.*\] at \(1,\)"):
        generator.loss(torch.cat([inside, outside]))


def test_the_edges_of_an_interval_are_inside():
    generator = Held(constraints.interval(-1, 1))
    generator.loss(torch.tensor([[-1.0, 1.0, 0.0]]))
    with pytest.raises(ValueError, match=r"1\.00000011920\d* at \(0, 1\)"):
        generator.loss(torch.tensor([[-1.0, np.nextafter(np.float32(1), 2), 0.0]]))


@pytest.mark.parametrize("make", [Gaussian, Coins])
def test_single_events_may_be_mapped_over(make):
    """Scores and curvatures of each event, by PyTorch's transformations of functions."""
    generator = make(2) if make is Coins else make()
    x = torch.tensor([[0.0, 1.0], [1.0, 1.0]])

    def log_prob(event):
        return generator.log_prob(event[None])[0]

    torch.testing.assert_close(torch.vmap(log_prob)(x), generator.log_prob(x))
    given = x.clone().requires_grad_()
    (expected,) = torch.autograd.grad(generator.log_prob(given).sum(), given)
    torch.testing.assert_close(torch.vmap(torch.func.grad(log_prob))(x), expected)


def test_shapes_can_be_asked_for_without_numbers():
    generator = Gaussian(context_shape=(3,)).to("meta")
    x, context = (torch.zeros(2, size, device="meta") for size in (2, 3))
    assert generator.log_prob(x, context).shape == (2,)


def test_numbers_of_samples_may_be_numpys(without_shape_checks):
    generator = Gaussian().eval()
    assert generator.sample(np.int64(3)).shape == (3, 2)
    for num in (2.0, True, np.bool_(True), "2"):
        with pytest.raises(TypeError, match="expected a whole number of samples"):
            generator.sample(num)
