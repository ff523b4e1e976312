"""Losses against numbers worked out by hand."""

import math

import pytest
import torch
from gymagine.agents.deep.policy_distributions import DiagonalGaussian, categorical
from gymagine.agents.deep.policy_gradient_losses import (
    EpisodeBatch,
    LossSettings,
    LossWeights,
    RolloutBatch,
    actor_critic_losses,
    mean_over_steps,
    reinforce_losses,
    standardised,
)

PLAIN = LossSettings(standardise=False, explores=False)


def weights(value=0.5, entropy=0.0, trace=1.0, members=1):
    return LossWeights(*(torch.full((members,), x) for x in (value, entropy, trace)))


def rollout(**changes):
    """One member, two copies, two steps; the first copy's first step terminated."""
    parts = {
        "observations": (),
        "allowed": None,
        "latents": torch.tensor([[0, 1, 1, 0]]),
        "rewards": torch.tensor([[[1.0, 2.0]], [[3.0, 4.0]]]),
        "discounts": torch.tensor([[[0.0, 0.5]], [[0.5, 0.5]]]),
        "continues": torch.tensor([[[0.0, 1.0]], [[1.0, 1.0]]]),
        "cut": None,
        "cut_values": torch.zeros(2, 1, 2),
        "weights": None,
    }
    return RolloutBatch(**parts | changes)


VALUES = torch.tensor([[1.0, 1.0, 2.0, 2.0, 10.0, 20.0]])
# log-probabilities of two actions: a half each, but a quarter and three in the last step
LOGITS = torch.tensor([[[0.0, 0.0], [0.0, 0.0], [0.0, 0.0], [0.0, math.log(3.0)]]])


def test_an_actor_critics_loss():
    # returns: 1; 2 + (4 + 10) / 2 = 9; 3 + 10 / 2 = 8; 4 + 20 / 2 = 14
    returns = [1.0, 9.0, 8.0, 14.0]
    advantages = [0.0, 8.0, 6.0, 12.0]
    log_p = [-math.log(2)] * 3 + [-math.log(4)]
    policy_loss = -sum(a * p for a, p in zip(advantages, log_p, strict=True)) / 4
    value_loss = sum(a**2 for a in advantages) / 4
    total, told = actor_critic_losses(categorical(LOGITS), VALUES, rollout(), weights(), PLAIN)
    assert told.returns[0].tolist() == returns
    assert told.policy_losses.item() == pytest.approx(policy_loss)
    assert told.value_losses.item() == pytest.approx(value_loss)
    assert total.item() == pytest.approx(policy_loss + 0.5 * value_loss)


def test_lambda_0_is_one_steps_difference_of_each_members_own():
    """A member with lambda 0 beside one with lambda 1."""
    double = {"latents": rollout().latents.repeat(2, 1)}
    for name in ("rewards", "discounts", "continues", "cut_values"):
        double[name] = getattr(rollout(), name).repeat(1, 2, 1)
    both = weights(members=2)._replace(trace=torch.tensor([0.0, 1.0]))
    policy = categorical(LOGITS.repeat(2, 1, 1))
    _, told = actor_critic_losses(policy, VALUES.repeat(2, 1), rollout(**double), both, PLAIN)
    assert told.returns.tolist() == [[1.0, 3.0, 8.0, 14.0], [1.0, 9.0, 8.0, 14.0]]


def test_a_truncated_step_goes_on_with_the_value_of_what_it_led_to():
    cut = torch.tensor([[[False, True]], [[False, False]]])
    values = torch.tensor([[[0.0, 100.0]], [[0.0, 0.0]]])
    continues = torch.tensor([[[0.0, 0.0]], [[1.0, 1.0]]])
    batch = rollout(cut=cut, cut_values=values, continues=continues)
    _, told = actor_critic_losses(categorical(LOGITS), VALUES, batch, weights(), PLAIN)
    assert told.returns.tolist() == [[1.0, 2.0 + 50.0, 8.0, 14.0]]


def test_steps_that_were_not_taken_do_not_count():
    kept = rollout(weights=torch.tensor([[1.0, 1.0, 1.0, 0.0]]))
    total, told = actor_critic_losses(categorical(LOGITS), VALUES, kept, weights(), PLAIN)
    assert told.value_losses.item() == pytest.approx((0 + 64 + 36) / 3)
    assert told.policy_losses.item() == pytest.approx(14 * math.log(2) / 3)
    none = rollout(weights=torch.zeros(1, 4))
    total, _ = actor_critic_losses(categorical(LOGITS), VALUES, none, weights(), PLAIN)
    assert total.item() == 0


def test_entropy_is_rewarded_and_only_with_a_weight_has_a_gradient():
    entropies = [math.log(2)] * 3 + [math.log(4) - 0.75 * math.log(3)]
    for explores in (False, True):
        logits = LOGITS.clone().requires_grad_()
        settings = LossSettings(standardise=False, explores=explores)
        zero = rollout(rewards=torch.zeros(2, 1, 2))
        total, told = actor_critic_losses(
            categorical(logits), torch.zeros(1, 6), zero, weights(entropy=0.1), settings
        )
        assert told.entropies.item() == pytest.approx(sum(entropies) / 4)
        assert total.item() == pytest.approx(-0.1 * sum(entropies) / 4)
        total.backward()
        assert (logits.grad != 0).any() == explores


def test_advantages_are_constants_and_the_value_loss_is_not():
    logits, values = LOGITS.clone().requires_grad_(), VALUES.clone().requires_grad_()
    total, _ = actor_critic_losses(categorical(logits), values, rollout(), weights(1.0), PLAIN)
    total.backward()
    # of the mean square: -2 / 4 of each difference; those after the last step are targets
    assert values.grad[0].tolist() == pytest.approx([0.0, -4.0, -3.0, -6.0, 0.0, 0.0])
    # of the log-probability by the logits: one minus the probability of what was drawn
    assert logits.grad[0, 3].tolist() == pytest.approx([-12 * 0.75 / 4, 12 * 0.75 / 4])


def episodes(**changes):
    """Two episodes, of two steps and of one."""
    parts = {
        "observations": (),
        "allowed": None,
        "latents": torch.tensor([[0, 1, 1]]),
        "returns": torch.tensor([[4.0, 2.0, 6.0]]),
        "factors": None,
        "weights": None,
        "divisors": None,
    }
    return EpisodeBatch(**parts | changes)


THREE = LOGITS[:, 1:]
LOG_P = [-math.log(2), -math.log(2), math.log(0.75)]


def reinforced(batch, values=None, settings=PLAIN, entropy=0.0):
    return reinforce_losses(categorical(THREE), values, batch, weights(0.5, entropy), settings)


def test_reinforces_loss_over_episodes_and_over_steps():
    expected = -(4 * LOG_P[0] + 2 * LOG_P[1] + 6 * LOG_P[2])
    total, told = reinforced(episodes(divisors=torch.tensor([2.0])))
    assert total.item() == pytest.approx(expected / 2)
    assert told.value_losses.item() == 0
    total, _ = reinforced(episodes())
    assert total.item() == pytest.approx(expected / 3)


def test_a_baseline_is_subtracted_and_learnt():
    values = torch.tensor([[1.0, 2.0, 8.0]])
    total, told = reinforced(episodes(divisors=torch.tensor([2.0])), values)
    policy_loss = -(3 * LOG_P[0] + 0 - 2 * LOG_P[2]) / 2
    assert told.value_losses.item() == pytest.approx((9 + 0 + 4) / 3)
    assert total.item() == pytest.approx(policy_loss + 0.5 * 13 / 3)


def test_factors_weigh_the_policys_loss_alone():
    values = torch.tensor([[1.0, 2.0, 8.0]])
    batch = episodes(factors=torch.tensor([[1.0, 0.5, 1.0]]), returns=torch.tensor([[4.0, 4, 6]]))
    _, told = reinforced(batch, values)
    assert told.policy_losses.item() == pytest.approx(
        -(3 * LOG_P[0] + 0.5 * 2 * LOG_P[1] - 2 * LOG_P[2]) / 3
    )
    assert told.value_losses.item() == pytest.approx((9 + 4 + 4) / 3)


def test_steps_that_fill_a_batch_do_not_count():
    longer = EpisodeBatch(
        observations=(),
        allowed=None,
        latents=torch.tensor([[0, 1, 1, 0, 0]]),
        returns=torch.tensor([[4.0, 2.0, 6.0, 99.0, 99.0]]),
        factors=None,
        weights=torch.tensor([[1.0, 1.0, 1.0, 0.0, 0.0]]),
        divisors=None,
    )
    logits = torch.cat([THREE, torch.randn(1, 2, 2)], dim=1)
    values = torch.tensor([[1.0, 2.0, 8.0, 5.0, 5.0]])
    for standardise in (False, True):
        settings = LossSettings(standardise=standardise, explores=True)
        found, _ = reinforce_losses(
            categorical(logits), values, longer, weights(entropy=0.1), settings
        )
        expected, _ = reinforced(episodes(), values[:, :3], settings, 0.1)
        assert found.item() == pytest.approx(expected.item())


def test_standardised_advantages_have_mean_0_and_spread_1_for_each_member():
    x = torch.tensor([[1.0, 2.0, 3.0, 50.0], [4.0, 4.0, 4.0, 4.0]])
    used = torch.tensor([[1.0, 1.0, 1.0, 0.0], [1.0, 1.0, 1.0, 1.0]])
    found = standardised(x, used)
    root = math.sqrt(1.5)
    assert found[0, :3].tolist() == pytest.approx([-root, 0.0, root])
    assert found[1].tolist() == [0.0] * 4
    assert mean_over_steps(x, None).tolist() == [14.0, 4.0]


def test_a_gaussian_policys_gradient_by_its_mean():
    """The derivative of the log-density is (u - mean) / sigma^2."""
    mean = torch.zeros(1, 3, 1, requires_grad=True)
    policy = DiagonalGaussian(mean, torch.full((1, 1, 1), math.log(2.0)))
    batch = episodes(latents=torch.tensor([[[1.0], [-2.0], [3.0]]]))
    total, _ = reinforce_losses(policy, None, batch, weights(), PLAIN)
    total.backward()
    assert mean.grad.flatten().tolist() == pytest.approx(
        [-4 * 1 / 4 / 3, 2 * 2 / 4 / 3, -6 * 3 / 4 / 3]
    )
