"""MADE's models, one and many, against enumeration and their own definition."""

import math

import pytest
import torch
from gymagine.generative.autoregressive.made import MADE
from gymagine.generative.testing import (
    check_dependencies,
    check_frequencies,
    check_total_probability,
    enumerated_events,
)
from torch.testing import assert_close

MANY = {"num_masks": 3, "order": "random"}


def made(event_shape=(6,), **settings):
    torch.manual_seed(0)
    return MADE(event_shape, **({"hidden_sizes": (24, 24)} | settings)).double()


@pytest.mark.parametrize("settings", [{}, {"order": "random"}, MANY], ids=str)
@pytest.mark.parametrize("conditional", ["bernoulli", "gaussian-mixture"])
def test_conditionals_depend_on_the_entries_before(settings, conditional):
    # direct connections: relu units that are off hide a dependency, and few drawn units miss some
    model = made((2, 3), conditional=conditional, num_components=2, direct=True, **settings)
    x = torch.rand(1, 2, 3, dtype=torch.float64)
    for mask in range(model.network.num_masks):
        place = model.network.positions[mask]
        check_dependencies(
            lambda x, mask=mask: model.conditional_parameters(x, mask=mask).flatten(1, 2),
            x,
            place[:, None] > place,
        )


@pytest.mark.parametrize("many", [{}, MANY], ids=["one mask", "three masks"])
@pytest.mark.parametrize(
    ("shape", "settings"),
    [
        ((10,), {}),
        ((1, 2, 3), {"direct": True}),
        ((3,), {"conditional": "categorical", "num_levels": 6}),
        ((3,), {"conditional": "categorical", "num_levels": 6, "one_hot": True}),
        ((3,), {"conditional": "discretised-logistic", "num_levels": 6, "num_components": 2}),
    ],
    ids=str,
)
def test_probabilities_add_up_and_samples_follow_them(shape, settings, many):
    model = made(shape, **settings, **many)
    check_total_probability(model)
    check_frequencies(model)


def test_densities_integrate_to_one():
    model = made((2,), conditional="gaussian-mixture", num_components=3)
    side = torch.linspace(-15, 15, 601, dtype=torch.float64)
    with torch.no_grad():
        density = model.log_prob(torch.cartesian_prod(side, side)).exp().view(601, 601)
    total = torch.trapezoid(torch.trapezoid(density, side), side)
    assert abs(total.item() - 1) < 1e-6


def test_the_model_is_the_mixture_of_its_masks():
    model = made((4,), **MANY)
    x = enumerated_events(model)
    each = []
    for mask in range(3):
        logits = model.conditional_parameters(x, mask=mask).squeeze(-1)
        probs = torch.where(x == 1, logits.sigmoid(), 1 - logits.sigmoid()).prod(dim=1)
        assert_close(probs.sum().item(), 1.0)
        each.append(probs)
    mean = torch.stack(each).mean(dim=0)
    assert_close(model.log_prob(x).exp(), mean)
    # Jensen: what training minimises is no less than minus the log-probability
    losses = torch.stack(
        [model.loss(x, rng=torch.Generator().manual_seed(seed)) for seed in range(30)]
    )
    assert_close(losses.unique(dim=0), (-torch.stack(each).log()).unique(dim=0))
    assert bool((-torch.stack(each).log().mean(dim=0) >= -mean.log() - 1e-12).all())


def test_a_gaussian_of_each_conditional_by_hand():
    """With no weights at all, biases alone are the parameters."""
    model = made((2,), conditional="gaussian-mixture", num_components=1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.network.layers[-1].bias.copy_(torch.tensor([0.0, 1.0, 0.0, 0.0, -1.0, math.log(2)]))
    x = torch.tensor([[0.5, 2.0]], dtype=torch.float64)
    expected = -0.5 * 0.5**2 - 0.5 * 1.5**2 - math.log(2) - math.log(2 * math.pi)
    assert_close(model.log_prob(x).item(), expected)


@pytest.mark.parametrize("settings", [{}, MANY], ids=["one mask", "three masks"])
def test_context_reaches_every_conditional(settings):
    model = made((5,), context_shape=(2, 2), **settings)
    x = torch.ones(1, 5, dtype=torch.float64)
    context = torch.randn(1, 2, 2, dtype=torch.float64)
    for mask in range(model.network.num_masks):
        check_dependencies(
            lambda c, mask=mask: model.conditional_parameters(x, c, mask=mask),
            context,
            torch.ones(5, 4, dtype=torch.bool),
        )


def test_masks_are_those_of_their_seed(tmp_path):
    one, other = made(**MANY), made(**MANY, mask_seed=1)
    assert not torch.equal(one.network.positions, other.network.positions)
    one.float().save(tmp_path / "made")
    loaded = MADE.load(tmp_path / "made")
    assert torch.equal(one.network.positions, loaded.network.positions)
    for layer, same in zip(one.network.layers, loaded.network.layers, strict=True):
        assert torch.equal(layer.masks, same.masks)


def test_drawn_masks_stay_the_same_over_versions_of_numpy():
    """Files hold no masks: other ones would make nonsense of their weights."""
    network = made((8,), hidden_sizes=(4,), **MANY).network
    # the first draws of PCG64 with seed 0: .637 .270 .041 .017 .813 .913 .607 .729
    assert network.positions.tolist()[0] == [4, 2, 1, 0, 6, 7, 3, 5]


def test_wrong_arguments_are_refused(without_shape_checks):
    with pytest.raises(ValueError, match="at least one hidden layer"):
        MADE((5,), hidden_sizes=())
    with pytest.raises(ValueError, match="num_levels in"):
        MADE((5,), num_levels=1)
    with pytest.raises(ValueError, match="order as one of"):
        MADE((5,), order="reversed")
