"""Members are made of their hyper-parameters, in the sizes and with the weights of the peers."""

import numpy as np
import pytest
import torch
from gymagine.agents.deep.observation_leaves import ObservationLeaves
from gymagine.agents.deep.policy_gradient_configuration import A2CConfig, REINFORCEConfig
from gymagine.agents.deep.policy_gradient_members import (
    check_policy_action_space,
    loss_weights,
    policy_parameters,
    update_settings,
)
from gymagine.agents.deep.policy_networks import ActorCritic, PolicyNetwork
from gymnasium import spaces
from stable_baselines3 import A2C

VECTOR = spaces.Box(-1, 1, (4,))


@pytest.fixture(autouse=True)
def unchecked(without_shape_checks):
    """What a dataclass makes of its fields is its own business."""


def parameters(observations=VECTOR, actions=None, members=1, with_values=True, **changes):
    return policy_parameters(
        A2CConfig(**changes),
        ObservationLeaves(observations),
        actions or spaces.Discrete(2),
        [np.random.default_rng(seed) for seed in range(members)],
        with_values=with_values,
    )


@pytest.mark.parametrize("env_id", ["CartPole-v1", "Pendulum-v1"])
def test_as_many_parameters_as_the_peers(env_id):
    peer = A2C("MlpPolicy", env_id, device="cpu").policy
    own = parameters(peer.observation_space, peer.action_space, members=3)
    assert own.values.shape == (3, sum(p.numel() for p in peer.parameters()))
    # orthogonal weights of the same gains: the norms are not random
    mine = sorted(float(v[0].norm()) for v in own.views(own.values).values())
    theirs = sorted(float(p.detach().norm()) for p in peer.parameters())
    assert mine == pytest.approx(theirs, abs=1e-4)


def test_images_are_encoded_once_for_policy_and_values():
    frames = spaces.Box(0, 255, (10, 10, 2), np.uint8)
    names = parameters(frames).views(parameters(frames).values)
    assert sum("convolutions" in name for name in names) == 2  # weights and biases
    assert isinstance(parameters().module, ActorCritic)
    assert isinstance(parameters(with_values=False).module, PolicyNetwork)


def test_weights_and_settings():
    configs = [REINFORCEConfig(value_weight=0.1), REINFORCEConfig(entropy_weight=0.2)]
    found = loss_weights(configs, [1.0, 0.5])
    assert found.value.tolist() == pytest.approx([0.1, 0.5])
    assert found.entropy.tolist() == pytest.approx([0.0, 0.2])
    assert torch.equal(found.trace, torch.tensor([1.0, 0.5]))
    assert update_settings(configs, standardise=True).loss.explores
    assert not update_settings(configs[:1], standardise=True).loss.explores


def test_action_spaces():
    for space in (spaces.Discrete(2), spaces.MultiDiscrete([2, 3]), spaces.MultiBinary(2), VECTOR):
        check_policy_action_space(space)
    for space in (spaces.Text(3), spaces.Box(0, 9, (2,), np.int64)):
        with pytest.raises(ValueError, match="a Box of floats"):
            check_policy_action_space(space)
