"""Experts do what they are to show, and are refused elsewhere."""

import gymnasium
import numpy as np
import pytest
from gymagine.envs.experts import expert_for, expert_named
from gymagine.envs.registration import register_environments
from gymagine.generative.data.collecting import collect
from gymagine.generative.data.environments import Predictor


def test_the_pole_is_balanced_to_the_time_limit():
    data = collect("CartPole-v1", expert_for("CartPole-v1"), 20, seed=0)
    assert (data.returns == 500).all() and data.transitions.truncated.sum() == 20


@pytest.mark.parametrize("continuous", [False, True])
def test_the_lander_lands(continuous):
    pytest.importorskip("Box2D")
    env = gymnasium.make("LunarLander-v3", continuous=continuous)
    expert = expert_for(env)
    data = collect(env, expert, 20, seed=0)
    # Gymnasium holds 200 for solved; random actions earn about -180
    assert np.median(data.returns) > 200
    random = collect(env, None, 20, seed=0)
    assert random.returns.max() < np.median(data.returns)
    assert isinstance(expert, Predictor)


def test_gymnasium_s_own_heuristic_is_what_lands():
    lunar_lander = pytest.importorskip("gymnasium.envs.box2d.lunar_lander")
    env = gymnasium.make("LunarLander-v3")
    expert = expert_named("lunar-lander", env)
    observation, _ = env.reset(seed=4)
    for _ in range(60):
        action, _ = expert.predict(observation)
        assert action == lunar_lander.heuristic(env, observation)
        observation, *_ = env.step(action)


@pytest.mark.parametrize("env_id", ["gymagine/TwoWays-v0", "gymagine/PointMaze-v0"])
def test_experts_of_our_own_worlds_succeed(env_id):
    register_environments()
    env = gymnasium.make(env_id)
    data = collect(env, expert_for(env, seed=1), 10, seed=0)
    assert data.success.mean() >= 0.9
    same = collect(env, expert_for(env, seed=1), 10, seed=0)
    assert np.array_equal(data.transitions.action, same.transitions.action)


def test_batches_are_acted_on_one_by_one():
    expert = expert_named("cart-pole")
    seen = np.random.default_rng(0).normal(size=(9, 4))
    batch, memory = expert.predict(seen, state="kept")
    assert batch.tolist() == [expert.predict(one)[0] for one in seen] and memory == "kept"
    assert 0 < batch.sum() < 9


def test_experts_are_refused_where_they_know_nothing():
    with pytest.raises(ValueError, match=r"scripted expert .*CartPole.*, got Acrobot-v1"):
        expert_for("Acrobot-v1")
    with pytest.raises(
        ValueError, match="expected the expert cart-pole in CartPole-v1, got lunar"
    ):
        pytest.importorskip("Box2D")
        expert_named("lunar-lander", "CartPole-v1")
    with pytest.raises(ValueError, match=r"shape .4,. and actions in .* got .2,."):
        expert_named("cart-pole", "MountainCar-v0")
    with pytest.raises(ValueError, match=r"unknown expert 'cartpole'; did you mean cart-pole"):
        expert_named("cartpole")
    with pytest.raises(ValueError, match=r"observations of shape .4,. for .* got .3,."):
        expert_named("cart-pole").predict(np.zeros(3))
