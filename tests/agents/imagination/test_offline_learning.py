import gymnasium
import pytest
from gymagine.agents import RandomPolicy
from gymagine.agents.imagination.offline_learning import collected_at_random, enter


def test_steps_are_counted_and_differ_from_call_to_call():
    agent = RandomPolicy("CartPole-v1", seed=3)
    first = collected_at_random(agent, 20, None, goes_on=True)
    second = collected_at_random(agent, 30, None, goes_on=True)
    assert (len(first), len(second), agent.num_timesteps) == (20, 30, 50)
    assert (first.observation[0] != second.observation[0]).any()
    again = collected_at_random(agent, 20, None, goes_on=False)
    assert (again.observation == first.observation).all()
    assert agent.num_timesteps == 20


def test_mistakes():
    agent = RandomPolicy("CartPole-v1", seed=3)
    with pytest.raises(ValueError, match="at least 1 step"):
        collected_at_random(agent, 0, None, goes_on=True)
    with pytest.raises(ValueError, match="no callback"):
        collected_at_random(agent, 5, lambda *_: True, goes_on=True)
    with pytest.raises(ValueError, match="observation"):
        enter(agent, gymnasium.make("Pendulum-v1"))
    agent.env = None
    with pytest.raises(ValueError, match="an environment to learn in"):
        collected_at_random(agent, 5, None, goes_on=True)
