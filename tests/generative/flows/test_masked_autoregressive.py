"""Masked autoregressive transforms: dependencies, Jacobians, zuko's with the same weights."""

import pytest
import torch
from gymagine.generative.flows.elementwise import Affine
from gymagine.generative.flows.masked_autoregressive import MaskedAutoregressive
from gymagine.generative.flows.spline import RationalQuadratic
from gymagine.generative.testing import check_dependencies, check_transform

from .shaking import shaken

KINDS = {"affine": Affine, "spline": lambda: RationalQuadratic(5, 3.0)}
ORDER = [2, 0, 3, 1]


def numbers(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def transform_of(kind, num_context=0, order=ORDER):
    torch.manual_seed(0)
    made = MaskedAutoregressive(
        order, KINDS[kind](), num_context=num_context, hidden_sizes=(12, 12), activation="tanh"
    )
    return shaken(made)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tau", [0, 1, 3])
def test_round_trip_and_jacobian(kind, tau):
    transform, context = transform_of(kind, num_context=2), numbers(1, 2, seed=1)

    def forward(x):
        return transform(x, context.expand(len(x), 2))

    def inverse(z):
        return transform.inverse(z, context.expand(len(z), 2))

    check_transform(forward, inverse, tau * numbers(4, 4))
    check_transform(inverse, forward, tau * numbers(4, 4, seed=2))


@pytest.mark.parametrize("kind", KINDS)
def test_an_entry_depends_on_itself_and_those_before_it(kind):
    transform = transform_of(kind)
    place = torch.tensor([ORDER.index(entry) for entry in range(4)])
    expected = place[:, None] >= place
    check_dependencies(lambda x: transform(x, None)[0], numbers(1, 4), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_context_reaches_every_entry(kind):
    transform, x = transform_of(kind, num_context=2), numbers(1, 4)
    slope = torch.func.jacrev(lambda own: transform(x, own[None])[0][0])(numbers(2, seed=1))
    assert bool((slope != 0).all())


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0]])
def test_it_is_zukos_with_the_same_weights(order):
    zuko = pytest.importorskip("zuko")
    limit = 2.0
    other = zuko.flows.MaskedAutoregressiveTransform(
        3,
        order=torch.tensor(order),
        univariate=lambda raw, shift: zuko.transforms.MonotonicAffineTransform(
            shift, limit * raw.tanh() / (1 - (limit * raw.tanh() / torch.tensor(1e-3).log()).abs())
        ),
        hidden_features=(12, 12),
        activation=torch.nn.Tanh,
    ).double()
    # zuko bounds a log-scale s to s / (1 + |s / log 1e-3|), of which the above is the inverse
    own = transform_of("affine", order=order)
    layers = [layer for layer in other.hyper if hasattr(layer, "weight")]
    with torch.no_grad():
        for layer, mine in zip(layers, own.network.layers, strict=True):
            # units may have degrees in another order: its masks are copied with its weights
            mine.weight.copy_(layer.weight)
            mine.bias.copy_(layer.bias)
            mine.masks.copy_(layer.mask)
    x = 2 * numbers(20, 3)
    z, log_det = own(x, None)
    theirs = other()
    torch.testing.assert_close((z, log_det), tuple(theirs.call_and_ladj(x)))
    torch.testing.assert_close(own.inverse(z, None)[0], theirs.inv(z))


def test_gradients_flow_through_the_inverse():
    transform = transform_of("affine")
    z = numbers(2, 4).requires_grad_()
    x, _ = transform.inverse(z, None)
    expected = torch.linalg.inv(
        torch.func.jacrev(lambda own: transform(own[None], None)[0][0])(x[0].detach())
    )
    found = torch.stack([torch.autograd.grad(x[0, i], [z], retain_graph=True)[0][0]
                         for i in range(4)])  # fmt: skip
    torch.testing.assert_close(found, expected)


def test_one_entry_is_refused():
    with pytest.raises(ValueError, match="at least 2 entries in an order, got 1"):
        MaskedAutoregressive([0], Affine())
