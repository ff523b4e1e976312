"""The AIRL form against its equation, and what it cannot see."""

import numpy as np
import pytest
import torch
from gymagine.envs.transition_discriminator import EncodedSteps, TransitionDiscriminator
from gymagine.generative.data.environments import transitions
from gymnasium import spaces

BOX, THREE = spaces.Box(-5, 5, (2,), np.float32), spaces.Discrete(3, start=1)


def steps(num=6, ended=0.0):
    rng = torch.Generator().manual_seed(0)
    before, after = (torch.randn(num, 2, generator=rng) for _ in range(2))
    taken = torch.eye(3)[torch.randint(3, (num,), generator=rng)]
    return EncodedSteps(before, taken, after, torch.full((num,), ended))


def test_airl_is_reward_plus_shaping_minus_the_policy():
    judge = TransitionDiscriminator(BOX, THREE, form="airl", discount=0.9)
    judge.fit_scales(steps().observation + 1)
    found, given = steps(), torch.randn(6, generator=torch.Generator().manual_seed(1))
    scaled = [(x - judge.scales.shift.float()) / judge.scales.scale.float() for x in
              (found.observation, found.next_observation)]  # fmt: skip
    g = judge.reward(torch.cat([scaled[0], found.action], dim=1))[:, 0]
    h, h_next = (judge.potential(x)[:, 0] for x in scaled)
    torch.testing.assert_close(judge(found), g + 0.9 * h_next - h)
    torch.testing.assert_close(judge(found, given), g + 0.9 * h_next - h - given)
    torch.testing.assert_close(judge(steps(ended=1.0)), g - h)


def test_potentials_cancel_over_an_episode():
    """Discounted, they sum to minus the first: shaping changes no policy's rank."""
    judge = TransitionDiscriminator(BOX, THREE, form="airl", discount=0.9)
    with torch.no_grad():
        for parameter in judge.reward.parameters():
            parameter.zero_()
    path = torch.randn(5, 2, generator=torch.Generator().manual_seed(0))
    ended = torch.tensor([0.0, 0.0, 0.0, 1.0])
    found = EncodedSteps(path[:-1], torch.eye(3)[[0, 1, 2, 0]], path[1:], ended)
    total = (judge(found) * 0.9 ** torch.arange(4)).sum()
    torch.testing.assert_close(total, -judge.potential(path[:1])[0, 0])


def test_gail_sees_neither_what_comes_next_nor_the_policy():
    judge = TransitionDiscriminator(BOX, THREE)
    found = steps()
    other = EncodedSteps(
        found.observation, found.action, found.next_observation + 1, 1 - found.terminated
    )
    assert torch.equal(judge(found), judge(other, torch.ones(6)))


def test_one_step_is_judged_as_in_a_batch():
    data = transitions("CartPole-v1", 20)
    cart = spaces.Box(-np.inf, np.inf, (4,), np.float32), spaces.Discrete(2)
    judge = TransitionDiscriminator(*cart, form="airl")
    many = judge(judge.encode(data))
    parts = data.observation, data.action, data.next_observation, data.terminated.tolist()
    each = [judge(judge.encode_step(*row)) for row in zip(*parts, strict=True)]
    torch.testing.assert_close(torch.cat(each), many)


def test_files(tmp_path):
    judge = TransitionDiscriminator(BOX, THREE, form="airl", seed=1)
    judge.fit_scales(steps().observation)
    judge.save(tmp_path / "judge")
    other = TransitionDiscriminator(BOX, THREE, form="airl", seed=2)
    assert not torch.equal(other(steps()), judge(steps()))
    other.load(tmp_path / "judge")
    assert torch.equal(other(steps()), judge(steps()))
    with pytest.raises(ValueError, match="expected the state of"):
        TransitionDiscriminator(BOX, THREE).load(tmp_path / "judge")


def test_mistakes_are_named(without_shape_checks):
    with pytest.raises(ValueError, match="form as one of"):
        TransitionDiscriminator(BOX, THREE, form="wgan")
    with pytest.raises(ValueError, match=r"discount in \[0, 1\], got 2"):
        TransitionDiscriminator(BOX, THREE, discount=2)
    with pytest.raises(ValueError, match="observations that are vectors, got pictures"):
        TransitionDiscriminator(spaces.Box(0, 255, (8, 8, 1), np.uint8), THREE)
