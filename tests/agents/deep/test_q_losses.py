"""The derivatives of the losses are autograd's."""

import pytest
import torch
from gymagine.agents.deep.categorical_values import value_atoms
from gymagine.agents.deep.q_losses import (
    QLossSettings,
    UpdateBatch,
    q_loss,
    q_loss_slope,
    quick_slope,
    targets_of,
)
from torch.nn.functional import kl_div


def batch_of(weighted, seed=0, features=5):
    rng = torch.Generator().manual_seed(seed)
    shape = (2, 8)
    return UpdateBatch(
        observations=(torch.randn(*shape, features, generator=rng),),
        actions=torch.randint(3, shape, generator=rng),
        rewards=torch.randn(shape, generator=rng),
        discounts=0.9 * torch.randint(2, shape, generator=rng),
        next_observations=(torch.randn(*shape, features, generator=rng),),
        next_masks=None,
        weights=torch.rand(shape, generator=rng) if weighted else None,
    )


def settings_of(kind, double=False):
    atoms = value_atoms(-4, 4, 9) if kind == "categorical" else None
    loss = "huber" if atoms is not None else kind
    return QLossSettings(double, loss, atoms, 10.0, 1e-8)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", ["huber", "squared", "categorical"])
def test_slopes(kind, weighted):
    settings, batch = settings_of(kind), batch_of(weighted)
    shape = (2, 8, 3) if settings.atoms is None else (2, 8, 3, 9)
    q_tm1, q_t = torch.randn(2, *shape).mul(2)
    target = targets_of(q_t, q_t, batch, settings)
    q_tm1 = q_tm1.requires_grad_()
    losses, told = q_loss(q_tm1, target, batch, settings)
    losses.sum().backward()
    slope = q_loss_slope(q_tm1.detach(), target, batch, settings)
    torch.testing.assert_close(slope, q_tm1.grad, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(told.losses, losses.detach())


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("kind", ["huber", "squared"])
@pytest.mark.parametrize("double", [False, True])
def test_compiled_slopes(kind, weighted, masked, double):
    settings, batch = settings_of(kind, double), batch_of(weighted)
    if masked:
        masks = torch.rand(2, 8, 3, generator=torch.Generator().manual_seed(3)) < 0.5
        assert not masks.any(dim=-1).all()  # where nothing is allowed, everything is
        batch = batch._replace(next_masks=masks)
    q_tm1, q_t, selector = torch.randn(3, 2, 8, 3).mul(2)
    selector = selector if double else q_t
    target = targets_of(q_t, selector, batch, settings)
    _, told = q_loss(q_tm1, target, batch, settings)
    slope = q_loss_slope(q_tm1, target, batch, settings)
    quick, quick_told = quick_slope(q_tm1, q_t, selector, batch, kind == "huber")
    torch.testing.assert_close(quick, slope, rtol=1e-5, atol=1e-7)
    for one, other in zip(quick_told, told, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def test_errors_of_distributions_are_divergences():
    settings, batch = settings_of("categorical"), batch_of(weighted=True)
    q_tm1, q_t = torch.randn(2, 2, 8, 3, 9)
    target = targets_of(q_t, q_t, batch, settings)
    target[0, 0] = torch.eye(9)[4]  # all on one atom, and none on others
    _, told = q_loss(q_tm1, target, batch, settings)
    rows = q_tm1.gather(2, batch.actions[..., None, None].expand(2, 8, 1, 9)).squeeze(2)
    expected = kl_div(rows.log_softmax(dim=-1), target, reduction="none").sum(dim=-1)
    torch.testing.assert_close(told.errors, expected, rtol=1e-4, atol=1e-6)
    _, told = q_loss(
        (target + 1e-12).log()[:, :, None].expand(2, 8, 3, 9), target, batch, settings
    )
    assert (told.errors[1:] >= 0).all() and told.errors[1:].max() < 1e-5
