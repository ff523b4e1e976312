import gymnasium
import numpy as np
import pytest
from gymagine.agents.planning import value_iteration
from gymagine.envs import TabularMDP
from gymagine.envs.learnt_models import imagined_mdp, transition_distances
from gymagine.generative import TabularWorldModel, fit_world_model, transitions
from gymnasium import spaces

LAKE = TabularMDP.from_env("FrozenLake-v1")


@pytest.fixture(scope="module")
def learnt():
    model = TabularWorldModel(spaces.Discrete(16), spaces.Discrete(4))
    data = transitions("FrozenLake-v1", 30_000)
    fit_world_model(model, data)
    return model, data


def test_distances_by_hand():
    rows = [
        [[(0.5, 0, 1.0, False), (0.25, 1, 0.0, False), (0.25, 1, 0.0, True)]],
        [[(1.0, 0, 0, True)]],
    ]
    other = [[[(0.75, 0, 9.0, False), (0.25, 1, 0.0, True)]], [[(1.0, 1, 0, True)]]]
    one, two = (TabularMDP.from_outcomes(each) for each in (rows, other))
    np.testing.assert_allclose(transition_distances(one, two), [[0.25], [1.0]])
    assert not transition_distances(one, one).any()
    with pytest.raises(ValueError, match="same states and actions"):
        transition_distances(one, LAKE)


def test_a_counted_lake_is_near_the_true_one(learnt):
    """The distance is that of samples: of 3 outcomes alike, sqrt(3 / (2 pi n)) in the mean."""
    model, data = learnt
    found = imagined_mdp(model, num_draws=3_000)
    tries = np.bincount(4 * data.observation + data.action, minlength=64).reshape(16, 4)
    visited = tries > 200
    distances = transition_distances(found, LAKE)[visited]
    expected = np.sqrt(3 / (2 * np.pi) * (1 / (0.9 * tries[visited]) + 1 / 3_000))
    assert 0.3 * expected.mean() < distances.mean() < 1.2 * expected.mean()
    # planned in it, nearly as good as the best in the true one
    policy = value_iteration(found, discount=0.99).policy
    from gymagine.agents.planning import policy_evaluation

    best = value_iteration(LAKE, discount=0.99).state_values[0]
    assert policy_evaluation(LAKE, policy, discount=0.99).state_values[0] > 0.8 * best


def test_starts_other_than_0():
    model = TabularWorldModel(spaces.Discrete(3, start=5), spaces.Discrete(2, start=-1))
    found = imagined_mdp(model, num_draws=4, initial_distribution=2)
    assert found.outcomes(1, 1) == [(1.0, 1, 0.0, False)]
    assert found.initial_distribution[2] == 1


def test_mistakes():
    from gymagine.generative import ConditionalGaussian, WorldModel

    env = gymnasium.make("CartPole-v1")
    model = WorldModel(env.observation_space, env.action_space, ConditionalGaussian)
    with pytest.raises(ValueError, match="Discrete observations"):
        imagined_mdp(model)
    with pytest.raises(ValueError, match="num_draws"):
        imagined_mdp(TabularWorldModel(spaces.Discrete(2), spaces.Discrete(2)), num_draws=0)
