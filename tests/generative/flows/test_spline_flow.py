"""The spline flow in the plane is zuko's autoregressive one with the same weights."""

import pytest
import torch
from gymagine.generative.flows.spline_flow import SplineFlow

from .shaking import shaken


def knots_as_ours(transforms, own):
    """A constructor of zuko's splines with our knots and slopes for the same parameters."""

    def make(parameters):
        table = own(parameters)
        zeros = torch.zeros(*parameters.shape[:-1], 8, dtype=parameters.dtype)
        made = transforms.MonotonicRQSTransform(zeros, zeros, zeros[..., 1:], bound=5.0)
        made.horizontal, made.vertical, made.derivatives = table.unbind(dim=-2)
        return made

    return make


def test_it_is_zukos_with_the_same_weights():
    zuko = pytest.importorskip("zuko")
    from gymagine.generative.flows.spline import knot_weights, knots_and_slopes

    torch.manual_seed(0)
    flow = shaken(SplineFlow((2,), num_couplings=3, hidden_sizes=(8, 8)))
    weights = knot_weights(8).double()
    univariate = knots_as_ours(
        zuko.transforms, lambda parameters: knots_and_slopes(parameters, weights, 5.0)
    )
    x = 2 * torch.randn(30, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    z, log_det = x, torch.zeros(30, dtype=torch.float64)
    for i, coupling in enumerate(flow.transform.transforms[0].couplings):
        order = torch.tensor([1, 0] if i % 2 else [0, 1])
        other = zuko.flows.MaskedAutoregressiveTransform(
            2, order=order, univariate=univariate, shapes=[(23,)], hidden_features=(8, 8)
        ).double()
        copy_network(coupling, other, given=i % 2)
        z, more = other().call_and_ladj(z)
        log_det = log_det + more
    torch.testing.assert_close(flow.to_base(x), (z, log_det))
    back = flow.decode(z)
    torch.testing.assert_close(back, x)


def copy_network(coupling, other, given):
    """Ours sees one entry and moves the other; zuko's masks are opened for just that."""
    layers = [layer for layer in other.hyper if hasattr(layer, "mask")]
    moved = slice(23 * (1 - given), 23 * (1 - given) + 23)
    own = slice(23 * given, 23 * given + 23)
    with torch.no_grad():
        for layer, mine in zip(layers[:-1], coupling.network.layers[:-1], strict=True):
            layer.mask.fill_(True)
            layer.bias.copy_(mine.bias)
            layer.weight.zero_()
            columns = slice(given, given + 1) if layer is layers[0] else slice(None)
            layer.weight[:, columns] = mine.weight
        last, mine = layers[-1], coupling.network.layers[-1]
        last.mask.fill_(True)
        last.weight.zero_()
        last.weight[moved], last.bias[moved] = mine.weight, mine.bias
        last.bias[own] = coupling.own_parameters[0]


def test_without_splines_of_its_own_the_given_half_passes():
    torch.manual_seed(0)
    x = torch.randn(5, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for moves_all in (True, False):
        flow = shaken(SplineFlow((2,), hidden_sizes=(8,), moves_all=moves_all))
        first, _, _ = flow.transform.transforms[0].couplings[0](x[:, :1], x[:, 1:], None)
        assert torch.equal(first, x[:, :1]) is not moves_all
