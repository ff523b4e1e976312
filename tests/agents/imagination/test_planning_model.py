import numpy as np
import pytest
from gymagine.agents.imagination.planning_model import (
    MarkovState,
    PlanningModel,
    imagined_returns,
)
from gymagine.generative.baselines.conditional_gaussian import ConditionalGaussian
from gymagine.generative.world_model import WorldModel
from gymnasium import spaces

from .exact_models import LinearQuadratic, MarkovModel, Table, step_of


class Counter(MarkovModel):
    """Counts up; the reward is the count, the episode ends at ``end``, doubt is the action."""

    observation_space = spaces.Box(0, 100, (1,), np.float64)
    action_space = spaces.Discrete(5)

    def __init__(self, end=np.inf):
        self.end = end

    def step(self, state, actions, *, temperature=1.0, rng=None):
        after = state.observations + 1
        count = after[:, 0]
        return MarkovState(after), step_of(after, count, count == self.end, actions * 1.0)


def test_a_world_model_and_a_few_methods_are_models_to_plan_in():
    box = spaces.Box(-1, 1, (2,))
    assert isinstance(WorldModel(box, box, ConditionalGaussian), PlanningModel)
    assert isinstance(LinearQuadratic(), PlanningModel)
    assert not isinstance(object(), PlanningModel)


def test_returns_are_discounted_sums_and_count_nothing_after_the_end():
    """Counts 3, 4, 5 from 2; 5, then the end at 5 (its own reward counts), from 4."""
    actions = np.zeros((2, 3), np.int64)
    state = Counter(end=5).begin(np.array([[2.0], [4.0]]))
    found = imagined_returns(Counter(end=5), state, actions, discount=0.5)
    np.testing.assert_allclose(found, [3 + 4 / 2 + 5 / 4, 5])


def test_the_value_at_the_horizon_counts_where_the_episode_goes_on():
    model = Counter(end=5)
    state = model.begin(np.array([[2.0], [4.0], [10.0]]))
    found = imagined_returns(
        model,
        state,
        np.zeros((3, 2), np.int64),
        discount=0.5,
        value_function=lambda observation: 100 * observation[:, 0],
    )
    np.testing.assert_allclose(found, [3 + 2 + 0.25 * 400, 5, 11 + 6 + 0.25 * 1200])


def test_doubt_is_taken_from_rewards():
    state = Counter().begin(np.array([[0.0], [0.0]]))
    actions = np.array([[0, 0], [1, 3]])
    found = imagined_returns(Counter(), state, actions, discount=0.5, disagreement_penalty=2.0)
    np.testing.assert_allclose(found, [2, 2 - 2 * 1 - 2 * 3 / 2])


def test_states_are_branched_and_replaced():
    state = MarkovState(np.array([1.0, 2.0, 3.0]))
    assert state.put([0], state.take([2])).observations.tolist() == [3, 2, 3]
    assert state.observations.tolist() == [1, 2, 3]


def test_a_table_is_walked_as_it_says():
    table = Table([[1, 0], [0, 1]], [[1.0, 2.0], [3.0, 4.0]])
    state = table.begin(np.array([0]))
    found = imagined_returns(table, state, np.array([[0, 1, 0]]))
    assert found == pytest.approx(1 + 4 + 3)
