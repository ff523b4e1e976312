"""Example 6.6, and Gymnasium's CliffWalking as an independent copy of it."""

import gymnasium
import pytest
from gymagine.envs.textbook.cliff import cliff


def test_same_table_as_gymnasiums():
    table, mdp = gymnasium.make("CliffWalking-v1").unwrapped.P, cliff()
    for state in range(36 + 1):  # their rows of the goal and the cliff are never used
        for action in range(4):
            assert mdp.outcomes(state, action) == [
                (p, int(to), float(r), bool(ended)) for p, to, r, ended in table[state][action]
            ]


@pytest.mark.parametrize("discount", [1.0, 0.99])
def test_the_shortest_way_takes_13_steps(optimal_values, discount):
    values, action_values = optimal_values(cliff(), discount)
    exact = -13.0 if discount == 1 else -(1 - discount**13) / (1 - discount)
    assert values[36] == pytest.approx(exact, abs=1e-9)
    assert action_values[36].argmax() == 0
    # back at the start after the fall
    assert action_values[36, 1] == pytest.approx(-100 + discount * values[36], abs=1e-9)


def test_other_sizes(optimal_values):
    values, _ = optimal_values(cliff(width=5, height=3), 1.0)
    assert values[10] == -6
    with pytest.raises(ValueError, match="3 columns and 2 rows, got 2 and 4"):
        cliff(width=2)
