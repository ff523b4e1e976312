"""Transforms against autograd's Jacobians and closed forms."""

import math

import pytest
import torch
from gymagine.generative.flows.elementwise import Affine
from gymagine.generative.flows.masked_autoregressive import MaskedAutoregressive
from gymagine.generative.flows.transform import (
    Composition,
    Permutation,
    Scaling,
    Standardisation,
)
from gymagine.generative.testing import check_transform

from .shaking import shaken


def numbers(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def standardisation():
    found = Standardisation(3).double()
    found.adopt(3 * numbers(20, 3, seed=1) + 5)
    return found


def composition():
    torch.manual_seed(0)
    masked = MaskedAutoregressive([2, 0, 1], Affine(), hidden_sizes=(8,))
    return Composition([standardisation(), Permutation([1, 2, 0]), masked, Scaling(3)])


@pytest.mark.parametrize("tau", [0, 1, 3])
@pytest.mark.parametrize(
    "make", [lambda: Permutation([2, 0, 1]), lambda: Scaling(3), standardisation, composition],
    ids=["permutation", "scaling", "standardisation", "composition"],
)  # fmt: skip
def test_round_trip_and_jacobian(make, tau):
    transform = shaken(make())
    x = tau * numbers(5, 3)
    check_transform(lambda x: transform(x, None), lambda z: transform.inverse(z, None), x)
    z = tau * numbers(5, 3, seed=2)  # latents that no event was turned into
    check_transform(lambda z: transform.inverse(z, None), lambda x: transform(x, None), z)


def test_a_composition_goes_forwards_in_order_and_back_in_reverse():
    scaling = Scaling(2)
    with torch.no_grad():
        scaling.log_scale.copy_(torch.tensor([math.log(2), math.log(3)]))
    chain = Composition([Permutation([1, 0]), scaling])
    z, log_det = chain(torch.tensor([[1.0, 10.0]]), None)
    torch.testing.assert_close(z, torch.tensor([[20.0, 3.0]]))
    torch.testing.assert_close(log_det, torch.tensor([math.log(6)]))
    back, log_det = chain.inverse(z, None)
    torch.testing.assert_close(back, torch.tensor([[1.0, 10.0]]))
    torch.testing.assert_close(log_det, torch.tensor([-math.log(6)]))


def test_standardised_events_have_mean_zero_and_deviation_one():
    x = numbers(50, 3) * torch.tensor([0.01, 1.0, 100.0]) + 7
    own = Standardisation(3).double()
    own.adopt(x)
    z, _ = own(x, None)
    torch.testing.assert_close(z.mean(dim=0), torch.zeros(3).double(), rtol=0, atol=1e-12)
    torch.testing.assert_close(z.std(dim=0, correction=0), torch.ones(3).double())


def test_constant_entries_are_only_centred():
    x = torch.cat([numbers(10, 1), torch.full((10, 1), 1e6 / 3, dtype=torch.float64)], dim=1)
    own = Standardisation(2).double()
    own.adopt(x)
    assert own.deviation[1] == 1
    torch.testing.assert_close(own(x, None)[0][:, 1], torch.zeros(10).double(), rtol=0, atol=1e-6)


def test_one_event_alone_is_centred():
    own = Standardisation(2)
    own.adopt(torch.tensor([[3.0, 4.0]]))
    assert torch.equal(own(torch.tensor([[3.0, 5.0]]), None)[0], torch.tensor([[0.0, 1.0]]))


@pytest.mark.parametrize("order", [[0, 0], [1, 2], [0, 2]])
def test_what_is_no_order_is_refused(order):
    with pytest.raises(ValueError, match="an order of 0 to 1"):
        Permutation(order)
