"""MAF: its orders, and the Gaussian conditionals that one affine layer is."""

import pytest
import torch
from gymagine.generative.flows.maf import MAF
from torch import distributions

from .shaking import shaken


def test_orders_are_reversed_from_layer_to_layer():
    torch.manual_seed(0)
    flow = shaken(MAF((3,), num_transforms=2, hidden_sizes=(8,), activation="tanh"))
    x = torch.randn(3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    patterns = [
        torch.func.jacrev(lambda own, layer=layer: layer(own[None], None)[0][0])(x) != 0
        for layer in flow.transform.transforms
    ]
    assert torch.equal(patterns[0], torch.ones(3, 3).tril().bool())
    assert torch.equal(patterns[1], torch.ones(3, 3).triu().bool())


def test_one_affine_layer_is_a_product_of_gaussian_conditionals():
    torch.manual_seed(0)
    flow = shaken(MAF((3,), num_transforms=1, hidden_sizes=(8,)))
    x = torch.randn(9, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    layer = flow.transform.transforms[0]
    raw, shift = layer.network(x).unbind(dim=2)
    sigma = (-2.0 * raw.tanh()).exp()  # z = x e^s + t is standard normal
    expected = distributions.Normal(-shift * sigma, sigma).log_prob(x).sum(dim=1)
    torch.testing.assert_close(flow.log_prob(x), expected)


def test_a_single_number_is_refused():
    with pytest.raises(ValueError, match="at least 2 entries"):
        MAF((1,), context_shape=(3,))
