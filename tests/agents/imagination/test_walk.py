import gymnasium
import numpy as np
import pytest
from gymagine.agents.imagination.walk import Walk


def walked(env_id, num, seed=0):
    walk = Walk(gymnasium.make(env_id), seed=seed)
    steps = []
    for t in range(num):
        observation, memory = walk.now()
        steps.append((observation, memory, walk.step(t % 2, t)))
    return walk, steps


def test_what_is_remembered_ends_with_the_episode():
    _, steps = walked("CartPole-v1", 60)
    begins = True
    for t, (_, memory, step) in enumerate(steps):
        assert memory == (None if begins else t - 1)
        begins = step.terminated or step.truncated
    assert any(step.terminated for _, _, step in steps)


def test_ends_come_with_return_and_length():
    _, steps = walked("CartPole-v1", 60)
    length = 0
    for _, _, step in steps:
        length += 1
        assert step.episode == ((float(length), length) if step.terminated else None)
        length = 0 if step.terminated else length


def test_a_walk_goes_on_in_a_fresh_environment():
    walk, _ = walked("CartPole-v1", 20)
    other = Walk(gymnasium.make("CartPole-v1"), seed=9)
    assert other.restore(*walk.saved())
    for t in range(30):
        np.testing.assert_array_equal(walk.now()[0], other.now()[0])
        assert walk.step(t % 2, None).reward == other.step(t % 2, None).reward


def test_use_by_others_is_noticed():
    walk, _ = walked("CartPole-v1", 5)
    walk.pause()
    assert walk.resume()
    walk.pause()
    walk._env.reset(seed=3)
    assert not walk.resume()


def test_a_reward_that_is_no_number_is_refused():
    class Broken(gymnasium.Env):
        observation_space = action_space = gymnasium.spaces.Discrete(2)

        def reset(self, *, seed=None, options=None):
            return 0, {}

        def step(self, action):
            return 0, np.nan, False, False, {}

    walk = Walk(Broken(), seed=0)
    walk.now()
    with pytest.raises(ValueError, match="finite reward"):
        walk.step(0, None)
    assert not walk.tells_its_state
