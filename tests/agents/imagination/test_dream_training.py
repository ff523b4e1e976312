import gymnasium
import numpy as np
import pytest
import torch
from gymagine.agents import QLearning
from gymagine.agents.deep import DQN
from gymagine.agents.imagination.dream_training import (
    DreamSettings,
    DreamTraining,
    dreamt_returns,
    learn_in_dreams,
)
from gymagine.envs.imagined import ImaginedVectorEnv
from gymagine.generative.baselines.conditional_gaussian import ConditionalGaussian
from gymagine.generative.data.environments import Transitions
from gymagine.generative.tabular_world_model import TabularWorldModel
from gymagine.generative.world_model import WorldModel
from gymnasium import spaces

torch.set_num_threads(1)

SMALL = {"hidden_sizes": (32,)}
QUICK = {
    "num_updates": 400,
    "learning_rate": 5e-3,
    "head_settings": {"num_updates": 500, "learning_rate": 1e-2},
}


class Corridor(gymnasium.Env):
    """Five places; going right from the last earns 1, going left from the first 0.1, and ends."""

    observation_space = spaces.Discrete(5)
    action_space = spaces.Discrete(2)
    num_steps = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place = 2
        return self.place, {}

    def step(self, action):
        type(self).num_steps += 1
        self.place += 2 * int(action) - 1
        reward = {-1: 0.1, 5: 1.0}.get(self.place, 0.0)
        ended = not 0 <= self.place < 5
        self.place = min(max(self.place, 0), 4)
        return self.place, reward, ended, False, {}


def model_of(**more):
    return WorldModel(
        Corridor.observation_space,
        Corridor.action_space,
        ConditionalGaussian,
        hyperparameters=SMALL,
        **more,
    )


def q_learning(dream):
    return QLearning(dream, seed=0, discount=0.9, step_size=0.3)


@pytest.mark.slow
def test_the_dream_teaches_the_optimum():
    """Values of an exact corridor: right of place p earns 0.9^(4 - p)."""
    Corridor.num_steps = 0
    settings = DreamSettings(real_steps=400, dream_steps=6_000, num_envs=8, horizon=20)
    found = learn_in_dreams(q_learning, model_of(), Corridor(), settings, fit_settings=QUICK)
    assert Corridor.num_steps == 400
    assert 6_000 <= found.num_imagined < 6_100
    assert len(found.data) == 400
    assert found.share_clipped == 0
    values = found.agent.action_values
    # the first two places are seldom seen by one who goes right from the third
    np.testing.assert_allclose(values[2:, 1], 0.9 ** np.arange(2, -1, -1), atol=0.02)
    assert (values.argmax(axis=1) == 1).all()
    np.testing.assert_allclose(dreamt_returns(found, settings, 20), 1.0, atol=0.1)


@pytest.mark.slow
def test_rounds_share_the_steps_and_the_agent_collects():
    Corridor.num_steps = 0
    settings = DreamSettings(
        real_steps=301, rounds=3, dream_steps=3_001, num_envs=8, horizon=9, start_at="any"
    )
    found = learn_in_dreams(q_learning, model_of(), Corridor(), settings, fit_settings=QUICK)
    assert Corridor.num_steps == len(found.data) == 301
    assert len(found.fits) == 3
    assert found.agent.num_timesteps == 3_001
    # episodes of a round end where the round does
    ends = found.data.terminated | found.data.truncated
    assert ends[[100, 200, 300]].all()
    # at random nearly half of the episodes end on the left; the agent goes right
    late = found.data.reward[201:][found.data.terminated[201:]]
    assert (late == 1).mean() > 0.8


def test_an_untrained_model_knows_scales_only():
    settings = DreamSettings(real_steps=100, dream_steps=64, num_envs=4, horizon=5)
    model = model_of(seed=3)
    before = {name: value.clone() for name, value in model.members.state_dict().items()}
    found = learn_in_dreams(
        q_learning, model, Corridor(), settings, is_trained=False, fit_settings=QUICK
    )
    assert found.fits == ()
    assert model.is_fitted
    for name, value in model.members.state_dict().items():
        assert value.equal(before[name])


def test_a_seed_tells_everything():
    settings = DreamSettings(real_steps=100, dream_steps=64, num_envs=4, horizon=5)
    quick = {"num_updates": 20, "head_settings": {"num_updates": 20}}

    def values(seed):
        found = learn_in_dreams(
            q_learning, model_of(), Corridor(), settings, seed=seed, fit_settings=quick
        )
        return found.agent.action_values

    np.testing.assert_array_equal(values(1), values(1))
    assert (values(1) != values(2)).any()


def test_dreamt_returns_stop_where_their_episodes_do():
    """A chain of four steps, and the last of it alone: 1 each."""
    seen, ends = np.array([0, 1, 2, 3, 3]), np.array([False, False, False, True, True])
    data = Transitions(seen, np.zeros(5, dtype=int), np.ones(5), seen + 1, ends, ends & False)
    model = TabularWorldModel(spaces.Discrete(5), spaces.Discrete(1))
    model.count(data)
    agent = q_learning(ImaginedVectorEnv(model, data, horizon=9))
    training = DreamTraining(agent, model, (), data, num_imagined=0, share_clipped=0.0)
    returns = dreamt_returns(training, DreamSettings(horizon=9), 40)
    assert set(returns.tolist()) == {1.0, 4.0}


def test_pessimism_and_temperature_reach_the_dream():
    seen = []

    def agent(dream):
        seen.append((dream.temperature, dream.pessimism, dream.horizon, dream.num_envs))
        return q_learning(dream)

    settings = DreamSettings(
        real_steps=50, dream_steps=8, num_envs=4, horizon=7, temperature=1.3, pessimism=0.2
    )
    learn_in_dreams(agent, model_of(), Corridor(), settings, is_trained=False)
    assert seen == [(1.3, 0.2, 7, 4)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"real_steps": 19}, "real_steps"),
        ({"rounds": 0}, "rounds"),
        ({"rounds": 30, "real_steps": 29}, "30 rounds"),
        ({"dream_steps": 0}, "dream_steps"),
        ({"temperature": -1.0}, "temperature"),
        ({"start_at": "last"}, "start_at"),
    ],
)
def test_settings_that_make_no_sense_are_refused(options, message, without_shape_checks):
    with pytest.raises(ValueError, match=message):
        DreamSettings(**options)


def test_another_environment_is_refused():
    with pytest.raises(ValueError, match="observation_space"):
        learn_in_dreams(DQN, model_of(), gymnasium.make("CartPole-v1"))
