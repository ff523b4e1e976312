"""MDPtoolbox's printed example."""

import numpy as np
import pytest
from gymagine.envs.textbook.forest_management import forest_management


@pytest.mark.parametrize(
    ("discount", "exact"),
    [(0.9, (26.244, 29.484, 33.484)), (0.96, (74.6496, 78.1056, 82.1056))],
)
def test_waiting_is_optimal(optimal_values, discount, exact):
    values, action_values = optimal_values(forest_management(), discount)
    np.testing.assert_allclose(values, exact, atol=1e-9)
    assert action_values.argmax(axis=1).tolist() == [0, 0, 0]


def test_matrices_of_the_toolbox():
    # mdp_example_forest(3, 4, 2, 0.1) as its documentation prints it
    mdp = forest_management()
    waiting = np.zeros((3, 3))
    for state in range(3):
        for probability, to, _, _ in mdp.outcomes(state, 0):
            waiting[state, to] += probability
    np.testing.assert_allclose(waiting, [[0.1, 0.9, 0], [0.1, 0, 0.9], [0.1, 0, 0.9]])
    np.testing.assert_allclose(mdp.expected_rewards, [[0, 0], [0, 1], [4, 2]])
    assert [mdp.outcomes(state, 1)[0][:2] for state in range(3)] == [(1.0, 0)] * 3


def test_bad_options():
    with pytest.raises(ValueError, match="num_ages of at least 2, got 1"):
        forest_management(num_ages=1)
    with pytest.raises(ValueError, match=r"fire_probability in \[0, 1\], got -0.1"):
        forest_management(fire_probability=-0.1)
