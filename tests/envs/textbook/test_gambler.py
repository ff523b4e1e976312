"""Example 4.3 and bold play."""

import numpy as np
import pytest
from gymagine.envs.textbook.gambler import gambler


def bold_play(capital, goal, p):
    """The probability of success when all that is useful is staked, by its recursion."""
    chance, weight = 0.0, 1.0
    for _ in range(2000):
        if capital == 0 or weight < 1e-18:
            return chance
        if 2 * capital >= goal:
            chance, weight = chance + weight * p, weight * (1 - p)
            capital = 2 * capital - goal
        else:
            capital, weight = 2 * capital, weight * p
    return chance


@pytest.mark.parametrize("masked", [False, True])
def test_values_at_p_0_4(optimal_values, truths, masked):
    values, _ = optimal_values(gambler(masked=masked), 1.0)
    assert values[[25, 50, 75]] == pytest.approx([0.16, 0.4, 0.64], abs=1e-12)
    assert values[1] == pytest.approx(0.0020656248, abs=1e-10)
    reference = np.array(truths["gambler_0.4"])
    np.testing.assert_allclose(values[1:100], reference[1:100], atol=1e-12)


def test_bold_play_is_optimal(optimal_values):
    values, _ = optimal_values(gambler(probability=0.3), 1.0)
    expected = [bold_play(capital, 100, 0.3) for capital in range(1, 100)]
    np.testing.assert_allclose(values[1:100], expected, atol=1e-12)


def test_timid_play_in_a_fair_or_better_game(optimal_values):
    # p > 1/2: stakes of 1 succeed with (1 - (q/p)^s) / (1 - (q/p)^N)
    values, _ = optimal_values(gambler(probability=0.6, goal=20), 1.0)
    ratio, capital = 0.4 / 0.6, np.arange(1, 20)
    np.testing.assert_allclose(values[1:20], (1 - ratio**capital) / (1 - ratio**20), atol=1e-9)


def test_stakes_beyond_the_useful_are_cut_or_masked():
    cut, masked = gambler(goal=10), gambler(goal=10, masked=True)
    assert cut.outcomes(2, 4) == cut.outcomes(2, 1)
    assert masked.outcomes(2, 4) == []
    assert masked.outcomes(2, 1) == cut.outcomes(2, 1)
    assert masked.outcomes(8, 1) == [(0.6, 6, 0.0, False), (0.4, 10, 1.0, True)]
    assert masked.allowed.sum(axis=1).tolist() == [5, 1, 2, 3, 4, 5, 4, 3, 2, 1, 5]


def test_bad_options():
    with pytest.raises(ValueError, match=r"probability in \[0, 1\], got 1.1"):
        gambler(probability=1.1)
    with pytest.raises(ValueError, match="goal of at least 2, got 1"):
        gambler(goal=1)
    with pytest.raises(ValueError, match=r"capital in \[1, 99\], got 100"):
        gambler(capital=100)
