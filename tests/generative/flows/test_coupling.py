"""Couplings against autograd's Jacobians, and the halves of events."""

import pytest
import torch
from gymagine.generative.flows.coupling import (
    AlternatingCouplings,
    Coupling,
    coupling_layers,
    halves,
)
from gymagine.generative.flows.elementwise import Additive, Affine
from gymagine.generative.flows.spline import RationalQuadratic
from gymagine.generative.flows.transform import Composition, Permutation
from gymagine.generative.testing import check_transform

from .shaking import shaken

KINDS = {
    "additive": (Additive, False),
    "affine": (Affine, False),
    "spline": (lambda: RationalQuadratic(5, 3.0), False),
    "spline of all": (lambda: RationalQuadratic(5, 3.0), True),
}


def numbers(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def couplings(kind, num, num_context=0):
    torch.manual_seed(0)
    make, moves_all = KINDS[kind]
    sizes = [(2, 3), (3, 2)]
    made = [
        Coupling(
            *sizes[i % 2], make(), moves_all=moves_all, num_context=num_context, hidden_sizes=(8,),
            activation="tanh",
        )
        for i in range(num)
    ]  # fmt: skip
    return shaken(AlternatingCouplings(2, made))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("num", [1, 3])
@pytest.mark.parametrize("tau", [0, 1, 3])
def test_round_trip_and_jacobian(kind, num, tau):
    transform, context = couplings(kind, num, num_context=2), numbers(1, 2, seed=1)

    def forward(x):
        return transform(x, context.expand(len(x), 2))

    def inverse(z):
        return transform.inverse(z, context.expand(len(z), 2))

    check_transform(forward, inverse, tau * numbers(4, 5))
    check_transform(inverse, forward, tau * numbers(4, 5, seed=2))


@pytest.mark.parametrize("kind", ["additive", "affine", "spline"])
def test_the_given_part_passes_and_decides(kind):
    transform, x = couplings(kind, 1), numbers(1, 5)
    slope = torch.func.jacrev(lambda own: transform(own[None], None)[0][0])(x[0])
    assert torch.equal(slope[:2], torch.eye(5)[:2].double())
    assert bool((slope[2:, :2] != 0).all())
    moved_by_moved = slope[2:, 2:]
    assert torch.equal(moved_by_moved, moved_by_moved.diagonal().diag())


def test_a_part_with_splines_of_its_own_depends_on_nothing_else():
    transform, x = couplings("spline of all", 1), numbers(1, 5)
    slope = torch.func.jacrev(lambda own: transform(own[None], None)[0][0])(x[0])
    assert torch.equal(slope[:2, :2], slope[:2, :2].diagonal().diag())
    assert not torch.equal(slope[:2, :2], torch.eye(2).double())
    assert not slope[:2, 2:].any()


@pytest.mark.parametrize("kind", ["additive", "affine", "spline"])
def test_context_decides(kind):
    transform, x = couplings(kind, 1, num_context=2), numbers(3, 5)
    one, other = (transform(x, numbers(3, 2, seed=seed))[0] for seed in (1, 2))
    assert torch.equal(one[:, :2], other[:, :2])
    assert bool((one[:, 2:] != other[:, 2:]).all())


def test_halves_of_pictures_are_the_patterns():
    shape = (2, 2, 4)
    checkerboard, rows, columns = (halves(shape, pair).view(shape) for pair in range(3))
    for c in range(2):
        for h in range(2):
            for w in range(4):
                assert checkerboard[c, h, w] == ((h + w) % 2 == 0)
                assert rows[c, h, w] == (h % 2 == 0)
                assert columns[c, h, w] == (w % 2 == 0)


@pytest.mark.parametrize("shape", [(3, 1, 1), (1, 1, 5), (1, 5, 1), (1, 2, 2), (7,), (2,)])
@pytest.mark.parametrize("pair", range(4))
def test_halves_are_never_empty(shape, pair):
    is_first = halves(shape, pair)
    assert is_first.shape == (torch.Size(shape).numel(),)
    assert 0 < is_first.sum() < len(is_first)


@pytest.mark.parametrize("shape", [(2,), (3,), (6,), (1, 4, 4), (1, 3, 3), (2, 1, 2)])
def test_layers_move_every_entry_and_all_reach_all(shape):
    torch.manual_seed(0)
    layers = coupling_layers(
        shape, 6, lambda given, moved: Coupling(given, moved, Affine(), hidden_sizes=(16,))
    )
    num = torch.Size(shape).numel()
    chain = shaken(Composition(layers))
    assert sum(len(own.couplings) for own in layers if not isinstance(own, Permutation)) == 6
    x = numbers(1, num)
    slope = torch.func.jacrev(lambda own: chain(own[None], None)[0][0])(x[0])
    assert bool((slope != 0).all())
    check_transform(lambda x: chain(x, None), lambda z: chain.inverse(z, None), x)


def test_a_single_entry_is_moved_by_its_context():
    torch.manual_seed(0)
    layers = coupling_layers(
        (1,), 2, lambda given, moved: Coupling(given, moved, Affine(), num_context=3)
    )
    chain = shaken(Composition(layers))
    context = numbers(1, 3, seed=1)
    check_transform(
        lambda x: chain(x, context.expand(len(x), 3)),
        lambda z: chain.inverse(z, context.expand(len(z), 3)),
        numbers(4, 1),
    )


@pytest.mark.parametrize(("given", "moved", "num_context"), [(0, 1, 0), (1, 0, 0), (1, 0, 2)])
def test_nothing_to_move_or_to_depend_on_is_refused(given, moved, num_context):
    with pytest.raises(ValueError, match="entries to move, and others or a context"):
        Coupling(given, moved, Affine(), num_context=num_context)
